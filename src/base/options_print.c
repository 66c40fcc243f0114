/* What is printed from an option table: help, JSON records and their comparison, man page,
 * completion. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/options.h"

static const void *field(const struct option *option, const void *values) {
    return (const char *)values + option->offset;
}

/* ---- help ---- */

static void put_name(struct text *out, const struct option *option) {
    text_printf(out, "--%s", option->name);
    if (option->type == OPTION_CHOICE)
        text_printf(out, " %s", option->choices);
    else if (option->type != OPTION_FLAG)
        text_printf(out, " %s", option->value_name ? option->value_name : "VALUE");
}

static void put_usage(struct text *out, const struct option_table *table) {
    text_printf(out, "usage: fathom %s [options]%s%s\n", table->command,
                table->positionals ? " " : "", table->positionals ? table->positionals : "");
}

void options_help(const struct option_table *table, struct text *out) {
    enum { COLUMN = 32 };
    put_usage(out, table);
    text_printf(out, "\n%s\n\n", table->summary);
    for (size_t i = 0; i < table->count; i++) {
        const struct option *option = &table->options[i];
        size_t begin = out->size;
        text_append_string(out, "  ");
        put_name(out, option);
        size_t width = out->size - begin;
        if (width + 1 > COLUMN)
            text_printf(out, "\n%*s", COLUMN, "");
        else
            text_printf(out, "%*s", (int)(COLUMN - width), "");
        text_append_string(out, option->help);
        if (option->is_required)
            text_append_string(out, " (required)");
        else if (option->default_text)
            text_printf(out, " (default %s)", option->default_text);
        text_append_char(out, '\n');
    }
    text_printf(out, "  %-*s%s\n", COLUMN - 2, "--help", "this text");
    if (table->notes) text_printf(out, "\n%s\n", table->notes);
}

/* ---- JSON ---- */

/* The index-th of "a|b|c". */
static void put_choice(struct text *out, const char *choices, int index) {
    const char *at = choices;
    for (; index > 0 && at; index--) {
        at = strchr(at, '|');
        at = at ? at + 1 : NULL;
    }
    const char *bar = at ? strchr(at, '|') : NULL;
    size_t length = !at ? 0 : bar ? (size_t)(bar - at) : strlen(at);
    json_write_string(out, at ? at : "", length);
}

static void put_value(struct text *out, const struct option *option, const void *values) {
    const void *at = field(option, values);
    const char *string = NULL;
    switch (option->type) {
    case OPTION_FLAG: text_append_string(out, *(const bool *)at ? "true" : "false"); break;
    case OPTION_INT: text_printf(out, "%lld", (long long)*(const int64_t *)at); break;
    case OPTION_FLOAT: json_write_f64(out, *(const double *)at); break;
    case OPTION_BYTES: text_printf(out, "%lld", (long long)*(const uint64_t *)at); break;
    case OPTION_CHOICE: put_choice(out, option->choices, *(const int *)at); break;
    case OPTION_STRING:
        string = *(char *const *)at;
        if (string)
            json_write_string(out, string, strlen(string));
        else
            text_append_string(out, "null");
        break;
    }
}

void options_to_json(const struct option_table *table, const void *values, bool recorded_only,
                     struct text *out) {
    const char *comma = "";
    text_append_char(out, '{');
    for (size_t i = 0; i < table->count; i++) {
        const struct option *option = &table->options[i];
        if (recorded_only && !option->is_recorded) continue;
        text_printf(out, "%s\"%s\": ", comma, option->name);
        put_value(out, option, values);
        comma = ", ";
    }
    text_append_char(out, '}');
}

/* A recorded value in the spelling of put_value. */
static void put_node(struct text *out, const json_node *node) {
    size_t size = 0;
    const char *string = json_string(node, &size);
    if (json_is_string(node))
        json_write_string(out, string, size);
    else if (json_is_integer(node))
        text_printf(out, "%lld", (long long)json_integer(node));
    else if (json_is_number(node))
        json_write_f64(out, json_real(node));
    else if (json_is_bool(node))
        text_append_string(out, json_bool(node) ? "true" : "false");
    else
        text_append_string(out, "null");
}

/* Numbers are compared as numbers: 1 and 1.0 are one value. */
static bool is_same(const struct option *option, const void *values, const json_node *node,
                    const struct text *was, const struct text *is) {
    if (option->type == OPTION_FLOAT && json_is_number(node))
        return json_real(node) == *(const double *)field(option, values);
    return strcmp(text_data(was), text_data(is)) == 0;
}

/* Bytes of a struct that holds every option of the table. */
static size_t values_size(const struct option_table *table) {
    size_t size = 0;
    for (size_t i = 0; i < table->count; i++)
        if (table->options[i].offset + sizeof(uint64_t) > size)
            size = table->options[i].offset + sizeof(uint64_t);
    return size;
}

/* `defaults` stand in for what the record does not name. */
static fathom_status compare(const struct option_table *table, const void *values,
                             const void *defaults, const json_node *recorded,
                             struct text *differences, struct error *err) {
    struct text was = {0}, is = {0};
    for (size_t i = 0; i < table->count; i++) {
        const struct option *option = &table->options[i];
        if (!option->is_recorded) continue;
        const json_node *node = json_member(recorded, option->name);
        text_clear(&was);
        text_clear(&is);
        if (node)
            put_node(&was, node);
        else
            put_value(&was, option, defaults);
        put_value(&is, option, values);
        if (!is_same(option, values, node, &was, &is))
            text_printf(differences, "%s%s: was %s, is %s", differences->size ? "; " : "",
                        option->name, text_data(&was), text_data(&is));
    }
    fathom_status status = text_check(&was, err);
    if (status == FATHOM_OK) status = text_check(&is, err);
    if (status == FATHOM_OK) status = text_check(differences, err);
    text_free(&was);
    text_free(&is);
    return status;
}

fathom_status options_compare_json(const struct option_table *table, const void *values,
                                   const json_node *recorded, struct text *differences,
                                   struct error *err) {
    void *defaults = NULL;
    TRY(mem_new(&defaults, values_size(table), 1, "the options", err));
    fathom_status status = options_default(table, defaults, err);
    if (status == FATHOM_OK) status = compare(table, values, defaults, recorded, differences, err);
    options_free(table, defaults);
    mem_free(defaults);
    return status;
}

/* ---- man page and completion ---- */

/* roff reads a dash as a hyphen, a backslash as an escape and a leading dot as a request. */
static void put_roff(struct text *out, const char *string) {
    for (const char *at = string; *at; at++) {
        bool starts_line = at == string || at[-1] == '\n';
        if (starts_line && (*at == '.' || *at == '\'')) text_append_string(out, "\\&");
        if (*at == '-' || *at == '\\') text_append_char(out, '\\');
        text_append_char(out, *at);
    }
}

void options_man(const struct option_table *table, struct text *out) {
    struct text line = {0};
    text_printf(out, ".TH \"FATHOM %s\" 1\n.SH NAME\nfathom ", table->command);
    put_roff(out, table->command);
    text_append_string(out, " \\- ");
    put_roff(out, table->summary);
    text_append_string(out, "\n.SH SYNOPSIS\nfathom ");
    put_roff(out, table->command);
    text_printf(out, " [options] %s\n.SH OPTIONS\n", table->positionals ? table->positionals : "");
    for (size_t i = 0; i < table->count; i++) {
        const struct option *option = &table->options[i];
        text_clear(&line);
        put_name(&line, option);
        text_append_string(out, ".TP\n");
        put_roff(out, text_data(&line));
        text_append_char(out, '\n');
        put_roff(out, option->help);
        if (option->default_text) {
            text_append_string(out, " (default ");
            put_roff(out, option->default_text);
            text_append_char(out, ')');
        }
        text_append_string(out, ".\n");
    }
    if (table->notes) {
        text_append_string(out, ".SH NOTES\n.nf\n");
        put_roff(out, table->notes);
        text_append_string(out, "\n.fi\n");
    }
    out->failed |= line.failed;
    text_free(&line);
}

void options_completion(const struct option_table *table, struct text *out) {
    for (size_t i = 0; i < table->count; i++) {
        text_printf(out, "--%s\n", table->options[i].name);
        if (table->options[i].type == OPTION_FLAG)
            text_printf(out, "--no-%s\n", table->options[i].name);
    }
    text_append_string(out, "--help\n");
}
