#include "text_sampler.h"

#include <string.h>

#include "infer/sampler.h"
#include "infer/session.h"

static const double temperature = 0.8, top_p = 0.95;

/* What one drawing works with. */
struct drawing {
    const struct text_sampler *by;
    const struct model *model;
    struct session *session;
    struct sampler *sampler;
    struct token_list tokens; /* prompt and continuation */
    struct stream_decoder decoder;
};

static int64_t longest(const struct text_sampler *s, const struct model *model) {
    const int64_t wanted = (int64_t)s->prompt.count + s->options->sample_tokens;
    return wanted < model->config.max_positions ? wanted : model->config.max_positions;
}

static fathom_status open_drawing(struct drawing *d, struct error *err) {
    const struct sampler_options sampling = {
        .temperature = temperature, .top_p = top_p, .seed = (uint64_t)d->by->options->seed};
    const struct session_options session = {.positions = longest(d->by, d->model)};
    for (size_t i = 0; i < d->by->prompt.count; i++)
        TRY(token_list_add(&d->tokens, d->by->prompt.ids[i], err));
    TRY(session_new(&d->session, d->model, &session, err));
    return sampler_new(&d->sampler, d->model->config.vocab, &sampling, err);
}

static fathom_status continue_text(struct drawing *d, uint64_t number, struct text *out,
                                   struct error *err) {
    const int64_t end = longest(d->by, d->model);
    text_append_string(out, d->by->options->sample_prompt);
    while ((int64_t)d->tokens.count < end) {
        TRY(session_sync(d->session, d->tokens.ids, (int64_t)d->tokens.count, err));
        const int32_t id =
            sampler_pick(d->sampler, session_logits(d->session), number, d->tokens.count, NULL);
        if (id == d->model->config.eos) break;
        TRY(token_list_add(&d->tokens, id, err));
        if (id < tokenizer_vocab_size(d->by->tokenizer))
            TRY(stream_decoder_put(&d->decoder, d->by->tokenizer, id, true, out, err));
    }
    stream_decoder_end(&d->decoder, out);
    return text_check(out, err);
}

static fathom_status draw(void *owner, const struct model *model, int64_t step, struct text *out,
                          struct error *err) {
    struct drawing d = {.by = owner, .model = model};
    fathom_status status = open_drawing(&d, err);
    if (status == FATHOM_OK) status = continue_text(&d, (uint64_t)step, out, err);
    session_free(d.session);
    sampler_free(d.sampler);
    token_list_free(&d.tokens);
    return status;
}

fathom_status text_sampler_open(struct text_sampler *s, const struct pretrain_options *options,
                                struct error *err) {
    const char *prompt = options->sample_prompt;
    struct encoder *encoder = NULL;
    *s = (struct text_sampler){.base = {draw, s}, .options = options};
    TRY(tokenizer_open(&s->tokenizer, options->resume ? options->out : options->model, err));
    TRY(encoder_new(&encoder, s->tokenizer, err));
    fathom_status status = encoder_encode(encoder, prompt, strlen(prompt), false, &s->prompt, err);
    encoder_free(encoder);
    if (status == FATHOM_OK && s->prompt.count == 0)
        status = error_set(err, FATHOM_USAGE, "--sample-prompt is empty");
    return status;
}

void text_sampler_close(struct text_sampler *s) {
    tokenizer_free(s->tokenizer);
    token_list_free(&s->prompt);
}
