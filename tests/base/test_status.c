/* Error texts: one line, with the values, cut and cleaned whatever comes in. */
#include <errno.h>
#include <stdio.h>

#include "harness.h"

static struct error err;

static fathom_status raise_with_values(struct error *out) {
    return error_set(out, FATHOM_BAD_INPUT, "x is [%d, %d], not \"%s\"", 3, 0, "bad shape");
}

static void error_set_formats_and_returns_the_status(void) {
    CHECK_STATUS(raise_with_values(&err), FATHOM_BAD_INPUT);
    CHECK_STATUS(err.status, FATHOM_BAD_INPUT);
    CHECK_STR(err.text, "x is [3, 0], not \"bad shape\"");
    CHECK_STATUS(raise_with_values(NULL), FATHOM_BAD_INPUT);
}

static void control_characters_are_replaced(void) {
    error_set(&err, FATHOM_IO, "%s", "a\nb\x1b[2Jc\td\x7f \xc3\xa9");
    CHECK_STR(err.text, "a?b?[2Jc?d? \xc3\xa9");
}

static void a_long_text_is_cut(void) {
    static char text[4 * ERROR_TEXT_MAX];
    memset(text, 'a', sizeof text - 1);
    error_set(&err, FATHOM_IO, "%s", text);
    CHECK_EQ(strlen(err.text), ERROR_TEXT_MAX - 1);
    error_prefix(&err, "%s", text);
    CHECK_EQ(err.text[ERROR_TEXT_MAX - 1], 0);
    error_set_errno(&err, ENOENT, "%s", text);
    CHECK_HAS(err.text, "No such file or directory");
}

static void a_prefix_goes_before_the_text(void) {
    raise_with_values(&err);
    CHECK_STATUS(error_prefix(&err, "layer %d", 7), FATHOM_BAD_INPUT);
    CHECK_STR(err.text, "layer 7: x is [3, 0], not \"bad shape\"");
    CHECK_STATUS(error_prefix(NULL, "layer %d", 7), FATHOM_OK);
}

static void errno_values_map_to_statuses(void) {
    CHECK_STATUS(error_set_errno(&err, ENOMEM, "f"), FATHOM_NO_MEMORY);
    CHECK_STATUS(error_set_errno(&err, EEXIST, "f"), FATHOM_EXISTS);
    CHECK_STATUS(error_set_errno(&err, EACCES, "%s", "f"), FATHOM_IO);
    CHECK_STR(err.text, "f: Permission denied");
    CHECK_STATUS(error_set_errno(NULL, ENOMEM, "f"), FATHOM_NO_MEMORY);
}

static void every_status_has_a_name_and_an_exit_code(void) {
    for (int i = FATHOM_OK; i <= FATHOM_PEER; i++) {
        harness_context("status %d", i);
        CHECK(strcmp(status_name((fathom_status)i), "unknown") != 0);
        int expected = i == FATHOM_OK || i == FATHOM_INTERRUPTED ? 0 : i == FATHOM_USAGE ? 2 : 1;
        CHECK_EQ(status_exit_code((fathom_status)i), expected);
        for (int j = 0; j < i; j++)
            CHECK(strcmp(status_name((fathom_status)i), status_name((fathom_status)j)) != 0);
    }
}

static fathom_status try_twice(int *calls, fathom_status first) {
    TRY(((*calls)++, first));
    TRY(((*calls)++, FATHOM_IO));
    return FATHOM_OK;
}

static void try_evaluates_once_and_forwards(void) {
    int calls = 0;
    CHECK_STATUS(try_twice(&calls, FATHOM_USAGE), FATHOM_USAGE);
    CHECK_EQ(calls, 1);
    CHECK_STATUS(try_twice(&calls, FATHOM_OK), FATHOM_IO);
    CHECK_EQ(calls, 3);
}

static const struct test tests[] = {
    TEST(error_set_formats_and_returns_the_status),
    TEST(control_characters_are_replaced),
    TEST(a_long_text_is_cut),
    TEST(a_prefix_goes_before_the_text),
    TEST(errno_values_map_to_statuses),
    TEST(every_status_has_a_name_and_an_exit_code),
    TEST(try_evaluates_once_and_forwards),
};
HARNESS_MAIN(tests)
