/* fathom tokenizer show */
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "text/tokenizer.h"
#include "tokenizer_commands.h"

enum { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER };
#define MAX_INPUT ((size_t)1 << 30)

struct show_options {
    char *model;
    int color;
    bool list, parse_special;
};
static const struct option rows[] = {
    {"model", OPTION_STRING, offsetof(struct show_options, model), 0, 0, NULL, NULL, "DIR",
     "directory with tokenizer.json", true, false},
    {"list", OPTION_FLAG, offsetof(struct show_options, list), 0, 0, NULL, NULL, NULL,
     "a line for each token: id, bytes from and to, and what it says", false, false},
    {"color", OPTION_CHOICE, offsetof(struct show_options, color), 0, 0, "auto",
     "auto|always|never", NULL, "auto: where the output is a terminal, else bars between tokens",
     false, false},
    {"parse-special", OPTION_FLAG, offsetof(struct show_options, parse_special), 0, 0, NULL, NULL,
     NULL, "recognise special tokens that are typed in the text", false, false},
};
static const struct option_table table = {
    "tokenizer show",
    "Show the tokens of a text: of each FILE, or of standard input.",
    "[FILE...]",
    "Bytes are those of the tokens, which are the text's but for what a normalizer changes.\n"
    "Example: echo hello world | fathom tokenizer show --model tok --list",
    rows,
    sizeof rows / sizeof rows[0]};

/* A token's bytes so that they can be read: line breaks and what is no text as in C. */
static void append_readable(struct text *out, const char *bytes, size_t size) {
    const unsigned char *at = (const unsigned char *)bytes, *end = at + size;
    while (at < end) {
        uint32_t code = 0;
        int length = utf8_decode(at, (size_t)(end - at), &code);
        if (*at == '\n')
            text_append_string(out, "\\n");
        else if (*at == '\t')
            text_append_string(out, "\\t");
        else if (*at == '\r')
            text_append_string(out, "\\r");
        else if (length == 0 || *at < ' ' || *at == 0x7f)
            text_printf(out, "\\x%02x", *at);
        else
            text_append(out, at, (size_t)length);
        at += length > 0 ? length : 1;
    }
}

static void append_list(struct text *out, const struct tokenizer *t, const struct token_list *ids) {
    size_t begin = 0;
    for (size_t i = 0; i < ids->count; i++) {
        size_t size = 0;
        const char *bytes = tokenizer_token_bytes(t, ids->ids[i], &size);
        text_printf(out, "%8d %10zu %10zu  ", ids->ids[i], begin, begin + size);
        append_readable(out, bytes, size);
        text_append_string(out, tokenizer_is_special(t, ids->ids[i]) ? "  (special)\n" : "\n");
        begin += size;
    }
}

/* On a colour, which line breaks interrupt. */
static void append_on(struct text *out, int background, const char *bytes, size_t size) {
    for (size_t at = 0; at < size;) {
        const char *newline = memchr(bytes + at, '\n', size - at);
        const size_t end = newline ? (size_t)(newline - bytes) : size;
        if (end > at) {
            text_printf(out, "\033[48;5;%d;38;5;16m", background);
            text_append(out, bytes + at, end - at);
            text_append_string(out, "\033[0m");
        }
        if (newline) text_append_char(out, '\n');
        at = end + (newline != NULL);
    }
}

/* Each token on a colour of its own; a character of several tokens has the last one's. */
static fathom_status append_colored(struct text *out, const struct tokenizer *t,
                                    const struct token_list *ids, struct error *err) {
    static const int backgrounds[] = {152, 223, 183, 194, 217};
    enum { BACKGROUNDS = sizeof backgrounds / sizeof backgrounds[0] };
    struct stream_decoder decoder = {0};
    struct text part = {0};
    fathom_status status = FATHOM_OK;
    for (size_t i = 0; i < ids->count && status == FATHOM_OK; i++) {
        text_clear(&part);
        status = stream_decoder_put(&decoder, t, ids->ids[i], false, &part, err);
        append_on(out, backgrounds[i % BACKGROUNDS], text_data(&part), part.size);
    }
    text_clear(&part);
    stream_decoder_end(&decoder, &part);
    append_on(out, backgrounds[ids->count % BACKGROUNDS], text_data(&part), part.size);
    text_append_char(out, '\n');
    if (status == FATHOM_OK) status = text_check(&part, err);
    text_free(&part);
    return status;
}

static void append_barred(struct text *out, const struct tokenizer *t,
                          const struct token_list *ids) {
    for (size_t i = 0; i < ids->count; i++) {
        size_t size = 0;
        const char *bytes = tokenizer_token_bytes(t, ids->ids[i], &size);
        text_append_string(out, "|");
        append_readable(out, bytes, size);
    }
    text_append_string(out, "|\n");
}

static fathom_status show_text(struct command *command, const struct show_options *o,
                               const struct tokenizer *t, struct encoder *encoder, const char *text,
                               size_t size) {
    struct token_list ids = {0};
    struct text out = {0};
    const bool is_colored =
        o->color == COLOR_ALWAYS || (o->color == COLOR_AUTO && isatty(fileno(command->out)));
    fathom_status status =
        encoder_encode(encoder, text, size, o->parse_special, &ids, command->err);
    if (status == FATHOM_OK) {
        if (o->list)
            append_list(&out, t, &ids);
        else if (is_colored)
            status = append_colored(&out, t, &ids, command->err);
        else
            append_barred(&out, t, &ids);
        if (!o->list)
            text_printf(&out, "%zu tokens, %zu bytes, %.2f bytes per token\n", ids.count, size,
                        ids.count > 0 ? (double)size / (double)ids.count : 0);
    }
    if (status == FATHOM_OK) status = text_check(&out, command->err);
    if (status == FATHOM_OK) fwrite(out.data, 1, out.size, command->out);
    text_free(&out);
    token_list_free(&ids);
    return status;
}

static fathom_status show_file(struct command *command, const struct show_options *o,
                               const struct tokenizer *t, struct encoder *encoder,
                               const char *path) {
    char *text = NULL;
    size_t size = 0;
    TRY(file_read(strcmp(path, "-") == 0 ? "/dev/stdin" : path, MAX_INPUT, &text, &size,
                  command->err));
    fathom_status status = show_text(command, o, t, encoder, text, size);
    mem_free(text);
    return status;
}

fathom_status command_tokenizer_show(struct command *command) {
    struct error *err = command->err;
    struct show_options o = {0};
    struct option_given given = {0};
    struct tokenizer *t = NULL;
    struct encoder *encoder = NULL;
    int files = 0;
    bool is_done = false;
    fathom_status status = command_options(command, &table, &o, &given, &files, &is_done);
    if (status != FATHOM_OK || is_done) goto out;
    status = options_check_required(&table, &o, &given, err);
    if (status == FATHOM_OK) status = tokenizer_open(&t, o.model, err);
    if (status == FATHOM_OK) status = encoder_new(&encoder, t, err);
    if (status == FATHOM_OK && files == 0) status = show_file(command, &o, t, encoder, "-");
    for (int i = 0; i < files && status == FATHOM_OK; i++)
        status = show_file(command, &o, t, encoder, command->argv[i]);
out:
    encoder_free(encoder);
    tokenizer_free(t);
    options_free(&table, &o);
    return status;
}
