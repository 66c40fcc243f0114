#include "train/schedule.h"

#include <math.h>

static const double pi = 3.14159265358979323846;

int64_t schedule_batch(const struct schedule *s, int64_t samples) {
    if (s->batch_from == 0 || samples >= s->ramp_samples) return s->batch;
    const double share = (double)samples / (double)s->ramp_samples;
    const double batch = (double)s->batch_from + share * (double)(s->batch - s->batch_from);
    const int64_t rounded = (int64_t)batch / s->batch_multiple * s->batch_multiple;
    return rounded > 0 ? rounded : s->batch_multiple;
}

int64_t schedule_samples(const struct schedule *s, int64_t steps) {
    int64_t samples = 0, step = 0;
    for (; step < steps && s->batch_from > 0 && samples < s->ramp_samples; step++)
        samples += schedule_batch(s, samples);
    return samples + (steps - step) * s->batch;
}

static double share_of(const struct schedule *s, struct run_place at) {
    return s->samples > 0 ? (double)at.samples / (double)s->samples : 0;
}

double schedule_learning_rate(const struct schedule *s, struct run_place at) {
    if (at.step < s->warmup_steps) return s->peak * (double)(at.step + 1) / (double)s->warmup_steps;
    double share = share_of(s, at);
    if (share < s->constant_until) return s->peak;
    if (share < s->cosine_until) {
        double t = (share - s->constant_until) / (s->cosine_until - s->constant_until);
        return s->peak * (s->final + (1 - s->final) * 0.5 * (1 + cos(pi * t)));
    }
    return s->peak * (share < s->last_from ? s->final : s->last);
}

double schedule_mtp_weight(const struct schedule *s, struct run_place at) {
    return share_of(s, at) < s->mtp_until ? s->mtp_first : s->mtp_last;
}

double schedule_bias_speed(const struct schedule *s, struct run_place at) {
    return share_of(s, at) < s->bias_until ? s->bias_speed : 0;
}
