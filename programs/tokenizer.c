/* fathom tokenizer encode and decode, and the list of its commands */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "text/tokenizer.h"
#include "tokenizer_commands.h"

#define MAX_INPUT ((size_t)1 << 32)

/* ---- encode ---- */

struct encode_options {
    char *model;
    bool jsonl, parse_special, add_special;
};
static const struct option encode_rows[] = {
    {"model", OPTION_STRING, offsetof(struct encode_options, model), 0, 0, NULL, NULL, "DIR",
     "directory with tokenizer.json", true, false},
    {"jsonl", OPTION_FLAG, offsetof(struct encode_options, jsonl), 0, 0, NULL, NULL, NULL,
     "read {\"text\"} lines, write {\"ids\"} lines", false, false},
    {"parse-special", OPTION_FLAG, offsetof(struct encode_options, parse_special), 0, 0, NULL, NULL,
     NULL, "recognise special tokens that are typed in the text", false, false},
    {"add-special", OPTION_FLAG, offsetof(struct encode_options, add_special), 0, 0, NULL, NULL,
     NULL, "put around each text what the tokenizer's post-processor does, such as a bos", false,
     false},
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
    const struct tokenizer *tokenizer;
    struct encoder *encoder;
    bool parse_special, add_special;
    struct token_list ids; /* of the text at hand */
    FILE *out;
    struct error *err;
};

static fathom_status encode_text(struct encoding *e, const char *text, size_t size) {
    size_t before = 0, after = 0;
    const int32_t *prefix = tokenizer_prefix(e->tokenizer, &before);
    const int32_t *suffix = tokenizer_suffix(e->tokenizer, &after);
    e->ids.count = 0;
    for (size_t i = 0; e->add_special && i < before; i++)
        TRY(token_list_add(&e->ids, prefix[i], e->err));
    TRY(encoder_encode(e->encoder, text, size, e->parse_special, &e->ids, e->err));
    for (size_t i = 0; e->add_special && i < after; i++)
        TRY(token_list_add(&e->ids, suffix[i], e->err));
    return FATHOM_OK;
}

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
            ? encode_text(e, text, text_size)
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
        status = encode_text(e, text, size);
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
    e.tokenizer = t;
    e.parse_special = o.parse_special;
    e.add_special = o.add_special;
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
        {"train", "train a byte-level BPE tokenizer on text", command_tokenizer_train},
        {"encode", "text to token ids", run_encode},
        {"decode", "token ids to text", run_decode},
        {"show", "a text's tokens in colour, or one on each line", command_tokenizer_show},
        {"compare", "two tokenizers on the same texts", command_tokenizer_compare},
    };
    return command_dispatch(command, "tokenizer", members, sizeof members / sizeof members[0]);
}
