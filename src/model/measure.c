/* The memory of a training pass: the pass itself, run on arenas that only count. */
#include "base/memory.h"
#include "model/run.h"

struct measure {
    struct run *run;
    struct sequence *sequences;
    int32_t *tokens;
    struct arena host;
};

static fathom_status measure_batch(struct measure *m, struct train_batch *batch, int64_t count,
                                   const struct train_batch_options *options, size_t *host_bytes,
                                   struct arena *device, struct stream *stream, struct error *err) {
    struct arena host;
    arena_measure(&host);
    TRY(train_batch_build(batch, m->sequences, count, options, &host, device, stream, err));
    *host_bytes = host.peak;
    TRY(arena_new(&m->host, host.peak, "a batch", err));
    arena_measure(device);
    return train_batch_build(batch, m->sequences, count, options, &m->host, device, stream, err);
}

static fathom_status measure_pass(struct measure *m, struct run_bytes *bytes,
                                  const struct model *model, int64_t count, int64_t length,
                                  const struct run_options *options, struct error *err) {
    TRY(run_new(&m->run, model, err));
    TRY(MEM_NEW(&m->tokens, length + 1, "a batch", err));
    TRY(MEM_NEW(&m->sequences, count, "a batch", err));
    for (int64_t i = 0; i < count; i++)
        m->sequences[i] = (struct sequence){.tokens = m->tokens, .count = length};

    const bool is_last = stage_is_last(model->stage, &model->config);
    const int64_t modules = stage_mtp_modules(model->stage, &model->config);
    const struct train_batch_options batch_options = {
        .modules = modules, .vocab = model->config.vocab, .wants_top = options->wants_top};
    struct stream stream;
    struct train_batch batch;
    struct arena device, kept, scratch;
    stream_init_dry(&stream, model->device);
    arena_measure(&device);
    arena_measure(&kept);
    arena_measure(&scratch);
    TRY(measure_batch(m, &batch, count, &batch_options, &bytes->host, &device, &stream, err));
    struct run_options placed = *options;
    if (!stage_is_first(model->stage)) placed.input = run_take_stream(model, &batch, &kept);
    run_forward(m->run, &batch, &placed, &stream, &kept, &scratch);
    if (is_last) run_heads(m->run, !options->only_measures);
    if (!is_last && !options->only_measures) run_take_gradient(m->run);
    if (!options->only_measures) run_backward(m->run);
    bytes->device = device.peak;
    bytes->kept = kept.peak;
    bytes->scratch = scratch.peak;
    return FATHOM_OK;
}

fathom_status run_measure(struct run_bytes *bytes, const struct model *model, int64_t count,
                          int64_t length, const struct run_options *options, struct error *err) {
    struct measure m = {0};
    *bytes = (struct run_bytes){0};
    fathom_status status = measure_pass(&m, bytes, model, count, length, options, err);
    run_free(m.run);
    mem_free(m.tokens);
    mem_free(m.sequences);
    arena_free(&m.host);
    return status;
}
