/* A model on a device with everything a pass needs, for the tests of model/. */
#ifndef MODEL_TEST_H
#define MODEL_TEST_H

#include <stdio.h>

#include "base/memory.h"
#include "base/rng.h"
#include "harness.h"
#include "model/files.h"
#include "model/run.h"

static const char *const golden_names[] = {"v3",    "v3-mtp2", "v2",    "v2-lite",
                                           "qwen2", "qwen3",   "llama3"};
enum { GOLDEN_COUNT = sizeof golden_names / sizeof golden_names[0], MAX_SEQUENCES = 8 };

struct fixture {
    struct engine *engine;
    struct device *device;
    struct model *model;
    struct run *run;
    struct stream stream;
    struct arena host, batch, kept, scratch;
    struct sequence sequences[MAX_SEQUENCES];
    int32_t tokens[MAX_SEQUENCES][64];
    struct train_batch train;
};

static inline void fixture_open(struct fixture *f, const char *golden, const char *isa,
                                int threads) {
    char path[1024];
    struct error err = {0};
    memset(f, 0, sizeof *f);
    snprintf(path, sizeof path, "%s/golden/%s", TESTS_SOURCE_DIR, golden);
    CHECK_OK(engine_new(&f->engine, threads, &err), &err);
    CHECK_OK(device_open(&f->device, f->engine, "cpu", isa, &err), &err);
    CHECK_OK(model_open(&f->model, f->device, path, MODEL_GRADS, &err), &err);
    CHECK_OK(run_new(&f->run, f->model, &err), &err);
    stream_init(&f->stream, f->device);
    CHECK_OK(arena_new(&f->host, 1 << 20, "host", &err), &err);
    CHECK_OK(arena_new(&f->batch, 1 << 20, "batch", &err), &err);
    CHECK_OK(arena_new(&f->kept, 16 << 20, "kept", &err), &err);
    CHECK_OK(arena_new(&f->scratch, 16 << 20, "scratch", &err), &err);
    for (uint64_t s = 0; s < MAX_SEQUENCES; s++)
        for (uint64_t i = 0; i < 64; i++)
            f->tokens[s][i] = (int32_t)rng_below((struct rng_key){3, RNG_TEST, s}, i,
                                                 (uint64_t)f->model->config.vocab);
}

static inline void fixture_close(struct fixture *f) {
    run_free(f->run);
    model_free(f->model);
    device_close(f->device);
    engine_free(f->engine);
    arena_free(&f->host);
    arena_free(&f->batch);
    arena_free(&f->kept);
    arena_free(&f->scratch);
}

/* A batch of sequences first .. first + count - 1 of these lengths; coefficients are powers of two,
 * which F32 holds exactly. */
static inline void fixture_batch(struct fixture *f, int first, int count, const int64_t *lengths) {
    static const double mtp_coef[] = {0x1p-6, 0x1p-7};
    struct error err = {0};
    const struct train_batch_options options = {.coef = 0x1p-5,
                                                .mtp_coef = mtp_coef,
                                                .modules = f->model->config.mtp_modules,
                                                .vocab = f->model->config.vocab};
    for (int i = 0; i < count; i++)
        f->sequences[i] = (struct sequence){.tokens = f->tokens[first + i], .count = lengths[i]};
    arena_reset(&f->host, 0);
    arena_reset(&f->batch, 0);
    CHECK_OK(train_batch_build(&f->train, f->sequences, count, &options, &f->host, &f->batch,
                               &f->stream, &err),
             &err);
}

static inline void fixture_pass(struct fixture *f, const struct run_options *options,
                                bool with_gradients) {
    struct error err = {0};
    arena_reset(&f->kept, 0);
    arena_reset(&f->scratch, 0);
    run_forward(f->run, &f->train, options, &f->stream, &f->kept, &f->scratch);
    run_heads(f->run, with_gradients);
    if (with_gradients) run_backward(f->run);
    CHECK_OK(stream_check(&f->stream, &err), &err);
    CHECK_OK(arena_check(&f->kept, "kept", &err), &err);
    CHECK_OK(arena_check(&f->scratch, "scratch", &err), &err);
}

#endif
