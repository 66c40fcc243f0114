/* What a model rounds in BF16 and FP8: how far gradients move, what is kept, and what is left. */
#include "format/safetensors.h"
#include "model_test.h"

static const int64_t lengths[] = {60, 50};
static const struct run_options plain = {.balance_coef = 0x1p-8, .head_chunk = 16};

static void open_in(struct fixture *f, const char *golden, enum precision precision) {
    harness_context("%s in %s", golden, precision_name(precision));
    fixture_open(f, golden, NULL, 2);
    f->model->precision = precision;
    fixture_batch(f, 0, 2, lengths);
}

/* The routing of the exact pass, so that no token changes its experts. */
static struct layer_saved *routing_of(struct fixture *f) {
    const struct model_config *c = &f->model->config;
    struct layer_saved *all = NULL;
    CHECK(MEM_NEW(&all, config_all_layers(c), "routing", NULL) == FATHOM_OK);
    for (int64_t i = 0; i < config_all_layers(c); i++)
        all[i] = i < c->layers ? f->run->layers[i] : f->run->mtp[i - c->layers].layer;
    return all;
}

/* ||a - b|| / ||b|| over all gradients of both models. */
static double gradient_distance(const struct model *a, const struct model *b) {
    double difference = 0, size = 0;
    for (int64_t i = 0; i < a->params.count; i++) {
        const struct param *p = &a->params.items[i];
        if (!param_is_trained(p)) continue;
        const float *x = model_grad(a, p).data, *y = model_grad(b, p).data;
        for (int64_t j = 0; j < param_count(p); j++) {
            const double d = (double)x[j] - (double)y[j];
            difference += d * d;
            size += (double)y[j] * (double)y[j];
        }
    }
    return sqrt(difference / size);
}

/* The formats' steps are 2^-7 and 2^-3 of a value, and these models' weights are spread wide: BF16
 * moves the gradients by some percent, FP8 by about 2^4 times that. */
static void gradients_move_by_the_steps_of_the_format(void) {
    for (int i = 0; i < GOLDEN_COUNT; i++) {
        struct fixture exact, f;
        double distance[2];
        open_in(&exact, golden_names[i], PRECISION_F32);
        fixture_pass(&exact, &plain, true);
        struct layer_saved *routing = routing_of(&exact);
        struct run_options given = plain;
        if (exact.model->config.experts > 0) given.routing = routing;
        for (int p = 0; p < 2; p++) {
            open_in(&f, golden_names[i], p == 0 ? PRECISION_BF16 : PRECISION_FP8);
            fixture_pass(&f, &given, true);
            distance[p] = gradient_distance(f.model, exact.model);
            fixture_close(&f);
        }
        CHECK(distance[0] > 0x1p-9 && distance[0] < 0.05);
        CHECK(distance[1] > 8 * distance[0] && distance[1] < 0.6);
        mem_free(routing);
        fixture_close(&exact);
    }
}

/* Largest change by rounding, of the largest value. */
static double rounding_error(struct fixture *f, struct tensor x, enum rounding rounding) {
    struct tensor y = x;
    double worst = 0, largest = 0;
    struct error err = {0};
    CHECK(mem_new(&y.data, (size_t)tensor_count(x), sizeof(float), "copy", NULL) == FATHOM_OK);
    y.stride = y.cols;
    ops_round(&f->stream, &(struct op_round){.y = y, .x = x, .rounding = rounding});
    CHECK_OK(stream_check(&f->stream, &err), &err);
    for (int64_t t = 0; t < x.rows; t++) {
        for (int64_t i = 0; i < x.cols; i++) {
            const double before = *(float *)tensor_at(x, t, i),
                         after = *(float *)tensor_at(y, t, i);
            worst = fmax(worst, fabs(after - before));
            largest = fmax(largest, fabs(before));
        }
    }
    mem_free(y.data);
    return worst / largest;
}

static void fp8_keeps_e5m6_and_e4m3_for_the_backward(void) {
    for (int precision = PRECISION_F32; precision <= PRECISION_FP8; precision++) {
        struct fixture f;
        open_in(&f, "v3-mtp2", (enum precision)precision);
        fixture_pass(&f, &plain, false);
        const bool is_fp8 = precision == PRECISION_FP8;
        const struct layer_saved *dense = &f.run->layers[0],
                                 *moe = &f.run->layers[f.model->config.layers - 1];
        const struct tensor gate_up[] = {dense->ffn.mlp.gate_up, moe->ffn.mlp.gate_up,
                                         moe->ffn.moe.gate_up};
        const double o = rounding_error(&f, moe->attention.o, ROUND_E5M6_POW2);
        CHECK(is_fp8 ? o == 0 : o > 1e-4);
        for (int i = 0; i < 3; i++) {
            const int64_t F = gate_up[i].cols / 2;
            for (int half = 0; half < 2; half++) {
                const struct tensor x = tensor_cols(gate_up[i], half * F, F);
                const double error = rounding_error(&f, x, ROUND_E4M3);
                CHECK(is_fp8 ? error < 1e-6 : error > 1e-3);
            }
        }
        fixture_close(&f);
    }
}

/* Logits of the same hidden states: the head is BF16 at most. */
static void the_head_is_never_fp8(void) {
    struct fixture f;
    struct error err = {0};
    open_in(&f, "v3", PRECISION_F32);
    fixture_pass(&f, &plain, false);
    const int64_t T = f.run->hidden.rows, V = f.model->config.vocab;
    float *logits[3];
    for (int p = PRECISION_F32; p <= PRECISION_FP8; p++) {
        CHECK(MEM_NEW(&logits[p], T * V, "logits", NULL) == FATHOM_OK);
        f.model->precision = (enum precision)p;
        model_logits(f.model, &f.stream, tensor_of(logits[p], DTYPE_F32, T, V), f.run->hidden);
    }
    CHECK_OK(stream_check(&f.stream, &err), &err);
    const size_t size = (size_t)(T * V) * sizeof(float);
    CHECK(memcmp(logits[PRECISION_FP8], logits[PRECISION_BF16], size) == 0);
    CHECK(memcmp(logits[PRECISION_F32], logits[PRECISION_BF16], size) != 0);
    for (int p = 0; p < 3; p++) mem_free(logits[p]);
    fixture_close(&f);
}

static float *golden_values(const struct safetensors *st, const char *name, int64_t count) {
    const struct safetensors_entry *entry = NULL;
    struct error err = {0};
    float *values = NULL;
    CHECK_OK(safetensors_need(st, name, &entry, &err), &err);
    CHECK_EQ(entry->dtype, DTYPE_F32);
    CHECK_EQ(safetensors_elements(entry), count);
    CHECK(MEM_NEW(&values, count, name, NULL) == FATHOM_OK);
    memcpy(values, entry->data, entry->size);
    return harness_keep(values);
}

/* The published kernels' way: codes summed within 128 steps, then scaled. Ours scales first. */
static void an_fp8_product_is_the_published_one(void) {
    enum { T = 37, N = 200, K = 384 };
    struct fixture f;
    struct error err = {0};
    struct safetensors *st = NULL;
    static float y[T * N];
    CHECK_OK(safetensors_open(&st, harness_shared("goldens/number/fp8.safetensors"), &err), &err);
    const float *expected = golden_values(st, "gemm.y", T * N);
    struct tensor x = tensor_of(golden_values(st, "gemm.x", T * K), DTYPE_F32, T, K);
    struct tensor w = tensor_of(golden_values(st, "gemm.w", N * K), DTYPE_F32, N, K);
    fixture_open(&f, "v3", NULL, 2);
    ops_linear(&f.stream, PRECISION_FP8, tensor_of(y, DTYPE_F32, T, N), x, w, (struct tensor){0});
    CHECK_OK(stream_check(&f.stream, &err), &err);
    double worst = 0, largest = 0;
    for (int i = 0; i < T * N; i++) {
        worst = fmax(worst, fabs((double)y[i] - (double)expected[i]));
        largest = fmax(largest, fabs((double)expected[i]));
    }
    CHECK_NEAR(worst / largest, 0, 2e-6); /* as any product: docs/numerics.md */
    safetensors_close(st);
    fixture_close(&f);
}

static const struct test tests[] = {
    TEST(an_fp8_product_is_the_published_one),
    TEST(gradients_move_by_the_steps_of_the_format),
    TEST(fp8_keeps_e5m6_and_e4m3_for_the_backward),
    TEST(the_head_is_never_fp8),
};
HARNESS_MAIN(tests)
