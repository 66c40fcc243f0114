#include "base/clock.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/rng.h"
#include "base/text.h"
#include "harness.h"
#include "text/pretokenizer.h"
#include "text/unicode.h"
#include "trained.h"

/* ---- classes of characters ---- */

static void characters_have_the_classes_that_patterns_name(void) {
    static const struct {
        uint32_t code;
        enum unicode_class class;
    } cases[] = {
        {'a', UNICODE_LETTER},      {'Z', UNICODE_LETTER},      {'7', UNICODE_NUMBER},
        {'!', UNICODE_PUNCTUATION}, {'_', UNICODE_PUNCTUATION}, {'$', UNICODE_SYMBOL},
        {'~', UNICODE_SYMBOL},      {' ', UNICODE_SPACE},       {'\t', UNICODE_SPACE},
        {0x0b, UNICODE_SPACE},      {0x1c, UNICODE_OTHER},      {0x7f, UNICODE_OTHER},
        {0x85, UNICODE_SPACE},      {0xa0, UNICODE_SPACE},      {0xaa, UNICODE_LETTER},
        {0xad, UNICODE_OTHER},      {0xb2, UNICODE_NUMBER},     {0xe9, UNICODE_LETTER},
        {0x301, UNICODE_MARK},      {0x488, UNICODE_MARK},      {0x903, UNICODE_MARK},
        {0x966, UNICODE_NUMBER},    {0x1680, UNICODE_SPACE},    {0x180e, UNICODE_OTHER},
        {0x200a, UNICODE_SPACE},    {0x200b, UNICODE_OTHER},    {0x2028, UNICODE_SPACE},
        {0x2160, UNICODE_NUMBER},   {0x3000, UNICODE_SPACE},    {0x3001, UNICODE_PUNCTUATION},
        {0x4e00, UNICODE_LETTER},   {0xac00, UNICODE_LETTER},   {0xd800, UNICODE_OTHER},
        {0xe000, UNICODE_OTHER},    {0xfeff, UNICODE_OTHER},    {0xff5c, UNICODE_SYMBOL},
        {0x1f600, UNICODE_SYMBOL},  {0x20000, UNICODE_LETTER},  {0xe0100, UNICODE_MARK},
        {0x10ffff, UNICODE_OTHER},  {0x110000, UNICODE_OTHER},  {UINT32_MAX, UNICODE_OTHER},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        harness_context("U+%04X", cases[i].code);
        CHECK_EQ(unicode_class_of(cases[i].code), cases[i].class);
    }
}

/* ---- pieces ---- */

/* The pieces of a text with '|' between them. */
static void join_pieces(const char *text, size_t size, struct text *joined) {
    struct pretokenizer p;
    size_t begin = 0, end = 0, expected = 0;
    pretokenizer_start(&p, PRETOKENIZER_DEEPSEEK_V3, text, size);
    while (pretokenizer_next(&p, &begin, &end)) {
        CHECK_EQ(begin, expected);
        CHECK(end > begin && end <= size);
        if (begin > 0) text_append_char(joined, '|');
        text_append(joined, text + begin, end - begin);
        expected = end;
    }
    CHECK_EQ(expected, size);
}

static void v3_cuts_texts_as_its_patterns_do(void) {
    /* The text without its bars is the input. Checked against Hugging Face's tokenizers. */
    static const char *const cases[] = {
        "Hello| world|!",
        "I|'m| here|,| aren|'t| you|?!?",
        "123|456|7|.|890",
        "a|123|b| |1",
        "x|  | y|   | z| ",
        "tab|\t|\tx|\n\n|y|\r\n|z",
        "  \n  \n|  | end",
        "end|.\n\n|x|!!\r\n| .\n",
        "\xe4\xbd\xa0\xe5\xa5\xbd|abc|\xe3\x81\x82\xe3\x82\xa2|\xe3\x80\x81|\xe4\xb8\x96",
        "e\xcc\x81t\xc3\xa9| \xcc\x81|1|\xcc\x81", /* marks belong to words */
        "(foobar|)_|baz|\xe2\x82\xac|x|,bar| ,|bar",
        "a|\x01"
        "b|\x01\x02|\x03"
        "c",
        "\xc2\xa0nbsp|\xe3\x80\x80|\xe3\x80\x80wide",
        "",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct text plain = {0}, joined = {0};
        for (const char *c = cases[i]; *c; c++)
            if (*c != '|') text_append_char(&plain, *c);
        join_pieces(text_data(&plain), plain.size, &joined);
        CHECK_STR(text_data(&joined), cases[i]);
        text_free(&plain);
        text_free(&joined);
    }
}

static void bytes_that_are_not_utf8_count_as_characters_of_no_class(void) {
    struct text joined = {0};
    static const char text[] = "a\xff"
                               "b\xc3 \xe4\xbd!\x80\x80";
    join_pieces(text, strlen(text), &joined);
    CHECK_STR(text_data(&joined), "a|\xff"
                                  "b|\xc3| |\xe4\xbd|!|\x80\x80");
    text_free(&joined);
}

/* A text of pieces that patterns care about. */
static void random_text(uint64_t round, struct text *out) {
    static const char *const parts[] = {"a",
                                        "B",
                                        "z",
                                        "\na",
                                        "\nB",
                                        "\n",
                                        "\r",
                                        " ",
                                        " ",
                                        "\t",
                                        "1",
                                        "22",
                                        "!",
                                        "-",
                                        "'s",
                                        "$",
                                        "\x01",
                                        "\xff",
                                        "\xc3",
                                        "\xc3\xa9",
                                        "\xcc\x81",
                                        "\xe4\xbd\xa0",
                                        "\xe3\x81\x82",
                                        "\xf0\x9f\x98\x80",
                                        "\xc2\xa0",
                                        "\xe3\x80\x80",
                                        "\xd9\xa3"};
    const struct rng_key key = {7, RNG_TEST, round};
    uint64_t count = rng_below(key, 1000, 60);
    for (uint64_t i = 0; i < count; i++)
        text_append_string(out, parts[rng_below(key, i, sizeof parts / sizeof parts[0])]);
}

static void pieces_of_the_two_sides_of_a_cut_are_those_of_the_whole(void) {
    int cuts = 0;
    for (uint64_t round = 0; round < 3000; round++) {
        struct text text = {0}, whole = {0}, sides = {0};
        random_text(round, &text);
        size_t at = pretokenizer_cut(text_data(&text), text.size, text.size / 3);
        CHECK(at <= text.size);
        join_pieces(text_data(&text), text.size, &whole);
        join_pieces(text_data(&text), at, &sides);
        if (at > 0 && at < text.size) {
            text_append_char(&sides, '|');
            cuts++;
        }
        if (at < text.size) join_pieces(text.data + at, text.size - at, &sides);
        CHECK_STR(text_data(&sides), text_data(&whole));
        text_free(&text);
        text_free(&whole);
        text_free(&sides);
    }
    CHECK(cuts > 500);
}

/* ---- recognising ---- */

static void check_recognised(const char *from, const char *to, const char *named) {
    struct error err = {0};
    struct text json = {0};
    json_node *root = NULL;
    enum pretokenizer_kind kind = PRETOKENIZER_COUNT;
    const char *known = pretokenizer_json(PRETOKENIZER_DEEPSEEK_V3);
    const char *at = strstr(known, from);
    CHECK(at != NULL);
    text_append(&json, known, (size_t)(at - known));
    text_append_string(&json, to);
    text_append_string(&json, at + strlen(from));
    CHECK_OK(json_parse(&root, json.data, json.size, "t", &err), &err);
    fathom_status status = pretokenizer_recognise(root, "t", &kind, &err);
    if (named) {
        CHECK_STATUS(status, FATHOM_UNSUPPORTED);
        CHECK_HAS(err.text, named);
    } else {
        CHECK_OK(status, &err);
        CHECK_EQ(kind, PRETOKENIZER_DEEPSEEK_V3);
    }
    json_free(root);
    text_free(&json);
}

static void only_the_exact_steps_of_a_family_are_recognised(void) {
    check_recognised("Sequence", "Sequence", NULL);
    check_recognised("\"invert\": false", "\"invert\": false, \"extra\": 1", NULL);
    check_recognised("Sequence", "Chain", "Split");
    check_recognised("{1,3}", "{1,4}", "{1,4}");
    check_recognised("[A-Za-z]+|", "[A-Za-z]+ |", "[A-Za-z]+ |");
    check_recognised("Isolated", "Removed", "Split");
    check_recognised("\"invert\": false", "\"invert\": true", "Split");
    check_recognised("\"use_regex\": false", "\"use_regex\": true", "ByteLevel");
    check_recognised(", \"use_regex\": false", "", "ByteLevel"); /* absent means true */
    check_recognised("\"add_prefix_space\": false, ", "", "ByteLevel");
}

/* ---- time ---- */

static double seconds_to_encode(const struct tokenizer *t, const char *unit, size_t size) {
    struct text text = {0};
    double best = 1e9;
    while (text.size < size) text_append_string(&text, unit);
    for (int i = 0; i < 3; i++) {
        double begin = clock_process_seconds();
        struct token_list ids = trained_encode(t, text.data, text.size, true);
        double seconds = clock_process_seconds() - begin;
        if (seconds < best) best = seconds;
        token_list_free(&ids);
    }
    text_free(&text);
    return best;
}

static void long_runs_of_anything_take_linear_time(void) {
    static const char *const units[] = {"a",        " ",
                                        "1",        "\n",
                                        "!",        " \n",
                                        "\x01",     "\xff",
                                        "\xcc\x81", "\xf0\x9f\x98\x80",
                                        "<",        "\xe4\xbd\xa0",
                                        "a\x01",    "ab",
                                        "'a"};
    struct tokenizer *t = trained_on_sample(340);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        double one = seconds_to_encode(t, units[i], 60000);
        double four = seconds_to_encode(t, units[i], 240000);
        harness_context("unit %zu: %.4f s, four times as long %.4f s", i, one, four);
        CHECK(four < 9 * one + 0.01); /* quadratic: 16 times */
    }
    tokenizer_free(t);
}

static const struct test tests[] = {
    TEST(characters_have_the_classes_that_patterns_name),
    TEST(v3_cuts_texts_as_its_patterns_do),
    TEST(bytes_that_are_not_utf8_count_as_characters_of_no_class),
    TEST(pieces_of_the_two_sides_of_a_cut_are_those_of_the_whole),
    TEST(only_the_exact_steps_of_a_family_are_recognised),
    TEST(long_runs_of_anything_take_linear_time),
};
HARNESS_MAIN(tests)
