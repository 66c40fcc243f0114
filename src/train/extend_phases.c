#include "train/extend_phases.h"

#include <string.h>

#include "base/memory.h"
#include "base/ranges.h"
#include "train/checkpoint.h"

/* ---- the model before ---- */

/* The sequence length that the run behind a model directory recorded; 0: it is no run. */
static int64_t recorded_length(const char *model) {
    struct checkpoint checkpoint;
    int64_t length = 0;
    if (checkpoint_open(&checkpoint, model, INT64_MAX, NULL) != FATHOM_OK) return 0;
    if (json_get_i64(state_options(checkpoint.state), "sequence-length", &length, model, NULL) !=
        FATHOM_OK)
        length = 0;
    checkpoint_close(&checkpoint);
    return length;
}

static fathom_status read_model(struct extend_phases *p, struct model_config *config,
                                const struct extend_options *o, struct error *err) {
    const char *model = o->train.model;
    TRY(config_read(config, model, err));
    if (config->rope.kind != ROPE_SCALING_NONE)
        RAISE(FATHOM_UNSUPPORTED,
              "%s: its context was extended before (rope_scaling with factor %g); begin with the "
              "model that it was made from",
              model, config->rope.factor);
    p->original = o->original > 0 ? o->original : recorded_length(model);
    if (p->original == 0) p->original = config->max_positions;
    return FATHOM_OK;
}

/* ---- lists ---- */

static fathom_status check_lengths(const struct extend_phases *p, const struct ranges *lengths,
                                   const struct extend_options *o, struct error *err) {
    if (lengths->count > PHASES_MOST)
        RAISE(FATHOM_USAGE, "--lengths has %zu lengths, more than %d", lengths->count, PHASES_MOST);
    if (lengths->items[0].first <= p->original)
        RAISE(FATHOM_USAGE,
              "--lengths begins with %lld, but the model was trained with %lld tokens (--original)",
              (long long)lengths->items[0].first, (long long)p->original);
    for (size_t i = 1; i < lengths->count; i++)
        if (lengths->items[i].first <= lengths->items[i - 1].first)
            RAISE(FATHOM_USAGE, "--lengths %s: every length must exceed the one before",
                  o->lengths);
    return FATHOM_OK;
}

/* One entry for all phases, or one for each. */
static fathom_status check_count(size_t count, size_t phases, const char *name, struct error *err) {
    if (count == 1 || count == phases) return FATHOM_OK;
    RAISE(FATHOM_USAGE, "%s has %zu entries for %zu lengths: give one for all or one for each",
          name, count, phases);
}

static size_t count_parts(const char *list) {
    size_t count = 1;
    for (const char *at = list; *at; at++) count += *at == ',';
    return count;
}

/* Part i of "a,b,c", or the only one. */
static fathom_status copy_part(char **out, const char *list, size_t i, struct error *err) {
    struct text part = {0};
    for (size_t skip = count_parts(list) > 1 ? i : 0; skip > 0; skip--)
        list = strchr(list, ',') + 1;
    text_append(&part, list, strcspn(list, ","));
    fathom_status status = text_check(&part, err);
    if (status == FATHOM_OK) status = string_copy(out, text_data(&part), err);
    text_free(&part);
    return status;
}

/* ---- phases ---- */

/* V3's: the same in all phases. */
static struct rope_scaling yarn_to(int64_t last, int64_t original) {
    return (struct rope_scaling){.kind = ROPE_SCALING_YARN,
                                 .factor = (double)last / (double)original,
                                 .original_positions = (double)original,
                                 .beta_fast = 32,
                                 .beta_slow = 1,
                                 .mscale = 1,
                                 .mscale_all_dim = 1};
}

/* As many tokens as `count` sequences of the first phase have. */
static int64_t as_many_tokens(int64_t count, int64_t first, int64_t length) {
    int64_t scaled = count * first / length;
    return scaled > 1 ? scaled : 1;
}

static void set_training(struct pretrain_options *t, int64_t first, int64_t length, int64_t steps) {
    t->sequence_length = length;
    t->steps = steps;
    t->micro_batch = as_many_tokens(t->micro_batch, first, length);
    t->batch = as_many_tokens(t->batch, first, length);
    const int64_t shared = t->micro_batch * pretrain_replicas(t); /* each takes whole ones */
    t->batch = (t->batch + shared - 1) / shared * shared;
    t->heldout_sequences = as_many_tokens(t->heldout_sequences, first, length);
    t->constant_until = t->cosine_until = t->last_from = 1;
    t->final_ratio = t->last_ratio = 1;
    t->mtp_last = t->mtp_first;
    t->mtp_until = t->bias_until = 1;
}

static fathom_status set_paths(struct extend_phases *p, size_t i, const struct extend_options *o,
                               int64_t length, struct error *err) {
    struct extend_phase *phase = &p->items[i];
    struct text out = {0};
    text_printf(&out, "%s/phase-%zu-%lld", o->train.out, i + 1, (long long)length);
    fathom_status status = text_check(&out, err);
    if (status == FATHOM_OK) status = string_copy(&phase->out, text_data(&out), err);
    text_free(&out);
    TRY(status);
    TRY(string_copy(&phase->model, i > 0 ? p->items[i - 1].out : o->train.model, err));
    return copy_part(&phase->data, o->train.data, i, err);
}

static fathom_status add_phase(struct extend_phases *p, const struct extend_options *o,
                               const struct model_config *config, const struct ranges *lengths,
                               const struct ranges *steps, struct error *err) {
    const size_t i = p->count++;
    struct extend_phase *phase = &p->items[i];
    const int64_t length = lengths->items[i].first;
    TRY(set_paths(p, i, o, length, err));
    phase->config = *config;
    phase->config.max_positions = length;
    phase->config.rope = yarn_to(lengths->items[lengths->count - 1].first, p->original);
    phase->options = o->train;
    phase->options.model = phase->model;
    phase->options.data = phase->data;
    phase->options.out = phase->out;
    phase->options.resume = false;
    phase->options.config = &phase->config;
    set_training(&phase->options, lengths->items[0].first, length,
                 steps->items[steps->count > 1 ? i : 0].first);
    return pretrain_check(&phase->options, err);
}

static fathom_status fill(struct extend_phases *p, const struct extend_options *o,
                          const struct ranges *lengths, const struct ranges *steps,
                          struct error *err) {
    struct model_config config;
    TRY(read_model(p, &config, o, err));
    TRY(check_lengths(p, lengths, o, err));
    TRY(check_count(steps->count, lengths->count, "--steps", err));
    TRY(check_count(count_parts(o->train.data), lengths->count, "--data", err));
    for (size_t i = 0; i < lengths->count; i++) TRY(add_phase(p, o, &config, lengths, steps, err));
    return FATHOM_OK;
}

fathom_status extend_phases_new(struct extend_phases *p, const struct extend_options *o,
                                struct error *err) {
    struct ranges lengths = {0}, steps = {0};
    *p = (struct extend_phases){0};
    fathom_status status = ranges_parse_numbers(&lengths, o->lengths, "--lengths", 2, 1 << 24, err);
    if (status == FATHOM_OK)
        status = ranges_parse_numbers(&steps, o->steps, "--steps", 1, (int64_t)1e12, err);
    if (status == FATHOM_OK) status = fill(p, o, &lengths, &steps, err);
    if (status != FATHOM_OK) extend_phases_free(p);
    ranges_free(&lengths);
    ranges_free(&steps);
    return status;
}

void extend_phases_free(struct extend_phases *p) {
    for (size_t i = 0; i < p->count; i++) {
        mem_free(p->items[i].model);
        mem_free(p->items[i].data);
        mem_free(p->items[i].out);
    }
    *p = (struct extend_phases){0};
}
