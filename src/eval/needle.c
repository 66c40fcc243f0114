#include "eval/needle.h"

#include <string.h>

#include "base/clock.h"
#include "eval/needle_text.h"
#include "infer/session.h"

enum { ANSWER_TOKENS = 8 };

struct measure {
    const struct needle_options *options;
    const struct tokenizer *tokenizer;
    const struct needle_reader *reader;
    struct needle_text *text;
    struct token_list tokens;
    struct text said;
    int64_t asked, right; /* so far */
};

/* Whether the greedy continuation of the tokens begins with the answer. */
static fathom_status ask(struct measure *m, bool *is_right, struct error *err) {
    const char *answer = needle_text_answer(m->text);
    size_t size = strlen(answer);
    text_clear(&m->said);
    for (int i = 0; i < ANSWER_TOKENS && m->said.size < size; i++) {
        int32_t id = 0;
        size_t bytes = 0;
        TRY(m->reader->next(m->reader->arg, m->tokens.ids, (int64_t)m->tokens.count, &id, err));
        const char *token = tokenizer_token_bytes(m->tokenizer, id, &bytes);
        text_append(&m->said, token, bytes);
        TRY(token_list_add(&m->tokens, id, err));
    }
    TRY(text_check(&m->said, err));
    *is_right = m->said.size >= size && memcmp(m->said.data, answer, size) == 0;
    return FATHOM_OK;
}

static void show_progress(struct measure *m, int64_t length) {
    const struct needle_options *o = m->options;
    int64_t all = (int64_t)(o->length_count * o->depth_count) * o->trials;
    log_progress(o->log, m->asked == all, "%lld of %lld questions, now %lld tokens: %lld right",
                 (long long)m->asked, (long long)all, (long long)length, (long long)m->right);
}

/* One trial of a length at all depths. */
static fathom_status measure_trial(struct measure *m, int64_t *right,
                                   const struct needle_trial *trial, struct error *err) {
    const struct needle_options *o = m->options;
    TRY(needle_text_begin(m->text, trial, err));
    for (size_t d = 0; d < o->depth_count; d++) {
        bool is_right = false;
        TRY(needle_text_tokens(m->text, o->depths[d], &m->tokens, err));
        TRY(ask(m, &is_right, err));
        right[d] += is_right;
        m->right += is_right;
        m->asked++;
        show_progress(m, trial->length);
        if (interrupt_requested())
            RAISE(FATHOM_INTERRUPTED, "stopped after %lld questions", (long long)m->asked);
    }
    return FATHOM_OK;
}

static fathom_status measure_all(struct measure *m, int64_t *right, struct error *err) {
    const struct needle_options *o = m->options;
    memset(right, 0, o->length_count * o->depth_count * sizeof *right);
    TRY(needle_text_new(&m->text, m->tokenizer, err));
    for (size_t l = 0; l < o->length_count; l++)
        for (int64_t t = 0; t < o->trials; t++) {
            const struct needle_trial trial = {o->seed, (uint64_t)t, o->lengths[l], o->others};
            TRY(measure_trial(m, right + l * o->depth_count, &trial, err));
        }
    return FATHOM_OK;
}

fathom_status needle_measure(int64_t *right, const struct needle_options *options,
                             const struct tokenizer *tokenizer, const struct needle_reader *reader,
                             struct error *err) {
    struct measure m = {.options = options, .tokenizer = tokenizer, .reader = reader};
    fathom_status status = measure_all(&m, right, err);
    needle_text_free(m.text);
    token_list_free(&m.tokens);
    text_free(&m.said);
    return status;
}

/* ---- a model reads ---- */

struct model_reader {
    struct session *session;
    int64_t vocab;
};

/* Ties go to the lower id. */
static fathom_status next_of_model(void *arg, const int32_t *tokens, int64_t count, int32_t *id,
                                   struct error *err) {
    struct model_reader *r = arg;
    TRY(session_sync(r->session, tokens, count, err));
    const float *logits = session_logits(r->session);
    *id = 0;
    for (int64_t i = 1; i < r->vocab; i++)
        if (logits[i] > logits[*id]) *id = (int32_t)i;
    return FATHOM_OK;
}

static fathom_status check_lengths(const struct needle_options *o, const struct model *model,
                                   int64_t *longest, struct error *err) {
    *longest = 0;
    for (size_t i = 0; i < o->length_count; i++)
        if (o->lengths[i] > *longest) *longest = o->lengths[i];
    if (*longest > model->config.max_positions)
        RAISE(FATHOM_USAGE, "a text of %lld tokens exceeds the model's %lld positions",
              (long long)*longest, (long long)model->config.max_positions);
    return FATHOM_OK;
}

fathom_status needle_measure_model(int64_t *right, const struct needle_options *options,
                                   const struct tokenizer *tokenizer, const struct model *model,
                                   struct error *err) {
    struct model_reader r = {.vocab = model->config.vocab};
    const struct needle_reader reader = {next_of_model, &r};
    int64_t longest;
    TRY(check_lengths(options, model, &longest, err));
    /* A wrong answer may take more tokens than the right one. */
    TRY(session_new(&r.session, model,
                    &(struct session_options){.positions = longest + ANSWER_TOKENS}, err));
    fathom_status status = needle_measure(right, options, tokenizer, &reader, err);
    session_free(r.session);
    return status;
}
