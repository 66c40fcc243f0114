#include "harness.h"

#include "view/table.h"

static void columns_are_aligned(void) {
    const struct table_column columns[] = {{"split", false}, {"tokens", true}, {"note", false}};
    const char *cells[] = {"train", "1234567", "good", "heldout", "89", NULL};
    struct text out = {0};
    table_write(columns, 3, cells, 2, &out);
    CHECK_STR(text_data(&out), "split     tokens  note\n"
                               "----------------------\n"
                               "train    1234567  good\n"
                               "heldout       89\n");
    text_free(&out);
}

static void widths_count_characters_not_bytes(void) {
    const struct table_column columns[] = {{"a", false}, {"b", false}};
    const char *cells[] = {"caf\xc3\xa9", "x", "tea", "y"};
    struct text out = {0};
    table_write(columns, 2, cells, 2, &out);
    CHECK_STR(text_data(&out), "a     b\n-------\ncaf\xc3\xa9  x\ntea   y\n");
    text_free(&out);
}

static void empty_tables_have_headings(void) {
    const struct table_column columns[] = {{"a", false}, {"b", true}};
    const char *const no_cells[] = {NULL};
    struct text out = {0};
    table_write(columns, 2, no_cells, 0, &out);
    CHECK_STR(text_data(&out), "a  b\n----\n");
    text_free(&out);
}

static const struct test tests[] = {
    TEST(columns_are_aligned),
    TEST(widths_count_characters_not_bytes),
    TEST(empty_tables_have_headings),
};
HARNESS_MAIN(tests)
