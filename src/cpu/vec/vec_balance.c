/* The sequence-wise balance loss (V3 report, eqs 17-20): one tile a sequence. */
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
    float *count;  /* [E] tokens with i in the top K; exact below 2^24 */
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

static void add_shares(const struct balance_sums *x, const float *s, int64_t E) {
    vf sum = vf_zero();
    for (int64_t e = 0; e < E; e += VEC_LANES) sum = vf_add(sum, row_load(s, e, E));
    const vf total = vf_set1(vf_sum(sum));
    for (int64_t e = 0; e < E; e += VEC_LANES)
        row_store(x->p, e, E, vf_add(row_load(x->p, e, E), vf_div(row_load(s, e, E), total)));
}

/* f_i = E/(K*T) * #{t : i in top K},  P_i = mean_t s_i/sum_j s_j,  loss = sum_i f_i P_i */
static void balance_span(const struct op_balance_fwd *op, int64_t n, const struct balance_sums *x) {
    const struct span *span = &op->spans[n];
    const int64_t E = op->scores.cols, K = op->active, T = span->count;
    float *f = row_f32(op->f, n);
    memset(x->p, 0, (size_t)E * sizeof *x->p);
    memset(x->count, 0, (size_t)E * sizeof *x->count);
    for (int64_t t = span->row; t < span->row + T; t++) {
        if (!op->f_is_given) count_top(x, row_f32(op->scores, t), E, K);
        add_shares(x, row_f32(op->scores, t), E);
    }
    const float per_count = T > 0 ? (float)E / (float)(K * T) : 0.0f;
    for (int64_t e = 0; e < E && !op->f_is_given; e++) f[e] = x->count[e] * per_count;
    row_f32(op->loss, n)[0] = T > 0 ? row_dot(f, x->p, E) / (float)T : 0.0f;
}

static void balance_spans(const void *arg, int64_t first, int64_t end, int worker) {
    const struct balance_job *job = arg;
    const int64_t E = job->op->scores.cols;
    float *block = cpu_thread_scratch(job->state, worker, (size_t)(3 * E) * sizeof *block);
    const struct balance_sums sums = {block, block + E, block + 2 * E};
    for (int64_t n = first; n < end; n++) balance_span(job->op, n, &sums);
}

void VEC_NAME(balance_fwd)(struct stream *stream, const struct op_balance_fwd *op) {
    const struct balance_job job = {op, cpu_state_of(stream)};
    const int64_t bytes = 3 * op->scores.cols * (int64_t)sizeof(float);
    if (!rows_scratch_fits(stream, "balance_fwd", bytes, CPU_THREAD_SCRATCH)) return;
    rows_run_tiles(stream, balance_spans, &job, op->span_count, 1);
}
