/* The trainer on several ranks against one: losses, norms, weights, checkpoints; data-parallel,
 * with divided experts, and as pipelines. The model's groups have several chunks each, so that
 * every rank has a shard. */
#include <stdio.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "comm/loopback.h"
#include "harness.h"
#include "train/checkpoint.h"
#include "train/trainer.h"

static const char config_json[] =
    "{\"model_type\": \"deepseek_v3\", \"vocab_size\": 512, \"hidden_size\": 128, "
    "\"num_hidden_layers\": 2, \"num_attention_heads\": 2, \"intermediate_size\": 96, "
    "\"moe_intermediate_size\": 64, \"qk_nope_head_dim\": 16, \"qk_rope_head_dim\": 8, "
    "\"v_head_dim\": 16, \"q_lora_rank\": 24, \"kv_lora_rank\": 32, \"n_routed_experts\": 8, "
    "\"n_shared_experts\": 1, \"num_experts_per_tok\": 2, \"n_group\": 2, \"topk_group\": 1, "
    "\"first_k_dense_replace\": 1, \"num_nextn_predict_layers\": 1, \"bos_token_id\": 0, "
    "\"eos_token_id\": 1}";

/* For sweeps, which take many runs. */
static const char small_json[] =
    "{\"model_type\": \"deepseek_v3\", \"vocab_size\": 512, \"hidden_size\": 16, "
    "\"num_hidden_layers\": 2, \"num_attention_heads\": 2, \"intermediate_size\": 16, "
    "\"moe_intermediate_size\": 16, \"qk_nope_head_dim\": 8, \"qk_rope_head_dim\": 4, "
    "\"v_head_dim\": 8, \"q_lora_rank\": 8, \"kv_lora_rank\": 8, \"n_routed_experts\": 4, "
    "\"n_shared_experts\": 1, \"num_experts_per_tok\": 2, \"n_group\": 2, \"topk_group\": 1, "
    "\"first_k_dense_replace\": 1, \"num_nextn_predict_layers\": 1, \"bos_token_id\": 0, "
    "\"eos_token_id\": 1}";

/* Layers for four stages. MTP modules and a tied head read the embedding on the last one. */
#define DEEP_JSON(modules, is_tied)                                                                \
    "{\"model_type\": \"deepseek_v3\", \"vocab_size\": 512, \"hidden_size\": 64, "                 \
    "\"num_hidden_layers\": 5, \"num_attention_heads\": 2, \"intermediate_size\": 96, "            \
    "\"moe_intermediate_size\": 32, \"qk_nope_head_dim\": 16, \"qk_rope_head_dim\": 8, "           \
    "\"v_head_dim\": 16, \"q_lora_rank\": 24, \"kv_lora_rank\": 32, \"n_routed_experts\": 8, "     \
    "\"n_shared_experts\": 1, \"num_experts_per_tok\": 2, \"n_group\": 2, \"topk_group\": 1, "     \
    "\"first_k_dense_replace\": 1, \"num_nextn_predict_layers\": " modules ", "                    \
    "\"tie_word_embeddings\": " is_tied ", \"bos_token_id\": 0, \"eos_token_id\": 1}"
static const char deep_json[] = DEEP_JSON("2", "false");
static const char tied_json[] = DEEP_JSON("1", "true");
static const char unshared_json[] = DEEP_JSON("0", "false");

enum { STEPS = 10, BATCH = 8, MICRO = 2, LENGTH = 12, MOST_RANKS = 4 };

/* A run: what its ranks do, and what they leave. */
struct trial {
    const char *config;
    int steps;
    bool has_bf16_moments;
    bool is_all_on_0; /* rank 0 takes every micro-batch */
    bool divides_experts;
    int stages;         /* of the pipelines; 0: none */
    bool is_one_by_one; /* micro-batches are accumulated in a call each */
    bool holds_all;     /* every rank's model is whole */
    int fails_on;       /* the rank that cannot read a micro-batch of step 1; -1: none */
    int64_t fails_at;   /* that one, from 0 */
    int waits_on;       /* the rank that waits for all others in place of step 1; -1: none */
    enum recompute recompute;
    int64_t bad_at;     /* a weight of the last layer that is no number in the first step; -1 */
    const char *save;   /* a directory for checkpoints; NULL: none */
    bool is_resumed;    /* from the newest of them */
    int64_t first_step; /* of the samples' order */
    struct step_metrics metrics[STEPS]; /* of rank 0 */
    double violations[STEPS];
    /* Sums of what each parameter has, so that those of the stages add up to a whole model's. */
    uint64_t weights[MOST_RANKS], biases[MOST_RANKS];
    uint64_t embeddings[MOST_RANKS]; /* the stage's, or its copy; 0: none */
    fathom_status outcomes[MOST_RANKS];
    char texts[MOST_RANKS][ERROR_TEXT_MAX];
};

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

static struct trainer_options trainer_options(const struct trial *trial, struct comm *comm) {
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
    const struct trainer_options options = trainer_options(r->trial, r->comm);
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

/* 0 ranks: the trainer without a communicator. */
static fathom_status run_trial(struct trial *trial, int ranks, struct error *err) {
    return ranks == 0 ? rank_main(trial, NULL, err)
                      : comm_run_loopback(ranks, rank_main, trial, err);
}

static const struct trial plain = {
    .config = config_json, .steps = STEPS, .bad_at = -1, .fails_on = -1, .waits_on = -1};
static struct error err;

/* ---- against one rank ---- */

static void check_near(const struct step_metrics *a, const struct step_metrics *b,
                       double tolerance) {
    CHECK_NEAR(a->loss_main / b->loss_main, 1, tolerance);
    if (b->loss_mtp != 0) CHECK_NEAR(a->loss_mtp / b->loss_mtp, 1, tolerance);
    CHECK_NEAR(a->loss_balance / b->loss_balance, 1, tolerance);
    CHECK_NEAR(a->loss_total / b->loss_total, 1, tolerance);
    CHECK_NEAR(a->grad_norm / b->grad_norm, 1, tolerance);
}

/* What the stages have together; the replicas of each have the same. */
static uint64_t sum_of_stages(const uint64_t *values, int ranks, const struct trial *trial) {
    const int stages = trial->stages > 1 ? trial->stages : 1, replicas = ranks / stages;
    uint64_t sum = 0;
    for (int stage = 0; stage < stages; stage++) {
        sum += values[stage * replicas];
        for (int i = 1; i < replicas; i++)
            CHECK(values[stage * replicas + i] == values[stage * replicas]);
    }
    return sum;
}

static void check_as_one(const struct trial *many, int ranks, const struct trial *one) {
    for (int step = 0; step < STEPS; step++) {
        harness_context("%d ranks, step %d", ranks, step);
        check_near(&many->metrics[step], &one->metrics[step], step == 0 ? 1e-6 : 1e-5);
        CHECK(many->violations[step] == one->violations[step]);
    }
    CHECK(sum_of_stages(many->biases, ranks, many) == one->biases[0]);
    sum_of_stages(many->weights, ranks, many);
    for (int rank = 0; rank < ranks; rank++)
        CHECK(many->embeddings[rank] == 0 || many->embeddings[rank] == many->embeddings[0]);
}

static void check_ranks_train_as_one(const struct trial *trial) {
    static const int sizes[] = {1, 2, 4};
    struct trial one = plain;
    CHECK_OK(run_trial(&one, 0, &err), &err);
    CHECK(one.metrics[STEPS - 1].loss_main < 0.97 * one.metrics[0].loss_main);
    for (int i = 0; i < 3; i++) {
        struct trial many = *trial;
        CHECK_OK(run_trial(&many, sizes[i], &err), &err);
        check_as_one(&many, sizes[i], &one);
        if (sizes[i] == 1) CHECK(many.weights[0] == one.weights[0]);
    }
}

static void ranks_train_as_one_does(void) { check_ranks_train_as_one(&plain); }

static void ranks_that_divide_the_experts_train_as_one_does(void) {
    struct trial divided = plain;
    divided.divides_experts = true;
    check_ranks_train_as_one(&divided);
}

/* Layers that are computed again send their tokens again, in step with the other ranks. */
static void divided_experts_may_be_recomputed(void) {
    struct trial kept = plain, again = plain;
    kept.divides_experts = again.divides_experts = true;
    again.recompute = RECOMPUTE_LAYER;
    CHECK_OK(run_trial(&kept, 2, &err), &err);
    CHECK_OK(run_trial(&again, 2, &err), &err);
    CHECK(again.weights[0] == kept.weights[0]);
}

/* Three ranks cannot divide eight experts. */
static void experts_that_ranks_cannot_divide_are_refused(void) {
    struct trial divided = plain;
    divided.divides_experts = true;
    CHECK_STATUS(run_trial(&divided, 3, &err), FATHOM_USAGE);
    CHECK_HAS(err.text, "8 experts cannot be divided among 3 ranks");
}

/* Ranks without a share add zeros: all that sharding does is then exact. */
static void check_sharding(bool has_bf16_moments) {
    struct trial one = plain;
    one.has_bf16_moments = has_bf16_moments;
    CHECK_OK(run_trial(&one, 0, &err), &err);
    for (int ranks = 2; ranks <= MOST_RANKS; ranks++) {
        struct trial many = plain;
        many.is_all_on_0 = true;
        many.has_bf16_moments = has_bf16_moments;
        harness_context("%d ranks, BF16 moments: %d", ranks, has_bf16_moments);
        CHECK_OK(run_trial(&many, ranks, &err), &err);
        for (int step = 0; step < STEPS; step++) {
            CHECK(many.metrics[step].grad_norm == one.metrics[step].grad_norm);
            CHECK(many.metrics[step].loss_total == one.metrics[step].loss_total);
        }
        for (int rank = 0; rank < ranks; rank++) CHECK(many.weights[rank] == one.weights[0]);
    }
}

static void sharding_alone_does_not_change_a_bit(void) {
    check_sharding(false);
    check_sharding(true);
}

static void a_gradient_that_is_not_finite_is_named_on_every_rank(void) {
    struct trial one = plain;
    one.bad_at = 5;
    CHECK_STATUS(run_trial(&one, 0, &err), FATHOM_NOT_FINITE);
    CHECK_HAS(err.text, "the gradient of model.");
    for (int ranks = 2; ranks <= MOST_RANKS; ranks++) {
        struct trial many = plain;
        many.bad_at = 5;
        CHECK_STATUS(run_trial(&many, ranks, &err), FATHOM_NOT_FINITE);
        for (int rank = 0; rank < ranks; rank++) {
            CHECK_STATUS(many.outcomes[rank], FATHOM_NOT_FINITE);
            CHECK_STR(many.texts[rank], one.texts[0]);
            CHECK(many.weights[rank] == one.weights[0]);
        }
    }
}

/* ---- pipelines ---- */

/* Layouts of ranks: stages, and as many replicas of each as the rest makes. */
static const struct layout { int ranks, stages; } layouts[] = {{2, 2}, {3, 3}, {4, 4}, {4, 2}};
enum { LAYOUTS = sizeof layouts / sizeof layouts[0] };

static struct trial piped(const char *config, int stages) {
    struct trial trial = plain;
    trial.config = config;
    trial.stages = stages;
    return trial;
}

static void stages_train_as_one_rank_does(void) {
    static const char *const configs[] = {deep_json, tied_json, unshared_json};
    for (int c = 0; c < 3; c++) {
        struct trial one = piped(configs[c], 0);
        CHECK_OK(run_trial(&one, 0, &err), &err);
        for (int i = 0; i < LAYOUTS; i++) {
            struct trial many = piped(configs[c], layouts[i].stages);
            CHECK_OK(run_trial(&many, layouts[i].ranks, &err), &err);
            check_as_one(&many, layouts[i].ranks, &one);
        }
    }
}

/* Every tensor has its gradients from one stage, in the order of the micro-batches. The norm is a
 * sum of the stages', and differs in double precision. */
static void stages_that_share_no_tensor_have_the_bits_of_one_rank(void) {
    struct trial one = piped(unshared_json, 0);
    CHECK_OK(run_trial(&one, 0, &err), &err);
    for (int i = 0; i < 3; i++) {
        for (int is_one_by_one = 0; is_one_by_one < 2; is_one_by_one++) {
            struct trial many = piped(unshared_json, layouts[i].stages);
            many.is_one_by_one = is_one_by_one;
            many.recompute = is_one_by_one ? RECOMPUTE_LAYER : RECOMPUTE_SELECTIVE;
            harness_context("%d stages, one by one: %d", layouts[i].stages, is_one_by_one);
            CHECK_OK(run_trial(&many, layouts[i].ranks, &err), &err);
            for (int step = 0; step < STEPS; step++) {
                CHECK(many.metrics[step].loss_main == one.metrics[step].loss_main);
                CHECK_NEAR(many.metrics[step].grad_norm / one.metrics[step].grad_norm, 1, 1e-14);
            }
            CHECK(sum_of_stages(many.weights, layouts[i].ranks, &many) == one.weights[0]);
        }
    }
}

static void a_gradient_that_is_not_finite_is_named_on_every_stage(void) {
    struct trial one = piped(unshared_json, 0);
    one.bad_at = 5;
    CHECK_STATUS(run_trial(&one, 0, &err), FATHOM_NOT_FINITE);
    const char *name = strstr(one.texts[0], "the gradient of model.");
    CHECK(name);
    for (int i = 0; i < LAYOUTS; i++) {
        struct trial many = piped(unshared_json, layouts[i].stages);
        many.bad_at = 5;
        CHECK_STATUS(run_trial(&many, layouts[i].ranks, &err), FATHOM_NOT_FINITE);
        for (int rank = 0; rank < layouts[i].ranks; rank++) {
            CHECK_STATUS(many.outcomes[rank], FATHOM_NOT_FINITE);
            CHECK_STR(many.texts[rank], many.texts[0]);
            CHECK_HAS(many.texts[rank], name);
        }
        CHECK(sum_of_stages(many.biases, layouts[i].ranks, &many) == one.biases[0]);
    }
}

static void check_failing_stage(struct layout layout, int fails_on, int64_t fails_at) {
    struct trial many = piped(deep_json, layout.stages);
    many.fails_on = fails_on;
    many.fails_at = fails_at;
    harness_context("rank %d of %d, micro-batch %d", fails_on, layout.ranks, (int)fails_at);
    CHECK_STATUS(run_trial(&many, layout.ranks, &err), FATHOM_IO);
    CHECK_HAS(err.text, "no more data");
    for (int rank = 0; rank < layout.ranks; rank++) {
        CHECK_STATUS(many.outcomes[rank], rank == fails_on ? FATHOM_IO : FATHOM_PEER);
        CHECK_HAS(many.texts[rank], "no more data");
    }
}

/* Wherever its messages are, a stage that fails ends the others' waits, which say why. */
static void a_stage_that_fails_ends_all(void) {
    for (int i = 0; i < LAYOUTS; i++) {
        const int replicas = layouts[i].ranks / layouts[i].stages;
        for (int rank = 0; rank < layouts[i].ranks; rank++)
            for (int64_t at = 0; at < BATCH / MICRO / replicas; at++)
                check_failing_stage(layouts[i], rank, at);
    }
}

/* Rank 1 never takes what rank 0 has sent before it failed. */
static void a_stage_that_fails_does_not_wait_for_its_neighbour(void) {
    struct trial many = piped(deep_json, 2);
    many.fails_on = 0;
    many.fails_at = 1;
    many.waits_on = 1;
    CHECK_STATUS(run_trial(&many, 2, &err), FATHOM_IO);
    CHECK_STATUS(many.outcomes[1], FATHOM_PEER);
    CHECK_HAS(many.texts[1], "no more data");
}

static void pipelines_that_ranks_cannot_form_are_refused(void) {
    struct trial trial = piped(deep_json, 2);
    CHECK_STATUS(run_trial(&trial, 3, &err), FATHOM_USAGE);
    CHECK_HAS(err.text, "2 pipeline stages cannot have the same number of 3 ranks each");
    trial.divides_experts = true;
    CHECK_STATUS(run_trial(&trial, 4, &err), FATHOM_UNSUPPORTED);
    CHECK_HAS(err.text, "take one or the other");
    trial = piped(config_json, 3);
    CHECK_STATUS(run_trial(&trial, 3, &err), FATHOM_USAGE);
    CHECK_HAS(err.text, "3 stages needs as many layers");
    trial = piped(deep_json, 2);
    trial.holds_all = true;
    CHECK_STATUS(run_trial(&trial, 2, &err), FATHOM_USAGE);
    CHECK_HAS(err.text, "layers [0, 5) of 5 are not those of stage");
}

/* ---- shards ---- */

static fathom_status measure(struct trainer_bytes *bytes, struct comm *comm) {
    struct model_config config;
    struct engine *engine = NULL;
    struct device *device = NULL;
    struct model *model = NULL;
    const struct trainer_options options = trainer_options(&plain, comm);
    CHECK_OK(engine_new(&engine, 1, &err), &err);
    CHECK_OK(device_open(&device, engine, "cpu", NULL, &err), &err);
    CHECK_OK(config_parse(&config, config_json, strlen(config_json), "config", &err), &err);
    CHECK_OK(model_new(&model, device, &config, MODEL_GRADS | MODEL_DRY, &err), &err);
    fathom_status status = trainer_measure(bytes, model, &options, &err);
    model_free(model);
    device_close(device);
    engine_free(engine);
    return status;
}

static void moments_are_divided_among_the_ranks(void) {
    struct trainer_bytes one;
    CHECK_OK(measure(&one, NULL), &err);
    for (int ranks = 2; ranks <= MOST_RANKS; ranks++) {
        size_t sum = 0, largest = 0;
        for (int rank = 0; rank < ranks; rank++) {
            struct trainer_bytes bytes;
            CHECK_OK(measure(&bytes, &(struct comm){.rank = rank, .size = ranks}), &err);
            sum += bytes.moments;
            if (bytes.moments > largest) largest = bytes.moments;
        }
        harness_context("%d ranks", ranks);
        CHECK(sum >= one.moments && sum < one.moments + 1000); /* the norm's chunk sums */
        CHECK(largest <= one.moments / (size_t)ranks + 4 * SUMSQ_CHUNK * sizeof(float));
    }
}

static void shards_meet_at_chunks(void) {
    static const int64_t sizes[] = {0, 1, SUMSQ_CHUNK, SUMSQ_CHUNK + 1, 5 * SUMSQ_CHUNK + 17};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (int ranks = 1; ranks <= 8; ranks++) {
            int64_t at = 0;
            for (int rank = 0; rank < ranks; rank++) {
                const struct shard s =
                    zero_shard(sizes[i], &(struct comm){.rank = rank, .size = ranks});
                CHECK_EQ(s.begin, at);
                CHECK(s.begin % SUMSQ_CHUNK == 0 || s.begin == sizes[i]);
                CHECK(s.end >= s.begin);
                at = s.end;
            }
            CHECK_EQ(at, sizes[i]);
        }
    }
}

/* ---- checkpoints ---- */

static const char *directory_of(int ranks) {
    char path[1000];
    snprintf(path, sizeof path, "%s/ranks-%d", harness_directory(), ranks);
    char *copy = harness_keep(strdup(path));
    CHECK_OK(path_make_directory(copy, &err), &err);
    return copy;
}

static uint64_t hash_of_file(const char *directory, const char *name) {
    struct file_map map;
    char path[1200];
    snprintf(path, sizeof path, "%s/step-00000003/%s", directory, name);
    CHECK_OK(file_map_open(&map, path, &err), &err);
    const uint64_t hash = hash_bytes(map.data, map.size);
    file_map_close(&map);
    return hash;
}

/* Three steps, of which the first replica takes all micro-batches. */
static struct trial saving(const char *config, int stages, const char *directory) {
    struct trial saved = piped(config, stages);
    saved.steps = 3;
    saved.is_all_on_0 = true;
    saved.has_bf16_moments = true;
    saved.save = directory;
    return saved;
}

static void save_on(int ranks, const char *directory) {
    struct trial saved = saving(config_json, 0, directory);
    CHECK_OK(run_trial(&saved, ranks, &err), &err);
}

static void checkpoints_of_any_number_of_ranks_are_the_same_files(void) {
    const char *one = directory_of(0);
    save_on(0, one);
    for (int ranks = 1; ranks <= MOST_RANKS; ranks++) {
        const char *many = directory_of(ranks);
        harness_context("%d ranks", ranks);
        save_on(ranks, many);
        CHECK(hash_of_file(many, "model.safetensors") == hash_of_file(one, "model.safetensors"));
        CHECK(hash_of_file(many, "state/state.safetensors") ==
              hash_of_file(one, "state/state.safetensors"));
    }
}

static void checkpoints_of_a_pipeline_are_the_same_files(void) {
    const char *one = directory_of(0);
    struct trial saved = saving(unshared_json, 0, one);
    CHECK_OK(run_trial(&saved, 0, &err), &err);
    for (int i = 0; i < LAYOUTS; i++) {
        const char *many = directory_of(1 + i);
        harness_context("%d ranks, %d stages", layouts[i].ranks, layouts[i].stages);
        saved = saving(unshared_json, layouts[i].stages, many);
        CHECK_OK(run_trial(&saved, layouts[i].ranks, &err), &err);
        CHECK(hash_of_file(many, "model.safetensors") == hash_of_file(one, "model.safetensors"));
        CHECK(hash_of_file(many, "state/state.safetensors") ==
              hash_of_file(one, "state/state.safetensors"));
    }
}

/* Three steps more, from a checkpoint. */
static struct trial resuming(const char *config, int stages, const char *directory) {
    struct trial rest = saving(config, stages, directory);
    rest.is_resumed = true;
    rest.first_step = 3;
    return rest;
}

/* A checkpoint of each layout of ranks from the `first` on goes on in all, with the bits of one
 * rank where no tensor is shared; the embedding's copies, where there are any, begin and stay
 * alike. */
static void check_layouts_go_on(const char *config, int first, bool has_one_ranks_bits) {
    struct trial whole = piped(config, 0);
    whole.has_bf16_moments = true;
    whole.steps = 6;
    CHECK_OK(run_trial(&whole, 0, &err), &err);
    for (int from = first; from < LAYOUTS; from++) {
        const char *directory = directory_of(from);
        struct trial saved = saving(config, layouts[from].stages, directory);
        CHECK_OK(run_trial(&saved, layouts[from].ranks, &err), &err);
        for (int to = -1; to < LAYOUTS; to++) {
            const struct layout l = to < 0 ? (struct layout){1, 1} : layouts[to];
            struct trial rest = resuming(config, l.stages, directory);
            harness_context("%d ranks, %d stages", l.ranks, l.stages);
            CHECK_OK(run_trial(&rest, l.ranks, &err), &err);
            const uint64_t sum = sum_of_stages(rest.weights, l.ranks, &rest);
            if (has_one_ranks_bits) CHECK(sum == whole.weights[0]);
            for (int step = 0; step < 3; step++)
                check_near(&rest.metrics[step], &whole.metrics[3 + step], 1e-5);
            const int last = l.ranks - 1;
            CHECK(rest.embeddings[last] == 0 || rest.embeddings[last] == rest.embeddings[0]);
        }
    }
}

static void a_checkpoint_of_a_pipeline_goes_on_in_any_layout(void) {
    check_layouts_go_on(unshared_json, 0, true);
    check_layouts_go_on(deep_json, LAYOUTS - 1, false);
    check_layouts_go_on(tied_json, LAYOUTS - 2, false);
}

/* Three steps, then three more from the checkpoint on another number of ranks. */
static void a_checkpoint_of_two_ranks_goes_on_with_any_number(void) {
    struct trial whole = plain;
    whole.has_bf16_moments = true;
    whole.steps = 6;
    CHECK_OK(run_trial(&whole, 0, &err), &err);
    const char *directory = directory_of(2);
    save_on(2, directory);
    for (int ranks = 0; ranks <= MOST_RANKS; ranks++) {
        struct trial rest = resuming(config_json, 0, directory);
        harness_context("%d ranks", ranks);
        CHECK_OK(run_trial(&rest, ranks, &err), &err);
        for (int rank = 0; rank < ranks; rank++) CHECK(rest.weights[rank] == whole.weights[0]);
        CHECK(rest.weights[0] == whole.weights[0]);
    }
}

/* Where rank 0 cannot write, the others hear of it instead of waiting. */
static void check_failing_save(struct trial saved, int ranks) {
    saved.steps = 1;
    saved.save = "/proc/no-such-place";
    CHECK_STATUS(run_trial(&saved, ranks, &err), FATHOM_IO);
    for (int rank = 0; rank < ranks; rank++) {
        CHECK_STATUS(saved.outcomes[rank], FATHOM_IO);
        CHECK_HAS(saved.texts[rank], rank == 0 ? "no-such-place" : "rank 0 failed");
    }
}

static void a_save_that_fails_fails_on_every_rank(void) {
    check_failing_save(plain, 3);
    for (int i = 0; i < LAYOUTS; i++)
        check_failing_save(piped(deep_json, layouts[i].stages), layouts[i].ranks);
}

/* ---- memory ---- */

/* A step on two ranks with the n-th allocation failing. */
static fathom_status step_with_failure(const struct trial *like, int n, const char *save) {
    struct trial trial = *like;
    trial.config = small_json;
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
static void sweep_allocations(const struct trial *like) {
    int n = 1, saving;
    while (n < 300 && step_with_failure(like, n, NULL) != FATHOM_OK) n++;
    CHECK(n > 50 && n < 300);
    for (saving = n; saving < 700; saving++)
        if (step_with_failure(like, saving, directory_of(saving)) == FATHOM_OK) break;
    CHECK(saving > n + 20 && saving < 700);
}

static void every_allocation_may_fail(void) {
    struct trial trial = plain;
    trial.divides_experts = true;
    sweep_allocations(&trial);
}

static void every_allocation_of_a_pipeline_may_fail(void) {
    struct trial trial = plain;
    trial.stages = 2;
    sweep_allocations(&trial);
}

static const struct test tests[] = {
    TEST(ranks_train_as_one_does),
    TEST(ranks_that_divide_the_experts_train_as_one_does),
    TEST(divided_experts_may_be_recomputed),
    TEST(experts_that_ranks_cannot_divide_are_refused),
    TEST(sharding_alone_does_not_change_a_bit),
    TEST(a_gradient_that_is_not_finite_is_named_on_every_rank),
    TEST(stages_train_as_one_rank_does),
    TEST(stages_that_share_no_tensor_have_the_bits_of_one_rank),
    TEST(a_gradient_that_is_not_finite_is_named_on_every_stage),
    TEST(a_stage_that_fails_ends_all),
    TEST_LONG(a_stage_that_fails_does_not_wait_for_its_neighbour, 30),
    TEST(pipelines_that_ranks_cannot_form_are_refused),
    TEST(moments_are_divided_among_the_ranks),
    TEST(shards_meet_at_chunks),
    TEST(checkpoints_of_any_number_of_ranks_are_the_same_files),
    TEST(checkpoints_of_a_pipeline_are_the_same_files),
    TEST(a_checkpoint_of_a_pipeline_goes_on_in_any_layout),
    TEST(a_checkpoint_of_two_ranks_goes_on_with_any_number),
    TEST(a_save_that_fails_fails_on_every_rank),
    TEST_LONG(every_allocation_may_fail, 500),
    TEST_LONG(every_allocation_of_a_pipeline_may_fail, 500),
};
HARNESS_MAIN(tests)
