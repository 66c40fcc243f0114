/* What a run takes before it begins: the numbers come from the code that will allocate and compute.
 */
#include <inttypes.h>
#include <string.h>

#include "base/memory.h"
#include "model/sizes.h"
#include "train/ema.h"
#include "train/expert_devices.h"
#include "train/mixture.h"

/* Share of the multiply-add peak that whole steps reach here (docs/performance.md has
 * measurements); only for the estimate of time. */
static const double expected_share = 0.55;

/* How far a run's memory may lie above its plan (tests/cli/test_memory.sh). */
static const double plan_error = 1.03;

enum { CHECKPOINT_BUFFER = 3 << 20 /* copies between files and the device, see model/files.c */ };

/* What the ranks of a run take, all together. */
struct rank_bytes {
    size_t weights, gradients, moments;
    size_t activations; /* and all else that a trainer takes */
    size_t rest;        /* averages, and buffers of checkpoints */
};

/* Adds one rank's, whose stage's parameters `model` has. */
static fathom_status add_rank(struct rank_bytes *sum, const struct pretrain_options *options,
                              const struct trainer_options *trainer, const struct model *model,
                              int64_t largest, struct error *err) {
    const enum dtype compute = model->device->compute;
    const size_t weights = model_bytes(&model->params, compute, 0, model->loads_count);
    const size_t both = model_bytes(&model->params, compute, MODEL_GRADS, model->loads_count);
    struct trainer_bytes bytes;
    TRY(trainer_measure(&bytes, model, trainer, err));
    sum->weights += weights;
    sum->gradients += both - weights;
    sum->moments += bytes.moments;
    sum->activations += trainer_bytes_total(&bytes) - bytes.moments;
    sum->rest += (size_t)largest * dtype_size(compute) + CHECKPOINT_BUFFER;
    if (options->ema > 0) sum->rest += ema_bytes(&model->params, compute);
    return FATHOM_OK;
}

/* A rank's own parameters, without memory. */
static fathom_status measure_rank(struct rank_bytes *sum, const struct pretrain_options *options,
                                  const struct trainer_options *trainer, const struct model *whole,
                                  int rank, struct error *err) {
    struct comm place = {.rank = rank, .size = (int)options->ranks};
    struct trainer_options placed = *trainer;
    struct model *model = NULL;
    struct stage stage;
    placed.comm = &place;
    TRY(pretrain_stage(&stage, options, rank, &whole->config, err));
    TRY(model_new_stage(&model, whole->device, &whole->config, stage, MODEL_GRADS | MODEL_DRY,
                        err));
    model->precision = whole->precision;
    /* Rank 0 reads the tensors of all for a checkpoint, the others their own. */
    const int64_t largest = param_list_largest(rank == 0 ? &whole->params : &model->params);
    fathom_status status = add_rank(sum, options, &placed, model, largest, err);
    model_free(model);
    return status;
}

static fathom_status measure_ranks(struct rank_bytes *sum, const struct pretrain_options *options,
                                   const struct trainer_options *trainer, const struct model *whole,
                                   struct error *err) {
    *sum = (struct rank_bytes){0};
    for (int rank = 0; rank < options->ranks; rank++)
        TRY(measure_rank(sum, options, trainer, whole, rank, err));
    return FATHOM_OK;
}

static size_t total_of(const struct rank_bytes *sum) {
    return sum->weights + sum->gradients + sum->moments + sum->activations + sum->rest;
}

fathom_status pretrain_memory(const struct pretrain_options *options,
                              const struct trainer_options *trainer, const struct model *model,
                              size_t *bytes, struct error *err) {
    struct rank_bytes sum;
    TRY(measure_ranks(&sum, options, trainer, model, err));
    *bytes = total_of(&sum);
    return FATHOM_OK;
}

/* Whether a run that recomputes so many layers stays within the budget. */
static fathom_status fits(struct trainer_options *trainer, int64_t layers,
                          const struct pretrain_options *options, const struct model *model,
                          size_t *bytes, bool *fit, struct error *err) {
    trainer->recompute_layers = layers;
    TRY(pretrain_memory(options, trainer, model, bytes, err));
    *bytes += mem_peak_resident();
    *fit = plan_error * (double)*bytes <= (double)options->memory;
    return FATHOM_OK;
}

fathom_status pretrain_fit(struct trainer_options *out, const struct pretrain_options *options,
                           const struct model *model, struct error *err) {
    *out = pretrain_trainer_options(options);
    TRY(expert_devices_of(&out->devices, options, &model->config, err));
    if (options->memory == 0) return FATHOM_OK;
    int64_t low = 0, high = config_all_layers(&model->config);
    size_t bytes = 0;
    bool fit = false;
    TRY(fits(out, high, options, model, &bytes, &fit, err));
    if (!fit) {
        char least[32], budget[32];
        RAISE(FATHOM_NO_MEMORY,
              "--memory %s: the run takes %s at least; take a smaller --micro-batch or "
              "--sequence-length",
              format_bytes(budget, (double)options->memory), format_bytes(least, (double)bytes));
    }
    while (low < high) {
        const int64_t middle = (low + high) / 2;
        TRY(fits(out, middle, options, model, &bytes, &fit, err));
        if (fit)
            high = middle;
        else
            low = middle + 1;
    }
    out->recompute_layers = low;
    return FATHOM_OK;
}

static void print_parameters(const struct model *model, FILE *out) {
    const struct model_config *c = &model->config;
    struct model_sizes sizes;
    char total[32], active[32], experts[32], mtp[32];
    model_sizes(&model->params, c, &sizes);
    fprintf(out, "parameters        %s total, %s active per token, %s in routed experts\n",
            format_count(total, (double)sizes.total), format_count(active, (double)sizes.active),
            format_count(experts, (double)sizes.experts));
    if (c->mtp_modules > 0)
        fprintf(out, "MTP modules       %lld with %s parameters of their own\n",
                (long long)c->mtp_modules, format_count(mtp, (double)sizes.mtp_total));
}

/* The layers of every stage, from the first. */
static fathom_status print_stages(const struct pretrain_options *o, const struct model *model,
                                  FILE *out, struct error *err) {
    if (o->pipeline_stages == 1) return FATHOM_OK;
    fputs("pipeline          layers", out);
    for (int64_t i = 0; i < o->pipeline_stages; i++) {
        struct stage stage;
        TRY(pretrain_stage(&stage, o, (int)(i * pretrain_replicas(o)), &model->config, err));
        fprintf(out, "%s %lld", i > 0 ? "," : "", (long long)stage.begin);
        if (stage.end > stage.begin + 1) fprintf(out, "-%lld", (long long)stage.end - 1);
    }
    fprintf(out, "; %lld micro-batches in a step of each\n",
            (long long)(o->batch / o->micro_batch / pretrain_replicas(o)));
    return FATHOM_OK;
}

static fathom_status print_memory(const struct pretrain_options *o, const struct model *model,
                                  FILE *out, struct error *err) {
    struct trainer_options trainer;
    struct rank_bytes sum;
    char text[4][32];
    TRY(pretrain_fit(&trainer, o, model, err));
    TRY(measure_ranks(&sum, o, &trainer, model, err));
    const size_t run = total_of(&sum);
    fprintf(
        out, "memory            weights %s, gradients %s, moments %s, activations %s\n",
        format_bytes(text[0], (double)sum.weights), format_bytes(text[1], (double)sum.gradients),
        format_bytes(text[2], (double)sum.moments), format_bytes(text[3], (double)sum.activations));
    if (o->memory > 0)
        fprintf(out, "recomputed        %lld of %lld layers, to stay below %s\n",
                (long long)trainer.recompute_layers, (long long)config_all_layers(&model->config),
                format_bytes(text[0], (double)o->memory));
    fprintf(out, "peak memory       %s (%zu bytes)\n",
            format_bytes(text[0], (double)(run + mem_peak_resident())), run + mem_peak_resident());
    return FATHOM_OK;
}

static void print_speed(const struct pretrain_options *o, const struct model *model,
                        struct device *device, FILE *out) {
    char text[4][32];
    double flops = model_train_flops(&model->params, &model->config, o->sequence_length);
    const struct schedule schedule = pretrain_schedule(o);
    double tokens = (double)schedule.samples * (double)o->sequence_length;
    double peak = device_peak_flops(device, precision_operands((enum precision)o->precision));
    fprintf(out, "compute           %s FLOP per token, %s tokens, %s FLOP in all\n",
            format_count(text[0], flops), format_count(text[1], tokens),
            format_count(text[2], flops * tokens));
    if (peak <= 0) return;
    double rate = expected_share * peak / flops;
    fprintf(out,
            "expected          %s tokens/s, %s: at %.0f%% of %.0f GFLOP/s (%s, measured now)\n",
            format_count(text[0], rate), format_duration(text[1], tokens / rate),
            100 * expected_share, peak * 1e-9, device->isa);
}

static void print_source(const struct pretrain_options *o, const struct mixture *data, size_t i,
                         FILE *out) {
    const struct mixture_source *source = &data->sources[i];
    char tokens[32];
    const double samples = (double)mixture_count(data, i, pretrain_schedule(o).samples);
    fprintf(out, "data              %s tokens, %lld samples: %.2f epochs",
            format_count(tokens, (double)shard_set_tokens(source->train)),
            (long long)source->loader.samples, samples / (double)source->loader.samples);
    if (data->count > 1)
        fprintf(out, ", %.4g of the mixture: %s", source->weight, source->directory);
    fputc('\n', out);
}

static fathom_status print_data(const struct pretrain_options *o, const struct model *model,
                                FILE *out, struct error *err) {
    struct mixture data;
    const struct mixture_options options = {.data = o->data,
                                            .length = o->sequence_length,
                                            .seed = (uint64_t)o->seed,
                                            .vocab = model->config.vocab,
                                            .has_whole_documents = o->whole_documents};
    TRY(mixture_open(&data, &options, err));
    for (size_t i = 0; i < data.count; i++) print_source(o, &data, i, out);
    mixture_close(&data);
    return FATHOM_OK;
}

fathom_status pretrain_plan(const struct pretrain_options *o, struct device *device, FILE *out,
                            struct error *err) {
    struct model_config config;
    struct model *model = NULL;
    struct text options = {0};
    TRY(pretrain_config(&config, o, err));
    TRY(model_new(&model, device, &config, MODEL_GRADS | MODEL_DRY, err));
    model->precision = (enum precision)o->precision;
    options_to_json(&pretrain_table, o, false, &options);
    fprintf(out, "options           %s\n", text_data(&options));
    text_free(&options);
    print_parameters(model, out);
    fathom_status status = print_stages(o, model, out, err);
    if (status == FATHOM_OK) status = print_data(o, model, out, err);
    if (status == FATHOM_OK) status = print_memory(o, model, out, err);
    if (status == FATHOM_OK) print_speed(o, model, device, out);
    model_free(model);
    return status;
}
