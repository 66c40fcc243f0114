/* fathom data show: what token shards hold, and where it came from */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "data/build.h"
#include "data/origins.h"
#include "data_commands.h"
#include "view/table.h"

struct show_arguments {
    char *tokenizer;
    int split;
    int64_t document, token, sample, seed;
    bool verify;
};
#define AT(member) offsetof(struct show_arguments, member)
static const struct option rows[] = {
    {"split", OPTION_CHOICE, AT(split), 0, 0, "train", "train|heldout", NULL,
     "where --document, --token and --sample look", false, false},
    {"document", OPTION_INT, AT(document), -1, 1e15, "-1", NULL, "N",
     "print document N (needs --tokenizer)", false, false},
    {"token", OPTION_INT, AT(token), -1, 1e15, "-1", NULL, "N",
     "say which document token N of the split stands in, and where that came from", false, false},
    {"sample", OPTION_INT, AT(sample), 0, 1e6, "0", NULL, "N",
     "print the beginnings of N documents, drawn by --seed (needs --tokenizer)", false, false},
    {"seed", OPTION_INT, AT(seed), 0, 9e15, "1", NULL, "N", "of --sample", false, false},
    {"tokenizer", OPTION_STRING, AT(tokenizer), 0, 0, NULL, NULL, "DIR",
     "directory with tokenizer.json", false, false},
    {"verify", OPTION_FLAG, AT(verify), 0, 0, NULL, NULL, NULL,
     "read everything and compare checksums", false, false},
};
static const struct option_table table = {
    "data show",
    "Show what token shards hold: counts, lengths, inputs; a document; or whether they are whole.",
    "DIR",
    "Documents and tokens count from 0.\n"
    "Example: fathom data show --tokenizer tok --document 0 shards",
    rows,
    sizeof rows / sizeof rows[0]};

/* A dataset that is looked at. */
struct shown {
    const char *directory;
    struct shard_set *sets[SHARD_SPLITS];
    struct origins *origins[SHARD_SPLITS]; /* NULL: made before there were any */
    json_node *record;                     /* build.json; NULL: the same */
    struct tokenizer *tokenizer;           /* where one was given */
};

/* ---- where a document came from ---- */

static const char *input_name(const struct shown *s, uint32_t file) {
    const json_node *input = json_element(json_member(s->record, "inputs"), file);
    return input ? json_string(json_member(input, "file"), NULL) : "an input that is not recorded";
}

/* "books.jsonl, line 12", and how the document was taken apart. */
static void describe_origin(const struct shown *s, enum shard_split split, int64_t document,
                            struct text *out) {
    enum document_form form;
    if (!s->origins[split]) {
        text_append_string(out, "its origin is not recorded");
        return;
    }
    const struct origin origin = origins_of(s->origins[split], document, &form);
    text_printf(out, "from %s", input_name(s, origin.file));
    if (origin.line > 0) text_printf(out, ", line %" PRIu64, origin.line);
    if (form != FORM_PLAIN)
        text_printf(out, ", taken apart to fill in the middle (%s)", document_form_name(form));
}

/* ---- documents ---- */

/* The text of a document, of `most` tokens at most. */
static fathom_status read_document(const struct shown *s, enum shard_split split, int64_t number,
                                   int64_t most, struct text *out, struct error *err) {
    struct shard_document document;
    int32_t *tokens = NULL;
    if (!s->tokenizer) RAISE(FATHOM_USAGE, "to print documents needs --tokenizer DIR");
    TRY(shard_set_document(s->sets[split], number, &document, err));
    const int64_t count =
        document.end - document.begin < most ? document.end - document.begin : most;
    TRY(MEM_NEW(&tokens, count, "a document", err));
    fathom_status status = shard_set_read(s->sets[split], document.begin, count, tokens, err);
    if (status == FATHOM_OK)
        status = tokenizer_decode(s->tokenizer, tokens, (size_t)count, true, out, err);
    mem_free(tokens);
    return status;
}

static fathom_status print_document(const struct shown *s, const struct show_arguments *o,
                                    struct command *command) {
    const enum shard_split split = (enum shard_split)o->split;
    struct text text = {0}, origin = {0};
    fathom_status status = read_document(s, split, o->document, INT64_MAX, &text, command->err);
    if (status == FATHOM_OK) {
        describe_origin(s, split, o->document, &origin);
        log_line(command->log, LOG_INFO, "document %" PRId64 ": %s", o->document,
                 text_data(&origin));
        fwrite(text_data(&text), 1, text.size, command->out);
        fputc('\n', command->out);
    }
    text_free(&text);
    text_free(&origin);
    return status;
}

/* Control characters as spaces, so that a line stays one. */
static void flatten(struct text *text) {
    for (size_t i = 0; i < text->size; i++)
        if ((unsigned char)text->data[i] < ' ') text->data[i] = ' ';
}

static fathom_status print_sample(const struct shown *s, const struct show_arguments *o, FILE *out,
                                  struct error *err) {
    enum { TOKENS = 48 };
    const enum shard_split split = (enum shard_split)o->split;
    const int64_t documents = shard_set_documents(s->sets[split]);
    const struct rng_key key = {(uint64_t)o->seed, RNG_SHUFFLE, 0};
    for (int64_t i = 0; i < o->sample && i < documents; i++) {
        const int64_t number = (int64_t)rng_permute(key, (uint64_t)i, (uint64_t)documents);
        struct text line = {0}, text = {0};
        text_printf(&line, "document %" PRId64 ", ", number);
        describe_origin(s, split, number, &line);
        fathom_status status = read_document(s, split, number, TOKENS, &text, err);
        flatten(&text);
        if (status == FATHOM_OK) fprintf(out, "%s\n    %s\n", text_data(&line), text_data(&text));
        text_free(&line);
        text_free(&text);
        TRY(status);
    }
    return FATHOM_OK;
}

/* The document that a token stands in, by halving. */
static fathom_status find_document(const struct shard_set *set, int64_t token, int64_t *number,
                                   struct shard_document *document, struct error *err) {
    int64_t low = 0, high = shard_set_documents(set);
    if (token >= shard_set_tokens(set))
        RAISE(FATHOM_USAGE, "token %" PRId64 ": the split has %" PRId64 ", counted from 0", token,
              shard_set_tokens(set));
    while (high - low > 1) {
        const int64_t middle = low + (high - low) / 2;
        TRY(shard_set_document(set, middle, document, err));
        if (document->begin <= token)
            low = middle;
        else
            high = middle;
    }
    *number = low;
    return shard_set_document(set, low, document, err);
}

static fathom_status print_token(const struct shown *s, const struct show_arguments *o, FILE *out,
                                 struct error *err) {
    const enum shard_split split = (enum shard_split)o->split;
    struct shard_document document;
    struct text line = {0};
    int64_t number = 0;
    int32_t id = 0;
    TRY(find_document(s->sets[split], o->token, &number, &document, err));
    TRY(shard_set_read(s->sets[split], o->token, 1, &id, err));
    text_printf(&line,
                "token %" PRId64 " has id %d; it is token %" PRId64 " of %" PRId64
                " in document %" PRId64 ", ",
                o->token, id, o->token - document.begin, document.end - document.begin, number);
    describe_origin(s, split, number, &line);
    fathom_status status = text_check(&line, err);
    if (status == FATHOM_OK) fprintf(out, "%s\n", line.data);
    text_free(&line);
    return status;
}

/* ---- counts ---- */

enum { COUNT_COLUMNS = 6, CELL_SIZE = 32 };
static const struct table_column count_columns[COUNT_COLUMNS] = {
    {"split", false}, {"documents", true},  {"tokens", true},
    {"shards", true}, {"text bytes", true}, {"bytes per token", true},
};

static void fill_counts(const struct shard_set *set, enum shard_split split,
                        char cells[COUNT_COLUMNS][CELL_SIZE]) {
    int64_t tokens = shard_set_tokens(set), bytes = shard_set_text_bytes(set);
    snprintf(cells[0], CELL_SIZE, "%s", shard_split_name(split));
    snprintf(cells[1], CELL_SIZE, "%" PRId64, shard_set_documents(set));
    snprintf(cells[2], CELL_SIZE, "%" PRId64, tokens);
    snprintf(cells[3], CELL_SIZE, "%zu", shard_set_files(set));
    snprintf(cells[4], CELL_SIZE, "%" PRId64, bytes);
    snprintf(cells[5], CELL_SIZE, "%.3f", tokens > 0 ? (double)bytes / (double)tokens : 0);
}

static void write_counts(const struct shown *s, struct text *out) {
    char cells[SHARD_SPLITS][COUNT_COLUMNS][CELL_SIZE];
    const char *shown[SHARD_SPLITS * COUNT_COLUMNS];
    for (int split = 0; split < SHARD_SPLITS; split++) {
        fill_counts(s->sets[split], (enum shard_split)split, cells[split]);
        for (int i = 0; i < COUNT_COLUMNS; i++) shown[split * COUNT_COLUMNS + i] = cells[split][i];
    }
    const struct shard_tokenizer t = shard_set_tokenizer(s->sets[SHARD_TRAIN]);
    table_write(count_columns, COUNT_COLUMNS, shown, SHARD_SPLITS, out);
    text_printf(out, "tokenizer: %d tokens, eos %d, bos %d, hash %016" PRIx64 "\n", t.vocab_size,
                t.eos, t.bos, t.hash);
}

/* Documents by their tokens, in powers of two. */
static fathom_status write_lengths(const struct shown *s, struct text *out, struct error *err) {
    enum { BUCKETS = 48, BAR = 40 };
    int64_t counts[BUCKETS] = {0}, most = 1;
    int first = BUCKETS, last = -1;
    for (int split = 0; split < SHARD_SPLITS; split++)
        for (int64_t i = 0; i < shard_set_documents(s->sets[split]); i++) {
            struct shard_document document;
            TRY(shard_set_document(s->sets[split], i, &document, err));
            const int64_t tokens = document.end - document.begin;
            int bucket = 63 - __builtin_clzll((unsigned long long)(tokens > 0 ? tokens : 1));
            if (bucket >= BUCKETS) bucket = BUCKETS - 1;
            if (++counts[bucket] > most) most = counts[bucket];
            if (bucket < first) first = bucket;
            if (bucket > last) last = bucket;
        }
    if (last < 0) return FATHOM_OK;
    text_append_string(out, "\ntokens in a document, its eos counted\n");
    for (int b = first; b <= last; b++) {
        text_printf(out, "%12" PRId64 " and more %10" PRId64 "  ", (int64_t)1 << b, counts[b]);
        for (int64_t i = 0; i < (counts[b] * BAR + most - 1) / most; i++)
            text_append_string(out, "\xe2\x96\x88");
        text_append_char(out, '\n');
    }
    return FATHOM_OK;
}

enum { INPUT_COLUMNS = 6, DROPPED_SIZE = 160 };
static const struct table_column input_columns[INPUT_COLUMNS] = {
    {"input", false},          {"documents", true}, {"tokens", true},
    {"share of tokens", true}, {"held out", true},  {"dropped", false},
};

struct input_row {
    char cells[INPUT_COLUMNS - 2][CELL_SIZE];
    char dropped[DROPPED_SIZE];
};

static int64_t count_of(const json_node *input, const char *split, const char *what) {
    return json_integer(json_member(json_member(input, split), what));
}

static void fill_input(const json_node *input, int64_t all_tokens, struct input_row *row) {
    const json_node *verdicts = json_member(input, "verdicts");
    const int64_t tokens = count_of(input, "train", "tokens");
    size_t used = 0;
    void *iterator = NULL;
    const char *name;
    json_node *count;
    snprintf(row->cells[0], CELL_SIZE, "%" PRId64, count_of(input, "train", "documents"));
    snprintf(row->cells[1], CELL_SIZE, "%" PRId64, tokens);
    snprintf(row->cells[2], CELL_SIZE, "%.1f%%",
             all_tokens > 0 ? 100 * (double)tokens / (double)all_tokens : 0);
    snprintf(row->cells[3], CELL_SIZE, "%" PRId64, count_of(input, "heldout", "documents"));
    row->dropped[0] = 0;
    while (json_next_member(verdicts, &iterator, &name, &count))
        if (strcmp(name, verdict_name(VERDICT_KEPT)) != 0 && used < DROPPED_SIZE)
            used += (size_t)snprintf(row->dropped + used, DROPPED_SIZE - used, "%s%" PRId64 " %s",
                                     used ? ", " : "", json_integer(count), name);
}

static fathom_status write_inputs(const struct shown *s, struct text *out, struct error *err) {
    const json_node *inputs = json_member(s->record, "inputs");
    const size_t count = json_count(inputs);
    const int64_t all = shard_set_tokens(s->sets[SHARD_TRAIN]);
    struct input_row *filled = NULL;
    const char **cells = NULL;
    if (count == 0) return FATHOM_OK;
    TRY(MEM_NEW(&filled, count, "a table", err));
    fathom_status status = MEM_NEW(&cells, count * INPUT_COLUMNS, "a table", err);
    for (size_t i = 0; i < count && status == FATHOM_OK; i++) {
        const char **row = cells + i * INPUT_COLUMNS;
        fill_input(json_element(inputs, i), all, &filled[i]);
        row[0] = input_name(s, (uint32_t)i);
        for (int c = 0; c < INPUT_COLUMNS - 2; c++) row[c + 1] = filled[i].cells[c];
        row[INPUT_COLUMNS - 1] = filled[i].dropped;
    }
    if (status == FATHOM_OK) {
        text_append_char(out, '\n');
        table_write(input_columns, INPUT_COLUMNS, cells, count, out);
    }
    mem_free(cells);
    mem_free(filled);
    return status;
}

static fathom_status print_counts(const struct shown *s, FILE *out, struct error *err) {
    struct text text = {0};
    write_counts(s, &text);
    fathom_status status = write_inputs(s, &text, err);
    if (status == FATHOM_OK) status = write_lengths(s, &text, err);
    if (status == FATHOM_OK) status = text_check(&text, err);
    if (status == FATHOM_OK) fputs(text_data(&text), out);
    text_free(&text);
    return status;
}

/* ---- the command ---- */

static fathom_status open_record(struct shown *s, struct error *err) {
    enum { RECORD_MOST = 64 << 20 };
    char *path = NULL;
    TRY(path_join(&path, s->directory, "build.json", err));
    fathom_status status =
        path_exists(path) ? json_read_file(&s->record, path, RECORD_MOST, err) : FATHOM_OK;
    mem_free(path);
    return status;
}

static fathom_status shown_open(struct shown *s, const char *tokenizer, struct error *err) {
    for (int i = 0; i < SHARD_SPLITS; i++) {
        const enum shard_split split = (enum shard_split)i;
        TRY(shard_set_open(&s->sets[i], s->directory, split, err));
        TRY(origins_open(&s->origins[i], s->directory, split, shard_set_documents(s->sets[i]),
                         err));
    }
    TRY(open_record(s, err));
    if (!tokenizer) return FATHOM_OK;
    TRY(tokenizer_open(&s->tokenizer, tokenizer, err));
    return build_check_tokenizer(shard_set_tokenizer(s->sets[0]), s->tokenizer, s->directory, err);
}

static void shown_close(struct shown *s) {
    for (int i = 0; i < SHARD_SPLITS; i++) {
        shard_set_close(s->sets[i]);
        origins_close(s->origins[i]);
    }
    json_free(s->record);
    tokenizer_free(s->tokenizer);
}

static fathom_status show(struct command *command, const struct show_arguments *o) {
    struct error *err = command->err;
    struct shown s = {.directory = command->argv[0]};
    fathom_status status = shown_open(&s, o->tokenizer, err);
    if (status == FATHOM_OK && o->document >= 0) status = print_document(&s, o, command);
    if (status == FATHOM_OK && o->token >= 0) status = print_token(&s, o, command->out, err);
    if (status == FATHOM_OK && o->sample > 0) status = print_sample(&s, o, command->out, err);
    if (status == FATHOM_OK && o->document < 0 && o->token < 0 && o->sample == 0)
        status = print_counts(&s, command->out, err);
    for (int i = 0; i < SHARD_SPLITS && status == FATHOM_OK && o->verify; i++)
        status = shard_set_verify(s.sets[i], err);
    if (status == FATHOM_OK && o->verify) fputs("all checksums are right\n", command->out);
    shown_close(&s);
    return status;
}

fathom_status command_data_show(struct command *command) {
    struct show_arguments o = {0};
    struct option_given given = {0};
    int paths = 0;
    bool is_done = false;
    fathom_status status = command_options(command, &table, &o, &given, &paths, &is_done);
    if (status == FATHOM_OK && !is_done && paths != 1)
        status = error_set(command->err, FATHOM_USAGE, "data show needs one DIR of token shards");
    if (status == FATHOM_OK && !is_done) status = show(command, &o);
    options_free(&table, &o);
    return status;
}
