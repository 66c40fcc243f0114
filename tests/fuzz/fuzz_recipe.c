/* Recipes: whatever is read can be recorded, and the record equals the values. */
#include <stddef.h>
#include <stdlib.h>

#include "base/options.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct values {
    bool flag;
    int choice;
    int64_t whole;
    double real;
    char *string;
    uint64_t bytes;
};

#define ROW(field, kind)                                                                           \
    .name = #field, .type = kind, .offset = offsetof(struct values, field), .is_recorded = true
static const struct option rows[] = {
    {ROW(flag, OPTION_FLAG)},
    {ROW(choice, OPTION_CHOICE), .choices = "one|two|three"},
    {ROW(whole, OPTION_INT), .low = -5e6, .high = 5e6},
    {ROW(real, OPTION_FLOAT)},
    {ROW(string, OPTION_STRING), .default_text = "text"},
    {ROW(bytes, OPTION_BYTES)},
};
static const struct option_table table = {
    .command = "fuzz", .options = rows, .count = sizeof rows / sizeof rows[0]};

/* The record must be JSON whatever the strings hold. */
static void check_record(const struct values *values) {
    struct text record = {0}, again = {0};
    json_node *root = NULL;
    struct error err;
    options_to_json(&table, values, false, &record);
    if (json_parse(&root, text_data(&record), record.size, "record", &err) != FATHOM_OK) abort();
    if (options_compare_json(&table, values, root, &again, &err) != FATHOM_OK) abort();
    if (again.size > 0) abort();
    if (json_integer(json_member(root, "whole")) != values->whole) abort();
    if (json_real(json_member(root, "real")) != values->real) abort();
    json_free(root);
    text_free(&record);
    text_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct values values = {0};
    struct option_given given = {0};
    struct error err;
    if (options_default(&table, &values, &err) != FATHOM_OK) abort();
    fathom_status status =
        options_read_recipe_text(&table, &values, &given, (const char *)data, size, "fuzz", &err);
    if (status != FATHOM_OK && err.status != status) abort();
    if (values.whole < -5000000 || values.whole > 5000000) abort();
    if (values.choice < 0 || values.choice > 2) abort();
    check_record(&values);
    options_free(&table, &values);
    return 0;
}
