/* fathom eval: the options of all tasks, and perplexity */
#include <math.h>

#include "base/clock.h"
#include "data/facts.h"
#include "eval/perplexity.h"
#include "eval_tasks.h"
#include "model/files.h"

#define AT(field) offsetof(struct eval_options, field)
static const struct option rows[] = {
    {"model", OPTION_STRING, AT(model), 0, 0, NULL, NULL, "DIR", "model directory", true, false},
    {"task", OPTION_CHOICE, AT(task), 0, 0, "perplexity", "perplexity|needle", NULL,
     "what to measure", false, false},
    {"data", OPTION_STRING, AT(data), 0, 0, NULL, NULL, "DIR",
     "perplexity: token shards (fathom data build)", false, false},
    {"split", OPTION_CHOICE, AT(split), 0, 0, "heldout", "train|heldout", NULL,
     "perplexity: part of the data", false, false},
    {"sequence-length", OPTION_INT, AT(length), 1, 1 << 24, "256", NULL, "T",
     "perplexity: predictions in a window", false, false},
    {"micro-batch", OPTION_INT, AT(micro), 1, 1 << 16, "8", NULL, "N",
     "perplexity: windows at once", false, false},
    {"windows", OPTION_INT, AT(windows), 0, 1e15, "0", NULL, "N",
     "perplexity: windows that are measured, from the beginning; 0: all", false, false},
    {"mtp", OPTION_FLAG, AT(mtp), 0, 0, NULL, NULL, NULL,
     "perplexity: the MTP modules too, and how often they say what the model will", false, false},
    {"lengths", OPTION_STRING, AT(lengths), 0, 0, "256", NULL, "LIST",
     "needle: lengths of the texts in tokens, such as 256,2048", false, false},
    {"depths", OPTION_STRING, AT(depths), 0, 0, "0,25,50,75,100", NULL, "LIST",
     "needle: where the fact stands, in percent of the text", false, false},
    {"trials", OPTION_INT, AT(trials), 1, 1e6, "10", NULL, "N",
     "needle: texts of each length, asked at each depth", false, false},
    {"others", OPTION_INT, AT(others), 0, FACT_MOST_OTHERS, "0", NULL, "N",
     "needle: further facts in the text, not asked about", false, false},
    {"seed", OPTION_INT, AT(seed), 0, 9e15, "1", NULL, "N", "needle: other texts and facts", false,
     false},
    {"svg", OPTION_STRING, AT(svg), 0, 0, NULL, NULL, "FILE", "needle: the heat map as a picture",
     false, false},
    {"json", OPTION_FLAG, AT(json), 0, 0, NULL, NULL, NULL, "print one JSON object", false, false},
    OPTION_THREADS(struct eval_options),
    OPTION_ISA(struct eval_options),
};
static const struct option_table table = {
    "eval",
    "Measure a model: the perplexity of a text, or finding a fact in a long text.",
    NULL,
    "Example: fathom eval --model run --data shards\n"
    "A needle in a haystack: fathom eval --task needle --model run --lengths 256,2048",
    rows,
    sizeof rows / sizeof rows[0]};

static void print_json(FILE *out, const struct perplexity *p, double rate) {
    fprintf(out,
            "{\"task\": \"perplexity\", \"tokens\": %lld, \"nats_per_token\": %.6f, "
            "\"perplexity\": %.4f, \"bits_per_byte\": %.6f, \"tokens_per_second\": %.1f",
            (long long)p->tokens, p->nats, exp(p->nats), p->bits_per_byte, rate);
    for (int64_t k = 0; k < p->mtp_modules; k++)
        fprintf(out, "%s{\"tokens\": %lld, \"nats_per_token\": %.6f, \"agreement\": %.6f}%s",
                k == 0 ? ", \"mtp\": [" : ", ", (long long)p->mtp[k].tokens, p->mtp[k].nats,
                p->mtp[k].agreement, k + 1 == p->mtp_modules ? "]" : "");
    fputs("}\n", out);
}

static void print_result(FILE *out, const struct perplexity *p, bool as_json) {
    double rate = clock_rate((double)p->tokens, p->seconds);
    if (as_json) {
        print_json(out, p, rate);
        return;
    }
    fprintf(out,
            "%lld tokens: %.4f nats per token (perplexity %.2f), %.4f bits per byte, %.0f "
            "tokens/s\n",
            (long long)p->tokens, p->nats, exp(p->nats), p->bits_per_byte, rate);
    for (int64_t k = 0; k < p->mtp_modules; k++)
        fprintf(out,
                "MTP module %lld, %lld tokens: %.4f nats per token; %.1f%% are the model's own "
                "choice\n",
                (long long)k + 1, (long long)p->mtp[k].tokens, p->mtp[k].nats,
                100 * p->mtp[k].agreement);
}

static fathom_status eval_perplexity(struct command *command, const struct eval_options *o,
                                     struct device *device) {
    struct error *err = command->err;
    struct model *model = NULL;
    struct shard_set *set = NULL;
    struct perplexity result;
    const struct perplexity_options options = {o->length, o->micro, o->windows, o->mtp};
    if (!o->data) RAISE(FATHOM_USAGE, "eval --task perplexity needs --data DIR: token shards");
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

static fathom_status measure(struct command *command, const struct eval_options *o) {
    struct opened_device opened = {0};
    fathom_status status = opened_device_open(&opened, command, o->threads, o->isa);
    if (status == FATHOM_OK)
        status = o->task == EVAL_NEEDLE ? eval_needle(command, o, opened.device)
                                        : eval_perplexity(command, o, opened.device);
    opened_device_close(&opened);
    return status;
}

fathom_status command_eval(struct command *command) {
    struct eval_options o = {0};
    struct option_given given = {0};
    bool is_done = false;
    fathom_status status = command_options(command, &table, &o, &given, NULL, &is_done);
    if (status == FATHOM_OK && !is_done)
        status = options_check_required(&table, &o, &given, command->err);
    if (status == FATHOM_OK && !is_done) status = measure(command, &o);
    options_free(&table, &o);
    return status;
}
