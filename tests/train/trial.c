#include "trial.h"

#include <stdio.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "comm/loopback.h"
#include "harness.h"

const char trial_config[] =
    "{\"model_type\": \"deepseek_v3\", \"vocab_size\": 512, \"hidden_size\": 128, "
    "\"num_hidden_layers\": 2, \"num_attention_heads\": 2, \"intermediate_size\": 96, "
    "\"moe_intermediate_size\": 64, \"qk_nope_head_dim\": 16, \"qk_rope_head_dim\": 8, "
    "\"v_head_dim\": 16, \"q_lora_rank\": 24, \"kv_lora_rank\": 32, \"n_routed_experts\": 8, "
    "\"n_shared_experts\": 1, \"num_experts_per_tok\": 2, \"n_group\": 2, \"topk_group\": 1, "
    "\"first_k_dense_replace\": 1, \"num_nextn_predict_layers\": 1, \"bos_token_id\": 0, "
    "\"eos_token_id\": 1}";

const char trial_small[] =
    "{\"model_type\": \"deepseek_v3\", \"vocab_size\": 512, \"hidden_size\": 16, "
    "\"num_hidden_layers\": 2, \"num_attention_heads\": 2, \"intermediate_size\": 16, "
    "\"moe_intermediate_size\": 16, \"qk_nope_head_dim\": 8, \"qk_rope_head_dim\": 4, "
    "\"v_head_dim\": 8, \"q_lora_rank\": 8, \"kv_lora_rank\": 8, \"n_routed_experts\": 4, "
    "\"n_shared_experts\": 1, \"num_experts_per_tok\": 2, \"n_group\": 2, \"topk_group\": 1, "
    "\"first_k_dense_replace\": 1, \"num_nextn_predict_layers\": 1, \"bos_token_id\": 0, "
    "\"eos_token_id\": 1}";

const struct trial trial_plain = {
    .config = trial_config, .steps = STEPS, .bad_at = -1, .fails_on = -1, .waits_on = -1};

/* ---- a rank ---- */

struct rank {
    struct trial *trial;
    struct comm *comm; /* NULL: the only one */
    struct model *model;
    struct trainer *trainer;
};

static struct pipeline_place place_of(const struct rank *r) {
    return pipeline_place_of(r->comm, r->trial->stages > 1 ? r->trial->stages : 1);
}

/* Micro-batches of a step for a replica of every stage. */
struct share {
    int64_t first, count;
};
static struct share share_of(const struct rank *r) {
    const struct pipeline_place place = place_of(r);
    const int64_t all = BATCH / MICRO, begin = all * place.replica / place.replicas;
    if (r->trial->is_all_on_0) return (struct share){0, place.replica == 0 ? all : 0};
    return (struct share){begin, all * (place.replica + 1) / place.replicas - begin};
}

/* What a rank's micro-batches of a step are read into. */
struct reader {
    const struct rank *rank;
    int64_t step, first;
    int32_t tokens[MICRO][LENGTH + 1];
    struct sequence sequences[MICRO];
};

static fathom_status read_micro_batch(void *owner, int64_t index, const struct sequence **sequences,
                                      int64_t *count, struct error *err) {
    struct reader *reader = owner;
    const struct comm *comm = reader->rank->comm;
    const struct trial *trial = reader->rank->trial;
    const int64_t first = (reader->first + index) * MICRO;
    if (comm && comm->rank == trial->fails_on && reader->step == 1 && index == trial->fails_at)
        RAISE(FATHOM_IO, "no more data");
    for (int64_t i = 0; i < MICRO; i++) {
        const struct rng_key key = {5, RNG_TEST, (uint64_t)(reader->step * BATCH + first + i)};
        for (uint64_t at = 0; at <= LENGTH; at++)
            reader->tokens[i][at] = (int32_t)rng_below(key, at, 1 + (uint64_t)(first + i) * 60);
        reader->sequences[i] = (struct sequence){.tokens = reader->tokens[i], .count = LENGTH};
    }
    *sequences = reader->sequences;
    *count = MICRO;
    return FATHOM_OK;
}

static fathom_status accumulate(struct rank *r, int64_t step, struct error *err) {
    const struct share share = share_of(r);
    struct reader reader = {.rank = r, .step = step, .first = share.first};
    if (!r->trial->is_one_by_one)
        return trainer_accumulate_all(
            r->trainer, &(struct micro_batches){read_micro_batch, &reader, share.count}, err);
    for (int64_t i = 0; i < share.count; i++) {
        const struct sequence *sequences = NULL;
        int64_t count = 0;
        TRY(read_micro_batch(&reader, i, &sequences, &count, err));
        TRY(trainer_accumulate(r->trainer, sequences, count, err));
    }
    return FATHOM_OK;
}

/* With divided experts a rank has gradients of its own ones only. */
static void check_own_experts(const struct rank *r) {
    const struct param_list *list = &r->model->params;
    const int64_t own = r->model->config.experts / r->comm->size;
    for (int64_t i = 0; i < list->count; i++) {
        const struct param *p = &list->items[i];
        if (p->group != GROUP_EXPERT || p->expert / own == r->comm->rank) continue;
        const float *grad = model_grad(r->model, p).data;
        for (int64_t k = 0; k < param_count(p); k++) CHECK(grad[k] == 0);
    }
}

static fathom_status take_step(struct rank *r, int64_t step, struct step_metrics *metrics,
                               struct error *err) {
    const struct step_totals totals = step_totals_of(BATCH, LENGTH, r->model->config.mtp_modules);
    trainer_begin(r->trainer, &totals, &(struct step_weights){.mtp = 0.3, .balance = 1e-3});
    if (r->comm && r->comm->rank == r->trial->waits_on && step == 1)
        comm_run(r->comm, &r->trainer->stream, &(struct comm_op){.kind = COMM_BARRIER});
    else
        TRY(accumulate(r, step, err));
    if (r->comm && r->trial->divides_experts) check_own_experts(r);
    return trainer_finish(r->trainer, 1e-3, 1e-3, metrics, err);
}

static uint64_t hash_of_param(const struct model *model, const struct param *p) {
    const struct tensor w = model_weight(model, p);
    return hash_bytes(w.data, (size_t)tensor_count(w) * dtype_size(w.dtype));
}

/* Of what is the model's own. */
static uint64_t hash_of_weights(const struct model *model, bool is_state) {
    uint64_t hash = 0;
    for (int64_t i = 0; i < model->params.count; i++) {
        const struct param *p = &model->params.items[i];
        if (param_is_trained(p) == is_state || p->group == GROUP_COPY) continue;
        hash += hash_of_param(model, p) * (uint64_t)(2 * p->number + 1);
    }
    return hash;
}

static uint64_t hash_of_embedding(const struct model *model) {
    const struct param *p = param_find(&model->params, TENSOR_EMBEDDING, -1, -1);
    return p ? hash_of_param(model, p) : 0;
}

static struct checkpoint_options save_options(const struct trial *trial) {
    return (struct checkpoint_options){
        .run = trial->save, .files_from = trial->save, .options_json = "{}", .keep = 100};
}

static fathom_status resume(struct rank *r, struct error *err) {
    struct checkpoint checkpoint = {0};
    TRY(checkpoint_open(&checkpoint, r->trial->save, INT64_MAX, err));
    const struct trained trained = trainer_trained(r->trainer, NULL);
    fathom_status status = checkpoint_load(&checkpoint, &trained, err);
    checkpoint_close(&checkpoint);
    return status;
}

static fathom_status run_steps(struct rank *r, struct error *err) {
    struct trial *trial = r->trial;
    const int own = r->comm ? r->comm->rank : 0;
    if (trial->bad_at >= 0) {
        const struct param *p = param_find(&r->model->params, TENSOR_O, 1, -1);
        if (p) ((float *)model_weight(r->model, p).data)[trial->bad_at] = NAN;
    }
    if (trial->is_resumed) TRY(resume(r, err));
    for (int64_t step = 0; step < trial->steps; step++) {
        struct step_metrics metrics;
        TRY(take_step(r, trial->first_step + step, &metrics, err));
        if (own > 0) continue;
        trial->metrics[step] = metrics;
        trial->violations[step] = metrics.max_violation[0];
    }
    if (!trial->save || trial->is_resumed) return FATHOM_OK;
    const struct checkpoint_options options = save_options(trial);
    const struct state_info info = {.step = trial->steps};
    const struct trained trained = trainer_trained(r->trainer, NULL);
    return checkpoint_save(&options, &trained, &info, err);
}

struct trainer_options trial_options(const struct trial *trial, struct comm *comm) {
    return (struct trainer_options){.optimizer = {.beta1 = 0.9,
                                                  .beta2 = 0.95,
                                                  .eps = 1e-8,
                                                  .decay = 0.1,
                                                  .clip = 1,
                                                  .has_bf16_moments = trial->has_bf16_moments},
                                    .recompute = trial->recompute,
                                    .balance_alpha = 1e-3,
                                    .micro_sequences = MICRO,
                                    .sequence_length = LENGTH,
                                    .divides_experts = trial->divides_experts,
                                    .stages = trial->stages,
                                    .comm = comm};
}

/* The own stage's model, where the ranks can form pipelines. */
static fathom_status take_model(struct rank *r, struct device *device, struct error *err) {
    const struct pipeline_place place = place_of(r);
    struct model_config config;
    TRY(config_parse(&config, r->trial->config, strlen(r->trial->config), "config", err));
    struct stage stage = stage_whole(&config);
    if (place.stage < place.stages && !r->trial->holds_all)
        TRY(stage_divide(&stage, place.stage, place.stages, &config, LENGTH, err));
    TRY(model_new_stage(&r->model, device, &config, stage, MODEL_GRADS, err));
    return model_init(r->model, 1, 0, err);
}

/* Every slot has been used, and its arenas are as large as the pass needs. */
static void check_slots(const struct rank *r) {
    const struct pipeline *p = r->trainer->pipeline;
    const struct pipeline_place place = place_of(r);
    CHECK_EQ(p->slot_count, place.stages - place.stage);
    for (int i = 0; i < p->slot_count && i < share_of(r).count; i++)
        CHECK_EQ(p->slots[i].kept.peak, p->slots[i].kept.capacity);
    if (share_of(r).count > 0) CHECK_EQ(p->scratch.peak, p->scratch.capacity);
}

static fathom_status run_on(struct rank *r, struct device *device, struct error *err) {
    const struct trainer_options options = trial_options(r->trial, r->comm);
    const int own = r->comm ? r->comm->rank : 0;
    TRY(take_model(r, device, err));
    TRY(trainer_new(&r->trainer, r->model, &options, err));
    fathom_status status = run_steps(r, err);
    if (status == FATHOM_OK && r->trial->stages > 1 && !r->trial->is_one_by_one) check_slots(r);
    r->trial->weights[own] = hash_of_weights(r->model, false);
    r->trial->biases[own] = hash_of_weights(r->model, true);
    r->trial->embeddings[own] = hash_of_embedding(r->model);
    r->trial->outcomes[own] = status;
    if (status != FATHOM_OK) memcpy(r->trial->texts[own], err->text, ERROR_TEXT_MAX);
    return status;
}

static fathom_status rank_main(void *arg, struct comm *comm, struct error *err) {
    struct rank r = {.trial = arg, .comm = comm};
    struct engine *engine = NULL;
    struct device *device = NULL;
    TRY(engine_new(&engine, 1, err));
    fathom_status status = device_open(&device, engine, "cpu", NULL, err);
    if (status == FATHOM_OK) status = run_on(&r, device, err);
    trainer_free(r.trainer);
    model_free(r.model);
    device_close(device);
    engine_free(engine);
    return status;
}

fathom_status run_trial(struct trial *trial, int ranks, struct error *err) {
    return ranks == 0 ? rank_main(trial, NULL, err)
                      : comm_run_loopback(ranks, rank_main, trial, err);
}

/* ---- kinds of trials ---- */

struct trial trial_on(const char *config, int stages) {
    struct trial trial = trial_plain;
    trial.config = config;
    trial.stages = stages;
    return trial;
}

struct trial trial_saving(const char *config, int stages, const char *directory) {
    struct trial saved = trial_on(config, stages);
    saved.steps = 3;
    saved.is_all_on_0 = true;
    saved.has_bf16_moments = true;
    saved.save = directory;
    return saved;
}

struct trial trial_resuming(const char *config, int stages, const char *directory) {
    struct trial rest = trial_saving(config, stages, directory);
    rest.is_resumed = true;
    rest.first_step = 3;
    return rest;
}

/* ---- against each other ---- */

static struct error err;

void check_trial_near(const struct step_metrics *a, const struct step_metrics *b,
                      double tolerance) {
    CHECK_NEAR(a->loss_main / b->loss_main, 1, tolerance);
    if (b->loss_mtp != 0) CHECK_NEAR(a->loss_mtp / b->loss_mtp, 1, tolerance);
    CHECK_NEAR(a->loss_balance / b->loss_balance, 1, tolerance);
    CHECK_NEAR(a->loss_total / b->loss_total, 1, tolerance);
    CHECK_NEAR(a->grad_norm / b->grad_norm, 1, tolerance);
}

uint64_t trial_sum(const uint64_t *values, int ranks, const struct trial *trial) {
    const int stages = trial->stages > 1 ? trial->stages : 1, replicas = ranks / stages;
    uint64_t sum = 0;
    for (int stage = 0; stage < stages; stage++) {
        sum += values[stage * replicas];
        for (int i = 1; i < replicas; i++)
            CHECK(values[stage * replicas + i] == values[stage * replicas]);
    }
    return sum;
}

void check_trial_as_one(const struct trial *many, int ranks, const struct trial *one) {
    for (int step = 0; step < STEPS; step++) {
        harness_context("%d ranks, step %d", ranks, step);
        check_trial_near(&many->metrics[step], &one->metrics[step], step == 0 ? 1e-6 : 1e-5);
        CHECK(many->violations[step] == one->violations[step]);
    }
    CHECK(trial_sum(many->biases, ranks, many) == one->biases[0]);
    trial_sum(many->weights, ranks, many);
    for (int rank = 0; rank < ranks; rank++)
        CHECK(many->embeddings[rank] == 0 || many->embeddings[rank] == many->embeddings[0]);
}

/* ---- files ---- */

const char *trial_directory(int number) {
    char path[1000];
    snprintf(path, sizeof path, "%s/ranks-%d", harness_directory(), number);
    char *copy = harness_keep(strdup(path));
    CHECK_OK(path_make_directory(copy, &err), &err);
    return copy;
}

uint64_t trial_file_hash(const char *directory, const char *name) {
    struct file_map map;
    char path[1200];
    snprintf(path, sizeof path, "%s/step-00000003/%s", directory, name);
    CHECK_OK(file_map_open(&map, path, &err), &err);
    const uint64_t hash = hash_bytes(map.data, map.size);
    file_map_close(&map);
    return hash;
}

void check_trial_fails_to_save(struct trial saved, int ranks) {
    saved.steps = 1;
    saved.save = "/proc/no-such-place";
    CHECK_STATUS(run_trial(&saved, ranks, &err), FATHOM_IO);
    for (int rank = 0; rank < ranks; rank++) {
        CHECK_STATUS(saved.outcomes[rank], FATHOM_IO);
        CHECK_HAS(saved.texts[rank], rank == 0 ? "no-such-place" : "rank 0 failed");
    }
}

/* ---- memory ---- */

/* A step on two ranks with the n-th allocation failing. */
static fathom_status step_with_failure(const struct trial *like, int n, const char *save) {
    struct trial trial = *like;
    trial.config = trial_small;
    trial.steps = 1;
    trial.save = save;
    harness_context("allocation %d", n);
    mem_fail_after(n);
    fathom_status status = run_trial(&trial, 2, &err);
    mem_fail_after(0);
    if (status != FATHOM_OK) CHECK_STATUS(status, FATHOM_NO_MEMORY);
    return status;
}

/* Wherever a rank stops, the other stops too; those of a checkpoint follow those of a step. */
void sweep_trial(const struct trial *like) {
    int n = 1, saving;
    while (n < 300 && step_with_failure(like, n, NULL) != FATHOM_OK) n++;
    CHECK(n > 50 && n < 300);
    for (saving = n; saving < 700; saving++)
        if (step_with_failure(like, saving, trial_directory(saving)) == FATHOM_OK) break;
    CHECK(saving > n + 20 && saving < 700);
}
