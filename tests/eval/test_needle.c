/* The needle evaluation, with readers whose answers are known in place of a model. */
#include "eval/needle.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "data/facts.h"
#include "eval/needle_text.h"
#include "harness.h"
#include "text/bpe_train.h"

static struct error err;

static const char sample[] =
    "The secret number of the green kite is 48. What is the secret number of the red boat? The "
    "secret number of the red boat is 17.\n\nOnce upon a time there was a girl who lived in a "
    "house by the river. One day she saw a bird. \"What is the matter?\" she asked.\n\n";

static struct tokenizer *small_tokenizer(void) {
    struct bpe_trainer *trainer = NULL;
    struct tokenizer *t = NULL;
    const struct bpe_train_options options = {.vocab_size = 340};
    CHECK_OK(bpe_trainer_new(&trainer, "deepseek-v3", NULL, &err), &err);
    for (int i = 0; i < 4; i++)
        CHECK_OK(bpe_trainer_add(trainer, sample, sizeof sample - 1, &err), &err);
    CHECK_OK(bpe_trainer_finish(trainer, &options, &t, &err), &err);
    bpe_trainer_free(trainer);
    return t;
}

/* ---- texts ---- */

struct text_fixture {
    struct tokenizer *tokenizer;
    struct needle_text *maker;
    struct token_list tokens;
    struct text text; /* of the last trial, with its answer */
};

static struct text_fixture open_texts(void) {
    struct text_fixture f = {.tokenizer = small_tokenizer()};
    CHECK_OK(needle_text_new(&f.maker, f.tokenizer, &err), &err);
    return f;
}

static void close_texts(struct text_fixture *f) {
    needle_text_free(f->maker);
    tokenizer_free(f->tokenizer);
    token_list_free(&f->tokens);
    text_free(&f->text);
}

static const char *make_text(struct text_fixture *f, const struct needle_trial *trial,
                             int64_t depth) {
    CHECK_OK(needle_text_begin(f->maker, trial, &err), &err);
    CHECK_OK(needle_text_tokens(f->maker, depth, &f->tokens, &err), &err);
    text_clear(&f->text);
    CHECK_OK(tokenizer_decode(f->tokenizer, f->tokens.ids, f->tokens.count, true, &f->text, &err),
             &err);
    text_append_string(&f->text, needle_text_answer(f->maker));
    return text_data(&f->text);
}

/* "The secret number of the green kite is 48." from the text's last line. */
static const char *last_sentence(const char *text) {
    const char *question = strrchr(text, '?');
    CHECK(question && question[1] == ' ');
    return question + 2;
}

static void a_text_has_its_length_and_its_fact_at_the_depth(void) {
    struct text_fixture f = open_texts();
    for (uint64_t number = 0; number < 40; number++)
        for (int64_t depth = 0; depth <= 100; depth += 25) {
            const struct needle_trial trial = {1, number, 1500, 0};
            const char *text = make_text(&f, &trial, depth);
            harness_context("trial %d, depth %d: %s", (int)number, (int)depth, text);
            CHECK((int64_t)f.tokens.count < trial.length - 2);
            CHECK((int64_t)f.tokens.count > trial.length - 250);
            const char *fact = strstr(text, last_sentence(text));
            CHECK_EQ(harness_count(text, last_sentence(text)), 2);
            double at = (double)(fact - text) / (double)strlen(text);
            CHECK_NEAR(at, (double)depth / 100 * 0.92, 0.11);
            CHECK(!strstr(text, "  ") && !strstr(text, " \n") && !strstr(text, "\n\n\n"));
        }
    close_texts(&f);
}

static void facts_that_are_asked_about_are_held_out(void) {
    struct text_fixture f = open_texts();
    for (uint64_t number = 0; number < 200; number++) {
        const struct needle_trial trial = {1, number, 600, 3};
        const char *text = make_text(&f, &trial, 50), *sentence = last_sentence(text);
        char color[32], thing[32];
        struct fact fact = {color, thing, 0};
        harness_context("%s", text);
        CHECK_EQ(sscanf(sentence, "The secret number of the %31s %31s is %d.", color, thing,
                        &fact.number),
                 3);
        CHECK(fact_is_heldout(&fact));
        CHECK_EQ(harness_count(text, "he secret number of the"), 4 + 2);
    }
    close_texts(&f);
}

static void a_longer_text_continues_a_shorter_one(void) {
    struct text_fixture f = open_texts();
    const struct needle_trial less = {1, 3, 800, 0}, more = {1, 3, 1600, 0}, other = {2, 3, 800, 0};
    char *text = strdup(make_text(&f, &less, 0));
    char *end = strrchr(text, '\n');
    *--end = 0; /* the question's paragraph */
    CHECK(string_starts_with(make_text(&f, &more, 0), text));
    CHECK(!string_starts_with(make_text(&f, &other, 0), text));
    free(text);
    close_texts(&f);
}

static void a_length_without_room_is_refused(void) {
    struct text_fixture f = open_texts();
    const struct needle_trial trial = {1, 0, 40, 0};
    CHECK_STATUS(needle_text_begin(f.maker, &trial, &err), FATHOM_USAGE);
    CHECK_HAS(err.text, "no room");
    close_texts(&f);
}

/* ---- readers ---- */

/* Finds the fact in the last `sight` tokens and gives the tokens of its answer; else of 00. */
struct finder {
    const struct tokenizer *tokenizer;
    int64_t sight;
};

static fathom_status find_next(void *arg, const int32_t *tokens, int64_t count, int32_t *id,
                               struct error *e) {
    const struct finder *f = arg;
    int64_t first = count > f->sight ? count - f->sight : 0;
    struct text text = {0};
    (void)e;
    CHECK_OK(
        tokenizer_decode(f->tokenizer, tokens + first, (size_t)(count - first), true, &text, &err),
        &err);
    const char *sentence = last_sentence(text_data(&text));
    const char *fact = strstr(text_data(&text), sentence);
    /* The sentence so far ends the text: what follows it where it stands first is the answer. */
    char next = fact < sentence ? fact[strlen(sentence)] : '0';
    *id = tokenizer_find(f->tokenizer, &next, 1);
    CHECK(*id >= 0);
    text_free(&text);
    return FATHOM_OK;
}

static void measure_with(int64_t sight, int64_t *right) {
    static const int64_t lengths[] = {600, 1200}, depths[] = {0, 50, 100};
    struct tokenizer *tokenizer = small_tokenizer();
    struct finder finder = {tokenizer, sight};
    struct log log;
    log_init(&log, NULL, LOG_QUIET);
    const struct needle_options options = {.lengths = lengths,
                                           .depths = depths,
                                           .length_count = 2,
                                           .depth_count = 3,
                                           .trials = 4,
                                           .seed = 1,
                                           .log = &log};
    const struct needle_reader reader = {find_next, &finder};
    CHECK_OK(needle_measure(right, &options, tokenizer, &reader, &err), &err);
    tokenizer_free(tokenizer);
}

static void who_sees_all_finds_every_needle(void) {
    int64_t right[6];
    measure_with(1 << 20, right);
    for (int i = 0; i < 6; i++) CHECK_EQ(right[i], 4);
}

static void who_sees_the_end_finds_what_stands_there(void) {
    static const int64_t expected[6] = {0, 4, 4, 0, 0, 4};
    int64_t right[6];
    measure_with(400, right);
    for (int i = 0; i < 6; i++) {
        harness_context("place %d", i);
        CHECK_EQ(right[i], expected[i]);
    }
}

static const struct test tests[] = {
    TEST(a_text_has_its_length_and_its_fact_at_the_depth),
    TEST(facts_that_are_asked_about_are_held_out),
    TEST(a_longer_text_continues_a_shorter_one),
    TEST(a_length_without_room_is_refused),
    TEST(who_sees_all_finds_every_needle),
    TEST(who_sees_the_end_finds_what_stands_there),
};
HARNESS_MAIN(tests)
