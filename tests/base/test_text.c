/* Strings, numbers as people write them, and UTF-8 against a decoder that is obviously right. */
#include "base/text.h"

#include <stdlib.h>

#include "base/memory.h"
#include "harness.h"

static struct error err;

/* ---- struct text ---- */

static void a_text_grows_and_keeps_its_end(void) {
    struct text text = {0};
    CHECK_STR(text_data(&text), "");
    for (int i = 0; i < 5000; i++) {
        text_append_char(&text, (char)('a' + i % 26));
        CHECK_EQ(text.data[text.size], 0);
    }
    CHECK_EQ(text.size, 5000);
    for (int i = 0; i < 5000; i++) CHECK_EQ(text.data[i], 'a' + i % 26);
    text_clear(&text);
    CHECK_STR(text_data(&text), "");
    text_append(&text, "a\0b", 3);
    text_append_string(&text, "cd");
    text_append(&text, NULL, 0);
    CHECK_EQ(text.size, 5);
    CHECK(memcmp(text.data, "a\0bcd", 6) == 0);
    text_free(&text);
    text_free(&text);
    CHECK_OK(text_check(&text, &err), &err);
}

static void printf_appends_any_length(void) {
    struct text text = {0};
    for (int width = 1; width < 300; width += 7) {
        size_t before = text.size;
        text_printf(&text, "%*d", width, 7);
        CHECK_EQ(text.size, before + (size_t)width);
        CHECK_EQ(text.data[text.size - 1], '7');
    }
    text_free(&text);
}

static void a_failure_latches_until_cleared(void) {
    struct text text = {0};
    text_append_string(&text, "kept");
    text_append(&text, "", SIZE_MAX - 2);
    CHECK(text.failed);
    text_append_string(&text, "more");
    text_printf(&text, "%d", 1);
    CHECK_EQ(text.size, 4);
    CHECK_STATUS(text_check(&text, &err), FATHOM_NO_MEMORY);
    text_clear(&text);
    CHECK_OK(text_check(&text, &err), &err);
    text_free(&text);
}

static void string_helpers_handle_short_strings(void) {
    CHECK(string_starts_with("model", "mod") && string_starts_with("m", ""));
    CHECK(!string_starts_with("mo", "mod") && !string_starts_with("", "m"));
    CHECK(string_ends_with("a.json", ".json") && string_ends_with("", ""));
    CHECK(!string_ends_with("json", ".json"));
    char *copy = NULL;
    CHECK_OK(string_copy(&copy, "text", &err), &err);
    CHECK_STR(copy, "text");
    mem_free(copy);
}

/* ---- numbers ---- */

static const char *const never_numbers[] = {
    "",    "-",    "+1", " 1", "1 ", "1x", "0x10", "-0x1", "0X1", "--1", "nan",
    "inf", "-inf", ".",  "-.", "e5", "1e", "1,5",  "1\n",  "\t1", "K",   "NaN(1)"};

static void what_is_no_number_is_refused(void) {
    for (size_t i = 0; i < sizeof never_numbers / sizeof never_numbers[0]; i++) {
        int64_t whole = 7;
        uint64_t positive = 7, bytes = 7;
        double real = 7;
        harness_context("\"%s\"", never_numbers[i]);
        CHECK(!string_to_i64(never_numbers[i], &whole) && whole == 7);
        CHECK(!string_to_u64(never_numbers[i], &positive) && positive == 7);
        CHECK(!string_to_f64(never_numbers[i], &real) && real == 7);
        CHECK(!string_to_bytes(never_numbers[i], &bytes) && bytes == 7);
    }
}

static void integers_are_read_up_to_their_limits(void) {
    int64_t i = 0;
    uint64_t u = 0;
    CHECK(string_to_i64("9223372036854775807", &i) && i == INT64_MAX);
    CHECK(string_to_i64("-9223372036854775808", &i) && i == INT64_MIN);
    CHECK(string_to_i64("-0", &i) && i == 0);
    CHECK(string_to_i64("007", &i) && i == 7);
    CHECK(!string_to_i64("9223372036854775808", &i));
    CHECK(!string_to_i64("-9223372036854775809", &i));
    CHECK(!string_to_i64("1.0", &i) && !string_to_i64("1e3", &i));
    CHECK(string_to_u64("18446744073709551615", &u) && u == UINT64_MAX);
    CHECK(!string_to_u64("18446744073709551616", &u) && !string_to_u64("-1", &u));
}

static void reals_are_read_exactly(void) {
    static const struct {
        const char *text;
        double value;
    } cases[] = {
        {"0", 0},       {"-1.5", -1.5}, {".5", 0.5},      {"-.5", -0.5},          {"1e3", 1000},
        {"1E-3", 1e-3}, {"5.", 5},      {"1e308", 1e308}, {"4.9e-324", 4.9e-324}, {"0.1", 0.1}};
    double value = 0;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        harness_context("%s", cases[i].text);
        CHECK(string_to_f64(cases[i].text, &value));
        CHECK(value == cases[i].value);
    }
    CHECK(!string_to_f64("1e309", &value) && !string_to_f64("-1e309", &value));
}

static void sizes_take_units(void) {
    static const struct {
        const char *text;
        uint64_t value;
    } cases[] = {{"0", 0},
                 {"4096", 4096},
                 {"64K", 65536},
                 {"64k", 65536},
                 {"1.5G", 1610612736},
                 {"4GiB", (uint64_t)4 << 30},
                 {"2MB", (uint64_t)2 << 20},
                 {"7B", 7},
                 {"3T", (uint64_t)3 << 40},
                 {"1P", (uint64_t)1 << 50}};
    uint64_t value = 0;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        harness_context("%s", cases[i].text);
        CHECK(string_to_bytes(cases[i].text, &value));
        CHECK(value == cases[i].value);
    }
    static const char *const wrong[] = {"-1", "1KK", "1iB", "1 K", "1KiBx", "99999999P", "1e300"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        harness_context("%s", wrong[i]);
        CHECK(!string_to_bytes(wrong[i], &value));
    }
}

static void numbers_are_formatted_for_people(void) {
    static const struct {
        char *(*format)(char *, double);
        double value;
        const char *expected;
    } cases[] = {
        {format_count, 0, "0"},
        {format_count, 999, "999"},
        {format_count, 1000, "1.00K"},
        {format_count, 12.1e6, "12.1M"},
        {format_count, 671e9, "671B"},
        {format_count, 999.9e3, "1.00M"},
        {format_count, 2.5, "2.50"},
        {format_count, -1500, "-1.50K"},
        {format_bytes, 0, "0 B"},
        {format_bytes, 1023, "1023 B"},
        {format_bytes, 1024, "1.00 KiB"},
        {format_bytes, 1.4 * (1 << 30), "1.40 GiB"},
        {format_duration, 0, "0.0s"},
        {format_duration, 1.25, "1.2s"},
        {format_duration, 59.4, "59s"},
        {format_duration, 59.6, "1m 00s"},
        {format_duration, 62, "1m 02s"},
        {format_duration, 3720, "1h 02m"},
        {format_duration, 1e6, "11d 13h"},
        {format_duration, -1, "?"},
    };
    char buffer[32];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        harness_context("case %zu, %g", i, cases[i].value);
        CHECK_STR(cases[i].format(buffer, cases[i].value), cases[i].expected);
    }
    static const double extremes[] = {1e300, -1e300, INFINITY, NAN, 1e-300, 1e18};
    for (size_t i = 0; i < sizeof extremes / sizeof extremes[0]; i++) {
        CHECK(strlen(format_count(buffer, extremes[i])) < sizeof buffer);
        CHECK(strlen(format_bytes(buffer, extremes[i])) < sizeof buffer);
        CHECK(strlen(format_duration(buffer, extremes[i])) < sizeof buffer);
    }
}

/* ---- UTF-8 ---- */

/* By the definition: bits, continuation bytes, then the refusals one by one. */
static int simple_decode(const unsigned char *b, size_t size, uint32_t *code) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (size == 0) return 0;
    int length = b[0] < 0x80       ? 1
                 : b[0] >> 5 == 6  ? 2
                 : b[0] >> 4 == 14 ? 3
                 : b[0] >> 3 == 30 ? 4
                                   : 0;
    if (length == 0 || (size_t)length > size) return 0;
    uint32_t value = length == 1 ? b[0] : b[0] & (0x7f >> length);
    for (int i = 1; i < length; i++) {
        if (b[i] >> 6 != 2) return 0;
        value = value << 6 | (b[i] & 63);
    }
    if (value < least[length] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000)) return 0;
    *code = value;
    return length;
}

static void every_code_point_survives_encoding(void) {
    for (uint32_t code = 0; code <= 0x10ffff; code++) {
        unsigned char bytes[4];
        uint32_t back = 0;
        if (code >= 0xd800 && code < 0xe000) continue;
        int length = utf8_encode(code, bytes);
        if (utf8_decode(bytes, (size_t)length, &back) == length && back == code &&
            utf8_decode(bytes, (size_t)length - 1, &back) == 0)
            continue;
        harness_fail(__FILE__, __LINE__, "U+%04X comes back as U+%04X", code, back);
    }
}

/* All beginnings of two bytes, with third and fourth bytes at every edge of their ranges. */
static void decoding_agrees_with_the_definition(void) {
    static const unsigned char edges[] = {0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f,
                                          0xa0, 0xbf, 0xc0, 0xc2, 0xf4, 0xff};
    enum { EDGES = sizeof edges };
    for (uint32_t i = 0; i < 65536u * EDGES * EDGES; i++) {
        unsigned char bytes[4] = {(unsigned char)(i & 255), (unsigned char)(i >> 8 & 255),
                                  edges[(i >> 16) % EDGES], edges[(i >> 16) / EDGES]};
        for (size_t size = 0; size <= 4; size++) {
            uint32_t got = 0, expected = 0;
            int length = utf8_decode(bytes, size, &got);
            if (length == simple_decode(bytes, size, &expected) && got == expected) continue;
            harness_fail(__FILE__, __LINE__, "%02x %02x %02x %02x, %zu bytes: length %d", bytes[0],
                         bytes[1], bytes[2], bytes[3], size, length);
        }
    }
}

/* A prefix is what some continuation of one to three bytes completes. */
static bool can_be_completed(const unsigned char *start, size_t size) {
    unsigned char bytes[4];
    uint32_t code = 0;
    memcpy(bytes, start, size);
    size_t missing = 4 - size;
    for (uint32_t rest = 0; rest < 1u << (6 * missing); rest++) {
        for (size_t k = 0; k < missing; k++)
            bytes[size + k] = (unsigned char)(0x80 | (rest >> (6 * k) & 63));
        if (simple_decode(bytes, 4, &code) > (int)size) return true;
    }
    return false;
}

static void prefixes_are_what_can_be_completed(void) {
    static const unsigned char firsts[] = {0x00, 0x7f, 0x80, 0xbf, 0xc0, 0xc1, 0xc2,
                                           0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef,
                                           0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff};
    CHECK(!utf8_is_prefix((const unsigned char *)"", 0));
    for (size_t i = 0; i < sizeof firsts; i++) {
        unsigned char bytes[3] = {firsts[i], 0, 0x80};
        CHECK_EQ(utf8_is_prefix(bytes, 1), can_be_completed(bytes, 1));
        for (int second = 0; second < 256; second++) {
            bytes[1] = (unsigned char)second;
            harness_context("%02x %02x", bytes[0], bytes[1]);
            CHECK_EQ(utf8_is_prefix(bytes, 2), can_be_completed(bytes, 2));
            CHECK_EQ(utf8_is_prefix(bytes, 3), can_be_completed(bytes, 3));
        }
    }
}

static void words_of_a_shell_are_quoted_where_needed(void) {
    struct text text = {0};
    const char *words[] = {"runs/a-1.2", "a cut", "it's", "", "$HOME", "a\nb"};
    for (int i = 0; i < 6; i++) {
        text_append_shell_word(&text, words[i]);
        text_append_char(&text, ';');
    }
    CHECK_STR(text_data(&text), "runs/a-1.2;'a cut';'it'\\''s';'';'$HOME';'a\nb';");
    text_free(&text);
}

static void invalid_bytes_are_found_and_replaced(void) {
    static const struct {
        const char *bytes, *valid;
        size_t first, replaced;
    } cases[] = {
        {"", "", 0, 0},
        {"plain text, more than eight bytes", "plain text, more than eight bytes", 33, 0},
        {"na\xc3\xafve \xe4\xbd\xa0", "na\xc3\xafve \xe4\xbd\xa0", 10, 0},
        {"12345678\xff", "12345678\xef\xbf\xbd", 8, 1},
        {"a\xe4\xbd", "a\xef\xbf\xbd\xef\xbf\xbd", 1, 2},
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", 0, 3},
        {"\xc0\x80z", "\xef\xbf\xbd\xef\xbf\xbdz", 0, 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct text text = {0};
        size_t size = strlen(cases[i].bytes);
        CHECK_EQ(utf8_valid_size(cases[i].bytes, size), cases[i].first);
        CHECK_EQ(text_append_valid(&text, cases[i].bytes, size), cases[i].replaced);
        CHECK_STR(text_data(&text), cases[i].valid);
        text_free(&text);
    }
}

static const struct test tests[] = {
    TEST(invalid_bytes_are_found_and_replaced),
    TEST(a_text_grows_and_keeps_its_end),
    TEST(printf_appends_any_length),
    TEST(a_failure_latches_until_cleared),
    TEST(words_of_a_shell_are_quoted_where_needed),
    TEST(string_helpers_handle_short_strings),
    TEST(what_is_no_number_is_refused),
    TEST(integers_are_read_up_to_their_limits),
    TEST(reals_are_read_exactly),
    TEST(sizes_take_units),
    TEST(numbers_are_formatted_for_people),
    TEST(every_code_point_survives_encoding),
    TEST_LONG(decoding_agrees_with_the_definition, 300),
    TEST_LONG(prefixes_are_what_can_be_completed, 300),
};
HARNESS_MAIN(tests)
