#include "train/schedule.h"

#include <math.h>

static const double pi = 3.14159265358979323846;

static double share_of(const struct schedule *s, int64_t step) {
    return s->steps > 0 ? (double)step / (double)s->steps : 0;
}

double schedule_learning_rate(const struct schedule *s, int64_t step) {
    if (step < s->warmup_steps) return s->peak * (double)(step + 1) / (double)s->warmup_steps;
    double share = share_of(s, step);
    if (share < s->constant_until) return s->peak;
    if (share < s->cosine_until) {
        double t = (share - s->constant_until) / (s->cosine_until - s->constant_until);
        return s->peak * (s->final + (1 - s->final) * 0.5 * (1 + cos(pi * t)));
    }
    return s->peak * (share < s->last_from ? s->final : s->last);
}

double schedule_mtp_weight(const struct schedule *s, int64_t step) {
    return share_of(s, step) < s->mtp_until ? s->mtp_first : s->mtp_last;
}

double schedule_bias_speed(const struct schedule *s, int64_t step) {
    return share_of(s, step) < s->bias_until ? s->bias_speed : 0;
}
