#include "data_test.h"

#include "data/clean.h"
#include "data/seen.h"

static struct error err;

/* ---- words ---- */

/* The words' sizes, joined: enough to see where they were cut. */
static const char *sizes_of(const char *text) {
    static char out[256];
    struct word word;
    size_t used = 0;
    out[0] = 0;
    for (size_t at = 0; word_next(text, strlen(text), &at, &word);)
        used +=
            (size_t)snprintf(out + used, sizeof out - used, "%u/%u ", word.size, word.characters);
    return out;
}

static uint64_t hash_of(const char *text) {
    struct word_array words = {0};
    CHECK_OK(word_array_read(&words, text, strlen(text), &err), &err);
    uint64_t hash = words_hash(words.words, words.count);
    word_array_free(&words);
    return hash;
}

static void words_are_runs_of_letters_and_digits(void) {
    CHECK_STR(sizes_of("The cat's 3rd life, na\xc3\xafve!"), "3/3 3/3 1/1 3/3 4/4 6/5 ");
    CHECK_STR(sizes_of("... --- "), "");
    CHECK_STR(sizes_of(""), "");
    /* Han and Kana stand alone, Hangul and Cyrillic do not; a byte that is no UTF-8 separates. */
    CHECK_STR(sizes_of("ab\xe4\xbd\xa0\xe5\xa5\xbd"
                       "c\xe3\x81\x82"),
              "2/2 3/1 3/1 1/1 3/1 ");
    CHECK_STR(sizes_of("\xed\x95\x9c\xea\xb8\x80 \xd0\xb4\xd0\xb0"), "6/2 4/2 ");
    CHECK_STR(sizes_of("a\xff"
                       "b\xe4\xbd"),
              "1/1 1/1 ");
}

static void words_are_equal_whatever_stands_between_them(void) {
    CHECK(hash_of("The CAT sat.") == hash_of("the cat -- sat"));
    CHECK(hash_of("the cat sat") != hash_of("the sat cat"));
    CHECK(hash_of("the cat") != hash_of("the cat sat"));
    CHECK(hash_of("ab c") != hash_of("a bc"));
}

/* ---- what was seen ---- */

static void a_key_keeps_its_first_number(void) {
    enum { N = 20000 };
    struct seen seen = {0};
    uint32_t number = 0;
    CHECK(!seen_find(&seen, 7, NULL));
    for (uint64_t i = 0; i < N; i++) /* every key twice, and 0 is one */
        CHECK_OK(seen_add(&seen, i / 2 * 0x9e3779b97f4a7c15u, (uint32_t)i, &err), &err);
    CHECK_EQ(seen.count, N / 2);
    for (uint64_t i = 0; i < N / 2; i++) {
        CHECK(seen_find(&seen, i * 0x9e3779b97f4a7c15u, &number));
        CHECK_EQ(number, 2 * i);
    }
    CHECK(!seen_find(&seen, 12345, &number));
    CHECK(seen_bytes(&seen) <= (size_t)36 * seen.count);
    seen_free(&seen);
}

/* ---- MinHash ---- */

static const struct minhash_options bands_of_14 = {.shingle = 1, .bands = 14, .rows = 8};

static void make_words(struct word *words, size_t count, uint64_t first) {
    for (size_t i = 0; i < count; i++)
        words[i] = (struct word){.hash = (first + i) * 0xff51afd7ed558ccdu + 1, .size = 4};
}

/* How often two sets of `size` words with `common` of them in common have a band in common. */
static double shared_bands(size_t size, size_t common, int trials) {
    struct word *a = harness_keep(malloc(size * sizeof *a)),
                *b = harness_keep(malloc(size * sizeof *b));
    uint64_t one[14], two[14];
    int shared = 0;
    for (int t = 0; t < trials; t++) {
        uint64_t first = (uint64_t)t * 1000000 + size;
        make_words(a, size, first);
        make_words(b, size, first + size - common);
        CHECK(minhash_bands(a, size, &bands_of_14, one));
        CHECK(minhash_bands(b, size, &bands_of_14, two));
        bool is_shared = false;
        for (int i = 0; i < 14; i++) is_shared |= one[i] == two[i];
        shared += is_shared;
    }
    return (double)shared / trials;
}

/* 1 - (1 - s^8)^14 at the similarity s, for texts with many shingles and with fewer than bins. */
static void bands_are_shared_as_often_as_similarity_says(void) {
    static const struct {
        size_t size, common;
        double expected, tolerance;
    } cases[] = {
        {1000, 1000, 1, 0},          /* s = 1 */
        {1900, 1800, 0.9995, 0.004}, /* 1800 / 2000 = 0.9 */
        {3500, 3000, 0.772, 0.04},   /* 3000 / 4000 = 0.75 */
        {3000, 2000, 0.053, 0.025},  /* 2000 / 4000 = 0.5 */
        {70, 60, 0.772, 0.08},       /* 60 / 80 = 0.75: most bins are empty */
        {1000, 0, 0, 0.004},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double share = shared_bands(cases[i].size, cases[i].common, 1500);
        harness_context("case %zu: %g", i, share);
        CHECK_NEAR(share, cases[i].expected, cases[i].tolerance + 1e-9);
    }
}

static void short_texts_are_one_shingle(void) {
    const struct minhash_options five = {.shingle = 5, .bands = 14, .rows = 8};
    struct word words[4];
    uint64_t one[14], two[14];
    make_words(words, 4, 1);
    CHECK(!minhash_bands(words, 0, &five, one));
    CHECK(minhash_bands(words, 4, &five, one) && minhash_bands(words, 4, &five, two));
    CHECK(memcmp(one, two, sizeof one) == 0);
    CHECK(minhash_bands(words, 3, &five, two));
    for (int i = 0; i < 14; i++) CHECK(one[i] != two[i]);
}

/* ---- measures ---- */

static double measured(const char *text, enum measure measure) {
    struct measurer *measurer;
    struct measure_rules rules = {.is_ruled = {false}};
    struct word_array words = {0};
    enum measure broken;
    double value = -1;
    CHECK_OK(measurer_new(&measurer, &err), &err);
    CHECK_OK(word_array_read(&words, text, strlen(text), &err), &err);
    rules.is_ruled[measure] = true; /* nothing lies in [1e9, 1e9] */
    rules.least[measure] = rules.most[measure] = 1e9;
    for (int again = 0; again < 2; again++) { /* its memory is used again */
        CHECK_OK(
            measurer_check(measurer, &rules, text, strlen(text), &words, &broken, &value, &err),
            &err);
        CHECK_EQ(broken, measure);
    }
    measurer_free(measurer);
    word_array_free(&words);
    return value;
}

static void measures_count_what_they_say(void) {
    static const struct {
        const char *text;
        enum measure measure;
        double value;
    } cases[] = {
        {"one two", MEASURE_BYTES, 7},
        {"one, two; three", MEASURE_WORDS, 3},
        {"a bcd na\xc3\xafve", MEASURE_WORD_LENGTH, 3},
        {"# one ## two three four", MEASURE_SYMBOLS, 0.75},
        {"one... two\xe2\x80\xa6 three four", MEASURE_SYMBOLS, 0.5},
        {"- one\n  * two\nthree\n\n\xe2\x80\xa2 four", MEASURE_BULLETS, 0.75},
        {"one...\n\ntwo\xe2\x80\xa6 \nthree.\nfour", MEASURE_ELLIPSES, 0.5},
        {"one 2 x3 -- !", MEASURE_ALPHABETIC, 0.4},
        {"The end OF that, and that the with", MEASURE_STOP_WORDS, 5},
        {"ab 12 ", MEASURE_LETTERS, 0.5},
        {"ab\xd0\xb4\xe4\xbd\xa0", MEASURE_LATIN, 0.5},
        {"ab\xd0\xb4\xe4\xbd\xa0", MEASURE_CYRILLIC, 0.25},
        {"ab\xd0\xb4\xe4\xbd\xa0", MEASURE_HAN, 0.25},
        {"\xed\x95\x9c\xe3\x81\x82", MEASURE_HANGUL, 0.5},
        {"a\nb\n\n a\nc a", MEASURE_REPEATED_LINES, 0.25},
        {"abc\nd\n\nabc\nde", MEASURE_REPEATED_LINE_BYTES, 3.0 / 9},
        {"a\nb\n\nc\n \na\nb\n\na b", MEASURE_REPEATED_PARAGRAPHS, 0.25},
        {"a\nb\n\nc\n\na\nb", MEASURE_REPEATED_PARAGRAPH_BYTES, 3.0 / 7},
        {"aa bb cc aa bb dd", MEASURE_TOP_2, 8.0 / 12},
        {"aa bb cc dd", MEASURE_TOP_2, 0},
        {"a b c a b c x", MEASURE_TOP_3, 6.0 / 7},
        {"a b c d e f a b c d e f", MEASURE_REPEATED_5, 5.0 / 12},
        {"a b c d e f a b c d e f", MEASURE_REPEATED_6, 0.5},
        {"a b c d e f a b c d e f", MEASURE_REPEATED_10, 0},
        {"", MEASURE_REPEATED_5, 0},
        {"", MEASURE_LATIN, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        harness_context("%s of \"%s\"", measure_name(cases[i].measure), cases[i].text);
        CHECK_NEAR(measured(cases[i].text, cases[i].measure), cases[i].value, 1e-12);
    }
}

static void rules_are_read(void) {
    struct measure_rules rules = {.is_ruled = {false}};
    CHECK_OK(measure_rules_parse(&rules, NULL, &err), &err);
    CHECK(!measure_rules_any(&rules));
    CHECK_OK(measure_rules_parse(&rules, "gopher, words=:7 top-2=0.1:0.5 bullets=:", &err), &err);
    CHECK(rules.is_ruled[MEASURE_STOP_WORDS] && rules.least[MEASURE_STOP_WORDS] == 2);
    CHECK(rules.most[MEASURE_WORDS] == 7 && rules.least[MEASURE_WORDS] < -1e300);
    CHECK(rules.least[MEASURE_TOP_2] == 0.1 && rules.most[MEASURE_TOP_2] == 0.5);
    CHECK(!rules.is_ruled[MEASURE_BULLETS]);
    static const char *const bad[] = {
        "poems", "words", "words=5", "words=x:", "=1:2", "words=2:1", "words=1:2:3", "gopher=1:"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        harness_context("%s", bad[i]);
        CHECK_STATUS(measure_rules_parse(&rules, bad[i], &err), FATHOM_USAGE);
        CHECK_HAS(err.text, "filter:");
    }
}

/* ---- contamination ---- */

static bool is_contaminated(const struct contamination *c, const char *text, const char **path) {
    struct word_array words = {0};
    CHECK_OK(word_array_read(&words, text, strlen(text), &err), &err);
    bool is = contamination_find(c, words.words, words.count, path);
    word_array_free(&words);
    return is;
}

static void runs_of_words_are_found(void) {
    struct contamination *c;
    const char *path = NULL;
    const char *paths[] = {
        store_text("one.jsonl",
                   "{\"id\": 1, \"q\": {\"text\": [\"one two three four five six\"]}}\n"
                   "{\"q\": \"seven eight nine\", \"a\": \"ten\"}\n"),
        store_text("two.txt", "alpha beta gamma delta epsilon"),
    };
    CHECK_OK(contamination_new(&c, paths, 2, 5, &err), &err);
    CHECK_EQ(contamination_runs(c), 2 + 1 + 1);
    CHECK_EQ(contamination_too_short(c), 1);
    CHECK(is_contaminated(c, "He said: two, three -- FOUR five six.", &path));
    CHECK_STR(path, paths[0]);
    CHECK(is_contaminated(c, "x alpha beta gamma delta epsilon", &path));
    CHECK_STR(path, paths[1]);
    CHECK(is_contaminated(c, "seven eight nine eleven", &path)); /* a text of its own */
    CHECK(!is_contaminated(c, "one two three four and six", &path));
    CHECK(!is_contaminated(c, "four five six seven eight", &path)); /* texts are not joined */
    CHECK(!is_contaminated(c, "ten", &path));
    contamination_free(c);
    CHECK_STATUS(contamination_new(&c, paths, 2, 1, &err), FATHOM_USAGE);
    paths[1] = test_path("nowhere");
    CHECK_STATUS(contamination_new(&c, paths, 2, 5, &err), FATHOM_IO);
}

/* ---- verdicts ---- */

/* One document after the other through both steps. */
struct judge {
    struct clean_options options;
    struct cleaner *cleaner;
    struct clean_history *history;
    uint64_t line;
};

static void judge_open(struct judge *judge) {
    CHECK_OK(cleaner_new(&judge->cleaner, &judge->options, &err), &err);
    CHECK_OK(clean_history_new(&judge->history, &judge->options, &err), &err);
}

static fathom_status decide(struct judge *judge, const char *text, size_t size,
                            struct judgement *j) {
    struct text valid = {0};
    uint64_t bands[14];
    const char *before = text;
    CHECK_OK(clean_examine(judge->cleaner, &text, &size, &valid, j, bands, &err), &err);
    CHECK_EQ(text != before, j->replaced > 0);
    if (j->replaced > 0) CHECK(utf8_valid_size(text, size) == size);
    text_free(&valid);
    judge->line++;
    if (j->verdict != VERDICT_KEPT) return FATHOM_OK;
    return clean_decide(judge->history, (struct origin){judge->line, 3}, j, bands, &err);
}

static enum verdict judged(struct judge *judge, const char *text, struct judgement *j) {
    CHECK_OK(decide(judge, text, strlen(text), j), &err);
    return j->verdict;
}

static void judge_close(struct judge *judge) {
    cleaner_free(judge->cleaner);
    clean_history_free(judge->history);
}

static const char fable[] =
    "A crow sat in a tree with a piece of cheese. A fox came by and saw it. \"How well you look "
    "today,\" said the fox, \"and how well you must sing!\" The crow opened her beak to sing, the "
    "cheese fell down, and the fox ate it with much joy and went on his way through the wood.";

static void of_duplicates_the_first_stays(void) {
    struct judge judge = {.options = {.dedup = DEDUP_NEAR, .minhash = {3, 14, 8}}};
    struct judgement j;
    char nearly[600];
    snprintf(nearly, sizeof nearly, "%s!", fable);
    judge_open(&judge);
    CHECK_EQ(judged(&judge, "something else", &j), VERDICT_KEPT);
    CHECK_EQ(judged(&judge, fable, &j), VERDICT_KEPT);
    CHECK_EQ(judged(&judge, fable, &j), VERDICT_DUPLICATE);
    CHECK(j.first.line == 2 && j.first.file == 3);
    CHECK_EQ(judged(&judge, nearly, &j), VERDICT_NEAR_DUPLICATE);
    CHECK_EQ(j.first.line, 2);
    CHECK_EQ(judged(&judge, "!", &j), VERDICT_KEPT); /* no words: near to nothing */
    CHECK_EQ(judged(&judge, "?", &j), VERDICT_KEPT);
    CHECK_EQ(judged(&judge, "?", &j), VERDICT_DUPLICATE);
    judge_close(&judge);

    judge = (struct judge){.options = {.dedup = DEDUP_EXACT}};
    judge_open(&judge);
    CHECK_EQ(judged(&judge, fable, &j), VERDICT_KEPT);
    CHECK_EQ(judged(&judge, nearly, &j), VERDICT_KEPT);
    CHECK_EQ(judged(&judge, fable, &j), VERDICT_DUPLICATE);
    judge_close(&judge);

    judge = (struct judge){.options = {.dedup = DEDUP_NONE}};
    judge_open(&judge);
    CHECK_EQ(judged(&judge, fable, &j), VERDICT_KEPT);
    CHECK_EQ(judged(&judge, fable, &j), VERDICT_KEPT);
    judge_close(&judge);
}

static void bytes_that_are_not_utf8_are_kept_replaced_or_dropped(void) {
    static const char bad[] = "caf\xe9 \xff au lait";
    for (int policy = UTF8_KEEP; policy <= UTF8_DROP; policy++) {
        struct judge judge = {.options = {.utf8 = (enum utf8_policy)policy}};
        struct judgement j;
        judge_open(&judge);
        CHECK_EQ(judged(&judge, bad, &j), policy == UTF8_DROP ? VERDICT_NOT_UTF8 : VERDICT_KEPT);
        CHECK_EQ(j.replaced, policy == UTF8_REPLACE ? 2 : 0);
        CHECK_EQ(judged(&judge, "caf\xc3\xa9", &j), VERDICT_KEPT);
        CHECK_EQ(j.replaced, 0);
        judge_close(&judge);
    }
}

static void verdicts_say_what_was_measured(void) {
    struct judge judge = {.options = {.dedup = DEDUP_EXACT}};
    struct judgement j;
    const char *path = store_text("eval.txt", "opened her beak to sing");
    struct contamination *c;
    CHECK_OK(contamination_new(&c, &path, 1, 5, &err), &err);
    CHECK_OK(measure_rules_parse(&judge.options.rules, "words=3: top-2=:0.2", &err), &err);
    judge.options.contamination = c;
    judge_open(&judge);
    CHECK_EQ(judged(&judge, "two words", &j), VERDICT_FILTERED);
    CHECK(j.broken == MEASURE_WORDS && j.value == 2);
    CHECK_EQ(judged(&judge, "a b a b a b", &j), VERDICT_FILTERED);
    CHECK(j.broken == MEASURE_TOP_2 && j.value == 1);
    CHECK_EQ(judged(&judge, fable, &j), VERDICT_CONTAMINATED);
    CHECK_STR(j.contaminated_by, path);
    CHECK_EQ(judged(&judge, "three good words", &j), VERDICT_KEPT);
    CHECK_EQ(judged(&judge, "two words", &j),
             VERDICT_FILTERED); /* was not kept, so is no duplicate */
    judge_close(&judge);
    contamination_free(c);
}

static void tables_keep_to_their_memory(void) {
    struct judge judge = {.options = {.dedup = DEDUP_NEAR, .minhash = {3, 14, 8}}};
    struct judgement j;
    fathom_status status = FATHOM_OK;
    judge.options.dedup_bytes = 1 << 20;
    judge_open(&judge);
    for (int i = 0; i < 100000 && status == FATHOM_OK; i++) {
        char text[64];
        snprintf(text, sizeof text, "a%d b%d c%d d%d", i, i, i, i);
        status = decide(&judge, text, strlen(text), &j);
    }
    CHECK_STATUS(status, FATHOM_UNSUPPORTED);
    CHECK_HAS(err.text, "--dedup-memory");
    CHECK(judge.line > 1000 && judge.line < 6000);
    judge_close(&judge);
}

/* With any one allocation failing, all is right or the failure is told. */
static fathom_status clean_some(const char *path) {
    struct clean_options options = {
        .dedup = DEDUP_NEAR, .minhash = {3, 14, 8}, .utf8 = UTF8_REPLACE};
    struct cleaner *cleaner = NULL;
    struct clean_history *history = NULL;
    struct contamination *c = NULL;
    struct text valid = {0};
    struct judgement j;
    uint64_t bands[14];
    const char *text = fable;
    size_t size = sizeof fable; /* with its NUL */
    fathom_status status = measure_rules_parse(&options.rules, "gopher", &err);
    if (status == FATHOM_OK) status = contamination_new(&c, &path, 1, 5, &err);
    options.contamination = c;
    if (status == FATHOM_OK) status = cleaner_new(&cleaner, &options, &err);
    if (status == FATHOM_OK) status = clean_history_new(&history, &options, &err);
    if (status == FATHOM_OK) status = clean_examine(cleaner, &text, &size, &valid, &j, bands, &err);
    if (status == FATHOM_OK) status = clean_decide(history, (struct origin){1, 0}, &j, bands, &err);
    cleaner_free(cleaner);
    clean_history_free(history);
    contamination_free(c);
    text_free(&valid);
    return status;
}

static void failed_allocations_are_told(void) {
    const char *path = store_text("eval.jsonl", "{\"a\": \"one two three four five six\"}\n");
    int64_t n = 0, left = 0;
    while (left == 0) {
        mem_fail_after(++n);
        fathom_status status = clean_some(path);
        left = mem_fail_after(0);
        harness_context("allocation %d", (int)n);
        CHECK(status == FATHOM_OK || (status == FATHOM_NO_MEMORY && left == 0));
    }
    CHECK(n > 15);
}

static const struct test tests[] = {
    TEST(words_are_runs_of_letters_and_digits),
    TEST(words_are_equal_whatever_stands_between_them),
    TEST(a_key_keeps_its_first_number),
    TEST(bands_are_shared_as_often_as_similarity_says),
    TEST(short_texts_are_one_shingle),
    TEST(measures_count_what_they_say),
    TEST(rules_are_read),
    TEST(runs_of_words_are_found),
    TEST(of_duplicates_the_first_stays),
    TEST(bytes_that_are_not_utf8_are_kept_replaced_or_dropped),
    TEST(verdicts_say_what_was_measured),
    TEST(tables_keep_to_their_memory),
    TEST(failed_allocations_are_told),
};
HARNESS_MAIN(tests)
