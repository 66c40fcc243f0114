#include "data/grammar.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"

enum { MAX_DEPTH = 24, MAX_WORD = 64 };

/* A piece of a rule string. */
struct span {
    const char *at;
    size_t size;
};

struct rule {
    struct span name;
    size_t first, count; /* alternatives, while being made: counts only */
};

struct grammar {
    struct rule *rules; /* sorted by name */
    size_t rule_count;
    struct span *alternatives;
    size_t alternative_count;
};

static int compare_spans(struct span a, struct span b) {
    size_t shared = a.size < b.size ? a.size : b.size;
    int order = memcmp(a.at, b.at, shared);
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

static const struct rule *find_rule(const struct grammar *grammar, struct span name) {
    size_t low = 0, high = grammar->rule_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = compare_spans(name, grammar->rules[middle].name);
        if (order == 0) return &grammar->rules[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

bool grammar_has_rule(const struct grammar *grammar, const char *name) {
    return find_rule(grammar, (struct span){name, strlen(name)}) != NULL;
}

/* ---- scanning ---- */

/* The first of `stops` outside brackets in `text`, or its end. */
static size_t find_top(struct span text, const char *stops) {
    int depth = 0;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.at[i];
        if (depth == 0 && strchr(stops, c)) return i;
        if (c == '[' || c == '(') depth++;
        if (c == ']' || c == ')') depth--;
    }
    return text.size;
}

static struct span span_from(struct span text, size_t from) {
    return (struct span){text.at + from, text.size - from};
}

/* Takes the text before the next top-level '|' off `rest`; false after the last one. */
static bool next_alternative(struct span *rest, bool *is_done, struct span *alternative) {
    if (*is_done) return false;
    size_t end = find_top(*rest, "|");
    *alternative = (struct span){rest->at, end};
    *is_done = end == rest->size;
    if (!*is_done) *rest = span_from(*rest, end + 1);
    return true;
}

static size_t count_alternatives(struct span text) {
    struct span alternative;
    bool is_done = false;
    size_t count = 0;
    while (next_alternative(&text, &is_done, &alternative)) count++;
    return count;
}

/* Alternative number `index` of text. */
static struct span pick_alternative(struct span text, size_t index) {
    struct span alternative = text;
    bool is_done = false;
    for (size_t i = 0; i <= index; i++) next_alternative(&text, &is_done, &alternative);
    return alternative;
}

/* A bracket's inside, taken apart. */
struct reference {
    bool is_silent, is_capital;
    struct span variable; /* size 0: none */
    struct span rule;     /* size 0: `text` counts */
    struct span text;
};

static struct reference parse_reference(struct span inside) {
    struct reference r = {0};
    if (inside.size > 0 && inside.at[0] == '!') {
        r.is_silent = true;
        inside = span_from(inside, 1);
    }
    if (inside.size > 0 && inside.at[0] == '^') {
        r.is_capital = true;
        inside = span_from(inside, 1);
    }
    size_t stop = find_top(inside, "=:");
    if (stop == inside.size) {
        r.rule = inside;
        return r;
    }
    r.variable = (struct span){inside.at, stop};
    if (inside.at[stop] == '=')
        r.rule = span_from(inside, stop + 1);
    else
        r.text = span_from(inside, stop + 1);
    return r;
}

/* The index of the bracket that closes the one at text[0], or text.size. */
static size_t closing(struct span text) {
    int depth = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.at[i] == '[' || text.at[i] == '(') depth++;
        if ((text.at[i] == ']' || text.at[i] == ')') && --depth == 0) return i;
    }
    return text.size;
}

/* ---- making ---- */

/* Both parts are empty when it fails. */
static fathom_status split_rule(const char *string, struct span *name, struct span *body,
                                struct error *err) {
    const char *space = strchr(string, ' ');
    *name = *body = (struct span){string, 0};
    if (string[0] != '@' || !space || strchr(string + 1, '@'))
        RAISE(FATHOM_BAD_INPUT, "grammar: not \"@name alternatives\": \"%.60s\"", string);
    *name = (struct span){string + 1, (size_t)(space - string - 1)};
    *body = (struct span){space + 1, strlen(space + 1)};
    return FATHOM_OK;
}

static int order_rules(const void *a, const void *b) {
    return compare_spans(((const struct rule *)a)->name, ((const struct rule *)b)->name);
}

/* One entry per name, with the number of its alternatives. */
static fathom_status collect_rules(struct grammar *grammar, const struct grammar_source *sources,
                                   size_t count, struct error *err) {
    size_t used = 0, kept = 0;
    for (size_t s = 0; s < count; s++) used += sources[s].count;
    TRY(MEM_NEW(&grammar->rules, used, "grammar rules", err));
    used = 0;
    for (size_t s = 0; s < count; s++) {
        for (size_t i = 0; i < sources[s].count; i++) {
            struct span name, body;
            TRY(split_rule(sources[s].rules[i], &name, &body, err));
            grammar->rules[used++] = (struct rule){.name = name, .count = count_alternatives(body)};
        }
    }
    qsort(grammar->rules, used, sizeof *grammar->rules, order_rules);
    for (size_t i = 0; i < used; i++) {
        struct rule *last = kept > 0 ? &grammar->rules[kept - 1] : NULL;
        if (last && order_rules(last, &grammar->rules[i]) == 0)
            last->count += grammar->rules[i].count;
        else
            grammar->rules[kept++] = grammar->rules[i];
    }
    grammar->rule_count = kept;
    return FATHOM_OK;
}

static fathom_status place_alternatives(struct grammar *grammar,
                                        const struct grammar_source *sources, size_t count,
                                        struct error *err) {
    for (size_t i = 0; i < grammar->rule_count; i++) {
        grammar->rules[i].first = grammar->alternative_count;
        grammar->alternative_count += grammar->rules[i].count;
        grammar->rules[i].count = 0;
    }
    TRY(MEM_NEW(&grammar->alternatives, grammar->alternative_count, "grammar rules", err));
    for (size_t s = 0; s < count; s++) {
        for (size_t i = 0; i < sources[s].count; i++) {
            struct span name, body, alternative;
            TRY(split_rule(sources[s].rules[i], &name, &body, err));
            /* Found: collect_rules has seen it. */
            struct rule *rule = &grammar->rules[find_rule(grammar, name) - grammar->rules];
            bool is_done = false;
            while (next_alternative(&body, &is_done, &alternative))
                grammar->alternatives[rule->first + rule->count++] = alternative;
        }
    }
    return FATHOM_OK;
}

/* Brackets match and rules exist, also inside. `depth` bounds the nesting of brackets only; rules
 * that use each other are bounded by grammar_expand. */
static fathom_status check_text(const struct grammar *grammar, struct span text, int depth,
                                struct error *err) {
    for (size_t i = 0; i < text.size; i++) {
        struct span rest = span_from(text, i);
        char c = text.at[i];
        if (c == ']' || c == ')' || depth > MAX_DEPTH)
            RAISE(FATHOM_BAD_INPUT, "grammar: brackets do not match at \"%.60s\"", rest.at);
        if (c != '[' && c != '(') continue;
        size_t end = closing(rest);
        if (end == rest.size)
            RAISE(FATHOM_BAD_INPUT, "grammar: brackets do not match at \"%.60s\"", rest.at);
        struct span inside = {rest.at + 1, end - 1};
        struct reference r = {.text = inside};
        if (c == '[') r = parse_reference(inside);
        if (r.rule.size > 0 && !find_rule(grammar, r.rule))
            RAISE(FATHOM_BAD_INPUT, "grammar: there is no rule \"%.*s\" as in \"%.60s\"",
                  (int)r.rule.size, r.rule.at, rest.at);
        TRY(check_text(grammar, r.text, depth + 1, err));
        i += end;
    }
    return FATHOM_OK;
}

fathom_status grammar_new(struct grammar **out, const struct grammar_source *sources, size_t count,
                          struct error *err) {
    struct grammar *grammar = NULL;
    *out = NULL;
    TRY(MEM_NEW(&grammar, 1, "a grammar", err));
    fathom_status status = collect_rules(grammar, sources, count, err);
    if (status == FATHOM_OK) status = place_alternatives(grammar, sources, count, err);
    for (size_t i = 0; i < grammar->alternative_count && status == FATHOM_OK; i++)
        status = check_text(grammar, grammar->alternatives[i], 0, err);
    if (status != FATHOM_OK)
        grammar_free(grammar);
    else
        *out = grammar;
    return status;
}

void grammar_free(struct grammar *grammar) {
    if (!grammar) return;
    mem_free(grammar->rules);
    mem_free(grammar->alternatives);
    mem_free(grammar);
}

/* ---- memory ---- */

void grammar_memory_clear(struct grammar_memory *memory) {
    memory->count = 0;
    text_clear(&memory->values);
}

void grammar_memory_free(struct grammar_memory *memory) {
    text_free(&memory->values);
    memory->count = 0;
}

static void remember(struct grammar_memory *memory, struct span name, const char *value,
                     size_t size) {
    size_t i = 0;
    while (i < memory->count &&
           compare_spans(
               name, (struct span){memory->variables[i].name, memory->variables[i].name_size}) != 0)
        i++;
    if (i == GRAMMAR_VARIABLES) return;
    if (i == memory->count) memory->count++;
    memory->variables[i].name = name.at;
    memory->variables[i].name_size = name.size;
    memory->variables[i].at = memory->values.size;
    memory->variables[i].size = size;
    text_append(&memory->values, value, size);
    if (memory->values.failed) memory->variables[i].size = 0; /* nothing lies there */
}

void grammar_remember(struct grammar_memory *memory, const char *name, const char *value) {
    remember(memory, (struct span){name, strlen(name)}, value, strlen(value));
}

/* ---- expanding ---- */

struct expansion {
    const struct grammar *grammar;
    struct rng *rng;
    struct grammar_memory *memory;
    struct text *out;
};

static void expand_text(struct expansion *e, struct span text, int depth);

static void capitalize(struct text *out, size_t at) {
    if (at < out->size) out->data[at] = (char)toupper((unsigned char)out->data[at]);
}

static void expand_rule(struct expansion *e, struct span name, int depth) {
    const struct rule *rule = find_rule(e->grammar, name);
    if (!rule || depth > MAX_DEPTH) return;
    size_t pick = rule->count > 1 ? rng_next_below(e->rng, rule->count) : 0;
    expand_text(e, e->grammar->alternatives[rule->first + pick], depth + 1);
}

static void expand_reference(struct expansion *e, struct span inside, int depth) {
    struct reference r = parse_reference(inside);
    size_t start = e->out->size;
    if (r.rule.size > 0)
        expand_rule(e, r.rule, depth);
    else
        expand_text(e, r.text, depth + 1);
    if (r.variable.size > 0 && !e->out->failed)
        remember(e->memory, r.variable, text_data(e->out) + start, e->out->size - start);
    if (r.is_capital) capitalize(e->out, start);
    if (r.is_silent && !e->out->failed && e->out->data) {
        e->out->size = start;
        e->out->data[start] = 0;
    }
}

static void expand_variable(struct expansion *e, struct span name) {
    bool is_capital = name.size > 0 && name.at[0] == '^';
    if (is_capital) name = span_from(name, 1);
    size_t start = e->out->size;
    for (size_t i = 0; i < e->memory->count; i++) {
        struct span known = {e->memory->variables[i].name, e->memory->variables[i].name_size};
        if (compare_spans(name, known) != 0) continue;
        text_append(e->out, text_data(&e->memory->values) + e->memory->variables[i].at,
                    e->memory->variables[i].size);
        if (is_capital) capitalize(e->out, start);
        return;
    }
    text_printf(e->out, "{%.*s}", (int)name.size, name.at);
}

/* Expands the bracket that text begins with; returns how many bytes it takes. */
static size_t expand_bracket(struct expansion *e, struct span text, int depth) {
    if (text.at[0] == '{') {
        const char *end = memchr(text.at, '}', text.size);
        size_t size = end ? (size_t)(end - text.at) : text.size;
        expand_variable(e, (struct span){text.at + 1, size - 1});
        return size + 1;
    }
    size_t end = closing(text);
    struct span inside = {text.at + 1, end - 1};
    if (text.at[0] == '[')
        expand_reference(e, inside, depth);
    else
        expand_text(e, pick_alternative(inside, rng_next_below(e->rng, count_alternatives(inside))),
                    depth + 1);
    return end + 1;
}

static void expand_text(struct expansion *e, struct span text, int depth) {
    while (text.size > 0) {
        size_t plain = 0;
        while (plain < text.size && !strchr("[({", text.at[plain])) plain++;
        text_append(e->out, text.at, plain);
        text = span_from(text, plain);
        if (text.size == 0) break;
        size_t used = expand_bracket(e, text, depth);
        text = span_from(text, used < text.size ? used : text.size);
    }
}

void grammar_expand(const struct grammar *grammar, const char *name, struct rng *rng,
                    struct grammar_memory *memory, struct text *out) {
    struct expansion e = {grammar, rng, memory, out};
    expand_rule(&e, (struct span){name, strlen(name)}, 0);
}

/* ---- a and an ---- */

static bool has_vowel_sound(const char *word) {
    static const char *const consonant[] = {"uni", "use", "usu", "one", "once", "eu"};
    static const char *const vowel[] = {"hour", "hone", "heir"};
    for (size_t i = 0; i < sizeof consonant / sizeof consonant[0]; i++)
        if (strncasecmp(word, consonant[i], strlen(consonant[i])) == 0) return false;
    for (size_t i = 0; i < sizeof vowel / sizeof vowel[0]; i++)
        if (strncasecmp(word, vowel[i], strlen(vowel[i])) == 0) return true;
    return *word && strchr("aeiouAEIOU", *word);
}

void grammar_fix_articles(struct text *text, size_t from) {
    struct text fixed = {0};
    const char *data = text_data(text);
    if (from >= text->size) return;
    for (size_t i = from; i < text->size; i++) {
        text_append_char(&fixed, data[i]);
        bool is_article = (data[i] == 'a' || data[i] == 'A') && data[i + 1] == ' ' &&
                          (i == from || !isalnum((unsigned char)data[i - 1]));
        if (is_article && has_vowel_sound(data + i + 2)) text_append_char(&fixed, 'n');
    }
    text->size = from;
    text_append(text, text_data(&fixed), fixed.size);
    text->failed = text->failed || fixed.failed;
    text_free(&fixed);
}

/* ---- the words in it ---- */

/* Passes over what is no text: {variable}, and in [..] all but the text behind a ':'. */
static size_t skip_names(struct span text) {
    if (text.at[0] == '{') {
        const char *end = memchr(text.at, '}', text.size);
        return end ? (size_t)(end - text.at) + 1 : text.size;
    }
    if (text.at[0] != '[') return 0;
    for (size_t i = 1; i < text.size; i++) {
        if (text.at[i] == ':' || text.at[i] == ']') return i + 1;
    }
    return text.size;
}

/* The letter in lower case, or 0 for any other character. */
static char lower_letter(char c) {
    return isalpha((unsigned char)c) ? (char)tolower((unsigned char)c) : 0;
}

static void visit_words(struct span text, void (*visit)(void *arg, const char *word, size_t size),
                        void *arg) {
    char word[MAX_WORD];
    size_t size = 0;
    for (size_t i = 0; i <= text.size; i++) {
        char letter = i < text.size ? lower_letter(text.at[i]) : 0;
        if (letter && size < MAX_WORD) {
            word[size++] = letter;
            continue;
        }
        if (size > 0) visit(arg, word, size);
        size = 0;
        size_t skipped = i < text.size ? skip_names(span_from(text, i)) : 0;
        if (skipped > 0) i += skipped - 1;
    }
}

void grammar_each_word(const struct grammar *grammar,
                       void (*visit)(void *arg, const char *word, size_t size), void *arg) {
    for (size_t i = 0; i < grammar->alternative_count; i++)
        visit_words(grammar->alternatives[i], visit, arg);
}
