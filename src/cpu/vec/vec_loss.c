/* Cross-entropy over rows of logits that were just computed: three passes over a row in cache. */
#include <math.h>

#include "cpu/vec/rows.h"
#include "cpu/vec/vmath.h"

enum { CHAINS = 4 };

static float logits_max(const float *x, int64_t V) {
    vf max[CHAINS];
    VEC_UNROLL
    for (int j = 0; j < CHAINS; j++) max[j] = vf_set1(-INFINITY);
    int64_t i = 0;
    for (; i + CHAINS * VEC_LANES <= V; i += CHAINS * VEC_LANES) {
        VEC_UNROLL
        for (int j = 0; j < CHAINS; j++) max[j] = vf_max(max[j], vf_load(x + i + j * VEC_LANES));
    }
    for (; i < V; i += VEC_LANES) {
        const vm rest = vm_first(row_lanes(i, V));
        max[0] = vf_max(max[0], vf_select(rest, row_load(x, i, V), max[0]));
    }
    return vf_hmax(vf_max(vf_max(max[0], max[1]), vf_max(max[2], max[3])));
}

/* The first index whose value is max; 0 where none is (NaN). */
static int32_t first_equal(const float *x, int64_t V, float max) {
    const vf m = vf_set1(max);
    for (int64_t i = 0; i < V; i += VEC_LANES) {
        const vm found = vm_and(vf_eq(row_load(x, i, V), m), vm_first(row_lanes(i, V)));
        const unsigned lanes = vm_lanes(found);
        if (lanes) return (int32_t)(i + __builtin_ctz(lanes));
    }
    return 0;
}

/* sum_i e^d_i and sum_i e^d_i d_i, d = x - max. Where the exponential is 0, d is cut off, so that a
 * logit of -infinity adds nothing to the entropy. */
struct moments {
    float sum, dot;
};
static struct moments logits_moments(const float *x, int64_t V, float max, float *exponentials) {
    struct row_sums sum = row_sums_zero(), dot = row_sums_zero();
    const vf m = vf_set1(max), lowest = vf_set1(-104.0f);
    for (int64_t i = 0; i < V; i += CHAINS * VEC_LANES) {
        VEC_UNROLL
        for (int j = 0; j < CHAINS; j++) {
            const int64_t at = i + j * VEC_LANES;
            if (at >= V) break;
            const vf d = vf_max(lowest, vf_sub(row_load(x, at, V), m));
            vf e = vf_exp_flush(d);
            if (V - at < VEC_LANES) e = vf_select(vm_first(row_lanes(at, V)), e, vf_zero());
            if (exponentials) row_store(exponentials, at, V, e);
            sum.chain[j] = vf_add(sum.chain[j], e);
            dot.chain[j] = vf_fma(e, d, dot.chain[j]);
        }
    }
    return (struct moments){row_sums_total(sum), row_sums_total(dot)};
}

static void logits_scale(float *x, int64_t V, float factor) {
    const vf f = vf_set1(factor);
    for (int64_t i = 0; i < V; i += VEC_LANES) row_store(x, i, V, vf_mul(row_load(x, i, V), f));
}

/* l = log softmax(x):  logp = l[target],  entropy = log(sum) - dot / sum,
 * d(-coef * logp)/dx = coef * (exp(l) - onehot) */
static void cross_entropy_row(const struct op_cross_entropy *op, int64_t t) {
    const int64_t V = op->logits.cols, target = op->targets[t];
    float *x = row_f32(op->logits, t);
    const float max = logits_max(x, V);
    if (op->top) op->top[t] = first_equal(x, V, max);
    if (target < 0) {
        op->logp[t] = 0;
        if (op->entropy) op->entropy[t] = 0;
        for (int64_t i = 0; i < V && op->is_gradient_wanted; i += VEC_LANES)
            row_store(x, i, V, vf_zero());
        return;
    }
    const double at_target = (double)x[target] - (double)max;
    const struct moments s = logits_moments(x, V, max, op->is_gradient_wanted ? x : NULL);
    const double log_sum = log((double)s.sum);
    op->logp[t] = (float)(at_target - log_sum);
    if (op->entropy) op->entropy[t] = (float)(log_sum - (double)s.dot / (double)s.sum);
    if (!op->is_gradient_wanted) return;
    const float coef = op->coef[t], p = x[target] / s.sum;
    logits_scale(x, V, coef / s.sum);
    x[target] = coef * (p - 1.0f);
}

static void cross_entropy_rows(const void *arg, int64_t first, int64_t end, int worker) {
    (void)worker;
    for (int64_t t = first; t < end; t++) cross_entropy_row(arg, t);
}

void VEC_NAME(cross_entropy)(struct stream *stream, const struct op_cross_entropy *op) {
    rows_run(stream, cross_entropy_rows, op, op->logits.rows, op->logits.cols);
}
