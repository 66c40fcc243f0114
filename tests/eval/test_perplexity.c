/* Perplexity and the MTP modules' agreement against logits taken window by window. */
#include "eval/perplexity.h"

#include <math.h>

#include "base/memory.h"
#include "base/rng.h"
#include "harness.h"
#include "model/files.h"

enum { VOCAB = 49, LENGTH = 11, TOKENS = 200, MODULES = 2 };

static struct error err;

struct world {
    struct engine *engine;
    struct device *device;
    struct model *model;
    struct shard_set *set;
};

static void world_open(struct world *w, const char *golden) {
    struct shard_writer *writer = NULL;
    const struct shard_writer_options options = {.tokenizer = {1, VOCAB, 1, 0}};
    char path[1024];
    int32_t tokens[TOKENS];
    for (uint64_t i = 0; i < TOKENS; i++)
        tokens[i] = (int32_t)rng_below((struct rng_key){5, RNG_TEST, 0}, i, VOCAB);
    snprintf(path, sizeof path, "%s/data", harness_directory());
    CHECK_OK(shard_writer_open(&writer, path, &options, &err), &err);
    CHECK_OK(shard_writer_append(writer, SHARD_HELDOUT, tokens, TOKENS, 3 * TOKENS, &err), &err);
    CHECK_OK(shard_writer_append(writer, SHARD_TRAIN, tokens, TOKENS, 3 * TOKENS, &err), &err);
    CHECK_OK(shard_writer_commit(writer, &err), &err);
    CHECK_OK(shard_set_open(&w->set, path, SHARD_HELDOUT, &err), &err);
    snprintf(path, sizeof path, "%s/golden/%s", TESTS_SOURCE_DIR, golden);
    CHECK_OK(engine_new(&w->engine, 2, &err), &err);
    CHECK_OK(device_open(&w->device, w->engine, "cpu", NULL, &err), &err);
    CHECK_OK(model_open(&w->model, w->device, path, 0, &err), &err);
}

static void world_close(struct world *w) {
    shard_set_close(w->set);
    model_free(w->model);
    device_close(w->device);
    engine_free(w->engine);
}

static int32_t likeliest(const float *logits) {
    int32_t best = 0;
    for (int32_t i = 1; i < VOCAB; i++)
        if (logits[i] > logits[best]) best = i;
    return best;
}

static double log_probability(const float *logits, int32_t token) {
    double sum = 0;
    for (int i = 0; i < VOCAB; i++) sum += exp((double)logits[i] - (double)logits[token]);
    return -log(sum);
}

/* What one window adds, from logits of every head: module -1 is the model. */
struct expected {
    double nats[1 + MODULES];
    int64_t tokens[1 + MODULES], agreed[1 + MODULES];
};

static void add_window(const struct world *w, struct run *run, int64_t window,
                       struct expected *out) {
    static float logits[1 + MODULES][LENGTH * VOCAB];
    int32_t tokens[LENGTH + 1];
    struct arena arenas[4];
    struct stream stream;
    struct train_batch batch;
    const struct run_options options = {.only_measures = true};
    const struct train_batch_options batch_options = {.modules = MODULES, .vocab = VOCAB};
    const struct sequence sequence = {.tokens = tokens, .count = LENGTH};
    for (int i = 0; i < 4; i++) CHECK_OK(arena_new(&arenas[i], 4 << 20, "a test", &err), &err);
    stream_init(&stream, w->device);
    CHECK_OK(shard_set_sample(w->set, window, LENGTH, tokens, &err), &err);
    CHECK_OK(train_batch_build(&batch, &sequence, 1, &batch_options, &arenas[0], &arenas[1],
                               &stream, &err),
             &err);
    run_forward(run, &batch, &options, &stream, &arenas[2], &arenas[3]);
    for (int k = 0; k <= MODULES; k++) {
        const struct tensor hidden = k == 0 ? run->hidden : run->mtp[k - 1].hidden;
        CHECK_EQ(hidden.rows, LENGTH - k);
        model_logits(w->model, &stream, tensor_of(logits[k], DTYPE_F32, LENGTH - k, VOCAB), hidden);
        CHECK_OK(stream_check(&stream, &err), &err);
        for (int i = 0; i < LENGTH - k; i++) {
            const float *row = logits[k] + (int64_t)i * VOCAB;
            out->nats[k] -= log_probability(row, tokens[i + k + 1]);
            out->agreed[k] += likeliest(row) == likeliest(logits[0] + (int64_t)(i + k) * VOCAB);
        }
        out->tokens[k] += LENGTH - k;
    }
    for (int i = 0; i < 4; i++) arena_free(&arenas[i]);
}

static void every_head_is_measured_as_its_logits_say(void) {
    struct world w;
    struct expected expected = {0};
    struct run *run = NULL;
    world_open(&w, "v3-mtp2");
    const int64_t windows = shard_set_samples(w.set, LENGTH);
    CHECK(windows > 10 && windows % 4 != 0);
    CHECK_OK(run_new(&run, w.model, &err), &err);
    for (int64_t i = 0; i < windows; i++) add_window(&w, run, i, &expected);
    run_free(run);

    struct perplexity result;
    const struct perplexity_options options = {.length = LENGTH, .micro = 4, .with_mtp = true};
    CHECK_OK(perplexity_measure(&result, w.model, w.set, &options, &err), &err);
    CHECK_EQ(result.windows, windows);
    CHECK_EQ(result.tokens, expected.tokens[0]);
    CHECK_NEAR(result.nats, expected.nats[0] / (double)expected.tokens[0], 1e-5);
    CHECK_EQ(result.mtp_modules, MODULES);
    for (int k = 0; k < MODULES; k++) {
        const double tokens = (double)expected.tokens[k + 1];
        harness_context("module %d", k + 1);
        CHECK_EQ(result.mtp[k].tokens, expected.tokens[k + 1]);
        CHECK_NEAR(result.mtp[k].nats, expected.nats[k + 1] / tokens, 1e-5);
        CHECK_NEAR(result.mtp[k].agreement, (double)expected.agreed[k + 1] / tokens, 1e-12);
        CHECK(result.mtp[k].agreement < 1);
    }
    CHECK(expected.agreed[0] == expected.tokens[0]);
    world_close(&w);
}

static void a_model_without_modules_is_refused_mtp_only(void) {
    struct world w;
    struct perplexity result;
    struct perplexity_options options = {.length = LENGTH, .most = 2, .with_mtp = true};
    world_open(&w, "v2-lite");
    CHECK_STATUS(perplexity_measure(&result, w.model, w.set, &options, &err), FATHOM_UNSUPPORTED);
    CHECK_HAS(err.text, "has 0 MTP modules");
    options.with_mtp = false;
    CHECK_OK(perplexity_measure(&result, w.model, w.set, &options, &err), &err);
    CHECK_EQ(result.tokens, 2 * LENGTH);
    CHECK_EQ(result.mtp_modules, 0);
    world_close(&w);
}

static const struct test tests[] = {
    TEST(every_head_is_measured_as_its_logits_say),
    TEST(a_model_without_modules_is_refused_mtp_only),
};
HARNESS_MAIN(tests)
