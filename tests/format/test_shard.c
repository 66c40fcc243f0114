#include "format_test.h"

#include "format/shard.h"
#include "format/shard_file.h"

static struct error err;

enum { EOS = 1 };

static const struct shard_writer_options small_options = {
    .tokenizer = {.hash = 0x123456789abcdef0, .vocab_size = 1000, .eos = EOS, .bos = -1},
    .tokens_per_shard = 20,
};

static const char *dataset(void) { return test_path("data"); }

/* Document d of a split: d % 9 tokens. */
static int32_t document_token(enum shard_split split, int d, int64_t i) {
    return (int32_t)(2 + (d * 31 + i * 7 + split * 100) % 990);
}
static int64_t document_length(int d) { return d % 9; }

enum { DOCUMENTS = 40 };

static void write_documents(struct shard_writer *writer, enum shard_split split) {
    for (int d = 0; d < DOCUMENTS; d++) {
        int32_t tokens[16];
        for (int64_t i = 0; i < document_length(d); i++) tokens[i] = document_token(split, d, i);
        CHECK_OK(shard_writer_append(writer, split, tokens, document_length(d), d * 3, &err), &err);
    }
}

static void write_dataset(const struct shard_writer_options *options) {
    struct shard_writer *writer;
    CHECK_OK(shard_writer_open(&writer, dataset(), options, &err), &err);
    write_documents(writer, SHARD_TRAIN);
    write_documents(writer, SHARD_HELDOUT);
    CHECK_OK(shard_writer_commit(writer, &err), &err);
}

/* The stream that write_documents makes; returns its length. */
static int64_t expected_stream(enum shard_split split, int32_t *stream) {
    int64_t n = 0;
    for (int d = 0; d < DOCUMENTS; d++) {
        for (int64_t i = 0; i < document_length(d); i++) stream[n++] = document_token(split, d, i);
        stream[n++] = EOS;
    }
    return n;
}

static struct shard_set *open_split(enum shard_split split) {
    struct shard_set *set;
    CHECK_OK(shard_set_open(&set, dataset(), split, &err), &err);
    return set;
}

static void check_stream(enum shard_split split) {
    int32_t expected[1000], tokens[1000];
    int64_t n = expected_stream(split, expected);
    struct shard_set *set = open_split(split);
    CHECK_EQ(shard_set_tokens(set), n);
    for (int64_t begin = 0; begin <= n; begin++) {
        for (int64_t count = 0; begin + count <= n; count += 1 + count / 3) {
            CHECK_OK(shard_set_read(set, begin, count, tokens, &err), &err);
            CHECK(memcmp(tokens, expected + begin, (size_t)count * sizeof *tokens) == 0);
        }
    }
    CHECK_STATUS(shard_set_read(set, 0, n + 1, tokens, &err), FATHOM_USAGE);
    CHECK_STATUS(shard_set_read(set, n + 1, 0, tokens, &err), FATHOM_USAGE);
    CHECK_STATUS(shard_set_read(set, -1, 1, tokens, &err), FATHOM_USAGE);
    CHECK_STATUS(shard_set_read(set, 1, INT64_MAX, tokens, &err), FATHOM_USAGE);
    CHECK_OK(shard_set_verify(set, &err), &err);
    shard_set_close(set);
}

static void any_range_across_shards_reads_back(void) {
    write_dataset(&small_options);
    check_stream(SHARD_TRAIN);
    check_stream(SHARD_HELDOUT);
    struct shard_set *set = open_split(SHARD_TRAIN);
    CHECK(shard_set_files(set) > 5);
    CHECK_EQ(shard_set_tokenizer(set).hash, 0x123456789abcdef0);
    CHECK_EQ(shard_set_tokenizer(set).vocab_size, 1000);
    CHECK_EQ(shard_set_tokenizer(set).eos, EOS);
    CHECK_EQ(shard_set_tokenizer(set).bos, -1);
    CHECK_EQ(shard_set_text_bytes(set), 3 * DOCUMENTS * (DOCUMENTS - 1) / 2);
    shard_set_close(set);
}

static void wide_vocabularies_and_one_large_shard_read_back(void) {
    struct shard_writer_options options = small_options;
    options.tokenizer.vocab_size = 65537;
    options.tokenizer.bos = 65536;
    options.tokens_per_shard = 0;
    write_dataset(&options);
    check_stream(SHARD_TRAIN);
    struct shard_set *set = open_split(SHARD_TRAIN);
    CHECK_EQ(shard_set_files(set), 1);
    CHECK_EQ(shard_set_tokenizer(set).bos, 65536);
    shard_set_close(set);
}

static void documents_are_bounded_by_their_eos(void) {
    write_dataset(&small_options);
    struct shard_set *set = open_split(SHARD_TRAIN);
    CHECK_EQ(shard_set_documents(set), DOCUMENTS);
    int64_t next = 0;
    for (int d = 0; d < DOCUMENTS; d++) {
        struct shard_document document;
        CHECK_OK(shard_set_document(set, d, &document, &err), &err);
        CHECK_EQ(document.begin, next);
        CHECK_EQ(document.end - document.begin, document_length(d) + 1);
        CHECK_EQ(document.text_bytes, d * 3);
        next = document.end;
    }
    struct shard_document document;
    CHECK_STATUS(shard_set_document(set, DOCUMENTS, &document, &err), FATHOM_USAGE);
    CHECK_STATUS(shard_set_document(set, -1, &document, &err), FATHOM_USAGE);
    shard_set_close(set);
}

static void samples_overlap_by_one_token(void) {
    write_dataset(&small_options);
    struct shard_set *set = open_split(SHARD_TRAIN);
    int32_t stream[1000], sample[1001];
    int64_t n = expected_stream(SHARD_TRAIN, stream);
    for (int64_t T = 1; T < n + 3; T++) {
        harness_context("T=%lld", (long long)T);
        int64_t samples = shard_set_samples(set, T);
        CHECK_EQ(samples, (n - 1) / T);
        for (int64_t i = 0; i < samples; i++) {
            CHECK_OK(shard_set_sample(set, i, T, sample, &err), &err);
            CHECK(memcmp(sample, stream + i * T, (size_t)(T + 1) * sizeof *sample) == 0);
        }
        CHECK_STATUS(shard_set_sample(set, samples, T, sample, &err), FATHOM_USAGE);
        CHECK_STATUS(shard_set_sample(set, -1, T, sample, &err), FATHOM_USAGE);
    }
    CHECK_STATUS(shard_set_sample(set, 0, 0, sample, &err), FATHOM_USAGE);
    shard_set_close(set);
}

static void an_empty_split_opens_and_has_nothing(void) {
    struct shard_writer *writer;
    CHECK_OK(shard_writer_open(&writer, dataset(), &small_options, &err), &err);
    write_documents(writer, SHARD_TRAIN);
    CHECK_OK(shard_writer_commit(writer, &err), &err);
    struct shard_set *set = open_split(SHARD_HELDOUT);
    CHECK_EQ(shard_set_tokens(set), 0);
    CHECK_EQ(shard_set_documents(set), 0);
    CHECK_EQ(shard_set_samples(set, 8), 0);
    CHECK_OK(shard_set_read(set, 0, 0, NULL, &err), &err);
    CHECK_OK(shard_set_verify(set, &err), &err);
    shard_set_close(set);
}

static void a_long_document_gets_a_shard_of_its_own(void) {
    enum { LONG = 9000 };
    static int32_t tokens[LONG], back[LONG + 1];
    struct shard_writer *writer;
    for (int i = 0; i < LONG; i++) tokens[i] = i % 1000;
    CHECK_OK(shard_writer_open(&writer, dataset(), &small_options, &err), &err);
    CHECK_OK(shard_writer_append(writer, SHARD_TRAIN, tokens, 2, 1, &err), &err);
    CHECK_OK(shard_writer_append(writer, SHARD_TRAIN, tokens, LONG, 1, &err), &err);
    CHECK_OK(shard_writer_append(writer, SHARD_TRAIN, tokens, 2, 1, &err), &err);
    CHECK_OK(shard_writer_commit(writer, &err), &err);
    struct shard_set *set = open_split(SHARD_TRAIN);
    CHECK_EQ(shard_set_files(set), 3);
    CHECK_OK(shard_set_read(set, 3, LONG, back, &err), &err);
    CHECK(memcmp(back, tokens, sizeof tokens) == 0);
    shard_set_close(set);
}

static void the_identity_follows_the_tokens(void) {
    write_dataset(&small_options);
    struct shard_set *train = open_split(SHARD_TRAIN), *heldout = open_split(SHARD_HELDOUT);
    CHECK(shard_set_identity(train) != shard_set_identity(heldout));
    struct shard_set *again = open_split(SHARD_TRAIN);
    CHECK(shard_set_identity(train) == shard_set_identity(again));
    shard_set_close(train);
    shard_set_close(heldout);
    shard_set_close(again);
}

static void an_existing_dataset_stays_unless_replaced(void) {
    write_dataset(&small_options);
    struct shard_writer *writer;
    CHECK_STATUS(shard_writer_open(&writer, dataset(), &small_options, &err), FATHOM_EXISTS);
    struct shard_writer_options options = small_options;
    options.replace = true;
    CHECK_OK(shard_writer_open(&writer, dataset(), &options, &err), &err);
    check_stream(SHARD_TRAIN);
    CHECK_OK(shard_writer_append(writer, SHARD_TRAIN, NULL, 0, 0, &err), &err);
    CHECK_OK(shard_writer_commit(writer, &err), &err);
    struct shard_set *set = open_split(SHARD_TRAIN);
    CHECK_EQ(shard_set_tokens(set), 1);
    shard_set_close(set);
}

static void an_aborted_dataset_leaves_nothing(void) {
    struct shard_writer *writer;
    CHECK_OK(shard_writer_open(&writer, dataset(), &small_options, &err), &err);
    write_documents(writer, SHARD_TRAIN);
    char *temporary = NULL;
    CHECK_OK(string_copy(&temporary, shard_writer_directory(writer), &err), &err);
    CHECK(path_exists(temporary));
    shard_writer_abort(writer);
    CHECK(!path_exists(temporary));
    mem_free(temporary);
    CHECK(!path_exists(dataset()));
}

static void tokens_outside_the_vocabulary_are_not_written(void) {
    struct shard_writer *writer;
    const int32_t bad[] = {5, 1000}, negative[] = {-1};
    CHECK_OK(shard_writer_open(&writer, dataset(), &small_options, &err), &err);
    CHECK_STATUS(shard_writer_append(writer, SHARD_TRAIN, bad, 2, 1, &err), FATHOM_BAD_INPUT);
    CHECK_HAS(err.text, "token 1 of a document is 1000");
    CHECK_STATUS(shard_writer_append(writer, SHARD_TRAIN, negative, 1, 1, &err), FATHOM_BAD_INPUT);
    CHECK_STATUS(shard_writer_append(writer, SHARD_TRAIN, bad, 1, -1, &err), FATHOM_USAGE);
    shard_writer_abort(writer);
    struct shard_writer_options options = small_options;
    options.tokenizer.eos = 1000;
    CHECK_STATUS(shard_writer_open(&writer, dataset(), &options, &err), FATHOM_USAGE);
}

/* Everything that a reader can do with a set; whatever it answers, it must not crash. */
static fathom_status read_all(const struct shard_set *set) {
    for (int64_t at = 0; at < shard_set_tokens(set); at++) {
        int32_t token;
        TRY(shard_set_read(set, at, 1, &token, &err));
        CHECK(token >= 0 && token < shard_set_tokenizer(set).vocab_size);
    }
    for (int64_t i = 0; i < shard_set_documents(set); i++) {
        struct shard_document document;
        TRY(shard_set_document(set, i, &document, &err));
        CHECK(document.begin < document.end && document.end <= shard_set_tokens(set));
    }
    return shard_set_verify(set, &err);
}

/* meta.json and the only shard of a small dataset. */
struct pair {
    char *meta, *file;
    size_t meta_size, file_size;
};

static struct pair small_pair(void) {
    struct shard_writer_options options = small_options;
    options.tokens_per_shard = 0;
    write_dataset(&options);
    struct pair pair;
    pair.meta = load(test_path("data/meta.json"), &pair.meta_size);
    pair.file = load(test_path("data/train-00000.tok"), &pair.file_size);
    return pair;
}

static fathom_status open_pair(const struct pair *pair) {
    struct shard_set *set;
    char *meta = copy_exact(pair->meta, pair->meta_size);
    char *file = copy_exact(pair->file, pair->file_size);
    fathom_status status = shard_set_open_memory(&set, SHARD_TRAIN, meta, pair->meta_size, file,
                                                 pair->file_size, &err);
    if (status == FATHOM_OK) status = read_all(set);
    shard_set_close(set);
    free(meta);
    free(file);
    return status;
}

static void truncation_at_every_byte_is_refused(void) {
    struct pair pair = small_pair();
    CHECK_OK(open_pair(&pair), &err);
    size_t whole = pair.file_size;
    for (pair.file_size = 0; pair.file_size < whole; pair.file_size++) {
        harness_context("shard of %zu bytes", pair.file_size);
        CHECK_STATUS(open_pair(&pair), FATHOM_BAD_INPUT);
        CHECK_HAS(err.text, "train-00000.tok");
    }
    pair.file_size = whole;
    while (pair.meta[pair.meta_size - 1] == '\n') pair.meta_size--;
    for (whole = pair.meta_size, pair.meta_size = 0; pair.meta_size < whole; pair.meta_size++) {
        harness_context("meta.json of %zu bytes", pair.meta_size);
        CHECK_STATUS(open_pair(&pair), FATHOM_BAD_INPUT);
        CHECK_HAS(err.text, "meta.json");
    }
}

static void every_flipped_bit_of_a_shard_is_found(void) {
    struct pair pair = small_pair();
    for (size_t bit = 0; bit < pair.file_size * 8; bit++) {
        harness_context("bit=%zu", bit);
        pair.file[bit / 8] = (char)(pair.file[bit / 8] ^ (1 << bit % 8));
        CHECK(open_pair(&pair) != FATHOM_OK);
        CHECK_HAS(err.text, "train-00000.tok");
        pair.file[bit / 8] = (char)(pair.file[bit / 8] ^ (1 << bit % 8));
    }
}

static void flipped_bits_of_meta_json_are_survived(void) {
    struct pair pair = small_pair();
    for (size_t bit = 0; bit < pair.meta_size * 8; bit++) {
        harness_context("bit=%zu", bit);
        pair.meta[bit / 8] = (char)(pair.meta[bit / 8] ^ (1 << bit % 8));
        open_pair(&pair);
        pair.meta[bit / 8] = (char)(pair.meta[bit / 8] ^ (1 << bit % 8));
    }
}

/* Rewrites the header so that its checksum agrees with what was changed. */
static void reseal(struct pair *pair, const struct shard_header *header) {
    shard_header_write((unsigned char *)pair->file, header);
}

static struct shard_header header_of(const struct pair *pair) {
    struct shard_file file;
    CHECK_OK(shard_file_parse(&file, pair->file, pair->file_size, "x", &err), &err);
    return file.header;
}

static void lying_counts_are_refused(void) {
    struct pair pair = small_pair();
    const struct shard_header good = header_of(&pair);
    struct shard_file file;
    for (int i = 0; i < 8; i++) {
        struct shard_header header = good;
        uint64_t *const counts[] = {&header.tokens, &header.documents, &header.vocab_size,
                                    &header.text_bytes};
        *counts[i % 4] = i < 4 ? UINT64_MAX / 2 + 3 : 0;
        if (i == 7) header.token_size = 4;
        harness_context("lie %d", i);
        reseal(&pair, &header);
        CHECK_STATUS(shard_file_parse(&file, pair.file, pair.file_size, "x", &err),
                     FATHOM_BAD_INPUT);
    }
    harness_context("%s", "");
    struct shard_header header = good;
    header.vocab_size = 65537; /* would need tokens of 4 bytes */
    reseal(&pair, &header);
    CHECK_STATUS(shard_file_parse(&file, pair.file, pair.file_size, "x", &err), FATHOM_BAD_INPUT);
}

static void a_token_outside_the_vocabulary_is_an_error_on_read(void) {
    struct pair pair = small_pair();
    struct shard_file file;
    int32_t tokens[10];
    const uint16_t outside = 1000;
    memcpy(pair.file + SHARD_HEADER_SIZE + 2 * 7, &outside, sizeof outside);
    CHECK_OK(shard_file_parse(&file, pair.file, pair.file_size, "x.tok", &err), &err);
    CHECK_OK(shard_file_read(&file, 0, 7, tokens, &err), &err);
    CHECK_STATUS(shard_file_read(&file, 5, 5, tokens, &err), FATHOM_BAD_INPUT);
    CHECK_HAS(err.text, "x.tok: token 7 is 1000");
}

static void a_lying_document_index_is_an_error_on_read(void) {
    struct pair pair = small_pair();
    struct shard_file file;
    struct shard_document document;
    CHECK_OK(shard_file_parse(&file, pair.file, pair.file_size, "x.tok", &err), &err);
    unsigned char *index = (unsigned char *)pair.file + (file.index - file.bytes);
    const struct {
        int document;
        uint64_t first;
    } lies[] = {{0, 1}, {1, 0}, {1, 1000000}, {2, UINT64_MAX}, {DOCUMENTS - 1, 1000000}};
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        harness_context("lie %zu", i);
        uint64_t was;
        unsigned char *place = index + 16 * lies[i].document;
        memcpy(&was, place, sizeof was);
        memcpy(place, &lies[i].first, sizeof was);
        CHECK_STATUS(shard_file_document(&file, lies[i].document > 0 ? lies[i].document - 1 : 0,
                                         &document, &err),
                     FATHOM_BAD_INPUT);
        CHECK_HAS(err.text, "x.tok: document");
        memcpy(place, &was, sizeof was);
    }
}

/* Replaces the first `from` in meta.json by `to`, and expects the words on opening. */
static void meta_refused(const char *from, const char *to, fathom_status expected,
                         const char *words) {
    size_t size;
    const char *meta = load(test_path("data/meta.json"), &size);
    harness_context("%s for %s", to, from);
    CHECK_HAS(meta, from);
    size_t at = (size_t)(strstr(meta, from) - meta);
    struct text changed = {0};
    text_append(&changed, meta, at);
    text_append_string(&changed, to);
    text_append_string(&changed, meta + at + strlen(from));
    store(test_path("data/meta.json"), text_data(&changed), changed.size);
    struct shard_set *set;
    CHECK_STATUS(shard_set_open(&set, dataset(), SHARD_TRAIN, &err), expected);
    CHECK_HAS(err.text, words);
    store(test_path("data/meta.json"), meta, size);
    text_free(&changed);
}

static void a_lying_meta_json_is_refused(void) {
    const fathom_status bad = FATHOM_BAD_INPUT;
    write_dataset(&small_options);
    meta_refused("\"version\": 1", "\"version\": 2", FATHOM_UNSUPPORTED, "version 2");
    meta_refused("fathom tokens", "other tokens", bad, "other tokens");
    meta_refused("123456789abcdef0", "123456789ABCDEF0", bad, "hash");
    meta_refused("\"vocab_size\": 1000", "\"vocab_size\": 999", bad, "train-00000.tok");
    meta_refused("\"vocab_size\": 1000", "\"vocab_size\": 0", bad, "vocab_size 0");
    meta_refused("\"eos\": 1", "\"eos\": 1000", bad, "eos 1000");
    meta_refused("\"bos\": null", "\"bos\": -2", bad, "bos -2");
    meta_refused("\"train\"", "\"other\"", bad, "train");
    meta_refused("train-00001.tok", "../00001.tok", bad, "../00001.tok");
    meta_refused("\"documents\": 40", "\"documents\": 41", bad, "train");
    meta_refused("{\"file\": \"train-00000.tok\", \"tokens\": 1",
                 "{\"file\": \"train-00000.tok\", \"tokens\": 2", bad, "train-00000.tok");
    CHECK_OK(path_remove(test_path("data/train-00002.tok"), &err), &err);
    meta_refused("\"version\"", "\"version\"", FATHOM_IO, "train-00002.tok");
    CHECK_OK(path_remove(test_path("data/meta.json"), &err), &err);
    struct shard_set *set;
    CHECK_STATUS(shard_set_open(&set, dataset(), SHARD_TRAIN, &err), FATHOM_IO);
    CHECK_HAS(err.text, "meta.json");
}

static void exchanged_shards_are_noticed(void) {
    write_dataset(&small_options);
    size_t size;
    char *other = load(test_path("data/train-00001.tok"), &size);
    store(test_path("data/train-00000.tok"), other, size);
    struct shard_set *set;
    CHECK_STATUS(shard_set_open(&set, dataset(), SHARD_TRAIN, &err), FATHOM_BAD_INPUT);
    CHECK_HAS(err.text, "train-00000.tok: is not the shard that meta.json lists");
}

static const struct test tests[] = {
    TEST(any_range_across_shards_reads_back),
    TEST(wide_vocabularies_and_one_large_shard_read_back),
    TEST(documents_are_bounded_by_their_eos),
    TEST(samples_overlap_by_one_token),
    TEST(an_empty_split_opens_and_has_nothing),
    TEST(a_long_document_gets_a_shard_of_its_own),
    TEST(the_identity_follows_the_tokens),
    TEST(an_existing_dataset_stays_unless_replaced),
    TEST(an_aborted_dataset_leaves_nothing),
    TEST(tokens_outside_the_vocabulary_are_not_written),
    TEST(truncation_at_every_byte_is_refused),
    TEST(every_flipped_bit_of_a_shard_is_found),
    TEST(flipped_bits_of_meta_json_are_survived),
    TEST(lying_counts_are_refused),
    TEST(a_token_outside_the_vocabulary_is_an_error_on_read),
    TEST(a_lying_document_index_is_an_error_on_read),
    TEST(a_lying_meta_json_is_refused),
    TEST(exchanged_shards_are_noticed),
};
HARNESS_MAIN(tests)
