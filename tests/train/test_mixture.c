/* Datasets mixed by weight: the order of samples, and runs on them. */
#include <stdio.h>

#include "base/json.h"
#include "base/memory.h"
#include "files.h"
#include "pretrain_test.h"
#include "train/mixture.h"

static struct error err;

static void lists_are_read_and_mistakes_named(void) {
    struct mixture m;
    CHECK_OK(mixture_parse(&m, "mix:a=3,b/c=d=1", &err), &err);
    CHECK_EQ(m.count, 2);
    CHECK_STR(m.sources[0].directory, "a");
    CHECK_STR(m.sources[1].directory, "b/c=d");
    CHECK_NEAR(m.sources[0].weight, 0.75, 0);
    CHECK_NEAR(m.sources[1].weight, 0.25, 0);
    mixture_close(&m);
    CHECK_OK(mixture_parse(&m, "./mix:a=3,b=1", &err), &err);
    CHECK_EQ(m.count, 1);
    CHECK_STR(m.sources[0].directory, "./mix:a=3,b=1");
    mixture_close(&m);
    static const char *const wrong[] = {"mix:",       "mix:a",        "mix:a=",      "mix:a=0",
                                        "mix:a=-1",   "mix:=1",       "mix:a=1,",    "mix:a=nan",
                                        "mix:a=1e99", "mix:a=1,,b=1", "mix:a=1,b=2x"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        harness_context("%s", wrong[i]);
        CHECK_STATUS(mixture_parse(&m, wrong[i], &err), FATHOM_USAGE);
        CHECK_HAS(err.text, "DIR=WEIGHT");
        CHECK(m.sources == NULL);
    }
}

/* Datasets "a", "b", ... in the test's directory, as a list with these weights. */
static const char *make_mixture(const double *weights, int count) {
    static char list[4096];
    size_t used = (size_t)snprintf(list, sizeof list, "mix:");
    for (int i = 0; i < count; i++) {
        const char name[] = {(char)('a' + i), 0};
        const char *path = test_path(name);
        if (!path_exists(path)) make_data(path, (uint64_t)i + 1);
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s=%g", i > 0 ? "," : "", path,
                                 weights[i]);
    }
    return list;
}

static void open_mixture(struct mixture *m, const char *data, uint64_t seed) {
    const struct mixture_options options = {.data = data, .length = 12, .seed = seed, .vocab = 64};
    CHECK_OK(mixture_open(m, &options, &err), &err);
    CHECK_OK(mixture_verify(m, &err), &err);
}

enum { SOURCES = 4, SAMPLES = 700 };

/* Each sample is the next one of its source, and any window holds the shares to within two. */
static void check_order(const struct mixture *m, int64_t first) {
    static int64_t before[SAMPLES + 1][SOURCES];
    for (int s = 0; s < SOURCES; s++) before[0][s] = mixture_count(m, (size_t)s, first);
    for (int64_t g = 0; g < SAMPLES; g++) {
        int64_t number;
        const size_t source = mixture_source_of(m, first + g, &number);
        CHECK_EQ(number, before[g][source]);
        for (size_t s = 0; s < SOURCES; s++) {
            before[g + 1][s] = before[g][s] + (s == source);
            CHECK_EQ(mixture_count(m, s, first + g + 1), before[g + 1][s]);
        }
    }
    for (int end = 1; end <= SAMPLES; end++)
        for (int begin = 0; begin < end; begin++)
            for (int s = 0; s < SOURCES; s++)
                CHECK_NEAR((double)(before[end][s] - before[begin][s]),
                           m->sources[s].weight * (end - begin), 2);
}

static void every_window_holds_the_shares(void) {
    static const double weights[] = {0.31, 5.5, 0.05, 2.25};
    const char *data = make_mixture(weights, SOURCES);
    const int64_t firsts[] = {0, 12345, (int64_t)1 << 31, (int64_t)1 << 40};
    size_t differing = 0;
    for (uint64_t seed = 0; seed < 3; seed++) {
        struct mixture m, other;
        open_mixture(&m, data, seed);
        open_mixture(&other, data, seed + 1);
        for (size_t i = 0; i < sizeof firsts / sizeof firsts[0]; i++) check_order(&m, firsts[i]);
        for (int64_t g = 0, number; g < SAMPLES; g++)
            differing += mixture_source_of(&m, g, &number) != mixture_source_of(&other, g, &number);
        mixture_close(&m);
        mixture_close(&other);
    }
    CHECK(differing > 0); /* the seed counts */
}

static void one_dataset_is_read_as_ever(void) {
    static const double weight[] = {2};
    struct mixture listed, plain;
    int32_t a[13], b[13], c[13];
    open_mixture(&listed, make_mixture(weight, 1), 7);
    open_mixture(&plain, test_path("a"), 7);
    for (int64_t g = 0; g < 400; g++) {
        CHECK_OK(mixture_read(&plain, g, a, &err), &err);
        CHECK_OK(mixture_read(&listed, g, b, &err), &err);
        CHECK_OK(loader_read(&plain.sources[0].loader, g, c, &err), &err);
        CHECK(memcmp(a, b, sizeof a) == 0 && memcmp(a, c, sizeof a) == 0);
    }
    CHECK(mixture_identity(&listed) == shard_set_identity(plain.sources[0].train));
    mixture_close(&listed);
    mixture_close(&plain);
}

static void the_identity_follows_data_and_weights(void) {
    static const double weights[][2] = {{1, 1}, {1.001, 1}};
    struct mixture m;
    open_mixture(&m, make_mixture(weights[0], 2), 1);
    const uint64_t identity = mixture_identity(&m);
    mixture_close(&m);
    open_mixture(&m, make_mixture(weights[1], 2), 1);
    CHECK(mixture_identity(&m) != identity);
    mixture_close(&m);
    CHECK_OK(path_remove(test_path("b"), &err), &err);
    make_data(test_path("b"), 99);
    open_mixture(&m, make_mixture(weights[0], 2), 1);
    CHECK(mixture_identity(&m) != identity);
    mixture_close(&m);
}

static void other_tokenizers_are_refused(void) {
    static const double weights[] = {1, 1};
    struct shard_writer *writer = NULL;
    struct mixture m;
    const struct shard_writer_options options = {.tokenizer = {2, 64, 1, 0}};
    int32_t tokens[40] = {2};
    CHECK_OK(shard_writer_open(&writer, test_path("b"), &options, &err), &err);
    CHECK_OK(shard_writer_append(writer, SHARD_TRAIN, tokens, 40, 60, &err), &err);
    CHECK_OK(shard_writer_commit(writer, &err), &err);
    const struct mixture_options wanted = {
        .data = make_mixture(weights, 2), .length = 12, .vocab = 64};
    CHECK_STATUS(mixture_open(&m, &wanted, &err), FATHOM_BAD_INPUT);
    CHECK_HAS(err.text, "different tokenizers");
}

/* ---- runs ---- */

/* The tokens of each source add up, and the held-out loss is the weighted mean of theirs. */
static void check_line(const json_node *line, const double *weights) {
    const json_node *sources = json_member(line, "sources");
    const bool is_measured = json_is_number(json_member(line, "heldout_loss"));
    double tokens = 0, loss = 0;
    CHECK_EQ(json_count(sources), 2);
    for (size_t i = 0; i < 2; i++) {
        const json_node *source = json_element(sources, i);
        tokens += json_real(json_member(source, "tokens"));
        CHECK(json_is_number(json_member(source, "heldout_loss")) == is_measured);
        if (is_measured) loss += weights[i] * json_real(json_member(source, "heldout_loss"));
    }
    CHECK_NEAR(tokens, json_real(json_member(line, "tokens")), 0);
    if (is_measured) CHECK_NEAR(json_real(json_member(line, "heldout_loss")), loss, 1e-5);
}

static void check_metrics(const double *weights) {
    size_t size;
    char *text = load(test_path("run/metrics.jsonl"), &size);
    int lines = 0;
    for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1, lines++) {
        json_node *root = NULL;
        CHECK_OK(json_parse(&root, line, (size_t)(end - line), "metrics", &err), &err);
        check_line(root, weights);
        json_free(root);
    }
    CHECK_EQ(lines, 6);
}

static void a_run_on_a_mixture_resumes_with_the_same_bits(void) {
    static const double weights[] = {0.7, 0.3}, others[] = {0.6, 0.4};
    static char data[4096];
    struct world w;
    world_open(&w, 2);
    snprintf(data, sizeof data, "%s", make_mixture(weights, 2));
    w.options.data = data;
    CHECK_OK(pretrain_run(&w.options, w.device, &err), &err);
    check_metrics(weights);
    const uint64_t trained = hash_of(w.out, "model.safetensors");
    remove_step(&w, 6);
    remove_step(&w, 4);
    w.options.resume = true;
    CHECK_OK(pretrain_run(&w.options, w.device, &err), &err);
    CHECK(hash_of(w.out, "model.safetensors") == trained);
    check_metrics(weights);
    snprintf(data, sizeof data, "%s", make_mixture(others, 2));
    CHECK_STATUS(pretrain_run(&w.options, w.device, &err), FATHOM_BAD_INPUT);
    CHECK_HAS(err.text, "not the data");
    world_close(&w);
}

static const struct test tests[] = {
    TEST(lists_are_read_and_mistakes_named), TEST(every_window_holds_the_shares),
    TEST(one_dataset_is_read_as_ever),       TEST(the_identity_follows_data_and_weights),
    TEST(other_tokenizers_are_refused),      TEST(a_run_on_a_mixture_resumes_with_the_same_bits),
};
HARNESS_MAIN(tests)
