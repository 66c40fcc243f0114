/* Pre-tokenizers as JSON, and the published ones by name. */
#include <string.h>

#include "base/memory.h"
#include "text/pretokenizer_data.h"

/* ---- specifications: the members of a sequence, as its JSON has them ---- */

enum spec_kind { SPEC_SPLIT, SPEC_DIGITS, SPEC_BYTE_LEVEL };

struct spec {
    enum spec_kind kind;
    const char *pattern; /* SPLIT: borrowed */
    size_t pattern_size;
    bool is_literal;
    enum split_behavior behavior;
    bool invert;
    bool individual_digits;
    bool add_prefix_space, trim_offsets, use_regex; /* BYTE_LEVEL */
};

struct spec_list {
    struct spec members[PRETOKENIZER_STEPS];
    int count;
};

static const char *const behaviors[] = {
    [SPLIT_ISOLATED] = "Isolated",
    [SPLIT_REMOVED] = "Removed",
    [SPLIT_MERGED_WITH_PREVIOUS] = "MergedWithPrevious",
    [SPLIT_MERGED_WITH_NEXT] = "MergedWithNext",
    [SPLIT_CONTIGUOUS] = "Contiguous",
};
enum { BEHAVIORS = sizeof behaviors / sizeof behaviors[0] };

static bool is_same_pattern(const struct spec *a, const struct spec *b) {
    return a->pattern_size == b->pattern_size && a->is_literal == b->is_literal &&
           (a->pattern_size == 0 || memcmp(a->pattern, b->pattern, a->pattern_size) == 0);
}

/* trim_offsets is about offsets only, which decide no token. */
static bool is_same_spec(const struct spec *a, const struct spec *b) {
    return a->kind == b->kind && is_same_pattern(a, b) && a->behavior == b->behavior &&
           a->invert == b->invert && a->individual_digits == b->individual_digits &&
           a->add_prefix_space == b->add_prefix_space && a->use_regex == b->use_regex;
}

static bool is_same_list(const struct spec_list *a, const struct spec_list *b) {
    bool is_same = a->count == b->count;
    for (int i = 0; is_same && i < a->count; i++)
        is_same = is_same_spec(&a->members[i], &b->members[i]);
    return is_same;
}

/* ---- the published ones ---- */

struct family {
    const char *name;
    enum known_pattern_id patterns[8]; /* isolated splits; PATTERN_COUNT ends them */
    bool has_digits;                   /* then single digits */
    bool use_regex;                    /* of ByteLevel, which comes last */
};
static const struct family families[] = {
    {"deepseek-v3",
     {PATTERN_3_NUMBERS, PATTERN_HAN_OR_KANA, PATTERN_V3, PATTERN_COUNT},
     false,
     false},
    {"deepseek-llm",
     {PATTERN_NEWLINE, PATTERN_SPACED_CASED, PATTERN_SPACED_V2_SIGNS, PATTERN_SPACE_TO_LINE_END,
      PATTERN_EAST_ASIAN, PATTERN_COUNT},
     true,
     false},
    {"deepseek-coder",
     {PATTERN_NEWLINE, PATTERN_SPACED_LETTERS, PATTERN_SPACED_PUNCTUATION, PATTERN_EAST_ASIAN,
      PATTERN_NUMBER, PATTERN_COUNT},
     false,
     false},
    {"qwen2", {PATTERN_QWEN2, PATTERN_COUNT}, false, false},
    {"llama-bpe", {PATTERN_LLAMA3, PATTERN_COUNT}, false, false},
    {"gpt-2", {PATTERN_COUNT}, false, true},
    {"smollm", {PATTERN_COUNT}, true, true},
};
enum { FAMILIES = sizeof families / sizeof families[0] };

const char *pretokenizer_name(int i) { return i >= 0 && i < FAMILIES ? families[i].name : NULL; }

static void family_specs(const struct family *f, struct spec_list *list) {
    *list = (struct spec_list){0};
    for (int i = 0; f->patterns[i] != PATTERN_COUNT; i++) {
        const char *pattern = known_patterns[f->patterns[i]].regex;
        list->members[list->count++] =
            (struct spec){.kind = SPEC_SPLIT, .pattern = pattern, .pattern_size = strlen(pattern)};
    }
    if (f->has_digits)
        list->members[list->count++] =
            (struct spec){.kind = SPEC_DIGITS, .individual_digits = true};
    list->members[list->count++] =
        (struct spec){.kind = SPEC_BYTE_LEVEL, .trim_offsets = true, .use_regex = f->use_regex};
}

static const char *name_of(const struct spec_list *list) {
    struct spec_list known;
    for (int i = 0; i < FAMILIES; i++) {
        family_specs(&families[i], &known);
        if (is_same_list(list, &known)) return families[i].name;
    }
    return NULL;
}

/* ---- writing ---- */

static const char *flag(bool value) { return value ? "true" : "false"; }

static void write_spec(const struct spec *s, struct text *out) {
    switch (s->kind) {
    case SPEC_SPLIT:
        text_printf(out, "{\"type\": \"Split\", \"pattern\": {\"%s\": ",
                    s->is_literal ? "String" : "Regex");
        json_write_string(out, s->pattern, s->pattern_size);
        text_printf(out, "}, \"behavior\": \"%s\", \"invert\": %s}", behaviors[s->behavior],
                    flag(s->invert));
        break;
    case SPEC_DIGITS:
        text_printf(out, "{\"type\": \"Digits\", \"individual_digits\": %s}",
                    flag(s->individual_digits));
        break;
    case SPEC_BYTE_LEVEL:
        text_printf(out,
                    "{\"type\": \"ByteLevel\", \"add_prefix_space\": %s, \"trim_offsets\": %s, "
                    "\"use_regex\": %s}",
                    flag(s->add_prefix_space), flag(s->trim_offsets), flag(s->use_regex));
        break;
    }
}

static fathom_status write_list(const struct spec_list *list, char **json, struct error *err) {
    struct text out = {0};
    if (list->count > 1) text_append_string(&out, "{\"type\": \"Sequence\", \"pretokenizers\": [");
    for (int i = 0; i < list->count; i++) {
        if (i > 0) text_append_string(&out, ", ");
        write_spec(&list->members[i], &out);
    }
    if (list->count > 1) text_append_string(&out, "]}");
    fathom_status status = text_check(&out, err);
    if (status == FATHOM_OK) status = string_copy(json, text_data(&out), err);
    text_free(&out);
    return status;
}

/* ---- reading ---- */

static fathom_status read_split(const json_node *node, struct spec *s, const char *what,
                                struct error *err) {
    const json_node *pattern = json_member(node, "pattern");
    const json_node *regex = json_member(pattern, "Regex");
    const json_node *literal = json_member(pattern, "String");
    const char *behavior = "";
    s->kind = SPEC_SPLIT;
    s->is_literal = !json_is_string(regex);
    if (s->is_literal && !json_is_string(literal))
        RAISE(FATHOM_BAD_INPUT, "%s: a Split of the pre-tokenizer has no pattern", what);
    s->pattern = json_string(s->is_literal ? literal : regex, &s->pattern_size);
    TRY(json_need_string(node, "behavior", &behavior, what, err));
    TRY(json_get_bool(node, "invert", &s->invert, what, err));
    for (int i = 0; i < BEHAVIORS; i++)
        if (strcmp(behavior, behaviors[i]) == 0) {
            s->behavior = (enum split_behavior)i;
            return FATHOM_OK;
        }
    RAISE(FATHOM_UNSUPPORTED, "%s: a Split's behavior \"%s\" is not known", what, behavior);
}

static fathom_status read_member(const json_node *node, struct spec *s, const char *what,
                                 struct error *err) {
    const char *type = json_string(json_member(node, "type"), NULL);
    *s = (struct spec){0};
    if (strcmp(type, "Split") == 0) return read_split(node, s, what, err);
    if (strcmp(type, "Digits") == 0) {
        s->kind = SPEC_DIGITS;
        return json_get_bool(node, "individual_digits", &s->individual_digits, what, err);
    }
    if (strcmp(type, "ByteLevel") == 0) {
        s->kind = SPEC_BYTE_LEVEL;
        s->add_prefix_space = s->trim_offsets = s->use_regex = true;
        TRY(json_get_bool(node, "add_prefix_space", &s->add_prefix_space, what, err));
        TRY(json_get_bool(node, "trim_offsets", &s->trim_offsets, what, err));
        return json_get_bool(node, "use_regex", &s->use_regex, what, err);
    }
    RAISE(FATHOM_UNSUPPORTED,
          "%s: a pre-tokenizer of type \"%s\" is not known here; Split, Digits, ByteLevel and "
          "sequences of them are",
          what, *type ? type : "none");
}

enum { NESTED_MOST = 8 };

/* Appends the members; a sequence within a sequence counts as its members. */
static fathom_status read_list(const json_node *node, struct spec_list *list, int depth,
                               const char *what, struct error *err) {
    if (strcmp(json_string(json_member(node, "type"), NULL), "Sequence") == 0) {
        const json_node *members = json_member(node, "pretokenizers");
        if (depth == NESTED_MOST)
            RAISE(FATHOM_UNSUPPORTED, "%s: pre-tokenizers nested more than %d deep", what, depth);
        for (size_t i = 0; i < json_count(members); i++)
            TRY(read_list(json_element(members, i), list, depth + 1, what, err));
        return FATHOM_OK;
    }
    /* ByteLevel may become two steps */
    if (list->count == PRETOKENIZER_STEPS - 1)
        RAISE(FATHOM_UNSUPPORTED, "%s: a pre-tokenizer of more than %d steps", what, list->count);
    return read_member(node, &list->members[list->count++], what, err);
}

/* What comes after ByteLevel would see its characters for bytes, not the text. */
static fathom_status check_list(const struct spec_list *list, const char *what, struct error *err) {
    for (int i = 0; i < list->count; i++) {
        bool is_last = i + 1 == list->count;
        if ((list->members[i].kind == SPEC_BYTE_LEVEL) != is_last)
            RAISE(FATHOM_UNSUPPORTED,
                  is_last ? "%s: its pre-tokenizer does not end in ByteLevel; only byte-level "
                            "tokenizers are known here"
                          : "%s: its pre-tokenizer has steps after ByteLevel",
                  what);
    }
    if (list->count == 0)
        RAISE(FATHOM_UNSUPPORTED, "%s: no pre-tokenizer; only byte-level tokenizers are known here",
              what);
    return FATHOM_OK;
}

/* ---- steps ---- */

static fathom_status add_split(struct pretokenizer *p, const struct spec *s, const char *what,
                               struct error *err) {
    struct split_step *step = &p->steps[p->count++];
    *step = (struct split_step){.kind = STEP_SPLIT, .behavior = s->behavior, .invert = s->invert};
    if (s->is_literal) {
        TRY(MEM_NEW(&step->literal, s->pattern_size + 1, "a pattern", err));
        memcpy(step->literal, s->pattern, s->pattern_size);
        step->literal_size = s->pattern_size;
        return FATHOM_OK;
    }
    step->known = known_pattern_find(s->pattern, s->pattern_size);
    if (step->known) return FATHOM_OK;
    p->has_regex = true;
    return regex_new(&step->regex, s->pattern, s->pattern_size, what, err);
}

static void add_known(struct pretokenizer *p, enum known_pattern_id id) {
    p->steps[p->count++] = (struct split_step){.known = &known_patterns[id]};
}

static fathom_status add_spec(struct pretokenizer *p, const struct spec *s, const char *what,
                              struct error *err) {
    switch (s->kind) {
    case SPEC_SPLIT: return add_split(p, s, what, err);
    case SPEC_DIGITS: add_known(p, s->individual_digits ? PATTERN_NUMBER : PATTERN_NUMBERS); break;
    case SPEC_BYTE_LEVEL:
        if (s->add_prefix_space) p->steps[p->count++] = (struct split_step){.kind = STEP_PREFIX};
        if (s->use_regex) add_known(p, PATTERN_GPT2);
        break;
    }
    return FATHOM_OK;
}

static bool is_isolated(const struct split_step *s, enum known_pattern_id id) {
    return s->kind == STEP_SPLIT && s->known == &known_patterns[id] &&
           s->behavior == SPLIT_ISOLATED && !s->invert;
}

/* V3's three splits become one. */
static void join_v3(struct pretokenizer *p) {
    bool is_v3 = p->count == 3 && is_isolated(&p->steps[0], PATTERN_3_NUMBERS) &&
                 is_isolated(&p->steps[1], PATTERN_HAN_OR_KANA) &&
                 is_isolated(&p->steps[2], PATTERN_V3);
    if (!is_v3) return;
    p->steps[0] = (struct split_step){.kind = STEP_SPLIT_V3};
    p->count = 1;
}

/* Until a step parts the text at line ends, every step must leave them alone. */
static bool can_cut(const struct pretokenizer *p) {
    for (int i = 0; i < p->count; i++) {
        const struct split_step *s = &p->steps[i];
        if (s->kind == STEP_SPLIT_V3) return true;
        if (s->kind != STEP_SPLIT || !s->known || s->behavior != SPLIT_ISOLATED || s->invert)
            return false;
        if (s->known->at_line_end == LINE_END_PARTED) return true;
    }
    return false;
}

static fathom_status make(struct pretokenizer **out, const struct spec_list *list, const char *what,
                          struct error *err) {
    struct pretokenizer *p = NULL;
    fathom_status status = FATHOM_OK;
    *out = NULL;
    TRY(MEM_NEW(&p, 1, "a pre-tokenizer", err));
    for (int i = 0; i < list->count && status == FATHOM_OK; i++)
        status = add_spec(p, &list->members[i], what, err);
    if (status == FATHOM_OK) status = write_list(list, &p->json, err);
    if (status != FATHOM_OK) {
        pretokenizer_free(p);
        return status;
    }
    if (p->count == 0) p->count = 1; /* ByteLevel alone: a split by nothing, all is one piece */
    join_v3(p);
    p->can_cut = can_cut(p);
    p->name = name_of(list);
    *out = p;
    return FATHOM_OK;
}

fathom_status pretokenizer_parse(struct pretokenizer **out, const json_node *object,
                                 const char *what, struct error *err) {
    struct spec_list list = {0};
    *out = NULL;
    if (!json_is_null(object)) TRY(read_list(object, &list, 0, what, err));
    TRY(check_list(&list, what, err));
    return make(out, &list, what, err);
}

fathom_status pretokenizer_named(struct pretokenizer **out, const char *name, struct error *err) {
    struct spec_list list;
    struct text names = {0};
    *out = NULL;
    for (int i = 0; i < FAMILIES; i++) {
        if (strcmp(name, families[i].name) == 0) {
            text_free(&names);
            family_specs(&families[i], &list);
            return make(out, &list, name, err);
        }
        text_printf(&names, "%s%s", i ? ", " : "", families[i].name);
    }
    fathom_status status = error_set(err, FATHOM_UNSUPPORTED,
                                     "the pre-tokenizer \"%s\" is not known here; these are: %s",
                                     name, text_data(&names));
    text_free(&names);
    return status;
}

void pretokenizer_free(struct pretokenizer *p) {
    if (!p) return;
    for (int i = 0; i < p->count; i++) split_step_free(&p->steps[i]);
    mem_free(p->json);
    mem_free(p);
}

const char *pretokenizer_json(const struct pretokenizer *p) { return p->json; }
const char *pretokenizer_identity(const struct pretokenizer *p) {
    return p->name ? p->name : p->json;
}
