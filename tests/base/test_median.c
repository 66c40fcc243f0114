#include "base/median.h"

#include "harness.h"

static void the_middle_value_is_the_median(void) {
    double one[] = {7}, odd[] = {3, -1, 2, 9, 2}, even[] = {4, 1, 3, 2};
    CHECK(median_of(one, 1) == 7);
    CHECK(median_of(odd, 5) == 2);
    CHECK(median_of(even, 4) == 3);
}

static const struct test tests[] = {TEST(the_middle_value_is_the_median)};
HARNESS_MAIN(tests)
