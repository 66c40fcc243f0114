/* Every operation of every set of kernels against the oracle: in f64 within the operation's
 * tolerance, and where the reduction order is fixed, in f32 bit for bit. */
#include <stdio.h>

#include "harness.h"
#include "op_cases.h"
#include "op_devices.h"

static const char *context(const struct op_case *c, const struct device *device, char text[220]) {
    char name[160];
    snprintf(text, 220, "%s %s", device->isa, case_name(c, name));
    return text;
}

static double largest(const struct case_array *array) {
    double max = 0;
    for (int64_t i = 0; i < array->rows * array->cols; i++)
        if (!isnan(array->values[i])) max = fmax(max, fabs(array->values[i]));
    return max;
}

/* Rows that an operation leaves alone hold NaN on both sides. */
static bool is_close(double actual, double expected, double bound) {
    if (isnan(expected)) return isnan(actual);
    return actual == expected || fabs(actual - expected) <= bound;
}

static void compare(const struct case_data *actual, const struct case_data *expected,
                    double tolerance) {
    for (int i = 0; i < actual->array_count; i++) {
        const struct case_array *a = &actual->arrays[i], *e = &expected->arrays[i];
        if (a->role == CASE_IN || a->role == CASE_WORK) continue;
        const double bound = a->type == CASE_I32 ? 0 : tolerance * largest(e);
        for (int64_t j = 0; j < a->rows * a->cols; j++)
            if (!is_close(a->values[j], e->values[j], bound))
                harness_fail(__FILE__, __LINE__,
                             "%s[%lld, %lld] is %.9g, expected %.9g within %.3g", a->name,
                             (long long)(j / a->cols), (long long)(j % a->cols), a->values[j],
                             e->values[j], bound);
    }
}

/* Products of bf16 pairs are other chains than the oracle's; tests/cpu/test_matmul.c has their
 * bits. */
static bool has_oracles_bits(const struct op_case *c, const struct device *device) {
    const bool is_bf16 = c->rounding == ROUND_BF16 && c->rounding_b == ROUND_BF16;
    return c->kind->is_exact && !(is_bf16 && strstr(device->isa, "bf16"));
}

static void compare_case(const struct op_case *c, struct device *oracle, struct device *ref,
                         const struct op_devices *devices) {
    struct case_data data;
    char text[220];
    harness_context("%s", context(c, oracle, text));
    case_make(&data, c);
    struct case_data exact = case_run(&data, oracle, case_whole(&data), 0);
    struct case_data single = case_run(&data, ref, case_whole(&data), 0);
    for (int i = 0; i < devices->count; i++) {
        harness_context("%s", context(c, devices->devices[i], text));
        for (int64_t padding = 0; padding <= 3; padding += 3) {
            struct case_data actual =
                case_run(&data, devices->devices[i], case_whole(&data), padding);
            compare(&actual, &exact, c->kind->tolerance);
            if (has_oracles_bits(c, devices->devices[i])) compare(&actual, &single, 0);
            case_free(&actual);
        }
    }
    case_free(&exact);
    case_free(&single);
    case_free(&data);
}

/* All cases of one operation. */
static void compare_op(const char *op) {
    struct op_devices devices;
    op_devices_open(&devices, 2);
    struct device *oracle = op_device_open("ref64", 1), *ref = op_device_open("ref", 1);
    int64_t cases = 0;
    for (int64_t i = 0; i < op_cases_count; i++) {
        if (strcmp(op_cases[i].kind->op, op) != 0) continue;
        compare_case(&op_cases[i], oracle, ref, &devices);
        cases++;
    }
    harness_context("%s", "");
    CHECK(cases > 0);
    op_device_close(oracle);
    op_device_close(ref);
    op_devices_close(&devices);
}

#define DEFINE_TEST(name)                                                                          \
    static void name##_matches_the_oracle(void) { compare_op(#name); }
OPS(DEFINE_TEST)

static void avx2_kernels_are_tested(void) { op_device_require("avx2"); }
static void avx512_kernels_are_tested(void) { op_device_require("avx512"); }
static void avx512bf16_kernels_are_tested(void) { op_device_require("avx512bf16"); }
static void emulated_avx512_kernels_are_tested(void) {
    op_device_require("emu512");
    op_device_require("emu512bf16");
}

#define LIST_TEST(name) TEST(name##_matches_the_oracle),
static const struct test tests[] = {
    OPS(LIST_TEST) TEST(avx2_kernels_are_tested),
    TEST(avx512_kernels_are_tested),
    TEST(avx512bf16_kernels_are_tested),
    TEST(emulated_avx512_kernels_are_tested),
};
HARNESS_MAIN(tests)
