#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "harness.h"
#include "text/tokenizer_data.h"
#include "trained.h"

enum { FIRST_BYTE = 3, FIRST_MERGED = 259, FIXED = 263 };

/* ---- an oracle that counts everything again before every merge ---- */

enum { ORACLE_TOKENS = 320, ORACLE_SYMBOLS = 4096 };

struct oracle {
    int32_t symbols[ORACLE_SYMBOLS]; /* words, each followed by -1 */
    size_t count;
    int64_t times[ORACLE_TOKENS][ORACLE_TOKENS];
    struct merge merges[ORACLE_TOKENS];
    size_t merge_count;
};

static void oracle_start(struct oracle *o, const struct tokenizer *t, const char *text,
                         size_t size) {
    struct error err = {0};
    struct cutter *cutter = NULL;
    struct piece piece;
    o->count = o->merge_count = 0;
    CHECK_OK(cutter_new(&cutter, t->pretokenizer, &err), &err);
    CHECK_OK(cutter_start(cutter, text, size, &err), &err);
    for (;;) {
        CHECK_OK(cutter_next(cutter, &piece, &err), &err);
        if (piece.size == 0) break;
        CHECK(o->count + piece.size + 1 <= ORACLE_SYMBOLS);
        for (size_t i = 0; i < piece.size; i++) o->symbols[o->count++] = t->byte_id[piece.bytes[i]];
        o->symbols[o->count++] = -1;
    }
    cutter_free(cutter);
}

static void oracle_count(struct oracle *o) {
    memset(o->times, 0, sizeof o->times);
    for (size_t i = 0; i + 1 < o->count; i++)
        if (o->symbols[i] >= 0 && o->symbols[i + 1] >= 0)
            o->times[o->symbols[i]][o->symbols[i + 1]]++;
}

static bool oracle_merge(struct oracle *o, int32_t result) {
    int64_t best = 0;
    struct merge m = {0, 0, result};
    oracle_count(o);
    for (int32_t left = 0; left < ORACLE_TOKENS; left++)
        for (int32_t right = 0; right < ORACLE_TOKENS; right++)
            if (o->times[left][right] > best) {
                best = o->times[left][right];
                m.left = left;
                m.right = right;
            }
    if (best == 0) return false;
    size_t to = 0;
    for (size_t from = 0; from < o->count; from++) {
        bool is_match =
            from + 1 < o->count && o->symbols[from] == m.left && o->symbols[from + 1] == m.right;
        o->symbols[to++] = is_match ? result : o->symbols[from];
        from += is_match;
    }
    o->count = to;
    o->merges[o->merge_count++] = m;
    return true;
}

/* ---- training ---- */

static void random_words(uint64_t round, struct text *out) {
    static const char *const alphabets[] = {"a", "ab", "aab", "abc", "abcdefgh", "aA1! "};
    const struct rng_key key = {3, RNG_TEST, round};
    const char *alphabet = alphabets[round % 6];
    uint64_t at = 0, words = 20 + rng_below(key, at++, 60);
    for (uint64_t i = 0; i < words; i++) {
        uint64_t length = 1 + rng_below(key, at++, 14);
        for (uint64_t j = 0; j < length; j++)
            text_append_char(out, alphabet[rng_below(key, at++, strlen(alphabet))]);
        text_append_char(out, ' ');
    }
}

static void merges_are_those_of_counting_everything_again_each_time(void) {
    struct oracle *oracle = NULL;
    struct error err = {0};
    CHECK_OK(MEM_NEW(&oracle, 1, "the oracle", &err), &err);
    for (uint64_t round = 0; round < 90; round++) {
        struct text text = {0};
        random_words(round, &text);
        struct tokenizer *t = trained_on(text.data, text.size, FIXED, NULL);
        oracle_start(oracle, t, text.data, text.size);
        tokenizer_free(t);
        while (oracle->merge_count < 50 &&
               oracle_merge(oracle, FIRST_MERGED + (int32_t)oracle->merge_count)) {
        }
        t = trained_on(text.data, text.size, FIXED + (int32_t)oracle->merge_count, NULL);
        harness_context("round %d", (int)round);
        CHECK_EQ(t->merge_count, oracle->merge_count);
        for (size_t i = 0; i < t->merge_count; i++) {
            CHECK_EQ(t->merges[i].left, oracle->merges[i].left);
            CHECK_EQ(t->merges[i].right, oracle->merges[i].right);
            CHECK_EQ(t->merges[i].result, oracle->merges[i].result);
        }
        tokenizer_free(t);
        text_free(&text);
    }
    mem_free(oracle);
}

static void most_frequent_pair_merges_first_and_lower_ids_break_ties(void) {
    struct tokenizer *t = trained_on("ababab cdcdcd", 13, 265, NULL);
    size_t size = 0;
    /* "ab" and "cd" appear three times each; 'a' has the lower id. */
    const char *first = tokenizer_token_bytes(t, FIRST_MERGED, &size);
    CHECK(size == 2 && memcmp(first, "ab", 2) == 0);
    const char *second = tokenizer_token_bytes(t, FIRST_MERGED + 1, &size);
    CHECK(size == 2 && memcmp(second, "cd", 2) == 0);
    tokenizer_free(t);
}

static void ids_are_special_tokens_bytes_merges_and_added_tokens(void) {
    static const char *const at_end[] = {"<｜User｜>", "<｜Assistant｜>", "<think>", "</think>"};
    struct tokenizer *t = trained_on_sample(340);
    CHECK_EQ(tokenizer_find(t, "<｜begin▁of▁sentence｜>", strlen("<｜begin▁of▁sentence｜>")), 0);
    CHECK_EQ(tokenizer_find(t, "<｜end▁of▁sentence｜>", strlen("<｜end▁of▁sentence｜>")), 1);
    CHECK_EQ(tokenizer_find(t, "<｜▁pad▁｜>", strlen("<｜▁pad▁｜>")), 2);
    CHECK_EQ(tokenizer_find(t, "!", 1), FIRST_BYTE);
    CHECK_EQ(tokenizer_find(t, "\xad", 1), FIRST_BYTE + 255); /* the last of GPT-2's table */
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(tokenizer_find(t, at_end[i], strlen(at_end[i])), 336 + i);
        CHECK(tokenizer_is_special(t, 336 + i) == (i < 2));
    }
    CHECK_EQ(tokenizer_find(t, "<foo>", 5), -1);
    tokenizer_free(t);
}

static void training_does_not_depend_on_the_order_of_documents(void) {
    static const char *const parts[] = {"one two three two one", " two three", "\nfour one two"};
    struct error err = {0};
    uint64_t hash[2];
    for (int order = 0; order < 2; order++) {
        struct bpe_trainer *trainer = NULL;
        struct tokenizer *t = NULL;
        const struct bpe_train_options options = {.vocab_size = 272};
        CHECK_OK(bpe_trainer_new(&trainer, "deepseek-v3", NULL, &err), &err);
        for (int i = 0; i < 3; i++) {
            const char *part = parts[order ? 2 - i : i];
            CHECK_OK(bpe_trainer_add(trainer, part, strlen(part), &err), &err);
        }
        CHECK_OK(bpe_trainer_finish(trainer, &options, &t, &err), &err);
        hash[order] = tokenizer_hash(t);
        bpe_trainer_free(trainer);
        tokenizer_free(t);
    }
    CHECK(hash[0] == hash[1]);
}

/* Enough text for several batches: pseudo-random words on lines, some of them very long. */
static void large_text(struct text *out, size_t size) {
    const struct rng_key key = {5, RNG_TEST, 0};
    for (uint64_t i = 0; out->size < size; i++) {
        uint64_t r = rng_below(key, i, 1 << 30);
        text_printf(out, "w%llu%s", (unsigned long long)(r % 5003 * (r % 7)),
                    i % 9 ? " " : "\nthe ");
        if (i % 200000 == 0)
            for (int j = 0; j < 150000; j++) text_append_char(out, '-');
    }
}

static void any_number_of_threads_trains_the_same_tokenizer(void) {
    struct error err = {0};
    struct text text = {0};
    uint64_t alone = 0;
    large_text(&text, (size_t)10 << 20);
    for (int threads = 0; threads <= 3; threads++) {
        struct pool *pool = NULL;
        if (threads > 0) CHECK_OK(pool_new(&pool, threads, &err), &err);
        struct tokenizer *t = trained_on(text.data, text.size, 600, pool);
        if (threads == 0) alone = tokenizer_hash(t);
        harness_context("%d threads", threads);
        CHECK(tokenizer_hash(t) == alone);
        tokenizer_free(t);
        pool_free(pool);
    }
    text_free(&text);
}

/* ---- refusals ---- */

static void check_refused(const struct bpe_train_options *options, const char *text,
                          fathom_status status, const char *named) {
    struct error err = {0};
    struct bpe_trainer *trainer = NULL;
    struct tokenizer *t = NULL;
    CHECK_OK(bpe_trainer_new(&trainer, "deepseek-v3", NULL, &err), &err);
    CHECK_OK(bpe_trainer_add(trainer, text, strlen(text), &err), &err);
    CHECK_STATUS(bpe_trainer_finish(trainer, options, &t, &err), status);
    CHECK(t == NULL);
    CHECK_HAS(err.text, named);
    bpe_trainer_free(trainer);
}

static void vocabulary_larger_than_the_text_supports_says_how_large(void) {
    struct bpe_train_options options = {.vocab_size = 1000};
    /* "abc", " abc": (a, b), (ab, c), (' ', abc) */
    check_refused(&options, "abc abc", FATHOM_BAD_INPUT, "at most 266, not 1000");
    options.minimum_count = 2;
    check_refused(&options, "abc abc", FATHOM_BAD_INPUT, "at most 265, not 1000");
    check_refused(&options, "", FATHOM_BAD_INPUT, "no text");
    options.vocab_size = FIXED - 1;
    check_refused(&options, "abc abc", FATHOM_USAGE, "263");
}

static void special_tokens_that_could_be_ordinary_or_twice_are_refused(void) {
    static const char *const bad[] = {"a", "word", "\xc4\xa0word", "\xc3\xa9",
                                      "",  "\xff", "<think>",      "<｜User｜>"};
    static const char *const good[] = {"<a>", "<|EOT|>", "two words"};
    static const char *const twice[] = {"<a>", "<b>", "<a>"};
    struct error err = {0};
    struct bpe_trainer *trainer = NULL;
    CHECK_OK(bpe_trainer_new(&trainer, "deepseek-v3", NULL, &err), &err);
    CHECK_OK(bpe_trainer_check_special(trainer, good, 3, &err), &err);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const struct bpe_train_options options = {
            .vocab_size = 300, .extra = &bad[i], .extra_count = 1};
        check_refused(&options, trained_sample, FATHOM_USAGE, "special token");
    }
    CHECK_STATUS(bpe_trainer_check_special(trainer, twice, 3, &err), FATHOM_USAGE);
    bpe_trainer_free(trainer);
}

static bool stop_at_once(void *arg, int64_t done, int64_t total) {
    (void)arg;
    return done < 0 || total < 0;
}

static void training_stops_when_progress_says_so(void) {
    const struct bpe_train_options options = {.vocab_size = 340, .progress = stop_at_once};
    check_refused(&options, trained_sample, FATHOM_INTERRUPTED, "stopped");
}

static const struct test tests[] = {
    TEST(merges_are_those_of_counting_everything_again_each_time),
    TEST(most_frequent_pair_merges_first_and_lower_ids_break_ties),
    TEST(ids_are_special_tokens_bytes_merges_and_added_tokens),
    TEST(training_does_not_depend_on_the_order_of_documents),
    TEST(any_number_of_threads_trains_the_same_tokenizer),
    TEST(vocabulary_larger_than_the_text_supports_says_how_large),
    TEST(special_tokens_that_could_be_ordinary_or_twice_are_refused),
    TEST(training_stops_when_progress_says_so),
};
HARNESS_MAIN(tests)
