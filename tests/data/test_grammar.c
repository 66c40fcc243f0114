#include <ctype.h>
#include <stdio.h>

#include "harness.h"

#include "data/grammar.h"

static struct error err;

static struct grammar *make(const char *const *rules, size_t count) {
    const struct grammar_source source = {rules, count};
    struct grammar *grammar;
    CHECK_OK(grammar_new(&grammar, &source, 1, &err), &err);
    return grammar;
}

static const char *expand(struct grammar *grammar, const char *rule, uint64_t seed) {
    static struct text out;
    struct grammar_memory memory = {0};
    struct rng rng = {{seed, RNG_TEST, 0}, 0};
    text_clear(&out);
    grammar_expand(grammar, rule, &rng, &memory, &out);
    grammar_memory_free(&memory);
    return text_data(&out);
}

static void a_rule_stands_for_one_of_its_alternatives(void) {
    const char *rules[] = {"@pet cat|dog", "@pet red fish", "@story A [pet]."};
    struct grammar *grammar = make(rules, 3);
    int seen[3] = {0};
    for (uint64_t seed = 0; seed < 300; seed++) {
        const char *text = expand(grammar, "story", seed);
        const char *expected[] = {"A cat.", "A dog.", "A red fish."};
        int found = -1;
        for (int i = 0; i < 3; i++)
            if (strcmp(text, expected[i]) == 0) found = i;
        CHECK(found >= 0);
        seen[found]++;
    }
    for (int i = 0; i < 3; i++) CHECK(seen[i] > 70 && seen[i] < 130);
    CHECK(grammar_has_rule(grammar, "pet") && !grammar_has_rule(grammar, "pets"));
    grammar_free(grammar);
}

static void variables_keep_what_was_written(void) {
    const char *rules[] = {"@pet cat|dog",
                           "@story [x=pet] and {x}, [^y=pet] {^y}; [!z:a [pet]]{z}{z}"};
    struct grammar *grammar = make(rules, 2);
    for (uint64_t seed = 0; seed < 50; seed++) {
        const char *text = expand(grammar, "story", seed);
        CHECK(strncmp(text, "cat and cat, ", 13) == 0 || strncmp(text, "dog and dog, ", 13) == 0);
        CHECK(isupper((unsigned char)text[13]) && isupper((unsigned char)text[17]));
        CHECK_HAS(text, strncmp(text + 13, "Cat", 3) == 0 ? "Cat Cat; " : "Dog Dog; ");
        CHECK(strcmp(text + 22, "a cata cat") == 0 || strcmp(text + 22, "a doga dog") == 0);
    }
    grammar_free(grammar);
}

static void inline_choices_nest(void) {
    const char *rules[] = {"@pet cat", "@story (one|two (big|small)|) [pet](!|?)"};
    struct grammar *grammar = make(rules, 2);
    bool seen_empty = false, seen_nested = false;
    for (uint64_t seed = 0; seed < 100; seed++) {
        const char *text = expand(grammar, "story", seed);
        seen_empty = seen_empty || text[0] == ' ';
        seen_nested = seen_nested || strstr(text, "two small cat");
        CHECK(strchr("!?", text[strlen(text) - 1]));
    }
    CHECK(seen_empty && seen_nested);
    grammar_free(grammar);
}

static void the_same_draws_give_the_same_text(void) {
    const char *rules[] = {"@d 0|1|2|3|4|5|6|7|8|9", "@story [d][d][d][d][d][d][d][d]"};
    struct grammar *grammar = make(rules, 2);
    char first[16];
    snprintf(first, sizeof first, "%s", expand(grammar, "story", 5));
    CHECK_STR(expand(grammar, "story", 5), first);
    CHECK(strcmp(expand(grammar, "story", 6), first) != 0);
    grammar_free(grammar);
}

static void broken_rules_are_refused(void) {
    const struct {
        const char *rule, *words;
    } broken[] = {
        {"no name", "not \"@name"},         {"@name", "not \"@name"},
        {"@a x [b]", "no rule \"b\""},      {"@a x [v=b]", "no rule \"b\""},
        {"@a x (y", "do not match"},        {"@a x [a", "do not match"},
        {"@a x] y", "do not match"},        {"@a x|@b y", "not \"@name"},
        {"@a [!x:[b] y]", "no rule \"b\""}, {"@a (x|[b])", "no rule \"b\""},
    };
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        const struct grammar_source source = {&broken[i].rule, 1};
        struct grammar *grammar;
        harness_context("%s", broken[i].rule);
        CHECK_STATUS(grammar_new(&grammar, &source, 1, &err), FATHOM_BAD_INPUT);
        CHECK_HAS(err.text, broken[i].words);
    }
}

static void endless_recursion_ends(void) {
    const char *rules[] = {"@a x[a]"};
    struct grammar *grammar = make(rules, 1);
    CHECK(strlen(expand(grammar, "a", 1)) < 100);
    grammar_free(grammar);
}

static void articles_follow_the_sound(void) {
    struct text text = {0};
    text_append_string(&text, "A apple, a hour, a unicorn and a one; banana at a inn. \"A old "
                              "a\" a European a egg a");
    grammar_fix_articles(&text, 0);
    CHECK_STR(text_data(&text),
              "An apple, an hour, a unicorn and a one; banana at an inn. \"An old "
              "a\" a European an egg a");
    text_free(&text);
}

static void collect(void *arg, const char *word, size_t size) {
    text_printf(arg, "%.*s ", (int)size, word);
}

static void words_are_those_of_the_texts_only(void) {
    const char *rules[] = {"@pet Cat|dog's", "@story [pet] {hero} [x=pet] (so|[!y:old [pet]]) on"};
    struct text words = {0};
    struct grammar *grammar = make(rules, 2);
    grammar_each_word(grammar, collect, &words);
    CHECK_STR(text_data(&words), "cat dog s so old on ");
    text_free(&words);
    grammar_free(grammar);
}

static const struct test tests[] = {
    TEST(a_rule_stands_for_one_of_its_alternatives),
    TEST(variables_keep_what_was_written),
    TEST(inline_choices_nest),
    TEST(the_same_draws_give_the_same_text),
    TEST(broken_rules_are_refused),
    TEST(endless_recursion_ends),
    TEST(articles_follow_the_sound),
    TEST(words_are_those_of_the_texts_only),
};
HARNESS_MAIN(tests)
