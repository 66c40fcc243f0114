#include "data_test.h"

#include <dirent.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "data/build.h"
#include "data/synth.h"
#include "data/origins.h"
#include "train_tokenizer.h"

static struct error err;

enum { DOCUMENTS = 3000 };

/* A corpus of DOCUMENTS lines, every tenth of them equal to the first; some are not ASCII. */
static const char *corpus(void) {
    const struct synth_options options = {.seed = 4, .words = "", .template_share = 0.5};
    struct synth *synth;
    struct text file = {0}, text = {0};
    CHECK_OK(synth_new(&synth, &options, &err), &err);
    for (uint64_t i = 0; i < DOCUMENTS; i++) {
        text_clear(&text);
        synth_document(synth, i % 10 == 0 ? 0 : i, &text);
        if (i % 7 == 3) text_append_string(&text, " caf\xc3\xa9 \xe4\xbd\xa0");
        text_append_string(&file, "{\"text\": \"");
        for (size_t k = 0; k < text.size; k++) {
            if (strchr("\"\\", text.data[k])) text_append_char(&file, '\\');
            if (text.data[k] == '\n')
                text_append_string(&file, "\\n");
            else
                text_append_char(&file, text.data[k]);
        }
        text_append_string(&file, "\"}\n");
    }
    const char *path = store("corpus.jsonl", file.data, file.size);
    synth_free(synth);
    text_free(&text);
    text_free(&file);
    return path;
}

static fathom_status build(const char *directory, const char *path,
                           const struct tokenizer *tokenizer, int threads,
                           const struct build_options *options, struct build_result *result) {
    struct doc_reader *reader;
    struct pool *pool;
    CHECK_OK(doc_reader_open(&reader, &path, 1, NULL, &err), &err);
    CHECK_OK(pool_new(&pool, threads, &err), &err);
    fathom_status status = build_shards(directory, reader, tokenizer, pool, options, result, &err);
    doc_reader_close(reader);
    pool_free(pool);
    return status;
}

static void check_same_files(const char *a, const char *b) {
    DIR *directory = opendir(a);
    int files = 0;
    CHECK(directory != NULL);
    for (struct dirent *entry; (entry = readdir(directory));) {
        char *first, *second;
        size_t first_size, second_size;
        if (entry->d_name[0] == '.') continue;
        CHECK_OK(path_join(&first, a, entry->d_name, &err), &err);
        CHECK_OK(path_join(&second, b, entry->d_name, &err), &err);
        const char *one = load(first, &first_size), *two = load(second, &second_size);
        harness_context("%s", entry->d_name);
        CHECK_EQ(first_size, second_size);
        CHECK(memcmp(one, two, first_size) == 0);
        mem_free(first);
        mem_free(second);
        files++;
    }
    closedir(directory);
    CHECK(files >= 3);
    harness_context("%s", "");
}

static void shards_are_the_same_for_any_number_of_threads(void) {
    const char *path = corpus();
    struct tokenizer *tokenizer = train_tokenizer(path, 600);
    const struct build_options options = {
        .heldout_share = 0.1, .seed = 1, .tokens_per_shard = 100000};
    struct build_result one, two;
    CHECK_OK(build(test_path("one"), path, tokenizer, 1, &options, &one), &err);
    CHECK_OK(build(test_path("two"), path, tokenizer, 2, &options, &two), &err);
    CHECK(memcmp(&one, &two, sizeof one) == 0);
    check_same_files(test_path("one"), test_path("two"));
    tokenizer_free(tokenizer);
}

/* Every document once, in order, in the split that its hash names, decoded to its bytes. */
static void documents_come_back_from_their_split(void) {
    const char *path = corpus();
    struct tokenizer *tokenizer = train_tokenizer(path, 600);
    const struct build_options options = {.heldout_share = 0.2, .seed = 9};
    struct build_result result;
    CHECK_OK(build(test_path("data"), path, tokenizer, 2, &options, &result), &err);
    struct shard_set *sets[SHARD_SPLITS];
    int64_t next[SHARD_SPLITS] = {0}, bytes[SHARD_SPLITS] = {0};
    for (int i = 0; i < SHARD_SPLITS; i++) {
        CHECK_OK(shard_set_open(&sets[i], test_path("data"), (enum shard_split)i, &err), &err);
        CHECK_OK(shard_set_verify(sets[i], &err), &err);
        CHECK_OK(build_check_tokenizer(shard_set_tokenizer(sets[i]), tokenizer, "data", &err),
                 &err);
    }
    struct doc_reader *reader;
    CHECK_OK(doc_reader_open(&reader, &path, 1, NULL, &err), &err);
    for (int i = 0; i < DOCUMENTS; i++) {
        struct document document;
        struct shard_document place;
        struct text text = {0};
        bool is_end;
        static int32_t tokens[100000];
        CHECK_OK(doc_reader_next(reader, &document, &is_end, &err), &err);
        CHECK(!is_end);
        bool is_heldout = build_is_heldout(document.bytes, document.size, 0.2, 9);
        enum shard_split split = is_heldout ? SHARD_HELDOUT : SHARD_TRAIN;
        CHECK_OK(shard_set_document(sets[split], next[split]++, &place, &err), &err);
        size_t count = (size_t)(place.end - place.begin);
        CHECK_OK(shard_set_read(sets[split], place.begin, (int64_t)count, tokens, &err), &err);
        CHECK_EQ(tokens[count - 1], tokenizer_eos(tokenizer));
        CHECK_OK(tokenizer_decode(tokenizer, tokens, count - 1, false, &text, &err), &err);
        CHECK_EQ(text.size, document.size);
        CHECK(memcmp(text.data, document.bytes, text.size) == 0);
        CHECK_EQ(place.text_bytes, document.size);
        bytes[split] += (int64_t)document.size;
        text_free(&text);
    }
    for (int i = 0; i < SHARD_SPLITS; i++) {
        CHECK_EQ(next[i], shard_set_documents(sets[i]));
        CHECK_EQ(result.documents[i], next[i]);
        CHECK_EQ(result.tokens[i], shard_set_tokens(sets[i]));
        CHECK_EQ(result.text_bytes[i], bytes[i]);
        CHECK_EQ(shard_set_text_bytes(sets[i]), bytes[i]);
    }
    /* A fifth, give or take what chance and the 300 equal ones make of it. */
    CHECK(next[SHARD_HELDOUT] > 350 && next[SHARD_HELDOUT] < 1000);
    doc_reader_close(reader);
    for (int i = 0; i < SHARD_SPLITS; i++) shard_set_close(sets[i]);
    tokenizer_free(tokenizer);
}

static void the_split_follows_the_hash_alone(void) {
    int held = 0, moved = 0;
    for (int i = 0; i < 10000; i++) {
        char text[32];
        int size = snprintf(text, sizeof text, "document %d", i);
        bool is_heldout = build_is_heldout(text, (size_t)size, 0.1, 1);
        CHECK_EQ(build_is_heldout(text, (size_t)size, 0.1, 1), is_heldout);
        if (is_heldout) CHECK(build_is_heldout(text, (size_t)size, 0.3, 1));
        CHECK(!build_is_heldout(text, (size_t)size, 0, 1));
        held += is_heldout;
        moved += is_heldout != build_is_heldout(text, (size_t)size, 0.1, 2);
    }
    CHECK(held > 900 && held < 1100);
    CHECK(moved > 1000);
}

static void a_corpus_without_text_is_refused(void) {
    struct tokenizer *tokenizer =
        train_tokenizer(store_text("a.txt", "some text, some more text"), 270);
    const struct build_options options = {.heldout_share = 0.1};
    struct build_result result;
    CHECK_STATUS(build(test_path("data"), store_text("e.txt", ""), tokenizer, 1, &options, &result),
                 FATHOM_BAD_INPUT);
    CHECK_HAS(err.text, "no text");
    CHECK(!path_exists(test_path("data")));
    /* Everything held out. */
    struct text lines = {0};
    for (int i = 0; i < 2000; i++) {
        char text[32];
        int size = snprintf(text, sizeof text, "line %d", i);
        if (build_is_heldout(text, (size_t)size, 0.5, 0))
            text_printf(&lines, "{\"text\": \"%s\"}\n", text);
    }
    const struct build_options half = {.heldout_share = 0.5};
    CHECK_STATUS(
        build(test_path("data"), store_text("h.jsonl", lines.data), tokenizer, 1, &half, &result),
        FATHOM_BAD_INPUT);
    CHECK_HAS(err.text, "held-out");
    text_free(&lines);
    CHECK(!path_exists(test_path("data")));
    tokenizer_free(tokenizer);
}

static void wrong_shares_are_refused(void) {
    const char *path = store_text("a.txt", "some text");
    struct tokenizer *tokenizer = train_tokenizer(path, 264);
    const double shares[] = {-0.1, 1, 2, NAN};
    for (int i = 0; i < 4; i++) {
        const struct build_options options = {.heldout_share = shares[i]};
        struct build_result result;
        CHECK_STATUS(build(test_path("data"), path, tokenizer, 1, &options, &result), FATHOM_USAGE);
        CHECK(!path_exists(test_path("data")));
    }
    tokenizer_free(tokenizer);
}

static void an_existing_dataset_stays_unless_replaced(void) {
    const char *path = store_text("a.txt", "some text, some more text");
    struct tokenizer *tokenizer = train_tokenizer(path, 270);
    struct build_options options = {0};
    struct build_result result;
    CHECK_OK(build(test_path("data"), path, tokenizer, 1, &options, &result), &err);
    CHECK_EQ(result.documents[SHARD_TRAIN], 1);
    const char *other = store_text("b.txt", "another, longer text that makes more tokens than it");
    CHECK_STATUS(build(test_path("data"), other, tokenizer, 1, &options, &result), FATHOM_EXISTS);
    struct shard_set *set;
    CHECK_OK(shard_set_open(&set, test_path("data"), SHARD_TRAIN, &err), &err);
    CHECK_EQ(shard_set_text_bytes(set), 25);
    shard_set_close(set);
    options.replace = true;
    CHECK_OK(build(test_path("data"), other, tokenizer, 1, &options, &result), &err);
    CHECK_OK(shard_set_open(&set, test_path("data"), SHARD_TRAIN, &err), &err);
    CHECK_EQ(shard_set_text_bytes(set), 51);
    shard_set_close(set);
    tokenizer_free(tokenizer);
}

static int entries_of(const char *path) {
    DIR *directory = opendir(path);
    int count = 0;
    for (struct dirent *entry; (entry = readdir(directory));) count += entry->d_name[0] != '.';
    closedir(directory);
    return count;
}

static void a_bad_line_or_a_signal_leaves_nothing(void) {
    const char *path = store_text("a.jsonl", "{\"text\": \"fine text\"}\n{\"text\": 7}\n");
    struct tokenizer *tokenizer = train_tokenizer(store_text("a.txt", "fine text, more text"), 270);
    struct build_options options = {0};
    struct build_result result;
    int before = entries_of(harness_directory());
    CHECK_STATUS(build(test_path("data"), path, tokenizer, 2, &options, &result), FATHOM_BAD_INPUT);
    CHECK_HAS(err.text, "a.jsonl, line 2");
    CHECK_EQ(entries_of(harness_directory()), before);
    interrupt_install();
    raise(SIGINT);
    path = test_path("a.txt");
    CHECK_STATUS(build(test_path("data"), path, tokenizer, 2, &options, &result),
                 FATHOM_INTERRUPTED);
    CHECK_EQ(entries_of(harness_directory()), before);
    tokenizer_free(tokenizer);
}

static fathom_status build_once(const char *out, const char *path,
                                const struct tokenizer *tokenizer) {
    const struct build_options options = {.heldout_share = 0.1, .seed = 1};
    struct build_result result;
    struct doc_reader *reader = NULL;
    struct pool *pool = NULL;
    fathom_status status = doc_reader_open(&reader, &path, 1, NULL, &err);
    if (status == FATHOM_OK) status = pool_new(&pool, 1, &err);
    if (status == FATHOM_OK)
        status = build_shards(out, reader, tokenizer, pool, &options, &result, &err);
    doc_reader_close(reader);
    pool_free(pool);
    return status;
}

static void failed_allocations_leave_nothing(void) {
    const char *path =
        store_text("a.jsonl", "{\"text\": \"some text\"}\n{\"text\": \"and more\"}\n");
    struct tokenizer *tokenizer = train_tokenizer(path, 270);
    const char *out = test_path("data");
    int before = entries_of(harness_directory());
    int64_t n = 1;
    for (fathom_status status = FATHOM_NO_MEMORY; status != FATHOM_OK; n++) {
        harness_context("allocation %d", (int)n);
        mem_fail_after(n);
        status = build_once(out, path, tokenizer);
        mem_fail_after(0);
        if (status != FATHOM_OK) {
            CHECK_EQ(status, FATHOM_NO_MEMORY);
            CHECK_EQ(entries_of(harness_directory()), before);
        }
    }
    CHECK(n > 20);
    tokenizer_free(tokenizer);
}

static void shards_of_another_tokenizer_are_told(void) {
    const char *path = store_text("a.txt", "some text, some more text, this and that text");
    struct tokenizer *a = train_tokenizer(path, 270), *b = train_tokenizer(path, 268);
    struct tokenizer *c =
        train_tokenizer(store_text("c.txt", "xyzxyz uvuv xyz uvw uvw uv abc abc"), 270);
    CHECK_OK(build_check_tokenizer(build_shard_tokenizer(a), a, "data", &err), &err);
    CHECK_STATUS(build_check_tokenizer(build_shard_tokenizer(a), b, "data", &err),
                 FATHOM_BAD_INPUT);
    CHECK_HAS(err.text, "270 tokens, but the one given has 268");
    CHECK_STATUS(build_check_tokenizer(build_shard_tokenizer(a), c, "data", &err),
                 FATHOM_BAD_INPUT);
    CHECK_HAS(err.text, "another tokenizer");
    tokenizer_free(a);
    tokenizer_free(b);
    tokenizer_free(c);
}

/* ---- cleaning ---- */

static const char *const middle_tokens[] = {"<|fim_begin|>", "<|fim_hole|>", "<|fim_end|>"};

/* All that a building can do at once. */
static struct build_options thorough(const struct fim *fim) {
    struct build_options options = {
        .heldout_share = 0.1,
        .seed = 3,
        .tokens_per_shard = 40000,
        .clean = {.utf8 = UTF8_REPLACE, .dedup = DEDUP_NEAR, .minhash = {5, 14, 8}},
        .skips_malformed = true,
        .fim = fim,
        .split_rate = 0.5,
        .settings = "{\"fim\": true}"};
    CHECK_OK(measure_rules_parse(&options.clean.rules, "words=25:200", &err), &err);
    return options;
}

static void what_is_kept_does_not_depend_on_the_threads(void) {
    const char *path = corpus();
    struct tokenizer *tokenizer = train_tokenizer_with(path, 600, middle_tokens, 3);
    struct fim fim;
    struct build_result one, three;
    CHECK_OK(fim_init(&fim, tokenizer, 0.3, 0.5, &err), &err);
    const struct build_options options = thorough(&fim);
    CHECK_OK(build(test_path("one"), path, tokenizer, 1, &options, &one), &err);
    CHECK_OK(build(test_path("three"), path, tokenizer, 3, &options, &three), &err);
    CHECK(memcmp(&one, &three, sizeof one) == 0);
    check_same_files(test_path("one"), test_path("three"));
    const int64_t documents = one.documents[SHARD_TRAIN] + one.documents[SHARD_HELDOUT];
    CHECK_EQ(one.verdicts[VERDICT_KEPT], documents);
    /* Every tenth line is the same, but for words that some have at the end. */
    CHECK(one.verdicts[VERDICT_DUPLICATE] >= 250 && one.verdicts[VERDICT_NEAR_DUPLICATE] >= 40);
    CHECK(one.verdicts[VERDICT_FILTERED] > 100);
    CHECK_EQ(one.verdicts[VERDICT_FILTERED], one.broken[MEASURE_WORDS]);
    const int64_t apart = one.forms[FORM_PSM] + one.forms[FORM_SPM];
    CHECK_EQ(apart + one.forms[FORM_PLAIN], one.documents[SHARD_TRAIN]);
    CHECK_NEAR((double)apart / (double)one.documents[SHARD_TRAIN], 0.3, 0.05);
    CHECK_NEAR((double)one.forms[FORM_SPM] / (double)apart, 0.5, 0.1);
    tokenizer_free(tokenizer);
}

static const char *const lines[] = {
    "{\"text\": \"the first line of all of them\"}",
    "{\"text\": \"the first line of all of them\"}",
    "not JSON",
    "{\"body\": \"no text here\"}",
    "{\"text\": \"short\"}",
    "",
    "{\"text\": \"caf\xff au lait for you\"}",
    "{\"text\": \"another good line of words\"}",
};

static const char *store_lines(void) {
    struct text file = {0};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        text_printf(&file, "%s\n", lines[i]);
    const char *path = store("lines.jsonl", file.data, file.size);
    text_free(&file);
    return path;
}

static void what_was_dropped_is_listed(void) {
    const char *path = store_lines();
    struct tokenizer *tokenizer = train_tokenizer(corpus(), 400);
    struct build_options options = {.clean = {.utf8 = UTF8_DROP, .dedup = DEDUP_EXACT},
                                    .skips_malformed = true};
    struct build_result result;
    size_t size;
    CHECK_OK(measure_rules_parse(&options.clean.rules, "words=3:", &err), &err);
    CHECK_OK(build(test_path("data"), path, tokenizer, 2, &options, &result), &err);
    const char *dropped = load(test_path("data/dropped.jsonl"), &size);
    harness_context("%s", dropped);
    CHECK_EQ(harness_count(dropped, "\n"), 5);
    CHECK_HAS(dropped, "\"line\": 2, \"why\": \"duplicate\", \"of\": {\"file\": \"");
    CHECK_HAS(dropped, "lines.jsonl\", \"line\": 1}}");
    CHECK_HAS(dropped, "\"line\": 3, \"why\": \"malformed\", \"fault\": \"");
    CHECK_HAS(dropped, "\\\"text\\\" is missing");
    CHECK_HAS(dropped, "\"line\": 5, \"why\": \"filtered\", \"measure\": \"words\", \"value\": 1");
    CHECK_HAS(dropped, "\"line\": 7, \"why\": \"not-utf8\"}");
    CHECK_EQ(result.verdicts[VERDICT_MALFORMED], 2);
    const char *record = load(test_path("data/build.json"), &size);
    harness_context("%s", record);
    CHECK_HAS(record, "\"verdicts\": {\"kept\": 2, \"malformed\": 2, \"not-utf8\": 1, "
                      "\"filtered\": 1, \"duplicate\": 1}, \"broken\": {\"words\": 1}");

    options.skips_malformed = false; /* only what is not UTF-8 is passed over */
    CHECK_STATUS(build(test_path("other"), path, tokenizer, 2, &options, &result),
                 FATHOM_BAD_INPUT);
    CHECK_HAS(err.text, "lines.jsonl, line 3");
    options.skips_malformed = true;
    options.clean.utf8 = UTF8_REPLACE;
    CHECK_OK(build(test_path("other"), path, tokenizer, 2, &options, &result), &err);
    CHECK_EQ(result.mended, 1);
    CHECK_EQ(result.verdicts[VERDICT_KEPT], 3);
    CHECK_OK(measure_rules_parse(&options.clean.rules, "words=100:", &err), &err);
    CHECK_STATUS(build(test_path("none"), path, tokenizer, 2, &options, &result), FATHOM_BAD_INPUT);
    CHECK_HAS(err.text, "all 7 were dropped");
    tokenizer_free(tokenizer);
}

/* Every document of both splits is the line that it says it came from. */
static void documents_know_where_they_came_from(void) {
    const char *paths[2] = {store_lines(), store_text("whole.txt", "a text file of its own")};
    struct tokenizer *tokenizer = train_tokenizer(corpus(), 400);
    const struct build_options options = {
        .heldout_share = 0.3, .seed = 2, .skips_malformed = true, .clean = {.utf8 = UTF8_REPLACE}};
    struct build_result result;
    struct doc_reader *reader;
    struct pool *pool;
    int files = 0, found = 0;
    CHECK_OK(doc_reader_open(&reader, paths, 2, NULL, &err), &err);
    CHECK_OK(pool_new(&pool, 2, &err), &err);
    CHECK_OK(build_shards(test_path("data"), reader, tokenizer, pool, &options, &result, &err),
             &err);
    doc_reader_close(reader);
    pool_free(pool);
    for (int s = 0; s < SHARD_SPLITS; s++) {
        struct shard_set *set;
        struct origins *origins;
        CHECK_OK(shard_set_open(&set, test_path("data"), (enum shard_split)s, &err), &err);
        CHECK_OK(origins_open(&origins, test_path("data"), (enum shard_split)s,
                              shard_set_documents(set), &err),
                 &err);
        for (int64_t i = 0; i < shard_set_documents(set); i++, found++) {
            struct shard_document place;
            enum document_form form;
            struct origin origin = origins_of(origins, i, &form);
            CHECK_OK(shard_set_document(set, i, &place, &err), &err);
            CHECK_EQ(form, FORM_PLAIN);
            files += origin.file == 1;
            if (origin.file == 1)
                CHECK_EQ(origin.line, 0);
            else if (origin.line != 7) /* there a byte was replaced */
                CHECK_EQ(place.text_bytes, strlen(lines[origin.line - 1]) - strlen("{'text': ''}"));
        }
        CHECK_STATUS(origins_open(&(struct origins *){NULL}, test_path("data"), (enum shard_split)s,
                                  shard_set_documents(set) + 1, &err),
                     FATHOM_BAD_INPUT);
        origins_close(origins);
        shard_set_close(set);
    }
    CHECK_EQ(files, 1);
    CHECK_EQ(found, 6);
    tokenizer_free(tokenizer);
}

static void damaged_origins_are_noticed(void) {
    const char *path = store_lines();
    struct tokenizer *tokenizer = train_tokenizer(corpus(), 400);
    const struct build_options options = {.skips_malformed = true};
    struct build_result result;
    struct origins *origins;
    size_t size;
    CHECK_OK(build(test_path("data"), path, tokenizer, 1, &options, &result), &err);
    const char *name = "data/train-origins.bin";
    const char *bytes = load(test_path(name), &size);
    const int64_t documents = result.documents[SHARD_TRAIN];
    CHECK_EQ(size, 32 + 16 * documents);
    for (size_t i = 0; i < size; i++) {
        char *copy = harness_keep(malloc(size));
        memcpy(copy, bytes, size);
        copy[i] ^= 1;
        store(name, copy, size);
        harness_context("byte %zu", i);
        CHECK(origins_open(&origins, test_path("data"), SHARD_TRAIN, documents, &err) != FATHOM_OK);
        store(name, bytes, i);
        CHECK_STATUS(origins_open(&origins, test_path("data"), SHARD_TRAIN, documents, &err),
                     FATHOM_BAD_INPUT);
    }
    CHECK_OK(path_remove(test_path(name), &err), &err);
    CHECK_OK(origins_open(&origins, test_path("data"), SHARD_TRAIN, documents, &err), &err);
    CHECK(origins == NULL); /* a dataset from before there were any */
    tokenizer_free(tokenizer);
}

/* ---- going on ---- */

/* A building that its checkpoints outlive. */
static fathom_status build_resumable(const char *path, const struct tokenizer *tokenizer,
                                     int threads, const json_node *unfinished) {
    struct build_options options = {.heldout_share = 0.1,
                                    .tokens_per_shard = 3000,
                                    .clean = {.dedup = DEDUP_EXACT},
                                    .is_resumable = true,
                                    .unfinished = unfinished};
    struct build_result result;
    return build(test_path("data"), path, tokenizer, threads, &options, &result);
}

/* 12,000 small documents, three batches: a signal after the first leaves a checkpoint, and what is
 * gone on with counts all of them. tests/cli/test_data.sh compares the bits. */
static void a_building_goes_on_from_its_checkpoint(void) {
    enum { MANY = 12000 };
    struct text file = {0};
    for (int i = 0; i < MANY; i++)
        text_printf(&file, "{\"text\": \"%d and some words\"}\n", i % 9000);
    const char *path = store("many.jsonl", file.data, file.size);
    struct tokenizer *tokenizer = train_tokenizer(corpus(), 400);
    json_node *state = NULL;
    char *place = NULL;
    CHECK_OK(build_workplace(&place, test_path("data//"), &err), &err);
    CHECK_STR(place, test_path("data.building"));
    CHECK_STATUS(build_unfinished(&state, place, &err), FATHOM_IO);
    /* The signal's flag stays: another process is interrupted. */
    const pid_t child = fork();
    if (child == 0) {
        interrupt_install();
        raise(SIGINT);
        _exit(build_resumable(path, tokenizer, 2, NULL) == FATHOM_INTERRUPTED ? 0 : 1);
    }
    int ended = -1;
    CHECK_EQ(waitpid(child, &ended, 0), child);
    CHECK_EQ(ended, 0);
    CHECK(!path_exists(test_path("data")));
    CHECK_STATUS(build_resumable(path, tokenizer, 2, NULL), FATHOM_EXISTS);
    CHECK_HAS(err.text, "--resume goes on with it");
    CHECK_OK(build_unfinished(&state, place, &err), &err);
    CHECK_EQ(json_integer(json_member(state, "read")), 4096);
    CHECK_OK(build_resumable(path, tokenizer, 1, state), &err);
    CHECK(!path_exists(place));
    struct shard_set *set;
    int64_t documents = 0;
    for (int s = 0; s < SHARD_SPLITS; s++) {
        CHECK_OK(shard_set_open(&set, test_path("data"), (enum shard_split)s, &err), &err);
        CHECK_OK(shard_set_verify(set, &err), &err);
        documents += shard_set_documents(set);
        shard_set_close(set);
    }
    CHECK_EQ(documents, 9000);
    json_free(state);
    mem_free(place);
    text_free(&file);
    tokenizer_free(tokenizer);
}

static const struct test tests[] = {
    TEST(shards_are_the_same_for_any_number_of_threads),
    TEST(documents_come_back_from_their_split),
    TEST(the_split_follows_the_hash_alone),
    TEST(a_corpus_without_text_is_refused),
    TEST(wrong_shares_are_refused),
    TEST(an_existing_dataset_stays_unless_replaced),
    TEST(a_bad_line_or_a_signal_leaves_nothing),
    TEST(failed_allocations_leave_nothing),
    TEST(shards_of_another_tokenizer_are_told),
    TEST(what_is_kept_does_not_depend_on_the_threads),
    TEST(what_was_dropped_is_listed),
    TEST(documents_know_where_they_came_from),
    TEST(damaged_origins_are_noticed),
    TEST(a_building_goes_on_from_its_checkpoint),
};
HARNESS_MAIN(tests)
