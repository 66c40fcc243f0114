/* fathom tokenizer compare */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "data/reader.h"
#include "text/tokenizer.h"
#include "text/word_counts.h"
#include "tokenizer_commands.h"

struct compare_options {
    char *field;
    int64_t show;
    bool parse_special;
};
static const struct option rows[] = {
    {"field", OPTION_STRING, offsetof(struct compare_options, field), 0, 0, "text", NULL, "NAME",
     "field of .jsonl files that holds the text", false, false},
    {"show", OPTION_INT, offsetof(struct compare_options, show), 0, 10000, "10", NULL, "N",
     "the most frequent pieces that the two cut differently", false, false},
    {"parse-special", OPTION_FLAG, offsetof(struct compare_options, parse_special), 0, 0, NULL,
     NULL, NULL, "recognise special tokens that are typed in the text", false, false},
};
static const struct option_table table = {
    "tokenizer compare",
    "Compare two tokenizers on texts: bytes per token, and where they cut differently.",
    "A B FILE...",
    "A and B are directories with tokenizer.json; FILE is .txt or .jsonl, plain, gzip or zstd.\n"
    "Example: fathom tokenizer compare tok32k tok64k heldout.jsonl",
    rows,
    sizeof rows / sizeof rows[0]};

/* One of the two. */
struct side {
    struct tokenizer *tokenizer;
    struct encoder *encoder;
    struct token_list ids; /* of the document at hand */
    int64_t tokens;
    size_t next, end; /* the walk: tokens passed, and bytes that they make up */
};

struct comparison {
    const struct compare_options *options;
    struct side sides[2];
    int64_t documents, equal_documents; /* cut at the same places */
    int64_t bytes, common;              /* cuts that both have */
    struct word_counts pieces; /* between common cuts, where there is none of both within */
};

static size_t token_size(const struct side *s, size_t i) {
    size_t size = 0;
    tokenizer_token_bytes(s->tokenizer, s->ids.ids[i], &size);
    return size;
}

/* The next cut of this side. */
static void step(struct side *s) { s->end += token_size(s, s->next++); }

/* Walks both sides from one common cut to the next. A normalizer may make their texts differ; then
 * the walk ends. */
static fathom_status compare_cuts(struct comparison *c, const char *bytes, size_t size,
                                  struct error *err) {
    struct side *a = &c->sides[0], *b = &c->sides[1];
    bool is_equal = true;
    size_t begin = 0;
    a->next = a->end = b->next = b->end = 0;
    while (a->next < a->ids.count && b->next < b->ids.count) {
        const size_t first_a = a->next, first_b = b->next;
        step(a);
        step(b);
        while (a->end != b->end) {
            struct side *behind = a->end < b->end ? a : b;
            if (behind->next == behind->ids.count) break;
            step(behind);
        }
        const bool is_one = a->next - first_a == 1 && b->next - first_b == 1;
        if (a->end != b->end || a->end > size) {
            is_equal = false;
            break;
        }
        c->common++;
        if (!is_one) {
            is_equal = false;
            if (a->end - begin < UINT32_MAX)
                TRY(word_counts_add(&c->pieces, bytes + begin, a->end - begin, 1, err));
        }
        begin = a->end;
    }
    c->documents++;
    c->equal_documents += is_equal && a->ids.count == b->ids.count;
    return FATHOM_OK;
}

static fathom_status compare_document(struct comparison *c, const struct document *doc,
                                      struct error *err) {
    for (int i = 0; i < 2; i++) {
        struct side *s = &c->sides[i];
        s->ids.count = 0;
        TRY(encoder_encode(s->encoder, doc->bytes, doc->size, c->options->parse_special, &s->ids,
                           err));
        s->tokens += (int64_t)s->ids.count;
    }
    c->bytes += (int64_t)doc->size;
    return compare_cuts(c, doc->bytes, doc->size, err);
}

static fathom_status compare_files(struct comparison *c, const char *const *paths, size_t count,
                                   struct error *err) {
    struct doc_reader *reader = NULL;
    struct document doc;
    bool is_end = false;
    TRY(doc_reader_open(&reader, paths, count, c->options->field, err));
    fathom_status status = FATHOM_OK;
    while (status == FATHOM_OK) {
        status = doc_reader_next(reader, &doc, &is_end, err);
        if (status != FATHOM_OK || is_end) break;
        status = compare_document(c, &doc, err);
        if (status == FATHOM_OK && interrupt_requested())
            status = error_set(err, FATHOM_INTERRUPTED, "stopped");
    }
    doc_reader_close(reader);
    if (status == FATHOM_OK && c->bytes == 0) RAISE(FATHOM_BAD_INPUT, "no text in the files");
    return status;
}

/* ---- results ---- */

static int by_times(const void *a, const void *b) {
    const struct counted_word *x = a, *y = b;
    if (x->times != y->times) return x->times < y->times ? 1 : -1;
    return (x->begin > y->begin) - (x->begin < y->begin); /* the one that came first */
}

/* The piece by itself may be cut otherwise than in its text, so this says only how the two differ
 * on it. */
static fathom_status print_cut(struct side *s, const char *bytes, size_t size, FILE *out,
                               struct error *err) {
    struct text text = {0};
    s->ids.count = 0;
    TRY(encoder_encode(s->encoder, bytes, size, false, &s->ids, err));
    for (size_t i = 0; i < s->ids.count; i++) {
        size_t length = 0;
        const char *token = tokenizer_token_bytes(s->tokenizer, s->ids.ids[i], &length);
        text_append_string(&text, i > 0 ? "|" : "");
        json_write_string(&text, token, length);
    }
    fprintf(out, "  %s", text_data(&text));
    fathom_status status = text_check(&text, err);
    text_free(&text);
    return status;
}

static fathom_status print_pieces(struct comparison *c, FILE *out, struct error *err) {
    struct word_counts *pieces = &c->pieces;
    const size_t count =
        pieces->count < (size_t)c->options->show ? pieces->count : (size_t)c->options->show;
    if (count == 0) return FATHOM_OK;
    fprintf(out, "\ntimes  cut by A, and by B\n");
    qsort(pieces->words, pieces->count, sizeof *pieces->words, by_times);
    for (size_t i = 0; i < count; i++) {
        const struct counted_word *piece = &pieces->words[i];
        const char *bytes = text_data(&pieces->bytes) + piece->begin;
        fprintf(out, "%5" PRId64, piece->times);
        for (int s = 0; s < 2; s++) TRY(print_cut(&c->sides[s], bytes, piece->size, out, err));
        fputc('\n', out);
    }
    return FATHOM_OK;
}

static void print_counts(const struct comparison *c, const char *const *names, FILE *out) {
    for (int i = 0; i < 2; i++) {
        const struct side *s = &c->sides[i];
        fprintf(out,
                "%c  %s: %d ids, %" PRId64
                " tokens, %.4f bytes per token, %.1f%% of its cuts are the other's\n",
                "AB"[i], names[i], tokenizer_vocab_size(s->tokenizer), s -> tokens,
                (double)c -> bytes / (double)s -> tokens,
                100 * (double)c -> common / (double)s -> tokens);
    }
    fprintf(out, "B needs %.4f of A's tokens; %" PRId64 " of %" PRId64 " documents are cut alike; ",
            (double)c->sides[1].tokens / (double)c->sides[0].tokens, c->equal_documents,
            c->documents);
    fprintf(out, "%zu different pieces are not\n", c->pieces.count);
}

static fathom_status compare(struct command *command, struct comparison *c, int words) {
    struct error *err = command->err;
    const char *const *names = (const char *const *)command->argv;
    if (words < 3) RAISE(FATHOM_USAGE, "tokenizer compare needs two tokenizers and files of text");
    for (int i = 0; i < 2; i++) {
        TRY(tokenizer_open(&c->sides[i].tokenizer, names[i], err));
        TRY(encoder_new(&c->sides[i].encoder, c->sides[i].tokenizer, err));
    }
    TRY(compare_files(c, names + 2, (size_t)words - 2, err));
    print_counts(c, names, command->out);
    return print_pieces(c, command->out, err);
}

fathom_status command_tokenizer_compare(struct command *command) {
    struct compare_options o = {0};
    struct option_given given = {0};
    struct comparison c = {.options = &o};
    int words = 0;
    bool is_done = false;
    fathom_status status = command_options(command, &table, &o, &given, &words, &is_done);
    if (status == FATHOM_OK && !is_done) status = compare(command, &c, words);
    for (int i = 0; i < 2; i++) {
        encoder_free(c.sides[i].encoder);
        tokenizer_free(c.sides[i].tokenizer);
        token_list_free(&c.sides[i].ids);
    }
    word_counts_free(&c.pieces);
    options_free(&table, &o);
    return status;
}
