/* The sequence-wise balance losses (V3 report, eqs 17-20; V2 report, eqs 23-31): one tile a
 * sequence.
 */
#include <string.h>

#include "cpu/scratch.h"
#include "cpu/vec/gate.h"

struct balance_job {
    const struct op_balance_fwd *op;
    struct cpu_state *state;
};

/* One sequence's sums, over its tokens in ascending order. */
struct balance_sums {
    float *choice; /* [E] a token's scores while its top K are taken out */
    float *p;      /* [E] sum_t s_i / sum_j s_j */
    float *count;  /* [E] tokens that count i; exact below 2^24 */
    float *sent;   /* [D] tokens with an expert on the device */
};

static void count_top(const struct balance_sums *x, const float *s, int64_t E, int64_t K) {
    for (int64_t e = 0; e < E; e += VEC_LANES)
        row_store(x->choice, e, E, pick_candidate(row_load(s, e, E)));
    for (int64_t k = 0; k < K; k++) {
        const int64_t best = pick_largest(x->choice, E);
        x->choice[best] = -INFINITY;
        x->count[best] += 1.0f;
    }
}

static bool is_first_on_device(const int32_t *idx, int64_t k, int64_t size) {
    for (int64_t j = 0; j < k; j++)
        if (idx[j] / size == idx[k] / size) return false;
    return true;
}

/* size: experts of a device; 0: devices are not counted. */
static void count_routed(const struct balance_sums *x, const int32_t *idx, int64_t K,
                         int64_t size) {
    for (int64_t k = 0; k < K; k++) {
        x->count[idx[k]] += 1.0f;
        if (size > 0 && is_first_on_device(idx, k, size)) x->sent[idx[k] / size] += 1.0f;
    }
}

static void add_shares(const struct balance_sums *x, const float *s, int64_t E) {
    vf sum = vf_zero();
    for (int64_t e = 0; e < E; e += VEC_LANES) sum = vf_add(sum, row_load(s, e, E));
    const vf total = vf_set1(vf_sum(sum));
    for (int64_t e = 0; e < E; e += VEC_LANES)
        row_store(x->p, e, E, vf_add(row_load(x->p, e, E), vf_div(row_load(s, e, E), total)));
}

static int64_t device_size(const struct op_balance_fwd *op) {
    const bool has_devices = op->levels.device != 0 || op->levels.communication != 0;
    return has_devices ? op->scores.cols / op->levels.devices : 0;
}

/* c += a2 f'_d + a3 f''_d, from f in x->count */
static void add_devices(const struct op_balance_fwd *op, const struct balance_sums *x, int64_t T,
                        float *c) {
    const struct balance_levels *levels = &op->levels;
    const int64_t size = device_size(op);
    const float per_sent = (float)levels->devices / (float)(levels->reach * T);
    for (int64_t d = 0; d < levels->devices; d++) {
        float f = 0;
        for (int64_t e = d * size; e < (d + 1) * size; e++) f += x->count[e];
        float part = (float)levels->device * (f / (float)size);
        if (levels->communication != 0)
            part += (float)levels->communication * (x->sent[d] * per_sent);
        for (int64_t e = d * size; e < (d + 1) * size; e++) c[e] += part;
    }
}

/* c_i = a1 f_i + a2 f'_d(i) + a3 f''_d(i),  f_i = E/(K*T) * #{t : t counts i} */
static void balance_coefficients(const struct op_balance_fwd *op, int64_t n,
                                 const struct balance_sums *x) {
    const struct span *span = &op->spans[n];
    const int64_t E = op->scores.cols, K = op->active, T = span->count, size = device_size(op);
    float *c = row_f32(op->c, n);
    memset(x->count, 0, (size_t)E * sizeof *x->count);
    if (size > 0) memset(x->sent, 0, (size_t)op->levels.devices * sizeof *x->sent);
    for (int64_t t = span->row; t < span->row + T; t++) {
        if (op->idx)
            count_routed(x, op->idx + t * K, K, size);
        else
            count_top(x, row_f32(op->scores, t), E, K);
    }
    const float per_count = T > 0 ? (float)E / (float)(K * T) : 0.0f;
    for (int64_t e = 0; e < E; e++) {
        x->count[e] *= per_count;
        c[e] = (float)op->levels.expert * x->count[e];
    }
    if (size > 0 && T > 0) add_devices(op, x, T, c);
}

/* P_i = mean_t s_i/sum_j s_j,  loss = sum_i c_i P_i */
static void balance_span(const struct op_balance_fwd *op, int64_t n, const struct balance_sums *x) {
    const struct span *span = &op->spans[n];
    const int64_t E = op->scores.cols, T = span->count;
    if (!op->c_is_given) balance_coefficients(op, n, x);
    memset(x->p, 0, (size_t)E * sizeof *x->p);
    for (int64_t t = span->row; t < span->row + T; t++) add_shares(x, row_f32(op->scores, t), E);
    row_f32(op->loss, n)[0] = T > 0 ? row_dot(row_f32(op->c, n), x->p, E) / (float)T : 0.0f;
}

static void balance_spans(const void *arg, int64_t first, int64_t end, int worker) {
    const struct balance_job *job = arg;
    const int64_t E = job->op->scores.cols;
    float *block = cpu_thread_scratch(job->state, worker, (size_t)(4 * E) * sizeof *block);
    const struct balance_sums sums = {block, block + E, block + 2 * E, block + 3 * E};
    for (int64_t n = first; n < end; n++) balance_span(job->op, n, &sums);
}

void VEC_NAME(balance_fwd)(struct stream *stream, const struct op_balance_fwd *op) {
    const struct balance_job job = {op, cpu_state_of(stream)};
    const int64_t bytes = 4 * op->scores.cols * (int64_t)sizeof(float);
    if (!rows_scratch_fits(stream, "balance_fwd", bytes, CPU_THREAD_SCRATCH)) return;
    rows_run_tiles(stream, balance_spans, &job, op->span_count, 1);
}
