/* AdamW against its formula written out, and the norm over all gradients. */
#include <stdlib.h>

#include "base/rng.h"
#include "gradient.h"
#include "harness.h"
#include "op_devices.h"
#include "ops/optimizer.h"

/* Three steps of one parameter, with bias corrections and decoupled decay. */
static void adamw_follows_its_formula(void) {
    struct oracle o;
    oracle_open(&o);
    struct tensor p = oracle_normal(&o, 1, 5), m = oracle_zero(&o, 1, 5), v = oracle_zero(&o, 1, 5);
    double x[5], mean[5] = {0}, square[5] = {0};
    memcpy(x, p.data, sizeof x);
    for (int step = 1; step <= 3; step++) {
        struct tensor g = oracle_normal(&o, 1, 5);
        ops_adamw(&o.stream, &(struct op_adamw){.p = p,
                                                .g = g,
                                                .m = m,
                                                .v = v,
                                                .lr = 0.01,
                                                .beta1 = 0.9,
                                                .beta2 = 0.95,
                                                .eps = 1e-8,
                                                .decay = 0.1,
                                                .grad_scale = 0.5,
                                                .correction1 = 1 - pow(0.9, step),
                                                .correction2 = 1 - pow(0.95, step)});
        for (int i = 0; i < 5; i++) {
            const double scaled = 0.5 * at(g, 0)[i];
            mean[i] = 0.9 * mean[i] + 0.1 * scaled;
            square[i] = 0.95 * square[i] + 0.05 * scaled * scaled;
            const double first = mean[i] / (1 - pow(0.9, step));
            const double second = square[i] / (1 - pow(0.95, step));
            x[i] = x[i] - 0.01 * 0.1 * x[i] - 0.01 * first / (sqrt(second) + 1e-8);
            CHECK_NEAR(at(p, 0)[i], x[i], 1e-14);
            CHECK_NEAR(at(m, 0)[i], mean[i], 1e-14);
            CHECK_NEAR(at(v, 0)[i], square[i], 1e-14);
        }
    }
    oracle_close(&o);
}

/* BF16 moments are FP32 ones rounded after the step; p takes the sums before they are rounded. */
static void check_bf16_moments(struct device *device, int64_t n) {
    const struct rng_key key = {7, RNG_TEST, (uint64_t)n};
    float *x[8]; /* p g m v, twice */
    uint16_t *codes[2];
    struct stream stream;
    for (int i = 0; i < 8; i++) x[i] = calloc((size_t)n, sizeof(float));
    for (int i = 0; i < 2; i++) codes[i] = calloc((size_t)n, sizeof(uint16_t));
    for (int64_t i = 0; i < n; i++) {
        x[0][i] = x[4][i] = (float)rng_normal(key, (uint64_t)(4 * i));
        x[1][i] = (float)rng_normal(key, (uint64_t)(4 * i + 1));
        codes[0][i] = f32_to_bf16((float)rng_normal(key, (uint64_t)(4 * i + 2)));
        codes[1][i] = f32_to_bf16(fabsf((float)rng_normal(key, (uint64_t)(4 * i + 3))));
        x[2][i] = bf16_to_f32(codes[0][i]);
        x[3][i] = bf16_to_f32(codes[1][i]);
    }
    struct op_adamw op = {.p = tensor_of(x[0], DTYPE_F32, 1, n),
                          .g = tensor_of(x[1], DTYPE_F32, 1, n),
                          .m = tensor_of(x[2], DTYPE_F32, 1, n),
                          .v = tensor_of(x[3], DTYPE_F32, 1, n),
                          .lr = 0.01,
                          .beta1 = 0.9,
                          .beta2 = 0.95,
                          .eps = 1e-8,
                          .decay = 0.1,
                          .grad_scale = 0.5,
                          .correction1 = 0.2,
                          .correction2 = 0.1};
    stream_init(&stream, device);
    ops_adamw(&stream, &op);
    op.p.data = x[4];
    op.m = tensor_of(codes[0], DTYPE_BF16, 1, n);
    op.v = tensor_of(codes[1], DTYPE_BF16, 1, n);
    ops_adamw(&stream, &op);
    CHECK_EQ(stream.error.status, FATHOM_OK);
    for (int64_t i = 0; i < n; i++) {
        harness_context("%s, %lld elements, element %lld", device->isa, (long long)n, (long long)i);
        CHECK_NEAR(x[4][i], x[0][i], 0);
        CHECK_EQ(codes[0][i], f32_to_bf16(x[2][i]));
        CHECK_EQ(codes[1][i], f32_to_bf16(x[3][i]));
    }
    for (int i = 0; i < 8; i++) free(x[i]);
    for (int i = 0; i < 2; i++) free(codes[i]);
}

static void bf16_moments_are_rounded_after_the_step(void) {
    struct op_devices devices;
    op_devices_open(&devices, 2);
    for (int i = 0; i < devices.count; i++) {
        for (int64_t n = 1; n <= 33; n++) check_bf16_moments(devices.devices[i], n);
        check_bf16_moments(devices.devices[i], 70001);
    }
    op_devices_close(&devices);
}

/* A weight of 0 changes nothing, 1 copies; twice the same halves the distance each time. */
static void lerp_is_a_running_mean(void) {
    struct oracle o;
    oracle_open(&o);
    struct tensor y = oracle_normal(&o, 1, 5), x = oracle_normal(&o, 1, 5);
    double before[5];
    memcpy(before, y.data, sizeof before);
    ops_lerp(&o.stream, &(struct op_lerp){.y = y, .x = x, .weight = 0});
    for (int i = 0; i < 5; i++) CHECK_NEAR(at(y, 0)[i], before[i], 0);
    for (int k = 0; k < 2; k++)
        ops_lerp(&o.stream, &(struct op_lerp){.y = y, .x = x, .weight = 0.5});
    for (int i = 0; i < 5; i++)
        CHECK_NEAR(at(y, 0)[i], 0.25 * before[i] + 0.75 * at(x, 0)[i], 1e-15);
    ops_lerp(&o.stream, &(struct op_lerp){.y = y, .x = x, .weight = 1});
    for (int i = 0; i < 5; i++) CHECK_NEAR(at(y, 0)[i], at(x, 0)[i], 1e-15);
    oracle_close(&o);
}

/* The norm of tensors on a device; `workspace` holds both arrays of partials. */
static double norm_of(struct device *device, const struct tensor *tensors, int64_t count) {
    static double workspace[64];
    struct stream stream;
    struct error err = {0};
    stream_init(&stream, device);
    CHECK(ops_norm_partials(tensors, count) <= 32);
    const double norm = ops_norm(&stream, &(struct op_norm){.tensors = tensors,
                                                            .count = count,
                                                            .partial = workspace,
                                                            .host = workspace + 32});
    CHECK_OK(stream_check(&stream, &err), &err);
    return norm;
}

static void norm_is_the_same_for_any_threads_and_any_sharding(void) {
    const int64_t n = 5 * SUMSQ_CHUNK + 1234;
    float *data = malloc((size_t)n * sizeof(float));
    CHECK(data);
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        data[i] = (float)sin((double)i);
        sum += (double)data[i] * data[i];
    }
    const struct tensor whole[] = {tensor_of(data, DTYPE_F32, 1, n)};
    /* Shards that begin where chunks do, one of them empty; then as a matrix. */
    const struct tensor shards[] = {
        tensor_of(data, DTYPE_F32, 2, SUMSQ_CHUNK), tensor_of(data, DTYPE_F32, 0, 7),
        tensor_of(data + 2 * SUMSQ_CHUNK, DTYPE_F32, 1, n - 2 * SUMSQ_CHUNK)};
    CHECK_EQ(ops_norm_partials(whole, 1), 6);
    CHECK_EQ(ops_norm_partials(shards, 3), 6);
    double first[OP_DEVICES_MAX] = {0};
    for (int threads = 1; threads <= 2; threads++) {
        struct op_devices devices;
        op_devices_open(&devices, threads);
        for (int d = 0; d < devices.count; d++) {
            harness_context("%s %d threads", devices.devices[d]->isa, threads);
            const double norm = norm_of(devices.devices[d], whole, 1);
            if (threads == 1) first[d] = norm;
            CHECK_NEAR(norm, sqrt(sum), 1e-12 * sqrt(sum));
            CHECK(norm == first[d]);
            CHECK(norm == norm_of(devices.devices[d], shards, 3));
        }
        op_devices_close(&devices);
    }
    free(data);
}

static void norm_of_a_failed_stream_is_zero(void) {
    struct device *device = op_device_open("ref", 1);
    struct stream stream;
    stream_init_dry(&stream, device);
    float x[3] = {1, 2, 3};
    double partial[2];
    const struct tensor tensors[] = {tensor_of(x, DTYPE_F32, 1, 3)};
    const struct op_norm op = {
        .tensors = tensors, .count = 1, .partial = partial, .host = partial + 1};
    CHECK(ops_norm(&stream, &op) == 0);
    op_device_close(device);
}

static const struct test tests[] = {
    TEST(adamw_follows_its_formula),       TEST(bf16_moments_are_rounded_after_the_step),
    TEST(lerp_is_a_running_mean),          TEST(norm_is_the_same_for_any_threads_and_any_sharding),
    TEST(norm_of_a_failed_stream_is_zero),
};
HARNESS_MAIN(tests)
