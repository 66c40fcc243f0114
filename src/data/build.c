#include "data/build.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "data/reader.h"

/* A batch is read, encoded in parallel, and appended in its order. Its end depends on the documents
 * alone, so the shards do too. */
enum { BATCH_DOCUMENTS = 1024, BATCH_BYTES = 8 << 20 };

struct batch_document {
    size_t at, size; /* in the batch's text */
    enum shard_split split;
    struct token_list tokens;
    fathom_status status;
    struct error err;
};

struct build {
    const struct build_options *options;
    struct doc_reader *reader;
    struct shard_writer *writer;
    struct encoder **encoders; /* [threads] */
    int threads;
    struct batch_document *documents; /* [BATCH_DOCUMENTS] */
    int count;                        /* documents in the batch */
    struct text text;
    uint64_t read_bytes;
    double started;
    struct build_counts *counts;
};

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

/* ---- batches ---- */

static enum shard_split split_of(const struct build *build, const void *bytes, size_t size) {
    uint64_t hash = hash_bytes_seeded(bytes, size, build->options->seed);
    double place = ldexp((double)(hash >> 11), -53);
    return place < build->options->heldout ? SHARD_HELDOUT : SHARD_TRAIN;
}

static fathom_status read_batch(struct build *build, bool *is_end, struct error *err) {
    build->count = 0;
    text_clear(&build->text);
    while (build->count < BATCH_DOCUMENTS && build->text.size < BATCH_BYTES) {
        struct document document;
        TRY(doc_reader_next(build->reader, &document, is_end, err));
        if (*is_end) break;
        struct batch_document *slot = &build->documents[build->count++];
        slot->at = build->text.size;
        slot->size = document.size;
        slot->split = split_of(build, document.bytes, document.size);
        slot->tokens.count = 0;
        text_append(&build->text, document.bytes, document.size);
    }
    build->read_bytes += build->text.size;
    return text_check(&build->text, err);
}

static void encode_one(void *arg, int64_t tile, int worker) {
    struct build *build = arg;
    struct batch_document *slot = &build->documents[tile];
    slot->status = encoder_encode(build->encoders[worker], text_data(&build->text) + slot->at,
                                  slot->size, false, &slot->tokens, &slot->err);
}

static fathom_status append_batch(struct build *build, struct error *err) {
    for (int i = 0; i < build->count; i++) {
        struct batch_document *slot = &build->documents[i];
        if (slot->status != FATHOM_OK) {
            if (err) *err = slot->err;
            return slot->status;
        }
        TRY(shard_writer_append(build->writer, slot->split, slot->tokens.ids,
                                (int64_t)slot->tokens.count, (int64_t)slot->size, err));
        build->counts->splits[slot->split].documents++;
        build->counts->splits[slot->split].tokens += (int64_t)slot->tokens.count + 1;
        build->counts->splits[slot->split].text_bytes += (int64_t)slot->size;
    }
    return FATHOM_OK;
}

static void report(const struct build *build, bool last) {
    char bytes[32], rate[32], tokens[32];
    double seconds = clock_seconds() - build->started;
    int64_t count = 0;
    if (!build->options->log) return;
    for (int i = 0; i < SHARD_SPLITS; i++) count += build->counts->splits[i].tokens;
    log_progress(build->options->log, last, "encoded %s of text to %s tokens, %s/s",
                 format_bytes(bytes, (double)build->read_bytes),
                 format_count(tokens, (double)count),
                 format_bytes(rate, seconds > 0 ? (double)build->read_bytes / seconds : 0));
}

static fathom_status encode_all(struct build *build, struct error *err) {
    bool is_end = false;
    while (!is_end) {
        if (build->options->is_interrupted && build->options->is_interrupted())
            RAISE(FATHOM_INTERRUPTED, "interrupted: %s was not written", build->options->out);
        TRY(read_batch(build, &is_end, err));
        pool_run(build->options->pool, build->count, encode_one, build);
        TRY(append_batch(build, err));
        report(build, is_end);
    }
    return FATHOM_OK;
}

/* ---- the whole ---- */

static fathom_status check_options(const struct build_options *options, struct error *err) {
    if (!(options->heldout >= 0 && options->heldout < 1))
        RAISE(FATHOM_USAGE, "a held-out share of %g: it must lie in [0, 1)", options->heldout);
    if (tokenizer_eos(options->tokenizer) < 0)
        RAISE(FATHOM_USAGE, "the tokenizer has no eos token, which must end every document");
    return FATHOM_OK;
}

static fathom_status check_counts(const struct build *build, struct error *err) {
    const struct build_counts *counts = build->counts;
    int64_t train = counts->splits[SHARD_TRAIN].documents;
    int64_t heldout = counts->splits[SHARD_HELDOUT].documents;
    if (train + heldout == 0)
        RAISE(FATHOM_BAD_INPUT, "%s%s: no text in it", build->options->paths[0],
              build->options->path_count > 1 ? " and the other files" : "");
    if (train == 0)
        RAISE(FATHOM_BAD_INPUT,
              "all %" PRId64
              " documents fell into the held-out split and none is left for training; "
              "give more documents or a smaller held-out share",
              heldout);
    if (heldout == 0 && build->options->heldout > 0 && build->options->log)
        log_line(build->options->log, LOG_INFO,
                 "none of the %" PRId64
                 " documents fell into the held-out split; a .txt file is one "
                 "document, JSONL has one on every line",
                 train);
    return FATHOM_OK;
}

/* build.json: how the dataset came to be, for people; nothing reads it. */
static fathom_status write_record(const struct build *build, struct error *err) {
    const struct build_options *options = build->options;
    struct text record = {0};
    char *path = NULL;
    struct file_writer *out = NULL;
    text_append_string(&record, "{\n  \"heldout\": ");
    json_write_f64(&record, options->heldout);
    text_printf(&record, ",\n  \"seed\": %" PRIu64 ",\n  \"field\": ", options->seed);
    const char *field = options->field ? options->field : "text";
    json_write_string(&record, field, strlen(field));
    text_append_string(&record, ",\n  \"files\": [");
    for (size_t i = 0; i < options->path_count; i++) {
        text_append_string(&record, i ? ", " : "");
        json_write_string(&record, options->paths[i], strlen(options->paths[i]));
    }
    text_append_string(&record, "]\n}\n");
    fathom_status status = text_check(&record, err);
    if (status == FATHOM_OK)
        status = path_join(&path, shard_writer_directory(build->writer), "build.json", err);
    if (status == FATHOM_OK) status = file_writer_open(&out, path, err);
    if (status == FATHOM_OK) {
        file_writer_put(out, text_data(&record), record.size);
        status = file_writer_commit(out, err);
    }
    mem_free(path);
    text_free(&record);
    return status;
}

static fathom_status start(struct build *build, struct error *err) {
    const struct build_options *options = build->options;
    const struct shard_writer_options writing = {
        .tokenizer = build_shard_tokenizer(options->tokenizer),
        .tokens_per_shard = options->tokens_per_shard,
        .replace = options->replace,
    };
    TRY(check_options(options, err));
    TRY(MEM_NEW(&build->documents, BATCH_DOCUMENTS, "a batch of documents", err));
    TRY(MEM_NEW(&build->encoders, pool_threads(options->pool), "encoders", err));
    for (; build->threads < pool_threads(options->pool); build->threads++)
        TRY(encoder_new(&build->encoders[build->threads], options->tokenizer, err));
    TRY(doc_reader_open(&build->reader, options->paths, options->path_count, options->field, err));
    return shard_writer_open(&build->writer, options->out, &writing, err);
}

static void finish(struct build *build) {
    doc_reader_close(build->reader);
    shard_writer_abort(build->writer);
    for (int i = 0; i < build->threads; i++) encoder_free(build->encoders[i]);
    for (int i = 0; build->documents && i < BATCH_DOCUMENTS; i++)
        token_list_free(&build->documents[i].tokens);
    mem_free(build->encoders);
    mem_free(build->documents);
    text_free(&build->text);
}

fathom_status data_build(const struct build_options *options, struct build_counts *counts,
                         struct error *err) {
    struct build build = {.options = options, .counts = counts, .started = clock_seconds()};
    *counts = (struct build_counts){0};
    fathom_status status = start(&build, err);
    if (status == FATHOM_OK) status = encode_all(&build, err);
    if (status == FATHOM_OK) status = check_counts(&build, err);
    if (status == FATHOM_OK) status = write_record(&build, err);
    if (status == FATHOM_OK) {
        struct shard_writer *writer = build.writer;
        build.writer = NULL;
        status = shard_writer_commit(writer, err);
    }
    finish(&build);
    return status;
}
