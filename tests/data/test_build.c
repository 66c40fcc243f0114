#include "data_test.h"

#include <dirent.h>
#include <signal.h>

#include "base/clock.h"
#include "data/build.h"
#include "data/synth.h"
#include "text/bpe_train.h"

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

static struct tokenizer *train(const char *path, int32_t vocab_size) {
    struct bpe_trainer *trainer;
    struct tokenizer *tokenizer;
    struct doc_reader *reader;
    struct document document;
    bool is_end;
    const struct bpe_train_options options = {.vocab_size = vocab_size};
    CHECK_OK(bpe_trainer_new(&trainer, "deepseek-v3", NULL, &err), &err);
    CHECK_OK(doc_reader_open(&reader, &path, 1, NULL, &err), &err);
    for (;;) {
        CHECK_OK(doc_reader_next(reader, &document, &is_end, &err), &err);
        if (is_end) break;
        CHECK_OK(bpe_trainer_add(trainer, document.bytes, document.size, &err), &err);
    }
    doc_reader_close(reader);
    CHECK_OK(bpe_trainer_finish(trainer, &options, &tokenizer, &err), &err);
    bpe_trainer_free(trainer);
    return tokenizer;
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
    struct tokenizer *tokenizer = train(path, 600);
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
    struct tokenizer *tokenizer = train(path, 600);
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
    struct tokenizer *tokenizer = train(store_text("a.txt", "some text, some more text"), 270);
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
    struct tokenizer *tokenizer = train(path, 264);
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
    struct tokenizer *tokenizer = train(path, 270);
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
    struct tokenizer *tokenizer = train(store_text("a.txt", "fine text, more text"), 270);
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
    struct tokenizer *tokenizer = train(path, 270);
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
    struct tokenizer *a = train(path, 270), *b = train(path, 268);
    struct tokenizer *c = train(store_text("c.txt", "xyzxyz uvuv xyz uvw uvw uv abc abc"), 270);
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
};
HARNESS_MAIN(tests)
