#include "base/ranges.h"
#include "harness.h"

static struct error err;

static void numbers_and_ranges_are_read(void) {
    struct ranges set;
    CHECK_OK(ranges_parse(&set, "3,120-125,7-7", &err), &err);
    CHECK_EQ(set.count, 3);
    const int64_t in[] = {3, 7, 120, 123, 125}, out[] = {0, 2, 4, 6, 8, 119, 126};
    for (int i = 0; i < 5; i++) CHECK(ranges_have(&set, in[i]));
    for (int i = 0; i < 7; i++) CHECK(!ranges_have(&set, out[i]));
    ranges_free(&set);
    CHECK_EQ(set.count, 0);
}

static void nothing_is_the_empty_set(void) {
    struct ranges set;
    CHECK_OK(ranges_parse(&set, NULL, &err), &err);
    CHECK(!ranges_have(&set, 0));
    CHECK_OK(ranges_parse(&set, "", &err), &err);
    CHECK(!ranges_have(&set, 0));
}

static void what_is_no_range_is_refused_and_shown(void) {
    static const char *const texts[] = {",",   "1,",  "a",    "3-",    "-3",
                                        "5-4", "1 2", "1--2", "3-4-5", "99999999999999999999"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct ranges set;
        harness_context("%s", texts[i]);
        CHECK_STATUS(ranges_parse(&set, texts[i], &err), FATHOM_USAGE);
        CHECK_EQ(set.count, 0);
    }
    struct ranges set;
    CHECK_STATUS(ranges_parse(&set, "4,x9,5", &err), FATHOM_USAGE);
    CHECK_HAS(err.text, "\"x9\"");
}

static void a_list_of_numbers_has_no_ranges_and_keeps_its_bounds(void) {
    static const char *const texts[] = {"", "3-4", "1,", "0", "101", "5,x"};
    struct ranges set;
    CHECK_OK(ranges_parse_numbers(&set, "100,1,7", "--x", 1, 100, &err), &err);
    CHECK_EQ(set.count, 3);
    CHECK_EQ(set.items[0].first, 100);
    CHECK_EQ(set.items[2].first, 7);
    ranges_free(&set);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        CHECK_STATUS(ranges_parse_numbers(&set, texts[i], "--x", 1, 100, &err), FATHOM_USAGE);
        CHECK_HAS(err.text, "--x is");
        CHECK_EQ(set.count, 0);
    }
}

static const struct test tests[] = {
    TEST(a_list_of_numbers_has_no_ranges_and_keeps_its_bounds),
    TEST(numbers_and_ranges_are_read),
    TEST(nothing_is_the_empty_set),
    TEST(what_is_no_range_is_refused_and_shown),
};
HARNESS_MAIN(tests)
