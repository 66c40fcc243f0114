/* JSON: what comes in is hostile; what goes out reads back equal. */
#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "harness.h"

static struct error err;

static json_node *parse(const char *text) {
    json_node *root = NULL;
    CHECK_OK(json_parse(&root, text, strlen(text), "a test", &err), &err);
    return root;
}

static fathom_status try_parse(const char *text, size_t size) {
    json_node *root = NULL;
    fathom_status status = json_parse(&root, text, size, "a test", &err);
    CHECK((root != NULL) == (status == FATHOM_OK));
    json_free(root);
    return status;
}

static const char document[] =
    "{\"name\": \"d\\u00e9j\\u00e0 \\ud83d\\ude00\", \"layers\": [1, -2.5e3, true, null],"
    " \"deep\": {\"a\": {\"b\": []}}, \"big\": 9223372036854775807}";

static void values_are_read_by_kind(void) {
    json_node *root = parse(document), *layers = json_member(root, "layers");
    size_t size = 0;
    CHECK(json_is_object(root) && json_count(root) == 4);
    CHECK_STR(json_string(json_member(root, "name"), &size), "d\xc3\xa9j\xc3\xa0 \xf0\x9f\x98\x80");
    CHECK_EQ(size, 11);
    CHECK(json_is_array(layers) && json_count(layers) == 4);
    CHECK(json_is_integer(json_element(layers, 0)) && json_integer(json_element(layers, 0)) == 1);
    CHECK(!json_is_integer(json_element(layers, 1)) && json_is_number(json_element(layers, 1)));
    CHECK(json_real(json_element(layers, 1)) == -2500 && json_real(json_element(layers, 0)) == 1);
    CHECK(json_is_bool(json_element(layers, 2)) && json_bool(json_element(layers, 2)));
    CHECK(json_is_null(json_element(layers, 3)));
    CHECK(json_integer(json_member(root, "big")) == INT64_MAX);
    json_free(root);
}

static void absent_nodes_are_harmless(void) {
    json_node *root = parse("[1]");
    CHECK(!json_member(root, "a") && !json_member(NULL, "a"));
    CHECK(!json_element(root, 1) && !json_element(NULL, 0) && !json_element(root, SIZE_MAX));
    CHECK(json_count(NULL) == 0 && json_count(json_element(root, 0)) == 0);
    CHECK(json_integer(NULL) == 0 && json_real(NULL) == 0 && !json_bool(NULL));
    CHECK_STR(json_string(NULL, NULL), "");
    CHECK(json_is_null(NULL) && !json_is_object(NULL));
    void *iterator = NULL;
    const char *key = NULL;
    json_node *value = NULL;
    CHECK(!json_next_member(root, &iterator, &key, &value));
    json_free(root);
    json_free(NULL);
}

static void members_are_walked_in_file_order(void) {
    json_node *root = parse("{\"z\": 0, \"a\": 1, \"m\": 2, \"b\": 3}"), *value = NULL;
    const char *key = NULL;
    void *iterator = NULL;
    int64_t count = 0;
    while (json_next_member(root, &iterator, &key, &value)) {
        CHECK_EQ(key[0], "zamb"[count]);
        CHECK_EQ(json_integer(value), count);
        count++;
    }
    CHECK_EQ(count, 4);
    json_free(root);
}

static void what_is_not_json_is_refused(void) {
    static const char *const cases[] = {"",
                                        " ",
                                        "{",
                                        "}",
                                        "[1,]",
                                        "{\"a\":}",
                                        "{a: 1}",
                                        "'a'",
                                        "01",
                                        "1.",
                                        ".5",
                                        "+1",
                                        "NaN",
                                        "Infinity",
                                        "tru",
                                        "\"a",
                                        "\"\\x\"",
                                        "\"\\u12",
                                        "1 2",
                                        "[1] x",
                                        "{} {}",
                                        "\"\\ud800\"",
                                        "\"\n\"",
                                        "[1 2]",
                                        "\"\xff\"",
                                        "\"\xc0\x80\"",
                                        "\"\xed\xa0\x80\"",
                                        "// no\n1",
                                        "1e400",
                                        "9223372036854775808",
                                        "-9223372036854775809",
                                        "{\"a\": 1, \"a\": 2}",
                                        "\xef\xbb\xbf{}"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        harness_context("case %zu: %s", i, cases[i]);
        CHECK_STATUS(try_parse(cases[i], strlen(cases[i])), FATHOM_BAD_INPUT);
        CHECK_HAS(err.text, "a test: not valid JSON at line");
    }
    CHECK_STATUS(try_parse("{\n  \"a\": x}", 12), FATHOM_BAD_INPUT);
    CHECK_HAS(err.text, "line 2");
}

static void a_document_cut_anywhere_is_refused(void) {
    for (size_t size = 0; size + 1 < sizeof document; size++) {
        harness_context("%zu bytes", size);
        CHECK_STATUS(try_parse(document, size), FATHOM_BAD_INPUT);
    }
    CHECK_STATUS(try_parse(document, sizeof document - 1), FATHOM_OK);
}

static void depth_is_bounded(void) {
    enum { DEPTH = 100000 };
    static char text[2 * DEPTH];
    memset(text, '[', DEPTH);
    memset(text + DEPTH, ']', DEPTH);
    CHECK_STATUS(try_parse(text, sizeof text), FATHOM_BAD_INPUT);
    CHECK_STATUS(try_parse(text + DEPTH - 1000, 2000), FATHOM_OK);
    for (int i = 0; i < DEPTH; i++) {
        text[2 * i] = i % 2 ? '0' : '{';
        text[2 * i + 1] = i % 2 ? ':' : '"';
    }
    CHECK_STATUS(try_parse(text, sizeof text), FATHOM_BAD_INPUT);
}

static void random_bytes_never_crash_the_reader(void) {
    struct rng rng = {.key = {.seed = 1, .purpose = RNG_TEST}};
    char text[sizeof document];
    for (int i = 0; i < 20000; i++) {
        memcpy(text, document, sizeof text);
        for (int k = 0; k < 3; k++)
            text[rng_next_below(&rng, sizeof text)] = (char)rng_next_below(&rng, 256);
        fathom_status status = try_parse(text, sizeof document - 1);
        CHECK(status == FATHOM_OK || status == FATHOM_BAD_INPUT);
    }
}

static void files_are_read_with_their_name_in_errors(void) {
    char path[1024];
    json_node *root = NULL;
    struct file_writer *writer = NULL;
    snprintf(path, sizeof path, "%s/config.json", harness_directory());
    CHECK_STATUS(json_read_file(&root, path, 100, &err), FATHOM_IO);
    CHECK_OK(file_writer_open(&writer, path, &err), &err);
    file_writer_printf(writer, " [1, 2] \n");
    CHECK_OK(file_writer_commit(writer, &err), &err);
    CHECK_STATUS(json_read_file(&root, path, 8, &err), FATHOM_BAD_INPUT);
    CHECK(!root);
    CHECK_OK(json_read_file(&root, path, 9, &err), &err);
    CHECK_EQ(json_count(root), 2);
    json_free(root);
}

static void typed_members_name_what_is_wrong(void) {
    json_node *root = parse("{\"i\": 3, \"r\": 2.5, \"b\": true, \"s\": \"x\", \"n\": null,"
                            " \"z\": \"a\\u0000b\", \"o\": {}}");
    int64_t i = -1;
    double r = -1;
    bool b = false;
    const char *s = "kept";
    CHECK_OK(json_need_i64(root, "i", &i, "c.json", &err), &err);
    CHECK_OK(json_get_f64(root, "r", &r, "c.json", &err), &err);
    CHECK_OK(json_get_bool(root, "b", &b, "c.json", &err), &err);
    CHECK(i == 3 && r == 2.5 && b);
    CHECK_OK(json_get_f64(root, "i", &r, "c.json", &err), &err);
    CHECK(r == 3);
    CHECK_OK(json_get_i64(root, "absent", &i, "c.json", &err), &err);
    CHECK_OK(json_get_i64(root, "n", &i, "c.json", &err), &err);
    CHECK_OK(json_get_string(root, "n", &s, "c.json", &err), &err);
    CHECK_EQ(i, 3);
    CHECK_STR(s, "kept");
    CHECK_STATUS(json_need_i64(root, "absent", &i, "c.json", &err), FATHOM_BAD_INPUT);
    CHECK_STR(err.text, "c.json: \"absent\" is missing");
    CHECK_STATUS(json_need_string(root, "n", &s, "c.json", &err), FATHOM_BAD_INPUT);
    CHECK_STATUS(json_get_i64(root, "r", &i, "c.json", &err), FATHOM_BAD_INPUT);
    CHECK_STR(err.text, "c.json: \"r\" is a real number, but must be an integer");
    CHECK_STATUS(json_get_bool(root, "o", &b, "c.json", &err), FATHOM_BAD_INPUT);
    CHECK_HAS(err.text, "\"o\" is an object");
    CHECK_STATUS(json_get_f64(root, "s", &r, "c.json", &err), FATHOM_BAD_INPUT);
    CHECK_STATUS(json_get_string(root, "z", &s, "c.json", &err), FATHOM_BAD_INPUT);
    CHECK_HAS(err.text, "NUL");
    CHECK_OK(json_need_string(root, "s", &s, "c.json", &err), &err);
    CHECK_STR(s, "x");
    json_free(root);
}

/* ---- writing ---- */

static void check_string_written(const char *bytes, size_t size, const char *expected) {
    struct text out = {0};
    json_write_string(&out, bytes, size);
    CHECK_STR(text_data(&out), expected);
    json_free(parse(text_data(&out)));
    text_free(&out);
}

static void strings_are_escaped(void) {
    check_string_written("a\"b\\c\n\r\t", 8, "\"a\\\"b\\\\c\\n\\r\\t\"");
    check_string_written("\0\x1f\x7f", 3, "\"\\u0000\\u001f\\u007f\"");
    check_string_written("\xc3\xa9\xf0\x9f\x98\x80", 6, "\"\xc3\xa9\xf0\x9f\x98\x80\"");
    check_string_written("a\xff\xc3", 3, "\"a\xef\xbf\xbd\xef\xbf\xbd\"");
    check_string_written("", 0, "\"\"");
}

static void any_bytes_come_back_as_valid_text(void) {
    struct rng rng = {.key = {.seed = 2, .purpose = RNG_TEST}};
    for (int i = 0; i < 5000; i++) {
        char bytes[12];
        struct text out = {0};
        size_t size = rng_next_below(&rng, sizeof bytes + 1), back = 0;
        for (size_t k = 0; k < size; k++) bytes[k] = (char)rng_next_below(&rng, 256);
        json_write_string(&out, bytes, size);
        json_node *node = parse(text_data(&out));
        json_string(node, &back);
        CHECK(back >= size);
        json_free(node);
        text_free(&out);
    }
}

static void check_f64(double value) {
    struct text out = {0};
    json_write_f64(&out, value);
    double back = strtod(text_data(&out), NULL);
    harness_context("%.17g as %s", value, text_data(&out));
    CHECK(memcmp(&back, &value, sizeof value) == 0);
    json_node *node = parse(text_data(&out));
    CHECK(json_real(node) == value);
    json_free(node);
    text_free(&out);
}

static void numbers_come_back_equal(void) {
    static const double values[] = {0,
                                    1,
                                    0.1,
                                    -2.5,
                                    1e22,
                                    1e23,
                                    5e-324,
                                    1e308,
                                    1.0 / 3,
                                    1e-7,
                                    123456789,
                                    4.35,
                                    2.2250738585072014e-308};
    struct rng rng = {.key = {.seed = 3, .purpose = RNG_TEST}};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) check_f64(values[i]);
    for (int i = 0; i < 5000; i++) {
        uint64_t bits = rng_u64(rng.key, (uint64_t)i);
        double value;
        memcpy(&value, &bits, sizeof value);
        if (isfinite(value)) check_f64(value);
    }
}

static void singles_come_back_equal_and_short(void) {
    struct rng_key key = {.seed = 4, .purpose = RNG_TEST};
    struct text out = {0};
    json_write_f32(&out, 0.1f);
    CHECK_STR(text_data(&out), "0.1");
    for (uint64_t i = 0; i < 5000; i++) {
        uint32_t bits = (uint32_t)rng_u64(key, i);
        float value, back;
        memcpy(&value, &bits, sizeof value);
        if (!isfinite(value)) continue;
        text_clear(&out);
        json_write_f32(&out, value);
        back = strtof(text_data(&out), NULL);
        harness_context("%.9g as %s", (double)value, text_data(&out));
        CHECK(memcmp(&back, &value, sizeof value) == 0);
        CHECK(out.size <= 16);
    }
    text_free(&out);
}

static void what_is_not_finite_is_null(void) {
    struct text out = {0};
    json_write_f64(&out, NAN);
    json_write_f64(&out, -INFINITY);
    json_write_f32(&out, INFINITY);
    CHECK_STR(text_data(&out), "nullnullnull");
    text_free(&out);
}

static const struct test tests[] = {
    TEST(values_are_read_by_kind),
    TEST(absent_nodes_are_harmless),
    TEST(members_are_walked_in_file_order),
    TEST(what_is_not_json_is_refused),
    TEST(a_document_cut_anywhere_is_refused),
    TEST(depth_is_bounded),
    TEST(random_bytes_never_crash_the_reader),
    TEST(files_are_read_with_their_name_in_errors),
    TEST(typed_members_name_what_is_wrong),
    TEST(strings_are_escaped),
    TEST(any_bytes_come_back_as_valid_text),
    TEST(numbers_come_back_equal),
    TEST(singles_come_back_equal_and_short),
    TEST(what_is_not_finite_is_null),
};
HARNESS_MAIN(tests)
