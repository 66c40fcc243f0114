#include "data_test.h"

#include <ctype.h>

#include "data/synth.h"
#include "data/synth_story.h"

static struct error err;

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

static const struct synth_options defaults = {.seed = 1, .words = "", .template_share = 0.4};

/* ---- the corpus as a whole ---- */

static void a_document_depends_on_seed_and_number_only(void) {
    struct synth *a = make(&defaults), *b = make(&defaults);
    struct synth_options other = defaults;
    other.seed = 2;
    struct synth *c = make(&other);
    int equal = 0;
    for (uint64_t i = 0; i < 300; i++) document(b, 299 - i); /* leaves other memories behind */
    for (uint64_t i = 0; i < 300; i++) {
        char *first = strdup(document(a, i));
        CHECK_STR(document(b, i), first);
        equal += strcmp(document(c, i), first) == 0;
        free(first);
    }
    CHECK(equal < 5);
    synth_free(a);
    synth_free(b);
    synth_free(c);
}

static bool ends_well(const char *text) {
    size_t size = strlen(text);
    return size > 0 && text[size - 1] != ' ' && text[size - 1] != '\n';
}

static void documents_are_clean_text(void) {
    struct synth *synth = make(&defaults);
    for (uint64_t i = 0; i < 5000; i++) {
        const char *text = document(synth, i);
        harness_context("%s", text);
        CHECK(ends_well(text));
        CHECK(!strstr(text, "  ") && !strstr(text, " \n") && !strstr(text, "\n\n\n"));
        CHECK(!strpbrk(text, "{}[]|@^~"));
        for (const char *p = text; *p; p++) CHECK(*p == '\n' || (*p >= ' ' && *p < 127));
    }
    synth_free(synth);
}

static void the_famous_words_occur_nowhere(void) {
    struct synth *synth = make(&defaults);
    for (uint64_t i = 0; i < 20000; i++) {
        const char *text = document(synth, i);
        CHECK(!strcasestr(text, "strawberr") && !strcasestr(text, "raspberr") &&
              !strcasestr(text, "deepseek"));
    }
    synth_free(synth);
}

/* Reads the next word at or behind *at, in lower case, which moves behind it; its size, 0: none. */
static size_t next_word(const char **at, char *word, size_t room) {
    const char *p = *at;
    size_t size = 0;
    while (*p && !isalpha((unsigned char)*p)) p++;
    for (; isalpha((unsigned char)*p) && size < room - 1; p++)
        word[size++] = (char)tolower((unsigned char)*p);
    word[size] = 0;
    *at = p;
    return size;
}

/* Every word of the texts about words, whatever stands around it. */
static void texts_about_words_hold_no_word_that_is_held_out(void) {
    const char *path = path_exists("/usr/share/dict/words") ? NULL : "";
    struct synth_options options = {.seed = 3, .words = path, .template_share = 0.3};
    options.mix = "letters=4 spell=4 length=1 position=1";
    struct synth *synth = make(&options);
    int words = 0;
    for (uint64_t i = 0; i < 20000; i++) {
        const char *at = document(synth, i);
        char word[64];
        for (size_t size; (size = next_word(&at, word, sizeof word)) > 0;) {
            if (size < WORD_MIN) continue;
            words++;
            harness_context("%s", word);
            CHECK(!word_list_is_heldout(synth_words(synth), word));
        }
    }
    CHECK(words > 200000);
    synth_free(synth);
}

/* The first whole number at or behind *at, which moves behind it; -1: none. */
static int64_t next_number(const char **at) {
    while (**at && !isdigit((unsigned char)**at)) ++*at;
    if (!**at) return -1;
    char *end;
    int64_t value = strtoll(*at, &end, 10);
    *at = end;
    return value;
}

static void sums_of_the_corpus_keep_out_of_the_held_out_ranges(void) {
    struct synth_options options = defaults;
    options.mix = "sums=1";
    struct synth *synth = make(&options);
    for (uint64_t i = 0; i < 10000; i++) {
        const char *at = document(synth, i);
        struct task_problem p = {.kind = TASK_SUMS, .count = 2};
        harness_context("%s", at);
        p.numbers[0] = next_number(&at);
        p.numbers[1] = next_number(&at);
        CHECK(p.numbers[0] >= 0 && p.numbers[1] >= 0);
        CHECK(!task_is_heldout(synth_words(synth), &p));
    }
    synth_free(synth);
}

/* Some documents, one after the other; each memory grows anew. */
static fathom_status write_some(const char *words, struct text *out) {
    struct synth_options options = defaults;
    struct synth *synth;
    options.words = words;
    TRY(synth_new(&synth, &options, &err));
    for (uint64_t i = 0; i < 12; i++) synth_document(synth, i * 17, out);
    synth_free(synth);
    return text_check(out, &err);
}

/* With any one allocation failing, the text is right or the failure is told. */
static void failed_allocations_are_told(void) {
    struct text expected = {0};
    int64_t n = 1;
    /* Few words: the list is sorted anew for every allocation that fails. */
    const char *words = store_text("words", "apple\nbanana\nassessed\nletter\nwindow\nkitten\n");
    CHECK_OK(write_some(words, &expected), &err);
    for (fathom_status status = FATHOM_NO_MEMORY; status != FATHOM_OK; n++) {
        struct text out = {0};
        harness_context("allocation %d", (int)n);
        mem_fail_after(n);
        status = write_some(words, &out);
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

/* ---- the template ---- */

static const char *template_of(const char *text) { return strstr(text, "<think>"); }

static void the_template_has_its_share_over_every_kind(void) {
    for (int kind = 0; kind < TASK_KINDS; kind++) {
        struct synth_options options = defaults;
        char mix[32];
        int templates = 0;
        snprintf(mix, sizeof mix, "%s=1", task_kind_name((enum task_kind)kind));
        options.mix = mix;
        struct synth *synth = make(&options);
        for (uint64_t i = 0; i < 1000; i++) {
            const char *answer, *block = template_of(document(synth, i));
            size_t size;
            if (!block) continue;
            templates++;
            harness_context("%s", block);
            CHECK(task_template_parse(block, strlen(block), &answer, &size));
            CHECK(size > 2);
        }
        harness_context("%s: %d", mix, templates);
        if (kind == TASK_SPELL) /* half of these texts are lists */
            CHECK(templates > 150 && templates < 250);
        else
            CHECK(templates > 340 && templates < 460);
        synth_free(synth);
    }
}

static void answers_in_the_template_follow_from_the_thought(void) {
    struct synth_options options = defaults;
    options.template_share = 1;
    options.mix = "letters=1 sums=1 compare=1 countdown=1 sort=1 length=1 position=1 weekday=1";
    struct synth *synth = make(&options);
    for (uint64_t i = 0; i < 5000; i++) {
        const char *answer, *block = template_of(document(synth, i));
        size_t size;
        CHECK(block && task_template_parse(block, strlen(block), &answer, &size));
        char gold[TASK_TEXT_MAX];
        snprintf(gold, sizeof gold, "%.*s", (int)size - 2, answer + 1);
        const char *end = strstr(block, "</think>");
        harness_context("%s", block);
        CHECK(memmem(block, (size_t)(end - block), gold, strlen(gold)) != NULL);
    }
    synth_free(synth);
}

static void golds_of_letters_are_even_in_the_corpus(void) {
    enum { N = 5000 };
    struct synth_options options = defaults;
    int counts[WORD_GOLDS] = {0};
    options.template_share = 1;
    options.mix = "letters=1";
    struct synth *synth = make(&options);
    for (uint64_t i = 0; i < N; i++) {
        const char *at = strstr(document(synth, i), "<answer>");
        int64_t gold = next_number(&at);
        CHECK(gold >= 0 && gold < WORD_GOLDS);
        counts[gold]++;
    }
    for (int g = 0; g < WORD_GOLDS; g++) {
        harness_context("%d: %d", g, counts[g]);
        CHECK(counts[g] > N / 5 - N / 40 && counts[g] < N / 5 + N / 40);
    }
    synth_free(synth);
}

static void without_reasoning_only_answers_remain(void) {
    struct synth_options options = defaults;
    options.mix = "letters=1 sums=1 countdown=1 sort=1 weekday=1 compare=1";
    struct synth *with = make(&options);
    options.leave_out_work = true;
    struct synth *without = make(&options);
    size_t with_size = 0, without_size = 0;
    for (uint64_t i = 0; i < 2000; i++) {
        with_size += strlen(document(with, i));
        const char *text = document(without, i), *block = template_of(text), *answer;
        size_t size;
        harness_context("%s", text);
        without_size += strlen(text);
        CHECK(!strstr(text, "carry") && !strstr(text, "That makes") && !strstr(text, " yes,"));
        if (block) CHECK(task_template_parse(block, strlen(block), &answer, &size));
    }
    CHECK(without_size * 3 < with_size * 2);
    synth_free(with);
    synth_free(without);
}

/* ---- the mix ---- */

static void the_mix_gives_shares_of_the_bytes(void) {
    struct synth_options options = defaults;
    options.mix = "stories=3, letters=1";
    options.template_share = 1;
    struct synth *synth = make(&options);
    double letters = 0, all = 0;
    for (uint64_t i = 0; i < 6000; i++) {
        const char *text = document(synth, i);
        all += (double)strlen(text);
        if (template_of(text)) letters += (double)strlen(text);
    }
    CHECK_NEAR(letters / all, 0.25, 0.05);
    synth_free(synth);
}

static void a_mix_that_says_nothing_is_refused(void) {
    const char *mixes[] = {"poems=1", "sums",   "sums=x", "sums=-1",
                           "",        "sums=0", "=1",     "sums=1e999"};
    for (size_t i = 0; i < sizeof mixes / sizeof mixes[0]; i++) {
        struct synth_options options = defaults;
        struct synth *synth;
        options.mix = mixes[i];
        harness_context("%s", mixes[i]);
        CHECK_STATUS(synth_new(&synth, &options, &err), FATHOM_USAGE);
        CHECK_HAS(err.text, "mix:");
    }
    harness_context("%s", "");
    struct synth_options options = defaults;
    struct synth *synth;
    options.template_share = 1.5;
    CHECK_STATUS(synth_new(&synth, &options, &err), FATHOM_USAGE);
    options = defaults;
    options.words = store_text("held", "strawberry\nraspberry\n");
    CHECK_STATUS(synth_new(&synth, &options, &err), FATHOM_USAGE);
    CHECK_HAS(err.text, "held out");
    options.mix = "stories=1 sums=1";
    CHECK_OK(synth_new(&synth, &options, &err), &err);
    synth_free(synth);
}

/* ---- stories ---- */

static int by_string(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void stories_differ(void) {
    enum { N = 4000 };
    static char *stories[N];
    struct story_maker maker;
    CHECK_OK(story_maker_new(&maker, &err), &err);
    for (uint64_t i = 0; i < N; i++) {
        struct rng rng = {{7, RNG_TEST, i}, 0};
        struct text text = {0};
        story_write(&maker, &rng, &text);
        stories[i] = text.data; /* reachable, so not leaked */
    }
    qsort(stories, N, sizeof stories[0], by_string);
    int repeats = 0;
    for (int i = 1; i < N; i++) repeats += strcmp(stories[i - 1], stories[i]) == 0;
    harness_context("%d repeats", repeats);
    CHECK(repeats < N / 50);
    story_maker_free(&maker);
}

/* A sentence begins with a capital and, in a story, ends; a "a" never stands before a vowel. */
static void stories_read_well(void) {
    struct story_maker maker;
    CHECK_OK(story_maker_new(&maker, &err), &err);
    for (uint64_t i = 0; i < 4000; i++) {
        struct rng rng = {{8, RNG_TEST, i}, 0};
        struct text text = {0};
        story_write(&maker, &rng, &text);
        const char *story = text_data(&text);
        harness_context("%s", story);
        CHECK(isupper((unsigned char)story[0]) || story[0] == '"');
        for (const char *p = story; (p = strstr(p, ". ")); p += 2)
            CHECK(isupper((unsigned char)p[2]) || p[2] == '"');
        for (const char *p = story; (p = strstr(p, " a ")); p += 3)
            CHECK(!strchr("aeio", p[3]) || strncmp(p + 3, "one", 3) == 0);
        CHECK(!strstr(story, "..") && !strstr(story, " .") && !strstr(story, " ,"));
        text_free(&text);
    }
    story_maker_free(&maker);
}

static const struct test tests[] = {
    TEST(a_document_depends_on_seed_and_number_only),
    TEST(documents_are_clean_text),
    TEST(the_famous_words_occur_nowhere),
    TEST(texts_about_words_hold_no_word_that_is_held_out),
    TEST(sums_of_the_corpus_keep_out_of_the_held_out_ranges),
    TEST(failed_allocations_are_told),
    TEST(the_template_has_its_share_over_every_kind),
    TEST(answers_in_the_template_follow_from_the_thought),
    TEST(golds_of_letters_are_even_in_the_corpus),
    TEST(without_reasoning_only_answers_remain),
    TEST(the_mix_gives_shares_of_the_bytes),
    TEST(a_mix_that_says_nothing_is_refused),
    TEST(stories_differ),
    TEST(stories_read_well),
};
HARNESS_MAIN(tests)
