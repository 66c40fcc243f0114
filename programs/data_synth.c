/* fathom data synth */
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "data/synth.h"
#include "data_commands.h"

struct synth_arguments {
    uint64_t bytes, long_from, long_to;
    char *out, *words, *mix;
    int64_t seed, word_count, sum_digits, sort_count, countdown_numbers;
    double template_share, fact_share, list_share;
    bool reasoning, force;
};
#define AT(member) offsetof(struct synth_arguments, member)
static const struct option synth_rows[] = {
    {"bytes", OPTION_BYTES, AT(bytes), 0, 0, NULL, NULL, "N", "of text to make, such as 16M", true,
     true},
    {"out", OPTION_STRING, AT(out), 0, 0, NULL, NULL, "FILE",
     ".jsonl: a document on every line; .txt: blank lines between; - is standard output", true,
     false},
    {"seed", OPTION_INT, AT(seed), 0, 9e15, "1", NULL, "N", "another seed is another corpus", false,
     true},
    {"reasoning", OPTION_FLAG, AT(reasoning), 0, 0, "yes", NULL, NULL,
     "show the work before an answer; --no-reasoning leaves it out", false, true},
    {"template-share", OPTION_FLOAT, AT(template_share), 0, 1, "0.4", NULL, "SHARE",
     "of the questions in the <think> <answer> template", false, true},
    {"mix", OPTION_STRING, AT(mix), 0, 0, SYNTH_DEFAULT_MIX, NULL, "SHARES",
     "what the bytes are made of", false, true},
    {"words", OPTION_STRING, AT(words), 0, 0, NULL, NULL, "FILE",
     "word list, one a line; none: /usr/share/dict/words, else built in; builtin", false, true},
    {"word-count", OPTION_INT, AT(word_count), 1, 1e6, "12000", NULL, "N",
     "different words to spell and ask about", false, true},
    {"sum-digits", OPTION_INT, AT(sum_digits), 2, 6, "3", NULL, "N", "of operands, at most", false,
     true},
    {"sort-count", OPTION_INT, AT(sort_count), 3, 8, "5", NULL, "N", "numbers to sort, at most",
     false, true},
    {"countdown-numbers", OPTION_INT, AT(countdown_numbers), 2, 4, "3", NULL, "N",
     "numbers to combine, at most", false, true},
    {"long-from", OPTION_BYTES, AT(long_from), 0, 0, "4K", NULL, "N",
     "the mix's long: bytes of the shortest document", false, true},
    {"long-to", OPTION_BYTES, AT(long_to), 0, 0, "8K", NULL, "N", "bytes of the longest", false,
     true},
    {"fact-share", OPTION_FLOAT, AT(fact_share), 0, 1, "0.5", NULL, "SHARE",
     "of a long document's sentences about facts, at most", false, true},
    {"list-share", OPTION_FLOAT, AT(list_share), 0, 1, "0", NULL, "SHARE",
     "of its sentences that are lists said again, at most", false, true},
    {"force", OPTION_FLAG, AT(force), 0, 0, NULL, NULL, NULL, "replace the output file", false,
     false},
};
static const struct option_table synth_table = {
    "data synth",
    "Make a corpus of stories and small worked problems, the same for the same options.",
    NULL,
    "Some words and number ranges never occur in its problems: docs/data.md.\n"
    "Example: fathom data synth --bytes 16M --out corpus.jsonl\n"
    "Long documents with facts to find: --mix long=1 --long-from 16K --long-to 32K",
    synth_rows,
    sizeof synth_rows / sizeof synth_rows[0]};

enum synth_form { FORM_JSONL, FORM_TEXT };

/* Where the text goes: a file that appears when it is whole, or standard output. */
struct sink {
    struct file_writer *file; /* NULL: stream */
    FILE *stream;
    enum synth_form form;
    struct text line;
    uint64_t bytes, documents; /* put so far */
};

static void put_document(struct sink *sink, const struct text *document) {
    text_clear(&sink->line);
    if (sink->form == FORM_JSONL) {
        text_append_string(&sink->line, "{\"text\": ");
        json_write_string(&sink->line, text_data(document), document->size);
        text_append_string(&sink->line, "}\n");
    } else {
        text_append(&sink->line, text_data(document), document->size);
        text_append_string(&sink->line, "\n\n");
    }
    if (sink->file)
        file_writer_put(sink->file, text_data(&sink->line), sink->line.size);
    else
        fwrite(text_data(&sink->line), 1, sink->line.size, sink->stream);
}

static fathom_status generate(struct command *command, struct synth *synth,
                              const struct synth_arguments *o, struct sink *sink) {
    enum { PROGRESS_EVERY = 1024 };
    struct error *err = command->err;
    struct text document = {0};
    char made[32];
    fathom_status status = FATHOM_OK;
    while (sink->bytes < o->bytes && status == FATHOM_OK) {
        text_clear(&document);
        synth_document(synth, sink->documents++, &document);
        sink->bytes += document.size;
        put_document(sink, &document);
        status = text_check(&document, err);
        if (status == FATHOM_OK) status = text_check(&sink->line, err);
        /* Nothing is saved, so this is no success: a script must not go on. */
        if (status == FATHOM_OK && interrupt_requested())
            status = error_set(err, FATHOM_IO, "%s: interrupted, nothing was written", o->out);
        if (sink->documents % PROGRESS_EVERY == 0)
            log_progress(command->log, false, "%s of text",
                         format_bytes(made, (double)sink->bytes));
    }
    text_free(&document);
    return status;
}

static void report(struct log *log, const char *out, const struct synth *synth,
                   const struct sink *sink, double seconds) {
    char made[32], rate[32];
    log_progress(log, true, "%s: %s of text in %llu documents, %s/s, words from %s", out,
                 format_bytes(made, (double)sink->bytes), (unsigned long long)sink->documents,
                 format_bytes(rate, clock_rate((double)sink->bytes, seconds)),
                 word_list_source(synth_words(synth)));
}

static fathom_status open_sink(struct sink *sink, struct command *command,
                               const struct synth_arguments *o) {
    struct error *err = command->err;
    bool is_stream = strcmp(o->out, "-") == 0;
    if (!is_stream && !string_ends_with(o->out, ".jsonl") && !string_ends_with(o->out, ".txt"))
        RAISE(FATHOM_USAGE, "%s: --out must end in .jsonl or .txt", o->out);
    if (!is_stream && !o->force && path_exists(o->out))
        RAISE(FATHOM_EXISTS, "%s exists already; --force replaces it", o->out);
    sink->form = string_ends_with(o->out, ".txt") ? FORM_TEXT : FORM_JSONL;
    sink->stream = command->out;
    return is_stream ? FATHOM_OK : file_writer_open(&sink->file, o->out, err);
}

static fathom_status synthesize(struct command *command, const struct synth_arguments *o) {
    struct error *err = command->err;
    const struct synth_options options = {
        .seed = (uint64_t)o->seed,
        .words = o->words && strcmp(o->words, "builtin") == 0 ? "" : o->words,
        .word_count = (size_t)o->word_count,
        .leave_out_work = !o->reasoning,
        .template_share = o->template_share,
        .mix = o->mix,
        .tasks = {.sum_digits = (int)o->sum_digits,
                  .sort_count = (int)o->sort_count,
                  .countdown_numbers = (int)o->countdown_numbers},
        .long_texts = {o->long_from, o->long_to, o->fact_share, o->list_share},
    };
    struct synth *synth = NULL;
    struct sink sink = {0};
    double begin = clock_seconds();
    fathom_status status = synth_new(&synth, &options, err);
    if (status == FATHOM_OK) status = open_sink(&sink, command, o);
    if (status == FATHOM_OK) status = generate(command, synth, o, &sink);
    if (status == FATHOM_OK && sink.file) {
        struct file_writer *file = sink.file;
        sink.file = NULL;
        status = file_writer_commit(file, err);
    }
    if (status == FATHOM_OK) report(command->log, o->out, synth, &sink, clock_since(begin));
    file_writer_abort(sink.file);
    text_free(&sink.line);
    synth_free(synth);
    return status;
}

fathom_status command_data_synth(struct command *command) {
    struct synth_arguments o = {0};
    struct option_given given = {0};
    bool is_done = false;
    fathom_status status = command_options(command, &synth_table, &o, &given, NULL, &is_done);
    if (status == FATHOM_OK && !is_done)
        status = options_check_required(&synth_table, &o, &given, command->err);
    if (status == FATHOM_OK && !is_done) status = synthesize(command, &o);
    options_free(&synth_table, &o);
    return status;
}
