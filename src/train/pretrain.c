#include "train/pretrain.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/ranges.h"
#include "format/shard.h"
#include "model/files.h"
#include "model/sizes.h"
#include "train/balance.h"
#include "train/expert_devices.h"
#include "train/checkpoint.h"
#include "train/curve.h"
#include "train/metrics.h"
#include "train/mixture.h"
#include "train/spikes.h"

/* Where the last steps begin whose expert loads are summed, as a share of the run. */
static const double late_from = 0.8;

/* Rates and the time left are of so many steps: a run that stood still for a while is not slow for
 * ever. */
enum { PACE_STEPS = 20 };
struct pace_point {
    double seconds; /* of the clock */
    int64_t samples;
    double flops;
};

struct run_state {
    const struct pretrain_options *options;
    struct device *device;
    struct comm *comm; /* the ranks; NULL: one */
    struct log *log;
    struct model *model;
    struct trainer *trainer;
    struct ema *ema;
    struct mixture data;
    struct metrics_source *sources; /* [data.count] of a mixture; NULL for one dataset */
    struct metrics *metrics;
    int32_t *tokens;            /* [micro_batch, T + 1] */
    struct sequence *sequences; /* [micro_batch] */
    struct text recorded;       /* the options as JSON */
    struct text sample;         /* of the last held-out measurement */
    struct schedule schedule;
    struct ranges skipped; /* --skip-batches */
    struct spikes spikes;
    struct balance_sums late_loads; /* of the last steps */
    double flops_per_token, peak;
    double flops_done;                  /* since this process began */
    struct pace_point pace[PACE_STEPS]; /* a ring: before the last steps */
    int64_t pace_count;
    struct run_place at;
    int64_t saved_step;     /* of the newest checkpoint; -1: none */
    int64_t retry_at;       /* a checkpoint that could not be written is tried again at; 0: none */
    int64_t skipped_in_row; /* steps that were not finite */
    int lock;               /* of the run's directory; -1: none yet */
};

/* ---- ranks ---- */

/* Rank 0 writes the run's files. */
static bool is_first(const struct run_state *r) { return !r->comm || r->comm->rank == 0; }

/* An outcome that may differ between ranks becomes one of all. */
static fathom_status agree(const struct run_state *r, fathom_status own, struct error *err) {
    struct stream stream;
    stream_init(&stream, r->device);
    return r->comm ? comm_agree(r->comm, &stream, own, err) : own;
}

static fathom_status over_ranks(const struct run_state *r, struct comm_op op, void *value,
                                struct error *err) {
    struct stream stream;
    if (!r->comm) return FATHOM_OK;
    stream_init(&stream, r->device);
    op.on_host = true;
    op.from = op.to = value;
    op.count = 1;
    comm_run(r->comm, &stream, &op);
    return stream_check(&stream, err);
}

static fathom_status sum_over_ranks(const struct run_state *r, double *value, struct error *err) {
    return over_ranks(r, (struct comm_op){.kind = COMM_ALL_REDUCE, .dtype = DTYPE_F64}, value, err);
}

/* Rank 0's value. */
static fathom_status first_of_ranks(const struct run_state *r, int64_t *value, struct error *err) {
    return over_ranks(r, (struct comm_op){.kind = COMM_BROADCAST, .dtype = DTYPE_I64}, value, err);
}

/* ---- data ---- */

static fathom_status name_sources(struct run_state *r, struct error *err) {
    if (r->data.count == 1) return FATHOM_OK;
    TRY(MEM_NEW(&r->sources, r->data.count, "--data", err));
    for (size_t i = 0; i < r->data.count; i++)
        r->sources[i] = (struct metrics_source){.name = r->data.sources[i].directory};
    return FATHOM_OK;
}

/* Before anything is trained on damaged data. What takes more than some seconds is told. */
static fathom_status verify_data(struct run_state *r, struct error *err) {
    const int64_t many = 1000 * 1000 * 1000, tokens = mixture_tokens(&r->data);
    char count[32];
    if (tokens >= many)
        log_line(r->log, LOG_INFO,
                 "comparing %s tokens with their checksums (--no-verify-data leaves that out)",
                 format_count(count, (double)tokens));
    return mixture_verify(&r->data, err);
}

static fathom_status open_data(struct run_state *r, struct error *err) {
    const struct pretrain_options *o = r->options;
    const struct mixture_options options = {.data = o->data,
                                            .length = o->sequence_length,
                                            .seed = (uint64_t)o->seed,
                                            .vocab = r->model->config.vocab,
                                            .has_whole_documents = o->whole_documents};
    TRY(mixture_open(&r->data, &options, err));
    if (o->verify_data && is_first(r)) TRY(verify_data(r, err));
    TRY(name_sources(r, err));
    TRY(MEM_NEW(&r->tokens, o->micro_batch * (o->sequence_length + 1), "a batch", err));
    TRY(MEM_NEW(&r->sequences, o->micro_batch, "a batch", err));
    for (int64_t i = 0; i < o->micro_batch; i++)
        r->sequences[i] = (struct sequence){.tokens = r->tokens + i * (o->sequence_length + 1),
                                            .count = o->sequence_length};
    return FATHOM_OK;
}

/* ---- start and resume ---- */

static fathom_status take_directory(struct run_state *r, struct error *err) {
    TRY(directory_lock(&r->lock, r->options->out, err));
    return checkpoint_remove_leftovers(r->options->out, err);
}

static fathom_status check_is_free(const struct run_state *r, struct error *err) {
    const struct pretrain_options *o = r->options;
    char *config = NULL;
    TRY(path_join(&config, o->out, "config.json", err));
    bool is_taken = path_exists(config);
    mem_free(config);
    is_taken |= checkpoint_exists(o->out);
    if (is_taken)
        RAISE(FATHOM_EXISTS,
              "%s: there is a model or run already; continue it with --resume or choose another "
              "--out",
              o->out);
    return FATHOM_OK;
}

static fathom_status start_new(struct run_state *r, struct error *err) {
    r->saved_step = -1;
    if (is_first(r)) TRY(check_is_free(r, err));
    TRY(model_load(r->model, r->options->model, err));
    if (!is_first(r)) return FATHOM_OK;
    TRY(path_make_directory(r->options->out, err));
    return take_directory(r, err);
}

static fathom_status check_resumed(const struct run_state *r, const struct state_info *info,
                                   struct error *err) {
    if (info->data_identity != mixture_identity(&r->data))
        RAISE(FATHOM_BAD_INPUT,
              "%s: not the data that %s was trained on; resuming would change the run",
              r->options->data, r->options->out);
    return FATHOM_OK;
}

static struct trained trained_of(const struct run_state *r) {
    return trainer_trained(r->trainer, r->ema);
}

/* Loads the newest checkpoint that is whole. `fault` keeps what was wrong with a newer one. */
static fathom_status load_newest(struct run_state *r, struct checkpoint *out, struct error *fault) {
    for (int64_t before = INT64_MAX;;) {
        struct error *first = fault->text[0] ? NULL : fault;
        TRY(checkpoint_open(out, r->options->out, before, first));
        first = fault->text[0] ? NULL : fault;
        const struct trained trained = trained_of(r);
        fathom_status status = checkpoint_load(out, &trained, first);
        if (status == FATHOM_OK) return FATHOM_OK;
        before = out->step;
        checkpoint_close(out);
        if (!checkpoint_is_damage(status)) return status;
    }
}

/* Loads the checkpoint of one step and no other. */
static fathom_status load_step(struct run_state *r, struct checkpoint *out, int64_t step,
                               struct error *err) {
    TRY(checkpoint_open(out, r->options->out, step + 1, err));
    if (out->step != step)
        RAISE(FATHOM_BAD_INPUT,
              "%s: rank 0 resumes from step %lld, of which there is no checkpoint", r->options->out,
              (long long)step);
    const struct trained trained = trained_of(r);
    return checkpoint_load(out, &trained, err);
}

/* Rank 0 chooses, the others load the same. */
static fathom_status load_chosen(struct run_state *r, struct checkpoint *out, struct error *err) {
    struct error fault = {0};
    fathom_status status = is_first(r) ? load_newest(r, out, &fault) : FATHOM_OK;
    if (status != FATHOM_OK) *err = fault;
    TRY(agree(r, status, err));
    int64_t step = out->step;
    TRY(first_of_ranks(r, &step, err));
    if (!is_first(r)) status = load_step(r, out, step, err);
    if (fault.text[0]) log_line(r->log, LOG_INFO, "passed over: %s", fault.text);
    return agree(r, status, err);
}

static fathom_status start_resumed(struct run_state *r, struct error *err) {
    struct checkpoint checkpoint = {0};
    fathom_status status = load_chosen(r, &checkpoint, err);
    if (status == FATHOM_OK) status = check_resumed(r, state_get_info(checkpoint.state), err);
    if (status == FATHOM_OK) {
        r->saved_step = checkpoint.step;
        r->at = (struct run_place){checkpoint.step, state_get_info(checkpoint.state)->samples_seen};
        log_line(r->log, LOG_INFO, "resuming %s at step %lld", r->options->out,
                 (long long)r->at.step);
        if (is_first(r)) status = checkpoint_set_aside(r->options->out, r->at.step, err);
        if (status == FATHOM_OK && is_first(r))
            status = checkpoint_publish(&checkpoint, r->options->out, err);
    }
    checkpoint_close(&checkpoint);
    return status;
}

/* Of the newest checkpoint that has a whole one: it is the same in all of a run. The error is the
 * newest one's. */
static fathom_status read_resumed_config(const struct run_state *r, struct model_config *config,
                                         struct error *err) {
    fathom_status newest = FATHOM_OK;
    for (int64_t before = INT64_MAX;;) {
        struct error *fault = newest == FATHOM_OK ? err : NULL;
        struct checkpoint checkpoint;
        fathom_status status = checkpoint_open(&checkpoint, r->options->out, before, fault);
        if (status != FATHOM_OK) return newest == FATHOM_OK ? status : newest;
        status = config_read(config, checkpoint.path, fault);
        before = checkpoint.step;
        checkpoint_close(&checkpoint);
        if (!checkpoint_is_damage(status)) return status;
        if (newest != FATHOM_OK) continue;
        log_line(r->log, LOG_INFO, "passed over: %s", err->text);
        newest = status;
    }
}

/* Before the model takes its memory: what a whole one without any tells. */
static fathom_status fit(struct run_state *r, const struct model_config *config,
                         struct trainer_options *out, struct error *err) {
    const struct pretrain_options *o = r->options;
    struct model *dry = NULL;
    TRY(model_new(&dry, r->device, config, MODEL_GRADS | MODEL_DRY, err));
    dry->precision = (enum precision)o->precision;
    fathom_status status = pretrain_fit(out, o, dry, err);
    if (status == FATHOM_OK && o->memory > 0)
        log_line(r->log, LOG_INFO, "recomputing %lld of %lld layers",
                 (long long)out->recompute_layers, (long long)config_all_layers(config));
    r->flops_per_token = model_train_flops(&dry->params, config, o->sequence_length);
    model_free(dry);
    return status;
}

/* The model that this rank trains: whole, or its stage. */
static fathom_status take_model(struct run_state *r, const struct model_config *config,
                                struct error *err) {
    const int rank = r->comm ? r->comm->rank : 0;
    struct stage stage;
    TRY(pretrain_stage(&stage, r->options, rank, config, err));
    TRY(model_new_stage(&r->model, r->device, config, stage, MODEL_GRADS, err));
    r->model->precision = (enum precision)r->options->precision;
    return FATHOM_OK;
}

static fathom_status start(struct run_state *r, struct error *err) {
    const struct pretrain_options *o = r->options;
    struct model_config config;
    struct trainer_options trainer_options;
    TRY(ranges_parse(&r->skipped, o->skip_batches, err));
    if (o->resume && is_first(r)) TRY(take_directory(r, err));
    TRY(o->resume ? read_resumed_config(r, &config, err) : pretrain_config(&config, o, err));
    TRY(fit(r, &config, &trainer_options, err));
    TRY(first_of_ranks(r, &trainer_options.recompute_layers, err));
    trainer_options.comm = r->comm;
    TRY(take_model(r, &config, err));
    TRY(open_data(r, err));
    if (!o->resume) TRY(start_new(r, err));
    TRY(trainer_new(&r->trainer, r->model, &trainer_options, err));
    TRY(balance_sums_new(&r->late_loads, r->model, err));
    if (o->ema > 0) TRY(ema_new(&r->ema, r->model, o->ema, err));
    if (o->resume) TRY(start_resumed(r, err));
    options_to_json(&pretrain_table, o, false, &r->recorded);
    TRY(text_check(&r->recorded, err));
    r->schedule = pretrain_schedule(o);
    r->peak = device_peak_flops(r->device, precision_operands(r->model->precision));
    TRY(sum_over_ranks(r, &r->peak, err));
    return is_first(r) ? metrics_open(&r->metrics, o->out, r->at.step, err) : FATHOM_OK;
}

static void run_close(struct run_state *r) {
    metrics_close(r->metrics);
    trainer_free(r->trainer);
    ema_free(r->ema);
    model_free(r->model);
    mixture_close(&r->data);
    mem_free(r->sources);
    mem_free(r->tokens);
    mem_free(r->sequences);
    text_free(&r->recorded);
    text_free(&r->sample);
    ranges_free(&r->skipped);
    balance_sums_free(&r->late_loads);
    directory_unlock(r->lock);
}

static int64_t tokens_seen(const struct run_state *r) {
    return r->at.samples * r->options->sequence_length;
}

/* Sequences of the step that is about to be taken. */
static int64_t batch_now(const struct run_state *r) {
    return schedule_batch(&r->schedule, r->at.samples);
}

static void step_over(struct run_state *r) {
    r->at.samples += batch_now(r);
    r->at.step++;
}

/* ---- checkpoints ---- */

static fathom_status save(struct run_state *r, struct error *err) {
    const struct pretrain_options *o = r->options;
    const struct checkpoint_options options = {.run = o->out,
                                               .files_from = o->resume ? o->out : o->model,
                                               .options_json = text_data(&r->recorded),
                                               .keep = o->keep,
                                               .keep_every = o->keep_every};
    const struct state_info info = {.step = r->at.step,
                                    .tokens_seen = tokens_seen(r),
                                    .samples_seen = r->at.samples,
                                    .seed = (uint64_t)o->seed,
                                    .data_identity = mixture_identity(&r->data)};
    if (r->saved_step == r->at.step) return FATHOM_OK;
    TRY(agree(r, is_first(r) ? metrics_sync(r->metrics, err) : FATHOM_OK, err));
    const struct trained trained = trained_of(r);
    TRY(checkpoint_save(&options, &trained, &info, err));
    r->saved_step = r->at.step;
    return FATHOM_OK;
}

/* On the way a failure to write is told, and tried again before long: the run goes on. */
static fathom_status save_on_the_way(struct run_state *r, struct error *err) {
    fathom_status status = save(r, err);
    r->retry_at = 0;
    if (status != FATHOM_IO) return status;
    r->retry_at = r->at.step + 1 + r->options->save_every / 16;
    log_line(r->log, LOG_INFO, "not saved: %s; training goes on, the next try is after step %lld",
             err->text, (long long)r->retry_at);
    return FATHOM_OK;
}

/* ---- a step ---- */

/* The own share [begin, end) of so many micro-batches; shares differ by one at most, and are the
 * same for all stages of a pipeline. */
struct share {
    int64_t begin, end;
};
static struct share share_of(const struct run_state *r, int64_t micro_batches) {
    const struct pipeline_place place = r->trainer->place;
    return (struct share){micro_batches * place.replica / place.replicas,
                          micro_batches * (place.replica + 1) / place.replicas};
}

/* Sample `number` of the run as sequence i of the micro-batch. */
static fathom_status read_sample(struct run_state *r, int64_t number, int64_t i,
                                 struct error *err) {
    const int64_t tokens = r->options->sequence_length + 1;
    r->sequences[i].keeps_all_slots = sample_keeps_all_slots(r->options, number);
    return mixture_read(&r->data, number, r->tokens + i * tokens, err);
}

/* A rank's micro-batches of the step that is being taken. */
struct step_reader {
    struct run_state *run;
    int64_t first; /* sample of micro-batch 0 */
};

static fathom_status read_micro_batch(void *owner, int64_t index, const struct sequence **sequences,
                                      int64_t *count, struct error *err) {
    const struct step_reader *reader = owner;
    struct run_state *r = reader->run;
    const struct pretrain_options *o = r->options;
    for (int64_t i = 0; i < o->micro_batch; i++)
        TRY(read_sample(r, reader->first + index * o->micro_batch + i, i, err));
    *sequences = r->sequences;
    *count = o->micro_batch;
    return FATHOM_OK;
}

static fathom_status take_step(struct run_state *r, struct step_metrics *metrics,
                               struct error *err) {
    const struct pretrain_options *o = r->options;
    const int64_t batch = batch_now(r);
    const struct step_totals totals =
        step_totals_of(batch, o->sequence_length, r->model->config.mtp_modules);
    const struct step_weights weights = {.mtp = schedule_mtp_weight(&r->schedule, r->at),
                                         .balance = o->balance_alpha,
                                         .device_balance = o->device_balance_alpha,
                                         .communication_balance = o->communication_balance_alpha};
    const struct share share = share_of(r, batch / o->micro_batch);
    struct step_reader reader = {r, r->at.samples + share.begin * o->micro_batch};
    const struct micro_batches batches = {read_micro_batch, &reader, share.end - share.begin};
    trainer_begin(r->trainer, &totals, &weights);
    TRY(trainer_accumulate_all(r->trainer, &batches, err));
    TRY(trainer_finish(r->trainer, schedule_learning_rate(&r->schedule, r->at),
                       schedule_bias_speed(&r->schedule, r->at), metrics, err));
    if (r->ema) ema_update(r->ema, r->model, &r->trainer->stream);
    return stream_check(&r->trainer->stream, err);
}

static fathom_status pass_step(struct run_state *r, const char *reason, struct error *err) {
    step_over(r);
    if (!is_first(r)) return FATHOM_OK;
    return metrics_put_skipped(r->metrics, r->at.step, tokens_seen(r), reason, err);
}

/* A step that was not finite left the weights as they were: its place in the data is passed. */
static fathom_status skip_step(struct run_state *r, struct error *err) {
    enum { MOST_IN_ROW = 3 };
    error_prefix(err, "step %lld", (long long)r->at.step + 1);
    if (++r->skipped_in_row >= MOST_IN_ROW)
        return error_prefix(err,
                            "%d steps in a row were not finite; the last good checkpoint is "
                            "that of step %lld",
                            MOST_IN_ROW, (long long)r->saved_step);
    log_line(r->log, LOG_INFO, "skipped: %s", err->text);
    return pass_step(r, err->text, err);
}

/* A spike is shown with what to do about it. */
static bool look_for_spike(struct run_state *r, double loss) {
    double mean, limit;
    if (!spikes_add(&r->spikes, loss, &mean, &limit)) return false;
    log_line(
        r->log, LOG_INFO,
        "step %lld: the loss %.4f is a spike (mean %.4f, limit %.4f); should it not come down, "
        "--resume --skip-batches LIST passes such batches",
        (long long)r->at.step, loss, mean, limit);
    return true;
}

/* Mean loss of a source's first held-out samples; NaN where there are none. */
static fathom_status measure_source(struct run_state *r, const struct shard_set *set, double *loss,
                                    struct error *err) {
    const struct pretrain_options *o = r->options;
    int64_t count = shard_set_samples(set, o->sequence_length);
    double sum = 0;
    *loss = NAN;
    if (count > o->heldout_sequences) count = o->heldout_sequences;
    const struct share share = share_of(r, (count + o->micro_batch - 1) / o->micro_batch);
    for (int64_t at = share.begin * o->micro_batch; at < share.end * o->micro_batch && at < count;
         at += o->micro_batch) {
        int64_t part = count - at < o->micro_batch ? count - at : o->micro_batch;
        for (int64_t i = 0; i < part; i++)
            TRY(shard_set_sample(set, at + i, o->sequence_length,
                                 r->tokens + i * (o->sequence_length + 1), err));
        TRY(trainer_measure_loss(r->trainer, r->sequences, part, &sum, err));
    }
    TRY(sum_over_ranks(r, &sum, err));
    if (count > 0) *loss = sum / (double)(count * o->sequence_length);
    return FATHOM_OK;
}

/* The mean over sources by weight, of those that hold something out; NaN where none does. */
static fathom_status measure_heldout(struct run_state *r, double *loss, struct error *err) {
    double sum = 0, weights = 0;
    for (size_t i = 0; i < r->data.count; i++) {
        const struct mixture_source *source = &r->data.sources[i];
        TRY(measure_source(r, source->heldout, loss, err));
        if (r->sources) r->sources[i].heldout = *loss;
        if (isnan(*loss)) continue;
        sum += source->weight * *loss;
        weights += source->weight;
    }
    *loss = weights > 0 ? sum / weights : NAN;
    return FATHOM_OK;
}

/* A run does not fail for a text. */
static void draw_sample(struct run_state *r) {
    const struct run_sampler *sampler = r->options->sampler;
    struct error fault = {0};
    text_clear(&r->sample);
    if (!sampler ||
        sampler->draw(sampler->owner, r->model, r->at.step, &r->sample, &fault) == FATHOM_OK)
        return;
    text_free(&r->sample);
    log_line(r->log, LOG_INFO, "no sample at step %lld: %s", (long long)r->at.step, fault.text);
}

/* What metrics tell of each source of a mixture. */
static void count_sources(struct run_state *r, bool is_measured) {
    for (size_t i = 0; r->sources && i < r->data.count; i++) {
        r->sources[i].tokens =
            mixture_count(&r->data, i, r->at.samples) * r->options->sequence_length;
        if (!is_measured) r->sources[i].heldout = NAN;
    }
}

/* Where the run stands now; returns where it stood PACE_STEPS calls ago, or as it began. */
static struct pace_point pace_add(struct run_state *r) {
    struct pace_point *at = &r->pace[r->pace_count % PACE_STEPS];
    const struct pace_point from = r->pace_count < PACE_STEPS ? r->pace[0] : *at;
    *at = (struct pace_point){clock_seconds(), r->at.samples, r->flops_done};
    r->pace_count++;
    return from;
}

static void show_progress(struct run_state *r, const struct step_metrics *m, double heldout,
                          bool is_last) {
    const struct pretrain_options *o = r->options;
    char left[32], rate[32], beside[48] = "";
    const struct pace_point from = pace_add(r);
    double seconds = clock_since(from.seconds);
    int64_t done = r->at.samples - from.samples;
    double tokens = clock_rate((double)(done * o->sequence_length), seconds);
    double rest = seconds / (double)done * (double)(r->schedule.samples - r->at.samples);
    if (!isnan(heldout)) snprintf(beside, sizeof beside, "  held-out %.4f", heldout);
    log_progress(r->log, is_last || !isnan(heldout),
                 "step %lld/%lld  loss %.4f%s  lr %.2e  norm %.2f  %s tok/s  %.0f GFLOP/s  %s left",
                 (long long)r->at.step, (long long)o->steps, m->loss_main, beside, m->learning_rate,
                 m->grad_norm, format_count(rate, tokens),
                 clock_rate(r->flops_done - from.flops, seconds) * 1e-9,
                 format_duration(left, rest));
}

/* Useful ones: 6 for each parameter of an expert that a dropped slot did without are left out. */
static double step_flops(const struct run_state *r, double tokens, const struct step_metrics *m) {
    const struct model_config *c = &r->model->config;
    const double expert = 3 * (double)c->dim * (double)c->expert_dim;
    return tokens * r->flops_per_token - 6 * expert * (double)m->dropped_slots;
}

static fathom_status step_and_report(struct run_state *r, struct error *err) {
    const struct pretrain_options *o = r->options;
    struct step_metrics metrics;
    double heldout = NAN, begin = clock_seconds();
    if (ranges_have(&r->skipped, r->at.step + 1)) return pass_step(r, "--skip-batches", err);
    fathom_status status = take_step(r, &metrics, err);
    if (status == FATHOM_NOT_FINITE) return skip_step(r, err);
    TRY(status);
    r->skipped_in_row = 0;
    double seconds = clock_since(begin);
    double tokens = (double)(batch_now(r) * o->sequence_length);
    const double flops = step_flops(r, tokens, &metrics);
    r->flops_done += flops;
    step_over(r);
    bool is_last = r->at.step == o->steps;
    if ((double)r->at.step > late_from * (double)o->steps)
        balance_sums_add(&r->late_loads, r->trainer->loads);
    const bool is_measured =
        o->heldout_every > 0 && (is_last || r->at.step % o->heldout_every == 0);
    if (is_measured) TRY(measure_heldout(r, &heldout, err));
    if (is_measured) draw_sample(r);
    count_sources(r, !isnan(heldout));
    const struct metrics_line line = {
        .step = r->at.step,
        .tokens_seen = tokens_seen(r),
        .tokens_per_step = tokens,
        .seconds = seconds,
        .flops = flops,
        .peak = r->peak,
        .metrics = &metrics,
        .heldout = heldout,
        .sample = is_measured && r->sample.size > 0 ? &r->sample : NULL,
        .sources = r->sources,
        .source_count = r->sources ? r->data.count : 0,
        .is_spike = look_for_spike(r, metrics.loss_main),
    };
    if (!is_first(r)) return FATHOM_OK;
    TRY(metrics_put(r->metrics, &line, err));
    show_progress(r, &metrics, heldout, is_last);
    return FATHOM_OK;
}

static fathom_status say_how_to_go_on(const struct run_state *r, struct error *err) {
    struct text directory = {0};
    text_append_shell_word(&directory, r->options->out);
    fathom_status status =
        error_set(err, FATHOM_INTERRUPTED,
                  "saved at step %lld; continue with: fathom pretrain --resume --out %s",
                  (long long)r->at.step, text_data(&directory));
    text_free(&directory);
    return status;
}

/* A signal comes to the ranks at different steps: the first's word counts. */
static fathom_status look_for_interrupt(const struct run_state *r, bool *is_interrupted,
                                        struct error *err) {
    int64_t requested = interrupt_requested();
    TRY(first_of_ranks(r, &requested, err));
    *is_interrupted = requested != 0;
    return FATHOM_OK;
}

static fathom_status run_steps(struct run_state *r, struct error *err) {
    const struct pretrain_options *o = r->options;
    pace_add(r);
    while (r->at.step < o->steps) {
        bool is_interrupted = false;
        TRY(step_and_report(r, err));
        bool is_due = o->save_every > 0 && r->at.step % o->save_every == 0;
        if ((is_due || r->at.step == r->retry_at) && r->at.step < o->steps)
            TRY(save_on_the_way(r, err));
        TRY(look_for_interrupt(r, &is_interrupted, err));
        if (!is_interrupted || r->at.step == o->steps) continue;
        TRY(save(r, err));
        return say_how_to_go_on(r, err);
    }
    return save(r, err);
}

/* How evenly the experts were used in the end. */
static void show_balance(const struct run_state *r) {
    double mean, worst;
    if (r->late_loads.layers == 0 || r->late_loads.steps == 0) return;
    balance_sums_violation(&r->late_loads, &mean, &worst);
    log_line(r->log, LOG_INFO,
             "expert loads of the last %lld steps: the fullest expert has %.1f%% more than the "
             "mean (worst layer %.1f%%)",
             (long long)r->late_loads.steps, 100 * mean, 100 * worst);
}

/* The curve is a view of what has been saved: a run does not fail for it. */
static void show_curve(struct run_state *r) {
    struct text chart = {0};
    struct error fault = {0};
    if (curve_draw(r->options->out, &chart, &fault) != FATHOM_OK)
        log_line(r->log, LOG_INFO, "no loss curve: %s", fault.text);
    else
        log_line(r->log, LOG_INFO, "%s%s/loss.svg has it as a picture", text_data(&chart),
                 r->options->out);
    text_free(&chart);
}

fathom_status pretrain_run_rank(const struct pretrain_options *options, struct device *device,
                                struct comm *comm, struct error *err) {
    struct run_state r = {.options = options,
                          .device = device,
                          .comm = comm,
                          .log = &device->engine->log,
                          .lock = -1};
    fathom_status status = start(&r, err);
    if (status == FATHOM_OK) status = run_steps(&r, err);
    if (status == FATHOM_OK && is_first(&r)) {
        show_balance(&r);
        show_curve(&r);
    }
    run_close(&r);
    return status;
}
