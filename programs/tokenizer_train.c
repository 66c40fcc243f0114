/* fathom tokenizer train */
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "data/reader.h"
#include "text/bpe_train.h"
#include "tokenizer_commands.h"

struct train_options {
    int64_t vocab_size, minimum_count, threads, reserved, multiple;
    char *out, *field, *special, *pretokenizer, *heldout;
    bool force;
};
static const struct option rows[] = {
    {"vocab-size", OPTION_INT, offsetof(struct train_options, vocab_size), 264, 1 << 24, NULL, NULL,
     "N", "ids of the vocabulary: special tokens, 256 bytes, merges", true, true},
    {"out", OPTION_STRING, offsetof(struct train_options, out), 0, 0, NULL, NULL, "DIR",
     "directory for tokenizer.json and tokenizer_config.json", true, false},
    {"min-count", OPTION_INT, offsetof(struct train_options, minimum_count), 1, 1e15, "2", NULL,
     "N", "pairs rarer than this are not merged", false, true},
    {"field", OPTION_STRING, offsetof(struct train_options, field), 0, 0, "text", NULL, "NAME",
     "field of .jsonl files that holds the text", false, true},
    {"special", OPTION_STRING, offsetof(struct train_options, special), 0, 0, NULL, NULL, "A,B",
     "more special tokens, separated by commas", false, true},
    {"reserved", OPTION_INT, offsetof(struct train_options, reserved), 0, 65536, "0", NULL, "N",
     "special tokens without a meaning yet, among the N ids of the vocabulary", false, true},
    {"multiple-of", OPTION_INT, offsetof(struct train_options, multiple), 1, 65536, "1", NULL, "N",
     "more of them behind it, until the number of ids is a multiple of N", false, true},
    {"held-out", OPTION_STRING, offsetof(struct train_options, heldout), 0, 0, NULL, NULL, "FILE",
     "say how many bytes of this text a token has in the end", false, false},
    {"pre-tokenizer", OPTION_STRING, offsetof(struct train_options, pretokenizer), 0, 0,
     "deepseek-v3", NULL, "NAME",
     "deepseek-v3, deepseek-llm, deepseek-coder, qwen2, llama-bpe, gpt-2, smollm", false, true},
    {"threads", OPTION_INT, offsetof(struct train_options, threads), 0, 1024, "0", NULL, "N",
     "0: all processors; the result is the same for any number", false, false},
    {"force", OPTION_FLAG, offsetof(struct train_options, force), 0, 0, NULL, NULL, NULL,
     "replace what is in the output directory", false, false},
};
static const struct option_table table = {
    "tokenizer train",
    "Train a byte-level BPE tokenizer.",
    "FILE...",
    "FILE is .txt (one document) or .jsonl, plain, gzip or zstd; - is standard input.\n"
    "Example: fathom tokenizer train --vocab-size 4096 --out tok corpus.jsonl",
    rows,
    sizeof rows / sizeof rows[0]};

static bool show_progress(void *arg, int64_t done, int64_t total) {
    log_progress(arg, false, "merging: %lld of %lld", (long long)done, (long long)total);
    return !interrupt_requested();
}

/* Counts the words of every document; *bytes of text. */
static fathom_status count_words(struct bpe_trainer *trainer, struct doc_reader *reader,
                                 struct log *log, int64_t *bytes, struct error *err) {
    struct document doc;
    bool is_end = false;
    char read[32];
    *bytes = 0;
    for (;;) {
        TRY(doc_reader_next(reader, &doc, &is_end, err));
        if (is_end) return FATHOM_OK;
        TRY(bpe_trainer_add(trainer, doc.bytes, doc.size, err));
        *bytes += (int64_t)doc.size;
        log_progress(log, false, "reading: %s", format_bytes(read, (double)*bytes));
        if (interrupt_requested()) RAISE(FATHOM_INTERRUPTED, "stopped; nothing was written");
    }
}

/* Special tokens of the command line: those that are named, and reserved ones. */
struct special_tokens {
    const char **tokens; /* [count] */
    size_t count;
    char (*reserved)[64]; /* [reserved_count] */
    size_t reserved_count;
};

/* Ids that fill up to the multiple. */
static int64_t padding(const struct train_options *o) {
    const int64_t rest = o->vocab_size % o->multiple;
    return rest > 0 ? o->multiple - rest : 0;
}

/* Cuts "a,b,c" in place. The reserved ones are named as DeepSeek-V3's. */
static fathom_status make_special(struct special_tokens *s, const struct train_options *o,
                                  struct error *err) {
    size_t most = 1;
    for (const char *at = o->special; at && *at; at++) most += *at == ',';
    s->reserved_count = (size_t)(o->reserved + padding(o));
    TRY(MEM_NEW(&s->tokens, most + s->reserved_count, "special tokens", err));
    TRY(MEM_NEW(&s->reserved, s->reserved_count, "special tokens", err));
    for (char *rest = o->special, *name; (name = strsep(&rest, ","));)
        if (*name) s->tokens[s->count++] = name;
    for (size_t i = 0; i < s->reserved_count; i++) {
        snprintf(s->reserved[i], sizeof s->reserved[i], "<｜place▁holder▁no▁%zu｜>", i);
        s->tokens[s->count++] = s->reserved[i];
    }
    return FATHOM_OK;
}

/* Bytes per token of a text that was not trained on. */
static fathom_status measure_heldout(const struct tokenizer *t, const struct train_options *o,
                                     struct log *log, struct error *err) {
    const char *path = o->heldout;
    struct doc_reader *reader = NULL;
    struct encoder *encoder = NULL;
    struct token_list ids = {0};
    struct document doc;
    bool is_end = false;
    double bytes = 0, tokens = 0;
    fathom_status status = doc_reader_open(&reader, &path, 1, o->field, err);
    if (status == FATHOM_OK) status = encoder_new(&encoder, t, err);
    while (status == FATHOM_OK) {
        status = doc_reader_next(reader, &doc, &is_end, err);
        if (status != FATHOM_OK || is_end) break;
        ids.count = 0;
        status = encoder_encode(encoder, doc.bytes, doc.size, false, &ids, err);
        bytes += (double)doc.size;
        tokens += (double)ids.count;
    }
    if (status == FATHOM_OK && tokens == 0)
        status = error_set(err, FATHOM_BAD_INPUT, "%s: no text in it", path);
    if (status == FATHOM_OK)
        log_line(log, LOG_INFO, "%s: %.3f bytes per token (%.0f bytes, %.0f tokens)", path,
                 bytes / tokens, bytes, tokens);
    token_list_free(&ids);
    encoder_free(encoder);
    doc_reader_close(reader);
    return status;
}

static fathom_status save_tokenizer(const struct tokenizer *t, const struct train_options *o,
                                    struct error *err) {
    char *temporary = NULL;
    TRY(directory_begin(&temporary, o->out, o->force, err));
    fathom_status status = tokenizer_save(t, temporary, err);
    if (status == FATHOM_OK) return directory_commit(temporary, o->out, o->force, err);
    directory_abort(temporary);
    return status;
}

static fathom_status train_on(struct command *command, const struct train_options *o,
                              const struct special_tokens *special, struct doc_reader *reader,
                              struct bpe_trainer *trainer, struct tokenizer **t) {
    struct error *err = command->err;
    struct bpe_train_options options = {.vocab_size = (int32_t)(o->vocab_size + padding(o)),
                                        .minimum_count = o->minimum_count,
                                        .extra = special->tokens,
                                        .extra_count = special->count,
                                        .progress = show_progress,
                                        .progress_arg = command->log};
    int64_t bytes = 0;
    char size[32], time[32];
    double begin = clock_seconds();
    if (o->heldout && !path_exists(o->heldout)) RAISE(FATHOM_IO, "%s: is not there", o->heldout);
    TRY(bpe_trainer_check_special(trainer, special->tokens, special->count, err));
    TRY(count_words(trainer, reader, command->log, &bytes, err));
    TRY(bpe_trainer_finish(trainer, &options, t, err));
    TRY(save_tokenizer(*t, o, err));
    log_line(command->log, LOG_INFO, "%s: %d tokens from %s of text in %s", o->out,
             tokenizer_vocab_size(*t), format_bytes(size, (double)bytes),
             format_duration(time, clock_since(begin)));
    if (o->heldout) TRY(measure_heldout(*t, o, command->log, err));
    return FATHOM_OK;
}

fathom_status command_tokenizer_train(struct command *command) {
    struct error *err = command->err;
    struct train_options o = {0};
    struct option_given given = {0};
    struct doc_reader *reader = NULL;
    struct pool *pool = NULL;
    struct bpe_trainer *trainer = NULL;
    struct tokenizer *t = NULL;
    struct special_tokens special = {0};
    int files = 0;
    bool is_done = false;
    fathom_status status = command_options(command, &table, &o, &given, &files, &is_done);
    if (status != FATHOM_OK || is_done) goto out;
    status = options_check_required(&table, &o, &given, err);
    if (status == FATHOM_OK && files == 0)
        status = error_set(err, FATHOM_USAGE, "tokenizer train needs files of text");
    if (status == FATHOM_OK && !o.force && path_exists(o.out))
        status = error_set(err, FATHOM_EXISTS, "%s exists already; --force replaces it", o.out);
    if (status == FATHOM_OK)
        status = doc_reader_open(&reader, (const char *const *)command->argv, (size_t)files,
                                 o.field, err);
    if (status == FATHOM_OK) status = pool_new(&pool, (int)o.threads, err);
    if (status == FATHOM_OK) status = bpe_trainer_new(&trainer, o.pretokenizer, pool, err);
    if (status == FATHOM_OK) status = make_special(&special, &o, err);
    if (status == FATHOM_OK) status = train_on(command, &o, &special, reader, trainer, &t);
    /* Nothing was saved, so this is no success: a script must not go on. */
    if (status == FATHOM_INTERRUPTED)
        status = error_set(err, FATHOM_IO, "%s: interrupted, nothing was written", o.out);
out:
    mem_free(special.tokens);
    mem_free(special.reserved);
    tokenizer_free(t);
    bpe_trainer_free(trainer);
    pool_free(pool);
    doc_reader_close(reader);
    options_free(&table, &o);
    return status;
}
