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

static int stages_of(const struct trainer_options *options) {
    return options->stages > 1 ? options->stages : 1;
}

fathom_status trainer_measure(struct trainer_bytes *bytes, const struct model *model,
                              const struct trainer_options *options, struct error *err) {
    const struct expert_ranks ranks = {.comm = options->comm};
    const struct pipeline_place place = pipeline_place_of(options->comm, stages_of(options));
    struct run_options run_options = run_options_of(options);
    if (options->comm && options->divides_experts) run_options.experts = &ranks;
    const struct comm replicas = {.rank = place.replica, .size = place.replicas};
    bytes->moments =
        optimizer_bytes(&model->params, &replicas,
                        optimizer_moment_dtype(&options->optimizer, model->device->compute));
    bytes->slots = pipeline_slots_1f1b(place.stage, place.stages);
    return run_measure(&bytes->run, model, options->micro_sequences, options->sequence_length,
                       &run_options, err);
}

size_t trainer_bytes_total(const struct trainer_bytes *bytes) {
    const size_t slot = bytes->run.host + bytes->run.device + bytes->run.kept;
    return bytes->moments + (size_t)bytes->slots * slot + bytes->run.scratch;
}

static fathom_status check_options(const struct trainer_options *options, const struct model *model,
                                   struct error *err) {
    const int stages = stages_of(options), ranks = options->comm ? options->comm->size : 1;
    const struct stage stage = model->stage;
    if (model->config.mtp_modules > TRAINER_MAX_MTP)
        RAISE(FATHOM_UNSUPPORTED, "the model has %lld MTP modules; training takes at most %d",
              (long long)model->config.mtp_modules, TRAINER_MAX_MTP);
    if (ranks % stages != 0)
        RAISE(FATHOM_USAGE, "%d pipeline stages cannot have the same number of %d ranks each",
              stages, ranks);
    if (stages > 1 && options->divides_experts)
        RAISE(FATHOM_UNSUPPORTED,
              "experts cannot be divided among the ranks of a pipeline: take one or the other");
    const struct pipeline_place place = pipeline_place_of(options->comm, stages);
    if (stage_is_first(stage) != (place.stage == 0) ||
        stage_is_last(stage, &model->config) != (place.stage == stages - 1))
        RAISE(FATHOM_USAGE, "layers [%lld, %lld) of %lld are not those of stage %d of %d",
              (long long)stage.begin, (long long)stage.end, (long long)model->config.layers,
              place.stage, stages);
    return FATHOM_OK;
}

static fathom_status divide_experts(struct trainer *t, const struct trainer_options *options,
                                    struct error *err) {
    TRY(expert_ranks_init(&t->expert_ranks, t->comm, &t->model->config,
                          options->micro_sequences * options->sequence_length, err));
    t->run_options.experts = &t->expert_ranks;
    return FATHOM_OK;
}

static fathom_status take_memory(struct trainer *t, const struct trainer_options *options,
                                 struct error *err) {
    const struct model *model = t->model;
    const int64_t layers = config_all_layers(&model->config);
    struct trainer_bytes bytes;
    TRY(trainer_measure(&bytes, model, options, err));
    TRY(optimizer_new(&t->optimizer, t->model, t->replicas, &options->optimizer, err));
    TRY(pipeline_new(&t->pipeline, model, &bytes.run, bytes.slots, t->stages, &t->stream, err));
    t->logp_count = options->micro_sequences * options->sequence_length;
    TRY(MEM_NEW(&t->logp, t->logp_count, "log-probabilities", err));
    TRY(MEM_NEW(&t->loads, model->loads_count, "the expert loads", err));
    TRY(MEM_NEW(&t->max_violation, layers, "the expert loads", err));
    TRY(MEM_NEW(&t->device_violation, layers, "the expert loads", err));
    return MEM_NEW(&t->dead_experts, layers, "the expert loads", err);
}

static fathom_status exchange_begins(struct trainer *t, struct error *err) {
    int64_t counts[COMM_RANKS_MAX];
    TRY(MEM_NEW(&t->begins, t->place.stages, "the pipeline", err));
    for (int i = 0; i < t->place.stages; i++) counts[i] = 1;
    comm_run(t->stages, &t->stream,
             &(struct comm_op){.kind = COMM_ALL_GATHER,
                               .dtype = DTYPE_I64,
                               .on_host = true,
                               .from = &t->model->stage.begin,
                               .to = t->begins,
                               .counts = counts});
    return stream_check(&t->stream, err);
}

/* The groups that the ranks of several stages form. */
static fathom_status form_groups(struct trainer *t, struct error *err) {
    const struct pipeline_place place = t->place;
    const struct model_config *c = &t->model->config;
    const bool is_end = place.stage == 0 || place.stage == place.stages - 1;
    TRY(comm_split(&t->stages, t->comm, &t->stream, place.replica, place.stage, err));
    if (place.replicas > 1)
        TRY(comm_split(&t->replicas, t->comm, &t->stream, place.stage, place.replica, err));
    if (c->mtp_modules > 0 || c->is_tied)
        TRY(comm_split(&t->ends, t->comm, &t->stream, is_end ? place.replica : -1, place.stage,
                       err));
    return exchange_begins(t, err);
}

static fathom_status trainer_fill(struct trainer *t, const struct trainer_options *options,
                                  struct error *err) {
    TRY(check_options(options, t->model, err));
    stream_init(&t->stream, t->model->device);
    t->comm = options->comm;
    t->place = pipeline_place_of(options->comm, stages_of(options));
    t->run_options = run_options_of(options);
    if (t->place.stages > 1)
        TRY(form_groups(t, err));
    else
        t->replicas = t->comm;
    TRY(take_memory(t, options, err));
    return t->comm && options->divides_experts ? divide_experts(t, options, err) : FATHOM_OK;
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

struct trained trainer_trained(const struct trainer *t, struct ema *ema) {
    return (struct trained){t->model, t->optimizer, ema, t->stages, t->begins};
}

void trainer_free(struct trainer *t) {
    if (!t) return;
    optimizer_free(t->optimizer);
    pipeline_free(t->pipeline);
    pipeline_schedule_free(&t->schedule);
    if (t->replicas != t->comm) comm_free(t->replicas);
    comm_free(t->stages);
    comm_free(t->ends);
    mem_free(t->begins);
    expert_ranks_free(&t->expert_ranks);
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
static double count_slots(const struct model *model, const struct train_batch *batch) {
    const struct model_config *c = &model->config;
    const int64_t first = model->stage.begin > c->first_dense ? model->stage.begin : c->first_dense;
    int64_t tokens = 0;
    if (c->experts == 0) return 0;
    if (model->stage.end > first) tokens += batch->batch.tokens_count * (model->stage.end - first);
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

/* What this rank's stage adds to the step's losses with a micro-batch. */
static fathom_status add_losses(struct trainer *t, const struct pipeline_slot *slot,
                                struct error *err) {
    const struct train_batch *batch = &slot->batch;
    if (stage_is_last(t->model->stage, &t->model->config))
        TRY(sum_nll(t, &batch->predictions, batch->batch.tokens_count, &t->sum_main, err));
    for (int64_t k = 0; k < batch->mtp_modules; k++)
        TRY(sum_nll(t, &batch->mtp[k].predictions, batch->mtp[k].batch.tokens_count, &t->sum_mtp[k],
                    err));
    t->sum_balance += run_balance_loss(slot->run);
    t->sum_slots += count_slots(t->model, batch);
    return stream_check(&t->stream, err);
}

static fathom_status go_forward(struct trainer *t, const struct pipeline_action *action,
                                const struct micro_batches *batches, struct error *err) {
    const struct model_config *c = &t->model->config;
    double mtp_coef[TRAINER_MAX_MTP] = {0};
    for (int64_t k = 0; k < c->mtp_modules; k++)
        if (t->totals.mtp_tokens[k] > 0)
            mtp_coef[k] = t->weights.mtp / (double)c->mtp_modules / (double)t->totals.mtp_tokens[k];
    const struct train_batch_options options = {.coef = 1 / (double)t->totals.tokens,
                                                .mtp_coef = mtp_coef,
                                                .modules = stage_mtp_modules(t->model->stage, c),
                                                .vocab = c->vocab};
    struct pipeline_input input = {.batch = &options, .run = &t->run_options};
    TRY(batches->read(batches->owner, action->micro_batch, &input.sequences, &input.count, err));
    TRY(check_fits(t, input.sequences, input.count, err));
    return pipeline_forward(t->pipeline, action, &input, err);
}

static fathom_status go_backward(struct trainer *t, const struct pipeline_action *action,
                                 struct error *err) {
    TRY(pipeline_backward(t->pipeline, action, err));
    return add_losses(t, &t->pipeline->slots[action->slot], err);
}

static fathom_status carry_out(struct trainer *t, const struct micro_batches *batches,
                               struct error *err) {
    TRY(pipeline_schedule_1f1b(&t->schedule, t->place.stage, t->place.stages, batches->count, err));
    for (int64_t i = 0; i < t->schedule.count; i++) {
        const struct pipeline_action *action = &t->schedule.actions[i];
        TRY(action->kind == PIPELINE_FORWARD ? go_forward(t, action, batches, err)
                                             : go_backward(t, action, err));
    }
    return FATHOM_OK;
}

fathom_status trainer_accumulate_all(struct trainer *t, const struct micro_batches *batches,
                                     struct error *err) {
    return pipeline_end(t->pipeline, carry_out(t, batches, err), err);
}

/* One micro-batch that is there already. */
struct given_batch {
    const struct sequence *sequences;
    int64_t count;
};
static fathom_status read_given(void *owner, int64_t index, const struct sequence **sequences,
                                int64_t *count, struct error *err) {
    const struct given_batch *given = owner;
    (void)index; /* the only one */
    (void)err;
    *sequences = given->sequences;
    *count = given->count;
    return FATHOM_OK;
}

fathom_status trainer_accumulate(struct trainer *t, const struct sequence *sequences, int64_t count,
                                 struct error *err) {
    struct given_batch given = {sequences, count};
    return trainer_accumulate_all(t, &(struct micro_batches){read_given, &given, 1}, err);
}

static fathom_status measure_loss(struct trainer *t, const struct pipeline_input *input,
                                  double *sum, struct error *err) {
    const struct pipeline_action action = {.kind = PIPELINE_FORWARD};
    const struct train_batch *batch = &t->pipeline->slots[action.slot].batch;
    TRY(check_fits(t, input->sequences, input->count, err));
    TRY(pipeline_forward(t->pipeline, &action, input, err));
    if (!stage_is_last(t->model->stage, &t->model->config)) return FATHOM_OK;
    return sum_nll(t, &batch->predictions, batch->batch.tokens_count, sum, err);
}

fathom_status trainer_measure_loss(struct trainer *t, const struct sequence *sequences,
                                   int64_t count, double *sum, struct error *err) {
    const struct train_batch_options options = {.vocab = t->model->config.vocab};
    struct run_options run_options = t->run_options;
    run_options.balance_coef = 0;
    run_options.devices = (struct expert_devices){0}; /* nothing is dropped but in training */
    run_options.only_measures = true;
    run_options.experts = NULL; /* every rank has the weights of all, and a share of its own */
    const struct pipeline_input input = {sequences, count, &options, &run_options};
    return pipeline_end(t->pipeline, measure_loss(t, &input, sum, err), err);
}

/* ---- its end ---- */

/* Both ends of a pipeline that have the embedding get the sum of their gradients. */
static void sum_copies(struct trainer *t) {
    const struct tensor grad = t->model->outer_grads.embedding;
    if (!t->ends) return;
    comm_run(t->ends, &t->stream,
             &(struct comm_op){.kind = COMM_ALL_REDUCE,
                               .dtype = grad.dtype,
                               .from = grad.data,
                               .to = grad.data,
                               .count = tensor_count(grad)});
}

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
    sum_copies(t);
    optimizer_sum_grads(t->optimizer, &t->stream);
}

/* The norm of all stages' gradients, from that of the own one's. */
static fathom_status norm_over_stages(struct trainer *t, double *norm, struct error *err) {
    double square = *norm * *norm;
    if (!t->stages) return FATHOM_OK;
    comm_run(t->stages, &t->stream,
             &(struct comm_op){.kind = COMM_ALL_REDUCE,
                               .dtype = DTYPE_F64,
                               .on_host = true,
                               .from = &square,
                               .to = &square,
                               .count = 1});
    *norm = sqrt(square);
    return stream_check(&t->stream, err);
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

/* The number of the first parameter whose gradient is not finite on any rank; the number of all
 * where there is none. */
static int64_t first_bad_gradient(struct trainer *t) {
    const struct param_list *list = &t->model->params;
    int64_t left = 0; /* from the first bad one to the end */
    for (int64_t i = 0; i < list->count && left == 0; i++) {
        const struct param *p = &list->items[i];
        if (param_is_trained(p) && !optimizer_grad_is_finite(t->optimizer, &t->stream, p))
            left = list->whole_count - p->number;
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
    return list->whole_count - left;
}

/* The name of a parameter that may be another stage's. */
static fathom_status name_of_number(const struct trainer *t, int64_t number,
                                    char name[TENSOR_NAME_MAX], struct error *err) {
    struct param_list whole;
    TRY(param_list_new(&whole, &t->model->config, err));
    param_name(&whole.items[number], name);
    param_list_free(&whole);
    return FATHOM_OK;
}

/* Says which parameter's gradient is not finite. */
static fathom_status name_bad_gradient(struct trainer *t, const struct step_metrics *metrics,
                                       struct error *err) {
    const int64_t bad = first_bad_gradient(t);
    char name[TENSOR_NAME_MAX];
    TRY(stream_check(&t->stream, err));
    if (bad == t->model->params.whole_count)
        RAISE(FATHOM_NOT_FINITE, "loss %g, gradient norm %g, though every gradient is finite",
              metrics->loss_total, metrics->grad_norm);
    TRY(name_of_number(t, bad, name, err));
    RAISE(FATHOM_NOT_FINITE, "loss %g, gradient norm %g: the gradient of %s is not finite",
          metrics->loss_total, metrics->grad_norm, name);
}

fathom_status trainer_finish(struct trainer *t, double learning_rate, double bias_speed,
                             struct step_metrics *metrics, struct error *err) {
    *metrics = (struct step_metrics){.learning_rate = learning_rate};
    sum_over_ranks(t);
    fill_losses(t, metrics);
    TRY(optimizer_grad_norm(t->optimizer, &t->stream, &metrics->grad_norm, err));
    TRY(norm_over_stages(t, &metrics->grad_norm, err));
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
