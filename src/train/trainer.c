#include "train/trainer.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "train/balance.h"

struct step_totals step_totals_of(int64_t sequences, int64_t length, int64_t modules) {
    struct step_totals totals = {.sequences = sequences, .tokens = sequences * length};
    for (int64_t k = 0; k < modules; k++)
        totals.mtp_tokens[k] = length > k + 1 ? sequences * (length - k - 1) : 0;
    return totals;
}

/* ---- creation ---- */

/* A pass of the largest micro-batch; the balance coefficient only has to be on or off. */
static struct run_options run_options_of(const struct trainer_options *options) {
    return (struct run_options){.recompute = options->recompute,
                                .recompute_layers = options->recompute_layers,
                                .balance_coef = options->balance_alpha,
                                .balances_routed = options->balances_routed,
                                .devices = options->devices};
}

fathom_status trainer_measure(struct trainer_bytes *bytes, const struct model *model,
                              const struct trainer_options *options, struct error *err) {
    const struct expert_ranks ranks = {.comm = options->comm};
    struct run_options run_options = run_options_of(options);
    if (options->comm && options->divides_experts) run_options.experts = &ranks;
    bytes->moments =
        optimizer_bytes(&model->params, options->comm,
                        optimizer_moment_dtype(&options->optimizer, model->device->compute));
    return run_measure(&bytes->run, model, options->micro_sequences, options->sequence_length,
                       &run_options, err);
}

size_t trainer_bytes_total(const struct trainer_bytes *bytes) {
    return bytes->moments + bytes->run.host + bytes->run.device + bytes->run.kept +
           bytes->run.scratch;
}

static fathom_status take_arena(struct trainer *t, struct arena *arena, int block, size_t bytes,
                                const char *what, struct error *err) {
    TRY(device_allocate(t->model->device, &t->device_blocks[block], bytes, what, err));
    arena_over(arena, t->device_blocks[block], bytes);
    return FATHOM_OK;
}

static fathom_status trainer_fill(struct trainer *t, const struct trainer_options *options,
                                  struct error *err) {
    const struct model *model = t->model;
    struct trainer_bytes bytes;
    if (model->config.mtp_modules > TRAINER_MAX_MTP)
        RAISE(FATHOM_UNSUPPORTED, "the model has %lld MTP modules; training takes at most %d",
              (long long)model->config.mtp_modules, TRAINER_MAX_MTP);
    TRY(trainer_measure(&bytes, model, options, err));
    TRY(optimizer_new(&t->optimizer, t->model, options->comm, &options->optimizer, err));
    TRY(run_new(&t->run, model, err));
    TRY(arena_new(&t->host, bytes.run.host, "a batch", err));
    TRY(take_arena(t, &t->device_arena, 0, bytes.run.device, "a batch", err));
    TRY(take_arena(t, &t->kept, 1, bytes.run.kept, "activations", err));
    TRY(take_arena(t, &t->scratch, 2, bytes.run.scratch, "scratch memory", err));
    t->comm = options->comm;
    t->run_options = run_options_of(options);
    if (t->comm && options->divides_experts) {
        TRY(expert_ranks_init(&t->expert_ranks, t->comm, &model->config,
                              options->micro_sequences * options->sequence_length, err));
        t->run_options.experts = &t->expert_ranks;
    }
    t->logp_count = options->micro_sequences * options->sequence_length;
    TRY(MEM_NEW(&t->logp, t->logp_count, "log-probabilities", err));
    int64_t layers = config_all_layers(&model->config);
    TRY(MEM_NEW(&t->loads, model->loads_count, "the expert loads", err));
    TRY(MEM_NEW(&t->max_violation, layers, "the expert loads", err));
    TRY(MEM_NEW(&t->dead_experts, layers, "the expert loads", err));
    TRY(MEM_NEW(&t->device_violation, layers, "the expert loads", err));
    stream_init(&t->stream, model->device);
    return FATHOM_OK;
}

fathom_status trainer_new(struct trainer **out, struct model *model,
                          const struct trainer_options *options, struct error *err) {
    struct trainer *t = NULL;
    *out = NULL;
    TRY(MEM_NEW(&t, 1, "the trainer", err));
    t->model = model;
    fathom_status status = trainer_fill(t, options, err);
    if (status != FATHOM_OK)
        trainer_free(t);
    else
        *out = t;
    return status;
}

void trainer_free(struct trainer *t) {
    if (!t) return;
    optimizer_free(t->optimizer);
    run_free(t->run);
    expert_ranks_free(&t->expert_ranks);
    arena_free(&t->host);
    for (int i = 0; i < 3; i++) device_release(t->model->device, t->device_blocks[i]);
    mem_free(t->logp);
    mem_free(t->loads);
    mem_free(t->max_violation);
    mem_free(t->dead_experts);
    mem_free(t->device_violation);
    mem_free(t);
}

/* ---- a step ---- */

void trainer_begin(struct trainer *t, const struct step_totals *totals,
                   const struct step_weights *weights) {
    t->totals = *totals;
    t->weights = *weights;
    t->sum_main = t->sum_balance = t->sum_slots = 0;
    memset(t->sum_mtp, 0, sizeof t->sum_mtp);
    model_zero_grads(t->model, &t->stream);
    stream_zero(&t->stream, t->model->loads_block, (size_t)t->model->loads_count * sizeof(int32_t));
    t->run_options.balance_coef = weights->balance / (double)totals->sequences;
    t->run_options.devices.balance_coef = weights->device_balance / (double)totals->sequences;
    t->run_options.devices.communication_coef =
        weights->communication_balance / (double)totals->sequences;
}

/* Routed slots of a batch's tokens in all MoE layers. */
static double count_slots(const struct model_config *c, const struct train_batch *batch) {
    int64_t tokens = 0;
    if (c->experts == 0) return 0;
    tokens += batch->batch.tokens_count * (c->layers - c->first_dense);
    for (int64_t k = 0; k < batch->mtp_modules; k++) tokens += batch->mtp[k].batch.tokens_count;
    return (double)(tokens * c->active_experts);
}

/* Sum of -log p over a batch's predictions. */
static fathom_status sum_nll(struct trainer *t, const struct predictions *p, int64_t count,
                             double *sum, struct error *err) {
    stream_download(&t->stream, t->logp, p->logp, (size_t)count * sizeof(float));
    TRY(stream_check(&t->stream, err));
    for (int64_t i = 0; i < count; i++) *sum -= (double)t->logp[i];
    return FATHOM_OK;
}

static fathom_status check_fits(const struct trainer *t, const struct sequence *sequences,
                                int64_t count, struct error *err) {
    int64_t tokens = 0;
    for (int64_t i = 0; i < count; i++) tokens += sequences[i].count;
    if (tokens <= t->logp_count) return FATHOM_OK;
    RAISE(FATHOM_USAGE, "a micro-batch of %lld tokens is larger than the %lld planned for",
          (long long)tokens, (long long)t->logp_count);
}

static void arenas_reset(struct trainer *t) {
    arena_reset(&t->host, 0);
    arena_reset(&t->device_arena, 0);
    arena_reset(&t->kept, 0);
    arena_reset(&t->scratch, 0);
}

fathom_status trainer_accumulate(struct trainer *t, const struct sequence *sequences, int64_t count,
                                 struct error *err) {
    const struct model_config *c = &t->model->config;
    double mtp_coef[TRAINER_MAX_MTP] = {0};
    for (int64_t k = 0; k < c->mtp_modules; k++)
        if (t->totals.mtp_tokens[k] > 0)
            mtp_coef[k] = t->weights.mtp / (double)c->mtp_modules / (double)t->totals.mtp_tokens[k];
    const struct train_batch_options options = {.coef = 1 / (double)t->totals.tokens,
                                                .mtp_coef = mtp_coef,
                                                .modules = c->mtp_modules,
                                                .vocab = c->vocab};
    struct train_batch batch;
    TRY(check_fits(t, sequences, count, err));
    arenas_reset(t);
    TRY(train_batch_build(&batch, sequences, count, &options, &t->host, &t->device_arena,
                          &t->stream, err));
    run_forward(t->run, &batch, &t->run_options, &t->stream, &t->kept, &t->scratch);
    run_heads(t->run, true);
    run_backward(t->run);
    TRY(arena_check(&t->kept, "activations", err));
    TRY(arena_check(&t->scratch, "scratch memory", err));

    TRY(sum_nll(t, &batch.predictions, batch.batch.tokens_count, &t->sum_main, err));
    for (int64_t k = 0; k < batch.mtp_modules; k++)
        TRY(sum_nll(t, &batch.mtp[k].predictions, batch.mtp[k].batch.tokens_count, &t->sum_mtp[k],
                    err));
    t->sum_balance += run_balance_loss(t->run);
    t->sum_slots += count_slots(c, &batch);
    return stream_check(&t->stream, err);
}

fathom_status trainer_measure_loss(struct trainer *t, const struct sequence *sequences,
                                   int64_t count, double *sum, struct error *err) {
    const struct train_batch_options options = {.vocab = t->model->config.vocab};
    struct run_options run_options = t->run_options;
    struct train_batch batch;
    TRY(check_fits(t, sequences, count, err));
    run_options.balance_coef = 0;
    run_options.devices = (struct expert_devices){0}; /* nothing is dropped but in training */
    run_options.only_measures = true;
    run_options.experts = NULL; /* every rank has the weights of all, and a share of its own */
    arenas_reset(t);
    TRY(train_batch_build(&batch, sequences, count, &options, &t->host, &t->device_arena,
                          &t->stream, err));
    run_forward(t->run, &batch, &run_options, &t->stream, &t->kept, &t->scratch);
    run_heads(t->run, false);
    return sum_nll(t, &batch.predictions, batch.batch.tokens_count, sum, err);
}

/* ---- its end ---- */

/* Losses and loads of the whole step on every rank, its gradients in the shards. */
static void sum_over_ranks(struct trainer *t) {
    double sums[3 + TRAINER_MAX_MTP] = {t->sum_main, t->sum_balance, t->sum_slots};
    struct comm_op op = {.kind = COMM_ALL_REDUCE, .from = sums, .to = sums};
    if (!t->comm) return;
    memcpy(sums + 3, t->sum_mtp, sizeof t->sum_mtp);
    op.dtype = DTYPE_F64;
    op.on_host = true;
    op.count = 3 + TRAINER_MAX_MTP;
    comm_run(t->comm, &t->stream, &op);
    t->sum_main = sums[0];
    t->sum_balance = sums[1];
    t->sum_slots = sums[2];
    memcpy(t->sum_mtp, sums + 3, sizeof t->sum_mtp);
    op = (struct comm_op){.kind = COMM_ALL_REDUCE,
                          .dtype = DTYPE_I32,
                          .from = t->model->loads_block,
                          .to = t->model->loads_block,
                          .count = t->model->loads_count};
    comm_run(t->comm, &t->stream, &op);
    optimizer_sum_grads(t->optimizer, &t->stream);
}

static void fill_losses(const struct trainer *t, struct step_metrics *metrics) {
    int64_t modules = t->model->config.mtp_modules;
    metrics->loss_main = t->sum_main / (double)t->totals.tokens;
    metrics->loss_mtp = 0;
    for (int64_t k = 0; k < modules; k++)
        if (t->totals.mtp_tokens[k] > 0)
            metrics->loss_mtp += t->sum_mtp[k] / (double)t->totals.mtp_tokens[k] / (double)modules;
    metrics->loss_balance = t->sum_balance;
    metrics->loss_total =
        metrics->loss_main + t->weights.mtp * metrics->loss_mtp + metrics->loss_balance;
}

/* What devices were left with: of the step's loads on the host. */
static void fill_devices(struct trainer *t, struct step_metrics *metrics) {
    const struct expert_devices *devices = &t->run_options.devices;
    if (devices->count == 0) return;
    balance_of_devices(t->model, t->loads, devices->count, t->device_violation);
    metrics->device_violation = t->device_violation;
    metrics->may_drop = devices->capacity_factor != 0;
    metrics->routed_slots = metrics->dropped_slots = (int64_t)t->sum_slots;
    for (int64_t i = 0; i < t->model->loads_count; i++) metrics->dropped_slots -= t->loads[i];
}

/* The first parameter of the list whose gradient is not finite on any rank; the list's count where
 * there is none. */
static int64_t first_bad_gradient(struct trainer *t) {
    const struct param_list *list = &t->model->params;
    int64_t left = list->count; /* from the first bad one to the end */
    for (; left > 0; left--) {
        const struct param *p = &list->items[list->count - left];
        if (param_is_trained(p) && !optimizer_grad_is_finite(t->optimizer, &t->stream, p)) break;
    }
    if (t->comm)
        comm_run(t->comm, &t->stream,
                 &(struct comm_op){.kind = COMM_ALL_REDUCE,
                                   .dtype = DTYPE_I64,
                                   .reduction = COMM_MAX,
                                   .on_host = true,
                                   .from = &left,
                                   .to = &left,
                                   .count = 1});
    return list->count - left;
}

/* Says which parameter's gradient is not finite. */
static fathom_status name_bad_gradient(struct trainer *t, const struct step_metrics *metrics,
                                       struct error *err) {
    const struct param_list *list = &t->model->params;
    const int64_t bad = first_bad_gradient(t);
    char name[TENSOR_NAME_MAX];
    TRY(stream_check(&t->stream, err));
    if (bad == list->count)
        RAISE(FATHOM_NOT_FINITE, "loss %g, gradient norm %g, though every gradient is finite",
              metrics->loss_total, metrics->grad_norm);
    param_name(&list->items[bad], name);
    RAISE(FATHOM_NOT_FINITE, "loss %g, gradient norm %g: the gradient of %s is not finite",
          metrics->loss_total, metrics->grad_norm, name);
}

fathom_status trainer_finish(struct trainer *t, double learning_rate, double bias_speed,
                             struct step_metrics *metrics, struct error *err) {
    *metrics = (struct step_metrics){.learning_rate = learning_rate};
    sum_over_ranks(t);
    fill_losses(t, metrics);
    TRY(optimizer_grad_norm(t->optimizer, &t->stream, &metrics->grad_norm, err));
    if (!isfinite(metrics->loss_total) || !isfinite(metrics->grad_norm))
        return name_bad_gradient(t, metrics, err);
    stream_download(&t->stream, t->loads, t->model->loads_block,
                    (size_t)t->model->loads_count * sizeof(int32_t));
    TRY(stream_check(&t->stream, err));
    optimizer_update(t->optimizer, &t->stream, learning_rate, metrics->grad_norm, t->loads);
    metrics->moe_layers = balance_update(t->model, t->loads, bias_speed, t->max_violation,
                                         t->dead_experts, &t->stream);
    metrics->max_violation = t->max_violation;
    metrics->dead_experts = t->dead_experts;
    fill_devices(t, metrics);
    return stream_check(&t->stream, err);
}
