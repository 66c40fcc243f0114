/* Options from the record of an earlier run. */
#include "base/options.h"

/* A recorded value as options_set reads it. */
static void put_recorded(struct text *out, const json_node *node) {
    text_clear(out);
    if (json_is_string(node))
        text_append_string(out, json_string(node, NULL));
    else if (json_is_bool(node))
        text_append_string(out, json_bool(node) ? "yes" : "no");
    else if (json_is_integer(node))
        text_printf(out, "%lld", (long long)json_integer(node));
    else
        text_printf(out, "%.17g", json_real(node));
}

fathom_status options_recall(const struct option_table *table, void *values,
                             struct option_given *given, const json_node *recorded,
                             const char *what, struct error *err) {
    struct text value = {0}, differences = {0};
    const char *key = NULL;
    json_node *node = NULL;
    void *iterator = NULL;
    fathom_status status = FATHOM_OK;
    while (status == FATHOM_OK && json_next_member(recorded, &iterator, &key, &node)) {
        if (json_is_null(node) || option_was_given(table, given, key)) continue;
        put_recorded(&value, node);
        status = options_set(table, values, given, key, text_data(&value), err);
    }
    if (status == FATHOM_OK)
        status = options_compare_json(table, values, recorded, &differences, err);
    if (status == FATHOM_OK && differences.size > 0)
        status = error_set(err, FATHOM_USAGE, "%s: resuming would change the run: %s", what,
                           text_data(&differences));
    text_free(&value);
    text_free(&differences);
    return status;
}
