#include "text/normalizer.h"

#include <string.h>
#include <utf8proc.h>

#include "base/memory.h"
#include "text/regex.h"

enum normalizer_kind { NORMALIZER_FORM, NORMALIZER_PREPEND, NORMALIZER_REPLACE };

struct normalizer_step {
    enum normalizer_kind kind;
    utf8proc_option_t form; /* FORM */
    char *pattern;          /* REPLACE: what is replaced, where there is no regex */
    size_t pattern_size;
    struct regex *regex;
    char *content; /* PREPEND, REPLACE: what is put there */
    size_t content_size;
};

enum { NORMALIZER_STEPS = 16, NESTED_MOST = 8 };

struct normalizer {
    struct normalizer_step steps[NORMALIZER_STEPS];
    int count;
    struct text json;
};

/* ---- reading ---- */

static fathom_status copy_bytes(char **out, size_t *out_size, const json_node *node,
                                struct error *err) {
    size_t size = 0;
    const char *bytes = json_string(node, &size);
    TRY(MEM_NEW(out, size + 1, "a normalizer", err));
    memcpy(*out, bytes, size);
    *out_size = size;
    return FATHOM_OK;
}

static fathom_status read_replace(struct normalizer_step *s, const json_node *node,
                                  const char *what, struct error *err) {
    const json_node *pattern = json_member(node, "pattern");
    const json_node *regex = json_member(pattern, "Regex");
    const json_node *literal = json_member(pattern, "String");
    s->kind = NORMALIZER_REPLACE;
    if (!json_is_string(json_member(node, "content")) ||
        (!json_is_string(regex) && !json_is_string(literal)))
        RAISE(FATHOM_BAD_INPUT, "%s: a normalizer Replace needs a pattern and a content", what);
    TRY(copy_bytes(&s->content, &s->content_size, json_member(node, "content"), err));
    if (!json_is_string(regex)) return copy_bytes(&s->pattern, &s->pattern_size, literal, err);
    size_t size = 0;
    const char *text = json_string(regex, &size);
    return regex_new(&s->regex, text, size, what, err);
}

static const struct {
    const char *type;
    int options;
} forms[] = {
    {"NFC", UTF8PROC_STABLE | UTF8PROC_COMPOSE},
    {"NFD", UTF8PROC_STABLE | UTF8PROC_DECOMPOSE},
    {"NFKC", UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT},
    {"NFKD", UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT},
};

static fathom_status read_step(struct normalizer_step *s, const json_node *node, const char *what,
                               struct error *err) {
    const char *type = json_string(json_member(node, "type"), NULL);
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
        if (strcmp(type, forms[i].type) == 0) {
            s->kind = NORMALIZER_FORM;
            s->form = (utf8proc_option_t)forms[i].options;
            return FATHOM_OK;
        }
    if (strcmp(type, "Replace") == 0) return read_replace(s, node, what, err);
    if (strcmp(type, "Prepend") != 0)
        RAISE(FATHOM_UNSUPPORTED,
              "%s: a normalizer of type \"%s\" is not known here; NFC, NFD, NFKC, NFKD, Prepend, "
              "Replace and sequences of them are",
              what, type);
    s->kind = NORMALIZER_PREPEND;
    if (!json_is_string(json_member(node, "prepend")))
        RAISE(FATHOM_BAD_INPUT, "%s: a normalizer Prepend needs a text to prepend", what);
    return copy_bytes(&s->content, &s->content_size, json_member(node, "prepend"), err);
}

static fathom_status read_list(struct normalizer *n, const json_node *node, int depth,
                               const char *what, struct error *err) {
    if (strcmp(json_string(json_member(node, "type"), NULL), "Sequence") == 0) {
        const json_node *members = json_member(node, "normalizers");
        if (depth == NESTED_MOST)
            RAISE(FATHOM_UNSUPPORTED, "%s: normalizers nested more than %d deep", what, depth);
        for (size_t i = 0; i < json_count(members); i++)
            TRY(read_list(n, json_element(members, i), depth + 1, what, err));
        return FATHOM_OK;
    }
    if (n->count == NORMALIZER_STEPS)
        RAISE(FATHOM_UNSUPPORTED, "%s: a normalizer of more than %d steps", what, n->count);
    return read_step(&n->steps[n->count++], node, what, err);
}

/* ---- writing ---- */

static void write_step(const struct normalizer_step *s, struct text *out) {
    switch (s->kind) {
    case NORMALIZER_FORM:
        for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
            if (forms[i].options == (int)s->form)
                text_printf(out, "{\"type\": \"%s\"}", forms[i].type);
        break;
    case NORMALIZER_PREPEND:
        text_append_string(out, "{\"type\": \"Prepend\", \"prepend\": ");
        json_write_string(out, s->content, s->content_size);
        text_append_char(out, '}');
        break;
    case NORMALIZER_REPLACE:
        text_printf(
            out, "{\"type\": \"Replace\", \"pattern\": {\"%s\": ", s->regex ? "Regex" : "String");
        if (s->regex)
            json_write_string(out, regex_pattern(s->regex), strlen(regex_pattern(s->regex)));
        else
            json_write_string(out, s->pattern, s->pattern_size);
        text_append_string(out, "}, \"content\": ");
        json_write_string(out, s->content, s->content_size);
        text_append_char(out, '}');
        break;
    }
}

static void write_list(struct normalizer *n) {
    if (n->count > 1) text_append_string(&n->json, "{\"type\": \"Sequence\", \"normalizers\": [");
    for (int i = 0; i < n->count; i++) {
        if (i > 0) text_append_string(&n->json, ", ");
        write_step(&n->steps[i], &n->json);
    }
    if (n->count > 1) text_append_string(&n->json, "]}");
}

fathom_status normalizer_parse(struct normalizer **out, const json_node *object, const char *what,
                               struct error *err) {
    struct normalizer *n = NULL;
    *out = NULL;
    if (json_is_null(object)) return FATHOM_OK;
    TRY(MEM_NEW(&n, 1, "a normalizer", err));
    fathom_status status = read_list(n, object, 0, what, err);
    if (status == FATHOM_OK) write_list(n);
    if (status == FATHOM_OK) status = text_check(&n->json, err);
    if (status != FATHOM_OK || n->count == 0) {
        normalizer_free(n);
        return status;
    }
    *out = n;
    return FATHOM_OK;
}

void normalizer_free(struct normalizer *n) {
    if (!n) return;
    for (int i = 0; i < n->count; i++) {
        regex_free(n->steps[i].regex);
        mem_free(n->steps[i].pattern);
        mem_free(n->steps[i].content);
    }
    text_free(&n->json);
    mem_free(n);
}

const char *normalizer_json(const struct normalizer *n) { return n ? text_data(&n->json) : "null"; }
const char *normalizer_unicode_version(void) { return utf8proc_unicode_version(); }

void normalizer_scratch_free(struct normalizer_scratch *s) {
    text_free(&s->texts[0]);
    text_free(&s->texts[1]);
    mem_free(s->codes);
    mem_free(s->sorted);
    regex_search_free(s->search);
    *s = (struct normalizer_scratch){0};
}

/* ---- normal forms ---- */

enum { EXPANSION = 18 }; /* code points that one decomposes to, at most */

static fathom_status code_reserve(struct normalizer_scratch *s, size_t used, size_t need,
                                  struct error *err) {
    if (need <= s->code_capacity) return FATHOM_OK;
    size_t capacity = 2 * need;
    TRY(mem_grow((void **)&s->codes, used, capacity, sizeof *s->codes, "normalizing", err));
    TRY(mem_grow((void **)&s->sorted, 0, capacity, sizeof *s->sorted, "normalizing", err));
    s->code_capacity = capacity;
    return FATHOM_OK;
}

static int combining_class(int32_t code) {
    return code < 0x300 ? 0 : utf8proc_get_property(code)->combining_class;
}

/* Sorts codes[0..count), none of class 0, by class, equals in their order: counting, so that a long
 * run of marks stays linear. */
static void sort_marks(int32_t *codes, int32_t *sorted, size_t count) {
    size_t first[257] = {0};
    for (size_t i = 0; i < count; i++) first[combining_class(codes[i]) + 1]++;
    for (int c = 0; c < 256; c++) first[c + 1] += first[c];
    for (size_t i = 0; i < count; i++) sorted[first[combining_class(codes[i])]++] = codes[i];
    memcpy(codes, sorted, count * sizeof *codes);
}

static void order_marks(struct normalizer_scratch *s, size_t count) {
    for (size_t i = 0; i < count;) {
        size_t end = i;
        bool is_sorted = true;
        for (int last = 0; end < count; end++) {
            int class = combining_class(s->codes[end]);
            if (class == 0) break;
            is_sorted &= class >= last;
            last = class;
        }
        if (!is_sorted) sort_marks(s->codes + i, s->sorted, end - i);
        i = end + 1;
    }
}

/* A run of valid characters, which begins where no normal form looks back. */
static fathom_status normalize_run(utf8proc_option_t form, struct normalizer_scratch *s,
                                   const unsigned char *text, size_t size, struct text *out,
                                   struct error *err) {
    size_t count = 0;
    for (size_t at = 0; at < size;) {
        uint32_t code = 0;
        int class = 0;
        at += (size_t)utf8_decode(text + at, size - at, &code);
        TRY(code_reserve(s, count, count + EXPANSION, err));
        utf8proc_ssize_t made =
            utf8proc_decompose_char((int32_t)code, s->codes + count, EXPANSION,
                                    (utf8proc_option_t)(form | UTF8PROC_DECOMPOSE), &class);
        if (made < 0 || made > EXPANSION)
            RAISE(FATHOM_UNSUPPORTED, "U+%04X does not decompose: %s", code,
                  made < 0 ? utf8proc_errmsg(made) : "too many code points");
        count += (size_t)made;
    }
    order_marks(s, count);
    if (form & UTF8PROC_COMPOSE)
        count = (size_t)utf8proc_normalize_utf32(s->codes, (utf8proc_ssize_t)count, form);
    for (size_t i = 0; i < count; i++) {
        unsigned char bytes[4];
        text_append(out, bytes, (size_t)utf8_encode((uint32_t)s->codes[i], bytes));
    }
    return text_check(out, err);
}

/* The end of the valid characters beyond ASCII from `at`. */
static size_t beyond_ascii_end(const unsigned char *text, size_t size, size_t at) {
    uint32_t code = 0;
    while (at < size && text[at] >= 0x80) {
        int length = utf8_decode(text + at, size - at, &code);
        if (length == 0) break;
        at += (size_t)length;
    }
    return at;
}

/* ASCII is normal, and composes with nothing before it: runs are an ASCII character and what stands
 * behind it up to the next one. */
static fathom_status apply_form(utf8proc_option_t form, struct normalizer_scratch *s,
                                const unsigned char *text, size_t size, struct text *out,
                                struct error *err) {
    size_t done = 0;
    for (size_t at = 0; at < size;) {
        if (text[at] < 0x80) {
            at++;
            continue;
        }
        size_t end = beyond_ascii_end(text, size, at);
        size_t begin = at > done && text[at - 1] < 0x80 ? at - 1 : at;
        text_append(out, text + done, begin - done);
        if (end > at) TRY(normalize_run(form, s, text + begin, end - begin, out, err));
        done = end > at ? end : begin;
        at = end > at ? end : at + 1;
    }
    text_append(out, text + done, size - done);
    return text_check(out, err);
}

/* ---- Prepend and Replace ---- */

static fathom_status replace_literal(const struct normalizer_step *s, const unsigned char *text,
                                     size_t size, struct text *out, struct error *err) {
    size_t done = 0;
    while (s->pattern_size > 0 && done < size) {
        const unsigned char *at = memmem(text + done, size - done, s->pattern, s->pattern_size);
        if (!at) break;
        text_append(out, text + done, (size_t)(at - text) - done);
        text_append(out, s->content, s->content_size);
        done = (size_t)(at - text) + s->pattern_size;
    }
    text_append(out, text + done, size - done);
    return text_check(out, err);
}

static fathom_status replace_regex(const struct normalizer_step *s, struct normalizer_scratch *w,
                                   const unsigned char *text, size_t size, struct text *out,
                                   struct error *err) {
    size_t done = 0, from = 0, last_end = SIZE_MAX;
    bool found = true;
    if (!w->search) TRY(regex_search_new(&w->search, err));
    while (found && from <= size) {
        size_t begin = 0, end = 0;
        TRY(regex_find(s->regex, w->search, text, size, from, &found, &begin, &end, err));
        if (!found) break;
        from = end;
        if (begin == end && begin == last_end) {
            uint32_t code = 0;
            int length = from < size ? utf8_decode(text + from, size - from, &code) : 1;
            from += (size_t)(length > 0 ? length : 1);
            continue;
        }
        text_append(out, text + done, begin - done);
        text_append(out, s->content, s->content_size);
        done = last_end = end;
    }
    text_append(out, text + done, size - done);
    return text_check(out, err);
}

static bool is_all_valid(const unsigned char *text, size_t size) {
    uint32_t code = 0;
    for (size_t at = 0; at < size;) {
        int length = utf8_decode(text + at, size - at, &code);
        if (length == 0) return false;
        at += (size_t)length;
    }
    return true;
}

static fathom_status apply_step(const struct normalizer_step *s, struct normalizer_scratch *w,
                                const unsigned char *text, size_t size, struct text *out,
                                struct error *err) {
    switch (s->kind) {
    case NORMALIZER_FORM: return apply_form(s->form, w, text, size, out, err);
    case NORMALIZER_PREPEND:
        if (size > 0) text_append(out, s->content, s->content_size);
        text_append(out, text, size);
        return text_check(out, err);
    case NORMALIZER_REPLACE: break;
    }
    if (!s->regex) return replace_literal(s, text, size, out, err);
    if (!is_all_valid(text, size))
        RAISE(FATHOM_BAD_INPUT,
              "the text is not valid UTF-8, but the tokenizer replaces \"%s\" in it",
              regex_pattern(s->regex));
    return replace_regex(s, w, text, size, out, err);
}

fathom_status normalizer_apply(const struct normalizer *n, struct normalizer_scratch *scratch,
                               const unsigned char *text, size_t size, const unsigned char **bytes,
                               size_t *count, struct error *err) {
    *bytes = text;
    *count = size;
    for (int i = 0; i < n->count; i++) {
        struct text *out = &scratch->texts[i % 2];
        text_clear(out);
        TRY(apply_step(&n->steps[i], scratch, *bytes, *count, out, err));
        *bytes = (const unsigned char *)text_data(out);
        *count = out->size;
    }
    return FATHOM_OK;
}
