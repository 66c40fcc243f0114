#include "model/batch.h"

#include <string.h>

/* The arrays of one batch, as the host fills them before they are sent. */
struct batch_arrays {
    int32_t *tokens, *positions, *targets, *previous; /* [T] */
    float *coef;                                      /* [T] */
};

/* Sequences of n tokens give n - shift rows; shift is 0 for the main batch, k for MTP module k. */
static int64_t rows_of(const struct sequence *s, int64_t shift) {
    return s->count > shift ? s->count - shift : 0;
}

static void spans_fill(struct batch *batch, const struct sequence *sequences, int64_t count,
                       int64_t shift) {
    int64_t row = 0;
    for (int64_t i = 0; i < count; i++) {
        int64_t rows = rows_of(&sequences[i], shift);
        if (rows == 0) continue;
        if (batch->spans && batch->keeps_all) {
            batch->spans[batch->span_count] =
                (struct span){.row = row, .count = rows, .first = 0, .kv_row = row};
            batch->keeps_all[batch->span_count] = sequences[i].keeps_all_slots;
        }
        batch->span_count++;
        row += rows;
    }
    batch->tokens_count = row;
}

/* Row i of a sequence under `shift`: token i + shift at position i, target token i + shift + 1. */
static void arrays_fill(struct batch_arrays *to, const struct sequence *sequences, int64_t count,
                        int64_t shift, double coef) {
    int64_t row = 0, previous = 0;
    for (int64_t i = 0; i < count; i++) {
        const struct sequence *s = &sequences[i];
        for (int64_t position = 0; position < rows_of(s, shift); position++, row++) {
            to->tokens[row] = s->tokens[position + shift];
            to->targets[row] = s->tokens[position + shift + 1];
            to->positions[row] = (int32_t)position;
            to->previous[row] = (int32_t)(previous + position);
            double own = s->coef ? (double)s->coef[position + shift] : 1;
            to->coef[row] = (float)(own * coef);
        }
        previous += rows_of(s, shift - 1);
    }
}

static void send_i32(struct stream *stream, struct arena *device, const int32_t **to,
                     const int32_t *from, int64_t count) {
    int32_t *block = ARENA_TAKE(device, int32_t, count);
    stream_upload(stream, block, from, (size_t)count * sizeof *from);
    *to = block;
}

static void send_f32(struct stream *stream, struct arena *device, const float **to,
                     const float *from, int64_t count) {
    float *block = ARENA_TAKE(device, float, count);
    stream_upload(stream, block, from, (size_t)count * sizeof *from);
    *to = block;
}

/* What train_batch_build works on. */
struct batch_builder {
    const struct sequence *sequences;
    int64_t count;
    const struct train_batch_options *options;
    struct arena *host, *device;
    struct stream *stream;
};

/* One batch with its predictions; `previous` is wanted for MTP modules. */
static void batch_fill(const struct batch_builder *b, int64_t shift, double coef,
                       struct batch *batch, struct predictions *p, const int32_t **previous) {
    struct arena *host = b->host, *device = b->device;
    *batch = (struct batch){.spans = ARENA_TAKE(host, struct span, b->count),
                            .keeps_all = ARENA_TAKE(host, bool, b->count)};
    spans_fill(batch, b->sequences, b->count, shift);
    int64_t T = batch->tokens_count;
    size_t mark = arena_mark(host);
    struct batch_arrays arrays = {
        .tokens = ARENA_TAKE(host, int32_t, T),
        .positions = ARENA_TAKE(host, int32_t, T),
        .targets = ARENA_TAKE(host, int32_t, T),
        .previous = ARENA_TAKE(host, int32_t, T),
        .coef = ARENA_TAKE(host, float, T),
    };
    if (arrays.coef) arrays_fill(&arrays, b->sequences, b->count, shift, coef);
    send_i32(b->stream, device, &batch->tokens, arrays.tokens, T);
    send_i32(b->stream, device, &batch->positions, arrays.positions, T);
    send_i32(b->stream, device, &p->targets, arrays.targets, T);
    send_f32(b->stream, device, &p->coef, arrays.coef, T);
    if (previous) send_i32(b->stream, device, previous, arrays.previous, T);
    arena_reset(host, mark);

    p->logp = ARENA_TAKE(device, float, T);
    p->entropy = b->options->wants_entropy ? ARENA_TAKE(device, float, T) : NULL;
    p->top = b->options->wants_top ? ARENA_TAKE(device, int32_t, T) : NULL;
}

static fathom_status check_tokens(const int32_t *tokens, int64_t count, int64_t vocab,
                                  struct error *err) {
    for (int64_t i = 0; i < count; i++)
        if (tokens[i] < 0 || tokens[i] >= vocab)
            RAISE(FATHOM_BAD_INPUT,
                  "token %d at place %lld is outside the vocabulary of %lld: is this the model's "
                  "tokenizer?",
                  tokens[i], (long long)i, (long long)vocab);
    return FATHOM_OK;
}

fathom_status train_batch_build(struct train_batch *out, const struct sequence *sequences,
                                int64_t count, const struct train_batch_options *options,
                                struct arena *host, struct arena *device, struct stream *stream,
                                struct error *err) {
    *out = (struct train_batch){.mtp_modules = options->modules};
    for (int64_t i = 0; i < count && host->base; i++)
        TRY(check_tokens(sequences[i].tokens, sequences[i].count + 1, options->vocab, err));
    const struct batch_builder builder = {sequences, count, options, host, device, stream};
    batch_fill(&builder, 0, options->coef, &out->batch, &out->predictions, NULL);
    out->mtp = ARENA_TAKE(host, struct mtp_batch, options->modules);
    for (int64_t k = 1; k <= options->modules; k++) {
        struct mtp_batch unseen = {0}; /* while measuring there is no array to fill */
        struct mtp_batch *mtp = out->mtp ? &out->mtp[k - 1] : &unseen;
        double coef = options->mtp_coef ? options->mtp_coef[k - 1] : 0;
        batch_fill(&builder, k, coef, &mtp->batch, &mtp->predictions, &mtp->previous);
    }
    TRY(arena_check(host, "a batch", err));
    return arena_check(device, "a batch", err);
}

fathom_status inference_batch_build(struct batch *out, const struct inference_part *parts,
                                    int64_t count, int64_t vocab, struct arena *host,
                                    struct arena *device, struct stream *stream,
                                    struct error *err) {
    *out = (struct batch){.spans = ARENA_TAKE(host, struct span, count), .span_count = count};
    for (int64_t i = 0; i < count; i++) {
        TRY(check_tokens(parts[i].tokens, host->base ? parts[i].count : 0, vocab, err));
        if (out->spans)
            out->spans[i] = (struct span){.row = out->tokens_count,
                                          .count = parts[i].count,
                                          .first = parts[i].first,
                                          .kv_row = parts[i].cache_row};
        out->tokens_count += parts[i].count;
    }
    size_t mark = arena_mark(host);
    int32_t *tokens = ARENA_TAKE(host, int32_t, out->tokens_count);
    int32_t *positions = ARENA_TAKE(host, int32_t, out->tokens_count);
    for (int64_t i = 0, row = 0; i < count && positions; row += parts[i].count, i++) {
        memcpy(tokens + row, parts[i].tokens, (size_t)parts[i].count * sizeof *tokens);
        for (int64_t j = 0; j < parts[i].count; j++)
            positions[row + j] = (int32_t)(parts[i].first + j);
    }
    send_i32(stream, device, &out->tokens, tokens, out->tokens_count);
    send_i32(stream, device, &out->positions, positions, out->tokens_count);
    arena_reset(host, mark);
    TRY(arena_check(host, "a batch", err));
    return arena_check(device, "a batch", err);
}
