/* fathom bench text: encoding and decoding of real texts, on one thread and on all */
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/median.h"
#include "base/memory.h"
#include "data/reader.h"
#include "device_options.h"
#include "text/tokenizer.h"

struct text_options {
    char *model, *field;
    int64_t threads, runs;
    uint64_t size;
    bool json;
};
static const struct option rows[] = {
    {"model", OPTION_STRING, offsetof(struct text_options, model), 0, 0, NULL, NULL, "DIR",
     "directory with tokenizer.json", true, false},
    {"field", OPTION_STRING, offsetof(struct text_options, field), 0, 0, "text", NULL, "NAME",
     "field of .jsonl files that holds the text", false, false},
    {"size", OPTION_BYTES, offsetof(struct text_options, size), 1, 1e12, "16M", NULL, "BYTES",
     "text of each FILE that is used, from its beginning", false, false},
    {"runs", OPTION_INT, offsetof(struct text_options, runs), 1, 1000, "5", NULL, "N",
     "timed runs of each; the median counts", false, false},
    {"json", OPTION_FLAG, offsetof(struct text_options, json), 0, 0, NULL, NULL, NULL,
     "print one JSON object per file", false, false},
    OPTION_THREADS(struct text_options),
};
static const struct option_table table = {
    "bench text",
    "Time a tokenizer: megabytes of text per second, encoded on one thread and on all, and "
    "decoded.",
    "FILE...",
    "FILE is .txt or .jsonl, plain, gzip or zstd; special tokens in it are text. \"of FMA's\" is "
    "the\n"
    "gain of all threads over one as a share of what plain multiply-adds gain in the same run.\n"
    "Example: fathom bench text --model tok books.txt",
    rows,
    sizeof rows / sizeof rows[0]};

enum { SECTION_BYTES = 64 << 10, RUNS_MOST = 1000 };

/* A thread's, with the first failure of its own. */
struct text_worker {
    struct encoder *encoder;
    fathom_status status;
    struct error err;
};

/* Part of the text that is encoded by itself: its ids are those of the whole. */
struct section {
    size_t begin, size;
    struct token_list ids;
};

struct text_bench {
    const struct text_options *options;
    struct pool *pool;
    struct tokenizer *tokenizer;
    struct text_worker *workers; /* [threads] */
    int threads;
    struct text text;
    struct section *sections;
    size_t section_count, section_capacity;
    struct text decoded;
    double one, all, decode; /* seconds */
    double gain_of_fma;
};

/* ---- the text ---- */

static fathom_status add_section(struct text_bench *b, size_t begin, size_t size,
                                 struct error *err) {
    if (b->section_count == b->section_capacity) {
        size_t capacity = b->section_capacity ? 2 * b->section_capacity : 64;
        TRY(mem_grow((void **)&b->sections, b->section_count, capacity, sizeof *b->sections,
                     "the text", err));
        b->section_capacity = capacity;
    }
    b->sections[b->section_count++] = (struct section){.begin = begin, .size = size};
    return FATHOM_OK;
}

/* A document in sections, as long as they do not change its ids. */
static fathom_status add_document(struct text_bench *b, const struct document *doc,
                                  struct error *err) {
    const size_t left = (size_t)b->options->size - b->text.size, begin = b->text.size;
    const size_t size = doc->size < left ? doc->size : left;
    text_append(&b->text, doc->bytes, size);
    TRY(text_check(&b->text, err));
    for (size_t at = 0, end; at < size; at = end) {
        end = size - at <= SECTION_BYTES
                  ? size
                  : tokenizer_cut(b->tokenizer, doc->bytes, size, at + SECTION_BYTES);
        TRY(add_section(b, begin + at, end - at, err));
    }
    return FATHOM_OK;
}

static fathom_status read_text(struct text_bench *b, const char *path, struct error *err) {
    struct doc_reader *reader = NULL;
    struct document doc;
    bool is_end = false;
    text_clear(&b->text);
    b->section_count = 0;
    TRY(doc_reader_open(&reader, &path, 1, b->options->field, err));
    fathom_status status = FATHOM_OK;
    while (status == FATHOM_OK && b->text.size < (size_t)b->options->size) {
        status = doc_reader_next(reader, &doc, &is_end, err);
        if (status != FATHOM_OK || is_end) break;
        status = add_document(b, &doc, err);
    }
    doc_reader_close(reader);
    if (status == FATHOM_OK && b->text.size == 0)
        RAISE(FATHOM_BAD_INPUT, "%s: no text in it", path);
    return status;
}

/* ---- timing ---- */

static void encode_tile(void *arg, int64_t tile, int worker) {
    struct text_bench *b = arg;
    struct section *s = &b->sections[tile];
    struct text_worker *w = &b->workers[worker];
    if (w->status != FATHOM_OK) return;
    s->ids.count = 0;
    w->status =
        encoder_encode(w->encoder, b->text.data + s->begin, s->size, false, &s->ids, &w->err);
}

static fathom_status encode_all(struct text_bench *b, bool is_alone, double *seconds,
                                struct error *err) {
    const double begin = clock_seconds();
    if (is_alone)
        for (size_t i = 0; i < b->section_count; i++) encode_tile(b, (int64_t)i, 0);
    else
        pool_run(b->pool, (int64_t)b->section_count, encode_tile, b);
    *seconds = clock_since(begin);
    for (int i = 0; i < b->threads; i++)
        if (b->workers[i].status != FATHOM_OK)
            RAISE(b->workers[i].status, "%s", b->workers[i].err.text);
    return FATHOM_OK;
}

static fathom_status decode_all(struct text_bench *b, double *seconds, struct error *err) {
    const double begin = clock_seconds();
    text_clear(&b->decoded);
    for (size_t i = 0; i < b->section_count; i++) {
        const struct token_list *ids = &b->sections[i].ids;
        TRY(tokenizer_decode(b->tokenizer, ids->ids, ids->count, false, &b->decoded, err));
    }
    *seconds = clock_since(begin);
    return FATHOM_OK;
}

/* In turn, so that all see the same machine. */
static fathom_status time_text(struct text_bench *b, struct error *err) {
    double one[RUNS_MOST], all[RUNS_MOST], decode[RUNS_MOST];
    const int64_t runs = b->options->runs;
    TRY(encode_all(b, false, &all[0], err)); /* warms up */
    TRY(decode_all(b, &decode[0], err));
    for (int64_t i = 0; i < runs; i++) {
        TRY(encode_all(b, true, &one[i], err));
        TRY(encode_all(b, false, &all[i], err));
        TRY(decode_all(b, &decode[i], err));
        if (interrupt_requested()) RAISE(FATHOM_INTERRUPTED, "stopped");
    }
    b->one = median_of(one, (size_t)runs);
    b->all = median_of(all, (size_t)runs);
    b->decode = median_of(decode, (size_t)runs);
    return FATHOM_OK;
}

/* ---- results ---- */

static void print_result(const struct text_bench *b, const char *path, FILE *out) {
    const double size = (double)b->text.size, one = size / b->one * 1e-6;
    const double all = size / b->all * 1e-6, decode = (double)b->decoded.size / b->decode * 1e-6;
    const double gain = all / one;
    size_t tokens = 0;
    struct text name = {0};
    for (size_t i = 0; i < b->section_count; i++) tokens += b->sections[i].ids.count;
    if (b->options->json) {
        json_write_string(&name, path, strlen(path));
        fprintf(out,
                "{\"file\": %s, \"bytes\": %zu, \"tokens\": %zu, \"encode_mbs\": %.2f, "
                "\"threads\": %d, \"encode_all_mbs\": %.2f, \"gain\": %.3f, \"gain_of_fma\": %.3f, "
                "\"decode_mbs\": %.1f}\n",
                text_data(&name), b->text.size, tokens, one, b->threads, all, gain, b->gain_of_fma,
                decode);
    } else {
        fprintf(
            out,
            "%-28s %5.2f bytes/token  encode %6.1f MB/s, on %d threads %6.1f (gain %.2f, %.0f%% "
            "of FMA's)  decode %6.0f MB/s\n",
            path, size / (double)tokens, one, b->threads, all, gain, 100 * gain / b->gain_of_fma,
            decode);
    }
    text_free(&name);
    fflush(out);
}

static fathom_status bench_file(struct text_bench *b, const char *path, FILE *out,
                                struct error *err) {
    TRY(read_text(b, path, err));
    fathom_status status = time_text(b, err);
    if (status == FATHOM_OK) print_result(b, path, out);
    for (size_t i = 0; i < b->section_count; i++) token_list_free(&b->sections[i].ids);
    return status;
}

/* ---- the command ---- */

static fathom_status bench_open(struct text_bench *b, struct device *device, struct error *err) {
    struct device_limits limits;
    b->pool = device->engine->pool;
    b->threads = pool_threads(b->pool);
    TRY(tokenizer_open(&b->tokenizer, b->options->model, err));
    TRY(MEM_NEW(&b->workers, (size_t)b->threads, "encoders", err));
    for (int i = 0; i < b->threads; i++)
        TRY(encoder_new(&b->workers[i].encoder, b->tokenizer, err));
    TRY(device_measure(device, &limits, err));
    b->gain_of_fma = limits.flops / limits.flops_one_thread;
    return FATHOM_OK;
}

static void bench_close(struct text_bench *b) {
    for (int i = 0; b->workers && i < b->threads; i++) encoder_free(b->workers[i].encoder);
    mem_free(b->workers);
    mem_free(b->sections);
    text_free(&b->text);
    text_free(&b->decoded);
    tokenizer_free(b->tokenizer);
}

fathom_status command_bench_text(struct command *command) {
    struct error *err = command->err;
    struct text_options o = {0};
    struct option_given given = {0};
    struct opened_device opened = {0};
    struct text_bench b = {.options = &o};
    int files = 0;
    bool is_done = false;
    fathom_status status = command_options(command, &table, &o, &given, &files, &is_done);
    if (status != FATHOM_OK || is_done) goto out;
    status = options_check_required(&table, &o, &given, err);
    if (status == FATHOM_OK && files == 0)
        status = error_set(err, FATHOM_USAGE, "bench text needs files of text");
    if (status == FATHOM_OK) status = opened_device_open(&opened, command, o.threads, NULL);
    if (status == FATHOM_OK) status = bench_open(&b, opened.device, err);
    for (int i = 0; i < files && status == FATHOM_OK; i++)
        status = bench_file(&b, command->argv[i], command->out, err);
out:
    bench_close(&b);
    opened_device_close(&opened);
    options_free(&table, &o);
    return status;
}
