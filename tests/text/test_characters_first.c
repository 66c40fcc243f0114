/* Merging characters first gives what merging from the bytes on gives. */
#include "base/memory.h"
#include "base/rng.h"
#include "harness.h"
#include "text/tokenizer_data.h"
#include "trained.h"

static struct error err;

/* Letters of scripts, some of whose first bytes training joins with what stands before them; Han,
 * Kana, Hangul, emoji, spaces and signs. */
static void append_random(struct text *out, struct rng *rng) {
    static const uint32_t ranges[][2] = {{0x430, 0x44f},   {0x5d0, 0x5ea},   {0x627, 0x64a},
                                         {0x995, 0x9b9},   {0xe01, 0xe2e},   {0x3042, 0x3060},
                                         {0x4e00, 0x4e60}, {0xac00, 0xac40}, {0x1f600, 0x1f640},
                                         {0xe0, 0xff},     {0x2010, 0x2030}, {'a', 'z'}};
    const size_t kind = rng_next_below(rng, sizeof ranges / sizeof ranges[0]);
    for (uint64_t n = 1 + rng_next_below(rng, 6); n > 0; n--) {
        unsigned char bytes[4];
        /* Few letters of each, so that merges reach far. */
        const uint64_t spread = rng_next_below(rng, 4) ? 6 : ranges[kind][1] - ranges[kind][0];
        const uint32_t code = ranges[kind][0] + (uint32_t)rng_next_below(rng, spread);
        text_append(out, bytes, (size_t)utf8_encode(code, bytes));
    }
    if (rng_next_below(rng, 2)) text_append_char(out, ' ');
    if (rng_next_below(rng, 40) == 0) text_append_char(out, (char)(0x80 + rng_next_below(rng, 64)));
}

static void make_text(struct text *text, uint64_t number, size_t size) {
    struct rng rng = {{17, RNG_TEST, number}, 0};
    text_clear(text);
    while (text->size < size) append_random(text, &rng);
    CHECK_OK(text_check(text, &err), &err);
}

/* With the table and without it. */
static void check_same(struct tokenizer *t, int strings, size_t longest) {
    struct characters_first *const characters = t->characters;
    struct text text = {0};
    for (int i = 0; i < strings; i++) {
        struct rng rng = {{18, RNG_TEST, (uint64_t)i}, 0};
        make_text(&text, 1000 + (uint64_t)i, 1 + rng_next_below(&rng, longest));
        struct token_list first = trained_encode(t, text.data, text.size, false);
        t->characters = NULL;
        struct token_list bytes = trained_encode(t, text.data, text.size, false);
        t->characters = characters;
        harness_context("%s", text.data);
        CHECK_EQ(first.count, bytes.count);
        CHECK(memcmp(first.ids, bytes.ids, first.count * sizeof *first.ids) == 0);
        token_list_free(&first);
        token_list_free(&bytes);
    }
    text_free(&text);
}

static int count_risky(const struct tokenizer *t) {
    int count = 0;
    for (int last = 0; last < 256; last++)
        for (int i = 0; i < 256 / 8; i++)
            count += __builtin_popcount(t->characters->risky[last][i]);
    return count;
}

static void trained_vocabularies_encode_the_same(void) {
    static const char *const names[] = {"deepseek-v3", "gpt-2"};
    static const int32_t sizes[] = {300, 420, 700, 2000};
    struct text text = {0};
    make_text(&text, 1, 400000);
    for (int n = 0; n < 2; n++)
        for (int s = 0; s < 4; s++) {
            struct tokenizer *t = trained_with(names[n], text.data, text.size, sizes[s], NULL);
            CHECK(t->characters != NULL);
            if (sizes[s] >= 700) CHECK(t->characters->tokens[0x4e01] >= 0);
            if (sizes[s] == 420) CHECK(count_risky(t) > 3);
            check_same(t, 150, 600);
            tokenizer_free(t);
        }
    text_free(&text);
}

static void the_published_vocabulary_encodes_the_same(void) {
    struct tokenizer *t = NULL;
    CHECK_OK(tokenizer_open(&t, harness_shared("data/deepseek-v3-tokenizer"), &err), &err);
    CHECK_EQ(count_risky(t), 160);
    CHECK(t->characters->tokens[0x4f60] >= 0);
    check_same(t, 1500, 600);
    tokenizer_free(t);
}

/* Merges that training does not make: a token made twice, or of one that is made later. */
static void other_vocabularies_begin_with_bytes(void) {
    static const char *const merges[][3] = {{"a b", "b a", "ab a"},
                                            {"a b", "b a", "a ba"},
                                            {"a b", "ab a", "a b"},
                                            {"ab a", "a b", "b a"}};
    static const char *const others[] = {"ab", "ba", "aba"};
    enum { COUNT = 259 };
    const char *tokens[COUNT];
    size_t sizes[COUNT];
    trained_byte_tokens(tokens, sizes, others, COUNT - 256);
    for (int i = 0; i < 4; i++) {
        struct tokenizer *t = NULL;
        const struct tokenizer_arrays a = {.count = COUNT,
                                           .tokens = tokens,
                                           .sizes = sizes,
                                           .merge_count = 3,
                                           .merges = merges[i],
                                           .pre = "gpt-2",
                                           .bos = -1,
                                           .eos = -1};
        CHECK_OK(tokenizer_from_arrays(&t, &a, "t", &err), &err);
        CHECK_EQ(t->characters != NULL, i < 2);
        tokenizer_free(t);
    }
}

static const struct test tests[] = {
    TEST(trained_vocabularies_encode_the_same),
    TEST(the_published_vocabulary_encodes_the_same),
    TEST(other_vocabularies_begin_with_bytes),
};
HARNESS_MAIN(tests)
