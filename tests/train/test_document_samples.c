/* Samples that begin with documents. */
#include "train/document_samples.h"

#include <stdio.h>

#include "harness.h"
#include "train/loader.h"

static struct error err;

enum { EOS = 1 };

/* Documents of these many tokens, eos included; document i is all 10 + i. */
static struct shard_set *make_set(const int *sizes, int count) {
    char path[600];
    struct shard_writer *writer = NULL;
    struct shard_set *set = NULL;
    const struct shard_writer_options options = {.tokenizer = {1, 64, EOS, 0}, .replace = true};
    snprintf(path, sizeof path, "%s/data", harness_directory());
    CHECK_OK(shard_writer_open(&writer, path, &options, &err), &err);
    for (int i = 0; i < count; i++) {
        int32_t tokens[64];
        for (int j = 0; j < sizes[i] - 1; j++) tokens[j] = 10 + i;
        CHECK_OK(shard_writer_append(writer, SHARD_TRAIN, tokens, sizes[i] - 1, 1, &err), &err);
    }
    CHECK_OK(shard_writer_commit(writer, &err), &err);
    CHECK_OK(shard_set_open(&set, path, SHARD_TRAIN, &err), &err);
    return set;
}

static void check_begins(const int *sizes, int count, int64_t T, const int64_t *expected,
                         int64_t samples) {
    struct shard_set *set = make_set(sizes, count);
    struct document_samples s;
    CHECK_OK(document_samples_new(&s, set, T, &err), &err);
    CHECK_EQ(s.count, samples);
    for (int64_t i = 0; i < samples; i++) {
        harness_context("sample %d", (int)i);
        CHECK_EQ(s.begins[i], expected[i]);
    }
    document_samples_free(&s);
    shard_set_close(set);
}

static void the_next_sample_begins_with_what_was_cut(void) {
    /* documents at 0 5 10 18 22 26, the end at 40 */
    static const int sizes[] = {5, 5, 8, 4, 4, 14};
    static const int64_t expected[] = {0, 10, 22, 26};
    check_begins(sizes, 6, 12, expected, 4);
}

static void a_document_may_end_with_the_last_target(void) {
    static const int sizes[] = {5, 8, 13, 14};
    static const int64_t expected[] = {0, 13, 26};
    check_begins(sizes, 4, 12, expected, 3);
}

static void a_document_that_does_not_fit_is_cut_from_its_beginning(void) {
    /* documents at 0 4 34, the end at 44 */
    static const int sizes[] = {4, 30, 10};
    static const int64_t expected[] = {0, 4, 14, 24};
    check_begins(sizes, 3, 10, expected, 4);
}

static void the_end_of_the_stream_may_be_too_short(void) {
    static const int sizes[] = {6, 6};
    static const int64_t expected[] = {0};
    check_begins(sizes, 2, 10, expected, 1);
    check_begins(sizes, 1, 10, expected, 0);
}

static void the_loader_gives_each_once_in_an_epoch(void) {
    static const int sizes[] = {9, 9, 9, 9, 9, 9, 9, 9};
    struct shard_set *set = make_set(sizes, 8);
    struct loader loader;
    int seen[8] = {0};
    CHECK_OK(loader_init(&loader, set, 12, 1, &err), &err);
    CHECK_OK(loader_keep_documents(&loader, &err), &err);
    CHECK_EQ(loader.samples, 7); /* the last document has too little behind it */
    for (int64_t g = 0; g < 14; g++) {
        int32_t tokens[13];
        CHECK_OK(loader_read(&loader, g, tokens, &err), &err);
        int document = tokens[0] - 10;
        CHECK(document >= 0 && document < 7);
        CHECK(tokens[7] == tokens[0] && tokens[8] == EOS && tokens[9] == tokens[0] + 1);
        CHECK_EQ(seen[document]++, g / 7);
    }
    loader_free(&loader);
    loader_free(&loader);
    shard_set_close(set);
}

static void a_set_without_a_sample_is_refused(void) {
    static const int sizes[] = {6};
    struct shard_set *set = make_set(sizes, 1);
    struct loader loader;
    CHECK_OK(loader_init(&loader, set, 5, 1, &err), &err);
    loader.length = 6;
    CHECK_STATUS(loader_keep_documents(&loader, &err), FATHOM_BAD_INPUT);
    CHECK_HAS(err.text, "not one sample of 6");
    loader_free(&loader);
    shard_set_close(set);
}

static const struct test tests[] = {
    TEST(the_next_sample_begins_with_what_was_cut),
    TEST(a_document_may_end_with_the_last_target),
    TEST(a_document_that_does_not_fit_is_cut_from_its_beginning),
    TEST(the_end_of_the_stream_may_be_too_short),
    TEST(the_loader_gives_each_once_in_an_epoch),
    TEST(a_set_without_a_sample_is_refused),
};
HARNESS_MAIN(tests)
