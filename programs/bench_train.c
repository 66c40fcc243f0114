/* fathom bench train: whole steps on random tokens and weights, beside the machine's peak measured
 * between them */
#include <stdio.h>

#include "backend/profile.h"
#include "base/clock.h"
#include "base/median.h"
#include "base/memory.h"
#include "base/rng.h"
#include "device_options.h"
#include "model/sizes.h"
#include "named_config.h"
#include "profile_table.h"
#include "train/trainer.h"

struct bench_options {
    char *config, *isa;
    int64_t length, batch, micro, steps, threads, mtp;
    int recompute, precision;
    bool profile, json;
};
#define AT(field) offsetof(struct bench_options, field)
static const struct option rows[] = {
    {"config", OPTION_STRING, AT(config), 0, 0, "quickstart", NULL, "NAME|FILE", "model shape",
     false, false},
    {"sequence-length", OPTION_INT, AT(length), 1, 1 << 20, "256", NULL, "T",
     "tokens in a sequence", false, false},
    {"batch", OPTION_INT, AT(batch), 1, 1 << 20, "16", NULL, "N", "sequences in an optimizer step",
     false, false},
    {"micro-batch", OPTION_INT, AT(micro), 1, 1 << 20, "8", NULL, "N", "sequences at once", false,
     false},
    {"steps", OPTION_INT, AT(steps), 1, 100000, "7", NULL, "N", "timed steps; one more goes before",
     false, false},
    {"mtp", OPTION_INT, AT(mtp), -1, 8, "-1", NULL, "N", "MTP modules; -1: the config's", false,
     false},
    {"recompute", OPTION_CHOICE, AT(recompute), 0, 0, "selective", "selective|layer", NULL,
     "what the backward computes again", false, false},
    {"precision", OPTION_CHOICE, AT(precision), 0, 0, "f32", "f32|bf16|fp8", NULL,
     "what the operands of products are rounded to", false, false},
    {"profile", OPTION_FLAG, AT(profile), 0, 0, NULL, NULL, NULL,
     "print where the time of a step goes, operation by operation", false, false},
    {"json", OPTION_FLAG, AT(json), 0, 0, NULL, NULL, NULL, "print one JSON object", false, false},
    OPTION_THREADS(struct bench_options),
    OPTION_ISA(struct bench_options),
};
static const struct option_table table = {
    "bench train",
    "Time whole training steps on random tokens, as a share of the multiply-add peak.",
    NULL,
    "Useful FLOPs: 6 per active parameter and token, head and MTP included, and causal attention.\n"
    "Example: fathom bench train --config small --sequence-length 512 --micro-batch 4",
    rows,
    sizeof rows / sizeof rows[0]};

struct bench {
    const struct bench_options *options;
    struct device *device;
    struct model *model;
    struct trainer *trainer;
    int32_t *tokens;
    struct sequence *sequences;
    double *seconds, *peaks;     /* [steps] */
    struct device_limits limits; /* where a profile is asked for */
    struct profile *profile;     /* NULL: it is not */
};

static fathom_status bench_open(struct bench *b, struct error *err) {
    const struct bench_options *o = b->options;
    const struct trainer_options options = {.optimizer = {0.9, 0.95, 1e-8, 0.1, 1, false},
                                            .recompute = (enum recompute)o->recompute,
                                            .balance_alpha = 1e-4,
                                            .micro_sequences = o->micro,
                                            .sequence_length = o->length};
    struct model_config config;
    if (o->batch % o->micro != 0)
        RAISE(FATHOM_USAGE, "--micro-batch %lld does not divide --batch %lld", (long long)o->micro,
              (long long)o->batch);
    TRY(config_named(&config, o->config, err));
    if (o->mtp >= 0) config.mtp_modules = o->mtp;
    TRY(model_new(&b->model, b->device, &config, MODEL_GRADS, err));
    b->model->precision = (enum precision)o->precision;
    TRY(model_init(b->model, 1, 0, err));
    TRY(trainer_new(&b->trainer, b->model, &options, err));
    TRY(MEM_NEW(&b->tokens, o->batch * (o->length + 1), "tokens", err));
    TRY(MEM_NEW(&b->sequences, o->batch, "tokens", err));
    TRY(MEM_NEW(&b->seconds, o->steps, "times", err));
    TRY(MEM_NEW(&b->peaks, o->steps, "times", err));
    for (int64_t i = 0; i < o->batch * (o->length + 1); i++)
        b->tokens[i] = (int32_t)rng_below((struct rng_key){1, RNG_TEST, 0}, (uint64_t)i,
                                          (uint64_t)config.vocab);
    for (int64_t i = 0; i < o->batch; i++)
        b->sequences[i] =
            (struct sequence){.tokens = b->tokens + i * (o->length + 1), .count = o->length};
    return FATHOM_OK;
}

/* The limits are measured before: the profile's operations are slower by their clocks. */
static fathom_status bench_profile(struct bench *b, struct error *err) {
    if (b->options->json)
        RAISE(FATHOM_USAGE, "--profile prints a table: it does not go with --json");
    TRY(device_measure(b->device, &b->limits, err));
    return profile_new(&b->profile, b->device, err);
}

static fathom_status bench_step(struct bench *b, struct error *err) {
    const struct bench_options *o = b->options;
    const struct step_totals totals =
        step_totals_of(o->batch, o->length, b->model->config.mtp_modules);
    const struct step_weights weights = {.mtp = 0.3, .balance = 1e-4};
    struct step_metrics metrics;
    trainer_begin(b->trainer, &totals, &weights);
    for (int64_t at = 0; at < o->batch; at += o->micro)
        TRY(trainer_accumulate(b->trainer, b->sequences + at, o->micro, err));
    return trainer_finish(b->trainer, 1e-4, 1e-3, &metrics, err);
}

static fathom_status bench_run(struct bench *b, struct error *err) {
    TRY(bench_step(b, err)); /* warms up */
    if (b->profile) profile_clear(b->profile);
    for (int64_t i = 0; i < b->options->steps; i++) {
        b->peaks[i] = device_peak_flops(b->device, precision_operands(b->model->precision));
        double begin = clock_seconds();
        TRY(bench_step(b, err));
        b->seconds[i] = clock_seconds() - begin;
        if (interrupt_requested()) RAISE(FATHOM_INTERRUPTED, "stopped");
    }
    return FATHOM_OK;
}

static fathom_status print_profile(struct bench *b, FILE *out, struct error *err) {
    const struct device_limits *l = &b->limits;
    struct profiled_steps steps = {.steps = b->options->steps};
    if (!b->profile) return FATHOM_OK;
    for (int64_t i = 0; i < steps.steps; i++) steps.seconds += b->seconds[i];
    steps.flops_per_second = median_of(b->peaks, (size_t)steps.steps);
    /* a byte copied is read and written */
    steps.bytes_per_second = l->read_bytes > 2 * l->copy_bytes ? l->read_bytes : 2 * l->copy_bytes;
    fprintf(out, "bounds: %.1f GFLOP/s, %.1f GB/s of memory\n", steps.flops_per_second * 1e-9,
            steps.bytes_per_second * 1e-9);
    return profile_print(b->profile, &steps, out, err);
}

static void bench_print(struct bench *b, FILE *out) {
    const struct bench_options *o = b->options;
    double flops = model_train_flops(&b->model->params, &b->model->config, o->length);
    double tokens = (double)(o->batch * o->length);
    double seconds = median_of(b->seconds, (size_t)o->steps),
           peak = median_of(b->peaks, (size_t)o->steps);
    double rate = tokens * flops / seconds;
    if (o->json) {
        fprintf(out,
                "{\"config\": \"%s\", \"precision\": \"%s\", \"isa\": \"%s\", \"threads\": %d, "
                "\"tokens_per_second\": %.1f, "
                "\"mflop_per_token\": %.2f, \"gflops\": %.2f, \"peak_gflops\": %.2f, "
                "\"share\": %.4f, \"peak_memory\": %zu}\n",
                o->config, precision_name((enum precision)o->precision), b->device->isa,
                pool_threads(b->device->engine->pool), tokens / seconds, flops * 1e-6, rate * 1e-9,
                peak * 1e-9, peak > 0 ? rate / peak : 0, mem_peak_resident());
        return;
    }
    fprintf(out,
            "%s in %s, %lld x %lld tokens (%lld at once), %s, %d threads, median of %lld steps\n",
            o->config, precision_name((enum precision)o->precision), (long long)o->batch,
            (long long)o->length, (long long)o->micro, b->device->isa,
            pool_threads(b->device->engine->pool), (long long)o->steps);
    fprintf(out, "%.0f tokens/s, %.1f MFLOP a token, %.1f GFLOP/s", tokens / seconds, flops * 1e-6,
            rate * 1e-9);
    if (peak > 0)
        fprintf(out, ": %.1f%% of the %.1f GFLOP/s peak measured between the steps",
                100 * rate / peak, peak * 1e-9);
    fputc('\n', out);
}

fathom_status command_bench_train(struct command *command) {
    struct bench_options o = {0};
    struct option_given given = {0};
    struct opened_device opened = {0};
    struct bench b = {.options = &o};
    bool is_done = false;
    fathom_status status = command_options(command, &table, &o, &given, NULL, &is_done);
    if (status != FATHOM_OK || is_done) goto out;
    status = opened_device_open(&opened, command, o.threads, o.isa);
    b.device = opened.device;
    if (status == FATHOM_OK) status = bench_open(&b, command->err);
    if (status == FATHOM_OK && o.profile) status = bench_profile(&b, command->err);
    if (status == FATHOM_OK) status = bench_run(&b, command->err);
    if (status == FATHOM_OK) bench_print(&b, command->out);
    if (status == FATHOM_OK) status = print_profile(&b, command->out, command->err);
out:
    profile_free(b.profile);
    trainer_free(b.trainer);
    model_free(b.model);
    mem_free(b.tokens);
    mem_free(b.sequences);
    mem_free(b.seconds);
    mem_free(b.peaks);
    opened_device_close(&opened);
    options_free(&table, &o);
    return status;
}
