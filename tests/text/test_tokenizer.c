#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/rng.h"
#include "harness.h"
#include "text/tokenizer_data.h"
#include "trained.h"

static void check_round_trip(const struct tokenizer *t, const char *text, size_t size) {
    struct error err = {0};
    struct text back = {0};
    struct token_list ids = trained_encode(t, text, size, false);
    CHECK_OK(tokenizer_decode(t, ids.ids, ids.count, false, &back, &err), &err);
    CHECK_EQ(back.size, size);
    CHECK(memcmp(text_data(&back), text, size) == 0);
    text_free(&back);
    token_list_free(&ids);
}

/* Bytes that end in the beginning of a character which may still be completed. */
static size_t open_end(const char *bytes, size_t size) {
    for (size_t held = size < 3 ? size : 3; held > 0; held--)
        if (utf8_is_prefix((const unsigned char *)bytes + size - held, held)) return held;
    return 0;
}

/* After every token, what the stream has shown is all that came so far but for a character that is
 * not whole yet. */
static void check_streaming(const struct tokenizer *t, const char *text, size_t size) {
    struct error err = {0};
    struct stream_decoder decoder = {0};
    struct text shown = {0}, whole = {0};
    struct token_list ids = trained_encode(t, text, size, false);
    for (size_t i = 0; i < ids.count; i++) {
        CHECK_OK(stream_decoder_put(&decoder, t, ids.ids[i], false, &shown, &err), &err);
        CHECK_OK(tokenizer_decode(t, &ids.ids[i], 1, false, &whole, &err), &err);
        CHECK_EQ(shown.size, whole.size - open_end(whole.data, whole.size));
    }
    stream_decoder_end(&decoder, &shown);
    CHECK_EQ(shown.size, size);
    CHECK(memcmp(text_data(&shown), text, size) == 0);
    token_list_free(&ids);
    text_free(&shown);
    text_free(&whole);
}

/* ---- the published V3 tokenizer ---- */

static bool is_same_ids(const struct token_list *ids, const json_node *expected) {
    bool is_same = ids->count == json_count(expected);
    for (size_t i = 0; is_same && i < ids->count; i++)
        is_same = ids->ids[i] == json_integer(json_element(expected, i));
    return is_same;
}

static void check_golden_line(const struct tokenizer *t, struct encoder *encoder,
                              const json_node *line, const char *name, int number) {
    struct error err = {0};
    struct token_list ids = {0};
    struct text decoded = {0};
    size_t size = 0, wanted_size = 0;
    const char *text = json_string(json_member(line, "text"), &size);
    const char *wanted = json_string(json_member(line, "decoded"), &wanted_size);
    harness_context("%s, line %d", name, number);
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

/* Every line of goldens/tokenizer/NAME.jsonl. */
static void check_golden(const struct tokenizer *t, const char *name) {
    struct error err = {0};
    struct encoder *encoder = NULL;
    char *text = NULL, path[128];
    size_t size = 0;
    int number = 0;
    snprintf(path, sizeof path, "goldens/tokenizer/%s.jsonl", name);
    CHECK_OK(encoder_new(&encoder, t, &err), &err);
    CHECK_OK(file_read(harness_shared(path), 1 << 26, &text, &size, &err), &err);
    for (char *line = text, *end; line < text + size; line = end + 1) {
        json_node *root = NULL;
        end = memchr(line, '\n', (size_t)(text + size - line));
        if (!end) end = text + size;
        CHECK_OK(json_parse(&root, line, (size_t)(end - line), "golden", &err), &err);
        check_golden_line(t, encoder, root, name, ++number);
        json_free(root);
    }
    CHECK(number > 100);
    mem_free(text);
    encoder_free(encoder);
}

static void published_v3_encodes_and_decodes_every_golden_string(void) {
    struct tokenizer *t = open_published();
    check_golden(t, "deepseek-v3");
    tokenizer_free(t);
}

/* Small vocabularies with the published pre-tokenizers of other models; each also written by us and
 * read again. */
static void other_families_encode_and_decode_every_golden_string(void) {
    static const char *const names[] = {"deepseek-v2", "deepseek-coder", "qwen2", "llama3", "gpt2"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct error err = {0};
        struct tokenizer *t = NULL, *again = NULL;
        char path[128], *json = NULL;
        size_t size = 0;
        snprintf(path, sizeof path, "goldens/tokenizer/%s.tokenizer.json", names[i]);
        CHECK_OK(file_read(harness_shared(path), 1 << 26, &json, &size, &err), &err);
        CHECK_OK(tokenizer_parse(&t, json, size, NULL, 0, names[i], &err), &err);
        check_golden(t, names[i]);
        CHECK_OK(tokenizer_save(t, harness_directory(), &err), &err);
        CHECK_OK(tokenizer_open(&again, harness_directory(), &err), &err);
        CHECK(tokenizer_hash(t) == tokenizer_hash(again));
        check_golden(again, names[i]);
        mem_free(json);
        tokenizer_free(t);
        tokenizer_free(again);
    }
}

/* The same from arrays, under the names that GGUF files have for them. (The golden V2 tokenizer has
 * not the pre-tokenizer that they call deepseek-llm, and the Qwen2 one not the published one's
 * NFC.)
 */
static void families_from_arrays_encode_every_golden_string(void) {
    static const char *const names[][2] = {{"deepseek-coder", "deepseek-coder"},
                                           {"qwen2", "deepseek-r1-qwen"},
                                           {"llama3", "llama-v3"},
                                           {"gpt2", "gpt-2"}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct error err = {0};
        struct tokenizer *t = NULL;
        char path[128], *json = NULL;
        size_t size = 0;
        snprintf(path, sizeof path, "goldens/tokenizer/%s.tokenizer.json", names[i][0]);
        CHECK_OK(file_read(harness_shared(path), 1 << 26, &json, &size, &err), &err);
        CHECK_OK(tokenizer_parse(&t, json, size, NULL, 0, names[i][0], &err), &err);
        struct tokenizer *made = trained_through_arrays(t, names[i][1]);
        CHECK_EQ(made->normalizer != NULL, strcmp(names[i][0], "qwen2") == 0);
        normalizer_free(made->normalizer);
        made->normalizer = NULL;
        check_golden(made, names[i][0]);
        mem_free(json);
        tokenizer_free(t);
        tokenizer_free(made);
    }
}

static void published_v3_from_arrays_encodes_every_golden_string(void) {
    struct tokenizer *t = open_published(), *made = trained_through_arrays(t, "deepseek-v3");
    size_t count = 0;
    check_golden(made, "deepseek-v3");
    CHECK_EQ(tokenizer_prefix(made, &count)[0], 0);
    CHECK_EQ(count, 1);
    tokenizer_free(t);
    tokenizer_free(made);
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

static void published_v3_written_by_us_reads_back_the_same(void) {
    struct error err = {0};
    struct tokenizer *again = NULL, *t = open_published();
    CHECK_OK(tokenizer_save(t, harness_directory(), &err), &err);
    CHECK_OK(tokenizer_open(&again, harness_directory(), &err), &err);
    CHECK(tokenizer_hash(again) == tokenizer_hash(t));
    CHECK_STR(tokenizer_chat_template(again), tokenizer_chat_template(t));
    tokenizer_free(again);
    tokenizer_free(t);
}

static int base64_digit(char c) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

static void decode_base64(const char *text, struct text *out) {
    unsigned bits = 0;
    int count = 0;
    for (; base64_digit(*text) >= 0; text++) {
        bits = (bits << 6 | (unsigned)base64_digit(*text)) & 0xffff;
        count += 6;
        if (count < 8) continue;
        count -= 8;
        text_append_char(out, (char)(bits >> count & 0xff));
    }
}

static void published_v3_returns_invalid_utf8_unchanged(void) {
    struct error err = {0};
    json_node *root = NULL;
    struct tokenizer *t = open_published();
    CHECK_OK(
        json_read_file(&root, harness_shared("goldens/tokenizer/invalid_utf8.json"), 1 << 20, &err),
        &err);
    CHECK(json_count(root) > 5);
    for (size_t i = 0; i < json_count(root); i++) {
        struct text bytes = {0};
        decode_base64(json_string(json_element(root, i), NULL), &bytes);
        CHECK(bytes.size > 0);
        check_round_trip(t, bytes.data, bytes.size);
        check_streaming(t, bytes.data, bytes.size);
        text_free(&bytes);
    }
    json_free(root);
    tokenizer_free(t);
}

/* ---- our own ---- */

static void any_bytes_come_back_unchanged(void) {
    char bytes[512];
    struct tokenizer *t = trained_on_sample(340);
    for (uint64_t round = 0; round < 300; round++) {
        const struct rng_key key = {1, RNG_TEST, round};
        size_t size = rng_below(key, 1000, sizeof bytes);
        for (size_t i = 0; i < size; i++) bytes[i] = (char)rng_below(key, i, 256);
        check_round_trip(t, bytes, size);
    }
    check_round_trip(t, trained_sample, strlen(trained_sample));
    check_round_trip(t, "", 0);
    tokenizer_free(t);
}

/* The definition: the merge of lowest rank, the leftmost of equals, until none applies. */
static size_t encode_by_definition(const struct tokenizer *t, const char *word, size_t size,
                                   int32_t *ids) {
    for (size_t i = 0; i < size; i++) ids[i] = t->byte_id[(unsigned char)word[i]];
    for (;;) {
        int32_t lowest = INT32_MAX, result = -1, merged = -1;
        size_t at = 0;
        for (size_t i = 0; i + 1 < size; i++) {
            int32_t rank = tokenizer_merge_rank(t, ids[i], ids[i + 1], &result);
            if (rank < 0 || rank >= lowest) continue;
            lowest = rank;
            at = i;
            merged = result;
        }
        if (merged < 0) return size;
        ids[at] = merged;
        memmove(ids + at + 1, ids + at + 2, (--size - at - 1) * sizeof *ids);
    }
}

static void words_of_any_length_encode_by_definition(void) {
    /* Up to 48 bytes are merged by scanning, longer words with a heap. */
    char word[300];
    int32_t expected[300];
    struct tokenizer *t = trained_on_sample(340);
    for (uint64_t round = 0; round < 2000; round++) {
        const struct rng_key key = {2, RNG_TEST, round};
        size_t size = 1 + rng_below(key, 1000, round % 2 ? 60 : sizeof word);
        const char *letters = round % 3 ? "ab" : "thesadog";
        for (size_t i = 0; i < size; i++) word[i] = letters[rng_below(key, i, strlen(letters))];
        size_t count = encode_by_definition(t, word, size, expected);
        struct token_list ids = trained_encode(t, word, size, false);
        harness_context("round %d, %zu bytes", (int)round, size);
        CHECK_EQ(ids.count, count);
        CHECK(memcmp(ids.ids, expected, count * sizeof *expected) == 0);
        token_list_free(&ids);
    }
    tokenizer_free(t);
}

static void one_encoder_gives_the_same_ids_every_time(void) {
    struct error err = {0};
    struct encoder *encoder = NULL;
    struct token_list all = {0};
    struct tokenizer *t = trained_on_sample(340);
    struct token_list once = trained_encode(t, trained_sample, strlen(trained_sample), true);
    CHECK_OK(encoder_new(&encoder, t, &err), &err);
    for (size_t i = 0; i < 3; i++) {
        CHECK_OK(encoder_encode(encoder, trained_sample, strlen(trained_sample), true, &all, &err),
                 &err);
        CHECK_EQ(all.count, (i + 1) * once.count);
        CHECK(memcmp(all.ids + i * once.count, once.ids, once.count * sizeof *once.ids) == 0);
    }
    token_list_free(&all);
    token_list_free(&once);
    encoder_free(encoder);
    tokenizer_free(t);
}

static void saved_tokenizer_reads_back_the_same(void) {
    struct error err = {0};
    struct tokenizer *t = trained_on_sample(340), *again = NULL;
    CHECK_OK(tokenizer_save(t, harness_directory(), &err), &err);
    CHECK_OK(tokenizer_open(&again, harness_directory(), &err), &err);
    CHECK(tokenizer_hash(t) == tokenizer_hash(again));
    CHECK_EQ(tokenizer_vocab_size(again), 340);
    CHECK_EQ(tokenizer_bos(again), 0);
    CHECK_EQ(tokenizer_eos(again), 1);
    struct token_list ids = trained_encode(t, trained_sample, strlen(trained_sample), true);
    struct token_list same = trained_encode(again, trained_sample, strlen(trained_sample), true);
    CHECK_EQ(ids.count, same.count);
    CHECK(memcmp(ids.ids, same.ids, ids.count * sizeof *ids.ids) == 0);
    token_list_free(&ids);
    token_list_free(&same);
    tokenizer_free(t);
    tokenizer_free(again);
}

static void typed_special_tokens_are_text_unless_asked(void) {
    static const char text[] = "a<think>b</think><｜end▁of▁sentence｜>";
    struct tokenizer *t = trained_on_sample(340);
    struct token_list plain = trained_encode(t, text, strlen(text), false);
    struct token_list parsed = trained_encode(t, text, strlen(text), true);
    CHECK(plain.count > parsed.count);
    CHECK_EQ(parsed.count, 5);
    CHECK_EQ(parsed.ids[4], 1);
    CHECK(tokenizer_is_special(t, parsed.ids[4]));
    CHECK(!tokenizer_is_special(t, parsed.ids[1]));
    token_list_free(&plain);
    token_list_free(&parsed);
    tokenizer_free(t);
}

static void special_tokens_can_be_left_out_of_the_decoded_text(void) {
    static const char text[] = "<｜begin▁of▁sentence｜>a<think>b<｜end▁of▁sentence｜>";
    struct error err = {0};
    struct text whole = {0}, streamed = {0};
    struct stream_decoder decoder = {0};
    struct tokenizer *t = trained_on_sample(340);
    struct token_list ids = trained_encode(t, text, strlen(text), true);
    CHECK_OK(tokenizer_decode(t, ids.ids, ids.count, true, &whole, &err), &err);
    CHECK_STR(text_data(&whole), "a<think>b");
    for (size_t i = 0; i < ids.count; i++)
        CHECK_OK(stream_decoder_put(&decoder, t, ids.ids[i], true, &streamed, &err), &err);
    CHECK_STR(text_data(&streamed), "a<think>b");
    token_list_free(&ids);
    text_free(&whole);
    text_free(&streamed);
    tokenizer_free(t);
}

static void streaming_decode_shows_whole_characters_however_tokens_cut_them(void) {
    static const int32_t sizes[] = {263, 275, 300, 340};
    for (int i = 0; i < 4; i++) {
        struct tokenizer *t = trained_on_sample(sizes[i]);
        check_streaming(t, trained_sample, strlen(trained_sample));
        tokenizer_free(t);
    }
}

static void streaming_decode_passes_invalid_bytes_on(void) {
    static const unsigned char kinds[] = {0xff, 0xc3, 0xa9, 0xf0, 0x9f, 0x98, 0x80, 0xe4, 0xbd,
                                          0xa0, 0xed, 0xa0, 0xc0, 0xf4, 0x90, 'a',  ' '};
    struct tokenizer *t = trained_on_sample(300);
    char bytes[40];
    for (uint64_t round = 0; round < 3000; round++) {
        const struct rng_key key = {4, RNG_TEST, round};
        size_t size = 1 + rng_below(key, 1000, sizeof bytes);
        for (size_t i = 0; i < size; i++) bytes[i] = (char)kinds[rng_below(key, i, sizeof kinds)];
        check_streaming(t, bytes, size);
    }
    tokenizer_free(t);
}

static void ids_outside_the_vocabulary_are_refused(void) {
    struct error err = {0};
    struct text out = {0};
    struct tokenizer *t = trained_on_sample(300);
    const int32_t bad[] = {-1, 300, INT32_MAX};
    for (int i = 0; i < 3; i++)
        CHECK_STATUS(tokenizer_decode(t, &bad[i], 1, false, &out, &err), FATHOM_BAD_INPUT);
    tokenizer_free(t);
}

static const struct test tests[] = {
    TEST(published_v3_encodes_and_decodes_every_golden_string),
    TEST(other_families_encode_and_decode_every_golden_string),
    TEST(families_from_arrays_encode_every_golden_string),
    TEST(published_v3_from_arrays_encodes_every_golden_string),
    TEST(published_v3_has_its_special_tokens),
    TEST(published_v3_written_by_us_reads_back_the_same),
    TEST(published_v3_returns_invalid_utf8_unchanged),
    TEST(any_bytes_come_back_unchanged),
    TEST(words_of_any_length_encode_by_definition),
    TEST(one_encoder_gives_the_same_ids_every_time),
    TEST(saved_tokenizer_reads_back_the_same),
    TEST(typed_special_tokens_are_text_unless_asked),
    TEST(special_tokens_can_be_left_out_of_the_decoded_text),
    TEST(streaming_decode_shows_whole_characters_however_tokens_cut_them),
    TEST(streaming_decode_passes_invalid_bytes_on),
    TEST(ids_outside_the_vocabulary_are_refused),
};
HARNESS_MAIN(tests)
