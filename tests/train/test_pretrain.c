/* A whole run on a tiny model: resuming, checkpoints, metrics, memory. */
#include <malloc.h>
#include <stdio.h>

#include "base/json.h"
#include "base/memory.h"
#include "files.h"
#include "pretrain_test.h"
#include "text/bpe_train.h"
#include "train/balance.h"
#include "train/checkpoint.h"
#include "train/tensorboard.h"
#include "train/watch.h"

/* Lines of metrics.jsonl without what depends on the clock. */
static void check_metrics(const struct world *w, int64_t steps) {
    struct error err = {0};
    char path[1200], *text = NULL;
    size_t size = 0;
    int64_t number = 0;
    snprintf(path, sizeof path, "%s/metrics.jsonl", w->out);
    CHECK_OK(file_read(path, 1 << 20, &text, &size, &err), &err);
    for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
        json_node *root = NULL;
        CHECK_OK(json_parse(&root, line, (size_t)(end - line), "metrics", &err), &err);
        CHECK_EQ(json_integer(json_member(root, "step")), ++number);
        CHECK(json_real(json_member(root, "loss")) > 0);
        CHECK_EQ(json_count(json_member(root, "max_violation")), 2);
        CHECK(json_is_number(json_member(root, "heldout_loss")) == (number % 3 == 0));
        json_free(root);
    }
    CHECK_EQ(number, steps);
    mem_free(text);
}

static void a_resumed_run_ends_with_the_same_bits(void) {
    struct error err = {0};
    struct world w;
    world_open(&w, 2);
    CHECK_OK(pretrain_run(&w.options, w.device, &err), &err);
    uint64_t weights = hash_of(w.out, "model.safetensors");
    uint64_t state = hash_of(w.out, "step-00000006/state/state.safetensors");
    remove_step(&w, 6);
    remove_step(&w, 4);
    w.options.resume = true;
    CHECK_OK(pretrain_run(&w.options, w.device, &err), &err);
    CHECK(hash_of(w.out, "model.safetensors") == weights);
    CHECK(hash_of(w.out, "step-00000006/state/state.safetensors") == state);
    check_metrics(&w, 6);
    world_close(&w);
}

static void one_and_two_threads_train_the_same_bits(void) {
    struct error err = {0};
    uint64_t hashes[2];
    for (int threads = 1; threads <= 2; threads++) {
        struct world w;
        world_open(&w, threads);
        CHECK_OK(pretrain_run(&w.options, w.device, &err), &err);
        hashes[threads - 1] = hash_of(w.out, "model.safetensors");
        world_remove(&w);
    }
    CHECK(hashes[0] == hashes[1]);
}

/* Weights after a whole run, and after one that was resumed in the middle. */
static void run_twice(struct world *w, uint64_t hashes[2]) {
    struct error err = {0};
    CHECK_OK(pretrain_run(&w->options, w->device, &err), &err);
    hashes[0] = hash_of(w->out, "model.safetensors");
    for (int step = 4; step <= 6; step += 2) remove_step(w, step);
    w->options.resume = true;
    CHECK_OK(pretrain_run(&w->options, w->device, &err), &err);
    hashes[1] = hash_of(w->out, "model.safetensors");
}

static void every_precision_resumes_with_the_same_bits(void) {
    enum { RUNS = 4 }; /* F32, BF16 moments, BF16, FP8 with BF16 moments */
    uint64_t hashes[RUNS][2];
    for (int run = 0; run < RUNS; run++) {
        struct world w;
        world_open(&w, 2);
        w.options.precision = run < 2 ? PRECISION_F32 : run - 1;
        w.options.moments = run % 2;
        harness_context("run %d", run);
        run_twice(&w, hashes[run]);
        CHECK(hashes[run][0] == hashes[run][1]);
        for (int before = 0; before < run; before++) CHECK(hashes[before][0] != hashes[run][0]);
        world_remove(&w);
    }
}

static void summed_loads_have_the_violation_of_their_sum(void) {
    struct error err = {0};
    struct world w;
    struct model_config config;
    struct model *model = NULL;
    struct balance_sums sums;
    double mean, worst;
    world_open(&w, 1);
    CHECK_OK(config_parse(&config, config_json, strlen(config_json), "config", &err), &err);
    CHECK_OK(model_new(&model, w.device, &config, MODEL_GRADS, &err), &err);
    CHECK_OK(balance_sums_new(&sums, model, &err), &err);
    CHECK_EQ(sums.layers * sums.experts, 16); /* one MoE layer and one MTP module */
    balance_sums_violation(&sums, &mean, &worst);
    CHECK(mean == 0 && worst == 0);
    /* Unbalanced steps that balance each other in layer 0, and not quite in layer 1. */
    int32_t loads[16] = {8, 0, 0, 0, 0, 0, 0, 0, 3, 1, 1, 1, 1, 1, 0, 0};
    balance_sums_add(&sums, loads);
    for (int e = 0; e < 8; e++) loads[e] = e == 0 ? 0 : 8;
    for (int e = 8; e < 16; e++) loads[e] = 1;
    balance_sums_add(&sums, loads);
    balance_sums_violation(&sums, &mean, &worst);
    CHECK_EQ(sums.steps, 2);
    CHECK_NEAR(worst, 1, 1e-12);
    CHECK_NEAR(mean, 0.5, 1e-12);
    balance_sums_free(&sums);
    model_free(model);
    world_close(&w);
}

static bool has_step(const struct world *w, const char *name) {
    char path[1200];
    snprintf(path, sizeof path, "%s/%s", w->out, name);
    return path_exists(path);
}

/* Changes one bit in the middle of a file of the run. */
static void damage(const struct world *w, const char *name) {
    char path[1200];
    snprintf(path, sizeof path, "%s/%s", w->out, name);
    FILE *file = fopen(path, "r+b");
    CHECK(file != NULL && fseek(file, 0, SEEK_END) == 0);
    long middle = ftell(file) / 2;
    CHECK(fseek(file, middle, SEEK_SET) == 0);
    int byte = fgetc(file);
    CHECK(fseek(file, middle, SEEK_SET) == 0 && fputc(byte ^ 1, file) != EOF && fclose(file) == 0);
}

static void damaged_weights_are_named_on_resume(void) {
    struct error err = {0};
    struct world w;
    world_open(&w, 1);
    w.options.keep = 1;
    CHECK_OK(pretrain_run(&w.options, w.device, &err), &err);
    damage(&w, "step-00000006/model.safetensors");
    w.options.resume = true;
    CHECK_STATUS(pretrain_run(&w.options, w.device, &err), FATHOM_BAD_INPUT);
    CHECK_HAS(err.text, "step-00000006");
    CHECK_HAS(err.text, "checksum");
    CHECK(has_step(&w, "step-00000006"));
    world_close(&w);
}

/* The newest checkpoint's weights, the one before's state: the run goes on from the third. */
static void damaged_checkpoints_are_passed_over_and_set_aside(void) {
    struct error err = {0};
    struct world w;
    char said[1000] = "";
    world_open(&w, 1);
    CHECK_OK(pretrain_run(&w.options, w.device, &err), &err);
    uint64_t weights = hash_of(w.out, "model.safetensors");
    damage(&w, "step-00000006/model.safetensors");
    damage(&w, "step-00000004/state/state.json");
    w.options.resume = true;
    FILE *log = w.engine->log.stream = fmemopen(said, sizeof said, "w");
    CHECK_OK(pretrain_run(&w.options, w.device, &err), &err);
    fclose(log);
    CHECK_HAS(said, "passed over: ");
    CHECK_HAS(said, "step-00000006");
    CHECK_HAS(said, "at step 2\n");
    CHECK(hash_of(w.out, "model.safetensors") == weights);
    CHECK(hash_of(w.out, "step-00000006/model.safetensors") == weights);
    CHECK(has_step(&w, "step-00000004.damaged") && has_step(&w, "step-00000006.damaged"));
    check_metrics(&w, 6);
    world_close(&w);
}

/* The last checkpoint was in place when the run ended, its files not yet in the run's directory. */
static void a_run_cut_off_while_publishing_has_its_last_model(void) {
    struct error err = {0};
    struct world w;
    char path[1200];
    world_open(&w, 1);
    CHECK_OK(pretrain_run(&w.options, w.device, &err), &err);
    uint64_t weights = hash_of(w.out, "model.safetensors");
    snprintf(path, sizeof path, "%s/model.safetensors", w.out);
    FILE *file = (remove(path), fopen(path, "w"));
    CHECK(file != NULL && fputs("an older one", file) >= 0 && fclose(file) == 0);
    w.options.resume = true;
    CHECK_OK(pretrain_run(&w.options, w.device, &err), &err);
    CHECK(hash_of(w.out, "model.safetensors") == weights);
    world_close(&w);
}

/* Its weights and state are whole: with the config of the one before they are gone on from. */
static void a_damaged_config_is_taken_from_an_older_checkpoint(void) {
    struct error err = {0};
    struct world w;
    char path[1200];
    world_open(&w, 1);
    CHECK_OK(pretrain_run(&w.options, w.device, &err), &err);
    uint64_t weights = hash_of(w.out, "model.safetensors");
    remove_step(&w, 6);
    snprintf(path, sizeof path, "%s/step-00000004/config.json", w.out);
    FILE *file = fopen(path, "w");
    CHECK(file != NULL && fputs("{", file) >= 0 && fclose(file) == 0);
    w.options.resume = true;
    CHECK_OK(pretrain_run(&w.options, w.device, &err), &err);
    CHECK(hash_of(w.out, "model.safetensors") == weights);
    remove_step(&w, 2);
    remove_step(&w, 6);
    CHECK_STATUS(pretrain_run(&w.options, w.device, &err), FATHOM_BAD_INPUT);
    CHECK_HAS(err.text, "step-00000004/config.json");
    world_close(&w);
}

static void flip_bit(const char *path, long at) {
    FILE *file = fopen(path, "r+b");
    CHECK(file != NULL && fseek(file, at, SEEK_SET) == 0);
    int byte = fgetc(file);
    CHECK(fseek(file, at, SEEK_SET) == 0 && fputc(byte ^ 1, file) != EOF && fclose(file) == 0);
}

static void a_flipped_bit_of_a_shard_stops_a_run_and_names_it(void) {
    struct error err = {0};
    struct world w;
    const char *const shards[] = {"train-00000.tok", "heldout-00000.tok"};
    world_open(&w, 1);
    for (int s = 0; s < 2; s++) {
        char path[1200];
        struct file_map map;
        snprintf(path, sizeof path, "%s/%s", w.data, shards[s]);
        CHECK_OK(file_map_open(&map, path, &err), &err);
        /* the header's counts, the first tokens, some in the middle, the document index */
        const long places[] = {24, 64, 64 + (long)map.size / 4, (long)map.size - 12};
        file_map_close(&map);
        for (int i = 0; i < 4; i++) {
            harness_context("%s, byte %ld", shards[s], places[i]);
            flip_bit(path, places[i]);
            CHECK_STATUS(pretrain_run(&w.options, w.device, &err), FATHOM_BAD_INPUT);
            CHECK_HAS(err.text, shards[s]);
            CHECK_HAS(err.text, "checksum");
            CHECK(!path_exists(w.out));
            flip_bit(path, places[i]);
        }
    }
    harness_context("%s", "");
    CHECK_OK(pretrain_run(&w.options, w.device, &err), &err);
    w.options.resume = true;
    flip_bit(test_path("data/train-00000.tok"), 100);
    CHECK_STATUS(pretrain_run(&w.options, w.device, &err), FATHOM_BAD_INPUT);
    w.options.verify_data = false;
    CHECK_OK(pretrain_run(&w.options, w.device, &err), &err);
    world_close(&w);
}

/* Refuses once. */
static fathom_status draw_text(void *owner, const struct model *model, int64_t step,
                               struct text *out, struct error *err) {
    int *drawn = owner;
    CHECK_EQ(model->config.dim, 32);
    if ((*drawn)++ == 0) RAISE(FATHOM_NO_MEMORY, "no words");
    text_printf(out, "\"text\" of step %lld", (long long)step);
    return FATHOM_OK;
}

static void samples_stand_in_the_metrics_and_change_nothing(void) {
    struct error err = {0};
    struct world w;
    int drawn = 0;
    size_t size;
    const struct run_sampler sampler = {draw_text, &drawn};
    world_open(&w, 1);
    CHECK_OK(pretrain_run(&w.options, w.device, &err), &err);
    const uint64_t weights = hash_of(w.out, "model.safetensors");
    CHECK_OK(path_remove(w.out, &err), &err);
    w.options.sampler = &sampler;
    CHECK_OK(pretrain_run(&w.options, w.device, &err), &err);
    CHECK(hash_of(w.out, "model.safetensors") == weights);
    CHECK_EQ(drawn, 2); /* at steps 3 and 6 */
    const char *lines = load(test_path("run/metrics.jsonl"), &size);
    CHECK_EQ(harness_count(lines, "\"sample\""), 1);
    CHECK_HAS(lines, "\"sample\": \"\\\"text\\\" of step 6\"");
    world_close(&w);
}

/* ---- steps that are not finite ---- */

static void spoil_embedding(const struct world *w, int64_t token) {
    struct error err = {0};
    struct model *model = NULL;
    CHECK_OK(model_open(&model, w->device, w->model, 0, &err), &err);
    const struct param *p = param_find(&model->params, TENSOR_EMBEDDING, -1, -1);
    struct tensor embed = model_weight(model, p);
    for (int64_t row = 0; row < embed.rows; row++)
        if (token < 0 || row == token) ((float *)embed.data)[row * embed.stride] = NAN;
    CHECK_OK(path_remove(w->model, &err), &err);
    CHECK_OK(path_make_directory(w->model, &err), &err);
    CHECK_OK(model_save(model, w->model, 0, &err), &err);
    model_free(model);
}

/* Lines of metrics.jsonl, and those of them that tell of a skipped step. */
static int64_t count_skipped(const struct world *w, int64_t *lines) {
    struct error err = {0};
    char path[1200], *text = NULL;
    size_t size = 0;
    int64_t skipped = 0;
    snprintf(path, sizeof path, "%s/metrics.jsonl", w->out);
    CHECK_OK(file_read(path, 1 << 20, &text, &size, &err), &err);
    *lines = 0;
    for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1, ++*lines) {
        const char *reason = strstr(line, "\"skipped\": \"step ");
        if (!reason || reason > end) continue;
        *end = 0;
        CHECK_HAS(reason, "the gradient of model.");
        skipped++;
    }
    mem_free(text);
    return skipped;
}

static void a_step_that_is_not_finite_is_skipped(void) {
    struct error err = {0};
    struct world w;
    int64_t lines;
    world_open(&w, 1);
    spoil_embedding(&w, RARE_TOKEN);
    w.options.steps = 34; /* one epoch */
    w.options.save_every = 17;
    CHECK_OK(pretrain_run(&w.options, w.device, &err), &err);
    int64_t skipped = count_skipped(&w, &lines);
    CHECK_EQ(lines, 34);
    CHECK(skipped >= 1 && skipped <= 4);
    uint64_t state = hash_of(w.out, "step-00000034/state/state.safetensors");
    struct checkpoint last;
    int64_t updates = 0;
    CHECK_OK(checkpoint_open(&last, w.out, INT64_MAX, &err), &err);
    CHECK_OK(state_read(last.state, "adam_steps", DTYPE_I64, 0, 1, &updates, &err), &err);
    CHECK_EQ(updates, 34 - skipped);
    checkpoint_close(&last);
    remove_step(&w, 34);
    w.options.resume = true;
    CHECK_OK(pretrain_run(&w.options, w.device, &err), &err);
    CHECK(hash_of(w.out, "step-00000034/state/state.safetensors") == state);
    world_close(&w);
}

static void listed_batches_are_passed(void) {
    struct error err = {0};
    struct world w;
    char list[] = "2,4-5", all[] = "1-6", wrong[] = "2-", path[1200], *text = NULL;
    size_t size = 0;
    world_open(&w, 1);
    w.options.skip_batches = wrong;
    CHECK_STATUS(pretrain_run(&w.options, w.device, &err), FATHOM_USAGE);
    CHECK(!path_exists(w.out));
    w.options.skip_batches = list;
    CHECK_OK(pretrain_run(&w.options, w.device, &err), &err);
    snprintf(path, sizeof path, "%s/metrics.jsonl", w.out);
    CHECK_OK(file_read(path, 1 << 20, &text, &size, &err), &err);
    int64_t step = 0;
    for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
        *end = 0;
        step++;
        const bool is_passed = strstr(line, "\"skipped\": \"--skip-batches\"") != NULL;
        CHECK(is_passed == (step == 2 || step == 4 || step == 5));
    }
    CHECK_EQ(step, 6);
    mem_free(text);
    CHECK_OK(path_remove(w.out, &err), &err);
    w.options.skip_batches = all;
    CHECK_OK(pretrain_run(&w.options, w.device, &err), &err);
    CHECK(hash_of(w.out, "model.safetensors") == hash_of(w.model, "model.safetensors"));
    world_close(&w);
}

static void three_such_steps_in_a_row_end_the_run(void) {
    struct error err = {0};
    struct world w;
    int64_t lines;
    world_open(&w, 1);
    spoil_embedding(&w, -1);
    CHECK_STATUS(pretrain_run(&w.options, w.device, &err), FATHOM_NOT_FINITE);
    CHECK_HAS(err.text, "3 steps in a row");
    CHECK_EQ(count_skipped(&w, &lines), 2);
    world_close(&w);
}

static void other_data_are_refused_on_resume(void) {
    struct error err = {0};
    struct world w;
    world_open(&w, 1);
    CHECK_OK(pretrain_run(&w.options, w.device, &err), &err);
    CHECK_OK(path_remove(w.data, &err), &err);
    make_data(w.data, 2);
    w.options.resume = true;
    CHECK_STATUS(pretrain_run(&w.options, w.device, &err), FATHOM_BAD_INPUT);
    CHECK_HAS(err.text, "not the data");
    world_close(&w);
}

static void a_run_does_not_overwrite_another(void) {
    struct error err = {0};
    struct world w;
    world_open(&w, 1);
    CHECK_OK(pretrain_run(&w.options, w.device, &err), &err);
    uint64_t before = hash_of(w.out, "model.safetensors");
    CHECK_STATUS(pretrain_run(&w.options, w.device, &err), FATHOM_EXISTS);
    CHECK(hash_of(w.out, "model.safetensors") == before);
    world_close(&w);
}

static void check_watched(const struct world *w, const char *words, bool expected_over) {
    struct error err = {0};
    struct text out = {0};
    const struct watch_screen screen = {80, 30, true};
    bool is_over;
    const char *run = w->out;
    CHECK_OK(watch_draw(&run, 1, &screen, &out, &is_over, &err), &err);
    CHECK_HAS(text_data(&out), words);
    CHECK_EQ(is_over, expected_over);
    text_free(&out);
}

static void old_checkpoints_go_and_the_newest_stay(void) {
    struct error err = {0};
    struct world w;
    struct checkpoint newest;
    world_open(&w, 1);
    w.options.keep = 2;
    CHECK_OK(pretrain_run(&w.options, w.device, &err), &err);
    CHECK(!has_step(&w, "step-00000002"));
    CHECK(has_step(&w, "step-00000004") && has_step(&w, "step-00000006"));
    CHECK_OK(checkpoint_open(&newest, w.out, INT64_MAX, &err), &err);
    CHECK_EQ(newest.step, 6);
    CHECK_EQ(state_get_info(newest.state)->step, 6);
    check_watched(&w, "step 6/6", true);
    checkpoint_close(&newest);
    CHECK_OK(checkpoint_open(&newest, w.out, 6, &err), &err);
    CHECK_EQ(newest.step, 4);
    checkpoint_close(&newest);
    CHECK_STATUS(checkpoint_open(&newest, w.out, 4, &err), FATHOM_BAD_INPUT);
    world_close(&w);
}

static void some_checkpoints_stay_for_good(void) {
    struct error err = {0};
    struct world w;
    world_open(&w, 1);
    w.options.keep = 1;
    w.options.keep_every = 4;
    w.options.steps = 10;
    CHECK_OK(pretrain_run(&w.options, w.device, &err), &err);
    CHECK(!has_step(&w, "step-00000002") && !has_step(&w, "step-00000006"));
    CHECK(has_step(&w, "step-00000004") && has_step(&w, "step-00000008"));
    CHECK(has_step(&w, "step-00000010"));
    world_close(&w);
}

static void recalled_options_are_those_of_the_run_and_changes_are_named(void) {
    struct error err = {0};
    struct world w;
    struct pretrain_options recalled = {0};
    struct option_given given = {0};
    world_open(&w, 1);
    CHECK_OK(pretrain_run(&w.options, w.device, &err), &err);
    CHECK_OK(options_default(&pretrain_table, &recalled, &err), &err);
    CHECK_OK(options_set(&pretrain_table, &recalled, &given, "out", w.out, &err), &err);
    CHECK_OK(pretrain_recall(&recalled, &given, &err), &err);
    CHECK_EQ(recalled.batch, 4);
    CHECK_STR(recalled.data, w.data);
    CHECK_OK(options_set(&pretrain_table, &recalled, &given, "batch", "8", &err), &err);
    CHECK_STATUS(pretrain_recall(&recalled, &given, &err), FATHOM_USAGE);
    CHECK_HAS(err.text, "batch: was 4, is 8");
    options_free(&pretrain_table, &recalled);
    world_close(&w);
}

/* ---- a trainer alone ---- */

static struct trainer *open_trainer(struct world *w, struct model **model) {
    struct error err = {0};
    struct trainer *trainer = NULL;
    const struct trainer_options options = pretrain_trainer_options(&w->options);
    CHECK_OK(model_open(model, w->device, w->model, MODEL_GRADS, &err), &err);
    CHECK_OK(trainer_new(&trainer, *model, &options, &err), &err);
    return trainer;
}

static void take_step(struct trainer *t, const struct sequence *sequences, int64_t count,
                      int64_t micro, struct step_metrics *metrics) {
    struct error err = {0};
    const struct step_totals totals = step_totals_of(count, sequences[0].count, 1);
    const struct step_weights weights = {.mtp = 0.3, .balance = 0.01};
    trainer_begin(t, &totals, &weights);
    for (int64_t at = 0; at < count; at += micro)
        CHECK_OK(trainer_accumulate(t, sequences + at, micro, &err), &err);
    CHECK_OK(trainer_finish(t, 1e-3, 1e-3, metrics, &err), &err);
}

static void fill(int32_t tokens[4][13], struct sequence sequences[4]) {
    for (uint64_t s = 0; s < 4; s++) {
        for (uint64_t i = 0; i < 13; i++)
            tokens[s][i] = (int32_t)rng_below((struct rng_key){9, RNG_TEST, s}, i, 64);
        sequences[s] = (struct sequence){.tokens = tokens[s], .count = 12};
    }
}

static void no_step_after_the_first_allocates(void) {
    struct world w;
    struct model *model = NULL;
    struct step_metrics metrics;
    int32_t tokens[4][13];
    struct sequence sequences[4];
    world_open(&w, 2);
    struct trainer *t = open_trainer(&w, &model);
    fill(tokens, sequences);
    take_step(t, sequences, 4, 2, &metrics);
    struct mallinfo2 before = mallinfo2();
    for (int i = 0; i < 3; i++) take_step(t, sequences, 4, 2, &metrics);
    struct mallinfo2 after = mallinfo2();
    CHECK_EQ(after.uordblks, before.uordblks);
    CHECK_EQ(after.hblkhd, before.hblkhd);
    trainer_free(t);
    model_free(model);
    world_close(&w);
}

static void micro_batches_change_the_loss_by_rounding_only(void) {
    struct world w;
    double losses[2], norms[2];
    int32_t tokens[4][13];
    struct sequence sequences[4];
    world_open(&w, 1);
    w.options.micro_batch = 4;
    fill(tokens, sequences);
    for (int i = 0; i < 2; i++) {
        struct model *model = NULL;
        struct step_metrics metrics;
        struct trainer *t = open_trainer(&w, &model);
        take_step(t, sequences, 4, i == 0 ? 4 : 1, &metrics);
        losses[i] = metrics.loss_total;
        norms[i] = metrics.grad_norm;
        trainer_free(t);
        model_free(model);
    }
    CHECK_NEAR(losses[0], losses[1], 1e-9);
    CHECK_NEAR(norms[0] / norms[1], 1, 1e-5);
    world_close(&w);
}

static void a_gradient_that_is_not_finite_stops_before_the_update(void) {
    struct error err = {0};
    struct world w;
    struct model *model = NULL;
    struct step_metrics metrics;
    int32_t tokens[4][13];
    struct sequence sequences[4];
    world_open(&w, 1);
    struct trainer *t = open_trainer(&w, &model);
    fill(tokens, sequences);
    const struct param *norm = param_find(&model->params, TENSOR_ATTN_NORM, 1, -1);
    float *values = model_weight(model, norm).data;
    float kept = values[1];
    values[3] = NAN;
    const struct step_totals totals = step_totals_of(2, 12, 1);
    trainer_begin(t, &totals, &(struct step_weights){.mtp = 0.3});
    CHECK_OK(trainer_accumulate(t, sequences, 2, &err), &err);
    CHECK_STATUS(trainer_finish(t, 1e-3, 1e-3, &metrics, &err), FATHOM_NOT_FINITE);
    CHECK_HAS(err.text, "model.");
    CHECK(values[1] == kept);
    trainer_free(t);
    model_free(model);
    world_close(&w);
}

static void an_expert_without_tokens_keeps_its_weights(void) {
    struct world w;
    struct model *model = NULL;
    struct step_metrics metrics;
    int32_t tokens[4][13];
    struct sequence sequences[4];
    world_open(&w, 1);
    struct trainer *t = open_trainer(&w, &model);
    fill(tokens, sequences);
    float *bias = model->router_bias[1].data;
    bias[0] = -100; /* group 0 keeps its other experts */
    const struct param *p = param_find(&model->params, TENSOR_EXPERT_DOWN, 1, 0);
    struct tensor expert = model_weight(model, p);
    uint64_t before = hash_bytes(expert.data, (size_t)tensor_count(expert) * sizeof(float));
    take_step(t, sequences, 4, 2, &metrics);
    CHECK(metrics.dead_experts[0] >= 1);
    CHECK(hash_bytes(expert.data, (size_t)tensor_count(expert) * sizeof(float)) == before);
    CHECK(bias[0] > -100); /* the bias rises for it */
    trainer_free(t);
    model_free(model);
    world_close(&w);
}

/* ---- schedule and event files ---- */

static struct run_place at(int64_t step) { return (struct run_place){step, 3 * step}; }

static void schedule_follows_the_published_shape(void) {
    const struct schedule s = {.peak = 2.2e-4,
                               .warmup_steps = 2000,
                               .constant_until = 0.5,
                               .cosine_until = 0.9,
                               .last_from = 0.95,
                               .final = 0.1,
                               .last = 0.0332,
                               .mtp_first = 0.3,
                               .mtp_last = 0.1,
                               .mtp_until = 0.676,
                               .bias_speed = 1e-3,
                               .bias_until = 0.966,
                               .batch = 3,
                               .samples = 300000};
    CHECK_NEAR(schedule_learning_rate(&s, at(0)), 2.2e-4 / 2000, 1e-12);
    CHECK_NEAR(schedule_learning_rate(&s, at(1999)), 2.2e-4, 1e-12);
    CHECK_NEAR(schedule_learning_rate(&s, at(49999)), 2.2e-4, 1e-12);
    CHECK_NEAR(schedule_learning_rate(&s, at(70000)), 2.2e-4 * 0.55, 1e-9);
    CHECK_NEAR(schedule_learning_rate(&s, at(92000)), 2.2e-5, 1e-12);
    CHECK_NEAR(schedule_learning_rate(&s, at(96000)), 2.2e-4 * 0.0332, 1e-12);
    CHECK_NEAR(schedule_mtp_weight(&s, at(67000)), 0.3, 0);
    CHECK_NEAR(schedule_mtp_weight(&s, at(68000)), 0.1, 0);
    CHECK_NEAR(schedule_bias_speed(&s, at(97000)), 0, 0);
}

static void the_batch_grows_over_its_tokens(void) {
    struct schedule s = {.peak = 1,
                         .constant_until = 0.5,
                         .cosine_until = 0.5,
                         .last_from = 0.5,
                         .batch = 40,
                         .batch_from = 8,
                         .ramp_samples = 400,
                         .batch_multiple = 4};
    CHECK_EQ(schedule_batch(&s, 0), 8);
    CHECK_EQ(schedule_batch(&s, 49), 8);
    CHECK_EQ(schedule_batch(&s, 50), 12);
    CHECK_EQ(schedule_batch(&s, 399), 36);
    CHECK_EQ(schedule_batch(&s, 400), 40);
    int64_t samples = 0, step = 0;
    for (; samples < 400; step++) {
        CHECK_EQ(schedule_samples(&s, step), samples);
        samples += schedule_batch(&s, samples);
    }
    CHECK_EQ(schedule_samples(&s, step + 10), samples + 400);
    s.samples = 1000; /* half of the tokens, wherever the step is */
    CHECK_NEAR(schedule_learning_rate(&s, (struct run_place){step, 499}), 1, 0);
    CHECK_NEAR(schedule_learning_rate(&s, (struct run_place){step, 500}), 0, 0);
}

/* Batches of 2, then 4: their samples follow each other, and a resumed run goes on with the same.
 */
static void a_ramped_run_resumes_with_the_same_bits(void) {
    struct error err = {0};
    struct world w;
    world_open(&w, 1);
    w.options.batch_from = 2;
    w.options.ramp_tokens = 6 * w.options.sequence_length;
    w.options.save_every = 1;
    CHECK_OK(pretrain_run(&w.options, w.device, &err), &err);
    uint64_t weights = hash_of(w.out, "model.safetensors");
    struct checkpoint c;
    const int64_t samples[] = {0, 2, 4, 6, 10, 14, 18};
    for (int step = 1; step <= 6; step++) {
        CHECK_OK(checkpoint_open(&c, w.out, step + 1, &err), &err);
        CHECK_EQ(state_get_info(c.state)->samples_seen, samples[step]);
        CHECK_EQ(state_get_info(c.state)->tokens_seen, samples[step] * 12);
        checkpoint_close(&c);
    }
    for (int step = 3; step <= 6; step++) remove_step(&w, step);
    w.options.resume = true;
    CHECK_OK(pretrain_run(&w.options, w.device, &err), &err);
    CHECK(hash_of(w.out, "model.safetensors") == weights);
    check_metrics(&w, 6);
    world_close(&w);
}

/* The average of a run is that of its steps' weights, and resumes with the same bits. */
static void the_average_follows_the_weights(void) {
    struct error err = {0};
    struct world w;
    world_open(&w, 1);
    w.options.ema = 0.75;
    w.options.save_every = 1;
    CHECK_OK(pretrain_run(&w.options, w.device, &err), &err);
    char path[1200];
    double average = 0;
    for (int step = 0; step <= 6; step++) {
        struct model *model = NULL;
        snprintf(path, sizeof path, "%s/step-%08d", w.out, step);
        CHECK_OK(model_open(&model, w.device, step > 0 ? path : w.model, 0, &err), &err);
        const struct param *p = param_find(&model->params, TENSOR_HEAD, -1, -1);
        const double value = ((const float *)model_weight(model, p).data)[5];
        average = step == 0 ? value : 0.75 * average + 0.25 * value;
        model_free(model);
        if (step == 0) continue;
        snprintf(path, sizeof path, "%s/step-%08d/ema", w.out, step);
        CHECK_OK(model_open(&model, w.device, path, 0, &err), &err);
        p = param_find(&model->params, TENSOR_HEAD, -1, -1);
        CHECK_NEAR(((const float *)model_weight(model, p).data)[5], average, 1e-7);
        model_free(model);
    }
    const char *left = test_path("run/ema/model.safetensors.tmp-123");
    uint64_t weights = hash_of(w.out, "model.safetensors");
    uint64_t averaged = hash_of(w.out, "ema/model.safetensors");
    CHECK(weights != averaged);
    for (int step = 4; step <= 6; step++) remove_step(&w, step);
    CHECK_OK(path_make_directory(left, &err), &err);
    w.options.resume = true;
    CHECK_OK(pretrain_run(&w.options, w.device, &err), &err);
    CHECK(!path_exists(left)); /* of a run that was killed */
    CHECK(hash_of(w.out, "model.safetensors") == weights);
    CHECK(hash_of(w.out, "ema/model.safetensors") == averaged);
    damage(&w, "step-00000006/ema/model.safetensors");
    struct checkpoint c;
    CHECK_OK(checkpoint_open(&c, w.out, INT64_MAX, &err), &err);
    checkpoint_close(&c);
    CHECK_OK(pretrain_run(&w.options, w.device, &err), &err);
    CHECK(has_step(&w, "step-00000006.damaged"));
    CHECK(hash_of(w.out, "step-00000006/ema/model.safetensors") == averaged);
    world_close(&w);
}

static void crc32c_is_the_published_one(void) {
    CHECK(crc32c("123456789", 9) == 0xe3069283u);
    unsigned char zeros[32] = {0};
    CHECK(crc32c(zeros, 32) == 0x8a9136aau);
}

static const struct test tests[] = {
    TEST(a_resumed_run_ends_with_the_same_bits),
    TEST(one_and_two_threads_train_the_same_bits),
    TEST(every_precision_resumes_with_the_same_bits),
    TEST(summed_loads_have_the_violation_of_their_sum),
    TEST(damaged_weights_are_named_on_resume),
    TEST(damaged_checkpoints_are_passed_over_and_set_aside),
    TEST(a_run_cut_off_while_publishing_has_its_last_model),
    TEST(a_damaged_config_is_taken_from_an_older_checkpoint),
    TEST(a_flipped_bit_of_a_shard_stops_a_run_and_names_it),
    TEST(samples_stand_in_the_metrics_and_change_nothing),
    TEST(a_step_that_is_not_finite_is_skipped),
    TEST(listed_batches_are_passed),
    TEST(three_such_steps_in_a_row_end_the_run),
    TEST(other_data_are_refused_on_resume),
    TEST(a_run_does_not_overwrite_another),
    TEST(old_checkpoints_go_and_the_newest_stay),
    TEST(some_checkpoints_stay_for_good),
    TEST(recalled_options_are_those_of_the_run_and_changes_are_named),
    TEST(no_step_after_the_first_allocates),
    TEST(micro_batches_change_the_loss_by_rounding_only),
    TEST(a_gradient_that_is_not_finite_stops_before_the_update),
    TEST(an_expert_without_tokens_keeps_its_weights),
    TEST(schedule_follows_the_published_shape),
    TEST(the_batch_grows_over_its_tokens),
    TEST(a_ramped_run_resumes_with_the_same_bits),
    TEST(the_average_follows_the_weights),
    TEST(crc32c_is_the_published_one),
};
HARNESS_MAIN(tests)
