#include "infer/session.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"

enum { DEFAULT_CHUNK = 256 };

struct session {
    const struct model *model;
    struct stream stream;
    struct kv_cache *cache;
    int32_t *tokens; /* [positions] the timeline */
    int64_t length, positions, chunk;
    struct arena host, device, kept, scratch;
    void *blocks[3];
    float *logits;    /* [V] host */
    double *wide;     /* [V] host; F64 devices only */
    int64_t computed; /* tokens whose logits were last asked for; 0: none */
};

/* What one chunk takes: the forward itself on measuring arenas. */
struct chunk_bytes {
    size_t host, device, kept, scratch;
};

/* Hidden states [count, D], then the logits [1, V] of the last. */
static fathom_status chunk_forward(const struct model *model, struct stream *stream,
                                   const struct inference_part *part, struct kv_cache *cache,
                                   struct arena *host, struct arena *device, struct arena *kept,
                                   struct arena *scratch, struct tensor *logits,
                                   struct error *err) {
    const struct model_config *c = &model->config;
    struct batch batch;
    const struct pass pass = {.model = model};
    TRY(inference_batch_build(&batch, part, 1, c->vocab, host, device, stream, err));
    struct tensor hidden = pass_tensor(&pass, device, part->count, c->dim);
    *logits = pass_tensor(&pass, device, 1, c->vocab);
    model_infer(model, stream, &batch, cache, kept, scratch, hidden);
    model_logits(model, stream, *logits, tensor_rows(hidden, part->count - 1, 1));
    TRY(arena_check(device, "a chunk", err));
    TRY(arena_check(kept, "a chunk", err));
    return arena_check(scratch, "a chunk", err);
}

static fathom_status measure_chunk(struct session *s, struct chunk_bytes *bytes,
                                   struct error *err) {
    struct arena host, device, kept, scratch;
    struct stream dry;
    struct tensor logits;
    const struct inference_part part = {.tokens = s->tokens, .count = s->chunk};
    stream_init_dry(&dry, s->model->device);
    arena_measure(&host);
    arena_measure(&device);
    TRY(inference_batch_build(&(struct batch){0}, &part, 1, s->model->config.vocab, &host, &device,
                              &dry, err));
    bytes->host = host.peak;
    /* the spans are read by the pass: they need real memory */
    TRY(arena_new(&s->host, bytes->host, "a chunk", err));
    arena_measure(&device);
    arena_measure(&kept);
    arena_measure(&scratch);
    TRY(chunk_forward(s->model, &dry, &part, s->cache, &s->host, &device, &kept, &scratch, &logits,
                      err));
    bytes->device = device.peak;
    bytes->kept = kept.peak;
    bytes->scratch = scratch.peak;
    return FATHOM_OK;
}

static fathom_status take(struct session *s, struct arena *arena, int block, size_t bytes,
                          struct error *err) {
    TRY(device_allocate(s->model->device, &s->blocks[block], bytes, "a session", err));
    arena_over(arena, s->blocks[block], bytes);
    return FATHOM_OK;
}

static fathom_status session_fill(struct session *s, const struct session_options *options,
                                  struct error *err) {
    struct chunk_bytes bytes;
    if (options->positions < 1)
        RAISE(FATHOM_USAGE, "a session of %lld positions", (long long)options->positions);
    s->positions = options->positions;
    s->chunk = options->chunk > 0 ? options->chunk : DEFAULT_CHUNK;
    if (s->chunk > s->positions) s->chunk = s->positions;
    stream_init(&s->stream, s->model->device);
    TRY(MEM_NEW(&s->tokens, s->positions, "a session", err));
    TRY(MEM_NEW(&s->logits, s->model->config.vocab, "a session", err));
    if (s->model->device->compute == DTYPE_F64)
        TRY(MEM_NEW(&s->wide, s->model->config.vocab, "a session", err));
    TRY(kv_cache_new(&s->cache, s->model, s->positions, err));
    TRY(measure_chunk(s, &bytes, err));
    TRY(take(s, &s->device, 0, bytes.device, err));
    TRY(take(s, &s->kept, 1, bytes.kept, err));
    return take(s, &s->scratch, 2, bytes.scratch, err);
}

fathom_status session_new(struct session **out, const struct model *model,
                          const struct session_options *options, struct error *err) {
    struct session *s = NULL;
    *out = NULL;
    TRY(MEM_NEW(&s, 1, "a session", err));
    s->model = model;
    fathom_status status = session_fill(s, options, err);
    if (status != FATHOM_OK)
        session_free(s);
    else
        *out = s;
    return status;
}

void session_free(struct session *s) {
    if (!s) return;
    kv_cache_free(s->cache);
    arena_free(&s->host);
    for (int i = 0; i < 3; i++) device_release(s->model->device, s->blocks[i]);
    mem_free(s->tokens);
    mem_free(s->logits);
    mem_free(s->wide);
    mem_free(s);
}

static fathom_status fetch_logits(struct session *s, struct tensor logits, struct error *err) {
    void *to = s->wide ? (void *)s->wide : (void *)s->logits;
    stream_download(&s->stream, to, logits.data, (size_t)logits.cols * dtype_size(logits.dtype));
    TRY(stream_check(&s->stream, err));
    for (int64_t i = 0; i < logits.cols; i++) {
        if (s->wide) s->logits[i] = (float)s->wide[i];
        if (!isfinite(s->logits[i]))
            RAISE(FATHOM_NOT_FINITE,
                  "the logit of token %lld is not a number: are the weights whole?", (long long)i);
    }
    return FATHOM_OK;
}

static fathom_status compute_chunk(struct session *s, const int32_t *tokens, int64_t count,
                                   bool is_last, struct error *err) {
    struct tensor logits;
    const struct inference_part part = {.tokens = tokens, .count = count, .first = s->length};
    arena_reset(&s->host, 0);
    arena_reset(&s->device, 0);
    TRY(chunk_forward(s->model, &s->stream, &part, s->cache, &s->host, &s->device, &s->kept,
                      &s->scratch, &logits, err));
    TRY(stream_check(&s->stream, err));
    if (is_last) TRY(fetch_logits(s, logits, err));
    memcpy(s->tokens + s->length, tokens, (size_t)count * sizeof *tokens);
    s->length += count;
    return FATHOM_OK;
}

fathom_status session_sync(struct session *s, const int32_t *tokens, int64_t count,
                           struct error *err) {
    int64_t common = 0;
    if (count < 1) RAISE(FATHOM_USAGE, "a session needs at least one token");
    if (count > s->positions)
        RAISE(FATHOM_USAGE, "%lld tokens do not fit the session's %lld positions", (long long)count,
              (long long)s->positions);
    while (common < s->length && common < count && s->tokens[common] == tokens[common]) common++;
    if (common == count && s->length == count && s->computed == count) return FATHOM_OK;
    if (common == count) common--; /* the last token's logits are wanted again */
    s->length = common;
    s->computed = 0;
    while (s->length < count) {
        int64_t part = count - s->length < s->chunk ? count - s->length : s->chunk;
        TRY(compute_chunk(s, tokens + s->length, part, s->length + part == count, err));
    }
    s->computed = count;
    return FATHOM_OK;
}

const float *session_logits(const struct session *s) { return s->logits; }
int64_t session_length(const struct session *s) { return s->length; }
