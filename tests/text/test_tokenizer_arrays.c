/* Tokenizers from plain arrays; the published ones are compared in test_tokenizer.c. */
#include "base/memory.h"
#include "harness.h"
#include "text/tokenizer_data.h"
#include "trained.h"

static struct error err;

/* Every family by each of its names: the same tokenizer as the one whose arrays were taken. */
static void arrays_make_the_tokenizer_that_they_were_taken_from(void) {
    static const char *const names[][2] = {
        {"deepseek-v3", "deepseek-v3"},
        {"deepseek-llm", "deepseek-llm"},
        {"deepseek-coder", "deepseek-coder"},
        {"qwen2", "qwen2"},
        {"qwen2", "deepseek-r1-qwen"},
        {"llama-bpe", "llama-bpe"},
        {"llama-bpe", "llama3"},
        {"llama-bpe", "llama-v3"},
        {"gpt-2", "gpt-2"},
        {"gpt-2", "gpt2"},
        {"smollm", "smollm"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct tokenizer *t =
            trained_with(names[i][0], trained_sample, strlen(trained_sample), 300, NULL);
        struct tokenizer *made = trained_through_arrays(t, names[i][1]);
        harness_context("%s", names[i][1]);
        CHECK_EQ(made->ignore_merges, strcmp(names[i][0], "llama-bpe") == 0);
        CHECK_EQ(made->normalizer != NULL, strcmp(names[i][0], "qwen2") == 0);
        made->ignore_merges = false; /* a trained one does not */
        struct token_list a = trained_encode(t, trained_sample, strlen(trained_sample), true);
        struct token_list b = trained_encode(made, trained_sample, strlen(trained_sample), true);
        CHECK_EQ(a.count, b.count);
        CHECK(memcmp(a.ids, b.ids, a.count * sizeof *a.ids) == 0);
        token_list_free(&a);
        token_list_free(&b);
        tokenizer_free(t);
        tokenizer_free(made);
    }
}

/* What is added around texts, also when the tokenizer is written and read again. */
static void a_bos_is_added_where_the_file_says_so(void) {
    struct tokenizer *t = trained_on_sample(300), *again = NULL;
    struct tokenizer *made = trained_through_arrays(t, "deepseek-v3");
    size_t count = 0;
    CHECK_OK(tokenizer_save(made, harness_directory(), &err), &err);
    CHECK_OK(tokenizer_open(&again, harness_directory(), &err), &err);
    for (int i = 0; i < 2; i++) {
        const int32_t *prefix = tokenizer_prefix(i ? again : made, &count);
        CHECK_EQ(count, 1);
        CHECK_EQ(prefix[0], tokenizer_bos(t));
        tokenizer_suffix(i ? again : made, &count);
        CHECK_EQ(count, 0);
    }
    CHECK(tokenizer_hash(made) == tokenizer_hash(again));
    tokenizer_free(t);
    tokenizer_free(made);
    tokenizer_free(again);
}

/* ---- what is refused ---- */

enum { COUNT = 260 };
static const char *tokens[COUNT];
static size_t sizes[COUNT];
static int32_t types[COUNT];
static const char *merges[] = {"a b", "ab a"};

/* The bytes, ab, aba, <s> and <more>. */
static struct tokenizer_arrays small(void) {
    static const char *const others[] = {"ab", "aba", "<s>", "<more>"};
    trained_byte_tokens(tokens, sizes, others, COUNT - 256);
    for (int id = 0; id < COUNT; id++) types[id] = GGUF_TOKEN_NORMAL;
    types[258] = GGUF_TOKEN_CONTROL;
    types[259] = GGUF_TOKEN_USER_DEFINED;
    return (struct tokenizer_arrays){.count = COUNT,
                                     .tokens = tokens,
                                     .sizes = sizes,
                                     .types = types,
                                     .merge_count = 2,
                                     .merges = merges,
                                     .pre = "gpt-2",
                                     .bos = 258,
                                     .eos = -1};
}

static void types_say_what_a_token_is(void) {
    struct tokenizer_arrays a = small();
    struct tokenizer *t = NULL;
    CHECK_OK(tokenizer_from_arrays(&t, &a, "t", &err), &err);
    struct token_list ids = trained_encode(t, "aba<s><more>", 12, true);
    CHECK_EQ(ids.count, 3);
    CHECK(ids.ids[0] == 257 && ids.ids[1] == 258 && ids.ids[2] == 259);
    CHECK(tokenizer_is_special(t, 258) && !tokenizer_is_special(t, 259));
    token_list_free(&ids);
    ids = trained_encode(t, "<s>", 3, false);
    CHECK_EQ(ids.count, 3);
    token_list_free(&ids);
    tokenizer_free(t);
}

static void check_refused(const struct tokenizer_arrays *a, fathom_status status,
                          const char *named) {
    struct tokenizer *t = NULL;
    CHECK_STATUS(tokenizer_from_arrays(&t, a, "t.gguf", &err), status);
    CHECK(t == NULL);
    CHECK_HAS(err.text, named);
    CHECK_HAS(err.text, "t.gguf");
}

static void what_is_not_byte_level_bpe_is_refused_by_name(void) {
    struct tokenizer_arrays a = small();
    a.pre = "tekken";
    check_refused(&a, FATHOM_UNSUPPORTED, "\"tekken\" is not known");
    a = small();
    types[7] = GGUF_TOKEN_BYTE;
    check_refused(&a, FATHOM_UNSUPPORTED, "token 7 is of type 6");
    a = small();
    types[7] = GGUF_TOKEN_UNUSED;
    check_refused(&a, FATHOM_BAD_INPUT, "no token for byte 0x07");
    a = small();
    tokens[9] = "a b"; /* a space is spelled otherwise */
    sizes[9] = 3;
    check_refused(&a, FATHOM_UNSUPPORTED, "token 9, \"a b\", is not spelled");
    a = small();
    a.eos = COUNT;
    check_refused(&a, FATHOM_BAD_INPUT, "its eos is token 260");
    a = small();
    a.adds_eos = true;
    check_refused(&a, FATHOM_BAD_INPUT, "adds its eos, but there is none");
    a = small();
    a.count = 0;
    check_refused(&a, FATHOM_BAD_INPUT, "a vocabulary of 0");
    static const char *const bad[] = {"ab", "a c", "x\n y"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const char *two[] = {"a b", bad[i]};
        a = small();
        a.merges = two;
        check_refused(&a, FATHOM_BAD_INPUT, "merge 1, ");
    }
}

static void failed_allocations_are_told(void) {
    struct tokenizer_arrays a = small();
    int64_t n = 0, left = 0;
    a.pre = "qwen2";
    a.adds_bos = true;
    a.chat_template = "chat";
    while (left == 0) {
        struct tokenizer *t = NULL;
        mem_fail_after(++n);
        fathom_status status = tokenizer_from_arrays(&t, &a, "t", &err);
        left = mem_fail_after(0);
        harness_context("allocation %d: %s", (int)n, err.text);
        CHECK(status == FATHOM_OK || (status == FATHOM_NO_MEMORY && left == 0 && !t));
        tokenizer_free(t);
    }
    CHECK(n > 20);
}

static const struct test tests[] = {
    TEST(arrays_make_the_tokenizer_that_they_were_taken_from),
    TEST(a_bos_is_added_where_the_file_says_so),
    TEST(types_say_what_a_token_is),
    TEST(what_is_not_byte_level_bpe_is_refused_by_name),
    TEST(failed_allocations_are_told),
};
HARNESS_MAIN(tests)
