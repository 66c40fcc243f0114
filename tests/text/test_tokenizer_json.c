#include "base/file.h"
#include "base/memory.h"
#include "harness.h"
#include "text/tokenizer_data.h"
#include "trained.h"

/* ---- a small tokenizer's files ---- */

static char *read_written(const char *name, size_t *size) {
    struct error err = {0};
    char *text = NULL, *path = NULL;
    struct tokenizer *t = trained_on("ab ab", 5, 265, NULL);
    CHECK_OK(tokenizer_save(t, harness_directory(), &err), &err);
    CHECK_OK(path_join(&path, harness_directory(), name, &err), &err);
    CHECK_OK(file_read(path, 1 << 20, &text, size, &err), &err);
    mem_free(path);
    tokenizer_free(t);
    return text;
}

/* The small tokenizer.json with the first `from` replaced by `to`. */
static struct text with_change(const char *from, const char *to) {
    struct text changed = {0};
    size_t size = 0;
    char *json = read_written("tokenizer.json", &size);
    char *at = strstr(json, from);
    if (!at) harness_fail(__FILE__, __LINE__, "%s is not in the file", from);
    text_append(&changed, json, (size_t)(at - json));
    text_append_string(&changed, to);
    text_append_string(&changed, at + strlen(from));
    mem_free(json);
    return changed;
}

static struct tokenizer *parse_changed(const char *from, const char *to) {
    struct error err = {0};
    struct tokenizer *t = NULL;
    struct text json = with_change(from, to);
    CHECK_OK(tokenizer_parse(&t, json.data, json.size, NULL, 0, "t", &err), &err);
    text_free(&json);
    return t;
}

static struct tokenizer *parse_with_config(const char *config, fathom_status expected,
                                           const char *named) {
    struct error err = {0};
    struct tokenizer *t = NULL;
    size_t size = 0;
    char *json = read_written("tokenizer.json", &size);
    CHECK_STATUS(tokenizer_parse(&t, json, size, config, strlen(config), "t", &err), expected);
    CHECK(!t == (expected != FATHOM_OK));
    CHECK_HAS(err.text, named);
    mem_free(json);
    return t;
}

/* ---- what is read ---- */

static void merges_are_read_in_both_spellings(void) {
    struct tokenizer *one = parse_changed("\"a b\"", "\"a b\"");
    struct tokenizer *two = parse_changed("\"a b\"", "[\"a\", \"b\"]");
    CHECK(tokenizer_hash(one) == tokenizer_hash(two));
    CHECK_EQ(two->merge_count, 2);
    tokenizer_free(one);
    tokenizer_free(two);
}

static void of_a_merge_said_twice_the_last_rank_counts(void) {
    int32_t result = -1;
    struct tokenizer *t = parse_changed("\"a b\"", "\"a b\", \"a b\"");
    CHECK_EQ(tokenizer_merge_rank(t, tokenizer_find(t, "a", 1), tokenizer_find(t, "b", 1), &result),
             1);
    tokenizer_free(t);
}

static void added_tokens_need_not_be_in_the_vocabulary(void) {
    struct tokenizer *t =
        parse_changed("\n  ],", ",\n{\"id\": 265, \"content\": \"<x>\", \"special\": true}\n  ],");
    CHECK_EQ(tokenizer_vocab_size(t), 266);
    CHECK_EQ(tokenizer_find(t, "<x>", 3), 265);
    tokenizer_free(t);
}

static void of_added_tokens_the_longest_is_found(void) {
    struct tokenizer *t = parse_changed("\n  ],", ",\n{\"id\": 265, \"content\": \"<x>\"},"
                                                  "{\"id\": 266, \"content\": \"<x><y>\"},"
                                                  "{\"id\": 267, \"content\": \"<x\"}\n  ],");
    struct token_list ids = trained_encode(t, "<x<x><y><x>", 11, true);
    CHECK_EQ(ids.count, 3);
    CHECK_EQ(ids.ids[0], 267);
    CHECK_EQ(ids.ids[1], 266);
    CHECK_EQ(ids.ids[2], 265);
    token_list_free(&ids);
    tokenizer_free(t);
}

static void config_names_bos_eos_and_the_chat_template(void) {
    struct tokenizer *t = parse_with_config("{\"bos_token\": \"<think>\", \"eos_token\": "
                                            "{\"content\": \"</think>\"}, \"chat_template\": "
                                            "\"{{ x }}\\n\"}",
                                            FATHOM_OK, "");
    CHECK_EQ(tokenizer_bos(t), tokenizer_find(t, "<think>", 7));
    CHECK_EQ(tokenizer_eos(t), tokenizer_find(t, "</think>", 8));
    CHECK_STR(tokenizer_chat_template(t), "{{ x }}\n");
    tokenizer_free(t);
    t = parse_with_config("{\"bos_token\": null}", FATHOM_OK, "");
    CHECK_EQ(tokenizer_bos(t), -1);
    CHECK_EQ(tokenizer_eos(t), -1);
    CHECK(tokenizer_chat_template(t) == NULL);
    tokenizer_free(t);
    parse_with_config("{\"eos_token\": \"<none>\"}", FATHOM_BAD_INPUT, "<none>");
}

/* Ids that are added tokens, with what is ordinary text between them, as <ID>text<ID>. */
static void check_parsed(const struct tokenizer *t, const char *text, const char *expected) {
    struct error err = {0};
    struct text shown = {0};
    struct token_list ids = trained_encode(t, text, strlen(text), true);
    for (size_t i = 0; i < ids.count; i++) {
        if (ids.ids[i] >= 265)
            text_printf(&shown, "<%d>", ids.ids[i]);
        else
            CHECK_OK(tokenizer_decode(t, &ids.ids[i], 1, false, &shown, &err), &err);
    }
    CHECK_STR(text_data(&shown), expected);
    text_free(&shown);
    token_list_free(&ids);
}

static void added_tokens_take_what_is_around_them_as_they_say(void) {
    /* Checked against Hugging Face's tokenizers. */
    struct tokenizer *t = parse_changed(
        "\n  ],",
        ",\n{\"id\": 265, \"content\": \"<l>\", \"lstrip\": true, \"normalized\": false},"
        "{\"id\": 266, \"content\": \"<r>\", \"rstrip\": true, \"normalized\": false},"
        "{\"id\": 267, \"content\": \"one\", \"single_word\": true, \"normalized\": false},"
        "{\"id\": 268, \"content\": \"<b>\", \"lstrip\": true, \"rstrip\": true, "
        "\"normalized\": false}\n  ],");
    check_parsed(t, "a \t<l> b", "a<265> b");
    check_parsed(t, " \xe3\x80\x80<l>", "<265>");
    check_parsed(t, "a <r> \n b", "a <266>b");
    check_parsed(t, "<r>  <l>", "<266><265>");
    check_parsed(t, "x <b> <b> y", "x<268><268>y");
    check_parsed(t, "one", "<267>");
    check_parsed(t, "one two-one, none ones one1 one_ (one)",
                 "<267> two-<267>, none ones one1 one_ (<267>)");
    check_parsed(
        t,
        "\xc3\xa9one one\xcc\x81 \xe2\x80\x8done \xe2\x82\xacone", /* e acute, mark, joiner, euro */
        "\xc3\xa9one one\xcc\x81 \xe2\x80\x8done \xe2\x82\xac<267>");
    tokenizer_free(t);
}

static void normalized_added_tokens_are_found_in_normalized_text(void) {
    struct tokenizer *t =
        parse_changed("\"normalizer\": null", "\"normalizer\": {\"type\": \"NFC\"}");
    struct token_list composed = trained_encode(t, "\xc3\xa9", 2, true);
    struct token_list decomposed = trained_encode(t, "e\xcc\x81", 3, true);
    CHECK_EQ(composed.count, 2);
    CHECK_EQ(decomposed.count, 2);
    CHECK(memcmp(composed.ids, decomposed.ids, 2 * sizeof *composed.ids) == 0);
    token_list_free(&composed);
    token_list_free(&decomposed);
    tokenizer_free(t);

    struct text json = with_change("\"normalizer\": null", "\"normalizer\": {\"type\": \"NFC\"}");
    char *at = strstr(json.data, "\n  ],");
    struct text more = {0};
    struct error err = {0};
    text_append(&more, json.data, (size_t)(at - json.data));
    text_append_string(&more,
                       ",\n{\"id\": 265, \"content\": \"<e\xcc\x81>\", \"normalized\": true},"
                       "{\"id\": 266, \"content\": \"[e\xcc\x81]\", \"normalized\": false}");
    text_append_string(&more, at);
    CHECK_OK(tokenizer_parse(&t, more.data, more.size, NULL, 0, "t", &err), &err);
    check_parsed(t, "a<\xc3\xa9>b<e\xcc\x81>", "a<265>b<265>");
    check_parsed(t, "[\xc3\xa9][e\xcc\x81]", "[\xc3\xa9]<266>");
    tokenizer_free(t);
    text_free(&more);
    text_free(&json);
}

static void a_piece_that_is_a_token_needs_no_merges_where_the_file_says_so(void) {
    /* "abc" is a token that no merge makes */
    for (int i = 0; i < 2; i++) {
        static const char *const says[] = {"\"ignore_merges\": false", "\"ignore_merges\": true"};
        struct text json = with_change(says[0], says[i]), changed = {0};
        char *vocab = strstr(json.data, "\"vocab\": {");
        text_append(&changed, json.data, (size_t)(vocab - json.data));
        text_append_string(&changed, "\"vocab\": {\n      \"abc\": 265,");
        text_append_string(&changed, vocab + strlen("\"vocab\": {"));
        struct error err = {0};
        struct tokenizer *t = NULL;
        CHECK_OK(tokenizer_parse(&t, changed.data, changed.size, NULL, 0, "t", &err), &err);
        struct token_list ids = trained_encode(t, "abc", 3, false);
        CHECK_EQ(ids.count, i == 1 ? 1 : 2);
        if (i == 1) CHECK_EQ(ids.ids[0], 265);
        token_list_free(&ids);
        tokenizer_free(t);
        text_free(&json);
        text_free(&changed);
    }
}

#define TEMPLATE(single, special)                                                                  \
    "\"post_processor\": {\"type\": \"Sequence\", \"processors\": [{\"type\": \"ByteLevel\"}, "    \
    "{\"type\": \"TemplateProcessing\", \"single\": [" single "], \"pair\": [], "                  \
    "\"special_tokens\": {" special "}}]}, \"was\": {\"type\": \"ByteLevel\""
#define POST "\"post_processor\": {\"type\": \"ByteLevel\""
#define TEXT_HERE "{\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}"
#define TOKEN_HERE(name) "{\"SpecialToken\": {\"id\": \"" name "\", \"type_id\": 0}}"

static void templates_put_tokens_around_a_text(void) {
    struct error err = {0};
    size_t before = 9, after = 9;
    struct tokenizer
        *again = NULL,
        *t = parse_changed(
            POST,
            TEMPLATE(
                TOKEN_HERE("B") "," TEXT_HERE "," TOKEN_HERE("E") "," TOKEN_HERE("B"),
                "\"B\": {\"id\": \"B\", \"ids\": [0, 2], \"tokens\": []}, \"E\": {\"ids\": [1]}"));
    CHECK_OK(tokenizer_save(t, harness_directory(), &err), &err);
    CHECK_OK(tokenizer_open(&again, harness_directory(), &err), &err);
    const struct tokenizer *both[] = {t, again};
    for (int i = 0; i < 2; i++) {
        const int32_t *ids = tokenizer_prefix(both[i], &before);
        CHECK_EQ(before, 2);
        CHECK(ids[0] == 0 && ids[1] == 2);
        ids = tokenizer_suffix(both[i], &after);
        CHECK_EQ(after, 3);
        CHECK(ids[0] == 1 && ids[1] == 0 && ids[2] == 2);
    }
    tokenizer_free(t);
    tokenizer_free(again);
    t = parse_changed(POST, POST);
    tokenizer_prefix(t, &before);
    tokenizer_suffix(t, &after);
    CHECK_EQ(before + after, 0);
    tokenizer_free(t);
}

/* ---- what is refused ---- */

static void tokenizer_json_cut_anywhere_is_refused(void) {
    size_t size = 0;
    char *json = read_written("tokenizer.json", &size);
    for (size_t cut = 0; cut + 2 < size; cut++) {
        struct error err = {0};
        struct tokenizer *t = NULL;
        CHECK(tokenizer_parse(&t, json, cut, NULL, 0, "cut", &err) != FATHOM_OK);
        CHECK(t == NULL && err.text[0]);
    }
    mem_free(json);
}

static void tokenizer_config_json_cut_anywhere_is_refused(void) {
    size_t size = 0, config_size = 0;
    char *json = read_written("tokenizer.json", &size);
    char *config = read_written("tokenizer_config.json", &config_size);
    for (size_t cut = 0; cut + 2 < config_size; cut++) {
        struct error err = {0};
        struct tokenizer *t = NULL;
        CHECK(tokenizer_parse(&t, json, size, config, cut, "cut", &err) != FATHOM_OK);
        CHECK(t == NULL && err.text[0]);
    }
    mem_free(json);
    mem_free(config);
}

static void check_refused(const char *from, const char *to, fathom_status status,
                          const char *named) {
    struct error err = {0};
    struct tokenizer *t = NULL;
    struct text json = with_change(from, to);
    harness_context("%s -> %s", from, to);
    CHECK_STATUS(tokenizer_parse(&t, json.data, json.size, NULL, 0, "t", &err), status);
    CHECK(t == NULL);
    CHECK_HAS(err.text, named);
    text_free(&json);
}

static void what_is_not_known_is_refused_by_name(void) {
    check_refused("\"BPE\"", "\"Unigram\"", FATHOM_UNSUPPORTED, "Unigram");
    check_refused("\"normalizer\": null", "\"normalizer\": {\"type\": \"Lowercase\"}",
                  FATHOM_UNSUPPORTED, "Lowercase");
    check_refused("{1,3}", "{1,3})", FATHOM_UNSUPPORTED, "{1,3})");
    check_refused("\"post_processor\": {\"type\": \"ByteLevel\"",
                  "\"post_processor\": {\"type\": \"RobertaProcessing\"", FATHOM_UNSUPPORTED,
                  "RobertaProcessing");
    check_refused("\"byte_fallback\": false", "\"byte_fallback\": true", FATHOM_UNSUPPORTED,
                  "byte_fallback");
    check_refused("\"end_of_word_suffix\": null", "\"end_of_word_suffix\": \"</w>\"",
                  FATHOM_UNSUPPORTED, "</w>");
    check_refused("\"dropout\": null", "\"dropout\": 0.1", FATHOM_UNSUPPORTED, "dropout");
    check_refused("\"decoder\": {\"type\": \"ByteLevel\"", "\"decoder\": {\"type\": \"Fuse\"",
                  FATHOM_UNSUPPORTED, "Fuse");
}

static void what_contradicts_itself_is_refused(void) {
    check_refused(POST, TEMPLATE(TOKEN_HERE("B") "," TEXT_HERE, "\"C\": {\"ids\": [0]}"),
                  FATHOM_BAD_INPUT, "\"B\"");
    check_refused(POST, TEMPLATE(TOKEN_HERE("B") "," TEXT_HERE, "\"B\": {\"ids\": [999]}"),
                  FATHOM_BAD_INPUT, "no token");
    check_refused(POST, TEMPLATE(TOKEN_HERE("B"), "\"B\": {\"ids\": [0]}"), FATHOM_BAD_INPUT,
                  "no place");
    check_refused(POST, TEMPLATE(TEXT_HERE "," TEXT_HERE, ""), FATHOM_UNSUPPORTED, "one text");
    check_refused("\"lstrip\": false", "\"lstrip\": 1", FATHOM_BAD_INPUT, "lstrip");
    check_refused("\"a b\"", "\"a z\"", FATHOM_BAD_INPUT, "a z");
    check_refused("\"a b\"", "\"ab\"", FATHOM_BAD_INPUT, "merge 0");
    check_refused("\"a b\"", "[\"a\"]", FATHOM_BAD_INPUT, "merge 0");
    check_refused("\"a b\"", "7", FATHOM_BAD_INPUT, "merge 0");
    check_refused("\"!\": 3", "\"!\": 99999999", FATHOM_BAD_INPUT, "id");
    check_refused("\"!\": 3", "\"!\": -1", FATHOM_BAD_INPUT, "id");
    check_refused("\"!\": 3", "\"!\": \"3\"", FATHOM_BAD_INPUT, "id");
    check_refused("\"!\": 3", "\"!\": 4", FATHOM_BAD_INPUT, "two texts");
    check_refused("\"!\": 3,", "", FATHOM_BAD_INPUT, "0x21");
    check_refused("\"!\": 3", "\"<\": 3", FATHOM_BAD_INPUT, "duplicate");
    check_refused("\"id\": 2", "\"id\": 259", FATHOM_BAD_INPUT, "place in the vocabulary is 2");
    check_refused("\n  ],", ",\n{\"id\": 266, \"content\": \"<x>\"}\n  ],", FATHOM_BAD_INPUT,
                  "place in the vocabulary is 265");
    check_refused(
        "\n  ],",
        ",\n{\"id\": 265, \"content\": \"<x>\"}, {\"id\": 266, \"content\": \"<x>\"}\n  ],",
        FATHOM_BAD_INPUT, "twice");
    check_refused("\n  ],",
                  ",\n{\"id\": 265, \"content\": \"<x>\"}, {\"id\": 266, \"content\": \"<x>\", "
                  "\"normalized\": true}\n  ],",
                  FATHOM_BAD_INPUT, "twice");
    check_refused("\n  ],", ",\n{\"id\": 265}\n  ],", FATHOM_BAD_INPUT, "content");
    check_refused("\n  ],", ",\n7\n  ],", FATHOM_BAD_INPUT, "id");
    check_refused("\"vocab\"", "\"words\"", FATHOM_BAD_INPUT, "model.vocab");
}

static void missing_files_are_named(void) {
    struct error err = {0};
    struct tokenizer *t = NULL;
    CHECK(tokenizer_open(&t, "/nowhere/at/all", &err) != FATHOM_OK);
    CHECK_HAS(err.text, "/nowhere/at/all/tokenizer.json");
    CHECK(t == NULL);
}

/* ---- allocations that fail ---- */

/* Train, save, open, encode and decode; any step may run out of memory. */
static fathom_status whole_life(const char *directory, struct error *err) {
    const struct bpe_train_options options = {.vocab_size = 340};
    struct bpe_trainer *trainer = NULL;
    struct tokenizer *t = NULL, *again = NULL;
    struct encoder *encoder = NULL;
    struct token_list ids = {0};
    struct text back = {0};
    fathom_status status = bpe_trainer_new(&trainer, "deepseek-v3", NULL, err);
    if (status == FATHOM_OK)
        status = bpe_trainer_add(trainer, trained_sample, strlen(trained_sample), err);
    if (status == FATHOM_OK) status = bpe_trainer_finish(trainer, &options, &t, err);
    if (status == FATHOM_OK) status = tokenizer_save(t, directory, err);
    if (status == FATHOM_OK) status = tokenizer_open(&again, directory, err);
    if (status == FATHOM_OK) status = encoder_new(&encoder, again, err);
    if (status == FATHOM_OK)
        status = encoder_encode(encoder, trained_sample, strlen(trained_sample), true, &ids, err);
    if (status == FATHOM_OK)
        status = tokenizer_decode(again, ids.ids, ids.count, false, &back, err);
    if (status == FATHOM_OK) CHECK_STR(text_data(&back), trained_sample);
    text_free(&back);
    token_list_free(&ids);
    encoder_free(encoder);
    tokenizer_free(again);
    tokenizer_free(t);
    bpe_trainer_free(trainer);
    return status;
}

static void any_allocation_may_fail(void) {
    const char *directory = harness_directory();
    fathom_status status = FATHOM_NO_MEMORY;
    int64_t n = 1;
    for (; status != FATHOM_OK; n++) {
        struct error err = {0};
        harness_context("allocation %d", (int)n);
        mem_fail_after(n);
        status = whole_life(directory, &err);
        mem_fail_after(0);
        if (status != FATHOM_OK) {
            if (status != FATHOM_NO_MEMORY) harness_fail(__FILE__, __LINE__, "%s", err.text);
            CHECK(err.text[0]);
        }
    }
    CHECK(n > 100);
}

static const struct test tests[] = {
    TEST(merges_are_read_in_both_spellings),
    TEST(of_a_merge_said_twice_the_last_rank_counts),
    TEST(added_tokens_need_not_be_in_the_vocabulary),
    TEST(of_added_tokens_the_longest_is_found),
    TEST(config_names_bos_eos_and_the_chat_template),
    TEST(added_tokens_take_what_is_around_them_as_they_say),
    TEST(normalized_added_tokens_are_found_in_normalized_text),
    TEST(a_piece_that_is_a_token_needs_no_merges_where_the_file_says_so),
    TEST(templates_put_tokens_around_a_text),
    TEST(tokenizer_json_cut_anywhere_is_refused),
    TEST(tokenizer_config_json_cut_anywhere_is_refused),
    TEST(what_is_not_known_is_refused_by_name),
    TEST(what_contradicts_itself_is_refused),
    TEST(missing_files_are_named),
    TEST(any_allocation_may_fail),
};
HARNESS_MAIN(tests)
