/* Rotary frequencies with YaRN (Peng et al. 2023) and Llama 3 scaling, and YaRN's temperature. */
#include <math.h>

#include "model/config.h"

static const double two_pi = 6.283185307179586476925286766559;

static double yarn_mscale(double factor, double mscale) {
    return factor <= 1 ? 1 : 0.1 * mscale * log(factor) + 1;
}

/* The (fractional) pair that turns `rotations` times over the original context. */
static double yarn_correction_dim(const struct model_config *c, double rotations) {
    return (double)c->dim_rope * log(c->rope.original_positions / (rotations * two_pi)) /
           (2 * log(c->rope_theta));
}

/* Fast pairs keep their frequency, slow ones are interpolated, a linear ramp lies between. */
static void yarn_frequencies(const struct model_config *c, double *frequency) {
    double low = fmax(floor(yarn_correction_dim(c, c->rope.beta_fast)), 0);
    double high = fmin(ceil(yarn_correction_dim(c, c->rope.beta_slow)), (double)c->dim_rope - 1);
    if (low == high) high += 0.001;
    for (int64_t i = 0; i < c->dim_rope / 2; i++) {
        double ramp = fmin(fmax(((double)i - low) / (high - low), 0), 1);
        frequency[i] = frequency[i] / c->rope.factor * ramp + frequency[i] * (1 - ramp);
    }
}

static void llama3_frequencies(const struct model_config *c, double *frequency) {
    const struct rope_scaling *r = &c->rope;
    for (int64_t i = 0; i < c->dim_rope / 2; i++) {
        double turns = r->original_positions * frequency[i] / two_pi;
        double smooth = (turns - r->low_frequency) / (r->high_frequency - r->low_frequency);
        smooth = fmin(fmax(smooth, 0), 1);
        frequency[i] = (1 - smooth) * frequency[i] / r->factor + smooth * frequency[i];
    }
}

void config_rope(const struct model_config *c, double *frequency, double *factor) {
    for (int64_t i = 0; i < c->dim_rope / 2; i++)
        frequency[i] = pow(c->rope_theta, -2.0 * (double)i / (double)c->dim_rope);
    *factor = 1;
    if (c->rope.kind == ROPE_SCALING_LLAMA3) llama3_frequencies(c, frequency);
    if (c->rope.kind != ROPE_SCALING_YARN) return;

    yarn_frequencies(c, frequency);
    if (c->rope.attention_factor > 0)
        *factor = c->rope.attention_factor;
    else if (c->rope.mscale != 0 && c->rope.mscale_all_dim != 0)
        *factor = yarn_mscale(c->rope.factor, c->rope.mscale) /
                  yarn_mscale(c->rope.factor, c->rope.mscale_all_dim);
    else
        *factor = yarn_mscale(c->rope.factor, 1);
}

double config_softmax_scale(const struct model_config *c) {
    double scale = 1 / sqrt((double)config_dim_key(c));
    if (c->is_mla && c->rope.kind == ROPE_SCALING_YARN && c->rope.mscale_all_dim != 0) {
        double temperature = yarn_mscale(c->rope.factor, c->rope.mscale_all_dim);
        scale *= temperature * temperature;
    }
    return scale;
}
