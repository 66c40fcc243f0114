/* fathom tokenizer train|encode|decode */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "command.h"
#include "data/reader.h"
#include "text/bpe_train.h"
#include "text/tokenizer.h"

#define MAX_INPUT ((size_t)1 << 32)

/* ---- train ---- */

struct train_options {
    int64_t vocab_size, minimum_count, threads;
    char *out, *field, *special, *pretokenizer;
    bool force;
};
static const struct option train_rows[] = {
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
    {"pre-tokenizer", OPTION_STRING, offsetof(struct train_options, pretokenizer), 0, 0,
     "deepseek-v3", NULL, "NAME",
     "deepseek-v3, deepseek-llm, deepseek-coder, qwen2, llama-bpe, gpt-2, smollm", false, true},
    {"threads", OPTION_INT, offsetof(struct train_options, threads), 0, 1024, "0", NULL, "N",
     "0: all processors; the result is the same for any number", false, false},
    {"force", OPTION_FLAG, offsetof(struct train_options, force), 0, 0, NULL, NULL, NULL,
     "replace what is in the output directory", false, false},
};
static const struct option_table train_table = {
    "tokenizer train",
    "Train a byte-level BPE tokenizer.",
    "FILE...",
    "FILE is .txt (one document) or .jsonl, plain, gzip or zstd; - is standard input.\n"
    "Example: fathom tokenizer train --vocab-size 4096 --out tok corpus.jsonl",
    train_rows,
    sizeof train_rows / sizeof train_rows[0]};

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

enum { MAX_SPECIAL = 256 };

/* Cuts "a,b,c" in place. */
static fathom_status split_special(char *list, const char *parts[MAX_SPECIAL], size_t *count,
                                   struct error *err) {
    *count = 0;
    for (char *at = list; at && *at;) {
        char *comma = strchr(at, ',');
        if (comma) *comma = 0;
        if (*count == MAX_SPECIAL)
            RAISE(FATHOM_USAGE, "--special names more than %d tokens", MAX_SPECIAL);
        if (*at) parts[(*count)++] = at;
        at = comma ? comma + 1 : NULL;
    }
    return FATHOM_OK;
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
                              struct doc_reader *reader, struct bpe_trainer *trainer,
                              struct tokenizer **t) {
    const char *extra[MAX_SPECIAL];
    struct error *err = command->err;
    struct bpe_train_options options = {.vocab_size = (int32_t)o->vocab_size,
                                        .minimum_count = o->minimum_count,
                                        .extra = extra,
                                        .progress = show_progress,
                                        .progress_arg = command->log};
    int64_t bytes = 0;
    char size[32], time[32];
    double begin = clock_seconds();
    TRY(split_special(o->special, extra, &options.extra_count, err));
    TRY(bpe_trainer_check_special(trainer, extra, options.extra_count, err));
    TRY(count_words(trainer, reader, command->log, &bytes, err));
    TRY(bpe_trainer_finish(trainer, &options, t, err));
    TRY(save_tokenizer(*t, o, err));
    log_line(command->log, LOG_INFO, "%s: %d tokens from %s of text in %s", o->out,
             tokenizer_vocab_size(*t), format_bytes(size, (double)bytes),
             format_duration(time, clock_since(begin)));
    return FATHOM_OK;
}

static fathom_status run_train(struct command *command) {
    struct error *err = command->err;
    struct train_options o = {0};
    struct option_given given = {0};
    struct doc_reader *reader = NULL;
    struct pool *pool = NULL;
    struct bpe_trainer *trainer = NULL;
    struct tokenizer *t = NULL;
    int files = 0;
    bool is_done = false;
    fathom_status status = command_options(command, &train_table, &o, &given, &files, &is_done);
    if (status != FATHOM_OK || is_done) goto out;
    status = options_check_required(&train_table, &o, &given, err);
    if (status == FATHOM_OK && files == 0)
        status = error_set(err, FATHOM_USAGE, "tokenizer train needs files of text");
    if (status == FATHOM_OK && !o.force && path_exists(o.out))
        status = error_set(err, FATHOM_EXISTS, "%s exists already; --force replaces it", o.out);
    if (status == FATHOM_OK)
        status = doc_reader_open(&reader, (const char *const *)command->argv, (size_t)files,
                                 o.field, err);
    if (status == FATHOM_OK) status = pool_new(&pool, (int)o.threads, err);
    if (status == FATHOM_OK) status = bpe_trainer_new(&trainer, o.pretokenizer, pool, err);
    if (status == FATHOM_OK) status = train_on(command, &o, reader, trainer, &t);
    /* Nothing was saved, so this is no success: a script must not go on. */
    if (status == FATHOM_INTERRUPTED)
        status = error_set(err, FATHOM_IO, "%s: interrupted, nothing was written", o.out);
out:
    tokenizer_free(t);
    bpe_trainer_free(trainer);
    pool_free(pool);
    doc_reader_close(reader);
    options_free(&train_table, &o);
    return status;
}

/* ---- encode ---- */

struct encode_options {
    char *model;
    bool jsonl, parse_special;
};
static const struct option encode_rows[] = {
    {"model", OPTION_STRING, offsetof(struct encode_options, model), 0, 0, NULL, NULL, "DIR",
     "directory with tokenizer.json", true, false},
    {"jsonl", OPTION_FLAG, offsetof(struct encode_options, jsonl), 0, 0, NULL, NULL, NULL,
     "read {\"text\"} lines, write {\"ids\"} lines", false, false},
    {"parse-special", OPTION_FLAG, offsetof(struct encode_options, parse_special), 0, 0, NULL, NULL,
     NULL, "recognise special tokens that are typed in the text", false, false},
};
static const struct option_table encode_table = {
    "tokenizer encode", "Print the token ids of a text: of each FILE, or of standard input.",
    "[FILE...]",        "Example: echo hello | fathom tokenizer encode --model tok",
    encode_rows,        sizeof encode_rows / sizeof encode_rows[0]};

static void print_ids(FILE *out, const struct token_list *ids, const char *separator) {
    for (size_t i = 0; i < ids->count; i++) fprintf(out, "%s%d", i ? separator : "", ids->ids[i]);
}

/* Texts to ids on the command's output, with one encoder. */
struct encoding {
    struct encoder *encoder;
    bool parse_special;
    struct token_list ids; /* of the text at hand */
    FILE *out;
    struct error *err;
};

/* One {"text": ...} line; `what` is its file and number. */
static fathom_status encode_line(struct encoding *e, const char *line, size_t size,
                                 const char *what) {
    json_node *root = NULL;
    size_t text_size = 0;
    TRY(json_parse(&root, line, size, what, e->err));
    const json_node *member = json_member(root, "text");
    const char *text = json_string(member, &text_size);
    fathom_status status =
        json_is_string(member)
            ? encoder_encode(e->encoder, text, text_size, e->parse_special, &e->ids, e->err)
            : error_set(e->err, FATHOM_BAD_INPUT, "%s: no string \"text\" in the object", what);
    json_free(root);
    TRY(status);
    fputs("{\"ids\": [", e->out);
    print_ids(e->out, &e->ids, ", ");
    fputs("]}\n", e->out);
    return FATHOM_OK;
}

static fathom_status encode_lines(struct encoding *e, const char *text, size_t size,
                                  const char *name) {
    char what[512];
    int64_t number = 0;
    for (size_t at = 0; at < size;) {
        const char *end = memchr(text + at, '\n', size - at);
        size_t length = end ? (size_t)(end - text) - at : size - at;
        snprintf(what, sizeof what, "%.400s:%lld", name, (long long)++number);
        e->ids.count = 0;
        if (length > 0) TRY(encode_line(e, text + at, length, what));
        at += length + 1;
    }
    return FATHOM_OK;
}

static fathom_status encode_file(struct encoding *e, const char *path, bool is_jsonl) {
    char *text = NULL;
    size_t size = 0;
    bool is_stdin = strcmp(path, "-") == 0;
    TRY(file_read(is_stdin ? "/dev/stdin" : path, MAX_INPUT, &text, &size, e->err));
    fathom_status status;
    if (is_jsonl) {
        status = encode_lines(e, text, size, is_stdin ? "standard input" : path);
    } else {
        e->ids.count = 0;
        status = encoder_encode(e->encoder, text, size, e->parse_special, &e->ids, e->err);
        if (status == FATHOM_OK) {
            print_ids(e->out, &e->ids, " ");
            fputc('\n', e->out);
        }
    }
    mem_free(text);
    return status;
}

static fathom_status run_encode(struct command *command) {
    struct error *err = command->err;
    struct encode_options o = {0};
    struct option_given given = {0};
    struct tokenizer *t = NULL;
    struct encoding e = {.out = command->out, .err = err};
    int files = 0;
    bool is_done = false;
    fathom_status status = command_options(command, &encode_table, &o, &given, &files, &is_done);
    if (status != FATHOM_OK || is_done) goto out;
    status = options_check_required(&encode_table, &o, &given, err);
    if (status == FATHOM_OK) status = tokenizer_open(&t, o.model, err);
    if (status == FATHOM_OK) status = encoder_new(&e.encoder, t, err);
    e.parse_special = o.parse_special;
    if (status == FATHOM_OK && files == 0) status = encode_file(&e, "-", o.jsonl);
    for (int i = 0; i < files && status == FATHOM_OK; i++)
        status = encode_file(&e, command->argv[i], o.jsonl);
out:
    encoder_free(e.encoder);
    token_list_free(&e.ids);
    tokenizer_free(t);
    options_free(&encode_table, &o);
    return status;
}

/* ---- decode ---- */

struct decode_options {
    char *model;
    bool skip_special;
};
static const struct option decode_rows[] = {
    {"model", OPTION_STRING, offsetof(struct decode_options, model), 0, 0, NULL, NULL, "DIR",
     "directory with tokenizer.json", true, false},
    {"skip-special", OPTION_FLAG, offsetof(struct decode_options, skip_special), 0, 0, NULL, NULL,
     NULL, "leave special tokens out", false, false},
};
static const struct option_table decode_table = {
    "tokenizer decode",
    "Print the bytes of token ids: of the arguments, or of standard input.",
    "[ID...]",
    "Ids are separated by spaces, commas or lines.\n"
    "Example: echo 19923 2058 | fathom tokenizer decode --model DIR",
    decode_rows,
    sizeof decode_rows / sizeof decode_rows[0]};

static fathom_status parse_ids(char *text, struct token_list *ids, struct error *err) {
    static const char separators[] = " \t\r\n,[]";
    char *rest = NULL;
    for (char *word = strtok_r(text, separators, &rest); word;
         word = strtok_r(NULL, separators, &rest)) {
        int64_t id = 0;
        if (!string_to_i64(word, &id) || id < 0 || id > INT32_MAX)
            RAISE(FATHOM_BAD_INPUT, "\"%s\" is not a token id", word);
        TRY(token_list_add(ids, (int32_t)id, err));
    }
    return FATHOM_OK;
}

static fathom_status read_ids(struct command *command, int words, struct token_list *ids) {
    struct error *err = command->err;
    for (int i = 0; i < words; i++) TRY(parse_ids(command->argv[i], ids, err));
    if (words > 0) return FATHOM_OK;
    char *text = NULL;
    size_t size = 0;
    TRY(file_read("/dev/stdin", MAX_INPUT, &text, &size, err));
    fathom_status status = parse_ids(text, ids, err);
    mem_free(text);
    return status;
}

static fathom_status run_decode(struct command *command) {
    struct error *err = command->err;
    struct decode_options o = {0};
    struct option_given given = {0};
    struct tokenizer *t = NULL;
    struct token_list ids = {0};
    struct text bytes = {0};
    int words = 0;
    bool is_done = false;
    fathom_status status = command_options(command, &decode_table, &o, &given, &words, &is_done);
    if (status != FATHOM_OK || is_done) goto out;
    status = options_check_required(&decode_table, &o, &given, err);
    if (status == FATHOM_OK) status = tokenizer_open(&t, o.model, err);
    if (status == FATHOM_OK) status = read_ids(command, words, &ids);
    if (status == FATHOM_OK)
        status = tokenizer_decode(t, ids.ids, ids.count, o.skip_special, &bytes, err);
    if (status == FATHOM_OK) fwrite(text_data(&bytes), 1, bytes.size, command->out);
out:
    text_free(&bytes);
    token_list_free(&ids);
    tokenizer_free(t);
    options_free(&decode_table, &o);
    return status;
}

fathom_status command_tokenizer(struct command *command) {
    static const struct subcommand members[] = {
        {"train", "train a byte-level BPE tokenizer on text", run_train},
        {"encode", "text to token ids", run_encode},
        {"decode", "token ids to text", run_decode},
    };
    return command_dispatch(command, "tokenizer", members, sizeof members / sizeof members[0]);
}
