/* fathom generate: continue a text */
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "device_options.h"
#include "infer/sampler.h"
#include "infer/session.h"
#include "model/files.h"
#include "text/tokenizer.h"

struct generate_options {
    char *model, *prompt, *stop, *isa;
    int64_t max_tokens, top_k, seed, threads, samples;
    double temperature, top_p;
    bool logprobs, parse_special, ignore_eos, json;
};
#define AT(field) offsetof(struct generate_options, field)
static const struct option rows[] = {
    {"model", OPTION_STRING, AT(model), 0, 0, NULL, NULL, "DIR", "model directory", true, false},
    {"prompt", OPTION_STRING, AT(prompt), 0, 0, NULL, NULL, "TEXT",
     "text to continue; standard input when not given", false, false},
    {"max-tokens", OPTION_INT, AT(max_tokens), 1, 1 << 24, "200", NULL, "N",
     "tokens to generate at most", false, false},
    {"temperature", OPTION_FLOAT, AT(temperature), 0, 100, "0.8", NULL, "X",
     "0: always the most likely token", false, false},
    {"top-p", OPTION_FLOAT, AT(top_p), 0, 1, "0.95", NULL, "X",
     "the fewest tokens whose probability reaches X", false, false},
    {"top-k", OPTION_INT, AT(top_k), 0, 1 << 24, "0", NULL, "N",
     "only the N most likely tokens; 0: all", false, false},
    {"seed", OPTION_INT, AT(seed), 0, 9e15, "1", NULL, "N", "of the random draws", false, false},
    {"samples", OPTION_INT, AT(samples), 1, 100000, "1", NULL, "N", "texts to generate", false,
     false},
    {"stop", OPTION_STRING, AT(stop), 0, 0, NULL, NULL, "TEXT", "end before this text", false,
     false},
    {"ignore-eos", OPTION_FLAG, AT(ignore_eos), 0, 0, NULL, NULL, NULL,
     "go on after the end-of-text token", false, false},
    {"parse-special", OPTION_FLAG, AT(parse_special), 0, 0, NULL, NULL, NULL,
     "recognise special tokens in the prompt", false, false},
    {"logprobs", OPTION_FLAG, AT(logprobs), 0, 0, NULL, NULL, NULL,
     "print a line per token: id, log-probability, text", false, false},
    {"json", OPTION_FLAG, AT(json), 0, 0, NULL, NULL, NULL,
     "one JSON object per sample: {\"prompt\", \"text\", \"ids\", \"logprobs\", \"stop\"}", false,
     false},
    OPTION_THREADS(struct generate_options),
    OPTION_ISA(struct generate_options),
};
static const struct option_table table = {
    "generate",
    "Continue a text with a model.",
    NULL,
    "Example: fathom generate --model run --prompt \"Once upon a time\" --max-tokens 100",
    rows,
    sizeof rows / sizeof rows[0]};

struct generation {
    const struct generate_options *options;
    struct command *command;
    struct tokenizer *tokenizer;
    struct model *model;
    struct session *session;
    struct sampler *sampler;
    struct token_list tokens; /* prompt and answer */
    size_t prompt_count;
    struct stream_decoder decoder;
    struct text shown; /* the answer's text, whole characters */
    size_t printed;    /* bytes of shown that are out */
    struct text logprobs;
    const char *stop_reason;
};

/* ---- printing ---- */

/* Bytes of the answer that may be shown: all, or up to where a stop text could still begin. */
static size_t safe_bytes(const struct generation *g) {
    const char *stop = g->options->stop;
    size_t stop_size = stop ? strlen(stop) : 0;
    for (size_t tail = stop_size; tail > 1; tail--)
        if (tail - 1 <= g->shown.size &&
            memcmp(g->shown.data + g->shown.size - (tail - 1), stop, tail - 1) == 0)
            return g->shown.size - (tail - 1);
    return g->shown.size;
}

static void print_until(struct generation *g, size_t end) {
    bool is_streamed = !g->options->json && !g->options->logprobs;
    if (is_streamed && end > g->printed) {
        fwrite(g->shown.data + g->printed, 1, end - g->printed, g->command->out);
        fflush(g->command->out);
    }
    if (end > g->printed) g->printed = end;
}

/* Cuts the answer at a stop text; true when one has appeared. */
static bool cut_at_stop(struct generation *g) {
    const char *stop = g->options->stop;
    if (!stop || !*stop || g->shown.size == 0) return false;
    char *at = memmem(g->shown.data, g->shown.size, stop, strlen(stop));
    if (!at) return false;
    g->shown.size = (size_t)(at - g->shown.data);
    *at = 0;
    return true;
}

static void note_token(struct generation *g, int32_t id, double logp) {
    size_t size = 0;
    const char *bytes = tokenizer_token_bytes(g->tokenizer, id, &size);
    text_printf(&g->logprobs, "%s", g->logprobs.size ? ", " : "");
    json_write_f64(&g->logprobs, logp);
    if (!g->options->logprobs || g->options->json) return;
    struct text quoted = {0};
    json_write_string(&quoted, bytes, size);
    fprintf(g->command->out, "%d\t%.4f\t%s\n", id, logp, text_data(&quoted));
    text_free(&quoted);
}

static void print_json(struct generation *g) {
    struct text line = {0};
    const char *prompt = g->options->prompt;
    text_append_string(&line, "{\"prompt\": ");
    json_write_string(&line, prompt, strlen(prompt));
    text_append_string(&line, ", \"text\": ");
    json_write_string(&line, text_data(&g->shown), g->shown.size);
    text_append_string(&line, ", \"ids\": [");
    for (size_t i = g->prompt_count; i < g->tokens.count; i++)
        text_printf(&line, "%s%d", i > g->prompt_count ? ", " : "", g->tokens.ids[i]);
    text_printf(&line, "], \"logprobs\": [%s], \"stop\": \"%s\"}\n", text_data(&g->logprobs),
                g->stop_reason);
    fwrite(text_data(&line), 1, line.size, g->command->out);
    text_free(&line);
}

/* ---- generating ---- */

/* One token more; *is_done when the answer has ended. */
static fathom_status next_token(struct generation *g, uint64_t sample, bool *is_done,
                                struct error *err) {
    double logp = 0;
    TRY(session_sync(g->session, g->tokens.ids, (int64_t)g->tokens.count, err));
    int32_t id =
        sampler_pick(g->sampler, session_logits(g->session), sample, g->tokens.count, &logp);
    *is_done = true;
    if (id == g->model->config.eos && !g->options->ignore_eos) {
        g->stop_reason = "eos";
        return FATHOM_OK;
    }
    TRY(token_list_add(&g->tokens, id, err));
    /* rows of the head beyond the tokenizer's vocabulary have no text */
    if (id < tokenizer_vocab_size(g->tokenizer))
        TRY(stream_decoder_put(&g->decoder, g->tokenizer, id, true, &g->shown, err));
    note_token(g, id, logp);
    if (cut_at_stop(g)) {
        g->stop_reason = "stop";
        return FATHOM_OK;
    }
    print_until(g, safe_bytes(g));
    *is_done = interrupt_requested();
    g->stop_reason = *is_done ? "interrupt" : "length";
    return FATHOM_OK;
}

static fathom_status one_sample(struct generation *g, uint64_t sample, struct error *err) {
    const struct generate_options *o = g->options;
    bool is_done = false;
    g->tokens.count = g->prompt_count;
    g->decoder = (struct stream_decoder){0};
    text_clear(&g->shown);
    text_clear(&g->logprobs);
    g->printed = 0;
    for (int64_t i = 0; i < o->max_tokens && !is_done; i++)
        TRY(next_token(g, sample, &is_done, err));
    if (strcmp(g->stop_reason, "stop") != 0) stream_decoder_end(&g->decoder, &g->shown);
    TRY(text_check(&g->shown, err));
    print_until(g, g->shown.size);
    if (o->json)
        print_json(g);
    else if (!o->logprobs)
        fputc('\n', g->command->out);
    return FATHOM_OK;
}

static fathom_status encode_prompt(struct generation *g, struct error *err) {
    struct encoder *encoder = NULL;
    const char *prompt = g->options->prompt;
    TRY(encoder_new(&encoder, g->tokenizer, err));
    fathom_status status =
        encoder_encode(encoder, prompt, strlen(prompt), g->options->parse_special, &g->tokens, err);
    encoder_free(encoder);
    TRY(status);
    /* An empty prompt begins where documents end: after eos. */
    if (g->tokens.count == 0) {
        int32_t first = (int32_t)(g->model->config.eos >= 0 ? g->model->config.eos : 0);
        TRY(token_list_add(&g->tokens, first, err));
    }
    g->prompt_count = g->tokens.count;
    return FATHOM_OK;
}

static fathom_status generate(struct generation *g, struct device *device, struct error *err) {
    const struct generate_options *o = g->options;
    const struct sampler_options sampling = {.temperature = o->temperature,
                                             .top_p = o->top_p,
                                             .top_k = o->top_k,
                                             .seed = (uint64_t)o->seed};
    TRY(tokenizer_open(&g->tokenizer, o->model, err));
    TRY(model_open(&g->model, device, o->model, 0, err));
    TRY(encode_prompt(g, err));
    int64_t positions = (int64_t)g->prompt_count + o->max_tokens;
    if (positions > g->model->config.max_positions) {
        RAISE(FATHOM_USAGE,
              "%zu tokens of prompt and --max-tokens %lld exceed the model's %lld positions",
              g->prompt_count, (long long)o->max_tokens, (long long)g->model->config.max_positions);
    }
    TRY(session_new(&g->session, g->model, &(struct session_options){.positions = positions}, err));
    TRY(sampler_new(&g->sampler, g->model->config.vocab, &sampling, err));
    for (int64_t i = 0; i < o->samples && !interrupt_requested(); i++)
        TRY(one_sample(g, (uint64_t)i, err));
    return FATHOM_OK;
}

/* The prompt from standard input, without its last newline. */
static fathom_status read_prompt(struct generate_options *o, struct error *err) {
    size_t size = 0;
    if (o->prompt) return FATHOM_OK;
    TRY(file_read("/dev/stdin", (size_t)1 << 28, &o->prompt, &size, err));
    if (strlen(o->prompt) != size) RAISE(FATHOM_BAD_INPUT, "the prompt holds a NUL character");
    if (size > 0 && o->prompt[size - 1] == '\n') o->prompt[size - 1] = 0;
    return FATHOM_OK;
}

fathom_status command_generate(struct command *command) {
    struct error *err = command->err;
    struct generate_options o = {0};
    struct option_given given = {0};
    struct opened_device opened = {0};
    struct generation g = {.options = &o, .command = command, .stop_reason = "length"};
    bool is_done = false;
    fathom_status status = command_options(command, &table, &o, &given, NULL, &is_done);
    if (status != FATHOM_OK || is_done) goto out;
    status = options_check_required(&table, &o, &given, err);
    if (status == FATHOM_OK) status = read_prompt(&o, err);
    if (status == FATHOM_OK) status = opened_device_open(&opened, command, o.threads, o.isa);
    if (status == FATHOM_OK) status = generate(&g, opened.device, err);
out:
    session_free(g.session);
    sampler_free(g.sampler);
    model_free(g.model);
    tokenizer_free(g.tokenizer);
    token_list_free(&g.tokens);
    text_free(&g.shown);
    text_free(&g.logprobs);
    opened_device_close(&opened);
    options_free(&table, &o);
    return status;
}
