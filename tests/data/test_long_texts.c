#include "data_test.h"

#include "data/facts.h"
#include "data/synth.h"

static struct error err;

/* ---- facts ---- */

static void facts_keep_to_their_split_and_repeat_nothing(void) {
    size_t drawn[TASK_SPLITS] = {0};
    for (uint64_t i = 0; i < 400; i++) {
        struct rng rng = {{1, RNG_TEST, i}, 0};
        enum task_split split = i % 2 == 0 ? TASK_TRAIN : TASK_HELDOUT;
        struct fact facts[FACT_MOST];
        size_t count = facts_draw(facts, FACT_MOST, split, &rng);
        drawn[split] += count;
        for (size_t j = 0; j < count; j++) {
            CHECK_EQ(fact_is_heldout(&facts[j]), split == TASK_HELDOUT);
            CHECK(facts[j].number >= 10 && facts[j].number <= 99);
            for (size_t k = 0; k < j; k++)
                CHECK(facts[j].number != facts[k].number && facts[j].thing != facts[k].thing);
        }
    }
    CHECK_EQ(drawn[TASK_TRAIN], 200 * FACT_MOST); /* every thing has a color to train on */
    CHECK(drawn[TASK_HELDOUT] > 200 * FACT_MOST / 2 && drawn[TASK_HELDOUT] < 200 * FACT_MOST);
}

static void a_question_and_its_answer_are_worded_as_the_fact(void) {
    const struct fact fact = {"green", "kite", 48};
    struct text text = {0};
    fact_write(&fact, &text);
    CHECK_STR(text_data(&text), "The secret number of the green kite is 48.");
    text_clear(&text);
    fact_write_question(&fact, &text);
    fact_write_answer(&fact, &text);
    CHECK_STR(text_data(&text), "What is the secret number of the green kite? The secret number of "
                                "the green kite is 48.");
    text_free(&text);
}

/* ---- the haystack ---- */

static void pieces_joined_are_the_stories(void) {
    struct story_maker stories;
    CHECK_OK(story_maker_new(&stories, &err), &err);
    struct haystack haystack = {.stories = &stories};
    struct rng a = {{3, RNG_TEST, 0}, 0}, b = a;
    struct text pieces = {0}, whole = {0};
    int count = 0;
    for (int i = 0; i < 200; i++) {
        do {
            haystack_next(&haystack, &a, &pieces);
            count++;
        } while (haystack.at < haystack.story.size);
        story_write(&stories, &b, &whole);
        text_append_string(&whole, "\n\n");
    }
    CHECK_STR(text_data(&pieces), text_data(&whole));
    CHECK(count > 200 * 4);
    text_free(&pieces);
    text_free(&whole);
    haystack_free(&haystack);
    story_maker_free(&stories);
}

static void a_sentence_is_a_paragraph_where_one_would_begin(void) {
    struct text text = {0};
    text_append_string(&text, "before");
    haystack_put(&text, text.size, "A.");
    CHECK_STR(text_data(&text), "beforeA.\n\n");
    text_append_string(&text, "It rained.");
    haystack_put(&text, 6, "B.");
    haystack_end_paragraph(&text, 6);
    haystack_end_paragraph(&text, 6);
    CHECK_STR(text_data(&text), "beforeA.\n\nIt rained. B.\n\n");
    text_free(&text);
}

/* ---- long documents ---- */

static const struct synth_options long_ones = {
    .seed = 1, .words = "", .mix = "long=1", .long_texts = {2000, 6000, 0.8, 0}};

static struct synth *make(const struct synth_options *options) {
    struct synth *synth;
    CHECK_OK(synth_new(&synth, options, &err), &err);
    return synth;
}

static const char *document(struct synth *synth, uint64_t i) {
    static struct text text;
    text_clear(&text);
    synth_document(synth, i, &text);
    CHECK_OK(text_check(&text, &err), &err);
    return text_data(&text);
}

static const char mark[] = "he secret number of the ";

/* Reads "color thing is N" behind a mark; false where a question stands. */
static bool read_fact(const char *at, char color[32], char thing[32], int *number) {
    return sscanf(at + strlen(mark), "%31s %31s is %d.", color, thing, number) == 3;
}

/* "color thing" as in the text, with the number: what a fact says. */
static void check_sentence(const char *text, const char *at, int *facts, int *questions) {
    char color[32], thing[32], said[128], asked[128];
    int number;
    bool is_question = at - text >= 9 && string_starts_with(at - 9, "What is the");
    if (is_question || !read_fact(at, color, thing, &number)) return;
    const struct fact fact = {color, thing, number};
    CHECK(!fact_is_heldout(&fact));
    snprintf(said, sizeof said, "The secret number of the %s %s is %d.", color, thing, number);
    snprintf(asked, sizeof asked, "%s %s? ", color, thing);
    bool is_answer = at - text > 50 && strncmp(at - 1 - strlen(asked), asked, strlen(asked)) == 0;
    *questions += is_answer;
    *facts += !is_answer;
    /* An answer repeats what was said before; a fact is said once. */
    CHECK_EQ(strstr(text, said) < at - 1, is_answer);
}

static void answers_follow_from_what_stands_before_them(void) {
    struct synth *synth = make(&long_ones);
    int facts = 0, questions = 0;
    for (uint64_t i = 0; i < 500; i++) {
        const char *text = document(synth, i);
        harness_context("%s", text);
        for (const char *at = text; (at = strstr(at, mark)); at++)
            check_sentence(text, at, &facts, &questions);
    }
    harness_context("%d facts, %d questions", facts, questions);
    CHECK(facts > 2000 && questions > 4000);
    synth_free(synth);
}

static void long_documents_are_clean_and_as_long_as_asked(void) {
    struct synth *synth = make(&long_ones);
    size_t least = SIZE_MAX, most = 0;
    for (uint64_t i = 0; i < 500; i++) {
        const char *text = document(synth, i);
        size_t size = strlen(text);
        harness_context("%s", text);
        CHECK(size >= 1700 && size < 6300);
        CHECK(text[size - 1] == '.');
        CHECK(!strstr(text, "  ") && !strstr(text, " \n") && !strstr(text, "\n\n\n"));
        const char *last = strrchr(text, '\n');
        CHECK(string_starts_with(last + 1, "What is the secret number of the "));
        if (size < least) least = size;
        if (size > most) most = size;
    }
    CHECK(least < 2300 && most > 5700);
    synth_free(synth);
}

static void the_last_questions_are_about_different_facts(void) {
    struct synth *synth = make(&long_ones);
    int documents = 0;
    for (uint64_t i = 0; i < 200; i++) {
        const char *text = document(synth, i);
        const char *at = text + strlen(text), *starts[4] = {NULL};
        harness_context("%s", text);
        size_t asked = harness_count(text, "What is the secret number");
        if (harness_count(text, "he secret number") - 2 * asked < 4) continue; /* facts */
        documents++;
        for (int n = 0; n < 4; n++) {
            while (at > text && at[-1] != '\n') at--;
            CHECK(string_starts_with(at, "What is the secret number of the "));
            starts[n] = at;
            for (int other = 0; other < n; other++)
                CHECK(strncmp(at, starts[other], strcspn(at, "?")) != 0);
            while (at > text && at[-1] == '\n') at--;
        }
    }
    CHECK(documents > 100);
    synth_free(synth);
}

static void lists_are_said_again_word_by_word(void) {
    struct synth_options options = long_ones;
    int lists = 0;
    options.long_texts.list_share = 0.2;
    struct synth *synth = make(&options);
    for (uint64_t i = 0; i < 100; i++)
        for (const char *at = document(synth, i); (at = strstr(at, "Say: ")); at++) {
            const char *words = at + 4, *next = words + strcspn(words, ".");
            size_t size = (size_t)(next + 1 - words);
            harness_context("%.200s", at);
            CHECK(string_starts_with(next, ". Again: ") && size > 20);
            CHECK(strncmp(next + 8, words, size) == 0);
            lists++;
        }
    harness_context("%d lists", lists);
    CHECK(lists > 300);
    synth_free(synth);
}

static void a_lone_fact_stands_at_every_depth(void) {
    enum { N = 800, PARTS = 4 };
    struct synth_options options = long_ones;
    int parts[PARTS] = {0};
    options.long_texts.fact_share = 0;
    struct synth *synth = make(&options);
    for (uint64_t i = 0; i < N; i++) {
        const char *text = document(synth, i), *first = strstr(text, mark);
        CHECK(first != NULL);
        CHECK(strstr(first + 1, mark) > strrchr(text, '\n')); /* only its question comes later */
        parts[(size_t)(first - text) * PARTS / strlen(text)]++;
    }
    for (int p = 0; p < PARTS; p++) {
        harness_context("part %d: %d", p, parts[p]);
        CHECK(parts[p] > N / PARTS - N / 12 && parts[p] < N / PARTS + N / 12);
    }
    synth_free(synth);
}

/* What a document of the mix's source has, and a sum has not. */
static void check_share(const char *mix, const char *sign, double expected) {
    struct synth_options options = long_ones;
    options.mix = mix;
    struct synth *synth = make(&options);
    double of_source = 0, all = 0;
    for (uint64_t i = 0; i < 6000; i++) {
        const char *text = document(synth, i);
        all += (double)strlen(text);
        if (strstr(text, sign)) of_source += (double)strlen(text);
    }
    harness_context("%s", mix);
    CHECK_NEAR(of_source / all, expected, 0.05);
    synth_free(synth);
}

static void the_mix_gives_what_is_looked_up_its_share_of_the_bytes(void) {
    check_share("long=3 sums=1", mark, 0.75);
    check_share("lists=1 sums=1", "Say: ", 0.5);
    check_share("facts=1 sums=1", mark, 0.5);
}

static void lists_alone_are_documents(void) {
    struct synth_options options = long_ones;
    size_t least = SIZE_MAX, most = 0;
    options.mix = "lists=1";
    struct synth *synth = make(&options);
    for (uint64_t i = 0; i < 500; i++) {
        const char *text = document(synth, i), *words = text + 4;
        size_t size = strcspn(words, ".") + 1, said = 1;
        harness_context("%s", text);
        CHECK(string_starts_with(text, "Say: "));
        for (const char *at = words + size; *at; at += strlen(" Again:") + size, said++)
            CHECK(string_starts_with(at, " Again:") && strncmp(at + 7, words, size) == 0);
        if (said < least) least = said;
        if (said > most) most = said;
    }
    CHECK_EQ(least, 2);
    CHECK_EQ(most, 4);
    synth_free(synth);
}

static void facts_alone_are_each_asked_for_once(void) {
    struct synth_options options = long_ones;
    int least = 100, most = 0, in_order = 0;
    options.mix = "facts=1";
    struct synth *synth = make(&options);
    for (uint64_t i = 0; i < 500; i++) {
        const char *text = document(synth, i), *question = strstr(text, "What is the ");
        int facts = 0, questions = 0;
        harness_context("%s", text);
        for (const char *at = text; (at = strstr(at, mark)); at++)
            check_sentence(text, at, &facts, &questions);
        CHECK_EQ(facts, questions);
        for (const char *at = question; at; at = strstr(at + 1, "What is the ")) {
            char asked[128];
            snprintf(asked, sizeof asked, "%.*s", (int)strcspn(at, "?"), at);
            CHECK_EQ(harness_count(text, asked), 1);
        }
        in_order += strncmp(text + 4, question + 12, strcspn(question + 12, "?")) == 0;
        if (facts < least) least = facts;
        if (facts > most) most = facts;
    }
    CHECK_EQ(least, 2);
    CHECK_EQ(most, 8);
    CHECK(in_order > 50 && in_order < 250); /* the first told is not always the first asked for */
    synth_free(synth);
}

static void a_range_that_holds_nothing_is_refused(void) {
    static const struct synth_long_options ranges[] = {{100, 200, 0.5, 0},
                                                       {5000, 4000, 0.5, 0},
                                                       {4096, (uint64_t)1 << 40, 0.5, 0},
                                                       {4096, 8192, 1.5, 0},
                                                       {4096, 8192, 0.6, 0.6}};
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        struct synth_options options = long_ones;
        struct synth *synth;
        options.long_texts = ranges[i];
        CHECK_STATUS(synth_new(&synth, &options, &err), FATHOM_USAGE);
    }
}

static fathom_status write_some(struct text *out) {
    struct synth *synth;
    TRY(synth_new(&synth, &long_ones, &err));
    synth_document(synth, 5, out);
    synth_free(synth);
    return text_check(out, &err);
}

static void failed_allocations_are_told(void) {
    struct text expected = {0};
    int64_t n = 1;
    CHECK_OK(write_some(&expected), &err);
    for (fathom_status status = FATHOM_NO_MEMORY; status != FATHOM_OK; n += 3) {
        struct text out = {0};
        harness_context("allocation %d", (int)n);
        mem_fail_after(n);
        status = write_some(&out);
        mem_fail_after(0);
        if (status == FATHOM_OK)
            CHECK_STR(text_data(&out), text_data(&expected));
        else
            CHECK_EQ(status, FATHOM_NO_MEMORY);
        text_free(&out);
    }
    CHECK(n > 50);
    text_free(&expected);
}

static const struct test tests[] = {
    TEST(facts_keep_to_their_split_and_repeat_nothing),
    TEST(a_question_and_its_answer_are_worded_as_the_fact),
    TEST(pieces_joined_are_the_stories),
    TEST(a_sentence_is_a_paragraph_where_one_would_begin),
    TEST(answers_follow_from_what_stands_before_them),
    TEST(long_documents_are_clean_and_as_long_as_asked),
    TEST(the_last_questions_are_about_different_facts),
    TEST(lists_are_said_again_word_by_word),
    TEST(a_lone_fact_stands_at_every_depth),
    TEST(the_mix_gives_what_is_looked_up_its_share_of_the_bytes),
    TEST(lists_alone_are_documents),
    TEST(facts_alone_are_each_asked_for_once),
    TEST(a_range_that_holds_nothing_is_refused),
    TEST(failed_allocations_are_told),
};
HARNESS_MAIN(tests)
