/* Writing tokenizer.json and tokenizer_config.json. */
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "text/tokenizer_data.h"

/* What stands in scratch, as a JSON string. Its failure becomes out's before it is cleared. */
static void put_string(struct text *out, const struct text *scratch) {
    out->failed |= scratch->failed;
    json_write_string(out, text_data(scratch), scratch->size);
}

static void put_spelled(struct text *out, const struct tokenizer *t, int32_t id,
                        struct text *scratch) {
    size_t size = 0;
    const char *bytes = tokenizer_token_bytes(t, id, &size);
    text_clear(scratch);
    if (t->flags[id] & TOKEN_ADDED)
        text_append(scratch, bytes, size);
    else
        token_spell(bytes, size, scratch);
    put_string(out, scratch);
}

static void put_flag(struct text *out, const char *key, bool value) {
    text_printf(out, ", \"%s\": %s", key, value ? "true" : "false");
}

static void put_added(struct text *out, const struct tokenizer *t, struct text *scratch) {
    const char *comma = "";
    text_append_string(out, "  \"added_tokens\": [");
    for (int32_t id = 0; id < t->vocab_size; id++) {
        if (!(t->flags[id] & TOKEN_ADDED)) continue;
        text_printf(out, "%s\n    {\"id\": %d, \"content\": ", comma, id);
        put_spelled(out, t, id, scratch);
        put_flag(out, "single_word", t->flags[id] & TOKEN_SINGLE_WORD);
        put_flag(out, "lstrip", t->flags[id] & TOKEN_LSTRIP);
        put_flag(out, "rstrip", t->flags[id] & TOKEN_RSTRIP);
        put_flag(out, "normalized", t->flags[id] & TOKEN_NORMALIZED);
        put_flag(out, "special", t->flags[id] & TOKEN_SPECIAL);
        text_append_char(out, '}');
        comma = ",";
    }
    text_append_string(out, "\n  ],\n");
}

static void put_model(struct text *out, const struct tokenizer *t, struct text *scratch) {
    const char *comma = "";
    text_append_string(out, "  \"model\": {\n    \"type\": \"BPE\",\n    \"dropout\": null,\n"
                            "    \"unk_token\": null,\n    \"continuing_subword_prefix\": null,\n"
                            "    \"end_of_word_suffix\": null,\n    \"fuse_unk\": false,\n"
                            "    \"byte_fallback\": false,\n");
    text_printf(out, "    \"ignore_merges\": %s,\n    \"vocab\": {",
                t->ignore_merges ? "true" : "false");
    for (int32_t id = 0; id < t->vocab_size; id++) {
        if (!(t->flags[id] & TOKEN_EXISTS)) continue;
        text_printf(out, "%s\n      ", comma);
        put_spelled(out, t, id, scratch);
        text_printf(out, ": %d", id);
        comma = ",";
    }
    text_append_string(out, "\n    },\n    \"merges\": [");
    for (size_t rank = 0; rank < t->merge_count; rank++) {
        size_t size = 0;
        text_clear(scratch);
        const char *bytes = tokenizer_token_bytes(t, t->merges[rank].left, &size);
        token_spell(bytes, size, scratch);
        text_append_char(scratch, ' ');
        bytes = tokenizer_token_bytes(t, t->merges[rank].right, &size);
        token_spell(bytes, size, scratch);
        text_append_string(out, rank ? ",\n      " : "\n      ");
        put_string(out, scratch);
    }
    text_append_string(out, "\n    ]\n  }\n");
}

static void put_tokenizer(struct text *out, const struct tokenizer *t, struct text *scratch) {
    text_append_string(out, "{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n"
                            "  \"padding\": null,\n");
    put_added(out, t, scratch);
    text_printf(out, "  \"normalizer\": %s,\n", normalizer_json(t->normalizer));
    text_printf(out, "  \"pre_tokenizer\": %s,\n", pretokenizer_json(t->pretokenizer));
    text_printf(out, "  \"post_processor\": %s,\n", t->post_processor ? t->post_processor : "null");
    text_printf(out, "  \"decoder\": %s,\n", t->decoder);
    put_model(out, t, scratch);
    text_append_string(out, "}\n");
}

static void put_named(struct text *out, const struct tokenizer *t, const char *key, int32_t id,
                      struct text *scratch) {
    text_printf(out, "  \"%s\": ", key);
    if (id >= 0)
        put_spelled(out, t, id, scratch);
    else
        text_append_string(out, "null");
    text_append_string(out, ",\n");
}

static void put_config(struct text *out, const struct tokenizer *t, struct text *scratch) {
    text_append_string(out, "{\n  \"tokenizer_class\": \"PreTrainedTokenizerFast\",\n"
                            "  \"add_bos_token\": false,\n  \"add_eos_token\": false,\n"
                            "  \"clean_up_tokenization_spaces\": false,\n");
    put_named(out, t, "bos_token", t->bos, scratch);
    put_named(out, t, "eos_token", t->eos, scratch);
    put_named(out, t, "pad_token", t->eos, scratch);
    if (t->chat_template) {
        text_append_string(out, "  \"chat_template\": ");
        json_write_string(out, t->chat_template, strlen(t->chat_template));
        text_append_string(out, ",\n");
    }
    text_append_string(out, "  \"unk_token\": null\n}\n");
}

static fathom_status write_file(const char *directory, const char *name, const struct text *text,
                                struct error *err) {
    char *path = NULL;
    struct file_writer *file = NULL;
    TRY(text_check(text, err));
    TRY(path_join(&path, directory, name, err));
    fathom_status status = file_writer_open(&file, path, err);
    mem_free(path);
    TRY(status);
    file_writer_put(file, text_data(text), text->size);
    return file_writer_commit(file, err);
}

fathom_status tokenizer_save(const struct tokenizer *t, const char *directory, struct error *err) {
    struct text out = {0}, scratch = {0};
    put_tokenizer(&out, t, &scratch);
    fathom_status status = write_file(directory, "tokenizer.json", &out, err);
    text_clear(&out);
    put_config(&out, t, &scratch);
    if (status == FATHOM_OK) status = write_file(directory, "tokenizer_config.json", &out, err);
    text_free(&out);
    text_free(&scratch);
    return status;
}
