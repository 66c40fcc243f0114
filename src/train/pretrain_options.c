#include "base/file.h"
#include "base/memory.h"
#include "format/state.h"
#include "train/checkpoint.h"
#include "train/mixture.h"
#include "train/pretrain.h"

#define AT(field) offsetof(struct pretrain_options, field)

static const struct option rows[] = {
    {"model", OPTION_STRING, AT(model), 0, 0, NULL, NULL, "DIR",
     "model to start from, with its tokenizer (see fathom init)", true, false},
    {"data", OPTION_STRING, AT(data), 0, 0, NULL, NULL, "DIR",
     "token shards (fathom data build); mix:DIR=WEIGHT,DIR=WEIGHT mixes several", true, false},
    {"out", OPTION_STRING, AT(out), 0, 0, NULL, NULL, "DIR",
     "the run: checkpoints, metrics, and the trained model", true, false},
    {"recipe", OPTION_STRING, AT(recipe), 0, 0, NULL, NULL, "FILE",
     "read options from an INI file; the command line wins", false, false},
    {"resume", OPTION_FLAG, AT(resume), 0, 0, NULL, NULL, NULL,
     "continue the run in --out, bit for bit", false, false},
    {"dry-run", OPTION_FLAG, AT(dry_run), 0, 0, NULL, NULL, NULL, "print the plan and do nothing",
     false, false},
    {"steps", OPTION_INT, AT(steps), 1, 1e12, "1000", NULL, "N", "optimizer steps", false, true},
    {"sequence-length", OPTION_INT, AT(sequence_length), 1, 1 << 24, "256", NULL, "T",
     "tokens in a sequence", false, true},
    {"batch", OPTION_INT, AT(batch), 1, 1 << 24, "32", NULL, "N", "sequences in an optimizer step",
     false, true},
    {"batch-from", OPTION_INT, AT(batch_from), 0, 1 << 24, "0", NULL, "N",
     "sequences in the first step, growing to --batch over --ramp-tokens; 0: no ramp", false, true},
    {"ramp-tokens", OPTION_INT, AT(ramp_tokens), 0, 1e16, "0", NULL, "N",
     "tokens over which the batch grows", false, true},
    {"micro-batch", OPTION_INT, AT(micro_batch), 1, 1 << 20, "8", NULL, "N",
     "sequences that are computed at once; must divide --batch", false, true},
    {"learning-rate", OPTION_FLOAT, AT(learning_rate), 1e-12, 10, "2e-3", NULL, "X",
     "peak learning rate", false, true},
    {"warmup", OPTION_INT, AT(warmup), 0, 1e12, "50", NULL, "N", "steps of linear warm-up", false,
     true},
    {"constant-until", OPTION_FLOAT, AT(constant_until), 0, 1, "0.676", NULL, "SHARE",
     "share of the steps at the peak rate; a cosine follows", false, true},
    {"cosine-until", OPTION_FLOAT, AT(cosine_until), 0, 1, "0.966", NULL, "SHARE",
     "where the cosine ends", false, true},
    {"last-from", OPTION_FLOAT, AT(last_from), 0, 1, "0.989", NULL, "SHARE",
     "where the last rate begins", false, true},
    {"final-ratio", OPTION_FLOAT, AT(final_ratio), 0, 1, "0.1", NULL, "X",
     "rate after the cosine, of the peak", false, true},
    {"last-ratio", OPTION_FLOAT, AT(last_ratio), 0, 1, "0.0332", NULL, "X",
     "the last rate, of the peak", false, true},
    {"beta1", OPTION_FLOAT, AT(beta1), 0, 0.999999, "0.9", NULL, "X", "AdamW", false, true},
    {"beta2", OPTION_FLOAT, AT(beta2), 0, 0.999999, "0.95", NULL, "X", "AdamW", false, true},
    {"eps", OPTION_FLOAT, AT(eps), 1e-30, 1, "1e-8", NULL, "X", "AdamW", false, true},
    {"weight-decay", OPTION_FLOAT, AT(decay), 0, 10, "0.1", NULL, "X", "of matrices", false, true},
    {"moments", OPTION_CHOICE, AT(moments), 0, 0, "f32", "f32|bf16", NULL,
     "how AdamW's two moments are kept", false, true},
    {"clip", OPTION_FLOAT, AT(clip), 0, 1e9, "1", NULL, "X",
     "largest gradient norm; 0: no clipping", false, true},
    {"ema", OPTION_FLOAT, AT(ema), 0, 0.9999999, "0", NULL, "DECAY",
     "keep an average of the weights that decays so per step, in RUN/ema; 0: none", false, true},
    {"mtp-weight", OPTION_FLOAT, AT(mtp_first), 0, 100, "0.3", NULL, "X",
     "weight of the multi-token prediction loss", false, true},
    {"mtp-weight-last", OPTION_FLOAT, AT(mtp_last), 0, 100, "0.1", NULL, "X",
     "the same after --mtp-until", false, true},
    {"mtp-until", OPTION_FLOAT, AT(mtp_until), 0, 1, "0.676", NULL, "SHARE",
     "where the weight changes", false, true},
    {"balance-alpha", OPTION_FLOAT, AT(balance_alpha), 0, 100, "1e-4", NULL, "X",
     "weight of the sequence-wise balance loss", false, true},
    {"balance-counts", OPTION_CHOICE, AT(balance_counts), 0, 0, "top-k", "top-k|routed", NULL,
     "which experts of a token that loss counts: the top K of its scores (V3), or those that it is "
     "routed to (V2)",
     false, true},
    {"expert-devices", OPTION_INT, AT(expert_devices), 0, 1 << 16, "0", NULL, "N",
     "devices that the experts are divided among, for the options below; 0: the config's groups",
     false, true},
    {"device-balance-alpha", OPTION_FLOAT, AT(device_balance_alpha), 0, 100, "0", NULL, "X",
     "weight of the device-level balance loss (V2: 0.05)", false, true},
    {"communication-balance-alpha", OPTION_FLOAT, AT(communication_balance_alpha), 0, 100, "0",
     NULL, "X", "weight of the communication-level balance loss (V2: 0.02)", false, true},
    {"capacity-factor", OPTION_FLOAT, AT(capacity_factor), 0, 1e6, "0", NULL, "X",
     "drop tokens with the lowest affinity from devices that have more than X times the mean (V2: "
     "1); 0: none",
     false, true},
    {"never-dropped", OPTION_FLOAT, AT(never_dropped), 0, 1, "0.1", NULL, "SHARE",
     "share of the sequences that are never dropped from", false, true},
    {"bias-speed", OPTION_FLOAT, AT(bias_speed), 0, 1, "1e-3", NULL, "X",
     "how far the router bias moves after a step", false, true},
    {"bias-until", OPTION_FLOAT, AT(bias_until), 0, 1, "0.966", NULL, "SHARE",
     "where the router bias stops moving", false, true},
    {"recompute", OPTION_CHOICE, AT(recompute), 0, 0, "selective", "selective|layer", NULL,
     "what the backward computes again: norms and up-projections, or whole layers", false, false},
    {"memory", OPTION_BYTES, AT(memory), 0, 1e15, "0", NULL, "SIZE",
     "recompute as many layers, from the first on, as keep the process below this; 0: no limit",
     false, false},
    {"precision", OPTION_CHOICE, AT(precision), 0, 0, "f32", "f32|bf16|fp8", NULL,
     "what the operands of products are rounded to; sums, weights and gradients stay FP32", false,
     true},
    {"seed", OPTION_INT, AT(seed), 0, 9e15, "1", NULL, "N", "order of the samples", false, true},
    {"save-every", OPTION_INT, AT(save_every), 0, 1e12, "500", NULL, "N",
     "steps between checkpoints; 0: only at the end", false, false},
    {"keep", OPTION_INT, AT(keep), 1, 1e6, "2", NULL, "N", "newest checkpoints that are kept",
     false, false},
    {"keep-every", OPTION_INT, AT(keep_every), 0, 1e12, "0", NULL, "N",
     "steps between checkpoints that are kept for good; 0: none", false, false},
    {"heldout-every", OPTION_INT, AT(heldout_every), 0, 1e12, "100", NULL, "N",
     "steps between measurements of the held-out loss; 0: never", false, false},
    {"heldout-sequences", OPTION_INT, AT(heldout_sequences), 1, 1e9, "32", NULL, "N",
     "held-out sequences that are measured", false, false},
    {"sample-prompt", OPTION_STRING, AT(sample_prompt), 0, 0, NULL, NULL, "TEXT",
     "continue this text at each held-out measurement, for metrics and report", false, false},
    {"sample-tokens", OPTION_INT, AT(sample_tokens), 1, 1 << 20, "64", NULL, "N",
     "tokens that it is continued with", false, false},
    {"skip-batches", OPTION_STRING, AT(skip_batches), 0, 0, NULL, NULL, "LIST",
     "steps that are not trained on, such as 120-125,300: their batches are passed", false, false},
    {"whole-documents", OPTION_FLAG, AT(whole_documents), 0, 0, NULL, NULL, NULL,
     "begin samples with documents, so that those that fit are whole", false, true},
    {"verify-data", OPTION_FLAG, AT(verify_data), 0, 0, "yes", NULL, NULL,
     "read all data before the first step and compare their checksums", false, false},
    {"threads", OPTION_INT, AT(threads), 0, 1024, "0", NULL, "N", "0: all processors", false,
     false},
    {"ranks", OPTION_INT, AT(ranks), 1, COMM_RANKS_MAX, "1", NULL, "N",
     "ranks in this process, which divide each step's micro-batches, the optimizer's state and "
     "--threads between them",
     false, false},
    {"pipeline-stages", OPTION_INT, AT(pipeline_stages), 1, COMM_RANKS_MAX, "1", NULL, "N",
     "stages that the layers are divided into, each on a rank of its own or several (1F1B); must "
     "divide --ranks",
     false, false},
    {"expert-parallel", OPTION_FLAG, AT(expert_parallel), 0, 0, NULL, NULL, NULL,
     "each rank computes its part of the experts, for the tokens of all ranks", false, false},
    {"isa", OPTION_STRING, AT(isa), 0, 0, NULL, NULL, "NAME",
     "instruction set: auto, avx2, avx512, avx512bf16, ref", false, false},
};

const struct option_table pretrain_table = {
    "pretrain",
    "Train a model on token shards with DeepSeek-V3's recipe.",
    NULL,
    "Example: fathom pretrain --model init --data shards --out run --steps 1000\n"
    "An interrupt (Ctrl-C) saves; `fathom pretrain --resume --out run` continues.",
    rows,
    sizeof rows / sizeof rows[0],
};

/* ---- recall ---- */

fathom_status pretrain_recall(struct pretrain_options *options, struct option_given *given,
                              struct error *err) {
    struct checkpoint checkpoint;
    if (!options->out) RAISE(FATHOM_USAGE, "--resume needs --out DIR: the run to continue");
    TRY(checkpoint_open(&checkpoint, options->out, INT64_MAX, err));
    fathom_status status = options_recall(&pretrain_table, options, given,
                                          state_options(checkpoint.state), options->out, err);
    options->resume = true;
    checkpoint_close(&checkpoint);
    return status;
}

/* ---- checks and views ---- */

int64_t pretrain_replicas(const struct pretrain_options *o) {
    return o->ranks > o->pipeline_stages ? o->ranks / o->pipeline_stages : 1;
}

fathom_status pretrain_stage(struct stage *stage, const struct pretrain_options *o, int rank,
                             const struct model_config *config, struct error *err) {
    const struct comm ranks = {.rank = rank, .size = (int)o->ranks};
    const struct pipeline_place place = pipeline_place_of(&ranks, (int)o->pipeline_stages);
    return stage_divide(stage, place.stage, place.stages, config, o->sequence_length, err);
}

static fathom_status check_ranks(const struct pretrain_options *o, struct error *err) {
    if (o->ranks % o->pipeline_stages != 0)
        RAISE(FATHOM_USAGE,
              "--ranks %lld cannot form pipelines of --pipeline-stages %lld: take a multiple of it",
              (long long)o->ranks, (long long)o->pipeline_stages);
    if (o->pipeline_stages > 1 && o->sample_prompt)
        RAISE(FATHOM_USAGE,
              "--sample-prompt needs the whole model, of which each rank has a part with "
              "--pipeline-stages %lld: leave it out",
              (long long)o->pipeline_stages);
    if (o->pipeline_stages > 1 && o->expert_parallel)
        RAISE(FATHOM_USAGE,
              "--expert-parallel and --pipeline-stages %lld do not go together: take one of them",
              (long long)o->pipeline_stages);
    const int64_t replicas = pretrain_replicas(o), micro_batches = o->batch / o->micro_batch;
    char sharers[48];
    snprintf(sharers, sizeof sharers, o->pipeline_stages > 1 ? "%lld pipelines" : "--ranks %lld",
             (long long)replicas);
    if (micro_batches % replicas != 0)
        RAISE(FATHOM_USAGE,
              "--batch %lld is %lld micro-batches of %lld, which %s cannot share equally",
              (long long)o->batch, (long long)micro_batches, (long long)o->micro_batch, sharers);
    return FATHOM_OK;
}

fathom_status pretrain_check(const struct pretrain_options *o, struct error *err) {
    struct mixture mixture;
    TRY(mixture_parse(&mixture, o->data, err));
    mixture_close(&mixture);
    if (o->batch % o->micro_batch != 0)
        RAISE(FATHOM_USAGE, "--micro-batch %lld does not divide --batch %lld",
              (long long)o->micro_batch, (long long)o->batch);
    TRY(check_ranks(o, err));
    if (o->batch_from > o->batch || (o->batch_from > 0) != (o->ramp_tokens > 0))
        RAISE(FATHOM_USAGE,
              "--batch-from %lld, --batch %lld and --ramp-tokens %lld: a ramp goes up and has a "
              "length",
              (long long)o->batch_from, (long long)o->batch, (long long)o->ramp_tokens);
    if (o->expert_parallel && o->batch_from > 0)
        RAISE(FATHOM_USAGE,
              "--expert-parallel shares every step equally among the ranks, which a ramp "
              "(--batch-from %lld) does not",
              (long long)o->batch_from);
    if ((o->device_balance_alpha > 0 || o->communication_balance_alpha > 0) &&
        o->balance_counts != 1)
        RAISE(FATHOM_USAGE,
              "--device-balance-alpha %g and --communication-balance-alpha %g count where tokens "
              "are routed to: add --balance-counts routed",
              o->device_balance_alpha, o->communication_balance_alpha);
    if (o->constant_until > o->cosine_until || o->cosine_until > o->last_from)
        RAISE(FATHOM_USAGE,
              "--constant-until %g, --cosine-until %g and --last-from %g must not descend",
              o->constant_until, o->cosine_until, o->last_from);
    return FATHOM_OK;
}

fathom_status pretrain_config(struct model_config *config, const struct pretrain_options *o,
                              struct error *err) {
    if (!o->config) return config_read(config, o->model, err);
    *config = *o->config;
    return FATHOM_OK;
}

struct schedule pretrain_schedule(const struct pretrain_options *o) {
    struct schedule schedule = {.peak = o->learning_rate,
                                .warmup_steps = o->warmup,
                                .constant_until = o->constant_until,
                                .cosine_until = o->cosine_until,
                                .last_from = o->last_from,
                                .final = o->final_ratio,
                                .last = o->last_ratio,
                                .mtp_first = o->mtp_first,
                                .mtp_last = o->mtp_last,
                                .mtp_until = o->mtp_until,
                                .bias_speed = o->bias_speed,
                                .bias_until = o->bias_until,
                                .batch = o->batch,
                                .batch_from = o->batch_from,
                                .ramp_samples = o->ramp_tokens / o->sequence_length,
                                .batch_multiple = o->micro_batch};
    schedule.samples = schedule_samples(&schedule, o->steps);
    return schedule;
}

struct trainer_options pretrain_trainer_options(const struct pretrain_options *o) {
    return (struct trainer_options){
        .optimizer = {o->beta1, o->beta2, o->eps, o->decay, o->clip, o->moments == 1},
        .recompute = (enum recompute)o->recompute,
        .divides_experts = o->expert_parallel,
        .stages = (int)o->pipeline_stages,
        .balance_alpha = o->balance_alpha,
        .balances_routed = o->balance_counts == 1,
        .micro_sequences = o->micro_batch,
        .sequence_length = o->sequence_length,
    };
}
