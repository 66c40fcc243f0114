/* Philox against its published values; what is drawn from it, against what it should be. */
#include "base/memory.h"
#include "base/rng.h"
#include "harness.h"

static struct error err;

static struct rng_key key_of(uint64_t seed, uint64_t stream) {
    return (struct rng_key){.seed = seed, .purpose = RNG_TEST, .stream = stream};
}

/* Random123's kat_vectors, philox4x32 10. */
static void philox_matches_the_published_values(void) {
    static const struct {
        uint32_t counter[4], key[2], expected[4];
    } cases[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t block[4];
        memcpy(block, cases[i].counter, sizeof block);
        rng_philox(block, cases[i].key[0], cases[i].key[1]);
        for (int k = 0; k < 4; k++) {
            harness_context("case %zu word %d", i, k);
            CHECK_EQ(block[k], cases[i].expected[k]);
        }
    }
}

static void a_draw_depends_on_every_part_of_its_key(void) {
    const struct rng_key key = key_of(1, 2);
    const uint64_t word = rng_u64(key, 3);
    CHECK(word == rng_u64(key, 3));
    struct rng_key other = key;
    other.seed = (uint64_t)1 << 63 | 1;
    CHECK(rng_u64(other, 3) != word);
    other = key;
    other.purpose = RNG_SYNTH;
    CHECK(rng_u64(other, 3) != word);
    other = key;
    other.stream |= (uint64_t)1 << 40;
    CHECK(rng_u64(other, 3) != word);
    CHECK(rng_u64(key, (uint64_t)1 << 50 | 3) != word);
    CHECK(rng_u64(key, 4) != word);
}

/* Chi-squared over 64 bins, 63 degrees of freedom: 0.9999 lies below 116. */
static void uniform_draws_fill_the_interval_evenly(void) {
    enum { DRAWS = 64000, BINS = 64 };
    double bins[BINS] = {0}, sum = 0, chi = 0;
    for (uint64_t i = 0; i < DRAWS; i++) {
        double u = rng_uniform(key_of(11, 0), i);
        CHECK(u >= 0 && u < 1);
        bins[(int)(u * BINS)]++;
        sum += u;
    }
    double expected = (double)DRAWS / BINS;
    for (int i = 0; i < BINS; i++) chi += (bins[i] - expected) * (bins[i] - expected) / expected;
    CHECK_NEAR(sum / DRAWS, 0.5, 0.005);
    CHECK(chi < 116);
    CHECK(chi > 25);
}

static void below_stays_below_and_reaches_everything(void) {
    static const uint64_t limits[] = {1, 2, 3, 7, 10};
    for (size_t k = 0; k < sizeof limits / sizeof limits[0]; k++) {
        int seen[10] = {0};
        harness_context("n %llu", (unsigned long long)limits[k]);
        for (uint64_t i = 0; i < 1000 * limits[k]; i++) {
            uint64_t draw = rng_below(key_of(5, k), i, limits[k]);
            CHECK(draw < limits[k]);
            seen[draw]++;
        }
        for (uint64_t v = 0; v < limits[k]; v++) CHECK_NEAR(seen[v], 1000, 170);
    }
    CHECK(rng_below(key_of(5, 0), 0, UINT64_MAX) < UINT64_MAX);
}

static void normal_draws_have_the_moments_of_a_normal(void) {
    enum { DRAWS = 100000 };
    double sums[4] = {0};
    for (uint64_t i = 0; i < DRAWS; i++) {
        double x = rng_normal(key_of(3, 9), i), power = x;
        CHECK(isfinite(x));
        for (int k = 0; k < 4; k++, power *= x) sums[k] += power / DRAWS;
    }
    CHECK_NEAR(sums[0], 0, 0.015);
    CHECK_NEAR(sums[1], 1, 0.02);
    CHECK_NEAR(sums[2], 0, 0.05);
    CHECK_NEAR(sums[3], 3, 0.15);
}

static void a_permutation_is_a_bijection(void) {
    enum { MOST = 5000 };
    static const uint64_t sizes[] = {1, 2, 3, 4, 5, 15, 16, 17, 64, 65, 1000, 4096, 4097, MOST};
    bool *seen = NULL;
    CHECK_OK(MEM_NEW(&seen, MOST, "marks", &err), &err);
    for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
        memset(seen, 0, MOST);
        harness_context("n %llu", (unsigned long long)sizes[k]);
        for (uint64_t i = 0; i < sizes[k]; i++) {
            uint64_t at = rng_permute(key_of(k, 1), i, sizes[k]);
            CHECK(at < sizes[k]);
            CHECK(!seen[at]);
            seen[at] = true;
        }
    }
    mem_free(seen);
    uint64_t huge = UINT64_MAX - 58;
    CHECK(rng_permute(key_of(1, 1), huge - 1, huge) < huge);
}

static void permutations_of_two_keys_differ_and_mix(void) {
    enum { N = 1000 };
    int same = 0, fixed = 0;
    for (uint64_t i = 0; i < N; i++) {
        uint64_t a = rng_permute(key_of(1, 0), i, N), b = rng_permute(key_of(1, 1), i, N);
        same += a == b;
        fixed += a == i;
    }
    CHECK(same < 10);
    CHECK(fixed < 10);
}

static void a_cursor_draws_one_after_the_other(void) {
    struct rng rng = {.key = key_of(8, 4)};
    CHECK(rng_next_uniform(&rng) == rng_uniform(rng.key, 0));
    CHECK(rng_next_below(&rng, 100) == rng_below(rng.key, 1, 100));
    CHECK_EQ(rng.position, 2);
}

static const struct test tests[] = {
    TEST(philox_matches_the_published_values),       TEST(a_draw_depends_on_every_part_of_its_key),
    TEST(uniform_draws_fill_the_interval_evenly),    TEST(below_stays_below_and_reaches_everything),
    TEST(normal_draws_have_the_moments_of_a_normal), TEST(a_permutation_is_a_bijection),
    TEST(permutations_of_two_keys_differ_and_mix),   TEST(a_cursor_draws_one_after_the_other),
};
HARNESS_MAIN(tests)
