/* What comes after merging: tokens that a post-processor puts around a text, and the decoder. */
#include <string.h>

#include "base/memory.h"
#include "text/tokenizer_data.h"

enum { NESTED_MOST = 8, AFFIX_MOST = 64 };

/* The ids of a template, as they are found. */
struct affixes {
    int32_t ids[AFFIX_MOST];
    size_t count, prefix_count;
    bool has_text; /* the template's place for the text was seen */
};

static fathom_status copy_node(char **out, const json_node *node, struct error *err) {
    struct text json = {0};
    json_write_node(&json, node);
    fathom_status status = text_check(&json, err);
    if (status == FATHOM_OK) status = string_copy(out, text_data(&json), err);
    text_free(&json);
    return status;
}

/* ---- TemplateProcessing ---- */

static fathom_status add_affix(struct affixes *a, const struct tokenizer *t, const json_node *ids,
                               const char *what, struct error *err) {
    for (size_t i = 0; i < json_count(ids); i++) {
        int64_t id = json_integer(json_element(ids, i));
        size_t size = 0;
        if (id < 0 || id >= t->vocab_size) id = -1;
        tokenizer_token_bytes(t, (int32_t)id, &size);
        if (!json_is_integer(json_element(ids, i)) || size == 0)
            RAISE(FATHOM_BAD_INPUT, "%s: its post-processor adds an id that is no token", what);
        if (a->count == AFFIX_MOST)
            RAISE(FATHOM_UNSUPPORTED, "%s: its post-processor adds more than %d tokens", what,
                  AFFIX_MOST);
        a->ids[a->count++] = (int32_t)id;
    }
    return FATHOM_OK;
}

static fathom_status read_template(struct affixes *a, const struct tokenizer *t,
                                   const json_node *node, const char *what, struct error *err) {
    const json_node *single = json_member(node, "single");
    const json_node *known = json_member(node, "special_tokens");
    if (a->has_text) RAISE(FATHOM_UNSUPPORTED, "%s: two templates in its post-processor", what);
    for (size_t i = 0; i < json_count(single); i++) {
        const json_node *part = json_element(single, i);
        const json_node *special = json_member(part, "SpecialToken");
        if (special) {
            const char *name = "";
            TRY(json_need_string(special, "id", &name, what, err));
            const json_node *ids = json_member(json_member(known, name), "ids");
            if (json_count(ids) == 0)
                RAISE(FATHOM_BAD_INPUT,
                      "%s: its post-processor names \"%s\", but not among its special_tokens", what,
                      name);
            TRY(add_affix(a, t, ids, what, err));
        } else if (json_member(part, "Sequence") && !a->has_text) {
            a->has_text = true;
            a->prefix_count = a->count;
        } else {
            RAISE(FATHOM_UNSUPPORTED,
                  "%s: its post-processor's template is not special tokens around one text", what);
        }
    }
    if (!a->has_text)
        RAISE(FATHOM_BAD_INPUT, "%s: its post-processor's template has no place for the text",
              what);
    return FATHOM_OK;
}

static fathom_status read_processor(struct affixes *a, const struct tokenizer *t,
                                    const json_node *node, int depth, const char *what,
                                    struct error *err) {
    const char *type = json_string(json_member(node, "type"), NULL);
    if (strcmp(type, "ByteLevel") == 0) return FATHOM_OK; /* of offsets only */
    if (strcmp(type, "TemplateProcessing") == 0) return read_template(a, t, node, what, err);
    if (strcmp(type, "Sequence") != 0 || depth == NESTED_MOST)
        RAISE(FATHOM_UNSUPPORTED,
              "%s: a post-processor of type \"%s\" is not known here; ByteLevel, "
              "TemplateProcessing and sequences of them are",
              what, type);
    const json_node *members = json_member(node, "processors");
    for (size_t i = 0; i < json_count(members); i++)
        TRY(read_processor(a, t, json_element(members, i), depth + 1, what, err));
    return FATHOM_OK;
}

fathom_status tokenizer_read_post_processor(struct tokenizer *t, const json_node *node,
                                            const char *what, struct error *err) {
    struct affixes a = {0};
    if (json_is_null(node)) return FATHOM_OK;
    TRY(read_processor(&a, t, node, 0, what, err));
    TRY(MEM_NEW(&t->affixes, a.count, "the post-processor", err));
    memcpy(t->affixes, a.ids, a.count * sizeof *a.ids);
    t->prefix_count = a.prefix_count;
    t->suffix_count = a.count - a.prefix_count;
    return copy_node(&t->post_processor, node, err);
}

static void write_special(struct text *json, const struct tokenizer *t, int32_t id) {
    size_t size = 0;
    const char *bytes = tokenizer_token_bytes(t, id, &size);
    text_append_string(json, "{\"SpecialToken\": {\"id\": ");
    json_write_string(json, bytes, size);
    text_append_string(json, ", \"type_id\": 0}}");
}

/* A list of a template: the tokens around the texts A and, for a pair, B. */
static void write_sequence(struct text *json, const struct tokenizer *t, const int32_t ids[2],
                           bool is_pair) {
    const char *comma = "";
    for (int text = 0; text <= is_pair; text++) {
        if (ids[0] >= 0) {
            text_append_string(json, comma);
            write_special(json, t, ids[0]);
            comma = ", ";
        }
        text_printf(json, "%s{\"Sequence\": {\"id\": \"%c\", \"type_id\": %d}}", comma, 'A' + text,
                    text);
        comma = ", ";
        if (ids[1] >= 0) {
            text_append_string(json, comma);
            write_special(json, t, ids[1]);
        }
    }
}

static void write_known(struct text *json, const struct tokenizer *t, const int32_t ids[2]) {
    const char *comma = "";
    for (int i = 0; i < 2; i++) {
        size_t size = 0;
        const char *bytes = tokenizer_token_bytes(t, ids[i], &size);
        if (ids[i] < 0 || (i == 1 && ids[1] == ids[0])) continue;
        text_append_string(json, comma);
        json_write_string(json, bytes, size);
        text_append_string(json, ": {\"id\": ");
        json_write_string(json, bytes, size);
        text_printf(json, ", \"ids\": [%d], \"tokens\": [", ids[i]);
        json_write_string(json, bytes, size);
        text_append_string(json, "]}");
        comma = ", ";
    }
}

fathom_status tokenizer_set_affixes(struct tokenizer *t, int32_t before, int32_t after,
                                    const char *what, struct error *err) {
    const int32_t ids[2] = {before, after};
    struct text json = {0};
    json_node *root = NULL;
    text_append_string(&json, "{\"type\": \"TemplateProcessing\", \"single\": [");
    write_sequence(&json, t, ids, false);
    text_append_string(&json, "], \"pair\": [");
    write_sequence(&json, t, ids, true);
    text_append_string(&json, "], \"special_tokens\": {");
    write_known(&json, t, ids);
    text_append_string(&json, "}}");
    fathom_status status = text_check(&json, err);
    if (status == FATHOM_OK) status = json_parse(&root, json.data, json.size, what, err);
    if (status == FATHOM_OK) {
        mem_free(t->post_processor);
        t->post_processor = NULL;
        status = tokenizer_read_post_processor(t, root, what, err);
    }
    json_free(root);
    text_free(&json);
    return status;
}

/* ---- the decoder ---- */

static bool is_byte_level(const json_node *node) {
    const char *type = json_string(json_member(node, "type"), NULL);
    const json_node *members = json_member(node, "decoders");
    if (strcmp(type, "Sequence") == 0 && json_count(members) == 1) node = json_element(members, 0);
    return strcmp(json_string(json_member(node, "type"), NULL), "ByteLevel") == 0;
}

fathom_status tokenizer_read_decoder(struct tokenizer *t, const json_node *node, const char *what,
                                     struct error *err) {
    if (!is_byte_level(node))
        RAISE(FATHOM_UNSUPPORTED, "%s: a decoder of type \"%s\"; only ByteLevel is known", what,
              json_string(json_member(node, "type"), NULL));
    return copy_node(&t->decoder, node, err);
}

fathom_status tokenizer_set_byte_level(struct tokenizer *t, struct error *err) {
    TRY(string_copy(&t->post_processor,
                    "{\"type\": \"ByteLevel\", \"add_prefix_space\": true, "
                    "\"trim_offsets\": false, \"use_regex\": true}",
                    err));
    return string_copy(&t->decoder,
                       "{\"type\": \"ByteLevel\", \"add_prefix_space\": true, "
                       "\"trim_offsets\": true, \"use_regex\": true}",
                       err);
}
