#include "data/build.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "data/build_record.h"
#include "data/token_split.h"

enum { BATCH_DOCUMENTS = 4096 };
#define BATCH_BYTES ((size_t)16 << 20)

/* A document of the batch, and what became of it. */
struct item {
    size_t begin, size; /* in batch.bytes */
    uint64_t number;    /* among all documents that were read */
    struct origin origin;
    size_t fault; /* of a malformed line: where its message begins in batch.faults */
    bool is_malformed, is_mended;
    struct text valid; /* the document with bytes replaced, where some had to be */
    const char *text;  /* [text_size]: in batch.bytes, or valid */
    size_t text_size;
    struct judgement judgement;
    enum shard_split split;
    enum document_form form;
    struct token_list tokens;
    fathom_status status;
    struct error err; /* when status is not FATHOM_OK */
};

/* A thread's memory. */
struct worker {
    struct encoder *encoder;
    struct cleaner *cleaner;
    struct token_list scratch;
};

struct batch {
    struct text bytes;  /* the documents, one after the other */
    struct text faults; /* the same for what is wrong with malformed lines, each with its NUL */
    struct item *items; /* [BATCH_DOCUMENTS] */
    uint64_t *bands;    /* [BATCH_DOCUMENTS, clean.minhash.bands] for near duplicates */
    size_t count;
    bool is_last;
    fathom_status status; /* of reading it */
    struct error err;
};

struct builder {
    const struct build_options *options;
    struct doc_reader *reader;
    struct pool *pool;
    struct shard_writer *writer;
    struct build_record *record;
    struct clean_history *history;
    struct token_split *split;
    struct worker *workers;  /* [threads] */
    struct batch batches[2]; /* one is encoded while the next is read */
    struct batch *batch;     /* the former */
    uint64_t read;           /* documents so far, those of the next batch too */
    struct build_progress progress;
    size_t finished; /* training shards at the last checkpoint */
    char *workplace; /* NULL: not resumable */
    int lock;
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

/* What is wrong with a line, for those that are not passed over. */
static fathom_status take_fault(const struct builder *b, struct batch *batch, struct item *item,
                                const struct document *document, struct error *err) {
    const bool is_invalid = utf8_valid_size(document->bytes, document->size) < document->size;
    item->judgement.verdict =
        is_invalid && b->options->clean.utf8 == UTF8_DROP ? VERDICT_NOT_UTF8 : VERDICT_MALFORMED;
    if (item->judgement.verdict == VERDICT_MALFORMED && !b->options->skips_malformed)
        RAISE(FATHOM_BAD_INPUT, "%s", document->fault);
    item->fault = batch->faults.size;
    text_append_string(&batch->faults, document->fault);
    text_append_char(&batch->faults, 0);
    return FATHOM_OK;
}

static fathom_status read_documents(struct builder *b, struct batch *batch, struct error *err) {
    struct document document;
    while (batch->count < BATCH_DOCUMENTS && batch->bytes.size < BATCH_BYTES) {
        TRY(doc_reader_next(b->reader, &document, &batch->is_last, err));
        if (batch->is_last) break;
        struct item *item = &batch->items[batch->count++];
        item->begin = batch->bytes.size;
        item->size = document.fault ? 0 : document.size;
        item->number = b->read++;
        item->origin = (struct origin){(uint64_t)document.line, (uint32_t)document.file};
        item->is_malformed = document.fault != NULL;
        item->is_mended = document.replaced > 0;
        if (document.fault) TRY(take_fault(b, batch, item, &document, err));
        text_append(&batch->bytes, document.bytes, item->size);
    }
    TRY(text_check(&batch->faults, err));
    return text_check(&batch->bytes, err);
}

static void read_batch(struct builder *b, struct batch *batch) {
    batch->count = 0;
    batch->is_last = false;
    text_clear(&batch->bytes);
    text_clear(&batch->faults);
    batch->status = read_documents(b, batch, &batch->err);
}

static uint64_t *bands_of(const struct builder *b, size_t i) {
    return b->batch->bands ? b->batch->bands + i * (size_t)b->options->clean.minhash.bands : NULL;
}

static void examine_item(void *arg, int64_t tile, int worker) {
    struct builder *b = arg;
    struct item *item = &b->batch->items[tile];
    item->status = FATHOM_OK;
    if (item->is_malformed) return;
    item->text = b->batch->bytes.data + item->begin;
    item->text_size = item->size;
    item->status =
        clean_examine(b->workers[worker].cleaner, &item->text, &item->text_size, &item->valid,
                      &item->judgement, bands_of(b, (size_t)tile), &item->err);
}

static fathom_status encode(struct builder *b, struct worker *w, struct item *item) {
    const struct build_options *o = b->options;
    struct rng rng = {{o->seed, RNG_BUILD, item->number}, 0};
    const bool trains = item->split == SHARD_TRAIN;
    item->form = trains && o->fim ? fim_choose(o->fim, &rng) : FORM_PLAIN;
    if (item->form != FORM_PLAIN)
        TRY(fim_encode(o->fim, item->form, &rng, w->encoder, item->text, item->text_size,
                       &item->tokens, &item->err));
    else
        TRY(encoder_encode(w->encoder, item->text, item->text_size, false, &item->tokens,
                           &item->err));
    if (!trains || !b->split) return FATHOM_OK;
    return token_split_apply(b->split, &rng, &item->tokens, &w->scratch, &item->err);
}

/* Tile 0 reads the next batch while other threads encode this one; tile i + 1 encodes item i. */
static void encode_item(void *arg, int64_t tile, int worker) {
    struct builder *b = arg;
    if (tile == 0) {
        if (!b->batch->is_last) read_batch(b, &b->batches[b->batch == b->batches]);
        return;
    }
    struct item *item = &b->batch->items[tile - 1];
    item->tokens.count = 0;
    if (item->judgement.verdict != VERDICT_KEPT) return;
    item->split =
        build_is_heldout(item->text, item->text_size, b->options->heldout_share, b->options->seed)
            ? SHARD_HELDOUT
            : SHARD_TRAIN;
    item->status = encode(b, &b->workers[worker], item);
}

static fathom_status check_item(const struct item *item, struct error *err) {
    if (item->status == FATHOM_OK) return FATHOM_OK;
    error_set(err, item->status, "%s", item->err.text);
    return error_prefix(err, "a document of %zu bytes cannot be used", item->size);
}

static void count_item(struct build_result *r, const struct item *item) {
    const struct judgement *j = &item->judgement;
    r->verdicts[j->verdict]++;
    if (j->verdict == VERDICT_FILTERED) r->broken[j->broken]++;
    if (j->verdict != VERDICT_KEPT) return;
    r->documents[item->split]++;
    r->tokens[item->split] += (int64_t)item->tokens.count + 1;
    r->text_bytes[item->split] += (int64_t)item->text_size;
    r->mended += item->is_mended || j->replaced > 0;
    if (item->split == SHARD_TRAIN) r->forms[item->form]++;
}

static fathom_status write_item(struct builder *b, const struct item *item, struct error *err) {
    TRY(check_item(item, err));
    count_item(&b->progress.result, item);
    count_item(build_record_of(b->record, item->origin.file), item);
    if (item->judgement.verdict != VERDICT_KEPT)
        return build_record_drop(b->record, item->origin, &item->judgement,
                                 item->is_malformed ? b->batch->faults.data + item->fault : NULL,
                                 err);
    TRY(build_record_keep(b->record, item->split, item->origin, item->form, err));
    return shard_writer_append(b->writer, item->split, item->tokens.ids,
                               (int64_t)item->tokens.count, (int64_t)item->text_size, err);
}

static fathom_status build_batch(struct builder *b, struct error *err) {
    struct batch *batch = b->batch;
    pool_run(b->pool, (int64_t)batch->count, examine_item, b);
    for (size_t i = 0; i < batch->count; i++) {
        struct item *item = &batch->items[i];
        TRY(check_item(item, err));
        if (item->judgement.verdict == VERDICT_KEPT)
            TRY(clean_decide(b->history, item->origin, &item->judgement, bands_of(b, i), err));
    }
    pool_run(b->pool, (int64_t)batch->count + 1, encode_item, b);
    for (size_t i = 0; i < batch->count; i++) TRY(write_item(b, &batch->items[i], err));
    b->progress.read += batch->count;
    if (batch->count > 0) b->progress.last = batch->items[batch->count - 1].origin;
    return FATHOM_OK;
}

/* A checkpoint ends the open shards, so it comes when they are nearly full: the places depend on
 * the documents alone. */
static fathom_status checkpoint(struct builder *b, struct error *err) {
    const double full = (double)shard_writer_tokens_per_shard(b->writer);
    const bool is_nearly_full = (double)shard_writer_open_tokens(b->writer) >= 0.9 * full;
    if (!b->workplace || b->batch->is_last) return FATHOM_OK;
    if (!is_nearly_full && shard_writer_finished(b->writer) == b->finished) return FATHOM_OK;
    TRY(shard_writer_cut(b->writer, err));
    b->finished = shard_writer_finished(b->writer);
    return build_record_checkpoint(b->record, &b->progress, b->writer, b->options->settings, err);
}

static void show_progress(const struct builder *b, double begin) {
    const struct build_result *r = &b->progress.result;
    char text[32], rate[32], tokens[32];
    double bytes = (double)(r->text_bytes[0] + r->text_bytes[1]);
    if (!b->options->log) return;
    log_progress(b->options->log, false, "%s of text, %s tokens, %s/s", format_bytes(text, bytes),
                 format_count(tokens, (double)(r->tokens[0] + r->tokens[1])),
                 format_bytes(rate, clock_rate(bytes, clock_since(begin))));
}

static fathom_status check_result(const struct builder *b, struct error *err) {
    int64_t train = b->progress.result.documents[SHARD_TRAIN];
    int64_t heldout = b->progress.result.documents[SHARD_HELDOUT];
    if (b->read == 0) RAISE(FATHOM_BAD_INPUT, "the input holds no text");
    if (train + heldout == 0)
        RAISE(FATHOM_BAD_INPUT, "the input holds no document to keep: all %" PRIu64 " were dropped",
              b->read);
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
    read_batch(b, b->batch);
    for (bool is_last = false; !is_last; b->batch = &b->batches[b->batch == b->batches]) {
        if (b->batch->status != FATHOM_OK) RAISE(b->batch->status, "%s", b->batch->err.text);
        TRY(build_batch(b, err));
        TRY(checkpoint(b, err));
        show_progress(b, begin);
        if (interrupt_requested()) RAISE(FATHOM_INTERRUPTED, "stopped");
        is_last = b->batch->is_last;
    }
    return check_result(b, err);
}

/* ---- the whole ---- */

static fathom_status open_cleaning(struct builder *b, const struct tokenizer *tokenizer,
                                   struct error *err) {
    const struct build_options *o = b->options;
    const int threads = pool_threads(b->pool);
    if (o->skips_malformed || o->clean.utf8 == UTF8_DROP) doc_reader_keep_faults(b->reader);
    if (o->clean.utf8 == UTF8_REPLACE) doc_reader_replace_invalid(b->reader);
    TRY(MEM_NEW(&b->workers, threads, "encoders", err));
    for (int i = 0; i < threads; i++) {
        TRY(encoder_new(&b->workers[i].encoder, tokenizer, err));
        TRY(cleaner_new(&b->workers[i].cleaner, &o->clean, err));
    }
    for (int i = 0; i < 2 && o->clean.dedup == DEDUP_NEAR; i++)
        TRY(MEM_NEW(&b->batches[i].bands, BATCH_DOCUMENTS * o->clean.minhash.bands, "bands", err));
    TRY(clean_history_new(&b->history, &o->clean, err));
    return o->split_rate > 0 ? token_split_new(&b->split, tokenizer, o->split_rate, err)
                             : FATHOM_OK;
}

static fathom_status go_on(struct builder *b, const json_node *unfinished, struct error *err) {
    struct build_progress *p = &b->progress;
    TRY(build_record_restore(b->record, unfinished, p, b->writer, err));
    b->read = p->read;
    b->finished = shard_writer_finished(b->writer);
    return doc_reader_skip(b->reader, p->last.file, (int64_t)p->last.line, err);
}

static fathom_status builder_open(struct builder *b, const char *directory,
                                  const struct tokenizer *tokenizer, struct error *err) {
    const struct shard_writer_options options = {
        .tokenizer = build_shard_tokenizer(tokenizer),
        .tokens_per_shard = b->options->tokens_per_shard,
        .replace = b->options->replace,
        .workplace = b->workplace,
    };
    if (!(b->options->heldout_share >= 0 && b->options->heldout_share < 1))
        RAISE(FATHOM_USAGE, "a held-out share of %g: it must lie in [0, 1)",
              b->options->heldout_share);
    if (options.tokenizer.eos < 0)
        RAISE(FATHOM_BAD_INPUT, "the tokenizer names no eos_token, which ends documents");
    b->batch = b->batches;
    for (int i = 0; i < 2; i++)
        TRY(MEM_NEW(&b->batches[i].items, BATCH_DOCUMENTS, "a batch of documents", err));
    TRY(open_cleaning(b, tokenizer, err));
    TRY(shard_writer_open(&b->writer, directory, &options, err));
    const json_node *unfinished = b->options->unfinished;
    TRY(build_record_new(&b->record, shard_writer_directory(b->writer), b->reader,
                         json_integer(json_member(unfinished, "checkpoints")), err));
    if (unfinished) TRY(go_on(b, unfinished, err));
    if (!b->workplace) return FATHOM_OK;
    if (!unfinished) TRY(build_record_stamp(b->record, err));
    return clean_history_log(b->history, build_record_seen(b->record), err);
}

static void batch_free(struct batch *batch) {
    for (size_t i = 0; batch->items && i < BATCH_DOCUMENTS; i++) {
        token_list_free(&batch->items[i].tokens);
        text_free(&batch->items[i].valid);
    }
    mem_free(batch->items);
    mem_free(batch->bands);
    text_free(&batch->bytes);
    text_free(&batch->faults);
}

static void builder_close(struct builder *b) {
    build_record_free(b->record);
    shard_writer_abort(b->writer);
    for (int i = 0; b->workers && i < pool_threads(b->pool); i++) {
        encoder_free(b->workers[i].encoder);
        cleaner_free(b->workers[i].cleaner);
        token_list_free(&b->workers[i].scratch);
    }
    for (int i = 0; i < 2; i++) batch_free(&b->batches[i]);
    clean_history_free(b->history);
    token_split_free(b->split);
    mem_free(b->workers);
}

/* What stands beside the shards, and the shards. */
static fathom_status commit(struct builder *b, struct error *err) {
    TRY(shard_writer_cut(b->writer, err)); /* what is large, while there is a state to go on from */
    TRY(build_record_commit(b->record, b->options->settings, err));
    struct shard_writer *writer = b->writer;
    b->writer = NULL;
    return shard_writer_commit(writer, err);
}

/* ---- the workplace ---- */

fathom_status build_workplace(char **out, const char *directory, struct error *err) {
    struct text text = {0};
    size_t size = strlen(directory);
    while (size > 1 && directory[size - 1] == '/') size--;
    text_append(&text, directory, size);
    text_append_string(&text, ".building");
    fathom_status status = text_check(&text, err);
    if (status == FATHOM_OK) status = string_copy(out, text.data, err);
    text_free(&text);
    return status;
}

/* Begins anew where an earlier building has left something. */
static fathom_status empty_workplace(struct builder *b, struct error *err) {
    directory_unlock(b->lock);
    b->lock = -1;
    TRY(path_remove(b->workplace, err));
    TRY(path_make_directory(b->workplace, err));
    return directory_lock(&b->lock, b->workplace, err);
}

static fathom_status open_workplace(struct builder *b, const char *directory, struct error *err) {
    const bool is_there = path_exists(b->workplace);
    if (!b->options->replace && path_exists(directory))
        RAISE(FATHOM_EXISTS, "%s exists already", directory);
    if (is_there && !b->options->unfinished && !b->options->replace)
        RAISE(FATHOM_EXISTS,
              "%s holds an unfinished building: --resume goes on with it, --force begins anew",
              b->workplace);
    TRY(path_make_directory(b->workplace, err));
    TRY(directory_lock(&b->lock, b->workplace, err));
    if (b->options->unfinished) return directory_remove_leftovers(b->workplace, err);
    return is_there ? empty_workplace(b, err) : FATHOM_OK;
}

/* Whether what stands in the workplace is worth keeping after a failure: it can be gone on with,
 * and the failure is not one that would come again. */
static bool is_worth_keeping(const struct builder *b, fathom_status status) {
    if (!build_has_state(b->workplace)) return false;
    return b->options->unfinished || status == FATHOM_INTERRUPTED || status == FATHOM_IO ||
           status == FATHOM_NO_MEMORY;
}

static fathom_status build(struct builder *b, const char *directory,
                           const struct tokenizer *tokenizer, struct error *err) {
    if (b->options->is_resumable) {
        TRY(build_workplace(&b->workplace, directory, err));
        TRY(open_workplace(b, directory, err));
    }
    fathom_status status = builder_open(b, directory, tokenizer, err);
    if (status == FATHOM_OK) status = build_all(b, err);
    if (status == FATHOM_OK) status = commit(b, err);
    builder_close(b);
    if (status != FATHOM_OK && b->workplace && !is_worth_keeping(b, status))
        path_remove(b->workplace, NULL);
    return status;
}

fathom_status build_shards(const char *directory, struct doc_reader *reader,
                           const struct tokenizer *tokenizer, struct pool *pool,
                           const struct build_options *options, struct build_result *result,
                           struct error *err) {
    struct builder b = {.options = options, .reader = reader, .pool = pool, .lock = -1};
    fathom_status status = build(&b, directory, tokenizer, err);
    directory_unlock(b.lock);
    mem_free(b.workplace);
    *result = b.progress.result;
    return status;
}
