#include "data/build.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"

enum { BATCH_DOCUMENTS = 4096 };
#define BATCH_BYTES ((size_t)16 << 20)

/* A document of the batch, and its tokens once encoded. */
struct item {
    size_t begin, size; /* in batch->bytes */
    struct token_list tokens;
    fathom_status status;
    struct error err; /* when status is not FATHOM_OK */
};

struct builder {
    const struct build_options *options;
    struct doc_reader *reader;
    struct pool *pool;
    struct shard_writer *writer;
    struct encoder **encoders; /* [threads] */
    struct text bytes;         /* the batch's documents, one after the other */
    struct item *items;        /* [BATCH_DOCUMENTS] */
    size_t count;
    struct build_result *result;
};

bool build_is_heldout(const char *bytes, size_t size, double share, uint64_t seed) {
    uint64_t hash = hash_bytes_seeded(bytes, size, seed);
    return (double)(hash >> 11) * 0x1p-53 < share;
}

/* ---- tokenizers ---- */

struct shard_tokenizer build_shard_tokenizer(const struct tokenizer *tokenizer) {
    return (struct shard_tokenizer){
        .hash = tokenizer_hash(tokenizer),
        .vocab_size = tokenizer_vocab_size(tokenizer),
        .eos = tokenizer_eos(tokenizer),
        .bos = tokenizer_bos(tokenizer),
    };
}

fathom_status build_check_tokenizer(struct shard_tokenizer made_with,
                                    const struct tokenizer *tokenizer, const char *what,
                                    struct error *err) {
    struct shard_tokenizer given = build_shard_tokenizer(tokenizer);
    if (made_with.vocab_size != given.vocab_size)
        RAISE(FATHOM_BAD_INPUT,
              "%s: made with a tokenizer of %d tokens, but the one given has %d; build it again",
              what, made_with.vocab_size, given.vocab_size);
    if (made_with.hash != given.hash)
        RAISE(FATHOM_BAD_INPUT,
              "%s: made with another tokenizer (hash %016" PRIx64 ", the one given has %016" PRIx64
              "); build it again",
              what, made_with.hash, given.hash);
    if (made_with.eos != given.eos)
        RAISE(FATHOM_BAD_INPUT, "%s: documents end with token %d, but the tokenizer's eos is %d",
              what, made_with.eos, given.eos);
    return FATHOM_OK;
}

/* ---- a batch ---- */

static fathom_status read_batch(struct builder *b, bool *is_end, struct error *err) {
    struct document document;
    b->count = 0;
    text_clear(&b->bytes);
    *is_end = false;
    while (b->count < BATCH_DOCUMENTS && b->bytes.size < BATCH_BYTES) {
        TRY(doc_reader_next(b->reader, &document, is_end, err));
        if (*is_end) break;
        struct item *item = &b->items[b->count++];
        item->begin = b->bytes.size;
        item->size = document.size;
        text_append(&b->bytes, document.bytes, document.size);
    }
    return text_check(&b->bytes, err);
}

static void encode_item(void *arg, int64_t tile, int worker) {
    struct builder *b = arg;
    struct item *item = &b->items[tile];
    item->tokens.count = 0;
    item->status = encoder_encode(b->encoders[worker], b->bytes.data + item->begin, item->size,
                                  false, &item->tokens, &item->err);
}

static fathom_status write_item(struct builder *b, const struct item *item, struct error *err) {
    const char *bytes = b->bytes.data + item->begin;
    bool is_heldout =
        build_is_heldout(bytes, item->size, b->options->heldout_share, b->options->seed);
    enum shard_split split = is_heldout ? SHARD_HELDOUT : SHARD_TRAIN;
    if (item->status != FATHOM_OK) {
        error_set(err, item->status, "%s", item->err.text);
        return error_prefix(err, "a document of %zu bytes cannot be encoded", item->size);
    }
    TRY(shard_writer_append(b->writer, split, item->tokens.ids, (int64_t)item->tokens.count,
                            (int64_t)item->size, err));
    b->result->documents[split]++;
    b->result->tokens[split] += (int64_t)item->tokens.count + 1;
    b->result->text_bytes[split] += (int64_t)item->size;
    return FATHOM_OK;
}

static void show_progress(const struct builder *b, double begin) {
    const struct build_result *r = b->result;
    char text[32], rate[32], tokens[32];
    double bytes = (double)(r->text_bytes[0] + r->text_bytes[1]);
    if (!b->options->log) return;
    log_progress(b->options->log, false, "%s of text, %s tokens, %s/s", format_bytes(text, bytes),
                 format_count(tokens, (double)(r->tokens[0] + r->tokens[1])),
                 format_bytes(rate, clock_rate(bytes, clock_since(begin))));
}

static fathom_status check_result(const struct builder *b, struct error *err) {
    int64_t train = b->result->documents[SHARD_TRAIN];
    int64_t heldout = b->result->documents[SHARD_HELDOUT];
    if (train + heldout == 0) RAISE(FATHOM_BAD_INPUT, "the input holds no text");
    if (train == 0)
        RAISE(FATHOM_BAD_INPUT,
              "the input holds no document to train on: all %" PRId64 " fell into the held-out "
              "split; give more documents or a smaller share",
              heldout);
    if (heldout == 0 && b->options->heldout_share > 0 && b->options->log)
        log_line(b->options->log, LOG_INFO,
                 "none of the %" PRId64 " documents fell into the held-out split; a .txt file is "
                 "one document, JSONL has one on every line",
                 train);
    return FATHOM_OK;
}

static fathom_status build_all(struct builder *b, struct error *err) {
    double begin = clock_seconds();
    bool is_end = false;
    while (!is_end) {
        TRY(read_batch(b, &is_end, err));
        pool_run(b->pool, (int64_t)b->count, encode_item, b);
        for (size_t i = 0; i < b->count; i++) TRY(write_item(b, &b->items[i], err));
        show_progress(b, begin);
        if (interrupt_requested()) RAISE(FATHOM_INTERRUPTED, "stopped; nothing was written");
    }
    return check_result(b, err);
}

/* ---- the whole ---- */

static fathom_status builder_open(struct builder *b, const char *directory,
                                  const struct tokenizer *tokenizer, struct error *err) {
    const struct shard_writer_options options = {
        .tokenizer = build_shard_tokenizer(tokenizer),
        .tokens_per_shard = b->options->tokens_per_shard,
        .replace = b->options->replace,
    };
    if (!(b->options->heldout_share >= 0 && b->options->heldout_share < 1))
        RAISE(FATHOM_USAGE, "a held-out share of %g: it must lie in [0, 1)",
              b->options->heldout_share);
    if (options.tokenizer.eos < 0)
        RAISE(FATHOM_BAD_INPUT, "the tokenizer names no eos_token, which ends documents");
    TRY(MEM_NEW(&b->items, BATCH_DOCUMENTS, "a batch of documents", err));
    TRY(mem_new((void **)&b->encoders, (size_t)pool_threads(b->pool), sizeof(struct encoder *),
                "encoders", err));
    for (int i = 0; i < pool_threads(b->pool); i++)
        TRY(encoder_new(&b->encoders[i], tokenizer, err));
    return shard_writer_open(&b->writer, directory, &options, err);
}

static void builder_close(struct builder *b) {
    shard_writer_abort(b->writer);
    for (int i = 0; b->encoders && i < pool_threads(b->pool); i++) encoder_free(b->encoders[i]);
    for (size_t i = 0; b->items && i < BATCH_DOCUMENTS; i++) token_list_free(&b->items[i].tokens);
    mem_free(b->encoders);
    mem_free(b->items);
    text_free(&b->bytes);
}

fathom_status build_shards(const char *directory, struct doc_reader *reader,
                           const struct tokenizer *tokenizer, struct pool *pool,
                           const struct build_options *options, struct build_result *result,
                           struct error *err) {
    struct builder b = {.options = options, .reader = reader, .pool = pool, .result = result};
    *result = (struct build_result){0};
    fathom_status status = builder_open(&b, directory, tokenizer, err);
    if (status == FATHOM_OK) status = build_all(&b, err);
    if (status == FATHOM_OK) {
        status = shard_writer_commit(b.writer, err);
        b.writer = NULL;
    }
    builder_close(&b);
    return status;
}
