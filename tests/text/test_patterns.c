/* Patterns matched by hand, against Oniguruma on the same patterns. */
#include "base/rng.h"
#include "harness.h"
#include "text/split.h"

enum { PIECES_MOST = 512 };

struct pieces {
    size_t end[PIECES_MOST];
    size_t count;
};

static void cut(const struct split_step *step, const unsigned char *text, size_t size,
                struct regex_search *search, size_t offset, struct pieces *out) {
    struct error err = {0};
    struct split_range range;
    size_t begin = 0, end = 0, expected = 0;
    bool is_more = true;
    split_range_start(&range, text, text, size);
    for (;;) {
        CHECK_OK(split_next(step, &range, search, &begin, &end, &is_more, &err), &err);
        if (!is_more) break;
        CHECK_EQ(begin, expected);
        CHECK(out->count < PIECES_MOST);
        out->end[out->count++] = offset + end;
        expected = end;
    }
    CHECK_EQ(expected, size);
}

/* Alphabets: what patterns care about, borders of their classes, everything. */
static const uint32_t letters[] = {
    'a',    'Z',    's',    't',   'r',   'e',    'l',    'v',     'm',     'd',    'S',
    'T',    'L',    0xe9,   0x17f, 0x130, 0x3b1,  0x4e00, 0x9fa5,  0x9fa6,  0x3041, 0x30ff,
    0x3100, 0xac00, 0xd7ff, 0x800, 0x7ff, 0x1f80, 0x10d0, 0x1d400, 0x1f170, 0x2c7c, 0xff21};
static const uint32_t others[] = {
    ' ',     '\n', '\r', '\t',   0xb,    0x85,   0xa0,   0x3000, 0x2028, '\'',  '\'',   '!',
    '-',     '$',  '_',  '1',    '2',    0x663,  0x2160, 0xbd,   0x301,  0x903, 0x200d, 0x20ac,
    0x1f600, 1,    0x7f, 0x2018, 0x3001, 0x3002, 0xff01, 0xff1a, 0xfffd, 0x378};

static uint32_t random_code(const struct rng_key *key, uint64_t i, uint64_t kind) {
    uint64_t draw = rng_below(*key, i, 1 << 20);
    if (kind == 0) return letters[draw % (sizeof letters / sizeof letters[0])];
    if (kind == 1) return others[draw % (sizeof others / sizeof others[0])];
    if (kind == 2) return draw % 2 ? '\'' : "sStTrReEvVlLmMdD"[draw / 2 % 16];
    if (kind == 3) return draw % 3 ? ' ' : "\n\r\t"[draw / 3 % 3];
    uint32_t code = (uint32_t)(draw % 0x110000);
    return code >= 0xd800 && code < 0xe000 ? 'x' : code;
}

static void random_text(uint64_t round, struct text *out) {
    const struct rng_key key = {11, RNG_TEST, round};
    uint64_t count = 1 + rng_below(key, 5000, 40);
    text_clear(out);
    for (uint64_t i = 0; i < count; i++) {
        unsigned char bytes[4];
        uint32_t code = random_code(&key, i, rng_below(key, 2000 + i, 5));
        text_append(out, bytes, (size_t)utf8_encode(code, bytes));
    }
}

static void check_same(const struct pieces *a, const struct pieces *b, const struct text *text) {
    CHECK_EQ(a->count, b->count);
    for (size_t i = 0; i < a->count; i++) CHECK_EQ(a->end[i], b->end[i]);
    CHECK(a->count > 0 || text->size == 0);
}

static void every_known_pattern_cuts_as_oniguruma_does(void) {
    struct error err = {0};
    struct regex_search *search = NULL;
    struct text text = {0};
    CHECK_OK(regex_search_new(&search, &err), &err);
    for (int id = 0; id < PATTERN_COUNT; id++) {
        const char *pattern = known_patterns[id].regex;
        struct split_step ours = {.known = &known_patterns[id]}, theirs = {0};
        CHECK(known_pattern_find(pattern, strlen(pattern)) == &known_patterns[id]);
        CHECK_OK(regex_new(&theirs.regex, pattern, strlen(pattern), "t", &err), &err);
        for (uint64_t round = 0; round < 4000; round++) {
            struct pieces a = {.count = 0}, b = {.count = 0};
            random_text(round, &text);
            harness_context("%.40s..., round %d: \"%s\"", pattern, (int)round, text_data(&text));
            cut(&ours, (const unsigned char *)text.data, text.size, search, 0, &a);
            cut(&theirs, (const unsigned char *)text.data, text.size, search, 0, &b);
            check_same(&a, &b, &text);
        }
        split_step_free(&theirs);
    }
    text_free(&text);
    regex_search_free(search);
}

/* Three splits, each within the pieces of the one before. */
static void cut_by_three(struct split_step *steps, const struct text *text,
                         struct regex_search *search, struct pieces *out) {
    struct pieces now = {.count = 0};
    const unsigned char *bytes = (const unsigned char *)text->data;
    cut(&steps[0], bytes, text->size, search, 0, &now);
    for (int s = 1; s < 3; s++) {
        struct pieces next = {.count = 0};
        for (size_t i = 0, begin = 0; i < now.count; begin = now.end[i++])
            cut(&steps[s], bytes + begin, now.end[i] - begin, search, begin, &next);
        now = next;
    }
    *out = now;
}

static void v3_in_one_pass_cuts_as_its_three_splits_do(void) {
    static const enum known_pattern_id ids[] = {PATTERN_3_NUMBERS, PATTERN_HAN_OR_KANA, PATTERN_V3};
    struct error err = {0};
    struct regex_search *search = NULL;
    struct split_step steps[3] = {{0}};
    const struct split_step v3 = {.kind = STEP_SPLIT_V3};
    struct text text = {0};
    CHECK_OK(regex_search_new(&search, &err), &err);
    for (int i = 0; i < 3; i++) {
        const char *pattern = known_patterns[ids[i]].regex;
        CHECK_OK(regex_new(&steps[i].regex, pattern, strlen(pattern), "t", &err), &err);
    }
    for (uint64_t round = 0; round < 8000; round++) {
        struct pieces a = {.count = 0}, b = {.count = 0};
        random_text(round, &text);
        harness_context("round %d: \"%s\"", (int)round, text_data(&text));
        cut(&v3, (const unsigned char *)text.data, text.size, search, 0, &a);
        cut_by_three(steps, &text, search, &b);
        check_same(&a, &b, &text);
    }
    for (int i = 0; i < 3; i++) split_step_free(&steps[i]);
    text_free(&text);
    regex_search_free(search);
}

static const struct test tests[] = {
    TEST(every_known_pattern_cuts_as_oniguruma_does),
    TEST(v3_in_one_pass_cuts_as_its_three_splits_do),
};
HARNESS_MAIN(tests)
