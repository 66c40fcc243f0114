#include "base/clock.h"
#include "base/rng.h"
#include "harness.h"
#include "text/normalizer.h"

static struct normalizer *parsed(const char *json) {
    struct error err = {0};
    struct normalizer *n = NULL;
    json_node *root = NULL;
    CHECK_OK(json_parse(&root, json, strlen(json), "t", &err), &err);
    CHECK_OK(normalizer_parse(&n, root, "t", &err), &err);
    json_free(root);
    return n;
}

static void normalize(const struct normalizer *n, const char *text, size_t size, struct text *out) {
    struct error err = {0};
    struct normalizer_scratch scratch = {0};
    const unsigned char *bytes = NULL;
    size_t count = 0;
    CHECK_OK(normalizer_apply(n, &scratch, (const unsigned char *)text, size, &bytes, &count, &err),
             &err);
    text_clear(out);
    text_append(out, bytes, count);
    normalizer_scratch_free(&scratch);
}

static void check_form(const char *json, const char *text, const char *expected) {
    struct text out = {0};
    struct normalizer *n = parsed(json);
    normalize(n, text, strlen(text), &out);
    CHECK_STR(text_data(&out), expected);
    text_free(&out);
    normalizer_free(n);
}

static void normal_forms_are_unicodes(void) {
    /* UAX 15: e + acute, the Angstrom sign, fi, superscript 2, Hangul, long s with dots */
    static const char text[] = "e\xcc\x81 \xc3\xa9 \xe2\x84\xab \xef\xac\x81 2\xc2\xb2 "
                               "\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab \xe1\xba\x9b\xcc\xa3";
    check_form(
        "{\"type\": \"NFC\"}", text,
        "\xc3\xa9 \xc3\xa9 \xc3\x85 \xef\xac\x81 2\xc2\xb2 \xed\x95\x9c \xe1\xba\x9b\xcc\xa3");
    check_form("{\"type\": \"NFD\"}", text,
               "e\xcc\x81 e\xcc\x81 A\xcc\x8a \xef\xac\x81 2\xc2\xb2 "
               "\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab \xc5\xbf\xcc\xa3\xcc\x87");
    check_form("{\"type\": \"NFKC\"}", text,
               "\xc3\xa9 \xc3\xa9 \xc3\x85 fi 22 \xed\x95\x9c \xe1\xb9\xa9");
    check_form("{\"type\": \"NFKD\"}", text,
               "e\xcc\x81 e\xcc\x81 A\xcc\x8a fi 22 \xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab "
               "s\xcc\xa3\xcc\x87");
}

static void marks_are_ordered_and_bytes_that_are_no_text_part_them(void) {
    /* classes 220 and 230: dot below comes first */
    check_form("{\"type\": \"NFD\"}", "q\xcc\x87\xcc\xa3!", "q\xcc\xa3\xcc\x87!");
    check_form("{\"type\": \"NFC\"}", "e\xff\xcc\x81 \xc3", "e\xff\xcc\x81 \xc3");
    check_form("{\"type\": \"NFC\"}",
               "\xcc\x81"
               "e\xcc\x81\x80"
               "e\xcc\x81",
               "\xcc\x81\xc3\xa9\x80\xc3\xa9");
    check_form("{\"type\": \"NFC\"}", "", "");
    check_form("{\"type\": \"NFC\"}", "plain", "plain");
}

static void steps_follow_one_another(void) {
    check_form("{\"type\": \"Prepend\", \"prepend\": \"_\"}", "a b", "_a b");
    check_form("{\"type\": \"Prepend\", \"prepend\": \"_\"}", "", "");
    check_form("{\"type\": \"Replace\", \"pattern\": {\"String\": \"ab\"}, \"content\": \"\"}",
               "xababyaab", "xya");
    check_form("{\"type\": \"Replace\", \"pattern\": {\"Regex\": \" {2,}\"}, \"content\": \" \"}",
               "a    b c  ", "a b c ");
    check_form("{\"type\": \"Replace\", \"pattern\": {\"Regex\": \"x*\"}, \"content\": \"-\"}",
               "axb", "-a-b-");
    check_form("{\"type\": \"Sequence\", \"normalizers\": [{\"type\": \"NFC\"}, {\"type\": "
               "\"Replace\", \"pattern\": {\"String\": \"\xc3\xa9\"}, \"content\": \"E\"}, "
               "{\"type\": \"Sequence\", \"normalizers\": [{\"type\": \"Prepend\", \"prepend\": "
               "\"<\"}]}]}",
               "e\xcc\x81t\xc3\xa9", "<EtE");
}

static void its_json_reads_back_the_same(void) {
    struct normalizer *n = parsed(
        "{\"type\": \"Sequence\", \"normalizers\": [{\"type\": \"NFKD\"}, {\"type\": \"Replace\", "
        "\"pattern\": {\"Regex\": \"\\\\s+\"}, \"content\": \"\\n\"}, {\"type\": \"Prepend\", "
        "\"prepend\": \"\\\"\"}, {\"type\": \"Replace\", \"pattern\": {\"String\": \"a\"}, "
        "\"content\": \"b\"}]}");
    struct normalizer *again = parsed(normalizer_json(n));
    struct text one = {0}, two = {0};
    CHECK_STR(normalizer_json(again), normalizer_json(n));
    normalize(n, "a \t \xc3\xa9", 6, &one);
    normalize(again, "a \t \xc3\xa9", 6, &two);
    CHECK_STR(text_data(&one), "\"b\ne\xcc\x81");
    CHECK_STR(text_data(&two), text_data(&one));
    text_free(&one);
    text_free(&two);
    normalizer_free(n);
    normalizer_free(again);
    CHECK(parsed("null") == NULL);
    CHECK(parsed("{\"type\": \"Sequence\", \"normalizers\": []}") == NULL);
    CHECK_STR(normalizer_json(NULL), "null");
}

static void check_not_taken(const char *json, fathom_status status, const char *named) {
    struct error err = {0};
    struct normalizer *n = NULL;
    json_node *root = NULL;
    CHECK_OK(json_parse(&root, json, strlen(json), "t", &err), &err);
    CHECK_STATUS(normalizer_parse(&n, root, "t", &err), status);
    CHECK_HAS(err.text, named);
    CHECK(n == NULL);
    json_free(root);
}

static void what_is_not_known_is_refused_by_name(void) {
    check_not_taken("{\"type\": \"BertNormalizer\"}", FATHOM_UNSUPPORTED, "BertNormalizer");
    check_not_taken("{\"type\": \"Prepend\"}", FATHOM_BAD_INPUT, "Prepend");
    check_not_taken("{\"type\": \"Replace\", \"content\": \"\"}", FATHOM_BAD_INPUT, "Replace");
    check_not_taken("{\"type\": \"Replace\", \"pattern\": {\"Regex\": \"[\"}, \"content\": \"\"}",
                    FATHOM_UNSUPPORTED, "[");
    check_not_taken("7", FATHOM_UNSUPPORTED, "not known");
}

/* Marks of falling classes are the worst case of sorting by exchange. */
static double seconds_for(const struct normalizer *n, size_t pairs) {
    struct text text = {0}, out = {0};
    double best = 1e9;
    text_append_char(&text, 'q');
    for (size_t i = 0; i < pairs; i++) text_append_string(&text, "\xcc\x87");
    for (size_t i = 0; i < pairs; i++) text_append_string(&text, "\xcc\xa3");
    for (int i = 0; i < 3; i++) {
        double begin = clock_process_seconds();
        normalize(n, text.data, text.size, &out);
        double seconds = clock_process_seconds() - begin;
        if (seconds < best) best = seconds;
    }
    CHECK_EQ(out.size, text.size);
    CHECK(memcmp(out.data + 1, "\xcc\xa3", 2) == 0);
    text_free(&text);
    text_free(&out);
    return best;
}

static void long_runs_of_marks_take_linear_time(void) {
    struct normalizer *n = parsed("{\"type\": \"NFD\"}");
    double one = seconds_for(n, 20000), four = seconds_for(n, 80000);
    harness_context("%.4f s, four times as long %.4f s", one, four);
    CHECK(four < 9 * one + 0.01); /* quadratic: 16 times */
    normalizer_free(n);
}

static const struct test tests[] = {
    TEST(normal_forms_are_unicodes),
    TEST(marks_are_ordered_and_bytes_that_are_no_text_part_them),
    TEST(steps_follow_one_another),
    TEST(its_json_reads_back_the_same),
    TEST(what_is_not_known_is_refused_by_name),
    TEST(long_runs_of_marks_take_linear_time),
};
HARNESS_MAIN(tests)
