/* Phases of a context extension, from options and a model's config. */
#include "train/extend.h"

#include <stdio.h>

#include "base/file.h"
#include "harness.h"
#include "train/extend_phases.h"

static struct error err;

static const char config_format[] =
    "{\"model_type\": \"deepseek_v3\", \"vocab_size\": 64, \"hidden_size\": 32, "
    "\"num_hidden_layers\": 2, \"num_attention_heads\": 2, \"intermediate_size\": 48, "
    "\"qk_nope_head_dim\": 8, \"qk_rope_head_dim\": 4, \"v_head_dim\": 8, \"kv_lora_rank\": 16, "
    "\"max_position_embeddings\": 256, \"rope_scaling\": %s}";
static const char yarn[] = "{\"type\": \"yarn\", \"factor\": 4}";

/* The model of the current test, in a directory without weights. */
static const char *make_model(const char *rope_scaling) {
    static char directory[600];
    char path[700];
    snprintf(directory, sizeof directory, "%s", harness_directory());
    snprintf(path, sizeof path, "%s/config.json", directory);
    FILE *file = fopen(path, "w");
    CHECK(file != NULL);
    fprintf(file, config_format, rope_scaling);
    CHECK_EQ(fclose(file), 0);
    return directory;
}

/* Options as the command has them; their strings are theirs. */
struct given {
    struct extend_table t;
    struct extend_options o;
};

static void set(struct given *g, const char *name, const char *value) {
    CHECK_OK(options_set(&g->t.table, &g->o, NULL, name, value, &err), &err);
}

static void open_given(struct given *g, const char *model) {
    *g = (struct given){0};
    extend_table_make(&g->t);
    CHECK_OK(options_default(&g->t.table, &g->o, &err), &err);
    set(g, "model", model);
    set(g, "data", "data");
    set(g, "out", "out");
    set(g, "lengths", "2048,8192");
}

static void close_given(struct given *g) { options_free(&g->t.table, &g->o); }

static void the_phases_are_v3s_scaled(void) {
    struct given g;
    struct extend_phases p;
    open_given(&g, make_model("null"));
    set(&g, "batch", "16");
    set(&g, "micro-batch", "4");
    CHECK_OK(extend_phases_new(&p, &g.o, &err), &err);
    CHECK_EQ(p.count, 2);
    for (size_t i = 0; i < 2; i++) {
        const struct rope_scaling *rope = &p.items[i].config.rope;
        const struct pretrain_options *train = &p.items[i].options;
        int64_t length = i == 0 ? 2048 : 8192;
        harness_context("phase %zu", i);
        CHECK_EQ(p.items[i].config.max_positions, length);
        CHECK_EQ(rope->kind, ROPE_SCALING_YARN);
        CHECK(rope->factor == 32 && rope->original_positions == 256); /* of the last length */
        CHECK(rope->beta_fast == 32 && rope->beta_slow == 1);
        CHECK(rope->mscale == 1 && rope->mscale_all_dim == 1);
        CHECK_EQ(train->sequence_length, length);
        CHECK_EQ(train->batch * length, 16 * 2048);
        CHECK_EQ(train->micro_batch * length, 4 * 2048);
        CHECK_EQ(train->steps, 1000);
        CHECK(train->whole_documents && train->config == &p.items[i].config);
        /* The rate is the same from the first step to the last. */
        const struct schedule schedule = pretrain_schedule(train);
        const struct run_place ends[] = {{0, 0}, {999, 999 * train->batch}};
        for (int j = 0; j < 2; j++) {
            CHECK(schedule_learning_rate(&schedule, ends[j]) == 6.6e-5);
            CHECK(schedule_mtp_weight(&schedule, ends[j]) == 0.1);
        }
    }
    CHECK_STR(p.items[0].options.model, g.o.train.model);
    CHECK_STR(p.items[1].options.model, "out/phase-1-2048");
    CHECK_STR(p.items[1].options.out, "out/phase-2-8192");
    extend_phases_free(&p);
    close_given(&g);
}

static void a_list_gives_each_phase_its_own(void) {
    struct given g;
    struct extend_phases p;
    open_given(&g, make_model("null"));
    set(&g, "steps", "30,7");
    set(&g, "data", "near,far");
    CHECK_OK(extend_phases_new(&p, &g.o, &err), &err);
    CHECK_EQ(p.items[0].options.steps, 30);
    CHECK_EQ(p.items[1].options.steps, 7);
    CHECK_STR(p.items[0].options.data, "near");
    CHECK_STR(p.items[1].options.data, "far");
    extend_phases_free(&p);
    close_given(&g);
}

/* The length must exceed the model's positions, or what --original says. */
static void lengths_grow_from_the_models(void) {
    static const struct {
        const char *lengths, *says;
    } cases[] = {{"256,512", "begins with 256"},
                 {"512,512", "must exceed the one before"},
                 {"512-600", "--lengths is"},
                 {"", "--lengths is"}};
    struct given g;
    struct extend_phases p;
    open_given(&g, make_model("null"));
    for (int i = 0; i < 4; i++) {
        set(&g, "lengths", cases[i].lengths);
        harness_context("%s", cases[i].lengths);
        CHECK_STATUS(extend_phases_new(&p, &g.o, &err), FATHOM_USAGE);
        CHECK_HAS(err.text, cases[i].says);
    }
    set(&g, "lengths", "256,512");
    set(&g, "original", "128");
    CHECK_OK(extend_phases_new(&p, &g.o, &err), &err);
    CHECK(p.items[1].config.rope.factor == 4 && p.original == 128);
    extend_phases_free(&p);
    close_given(&g);
}

static void an_extended_model_is_refused(void) {
    struct given g;
    struct extend_phases p;
    open_given(&g, make_model(yarn));
    CHECK_STATUS(extend_phases_new(&p, &g.o, &err), FATHOM_UNSUPPORTED);
    CHECK_HAS(err.text, "extended before");
    close_given(&g);
}

/* A row that is renamed in pretrain's table would come back by its new name. */
static void what_an_extension_sets_is_no_option(void) {
    static const char *const gone[] = {"sequence-length", "constant-until", "cosine-until",
                                       "last-from",       "final-ratio",    "last-ratio",
                                       "batch-from",      "ramp-tokens",    "mtp-until"};
    struct extend_table t;
    struct extend_options o = {0};
    size_t steps = 0;
    extend_table_make(&t);
    CHECK_EQ(t.table.count + 13 - 3, pretrain_table.count); /* three of its own */
    for (size_t i = 0; i < t.table.count; i++)
        steps += strcmp(t.table.options[i].name, "steps") == 0;
    CHECK_EQ(steps, 1);
    for (size_t i = 0; i < sizeof gone / sizeof gone[0]; i++)
        CHECK_STATUS(options_set(&t.table, &o, NULL, gone[i], "1", &err), FATHOM_USAGE);
    CHECK_OK(options_set(&t.table, &o, NULL, "learning-rate", "1e-3", &err), &err);
    CHECK(o.train.learning_rate == 1e-3);
}

static const struct test tests[] = {
    TEST(the_phases_are_v3s_scaled),           TEST(a_list_gives_each_phase_its_own),
    TEST(lengths_grow_from_the_models),        TEST(an_extended_model_is_refused),
    TEST(what_an_extension_sets_is_no_option),
};
HARNESS_MAIN(tests)
