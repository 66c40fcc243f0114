/* golden_model [--isa NAME] [--threads N] [--recompute layer] DIR...
 *
 * Runs any directory in the goldens' format (tests/golden/README.md) and compares logits, hidden
 * states, MTP logits, routing, losses, every gradient and the ten-step trajectory with what is
 * stored there. One line per comparison that fails; ends with "N passed, N failed, N skipped". */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/text.h"
#include "format/safetensors.h"
#include "model/files.h"
#include "train/trainer.h"

/* Tolerances of the goldens' README. */
static const double tolerance_state = 1e-4; /* logits, hidden states: of their rms */
static const double tolerance_grad = 1e-3;  /* of the tensor's rms */
static const double tolerance_loss = 2e-5;  /* of the total loss */
static const double tolerance_norm = 5e-5;  /* relative */
static const double tolerance_final = 5e-4; /* relative, l2 */
static const double tolerance_route = 1e-5; /* selection scores closer than this may swap */

struct golden {
    const char *directory;
    struct device *device;
    struct model *model;
    struct safetensors *st;
    int64_t B, T;
    double mtp_weight, balance_alpha;
    double learning_rate, bias_speed;
    struct optimizer_options optimizer;
    enum recompute recompute;
    int passed, failed, skipped;
};

/* ---- reporting ---- */

static void report(struct golden *g, bool is_good, const char *what, double difference,
                   double tolerance) {
    if (is_good) {
        g->passed++;
        return;
    }
    g->failed++;
    printf("FAILED  %s: %s differs by %.3g, tolerance %.3g\n", g->directory, what, difference,
           tolerance);
}

/* ---- reading goldens ---- */

/* Entry as doubles (mem_free), or NULL when absent. */
static double *golden_values(const struct golden *g, const char *name, int64_t *count) {
    const struct safetensors_entry *entry = safetensors_find(g->st, name);
    double *values = NULL;
    if (!entry) return NULL;
    *count = safetensors_elements(entry);
    if (MEM_NEW(&values, *count, name, NULL) != FATHOM_OK) return NULL;
    if (entry->dtype == DTYPE_I32) {
        for (int64_t i = 0; i < *count; i++) {
            int32_t value;
            memcpy(&value, (const char *)entry->data + 4 * i, 4);
            values[i] = value;
        }
    } else {
        dtype_to_f64(values, entry->data, entry->dtype, (size_t)*count);
    }
    return values;
}

/* Entry of int32 (mem_free), or NULL. */
static int32_t *golden_tokens(const struct golden *g, const char *name, int64_t *count) {
    double *values = golden_values(g, name, count);
    int32_t *tokens = NULL;
    if (values && MEM_NEW(&tokens, *count, name, NULL) == FATHOM_OK)
        for (int64_t i = 0; i < *count; i++) tokens[i] = (int32_t)values[i];
    mem_free(values);
    return tokens;
}

static double golden_scalar(const struct golden *g, const char *name) {
    int64_t count = 0;
    double *values = golden_values(g, name, &count);
    double value = values && count > 0 ? values[0] : NAN;
    mem_free(values);
    return value;
}

static double element(struct tensor x, int64_t i) {
    const void *at = tensor_at(x, i / x.cols, i % x.cols);
    return x.dtype == DTYPE_F64 ? *(const double *)at : (double)*(const float *)at;
}

/* Largest difference of x from the golden tensor, over the golden's rms. */
static void compare(struct golden *g, const char *name, struct tensor x, double tolerance) {
    int64_t count = 0;
    double *expected = golden_values(g, name, &count);
    if (!expected) {
        g->skipped++;
        return;
    }
    double largest = 0, squares = 0;
    bool is_good = count == tensor_count(x);
    for (int64_t i = 0; i < count && is_good; i++) {
        double difference = fabs(element(x, i) - expected[i]);
        if (!(difference <= largest)) largest = difference;
        squares += expected[i] * expected[i];
    }
    double rms = sqrt(squares / (double)count);
    double ratio = largest / (rms > 1e-30 ? rms : 1e-30);
    report(g, is_good && ratio <= tolerance, name, is_good ? ratio : NAN, tolerance);
    mem_free(expected);
}

/* ---- forward and backward ---- */

struct pass_memory {
    struct stream stream;
    struct arena host, device, kept, scratch;
    struct run *run;
};

static fathom_status pass_memory_new(struct pass_memory *m, const struct golden *g,
                                     const struct run_options *options, struct error *err) {
    struct run_bytes bytes;
    memset(m, 0, sizeof *m);
    stream_init(&m->stream, g->device);
    TRY(run_measure(&bytes, g->model, g->B, g->T, options, err));
    TRY(arena_new(&m->host, bytes.host, "a batch", err));
    TRY(arena_new(&m->device, bytes.device, "a batch", err));
    TRY(arena_new(&m->kept, bytes.kept, "activations", err));
    TRY(arena_new(&m->scratch, bytes.scratch, "scratch", err));
    return run_new(&m->run, g->model, err);
}

static void pass_memory_free(struct pass_memory *m) {
    arena_free(&m->host);
    arena_free(&m->device);
    arena_free(&m->kept);
    arena_free(&m->scratch);
    run_free(m->run);
}

/* Sequences of T tokens and the last target; `rows` is [B, T + 1]. */
static void fill_sequences(struct sequence *sequences, const int32_t *rows, int64_t B, int64_t T) {
    for (int64_t b = 0; b < B; b++)
        sequences[b] = (struct sequence){.tokens = rows + b * (T + 1), .count = T};
}

/* input_ids and targets joined to [B, T + 1]; they must be one text shifted by one. */
static int32_t *join_tokens(const struct golden *g) {
    int64_t count = 0;
    int32_t *rows = NULL;
    int32_t *ids = golden_tokens(g, "input_ids", &count);
    int32_t *targets = golden_tokens(g, "targets", &count);
    bool is_shifted = ids && targets;
    for (int64_t i = 0; is_shifted && i < g->B * g->T; i++)
        if ((i + 1) % g->T != 0) is_shifted = ids[i + 1] == targets[i];
    if (is_shifted && MEM_NEW(&rows, g->B * (g->T + 1), "tokens", NULL) == FATHOM_OK) {
        for (int64_t b = 0; b < g->B; b++) {
            memcpy(rows + b * (g->T + 1), ids + b * g->T, (size_t)g->T * sizeof *rows);
            rows[b * (g->T + 1) + g->T] = targets[b * g->T + g->T - 1];
        }
    }
    mem_free(ids);
    mem_free(targets);
    return rows;
}

static void compare_logits(struct golden *g, struct pass_memory *m, const char *name,
                           struct tensor hidden) {
    struct tensor logits = tensor_of(NULL, g->device->compute, hidden.rows, g->model->config.vocab);
    if (mem_new(&logits.data, (size_t)tensor_count(logits), dtype_size(logits.dtype), "logits",
                NULL) != FATHOM_OK)
        return;
    model_logits(g->model, &m->stream, logits, hidden);
    compare(g, name, logits, tolerance_state);
    mem_free(logits.data);
}

/* Expert choices may differ only where their selection scores are as good as equal. */
static void compare_routing(struct golden *g, int64_t layer, const struct moe_saved *moe) {
    const struct model_config *c = &g->model->config;
    char name[128];
    int64_t count = 0;
    snprintf(name, sizeof name, "router.model.layers.%lld.mlp.idx", (long long)layer);
    int32_t *expected = golden_tokens(g, name, &count);
    if (!expected) {
        g->skipped++;
        return;
    }
    struct tensor bias = g->model->router_bias[layer];
    double worst = 0;
    for (int64_t i = 0; i < count; i++) {
        int32_t ours = moe->plan.idx[i], theirs = expected[i];
        int64_t t = i / c->active_experts;
        if (ours == theirs) continue;
        double a = element(moe->scores, t * c->experts + ours);
        double b = element(moe->scores, t * c->experts + theirs);
        if (!tensor_is_absent(bias)) {
            a += element(bias, ours);
            b += element(bias, theirs);
        }
        if (fabs(a - b) > worst) worst = fabs(a - b);
    }
    report(g, worst <= tolerance_route, name, worst, tolerance_route);
    mem_free(expected);
    snprintf(name, sizeof name, "router.model.layers.%lld.mlp.weight", (long long)layer);
    if (worst == 0) compare(g, name, moe->weight, tolerance_state);

    snprintf(name, sizeof name, "router.model.layers.%lld.mlp.load", (long long)layer);
    int32_t *load = golden_tokens(g, name, &count);
    int64_t wrong = 0;
    for (int64_t e = 0; load && worst == 0 && e < count; e++)
        wrong += load[e] != g->model->loads[layer][e];
    if (load) report(g, wrong == 0, name, (double)wrong, 0);
    mem_free(load);
}

static double mean_nll(const struct predictions *p, int64_t count) {
    double sum = 0;
    for (int64_t i = 0; i < count; i++) sum -= (double)p->logp[i];
    return sum / (double)count;
}

static void compare_losses(struct golden *g, struct run *run, const struct train_batch *batch) {
    double total = golden_scalar(g, "loss_total");
    double main_loss = mean_nll(&batch->predictions, batch->batch.tokens_count), mtp = 0;
    for (int64_t k = 0; k < batch->mtp_modules; k++)
        mtp += mean_nll(&batch->mtp[k].predictions, batch->mtp[k].batch.tokens_count) /
               (double)batch->mtp_modules;
    double balance = run_balance_loss(run);
    const struct {
        const char *name;
        double value;
    } losses[] = {{"loss_main", main_loss},
                  {"loss_mtp", mtp},
                  {"loss_balance", balance},
                  {"loss_total", main_loss + g->mtp_weight * mtp + balance}};
    for (size_t i = 0; i < sizeof losses / sizeof losses[0]; i++) {
        double expected = golden_scalar(g, losses[i].name);
        if (isnan(expected)) {
            g->skipped++;
            continue;
        }
        double difference = fabs(losses[i].value - expected) / total;
        report(g, difference <= tolerance_loss, losses[i].name, difference, tolerance_loss);
    }
}

static void compare_forward(struct golden *g, struct pass_memory *m) {
    const struct model_config *c = &g->model->config;
    struct run *run = m->run;
    char name[64];
    for (int64_t i = 0; i <= c->layers; i++) {
        snprintf(name, sizeof name, "hidden.%lld", (long long)i);
        compare(g, name, run->x[i], tolerance_state);
    }
    compare_logits(g, m, "logits", run->hidden);
    for (int64_t k = 0; k < c->mtp_modules; k++) {
        snprintf(name, sizeof name, k == 0 ? "mtp_logits" : "mtp_logits.%lld", (long long)k + 1);
        compare_logits(g, m, name, run->mtp[k].hidden);
    }
    if (g->recompute == RECOMPUTE_LAYER) return; /* the layers' own activations are gone */
    for (int64_t layer = 0; layer < config_all_layers(c); layer++) {
        const struct layer_saved *saved =
            layer < c->layers ? &run->layers[layer] : &run->mtp[layer - c->layers].layer;
        if (config_layer_is_moe(c, layer)) compare_routing(g, layer, &saved->ffn.moe);
    }
}

static void compare_gradients(struct golden *g) {
    const struct param_list *list = &g->model->params;
    if (!safetensors_find(g->st, "grad.model.norm.weight")) {
        g->skipped++;
        return;
    }
    for (int64_t i = 0; i < list->count; i++) {
        char name[TENSOR_NAME_MAX + 8] = "grad.";
        if (!param_is_trained(&list->items[i])) continue;
        param_name(&list->items[i], name + strlen(name));
        if (!safetensors_find(g->st, name)) /* every trained tensor has a golden gradient */
            report(g, false, name, NAN, tolerance_grad);
        else
            compare(g, name, model_grad(g->model, &list->items[i]), tolerance_grad);
    }
}

static fathom_status check_pass(struct golden *g, struct pass_memory *m, const int32_t *rows,
                                const struct run_options *options, struct error *err) {
    struct sequence *sequences = NULL;
    struct train_batch batch;
    double mtp_coef[TRAINER_MAX_MTP] = {0};
    int64_t modules = g->model->config.mtp_modules;
    struct step_totals totals = step_totals_of(g->B, g->T, modules);
    for (int64_t k = 0; k < modules; k++)
        mtp_coef[k] = g->mtp_weight / (double)modules / (double)totals.mtp_tokens[k];
    const struct train_batch_options batch_options = {.coef = 1 / (double)totals.tokens,
                                                      .mtp_coef = mtp_coef,
                                                      .modules = modules,
                                                      .vocab = g->model->config.vocab};
    TRY(MEM_NEW(&sequences, g->B, "sequences", err));
    fill_sequences(sequences, rows, g->B, g->T);
    fathom_status status = train_batch_build(&batch, sequences, g->B, &batch_options, &m->host,
                                             &m->device, &m->stream, err);
    if (status == FATHOM_OK) {
        run_forward(m->run, &batch, options, &m->stream, &m->kept, &m->scratch);
        status = stream_check(&m->stream, err);
    }
    if (status == FATHOM_OK) {
        compare_forward(g, m);
        run_heads(m->run, true);
        compare_losses(g, m->run, &batch);
        run_backward(m->run);
        status = stream_check(&m->stream, err);
    }
    if (status == FATHOM_OK) compare_gradients(g);
    mem_free(sequences);
    return status;
}

/* ---- trajectory ---- */

static void compare_step(struct golden *g, int64_t step, const struct step_metrics *metrics,
                         const double *expected) {
    const double ours[] = {metrics->loss_total, metrics->loss_main, metrics->loss_mtp,
                           metrics->loss_balance};
    static const char *const names[] = {"total", "main", "mtp", "balance"};
    char what[64];
    for (int i = 0; i < 4; i++) {
        double difference = fabs(ours[i] - expected[i]) / expected[0];
        snprintf(what, sizeof what, "trajectory step %lld %s loss", (long long)step, names[i]);
        report(g, difference <= tolerance_loss, what, difference, tolerance_loss);
    }
    double difference = fabs(metrics->grad_norm - expected[4]) / expected[4];
    snprintf(what, sizeof what, "trajectory step %lld gradient norm", (long long)step);
    report(g, difference <= tolerance_norm, what, difference, tolerance_norm);
}

static void compare_final(struct golden *g) {
    for (int64_t i = 0; i < g->model->params.count; i++) {
        const struct param *p = &g->model->params.items[i];
        char name[TENSOR_NAME_MAX + 16] = "train.final.";
        int64_t count = 0;
        param_name(p, name + strlen(name));
        double *expected = golden_values(g, name, &count);
        double difference = 0, squares = 0;
        if (!expected) continue;
        struct tensor w = model_weight(g->model, p);
        for (int64_t j = 0; j < count; j++) {
            difference += pow(element(w, j) - expected[j], 2);
            squares += expected[j] * expected[j];
        }
        double ratio = sqrt(difference / (squares > 0 ? squares : 1));
        report(g, ratio <= tolerance_final, name, ratio, tolerance_final);
        mem_free(expected);
    }
}

static fathom_status run_steps(struct golden *g, struct trainer *trainer, const int32_t *tokens,
                               const double *expected, int64_t steps, int64_t B, int64_t T,
                               struct error *err) {
    struct sequence *sequences = NULL;
    struct step_totals totals = step_totals_of(B, T, g->model->config.mtp_modules);
    const struct step_weights weights = {.mtp = g->mtp_weight, .balance = g->balance_alpha};
    TRY(MEM_NEW(&sequences, B, "sequences", err));
    fathom_status status = FATHOM_OK;
    for (int64_t step = 0; status == FATHOM_OK && step < steps; step++) {
        struct step_metrics metrics;
        fill_sequences(sequences, tokens + step * B * (T + 1), B, T);
        trainer_begin(trainer, &totals, &weights);
        status = trainer_accumulate(trainer, sequences, B, err);
        if (status == FATHOM_OK)
            status = trainer_finish(trainer, g->learning_rate, g->bias_speed, &metrics, err);
        if (status == FATHOM_OK) compare_step(g, step, &metrics, expected + 5 * step);
    }
    mem_free(sequences);
    return status;
}

static fathom_status check_trajectory(struct golden *g, struct error *err) {
    const struct safetensors_entry *entry = safetensors_find(g->st, "train.tokens");
    struct trainer *trainer = NULL;
    int64_t count = 0;
    if (!entry) {
        g->skipped++;
        return FATHOM_OK;
    }
    int64_t steps = entry->shape[0], B = entry->shape[1], T = entry->shape[2] - 1;
    const struct trainer_options options = {.optimizer = g->optimizer,
                                            .recompute = g->recompute,
                                            .balance_alpha = g->balance_alpha,
                                            .micro_sequences = B,
                                            .sequence_length = T};
    int32_t *tokens = golden_tokens(g, "train.tokens", &count);
    double *expected = golden_values(g, "train.trajectory", &count);
    fathom_status status = model_load(g->model, g->directory, err);
    if (status == FATHOM_OK) status = trainer_new(&trainer, g->model, &options, err);
    if (status == FATHOM_OK && tokens && expected)
        status = run_steps(g, trainer, tokens, expected, steps, B, T, err);
    if (status == FATHOM_OK) compare_final(g);
    trainer_free(trainer);
    mem_free(tokens);
    mem_free(expected);
    return status;
}

/* ---- a directory ---- */

static fathom_status read_manifest(struct golden *g, struct error *err) {
    char *path = NULL;
    json_node *root = NULL;
    TRY(path_join(&path, g->directory, "manifest.json", err));
    fathom_status status = json_read_file(&root, path, 1 << 20, err);
    g->optimizer = (struct optimizer_options){0.9, 0.95, 1e-8, 0.1, 1, false};
    g->learning_rate = 0.002;
    g->bias_speed = 0.01;
    const json_node *train = json_member(root, "train");
    if (status == FATHOM_OK) status = json_get_f64(root, "mtp_lambda", &g->mtp_weight, path, err);
    if (status == FATHOM_OK)
        status = json_get_f64(root, "balance_alpha", &g->balance_alpha, path, err);
    if (status == FATHOM_OK) status = json_get_f64(train, "lr", &g->learning_rate, path, err);
    if (status == FATHOM_OK) status = json_get_f64(train, "bias_gamma", &g->bias_speed, path, err);
    if (status == FATHOM_OK) status = json_get_f64(train, "eps", &g->optimizer.eps, path, err);
    if (status == FATHOM_OK) status = json_get_f64(train, "clip", &g->optimizer.clip, path, err);
    json_free(root);
    mem_free(path);
    return status;
}

static fathom_status open_golden(struct golden *g, struct error *err) {
    char *path = NULL;
    TRY(read_manifest(g, err));
    TRY(path_join(&path, g->directory, "golden.safetensors", err));
    fathom_status status = safetensors_open(&g->st, path, err);
    mem_free(path);
    TRY(status);
    const struct safetensors_entry *ids = NULL;
    TRY(safetensors_need(g->st, "input_ids", &ids, err));
    if (ids->ndim != 2) RAISE(FATHOM_BAD_INPUT, "input_ids has %d dimensions", ids->ndim);
    g->B = ids->shape[0];
    g->T = ids->shape[1];
    return model_open(&g->model, g->device, g->directory, MODEL_GRADS, err);
}

static fathom_status check_directory(struct golden *g, struct error *err) {
    struct pass_memory memory = {0};
    TRY(open_golden(g, err));
    const struct run_options options = {.recompute = g->recompute,
                                        .balance_coef = g->balance_alpha / (double)g->B,
                                        .head_chunk = 16};
    int32_t *rows = join_tokens(g);
    fathom_status status = pass_memory_new(&memory, g, &options, err);
    if (status == FATHOM_OK && !rows)
        status = error_set(err, FATHOM_BAD_INPUT, "targets are not input_ids shifted by one");
    if (status == FATHOM_OK) status = check_pass(g, &memory, rows, &options, err);
    pass_memory_free(&memory);
    mem_free(rows);
    if (status == FATHOM_OK) status = check_trajectory(g, err);
    return status;
}

int main(int argc, char **argv) {
    struct error err = {0};
    struct engine *engine = NULL;
    struct device *device = NULL;
    const char *isa = NULL;
    int64_t threads = 0;
    int passed = 0, failed = 0, skipped = 0, at = 1;
    enum recompute recompute = RECOMPUTE_SELECTIVE;
    for (; at + 1 < argc && string_starts_with(argv[at], "--"); at += 2) {
        if (strcmp(argv[at], "--isa") == 0) isa = argv[at + 1];
        if (strcmp(argv[at], "--threads") == 0) string_to_i64(argv[at + 1], &threads);
        if (strcmp(argv[at], "--recompute") == 0) recompute = RECOMPUTE_LAYER;
    }
    if (engine_new(&engine, (int)threads, &err) != FATHOM_OK ||
        device_open(&device, engine, "cpu", isa, &err) != FATHOM_OK) {
        printf("FAILED  %s\n", err.text);
        failed++;
    }
    for (; device && at < argc; at++) {
        struct golden g = {.directory = argv[at], .device = device, .recompute = recompute};
        if (check_directory(&g, &err) != FATHOM_OK) {
            printf("FAILED  %s: %s\n", argv[at], err.text);
            g.failed++;
        }
        passed += g.passed;
        failed += g.failed;
        skipped += g.skipped;
        model_free(g.model);
        safetensors_close(g.st);
    }
    device_close(device);
    engine_free(engine);
    printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
    return failed > 0;
}
