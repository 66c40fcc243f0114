/* Parsing of arguments, recipes and assignments by option table. */
#include "base/options.h"

#include <ctype.h>
#include <ini.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"

/* RECIPE_MAX_LINE: what inih reads at once, less its newline and NUL. */
enum { RECIPE_MAX_BYTES = 1 << 20, RECIPE_MAX_LINE = 198, NAME_MAX_LENGTH = 64 };

/* ---- fields ---- */

static void *field(const struct option *option, void *values) {
    return (char *)values + option->offset;
}

static const void *field_const(const struct option *option, const void *values) {
    return (const char *)values + option->offset;
}

static size_t index_of(const struct option_table *table, const struct option *option) {
    return (size_t)(option - table->options);
}

static void mark_given(const struct option_table *table, struct option_given *given,
                       const struct option *option) {
    size_t i = index_of(table, option);
    if (given) given->bits[i / 64] |= (uint64_t)1 << (i % 64);
}

static bool is_given(const struct option_table *table, const struct option_given *given,
                     const struct option *option) {
    size_t i = index_of(table, option);
    return given && (given->bits[i / 64] >> (i % 64) & 1);
}

/* Underscores stand for dashes, so that keys can be written as in other tools' recipes. */
static bool names_equal(const char *a, const char *b) {
    for (; *a && *b; a++, b++) {
        char x = *a == '_' ? '-' : *a, y = *b == '_' ? '-' : *b;
        if (x != y) return false;
    }
    return *a == *b;
}

static const struct option *find(const struct option_table *table, const char *name) {
    for (size_t i = 0; i < table->count; i++)
        if (names_equal(table->options[i].name, name)) return &table->options[i];
    return NULL;
}

bool option_was_given(const struct option_table *table, const struct option_given *given,
                      const char *name) {
    const struct option *option = find(table, name);
    return option && is_given(table, given, option);
}

/* ---- suggestions ---- */

/* Edit distance of short names; longer ones count as far. */
static size_t edit_distance(const char *a, const char *b) {
    size_t n = strlen(a), m = strlen(b);
    size_t row[NAME_MAX_LENGTH + 1];
    if (n > NAME_MAX_LENGTH || m > NAME_MAX_LENGTH) return SIZE_MAX;
    for (size_t j = 0; j <= m; j++) row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best) best = row[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[m];
}

static fathom_status unknown_option(const struct option_table *table, const char *name,
                                    struct error *err) {
    const char *nearest = NULL;
    size_t least = strlen(name) / 3 + 2;
    for (size_t i = 0; i < table->count; i++) {
        size_t distance = edit_distance(name, table->options[i].name);
        if (distance >= least) continue;
        least = distance;
        nearest = table->options[i].name;
    }
    if (nearest)
        RAISE(FATHOM_USAGE, "%s has no option --%s; did you mean --%s?", table->command, name,
              nearest);
    RAISE(FATHOM_USAGE, "%s has no option --%s; `fathom %s --help` lists them", table->command,
          name, table->command);
}

/* ---- values ---- */

static fathom_status bad_value(const struct option *option, const char *text, const char *wanted,
                               struct error *err) {
    RAISE(FATHOM_USAGE, "--%s is \"%s\", but must be %s", option->name, text, wanted);
}

static bool parse_bool(const char *text, bool *out) {
    static const char *const words[] = {"no", "yes", "false", "true", "0", "1", "off", "on"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(text, words[i]) != 0) continue;
        *out = i % 2 == 1;
        return true;
    }
    return false;
}

/* "12", "3.5M": a whole number after its suffix, powers of 1000. */
static bool parse_int(const char *text, int64_t *out) {
    static const char units[] = "KMGT";
    size_t size = strlen(text);
    const char *unit = size > 1 ? strchr(units, text[size - 1]) : NULL;
    if (!unit) return string_to_i64(text, out);
    char digits[64];
    double value = 0;
    if (size >= sizeof digits) return false;
    snprintf(digits, sizeof digits, "%.*s", (int)(size - 1), text);
    if (!string_to_f64(digits, &value)) return false;
    value *= pow(1000, (double)(unit - units + 1));
    /* 2.3 * 1e6 is not whole in doubles: the product is off by a rounding or two. */
    double nearest = round(value);
    if (fabs(value) > 9e15 || fabs(value - nearest) > 0x1p-51 * fabs(value)) return false;
    *out = (int64_t)nearest;
    return true;
}

static fathom_status check_range(const struct option *option, double value, const char *text,
                                 struct error *err) {
    if (option->low == 0 && option->high == 0) return FATHOM_OK;
    if (value >= option->low && value <= option->high) return FATHOM_OK;
    RAISE(FATHOM_USAGE, "--%s is %s, but must lie in [%.15g, %.15g]", option->name, text,
          option->low, option->high);
}

/* Index of text among "a|b|c", or -1. */
static int choice_index(const char *choices, const char *text) {
    size_t size = strlen(text);
    int index = 0;
    for (const char *at = choices; at; index++) {
        const char *bar = strchr(at, '|');
        size_t length = bar ? (size_t)(bar - at) : strlen(at);
        if (length == size && memcmp(at, text, size) == 0) return index;
        at = bar ? bar + 1 : NULL;
    }
    return -1;
}

static fathom_status set_string(const struct option *option, void *values, const char *text,
                                struct error *err) {
    char **out = field(option, values);
    char *copy = NULL;
    TRY(string_copy(&copy, text, err));
    mem_free(*out);
    *out = copy;
    return FATHOM_OK;
}

static fathom_status set_choice(const struct option *option, void *values, const char *text,
                                struct error *err) {
    int index = choice_index(option->choices, text);
    if (index < 0)
        RAISE(FATHOM_USAGE, "--%s is \"%s\", but must be one of %s", option->name, text,
              option->choices);
    *(int *)field(option, values) = index;
    return FATHOM_OK;
}

static fathom_status set_value(const struct option *option, void *values, const char *text,
                               struct error *err) {
    int64_t whole = 0;
    uint64_t bytes = 0;
    double real = 0;
    switch (option->type) {
    case OPTION_FLAG:
        if (parse_bool(text, field(option, values))) return FATHOM_OK;
        return bad_value(option, text, "yes or no", err);
    case OPTION_INT:
        if (!parse_int(text, &whole)) return bad_value(option, text, "a whole number", err);
        TRY(check_range(option, (double)whole, text, err));
        *(int64_t *)field(option, values) = whole;
        return FATHOM_OK;
    case OPTION_FLOAT:
        if (!string_to_f64(text, &real)) return bad_value(option, text, "a number", err);
        TRY(check_range(option, real, text, err));
        *(double *)field(option, values) = real;
        return FATHOM_OK;
    case OPTION_STRING: return set_string(option, values, text, err);
    case OPTION_CHOICE: return set_choice(option, values, text, err);
    case OPTION_BYTES:
        if (string_to_bytes(text, &bytes) && bytes <= INT64_MAX) {
            *(uint64_t *)field(option, values) = bytes;
            return FATHOM_OK;
        }
        return bad_value(option, text, "a size in bytes such as 512M or 4G", err);
    }
    return FATHOM_OK;
}

fathom_status options_default(const struct option_table *table, void *values, struct error *err) {
    for (size_t i = 0; i < table->count; i++) {
        const struct option *option = &table->options[i];
        if (option->default_text) TRY(set_value(option, values, option->default_text, err));
    }
    return FATHOM_OK;
}

void options_free(const struct option_table *table, void *values) {
    for (size_t i = 0; i < table->count; i++) {
        if (table->options[i].type != OPTION_STRING) continue;
        char **string = field(&table->options[i], values);
        mem_free(*string);
        *string = NULL;
    }
}

fathom_status options_set(const struct option_table *table, void *values,
                          struct option_given *given, const char *key, const char *value,
                          struct error *err) {
    const struct option *option = find(table, key);
    if (!option) return unknown_option(table, key, err);
    TRY(set_value(option, values, value, err));
    mark_given(table, given, option);
    return FATHOM_OK;
}

fathom_status options_check_required(const struct option_table *table, const void *values,
                                     const struct option_given *given, struct error *err) {
    for (size_t i = 0; i < table->count; i++) {
        const struct option *option = &table->options[i];
        bool has_text =
            option->type == OPTION_STRING && *(char *const *)field_const(option, values) != NULL;
        if (!option->is_required || has_text || is_given(table, given, option)) continue;
        RAISE(FATHOM_USAGE, "%s needs --%s %s: %s", table->command, option->name,
              option->value_name ? option->value_name : "", option->help);
    }
    return FATHOM_OK;
}

/* ---- arguments ---- */

struct parse {
    const struct option_table *table;
    void *values;
    struct option_given *given;
    int argc;
    char **argv;
    int at;
};

/* "--name", "--name value", "--name=value", "--no-name" at argv[at]; moves behind it. */
static fathom_status parse_option(struct parse *p, struct error *err) {
    const char *word = p->argv[p->at++] + 2;
    const char *equals = strchr(word, '=');
    char name[NAME_MAX_LENGTH];
    snprintf(name, sizeof name, "%.*s", equals ? (int)(equals - word) : (int)strlen(word), word);
    const struct option *option = find(p->table, name);
    bool is_negated = false;
    if (!option && string_starts_with(name, "no-")) {
        option = find(p->table, name + 3);
        is_negated = option && option->type == OPTION_FLAG;
        if (!is_negated) option = NULL;
    }
    if (!option) return unknown_option(p->table, name, err);

    const char *value = equals ? equals + 1 : NULL;
    if (option->type == OPTION_FLAG && !value) value = is_negated ? "no" : "yes";
    if (is_negated && equals) RAISE(FATHOM_USAGE, "--%s takes no value", name);
    bool has_next = p->at < p->argc && strncmp(p->argv[p->at], "--", 2) != 0;
    if (!value && has_next) value = p->argv[p->at++];
    if (!value)
        RAISE(FATHOM_USAGE, "--%s needs a value: %s", option->name,
              option->value_name ? option->value_name : option->help);
    TRY(set_value(option, p->values, value, err));
    mark_given(p->table, p->given, option);
    return FATHOM_OK;
}

static bool asks_for_help(const char *word) {
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

fathom_status options_parse(const struct option_table *table, void *values,
                            struct option_given *given, int argc, char **argv, int *positionals,
                            bool *help, struct error *err) {
    struct parse p = {table, values, given, argc, argv, 0};
    bool only_positionals = false;
    *positionals = 0;
    *help = false;
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (asks_for_help(argv[i])) *help = true;
    if (*help) return FATHOM_OK;

    while (p.at < argc) {
        char *word = argv[p.at];
        bool is_option = !only_positionals && word[0] == '-' && word[1] == '-';
        if (is_option && word[2] != 0) {
            TRY(parse_option(&p, err));
        } else if (is_option) {
            only_positionals = true;
            p.at++;
        } else if (!only_positionals && word[0] == '-' && word[1] != 0) {
            RAISE(FATHOM_USAGE, "%s has no option %s; options begin with two dashes",
                  table->command, word);
        } else if (!table->positionals) {
            RAISE(FATHOM_USAGE, "%s takes no argument \"%s\"; options begin with two dashes",
                  table->command, word);
        } else {
            argv[(*positionals)++] = word;
            p.at++;
        }
    }
    return FATHOM_OK;
}

/* ---- recipes ---- */

struct recipe {
    const struct option_table *table;
    void *values;
    struct option_given *given;
    struct option_given before; /* given before the recipe: these keep their value */
    struct option_given here;   /* given in this recipe: once is enough */
    struct error *err;
    fathom_status status;
};

static int on_recipe_line(void *user, const char *section, const char *key, const char *value) {
    struct recipe *r = user;
    (void)section;
    const struct option *option = find(r->table, key);
    if (!option)
        r->status = unknown_option(r->table, key, r->err);
    else if (is_given(r->table, &r->here, option))
        r->status = error_set(r->err, FATHOM_USAGE, "%s is given a second time", option->name);
    else if (!is_given(r->table, &r->before, option))
        r->status = set_value(option, r->values, value, r->err);
    if (r->status != FATHOM_OK) return 0;
    mark_given(r->table, &r->here, option);
    mark_given(r->table, r->given, option);
    return 1;
}

/* One line, without its newline. inih sees lines one by one and unindented: it would take an
 * indented line for a continuation of the value above, and cut a long one in two. */
static fathom_status read_line(struct recipe *r, const char *begin, size_t size) {
    char line[RECIPE_MAX_LINE + 1];
    while (size > 0 && isspace((unsigned char)*begin)) begin++, size--;
    if (size >= sizeof line)
        return error_set(r->err, FATHOM_BAD_INPUT, "a line of %zu bytes; %d is the most", size,
                         RECIPE_MAX_LINE);
    memcpy(line, begin, size);
    line[size] = 0;
    bool is_read = strlen(line) == size && ini_parse_string(line, on_recipe_line, r) == 0;
    if (r->status != FATHOM_OK || is_read) return r->status;
    return error_set(r->err, FATHOM_BAD_INPUT,
                     "neither \"key = value\", a [section] nor a comment");
}

fathom_status options_read_recipe_text(const struct option_table *table, void *values,
                                       struct option_given *given, const char *text, size_t size,
                                       const char *name, struct error *err) {
    struct recipe recipe = {.table = table, .values = values, .given = given, .err = err};
    if (given) recipe.before = *given;
    for (int line = 1; size > 0; line++) {
        const char *newline = memchr(text, '\n', size);
        size_t length = newline ? (size_t)(newline - text) : size;
        if (read_line(&recipe, text, length) != FATHOM_OK) {
            error_prefix(err, "%s:%d", name, line);
            return recipe.status != FATHOM_OK ? recipe.status : FATHOM_BAD_INPUT;
        }
        length += newline != NULL;
        text += length;
        size -= length;
    }
    return FATHOM_OK;
}

fathom_status options_read_recipe(const struct option_table *table, void *values,
                                  struct option_given *given, const char *path, struct error *err) {
    char *text = NULL;
    size_t size = 0;
    TRY(file_read(path, RECIPE_MAX_BYTES, &text, &size, err));
    fathom_status status = options_read_recipe_text(table, values, given, text, size, path, err);
    mem_free(text);
    return status;
}
