#include "eval/perplexity.h"

#include <math.h>

#include "base/clock.h"
#include "base/memory.h"

enum { DEFAULT_MICRO = 8 };

struct measure {
    const struct model *model;
    const struct shard_set *set;
    const struct perplexity_options *options;
    int64_t micro, windows;
    struct run *run;
    struct stream stream;
    struct arena host, device, kept, scratch;
    int32_t *tokens;            /* [micro, length + 1] */
    struct sequence *sequences; /* [micro] */
    float *logp;                /* [micro * length] host */
    int32_t *top, *mtp_top;     /* [micro * length] host: of the model, of one module */
    double sum;
    int64_t modules; /* that are measured */
    int64_t mtp_tokens[PERPLEXITY_MTP_MOST], mtp_agreed[PERPLEXITY_MTP_MOST];
    double mtp_sum[PERPLEXITY_MTP_MOST];
};

static fathom_status measure_fill(struct measure *m, struct error *err) {
    const struct run_options options = {.only_measures = true, .wants_top = m->modules > 0};
    int64_t length = m->options->length;
    struct run_bytes bytes;
    stream_init(&m->stream, m->model->device);
    TRY(run_measure(&bytes, m->model, m->micro, length, &options, err));
    TRY(run_new(&m->run, m->model, err));
    TRY(arena_new(&m->host, bytes.host, "evaluation", err));
    TRY(arena_new(&m->device, bytes.device, "evaluation", err));
    TRY(arena_new(&m->kept, bytes.kept, "evaluation", err));
    TRY(arena_new(&m->scratch, bytes.scratch, "evaluation", err));
    TRY(MEM_NEW(&m->tokens, m->micro * (length + 1), "evaluation", err));
    TRY(MEM_NEW(&m->sequences, m->micro, "evaluation", err));
    TRY(MEM_NEW(&m->top, m->micro * length, "evaluation", err));
    TRY(MEM_NEW(&m->mtp_top, m->micro * length, "evaluation", err));
    return MEM_NEW(&m->logp, m->micro * length, "evaluation", err);
}

static void measure_free(struct measure *m) {
    run_free(m->run);
    arena_free(&m->host);
    arena_free(&m->device);
    arena_free(&m->kept);
    arena_free(&m->scratch);
    mem_free(m->tokens);
    mem_free(m->sequences);
    mem_free(m->logp);
    mem_free(m->top);
    mem_free(m->mtp_top);
}

/* Adds -log p of a head's rows to *sum; their likeliest tokens go to `top` where it is given. */
static fathom_status measure_head(struct measure *m, const struct predictions *p, int64_t rows,
                                  double *sum, int32_t *top, struct error *err) {
    stream_download(&m->stream, m->logp, p->logp, (size_t)rows * sizeof(float));
    if (top) stream_download(&m->stream, top, p->top, (size_t)rows * sizeof(int32_t));
    TRY(stream_check(&m->stream, err));
    for (int64_t i = 0; i < rows; i++) *sum -= (double)m->logp[i];
    return FATHOM_OK;
}

/* Row i of module k (from 0) and row i + k + 1 of the model predict the same token. */
static fathom_status measure_module(struct measure *m, const struct train_batch *batch, int64_t k,
                                    struct error *err) {
    const struct batch *rows = &batch->mtp[k].batch;
    TRY(measure_head(m, &batch->mtp[k].predictions, rows->tokens_count, &m->mtp_sum[k], m->mtp_top,
                     err));
    m->mtp_tokens[k] += rows->tokens_count;
    for (int64_t s = 0; s < rows->span_count; s++) {
        const int32_t *ours = m->top + batch->batch.spans[s].row + k + 1;
        const int32_t *its = m->mtp_top + rows->spans[s].row;
        for (int64_t i = 0; i < rows->spans[s].count; i++) m->mtp_agreed[k] += its[i] == ours[i];
    }
    return FATHOM_OK;
}

/* Adds -log p of windows [first, first + count). */
static fathom_status measure_windows(struct measure *m, int64_t first, int64_t count,
                                     struct error *err) {
    const struct run_options run_options = {.only_measures = true};
    const struct train_batch_options options = {
        .vocab = m->model->config.vocab, .modules = m->modules, .wants_top = m->modules > 0};
    int64_t length = m->options->length;
    struct train_batch batch;
    for (int64_t i = 0; i < count; i++) {
        int32_t *tokens = m->tokens + i * (length + 1);
        TRY(shard_set_sample(m->set, first + i, length, tokens, err));
        m->sequences[i] = (struct sequence){.tokens = tokens, .count = length};
    }
    arena_reset(&m->host, 0);
    arena_reset(&m->device, 0);
    arena_reset(&m->kept, 0);
    TRY(train_batch_build(&batch, m->sequences, count, &options, &m->host, &m->device, &m->stream,
                          err));
    run_forward(m->run, &batch, &run_options, &m->stream, &m->kept, &m->scratch);
    run_heads(m->run, false);
    TRY(measure_head(m, &batch.predictions, count * length, &m->sum, m->modules > 0 ? m->top : NULL,
                     err));
    for (int64_t k = 0; k < batch.mtp_modules; k++) TRY(measure_module(m, &batch, k, err));
    return FATHOM_OK;
}

static fathom_status measure_all(struct measure *m, struct error *err) {
    TRY(measure_fill(m, err));
    for (int64_t at = 0; at < m->windows; at += m->micro) {
        int64_t count = m->windows - at < m->micro ? m->windows - at : m->micro;
        TRY(measure_windows(m, at, count, err));
        if (interrupt_requested())
            RAISE(FATHOM_INTERRUPTED, "stopped after %lld of %lld windows", (long long)(at + count),
                  (long long)m->windows);
    }
    if (!isfinite(m->sum))
        RAISE(FATHOM_NOT_FINITE, "the loss is %g: are the weights whole?", m->sum);
    return FATHOM_OK;
}

fathom_status perplexity_measure(struct perplexity *result, const struct model *model,
                                 const struct shard_set *set,
                                 const struct perplexity_options *options, struct error *err) {
    struct measure m = {.model = model, .set = set, .options = options};
    double begin = clock_seconds();
    *result = (struct perplexity){0};
    m.micro = options->micro > 0 ? options->micro : DEFAULT_MICRO;
    m.windows = shard_set_samples(set, options->length);
    if (options->most > 0 && m.windows > options->most) m.windows = options->most;
    if (m.windows == 0)
        RAISE(FATHOM_BAD_INPUT, "the split holds %lld tokens, not one window of %lld",
              (long long)shard_set_tokens(set), (long long)options->length);
    if (m.micro > m.windows) m.micro = m.windows;
    if (options->with_mtp) m.modules = model->config.mtp_modules;
    if (options->with_mtp && (m.modules == 0 || m.modules > PERPLEXITY_MTP_MOST))
        RAISE(FATHOM_UNSUPPORTED, "the model has %lld MTP modules; 1 to %d can be measured",
              (long long)m.modules, PERPLEXITY_MTP_MOST);
    fathom_status status = measure_all(&m, err);
    measure_free(&m);
    TRY(status);
    double tokens = (double)(m.windows * options->length);
    double bytes = (double)shard_set_text_bytes(set) * tokens / (double)shard_set_tokens(set);
    *result = (struct perplexity){.windows = m.windows,
                                  .tokens = m.windows * options->length,
                                  .nats = m.sum / tokens,
                                  .bits_per_byte = bytes > 0 ? m.sum / log(2) / bytes : 0,
                                  .seconds = clock_since(begin),
                                  .mtp_modules = m.modules};
    for (int64_t k = 0; k < m.modules; k++) {
        const double predicted = (double)m.mtp_tokens[k];
        result->mtp[k].tokens = m.mtp_tokens[k];
        result->mtp[k].nats = predicted > 0 ? m.mtp_sum[k] / predicted : 0;
        result->mtp[k].agreement = predicted > 0 ? (double)m.mtp_agreed[k] / predicted : 0;
    }
    return FATHOM_OK;
}
