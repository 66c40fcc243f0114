/* fathom data build: text to token shards */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "data/build.h"
#include "data_commands.h"

struct build_arguments {
    char *tokenizer, *out, *field, *filter, *contamination;
    double heldout, fim_rate, fim_spm, split_tokens;
    int64_t seed, shard_tokens, threads, contamination_words, shingle, bands, rows;
    uint64_t dedup_memory;
    int utf8, malformed, dedup, fim;
    bool resume, force;
};
enum { FIM_NONE, FIM_PSM, FIM_SPM, FIM_BOTH };
#define AT(member) offsetof(struct build_arguments, member)
static const struct option rows[] = {
    {"tokenizer", OPTION_STRING, AT(tokenizer), 0, 0, NULL, NULL, "DIR",
     "directory with tokenizer.json", true, true},
    {"out", OPTION_STRING, AT(out), 0, 0, NULL, NULL, "DIR", "the new dataset", true, false},
    {"heldout", OPTION_FLOAT, AT(heldout), 0, 0.9, "0.01", NULL, "SHARE",
     "documents that are held out, by the hash of their text", false, true},
    {"field", OPTION_STRING, AT(field), 0, 0, "text", NULL, "NAME",
     "field of .jsonl files that holds the text", false, true},
    {"utf8", OPTION_CHOICE, AT(utf8), 0, 0, "keep", "keep|replace|drop", NULL,
     "bytes that are not UTF-8: keep them, put U+FFFD there, or drop the document", false, true},
    {"malformed", OPTION_CHOICE, AT(malformed), 0, 0, "stop", "stop|skip", NULL,
     "a line of a .jsonl file that cannot be read or lacks the field", false, true},
    {"filter", OPTION_STRING, AT(filter), 0, 0, NULL, NULL, "RULES",
     "keep what these hold for: gopher, english, or MEASURE=LEAST:MOST, such as words=50:", false,
     true},
    {"decontaminate", OPTION_STRING, AT(contamination), 0, 0, NULL, NULL, "FILES",
     "drop documents that share a run of words with these; a list with commas", false, true},
    {"decontaminate-words", OPTION_INT, AT(contamination_words), 2, 64, "10", NULL, "N",
     "in such a run", false, true},
    {"dedup", OPTION_CHOICE, AT(dedup), 0, 0, "none", "none|exact|near", NULL,
     "drop documents that stood before, or most of whose words did (MinHash)", false, true},
    {"dedup-shingle", OPTION_INT, AT(shingle), 1, 64, "5", NULL, "N", "near: words in a shingle",
     false, true},
    {"dedup-bands", OPTION_INT, AT(bands), 1, MINHASH_MOST_BINS, "14", NULL, "N",
     "near: bands, one of which must be equal", false, true},
    {"dedup-rows", OPTION_INT, AT(rows), 1, MINHASH_MOST_BINS, "8", NULL, "N",
     "near: minima in a band", false, true},
    {"dedup-memory", OPTION_BYTES, AT(dedup_memory), 0, 1e15, "0", NULL, "SIZE",
     "stop when the tables of --dedup take more; 0: no limit", false, false},
    {"fim", OPTION_CHOICE, AT(fim), 0, 0, "none", "none|psm|spm|both", NULL,
     "fill in the middle: take documents for training apart", false, true},
    {"fim-rate", OPTION_FLOAT, AT(fim_rate), 0, 1, "0.1", NULL, "SHARE",
     "of the documents, with --fim", false, true},
    {"split-tokens", OPTION_FLOAT, AT(split_tokens), 0, 1, "0", NULL, "SHARE",
     "of the tokens that combine punctuation and line breaks, in documents for training, is split",
     false, true},
    {"seed", OPTION_INT, AT(seed), 0, 9e15, "1", NULL, "N",
     "of the held-out split, --fim and --split-tokens", false, true},
    {"shard-tokens", OPTION_INT, AT(shard_tokens), 0, 1e12, "0", NULL, "N",
     "tokens in a shard; 0: 100 million", false, true},
    {"threads", OPTION_INT, AT(threads), 0, 1024, "0", NULL, "N", "0: all processors", false,
     false},
    {"resume", OPTION_FLAG, AT(resume), 0, 0, NULL, NULL, NULL,
     "go on with an interrupted building of --out; files and options are as they were", false,
     false},
    {"force", OPTION_FLAG, AT(force), 0, 0, NULL, NULL, NULL,
     "replace what is in the output directory, or was left of building it", false, false},
};
static const struct option_table table = {
    "data build",
    "Turn text into token shards with a held-out split.",
    "FILE...",
    "FILE is .txt (one document) or .jsonl, plain, gzip or zstd; - is standard input. What was\n"
    "dropped and why is listed in DIR/dropped.jsonl; docs/data.md has the measures.\n"
    "Example: fathom data build --tokenizer tok --out shards corpus.jsonl",
    rows,
    sizeof rows / sizeof rows[0]};

static void print_result(struct log *log, const char *out, const struct build_result *r,
                         double seconds) {
    char tokens[32], bytes[32], held[32], time[32];
    log_line(log, LOG_INFO,
             "%s: %lld documents, %s tokens, %s of text (%.2f bytes per token); held out: %lld "
             "documents, %s tokens; %s",
             out, (long long)r->documents[SHARD_TRAIN],
             format_count(tokens, (double)r->tokens[SHARD_TRAIN]),
             format_bytes(bytes, (double)r->text_bytes[SHARD_TRAIN]),
             (double)r->text_bytes[SHARD_TRAIN] / (double)r->tokens[SHARD_TRAIN],
             (long long)r->documents[SHARD_HELDOUT],
             format_count(held, (double)r->tokens[SHARD_HELDOUT]), format_duration(time, seconds));
}

/* What was not taken, one line for all. */
static void print_dropped(struct log *log, const char *out, const struct build_result *r) {
    struct text line = {0};
    for (int v = VERDICT_KEPT + 1; v < VERDICTS; v++)
        if (r->verdicts[v] > 0)
            text_printf(&line, "%s%lld %s", line.size ? ", " : "", (long long)r->verdicts[v],
                        verdict_name((enum verdict)v));
    if (line.size > 0)
        log_line(log, LOG_INFO, "%s: dropped %s: %s/dropped.jsonl", out, text_data(&line), out);
    text_clear(&line);
    for (int m = 0; m < MEASURES; m++)
        if (r->broken[m] > 0)
            text_printf(&line, "%s%lld by %s", line.size ? ", " : "", (long long)r->broken[m],
                        measure_name((enum measure)m));
    if (line.size > 0) log_line(log, LOG_INFO, "%s: filtered %s", out, text_data(&line));
    if (r->mended > 0)
        log_line(log, LOG_INFO, "%s: bytes that were not UTF-8 replaced in %lld documents", out,
                 (long long)r->mended);
    if (r->forms[FORM_PSM] + r->forms[FORM_SPM] > 0)
        log_line(log, LOG_INFO, "%s: taken apart to fill in the middle: %lld as PSM, %lld as SPM",
                 out, (long long)r->forms[FORM_PSM], (long long)r->forms[FORM_SPM]);
    text_free(&line);
}

/* The names in a list with commas, which is cut up: names[*count]. */
static fathom_status cut_list(char *list, const char ***names, size_t *count, struct error *err) {
    size_t most = 1;
    for (const char *at = list; *at; at++) most += *at == ',';
    *count = 0;
    TRY(MEM_NEW(names, most, "a list of files", err));
    for (char *rest = list, *name; (name = strsep(&rest, ","));)
        if (*name) (*names)[(*count)++] = name;
    return FATHOM_OK;
}

/* All that a building needs. */
struct building {
    json_node *unfinished; /* of an earlier process; NULL: a new building */
    const char **inputs;   /* [input_count]: the command's, or the earlier process's */
    size_t input_count;
    char *workplace;
    struct tokenizer *tokenizer;
    struct doc_reader *reader;
    struct pool *pool;
    struct contamination *contamination;
    struct fim fim;
    struct text settings;
    struct build_options options;
    struct build_result result;
};

static fathom_status open_contamination(struct building *b, const struct build_arguments *o,
                                        struct log *log, struct error *err) {
    char *list = NULL;
    const char **names = NULL;
    size_t count = 0;
    if (!o->contamination) return FATHOM_OK;
    TRY(string_copy(&list, o->contamination, err));
    fathom_status status = cut_list(list, &names, &count, err);
    if (status == FATHOM_OK && count > 0)
        status = contamination_new(&b->contamination, names, count, o->contamination_words, err);
    if (status == FATHOM_OK && count > 0)
        log_line(log, LOG_INFO,
                 "decontamination: %lld runs of words; %lld texts were shorter than half of one",
                 (long long)contamination_runs(b->contamination),
                 (long long)contamination_too_short(b->contamination));
    mem_free(names);
    mem_free(list);
    return status;
}

/* Checkpoints need inputs that can be read again. */
static bool can_resume(const struct building *b) {
    struct path_stamp stamp;
    for (size_t i = 0; i < b->input_count; i++)
        if (path_stamp_of(&stamp, b->inputs[i], NULL) != FATHOM_OK) return false;
    return true;
}

static fathom_status open_building(struct building *b, struct command *command,
                                   const struct build_arguments *o) {
    struct error *err = command->err;
    b->options = (struct build_options){
        .heldout_share = o->heldout,
        .seed = (uint64_t)o->seed,
        .tokens_per_shard = o->shard_tokens,
        .replace = o->force,
        .clean = {.utf8 = (enum utf8_policy)o->utf8,
                  .dedup = (enum dedup)o->dedup,
                  .minhash = {.shingle = o->shingle, .bands = o->bands, .rows = o->rows},
                  .dedup_bytes = o->dedup_memory},
        .skips_malformed = o->malformed == 1,
        .split_rate = o->split_tokens,
        .is_resumable = can_resume(b),
        .unfinished = b->unfinished,
        .log = command->log,
    };
    TRY(measure_rules_parse(&b->options.clean.rules, o->filter, err));
    if (o->dedup == DEDUP_NEAR) TRY(minhash_check(&b->options.clean.minhash, err));
    TRY(tokenizer_open(&b->tokenizer, o->tokenizer, err));
    if (o->fim != FIM_NONE) {
        const double spm = o->fim == FIM_PSM ? 0 : o->fim == FIM_SPM ? 1 : 0.5;
        TRY(fim_init(&b->fim, b->tokenizer, o->fim_rate, spm, err));
        b->options.fim = &b->fim;
    }
    TRY(doc_reader_open(&b->reader, b->inputs, b->input_count, o->field, err));
    TRY(pool_new(&b->pool, (int)o->threads, err));
    TRY(open_contamination(b, o, command->log, err));
    b->options.clean.contamination = b->contamination;
    options_to_json(&table, o, true, &b->settings);
    TRY(text_check(&b->settings, err));
    b->options.settings = text_data(&b->settings);
    return FATHOM_OK;
}

/* What is left of an earlier process, and its options. */
static fathom_status recall(struct building *b, struct build_arguments *o,
                            struct option_given *given, int files, struct error *err) {
    if (files > 0) RAISE(FATHOM_USAGE, "--resume takes no files: they are those of the beginning");
    TRY(build_unfinished(&b->unfinished, b->workplace, err));
    TRY(options_recall(&table, o, given, json_member(b->unfinished, "settings"), b->workplace,
                       err));
    const json_node *inputs = json_member(b->unfinished, "inputs");
    TRY(MEM_NEW(&b->inputs, json_count(inputs) + 1, "the inputs", err));
    for (; b->input_count < json_count(inputs); b->input_count++)
        b->inputs[b->input_count] =
            json_string(json_member(json_element(inputs, b->input_count), "file"), NULL);
    return FATHOM_OK;
}

static fathom_status read_arguments(struct building *b, struct command *command,
                                    struct build_arguments *o, struct option_given *given,
                                    int files) {
    struct error *err = command->err;
    if (!o->out) return options_check_required(&table, o, given, err);
    TRY(build_workplace(&b->workplace, o->out, err));
    if (o->resume) {
        TRY(recall(b, o, given, files, err));
    } else {
        TRY(MEM_NEW(&b->inputs, files + 1, "the inputs", err));
        for (; b->input_count < (size_t)files; b->input_count++)
            b->inputs[b->input_count] = command->argv[b->input_count];
    }
    TRY(options_check_required(&table, o, given, err));
    if (b->input_count == 0) RAISE(FATHOM_USAGE, "data build needs files of text");
    if (!o->force && path_exists(o->out))
        RAISE(FATHOM_EXISTS, "%s exists already; --force replaces it", o->out);
    return FATHOM_OK;
}

static fathom_status run_building(struct building *b, struct command *command,
                                  const struct build_arguments *o) {
    struct error *err = command->err;
    double begin = clock_seconds();
    TRY(open_building(b, command, o));
    fathom_status status =
        build_shards(o->out, b->reader, b->tokenizer, b->pool, &b->options, &b->result, err);
    if (status == FATHOM_OK) {
        print_dropped(command->log, o->out, &b->result);
        print_result(command->log, o->out, &b->result, clock_since(begin));
    } else if (build_has_state(b->workplace) && status != FATHOM_EXISTS) {
        log_line(command->log, LOG_INFO,
                 "%s has what is done; go on with: fathom data build --resume --out %s",
                 b->workplace, o->out);
    }
    /* No dataset was made, so this is no success: a script must not go on. */
    if (status == FATHOM_INTERRUPTED)
        status = error_set(err, FATHOM_IO, "%s: interrupted, it is not there yet", o->out);
    return status;
}

static void building_close(struct building *b) {
    contamination_free(b->contamination);
    pool_free(b->pool);
    doc_reader_close(b->reader);
    tokenizer_free(b->tokenizer);
    text_free(&b->settings);
    json_free(b->unfinished);
    mem_free(b->inputs);
    mem_free(b->workplace);
}

fathom_status command_data_build(struct command *command) {
    struct build_arguments o = {0};
    struct option_given given = {0};
    struct building b = {0};
    int files = 0;
    bool is_done = false;
    fathom_status status = command_options(command, &table, &o, &given, &files, &is_done);
    if (status == FATHOM_OK && !is_done) {
        status = read_arguments(&b, command, &o, &given, files);
        if (status == FATHOM_OK) status = run_building(&b, command, &o);
    }
    building_close(&b);
    options_free(&table, &o);
    return status;
}
