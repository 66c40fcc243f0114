/* Sessions against the trainer's forward: the same bits in one piece, in chunks, token by token. */
#include "../model/model_test.h"

#include "infer/sampler.h"
#include "infer/session.h"

enum { LENGTH = 37 };

/* Logits [LENGTH, V] as the trainer computes them. */
static float *trainer_logits(struct fixture *f) {
    static const int64_t lengths[] = {LENGTH};
    float *logits = NULL;
    int64_t V = f->model->config.vocab;
    CHECK(MEM_NEW(&logits, LENGTH * V, "logits", NULL) == FATHOM_OK);
    fixture_batch(f, 0, 1, lengths);
    fixture_pass(f, &(struct run_options){0}, false);
    model_logits(f->model, &f->stream, tensor_of(logits, DTYPE_F32, LENGTH, V), f->run->hidden);
    return logits;
}

static void check_at(struct fixture *f, struct session *s, const float *expected, int64_t count) {
    struct error err = {0};
    int64_t V = f->model->config.vocab;
    CHECK_OK(session_sync(s, f->tokens[0], count, &err), &err);
    CHECK(memcmp(session_logits(s), expected + (count - 1) * V, (size_t)V * sizeof(float)) == 0);
}

static void check_chunks(struct fixture *f, const float *expected, int64_t chunk) {
    struct error err = {0};
    struct session *s = NULL;
    const struct session_options options = {.positions = LENGTH, .chunk = chunk};
    CHECK_OK(session_new(&s, f->model, &options, &err), &err);
    check_at(f, s, expected, LENGTH);
    session_free(s);
}

static void any_chunks_give_the_trainers_bits(void) {
    static const int64_t chunks[] = {1, 2, 5, 16, 36, 37};
    for (int i = 0; i < GOLDEN_COUNT; i++) {
        struct fixture f;
        fixture_open(&f, golden_names[i], NULL, 2);
        float *expected = trainer_logits(&f);
        for (int c = 0; c < 6; c++) {
            harness_context("%s, chunks of %lld", golden_names[i], (long long)chunks[c]);
            check_chunks(&f, expected, chunks[c]);
        }
        mem_free(expected);
        fixture_close(&f);
    }
}

static void a_changed_suffix_is_computed_again_and_a_prefix_kept(void) {
    struct error err = {0};
    struct fixture f;
    struct session *s = NULL;
    const struct session_options options = {.positions = LENGTH};
    fixture_open(&f, "v3", NULL, 2);
    float *expected = trainer_logits(&f);
    int32_t other[LENGTH];
    memcpy(other, f.tokens[0], sizeof other);
    for (int i = 20; i < LENGTH; i++) other[i] = f.tokens[1][i];
    CHECK_OK(session_new(&s, f.model, &options, &err), &err);
    check_at(&f, s, expected, LENGTH);
    CHECK_OK(session_sync(s, other, LENGTH, &err), &err);
    check_at(&f, s, expected, LENGTH); /* back again */
    check_at(&f, s, expected, 10);     /* rewound */
    check_at(&f, s, expected, 11);
    CHECK_EQ(session_length(s), 11);
    mem_free(expected);
    session_free(s);
    fixture_close(&f);
}

static void a_sequence_beyond_the_positions_is_refused_and_the_session_lives_on(void) {
    struct error err = {0};
    struct fixture f;
    struct session *s = NULL;
    const struct session_options options = {.positions = 8};
    fixture_open(&f, "qwen3", NULL, 1);
    CHECK_OK(session_new(&s, f.model, &options, &err), &err);
    CHECK_STATUS(session_sync(s, f.tokens[0], 9, &err), FATHOM_USAGE);
    CHECK_OK(session_sync(s, f.tokens[0], 8, &err), &err);
    session_free(s);
    fixture_close(&f);
}

/* ---- sampler ---- */

static const float peaked[] = {0, 3, 1, 3, -2};

static struct sampler *sampler(double temperature, double top_p, int64_t top_k) {
    struct error err = {0};
    struct sampler *s = NULL;
    const struct sampler_options options = {temperature, top_p, top_k, 5};
    CHECK_OK(sampler_new(&s, 5, &options, &err), &err);
    return s;
}

static void zero_temperature_takes_the_lower_of_the_likeliest(void) {
    double logp = 0;
    struct sampler *s = sampler(0, 1, 0);
    CHECK_EQ(sampler_pick(s, peaked, 0, 0, &logp), 1);
    CHECK_NEAR(logp, -log(2 + exp(-3) + exp(-2) + exp(-5)), 1e-12);
    sampler_free(s);
}

static void draws_follow_the_distribution_and_the_seed(void) {
    enum { DRAWS = 20000 };
    int counts[5] = {0};
    double total = exp(0) + 2 * exp(3) + exp(1) + exp(-2);
    struct sampler *s = sampler(1, 1, 0), *same = sampler(1, 1, 0);
    for (uint64_t i = 0; i < DRAWS; i++) {
        int32_t id = sampler_pick(s, peaked, 1, i, NULL);
        CHECK_EQ(id, sampler_pick(same, peaked, 1, i, NULL));
        counts[id]++;
    }
    for (int i = 0; i < 5; i++)
        CHECK_NEAR((double)counts[i] / DRAWS, exp((double)peaked[i]) / total, 0.015);
    sampler_free(s);
    sampler_free(same);
}

static void truncation_leaves_only_the_likeliest(void) {
    struct sampler *k = sampler(1, 1, 2), *p = sampler(1, 0.9, 0);
    for (uint64_t i = 0; i < 500; i++) {
        int32_t a = sampler_pick(k, peaked, 0, i, NULL), b = sampler_pick(p, peaked, 0, i, NULL);
        CHECK((a == 1 || a == 3) && (b == 1 || b == 3));
    }
    sampler_free(k);
    sampler_free(p);
}

static const struct test tests[] = {
    TEST(any_chunks_give_the_trainers_bits),
    TEST(a_changed_suffix_is_computed_again_and_a_prefix_kept),
    TEST(a_sequence_beyond_the_positions_is_refused_and_the_session_lives_on),
    TEST(zero_temperature_takes_the_lower_of_the_likeliest),
    TEST(draws_follow_the_distribution_and_the_seed),
    TEST(truncation_leaves_only_the_likeliest),
};
HARNESS_MAIN(tests)
