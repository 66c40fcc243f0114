#include "infer/sampler.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/rng.h"

struct candidate {
    double weight; /* exp((logit - largest) / temperature) */
    int32_t id;
};

struct sampler {
    struct sampler_options options;
    int64_t vocab;
    struct candidate *candidates; /* [vocab] */
};

fathom_status sampler_new(struct sampler **out, int64_t vocab,
                          const struct sampler_options *options, struct error *err) {
    struct sampler *s = NULL;
    *out = NULL;
    if (!(options->top_p > 0 && options->top_p <= 1) || !(options->temperature >= 0))
        RAISE(FATHOM_USAGE, "temperature %g must not be negative and top-p %g must lie in (0, 1]",
              options->temperature, options->top_p);
    TRY(MEM_NEW(&s, 1, "the sampler", err));
    s->options = *options;
    s->vocab = vocab;
    fathom_status status = MEM_NEW(&s->candidates, vocab, "the sampler", err);
    if (status != FATHOM_OK)
        sampler_free(s);
    else
        *out = s;
    return status;
}

void sampler_free(struct sampler *s) {
    if (!s) return;
    mem_free(s->candidates);
    mem_free(s);
}

static int32_t most_likely(const float *logits, int64_t vocab) {
    int64_t best = 0;
    for (int64_t i = 1; i < vocab; i++)
        if (logits[i] > logits[best]) best = i;
    return (int32_t)best;
}

static double log_probability(const float *logits, int64_t vocab, int32_t id) {
    double largest = (double)logits[most_likely(logits, vocab)], sum = 0;
    for (int64_t i = 0; i < vocab; i++) sum += exp((double)logits[i] - largest);
    return (double)logits[id] - largest - log(sum);
}

static int by_weight(const void *a, const void *b) {
    const struct candidate *x = a, *y = b;
    if (x->weight != y->weight) return x->weight < y->weight ? 1 : -1;
    return (x->id > y->id) - (x->id < y->id);
}

/* How many of the sorted candidates stay, and the sum of their weights. */
static int64_t truncated(const struct sampler *s, double total, double *sum) {
    int64_t most =
        s->options.top_k > 0 && s->options.top_k < s->vocab ? s->options.top_k : s->vocab;
    int64_t count = 0;
    *sum = 0;
    while (count < most) {
        *sum += s->candidates[count++].weight;
        if (*sum >= s->options.top_p * total && s->options.top_p < 1) break;
    }
    return count;
}

static int32_t draw(struct sampler *s, const float *logits, double uniform) {
    double largest = (double)logits[most_likely(logits, s->vocab)], total = 0, sum = 0;
    for (int64_t i = 0; i < s->vocab; i++) {
        double weight = exp(((double)logits[i] - largest) / s->options.temperature);
        s->candidates[i] = (struct candidate){weight, (int32_t)i};
        total += weight;
    }
    qsort(s->candidates, (size_t)s->vocab, sizeof *s->candidates, by_weight);
    int64_t count = truncated(s, total, &sum);
    double target = uniform * sum;
    for (int64_t i = 0; i < count; i++) {
        target -= s->candidates[i].weight;
        if (target < 0) return s->candidates[i].id;
    }
    return s->candidates[count - 1].id; /* rounding at the end of the range */
}

int32_t sampler_pick(struct sampler *s, const float *logits, uint64_t sequence, uint64_t position,
                     double *logp) {
    const struct rng_key key = {s->options.seed, RNG_SAMPLE, sequence};
    int32_t id = s->options.temperature == 0 ? most_likely(logits, s->vocab)
                                             : draw(s, logits, rng_uniform(key, position));
    if (logp) *logp = log_probability(logits, s->vocab, id);
    return id;
}
