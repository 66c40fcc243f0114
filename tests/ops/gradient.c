#include "gradient.h"

#include <math.h>
#include <stdlib.h>

#include "base/rng.h"
#include "harness.h"
#include "op_devices.h"

void oracle_open(struct oracle *oracle) {
    *oracle = (struct oracle){.device = op_device_open("ref64", 1)};
    stream_init(&oracle->stream, oracle->device);
}

void oracle_close(struct oracle *oracle) {
    struct error err = {0};
    CHECK_OK(stream_check(&oracle->stream, &err), &err);
    for (int i = 0; i < oracle->block_count; i++) free(oracle->blocks[i]);
    op_device_close(oracle->device);
}

void *oracle_block(struct oracle *oracle, size_t bytes) {
    CHECK(oracle->block_count < 64);
    void *block = calloc(bytes + 1, 1);
    CHECK(block);
    oracle->blocks[oracle->block_count++] = block;
    return block;
}

struct tensor oracle_zero(struct oracle *oracle, int64_t rows, int64_t cols) {
    void *data = oracle_block(oracle, (size_t)(rows * cols) * sizeof(double));
    return tensor_of(data, DTYPE_F64, rows, cols);
}

struct tensor oracle_normal(struct oracle *oracle, int64_t rows, int64_t cols) {
    const struct rng_key key = {.seed = 11, .purpose = RNG_TEST, .stream = oracle->draws++};
    struct tensor x = oracle_zero(oracle, rows, cols);
    for (int64_t i = 0; i < rows * cols; i++) at(x, 0)[i] = rng_normal(key, (uint64_t)i);
    return x;
}

int32_t *oracle_below(struct oracle *oracle, int64_t count, int64_t n) {
    const struct rng_key key = {.seed = 12, .purpose = RNG_TEST, .stream = oracle->draws++};
    int32_t *x = oracle_block(oracle, (size_t)count * sizeof(int32_t));
    for (int64_t i = 0; i < count; i++) x[i] = (int32_t)rng_below(key, (uint64_t)i, (uint64_t)n);
    return x;
}

double tensor_dot(struct tensor x, struct tensor y) {
    double sum = 0;
    for (int64_t r = 0; r < x.rows; r++)
        for (int64_t i = 0; i < x.cols; i++) sum += at(x, r)[i] * at(y, r)[i];
    return sum;
}

static double largest(struct tensor x) {
    double max = 0;
    for (int64_t r = 0; r < x.rows; r++)
        for (int64_t i = 0; i < x.cols; i++) max = fmax(max, fabs(at(x, r)[i]));
    return max;
}

/* Error of the order of step^4. */
static double difference(double *x, loss_fn *loss, void *context) {
    static const double steps[4] = {2, 1, -1, -2}, weights[4] = {-1, 8, -8, 1};
    const double old = *x, step = 1e-3;
    double sum = 0;
    for (int i = 0; i < 4; i++) {
        *x = old + steps[i] * step;
        sum += weights[i] * loss(context);
    }
    *x = old;
    return sum / (12 * step);
}

void check_gradient(const char *name, struct tensor x, struct tensor dx, loss_fn *loss,
                    void *context) {
    const double tolerance = 1e-8 * fmax(largest(dx), 1e-3);
    CHECK(x.rows == dx.rows && x.cols == dx.cols);
    for (int64_t r = 0; r < x.rows; r++) {
        for (int64_t i = 0; i < x.cols; i++) {
            const double expected = difference(&at(x, r)[i], loss, context);
            if (!(fabs(at(dx, r)[i] - expected) <= tolerance))
                harness_fail(__FILE__, __LINE__,
                             "%s[%lld, %lld] is %.12g, finite differences say %.12g", name,
                             (long long)r, (long long)i, at(dx, r)[i], expected);
        }
    }
}

void check_close(const char *name, struct tensor actual, struct tensor expected, double tolerance) {
    CHECK(actual.rows == expected.rows && actual.cols == expected.cols);
    for (int64_t r = 0; r < actual.rows; r++)
        for (int64_t i = 0; i < actual.cols; i++)
            if (!(fabs(at(actual, r)[i] - at(expected, r)[i]) <= tolerance))
                harness_fail(__FILE__, __LINE__, "%s[%lld, %lld] is %.12g, expected %.12g", name,
                             (long long)r, (long long)i, at(actual, r)[i], at(expected, r)[i]);
}
