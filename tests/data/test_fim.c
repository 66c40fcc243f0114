#include "data_test.h"

#include "data/fim.h"
#include "data/token_split.h"
#include "train_tokenizer.h"

static struct error err;

static const char sample[] =
    "It rained.\nThe cat (a red one) went out.\n\nIt came back!\r\nIt was wet.\n\"Well,\" it "
    "said,\n"
    "\"caf\xc3\xa9 au lait \xe4\xbd\xa0\xe5\xa5\xbd.\"\nIt rained.\n\nIt rained.\nThe end.\n";
static const char *const names[] = {"<|fim_begin|>", "<|fim_hole|>", "<|fim_end|>"};

static struct tokenizer *tokenizer_of_sample(size_t special) {
    return train_tokenizer_with(store_text("sample.txt", sample), 320, names, special);
}

/* ---- fill in the middle ---- */

/* The text of tokens up to the next special one, which *at is then behind. */
static const char *part(const struct tokenizer *t, const struct token_list *list, size_t *at,
                        int32_t *stop) {
    size_t begin = *at;
    struct text text = {0};
    *stop = -1;
    while (*at < list->count && !tokenizer_is_special(t, list->ids[*at])) ++*at;
    CHECK_OK(tokenizer_decode(t, list->ids + begin, *at - begin, false, &text, &err), &err);
    if (*at < list->count) *stop = list->ids[(*at)++];
    return harness_keep(text_data(&text)[0] ? text.data : strdup(""));
}

static bool is_whole(const char *text) {
    return utf8_valid_size(text, strlen(text)) == strlen(text);
}

static void parts_make_up_the_document(void) {
    struct tokenizer *t = tokenizer_of_sample(3);
    struct encoder *encoder;
    struct fim fim;
    int empty = 0;
    CHECK_OK(encoder_new(&encoder, t, &err), &err);
    CHECK_OK(fim_init(&fim, t, 1, 0.5, &err), &err);
    for (uint64_t i = 0; i < 400; i++) {
        enum document_form form = i % 2 ? FORM_PSM : FORM_SPM;
        struct rng rng = {{1, RNG_TEST, i}, 0};
        struct token_list list = {0};
        struct text whole = {0};
        int32_t stop[4];
        size_t at = 0;
        CHECK_OK(fim_encode(&fim, form, &rng, encoder, sample, strlen(sample), &list, &err), &err);
        const char *first = part(t, &list, &at, &stop[0]), *a = part(t, &list, &at, &stop[1]);
        const char *b = part(t, &list, &at, &stop[2]), *c = part(t, &list, &at, &stop[3]);
        CHECK_STR(first, "");
        CHECK(stop[0] == fim.begin && stop[1] == fim.hole && stop[2] == fim.end && stop[3] == -1);
        CHECK(is_whole(a) && is_whole(b) && is_whole(c));
        if (form == FORM_SPM) CHECK_STR(a, "");
        text_printf(&whole, "%s%s%s", a, c, b); /* PSM: prefix, suffix, middle */
        CHECK_STR(text_data(&whole), sample);
        empty += !*b || !*c;
        text_free(&whole);
        token_list_free(&list);
    }
    CHECK(empty < 40);
    encoder_free(encoder);
    tokenizer_free(t);
}

static void forms_have_their_shares(void) {
    struct tokenizer *t = tokenizer_of_sample(3);
    struct fim fim;
    int counts[FORMS] = {0};
    CHECK_OK(fim_init(&fim, t, 0.1, 0.25, &err), &err);
    for (uint64_t i = 0; i < 20000; i++) {
        struct rng rng = {{5, RNG_BUILD, i}, 0};
        counts[fim_choose(&fim, &rng)]++;
    }
    CHECK_NEAR(counts[FORM_PSM] + counts[FORM_SPM], 2000, 150);
    CHECK_NEAR(counts[FORM_SPM], 500, 80);
    CHECK_STATUS(fim_init(&fim, t, 1.5, 0, &err), FATHOM_USAGE);
    tokenizer_free(t);
    t = tokenizer_of_sample(2);
    CHECK_STATUS(fim_init(&fim, t, 0.1, 0, &err), FATHOM_BAD_INPUT);
    CHECK_HAS(err.text, "no tokens for filling in the middle");
    tokenizer_free(t);
}

/* ---- splitting tokens ---- */

static bool is_combined(const struct tokenizer *t, int32_t id) {
    size_t size;
    const char *bytes = tokenizer_token_bytes(t, id, &size);
    return size >= 2 && (bytes[size - 1] == '\n' || bytes[size - 1] == '\r') &&
           strchr(".,!\"", bytes[0]);
}

static void tokens_with_line_breaks_are_split(void) {
    struct tokenizer *t = tokenizer_of_sample(0);
    struct encoder *encoder;
    struct token_split *split;
    CHECK_OK(encoder_new(&encoder, t, &err), &err);
    for (int tenths = 0; tenths <= 10; tenths += 5) {
        int64_t before = 0, after = 0;
        CHECK_OK(token_split_new(&split, t, tenths / 10.0, &err), &err);
        CHECK(token_split_count(split) >= 2);
        for (uint64_t i = 0; i < 200; i++) {
            struct rng rng = {{1, RNG_TEST, i}, 0};
            struct token_list list = {0}, scratch = {0};
            struct text text = {0};
            CHECK_OK(encoder_encode(encoder, sample, strlen(sample), false, &list, &err), &err);
            for (size_t k = 0; k < list.count; k++) before += is_combined(t, list.ids[k]);
            CHECK_OK(token_split_apply(split, &rng, &list, &scratch, &err), &err);
            for (size_t k = 0; k < list.count; k++) after += is_combined(t, list.ids[k]);
            CHECK_OK(tokenizer_decode(t, list.ids, list.count, false, &text, &err), &err);
            CHECK_STR(text_data(&text), sample);
            text_free(&text);
            token_list_free(&list);
            token_list_free(&scratch);
        }
        harness_context("%d of %d", (int)after, (int)before);
        CHECK(before >= 800);
        CHECK_NEAR((double)after / (double)before, 1 - tenths / 10.0, tenths == 5 ? 0.06 : 0);
        token_split_free(split);
    }
    CHECK_STATUS(token_split_new(&split, t, -0.1, &err), FATHOM_USAGE);
    encoder_free(encoder);
    tokenizer_free(t);
}

static void failed_allocations_are_told(void) {
    struct tokenizer *t = tokenizer_of_sample(0);
    int64_t n = 0, left = 0;
    while (left == 0) {
        struct token_split *split = NULL;
        mem_fail_after(++n);
        fathom_status status = token_split_new(&split, t, 0.5, &err);
        left = mem_fail_after(0);
        CHECK(status == FATHOM_OK || (status == FATHOM_NO_MEMORY && left == 0));
        token_split_free(split);
    }
    CHECK(n > 3);
    tokenizer_free(t);
}

static const struct test tests[] = {
    TEST(parts_make_up_the_document),
    TEST(forms_have_their_shares),
    TEST(tokens_with_line_breaks_are_split),
    TEST(failed_allocations_are_told),
};
HARNESS_MAIN(tests)
