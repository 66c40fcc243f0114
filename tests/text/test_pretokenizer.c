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

static struct pretokenizer *named(const char *name) {
    struct error err = {0};
    struct pretokenizer *p = NULL;
    CHECK_OK(pretokenizer_named(&p, name, &err), &err);
    return p;
}

static struct pretokenizer *parsed(const char *json) {
    struct error err = {0};
    struct pretokenizer *p = NULL;
    json_node *root = NULL;
    CHECK_OK(json_parse(&root, json, strlen(json), "t", &err), &err);
    CHECK_OK(pretokenizer_parse(&p, root, "t", &err), &err);
    json_free(root);
    return p;
}

/* The pieces of a text with '|' between them. */
static void join_pieces(const struct pretokenizer *p, const char *text, size_t size,
                        struct text *joined) {
    struct error err = {0};
    struct cutter *cutter = NULL;
    struct piece piece;
    size_t begin = joined->size;
    CHECK_OK(cutter_new(&cutter, p, &err), &err);
    CHECK_OK(cutter_start(cutter, text, size, &err), &err);
    for (;;) {
        CHECK_OK(cutter_next(cutter, &piece, &err), &err);
        if (piece.size == 0) break;
        if (joined->size > begin) text_append_char(joined, '|');
        text_append(joined, piece.bytes, piece.size);
    }
    cutter_free(cutter);
}

/* The text without its bars is the input. */
static void check_cut(const struct pretokenizer *p, const char *expected) {
    struct text plain = {0}, joined = {0};
    for (const char *c = expected; *c; c++)
        if (*c != '|') text_append_char(&plain, *c);
    join_pieces(p, text_data(&plain), plain.size, &joined);
    CHECK_STR(text_data(&joined), expected);
    text_free(&plain);
    text_free(&joined);
}

static void v3_cuts_texts_as_its_patterns_do(void) {
    /* Checked against Hugging Face's tokenizers. */
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
    struct pretokenizer *p = named("deepseek-v3");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) check_cut(p, cases[i]);
    pretokenizer_free(p);
}

static void bytes_that_are_not_utf8_count_as_characters_of_no_class(void) {
    /* by hand, and through a regular expression that is not known by hand */
    static const char *const ours[] = {
        "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"use_regex\": true}",
        "{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Split\", \"pattern\": "
        "{\"Regex\": \" ?\\\\p{L}+| ?[^\\\\s\\\\p{L}]+|\\\\s+\"}, \"behavior\": \"Isolated\"}, "
        "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"use_regex\": false}]}"};
    struct pretokenizer *p = named("deepseek-v3");
    check_cut(p, "a|\xff"
                 "b|\xc3| |\xe4\xbd|!|\x80\x80");
    pretokenizer_free(p);
    for (int i = 0; i < 2; i++) {
        p = parsed(ours[i]);
        check_cut(p, "a|\xff|b|\xc3| \xe4\xbd!\x80\x80|a");
        pretokenizer_free(p);
    }
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

/* How many of many texts could be cut; every piece of theirs must be the whole's. */
static int check_cuts(const struct pretokenizer *p) {
    int cuts = 0;
    for (uint64_t round = 0; round < 3000; round++) {
        struct text text = {0}, whole = {0}, sides = {0};
        random_text(round, &text);
        size_t at = pretokenizer_cut(p, text_data(&text), text.size, text.size / 3);
        CHECK(at <= text.size);
        join_pieces(p, text_data(&text), text.size, &whole);
        join_pieces(p, text_data(&text), at, &sides);
        if (at > 0 && at < text.size) {
            text_append_char(&sides, '|');
            cuts++;
        }
        if (at < text.size) join_pieces(p, text.data + at, text.size - at, &sides);
        CHECK_STR(text_data(&sides), text_data(&whole));
        text_free(&text);
        text_free(&whole);
        text_free(&sides);
    }
    return cuts;
}

static void pieces_of_the_two_sides_of_a_cut_are_those_of_the_whole(void) {
    for (int i = 0; pretokenizer_name(i); i++) {
        struct pretokenizer *p = named(pretokenizer_name(i));
        harness_context("%s", pretokenizer_name(i));
        CHECK(check_cuts(p) > 500);
        pretokenizer_free(p);
    }
}

/* ---- sequences ---- */

#define SPLIT_AT(pattern, behavior, more)                                                          \
    "{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Split\", \"pattern\": {" pattern    \
    "}, \"behavior\": \"" behavior "\"" more "}, {\"type\": \"ByteLevel\", "                       \
    "\"add_prefix_space\": false, \"use_regex\": false}]}"

static void check_split(const char *json, const char *text, const char *expected) {
    struct text joined = {0};
    struct pretokenizer *p = parsed(json);
    join_pieces(p, text, strlen(text), &joined);
    CHECK_STR(text_data(&joined), expected);
    text_free(&joined);
    pretokenizer_free(p);
}

static void splits_do_with_a_match_what_their_behavior_says(void) {
    /* Checked against Hugging Face's tokenizers. */
    static const char text[] = "-the-final--countdown-";
    check_split(SPLIT_AT("\"String\": \"-\"", "Isolated", ""), text,
                "-|the|-|final|-|-|countdown|-");
    check_split(SPLIT_AT("\"String\": \"-\"", "Removed", ""), text, "the|final|countdown");
    check_split(SPLIT_AT("\"String\": \"-\"", "MergedWithPrevious", ""), text,
                "-|the-|final-|-|countdown-");
    check_split(SPLIT_AT("\"String\": \"-\"", "MergedWithNext", ""), text,
                "-the|-final|-|-countdown|-");
    check_split(SPLIT_AT("\"String\": \"-\"", "Contiguous", ""), text,
                "-|the|-|final|--|countdown|-");
    check_split(SPLIT_AT("\"Regex\": \"[a-z]+\"", "Removed", ", \"invert\": true"), text,
                "the|final|countdown");
    check_split(SPLIT_AT("\"Regex\": \"[a-z]+\"", "MergedWithNext", ", \"invert\": true"), text,
                "-the|-final|--countdown|-");
    /* empty matches part without being a piece */
    check_split(SPLIT_AT("\"Regex\": \"(?=f)|(?<=t)\"", "Isolated", ""), text,
                "-t|he-|final--count|down-");
    check_split(SPLIT_AT("\"String\": \"\"", "Isolated", ""), text, text);
    check_split(SPLIT_AT("\"Regex\": \"x*\"", "Isolated", ""), "axxb", "a|xx|b");
}

static void digits_and_prefix_spaces(void) {
    check_split("{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Digits\", "
                "\"individual_digits\": false}, {\"type\": \"ByteLevel\", \"add_prefix_space\": "
                "false, \"use_regex\": false}]}",
                "a12b3", "a|12|b|3");
    check_split("{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Digits\", "
                "\"individual_digits\": true}, {\"type\": \"ByteLevel\", \"use_regex\": false}]}",
                "a12 b", " a| 1| 2| b");
    check_split("{\"type\": \"ByteLevel\"}", "Hello my", " Hello| my");
    check_split("{\"type\": \"ByteLevel\"}", " Hello", " Hello");
    check_split("{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"use_regex\": false}",
                "Hello my", "Hello my");
}

static void check_not_taken(const char *json, fathom_status status, const char *named_so) {
    struct error err = {0};
    struct pretokenizer *p = NULL;
    json_node *root = NULL;
    CHECK_OK(json_parse(&root, json, strlen(json), "t", &err), &err);
    CHECK_STATUS(pretokenizer_parse(&p, root, "t", &err), status);
    CHECK_HAS(err.text, named_so);
    CHECK(p == NULL);
    json_free(root);
}

static void what_is_not_known_is_refused_by_name(void) {
    check_not_taken("null", FATHOM_UNSUPPORTED, "no pre-tokenizer");
    check_not_taken("{\"type\": \"Metaspace\"}", FATHOM_UNSUPPORTED, "Metaspace");
    check_not_taken("{\"type\": \"Digits\"}", FATHOM_UNSUPPORTED, "ByteLevel");
    check_not_taken("{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"ByteLevel\"}, "
                    "{\"type\": \"Digits\"}]}",
                    FATHOM_UNSUPPORTED, "after ByteLevel");
    check_not_taken(SPLIT_AT("\"Regex\": \"a\"", "Joined", ""), FATHOM_UNSUPPORTED, "Joined");
    check_not_taken(SPLIT_AT("\"Regex\": \"(a\"", "Isolated", ""), FATHOM_UNSUPPORTED, "(a");
    check_not_taken(SPLIT_AT("\"Glob\": \"a\"", "Isolated", ""), FATHOM_BAD_INPUT, "pattern");
    check_not_taken(SPLIT_AT("\"Regex\": \"a\"", "Isolated", ", \"invert\": 1"), FATHOM_BAD_INPUT,
                    "invert");
    struct error err = {0};
    struct pretokenizer *p = NULL;
    CHECK_STATUS(pretokenizer_named(&p, "gpt-9", &err), FATHOM_UNSUPPORTED);
    CHECK_HAS(err.text, "gpt-9");
    CHECK_HAS(err.text, "deepseek-coder");
}

static void published_ones_are_known_whatever_their_spelling(void) {
    for (int i = 0; pretokenizer_name(i); i++) {
        struct pretokenizer *p = named(pretokenizer_name(i));
        struct pretokenizer *again = parsed(pretokenizer_json(p));
        CHECK_STR(pretokenizer_identity(p), pretokenizer_name(i));
        CHECK_STR(pretokenizer_identity(again), pretokenizer_name(i));
        CHECK_STR(pretokenizer_json(again), pretokenizer_json(p));
        pretokenizer_free(p);
        pretokenizer_free(again);
    }
    struct pretokenizer *other = parsed(SPLIT_AT("\"Regex\": \"\\\\p{N}{1,4}\"", "Isolated", ""));
    CHECK_STR(pretokenizer_identity(other), pretokenizer_json(other));
    pretokenizer_free(other);
}

static void a_pattern_that_backtracks_without_end_is_an_error(void) {
    struct error err = {0};
    struct cutter *cutter = NULL;
    struct piece piece;
    struct text text = {0};
    struct pretokenizer *p = parsed(SPLIT_AT("\"Regex\": \"(a|aa)+$\"", "Isolated", ""));
    for (int i = 0; i < 60; i++) text_append_char(&text, 'a');
    text_append_char(&text, 'b');
    CHECK_OK(cutter_new(&cutter, p, &err), &err);
    CHECK_OK(cutter_start(cutter, text.data, text.size, &err), &err);
    CHECK_STATUS(cutter_next(cutter, &piece, &err), FATHOM_UNSUPPORTED);
    CHECK_HAS(err.text, "(a|aa)+$");
    cutter_free(cutter);
    pretokenizer_free(p);
    text_free(&text);
}

/* ---- time ---- */

static double seconds_to_encode(const struct tokenizer *t, const char *unit, size_t size) {
    struct text text = {0};
    double best = 1e9;
    while (text.size < size) text_append_string(&text, unit);
    text_append_char(&text, 'x'); /* what ends a run may have been looked for from every place */
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
                                        "'a",       " \t "};
    for (int family = 0; pretokenizer_name(family); family++) {
        struct tokenizer *t = trained_with(pretokenizer_name(family), trained_sample,
                                           strlen(trained_sample), 340, NULL);
        for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
            double one = seconds_to_encode(t, units[i], 60000);
            double four = seconds_to_encode(t, units[i], 240000);
            harness_context("%s, unit %zu: %.4f s, four times as long %.4f s",
                            pretokenizer_name(family), i, one, four);
            CHECK(four < 9 * one + 0.01); /* quadratic: 16 times */
        }
        tokenizer_free(t);
    }
}

static const struct test tests[] = {
    TEST(characters_have_the_classes_that_patterns_name),
    TEST(v3_cuts_texts_as_its_patterns_do),
    TEST(bytes_that_are_not_utf8_count_as_characters_of_no_class),
    TEST(pieces_of_the_two_sides_of_a_cut_are_those_of_the_whole),
    TEST(splits_do_with_a_match_what_their_behavior_says),
    TEST(digits_and_prefix_spaces),
    TEST(what_is_not_known_is_refused_by_name),
    TEST(published_ones_are_known_whatever_their_spelling),
    TEST(a_pattern_that_backtracks_without_end_is_an_error),
    TEST(long_runs_of_anything_take_linear_time),
};
HARNESS_MAIN(tests)
