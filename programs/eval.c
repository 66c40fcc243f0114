/* fathom eval --task perplexity */
#include <math.h>

#include "base/json.h"
#include "device_options.h"
#include "eval/perplexity.h"
#include "model/files.h"

struct eval_options {
    char *model, *data, *isa;
    int task, split;
    int64_t length, micro, windows, threads;
    bool json;
};
#define AT(field) offsetof(struct eval_options, field)
static const struct option rows[] = {
    {"model", OPTION_STRING, AT(model), 0, 0, NULL, NULL, "DIR", "model directory", true, false},
    {"task", OPTION_CHOICE, AT(task), 0, 0, "perplexity", "perplexity", NULL, "what to measure",
     false, false},
    {"data", OPTION_STRING, AT(data), 0, 0, NULL, NULL, "DIR", "token shards (fathom data build)",
     true, false},
    {"split", OPTION_CHOICE, AT(split), 0, 0, "heldout", "train|heldout", NULL, "part of the data",
     false, false},
    {"sequence-length", OPTION_INT, AT(length), 1, 1 << 24, "256", NULL, "T",
     "predictions in a window", false, false},
    {"micro-batch", OPTION_INT, AT(micro), 1, 1 << 16, "8", NULL, "N", "windows at once", false,
     false},
    {"windows", OPTION_INT, AT(windows), 0, 1e15, "0", NULL, "N",
     "windows that are measured, from the beginning; 0: all", false, false},
    {"json", OPTION_FLAG, AT(json), 0, 0, NULL, NULL, NULL, "print one JSON object", false, false},
    OPTION_THREADS(struct eval_options),
    OPTION_ISA(struct eval_options),
};
static const struct option_table table = {
    "eval", "Measure a model: the perplexity of a text, in nats per token and bits per byte.",
    NULL,   "Example: fathom eval --model run --data shards",
    rows,   sizeof rows / sizeof rows[0]};

static void print_result(FILE *out, const struct perplexity *p, bool as_json) {
    double rate = (double)p->tokens / p->seconds;
    if (as_json)
        fprintf(out,
                "{\"task\": \"perplexity\", \"tokens\": %lld, \"nats_per_token\": %.6f, "
                "\"perplexity\": %.4f, \"bits_per_byte\": %.6f, \"tokens_per_second\": %.1f}\n",
                (long long)p->tokens, p->nats, exp(p->nats), p->bits_per_byte, rate);
    else
        fprintf(out,
                "%lld tokens: %.4f nats per token (perplexity %.2f), %.4f bits per byte, %.0f "
                "tokens/s\n",
                (long long)p->tokens, p->nats, exp(p->nats), p->bits_per_byte, rate);
}

static fathom_status measure(struct command *command, const struct eval_options *o,
                             struct device *device) {
    struct error *err = command->err;
    struct model *model = NULL;
    struct shard_set *set = NULL;
    struct perplexity result;
    const struct perplexity_options options = {o->length, o->micro, o->windows};
    fathom_status status = model_open(&model, device, o->model, 0, err);
    if (status == FATHOM_OK)
        status = shard_set_open(&set, o->data, (enum shard_split)o->split, err);
    if (status == FATHOM_OK) status = shard_set_check_vocab(set, model->config.vocab, o->data, err);
    if (status == FATHOM_OK) status = perplexity_measure(&result, model, set, &options, err);
    if (status == FATHOM_OK) print_result(command->out, &result, o->json);
    shard_set_close(set);
    model_free(model);
    return status;
}

fathom_status command_eval(struct command *command) {
    struct eval_options o = {0};
    struct option_given given = {0};
    struct opened_device opened = {0};
    bool is_done = false;
    fathom_status status = command_options(command, &table, &o, &given, NULL, &is_done);
    if (status != FATHOM_OK || is_done) goto out;
    status = options_check_required(&table, &o, &given, command->err);
    if (status == FATHOM_OK) status = opened_device_open(&opened, command, o.threads, o.isa);
    if (status == FATHOM_OK) status = measure(command, &o, opened.device);
out:
    opened_device_close(&opened);
    options_free(&table, &o);
    return status;
}
