/* One reduction order for every row: a row computed alone, in a chunk or in the whole batch, by one
 * thread or two, has the same bits. Outputs that are sums over rows (weight gradients) are compared
 * between numbers of threads. */
#include <stdio.h>

#include "harness.h"
#include "op_cases.h"
#include "op_devices.h"

/* The slice's outputs are the rows of the whole's. */
static void compare_slice(const struct case_data *part, const struct case_data *whole,
                          struct case_slice slice) {
    for (int i = 0; i < part->array_count; i++) {
        const struct case_array *a = &part->arrays[i], *e = &whole->arrays[i];
        if (a->role != CASE_OUT && a->role != CASE_INOUT) continue;
        if (a->axis != CASE_ROWS && a->axis != CASE_SPANS) continue;
        const int64_t first = a->axis == CASE_ROWS ? slice.row : slice.span;
        for (int64_t j = 0; j < a->rows * a->cols; j++) {
            const double actual = a->values[j], expected = e->values[first * a->cols + j];
            if (memcmp(&actual, &expected, sizeof actual) != 0)
                harness_fail(__FILE__, __LINE__,
                             "rows %lld to %lld: %s[%lld, %lld] is %.9g, in the whole batch %.9g",
                             (long long)slice.row, (long long)(slice.row + slice.rows - 1), a->name,
                             (long long)(first + j / a->cols), (long long)(j % a->cols), actual,
                             expected);
        }
    }
}

static void run_slice(const struct case_data *data, const struct case_data *whole,
                      struct device *device, struct case_slice slice) {
    struct case_data part = case_run(data, device, slice, 0);
    compare_slice(&part, whole, slice);
    case_free(&part);
}

static void run_rows(const struct case_data *data, const struct case_data *whole,
                     struct device *device, int64_t row, int64_t rows) {
    run_slice(data, whole, device,
              (struct case_slice){.row = row, .rows = rows, .spans = data->span_count});
}

/* Rows alone (all of a small batch, a sample of a large one), then chunks that fit no tile. */
static void slice_rows(const struct case_data *data, const struct case_data *whole,
                       struct device *device) {
    const int64_t T = data->rows, step = T <= 12 ? 1 : T / 7;
    for (int64_t t = 0; t < T; t += step) run_rows(data, whole, device, t, 1);
    run_rows(data, whole, device, T - 1, 1);
    const int64_t cut = T / 3 + 1;
    for (int64_t t = 0; t < T; t += cut)
        run_rows(data, whole, device, t, T - t < cut ? T - t : cut);
}

static void check_case(const struct op_case *c, struct device *one, struct device *two) {
    char name[160];
    harness_context("%s %s", one->isa, case_name(c, name));
    struct case_data data;
    case_make(&data, c);
    struct case_data whole = case_run(&data, one, case_whole(&data), 0);
    struct case_data threads = case_run(&data, two, case_whole(&data), 3);
    for (int i = 0; i < whole.array_count; i++) {
        const struct case_array *a = &threads.arrays[i], *e = &whole.arrays[i];
        if (a->role != CASE_OUT && a->role != CASE_INOUT) continue;
        if (memcmp(a->values, e->values, (size_t)(a->rows * a->cols) * sizeof(double)) != 0)
            harness_fail(__FILE__, __LINE__, "%s differs between 1 and 2 threads", a->name);
    }
    if (data.slicing == SLICE_ROWS && data.rows > 0) slice_rows(&data, &whole, two);
    for (int64_t s = 0; s < data.span_count && data.slicing == SLICE_SPANS; s++)
        run_slice(&data, &whole, two, case_span(&data, s));
    case_free(&threads);
    case_free(&whole);
    case_free(&data);
}

static void check_op(const char *op) {
    struct op_devices one, two;
    op_devices_open(&one, 1);
    op_devices_open(&two, 2);
    for (int d = 0; d < one.count; d++)
        for (int64_t i = 0; i < op_cases_count; i++)
            if (strcmp(op_cases[i].kind->op, op) == 0)
                check_case(&op_cases[i], one.devices[d], two.devices[d]);
    harness_context("%s", "");
    op_devices_close(&one);
    op_devices_close(&two);
}

#define DEFINE_TEST(name)                                                                          \
    static void name##_bits_depend_on_the_row_alone(void) { check_op(#name); }
OPS(DEFINE_TEST)

#define LIST_TEST(name) TEST(name##_bits_depend_on_the_row_alone),
static const struct test tests[] = {OPS(LIST_TEST)};
HARNESS_MAIN(tests)
