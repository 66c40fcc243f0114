#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/rng.h"
#include "harness.h"
#include "text/bpe_train.h"
#include "text/tokenizer.h"

static const char sample[] =
    "The cat sat on the mat. The dog saw the cat, and the cat ran.\n\n  \"Why?\" said the dog; "
    "because 1234567 is more than 89!\nLetters: s-t-r-a-w-b-e-r-r-y. caf\xc3\xa9 na\xc3\xafve "
    "\xe4\xbd\xa0\xe5\xa5\xbd \xf0\x9f\x98\x80 aaaa aaaaaaa bbbb abab ababab\n";

static struct tokenizer *train(const char *text, int32_t vocab) {
    struct error err = {0};
    struct bpe_trainer *trainer = NULL;
    struct tokenizer *t = NULL;
    const struct bpe_train_options options = {.vocab_size = vocab};
    CHECK_OK(bpe_trainer_new(&trainer, NULL, &err), &err);
    CHECK_OK(bpe_trainer_add(trainer, text, strlen(text), &err), &err);
    CHECK_OK(bpe_trainer_finish(trainer, &options, &t, &err), &err);
    bpe_trainer_free(trainer);
    return t;
}

static struct token_list encode(const struct tokenizer *t, const char *text, size_t size,
                                bool parse_added) {
    struct error err = {0};
    struct encoder *encoder = NULL;
    struct token_list ids = {0};
    CHECK_OK(encoder_new(&encoder, t, &err), &err);
    CHECK_OK(encoder_encode(encoder, text, size, parse_added, &ids, &err), &err);
    encoder_free(encoder);
    return ids;
}

static void check_round_trip(const struct tokenizer *t, const char *text, size_t size) {
    struct error err = {0};
    struct text back = {0};
    struct token_list ids = encode(t, text, size, false);
    CHECK_OK(tokenizer_decode(t, ids.ids, ids.count, false, &back, &err), &err);
    CHECK_EQ(back.size, size);
    CHECK(memcmp(text_data(&back), text, size) == 0);
    text_free(&back);
    token_list_free(&ids);
}

/* ---- the published V3 tokenizer ---- */

static bool is_same_ids(const struct token_list *ids, const json_node *expected) {
    bool is_same = ids->count == json_count(expected);
    for (size_t i = 0; is_same && i < ids->count; i++)
        is_same = ids->ids[i] == json_integer(json_element(expected, i));
    return is_same;
}

static void check_golden_line(const struct tokenizer *t, struct encoder *encoder,
                              const json_node *line, int number) {
    struct error err = {0};
    struct token_list ids = {0};
    struct text decoded = {0};
    size_t size = 0, wanted_size = 0;
    const char *text = json_string(json_member(line, "text"), &size);
    const char *wanted = json_string(json_member(line, "decoded"), &wanted_size);
    harness_context("line %d", number);
    CHECK_OK(encoder_encode(encoder, text, size, true, &ids, &err), &err);
    CHECK(is_same_ids(&ids, json_member(line, "ids")));
    CHECK_OK(tokenizer_decode(t, ids.ids, ids.count, false, &decoded, &err), &err);
    CHECK_EQ(decoded.size, wanted_size);
    CHECK(memcmp(text_data(&decoded), wanted, wanted_size) == 0);
    text_free(&decoded);
    token_list_free(&ids);
}

static struct tokenizer *open_published(void) {
    struct error err = {0};
    struct tokenizer *t = NULL;
    CHECK_OK(tokenizer_open(&t, harness_shared("data/deepseek-v3-tokenizer"), &err), &err);
    return t;
}

static void published_v3_encodes_and_decodes_every_golden_string(void) {
    struct error err = {0};
    struct encoder *encoder = NULL;
    char *text = NULL;
    size_t size = 0;
    int number = 0;
    struct tokenizer *t = open_published();
    CHECK_OK(encoder_new(&encoder, t, &err), &err);
    CHECK_OK(file_read(harness_shared("goldens/tokenizer/deepseek-v3.jsonl"), 1 << 26, &text, &size,
                       &err),
             &err);
    for (char *line = text, *end; line < text + size; line = end + 1) {
        json_node *root = NULL;
        end = memchr(line, '\n', (size_t)(text + size - line));
        if (!end) end = text + size;
        CHECK_OK(json_parse(&root, line, (size_t)(end - line), "golden", &err), &err);
        check_golden_line(t, encoder, root, ++number);
        json_free(root);
    }
    CHECK(number > 100);
    mem_free(text);
    encoder_free(encoder);
    tokenizer_free(t);
}

static void published_v3_has_its_special_tokens(void) {
    struct tokenizer *t = open_published();
    CHECK_EQ(tokenizer_vocab_size(t), 128815);
    CHECK_EQ(tokenizer_bos(t), 0);
    CHECK_EQ(tokenizer_eos(t), 1);
    CHECK_EQ(tokenizer_find(t, "<｜User｜>", strlen("<｜User｜>")), 128803);
    CHECK(tokenizer_chat_template(t) != NULL);
    tokenizer_free(t);
}

/* ---- our own ---- */

static void any_bytes_come_back_unchanged(void) {
    char bytes[512];
    struct tokenizer *t = train(sample, 340);
    for (uint64_t round = 0; round < 300; round++) {
        const struct rng_key key = {1, RNG_TEST, round};
        size_t size = rng_below(key, 1000, sizeof bytes);
        for (size_t i = 0; i < size; i++) bytes[i] = (char)rng_below(key, i, 256);
        check_round_trip(t, bytes, size);
    }
    check_round_trip(t, sample, strlen(sample));
    check_round_trip(t, "", 0);
    tokenizer_free(t);
}

static void long_words_encode_as_short_ones_do(void) {
    /* The heap serves words over 48 bytes, the scan the others: a period keeps them comparable. */
    struct tokenizer *t = train(sample, 340);
    char word[4096];
    memset(word, 'a', sizeof word);
    struct token_list all = encode(t, word, sizeof word, false);
    struct token_list one = encode(t, word, 48, false);
    for (size_t i = 0; i + 4 < one.count; i++) CHECK_EQ(all.ids[i], one.ids[i]);
    check_round_trip(t, word, sizeof word);
    token_list_free(&all);
    token_list_free(&one);
    tokenizer_free(t);
}

static void training_does_not_depend_on_the_order_of_documents(void) {
    static const char *const parts[] = {"one two three two one", " two three", "\nfour one two"};
    struct error err = {0};
    uint64_t hash[2];
    for (int order = 0; order < 2; order++) {
        struct bpe_trainer *trainer = NULL;
        struct tokenizer *t = NULL;
        const struct bpe_train_options options = {.vocab_size = 272};
        CHECK_OK(bpe_trainer_new(&trainer, NULL, &err), &err);
        for (int i = 0; i < 3; i++) {
            const char *part = parts[order ? 2 - i : i];
            CHECK_OK(bpe_trainer_add(trainer, part, strlen(part), &err), &err);
        }
        CHECK_OK(bpe_trainer_finish(trainer, &options, &t, &err), &err);
        hash[order] = tokenizer_hash(t);
        bpe_trainer_free(trainer);
        tokenizer_free(t);
    }
    CHECK(hash[0] == hash[1]);
}

static void most_frequent_pair_merges_first_and_lower_ids_break_ties(void) {
    struct tokenizer *t = train("ababab cdcdcd", 265);
    size_t size = 0;
    /* "ab" and "cd" appear three times each; 'a' has the lower id. */
    const char *first = tokenizer_token_bytes(t, 259, &size);
    CHECK(size == 2 && memcmp(first, "ab", 2) == 0);
    const char *second = tokenizer_token_bytes(t, 260, &size);
    CHECK(size == 2 && memcmp(second, "cd", 2) == 0);
    tokenizer_free(t);
}

static void vocabulary_larger_than_the_text_supports_says_how_large(void) {
    struct error err = {0};
    struct bpe_trainer *trainer = NULL;
    struct tokenizer *t = NULL;
    const struct bpe_train_options options = {.vocab_size = 1000};
    CHECK_OK(bpe_trainer_new(&trainer, NULL, &err), &err);
    CHECK_OK(bpe_trainer_add(trainer, "abc abc", 7, &err), &err);
    CHECK_STATUS(bpe_trainer_finish(trainer, &options, &t, &err), FATHOM_BAD_INPUT);
    CHECK_HAS(err.text, "at most");
    bpe_trainer_free(trainer);
}

static void saved_tokenizer_reads_back_the_same(void) {
    struct error err = {0};
    struct tokenizer *t = train(sample, 340), *again = NULL;
    CHECK_OK(tokenizer_save(t, harness_directory(), &err), &err);
    CHECK_OK(tokenizer_open(&again, harness_directory(), &err), &err);
    CHECK(tokenizer_hash(t) == tokenizer_hash(again));
    CHECK_EQ(tokenizer_vocab_size(again), 340);
    CHECK_EQ(tokenizer_bos(again), 0);
    CHECK_EQ(tokenizer_eos(again), 1);
    tokenizer_free(t);
    tokenizer_free(again);
}

static void typed_special_tokens_are_text_unless_asked(void) {
    static const char text[] = "a<think>b</think><｜end▁of▁sentence｜>";
    struct tokenizer *t = train(sample, 340);
    struct token_list plain = encode(t, text, strlen(text), false);
    struct token_list parsed = encode(t, text, strlen(text), true);
    CHECK(plain.count > parsed.count);
    CHECK_EQ(parsed.count, 5);
    CHECK_EQ(parsed.ids[4], 1);
    CHECK(tokenizer_is_special(t, parsed.ids[4]));
    CHECK(!tokenizer_is_special(t, parsed.ids[1]));
    token_list_free(&plain);
    token_list_free(&parsed);
    tokenizer_free(t);
}

static void streaming_decode_never_shows_half_a_character(void) {
    struct error err = {0};
    struct tokenizer *t = train("plain ascii text only, so others go byte by byte", 280);
    struct stream_decoder decoder = {0};
    struct text shown = {0};
    struct token_list ids = encode(t, sample, strlen(sample), false);
    for (size_t i = 0; i < ids.count; i++) {
        CHECK_OK(stream_decoder_put(&decoder, t, ids.ids[i], false, &shown, &err), &err);
        for (size_t at = 0; at < shown.size;) {
            uint32_t code = 0;
            int length =
                utf8_decode((const unsigned char *)shown.data + at, shown.size - at, &code);
            CHECK(length > 0);
            at += (size_t)length;
        }
    }
    stream_decoder_end(&decoder, &shown);
    CHECK_STR(text_data(&shown), sample);
    token_list_free(&ids);
    text_free(&shown);
    tokenizer_free(t);
}

static void streaming_decode_passes_invalid_bytes_on(void) {
    static const char bytes[] = "\xff\xc3(\xf0\x9f\x98\xe4\xbd";
    struct error err = {0};
    struct tokenizer *t = train(sample, 300);
    struct stream_decoder decoder = {0};
    struct text shown = {0};
    struct token_list ids = encode(t, bytes, strlen(bytes), false);
    for (size_t i = 0; i < ids.count; i++)
        CHECK_OK(stream_decoder_put(&decoder, t, ids.ids[i], false, &shown, &err), &err);
    stream_decoder_end(&decoder, &shown);
    CHECK_STR(text_data(&shown), bytes);
    token_list_free(&ids);
    text_free(&shown);
    tokenizer_free(t);
}

static void ids_outside_the_vocabulary_are_refused(void) {
    struct error err = {0};
    struct text out = {0};
    struct tokenizer *t = train(sample, 300);
    const int32_t bad[] = {-1, 300, INT32_MAX};
    for (int i = 0; i < 3; i++)
        CHECK_STATUS(tokenizer_decode(t, &bad[i], 1, false, &out, &err), FATHOM_BAD_INPUT);
    tokenizer_free(t);
}

/* ---- hostile files ---- */

static char *small_json(size_t *size) {
    struct error err = {0};
    char *json = NULL, *path = NULL;
    struct tokenizer *t = train("ab ab", 265);
    CHECK_OK(tokenizer_save(t, harness_directory(), &err), &err);
    CHECK_OK(path_join(&path, harness_directory(), "tokenizer.json", &err), &err);
    CHECK_OK(file_read(path, 1 << 20, &json, size, &err), &err);
    mem_free(path);
    tokenizer_free(t);
    return json;
}

static void tokenizer_json_cut_anywhere_is_refused(void) {
    size_t size = 0;
    char *json = small_json(&size);
    for (size_t cut = 0; cut + 2 < size; cut++) {
        struct error err = {0};
        struct tokenizer *t = NULL;
        CHECK(tokenizer_parse(&t, json, cut, NULL, 0, "cut", &err) != FATHOM_OK);
        CHECK(t == NULL && err.text[0]);
    }
    mem_free(json);
}

/* Replaces the first `from` in the small tokenizer by `to`; the message must name the fault. */
static void check_refused(const char *from, const char *to, fathom_status status,
                          const char *named) {
    struct error err = {0};
    struct tokenizer *t = NULL;
    struct text changed = {0};
    size_t size = 0;
    char *json = small_json(&size);
    char *at = strstr(json, from);
    CHECK(at != NULL);
    text_append(&changed, json, (size_t)(at - json));
    text_append_string(&changed, to);
    text_append_string(&changed, at + strlen(from));
    CHECK_STATUS(tokenizer_parse(&t, changed.data, changed.size, NULL, 0, "t", &err), status);
    CHECK_HAS(err.text, named);
    text_free(&changed);
    mem_free(json);
}

static void what_is_not_known_is_refused_by_name(void) {
    check_refused("\"BPE\"", "\"Unigram\"", FATHOM_UNSUPPORTED, "Unigram");
    check_refused("\"normalizer\": null", "\"normalizer\": {\"type\": \"NFC\"}", FATHOM_UNSUPPORTED,
                  "NFC");
    check_refused("{1,3}", "{1,4}", FATHOM_UNSUPPORTED, "{1,4}");
    check_refused("\"byte_fallback\": false", "\"byte_fallback\": true", FATHOM_UNSUPPORTED,
                  "byte_fallback");
    check_refused("\"lstrip\": false", "\"lstrip\": true", FATHOM_UNSUPPORTED, "lstrip");
    check_refused("\"a b\"", "\"a z\"", FATHOM_BAD_INPUT, "a z");
    check_refused("\"!\": 3", "\"!\": 99999999", FATHOM_BAD_INPUT, "id");
    check_refused("\"!\": 3", "\"!\": 4", FATHOM_BAD_INPUT, "two texts");
}

static const struct test tests[] = {
    TEST(published_v3_encodes_and_decodes_every_golden_string),
    TEST(published_v3_has_its_special_tokens),
    TEST(any_bytes_come_back_unchanged),
    TEST(long_words_encode_as_short_ones_do),
    TEST(training_does_not_depend_on_the_order_of_documents),
    TEST(most_frequent_pair_merges_first_and_lower_ids_break_ties),
    TEST(vocabulary_larger_than_the_text_supports_says_how_large),
    TEST(saved_tokenizer_reads_back_the_same),
    TEST(typed_special_tokens_are_text_unless_asked),
    TEST(streaming_decode_never_shows_half_a_character),
    TEST(streaming_decode_passes_invalid_bytes_on),
    TEST(ids_outside_the_vocabulary_are_refused),
    TEST(tokenizer_json_cut_anywhere_is_refused),
    TEST(what_is_not_known_is_refused_by_name),
};
HARNESS_MAIN(tests)
