/* The gate (V3 report 2.1.2; V2 report 2.2), forward and backward. */
#include <string.h>

#include "cpu/scratch.h"
#include "cpu/vec/gate.h"
#include "cpu/vec/vmath.h"

/* ---- forward ---- */

struct gate_job {
    const struct op_gate_fwd *op;
    struct cpu_state *state;
};

/* s = softmax(logits) */
static void softmax_scores(float *s, const float *logits, int64_t E) {
    vf max = vf_set1(-INFINITY), sum = vf_zero();
    for (int64_t e = 0; e < E; e += VEC_LANES)
        max = vf_max(max, vf_select(vm_first(row_lanes(e, E)), row_load(logits, e, E), max));
    max = vf_set1(vf_hmax(max));
    for (int64_t e = 0; e < E; e += VEC_LANES) {
        const vf p = vf_exp_flush(vf_sub(row_load(logits, e, E), max));
        row_store(s, e, E, p);
        sum = vf_add(sum, vf_select(vm_first(row_lanes(e, E)), p, vf_zero()));
    }
    const vf total = vf_set1(vf_sum(sum));
    for (int64_t e = 0; e < E; e += VEC_LANES) row_store(s, e, E, vf_div(row_load(s, e, E), total));
}

/* s = sigmoid(logits) */
static void sigmoid_scores(float *s, const float *logits, int64_t E) {
    for (int64_t e = 0; e < E; e += VEC_LANES)
        row_store(s, e, E, vf_sigmoid(row_load(logits, e, E)));
}

/* A group's rank: its maximum, or for noaux_tc the sum of its top two. */
static float group_rank(enum gate_method method, const float *choice, int64_t size) {
    float first = -INFINITY, second = -INFINITY;
    for (int64_t e = 0; e < size; e++) {
        const float x = choice[e], lower = x < first ? x : first;
        second = lower > second ? lower : second;
        first = x > first ? x : first;
    }
    return method == GATE_NOAUX_TC ? first + second : first;
}

/* Masks all groups but the best topk_groups; ties: the lower group. rank: workspace [groups]. */
static void mask_groups(const struct gate_shape *g, float *choice, float *rank) {
    const int64_t size = g->experts / g->groups;
    for (int64_t i = 0; i < g->groups; i++) {
        const float r = group_rank(g->method, choice + i * size, size);
        rank[i] = r > -FLT_MAX ? r : -FLT_MAX;
    }
    for (int64_t i = 0; i < g->topk_groups; i++) rank[pick_largest(rank, g->groups)] = -INFINITY;
    for (int64_t i = 0; i < g->groups; i++) {
        if (rank[i] == -INFINITY) continue;
        for (int64_t e = i * size; e < (i + 1) * size; e++) choice[e] = -INFINITY;
    }
}

/* idx[K]: the best experts by s + bias, descending; ties: the lower expert. */
static void pick_experts(const struct op_gate_fwd *op, const float *s, int32_t *idx,
                         float *choice) {
    const struct gate_shape *g = &op->shape;
    const int64_t E = g->experts;
    const float *bias = op->bias.data;
    for (int64_t e = 0; e < E; e += VEC_LANES) {
        const vf x = row_load(s, e, E);
        row_store(choice, e, E, pick_candidate(bias ? vf_add(x, row_load(bias, e, E)) : x));
    }
    if (g->method != GATE_GREEDY && g->groups > 1) mask_groups(g, choice, choice + E);
    for (int64_t k = 0; k < g->active; k++) {
        const int64_t best = pick_largest(choice, E);
        idx[k] = (int32_t)best;
        choice[best] = -INFINITY;
    }
}

/* sum of the picked scores + 1e-20 */
static float picked_sum(const struct gate_shape *g, const float *s, const int32_t *idx) {
    float sum = 0;
    for (int64_t k = 0; k < g->active; k++) sum += s[idx[k]];
    return sum + 1e-20f;
}

static void gate_rows(const void *arg, int64_t first, int64_t end, int worker) {
    const struct gate_job *job = arg;
    const struct op_gate_fwd *op = job->op;
    const struct gate_shape *g = &op->shape;
    const size_t bytes = (size_t)(g->experts + g->groups) * sizeof(float);
    float *choice = cpu_thread_scratch(job->state, worker, bytes);
    for (int64_t t = first; t < end; t++) {
        float *s = row_f32(op->scores, t), *weight = row_f32(op->weight, t);
        int32_t *idx = op->idx + t * g->active;
        if (g->scoring == GATE_SIGMOID)
            sigmoid_scores(s, row_f32(op->logits, t), g->experts);
        else
            softmax_scores(s, row_f32(op->logits, t), g->experts);
        if (!op->idx_is_given) pick_experts(op, s, idx, choice);
        const float sum = g->is_normalised ? picked_sum(g, s, idx) : 1.0f;
        for (int64_t k = 0; k < g->active; k++)
            weight[k] = s[idx[k]] / sum * (float)g->routed_scale;
    }
}

void VEC_NAME(gate_fwd)(struct stream *stream, const struct op_gate_fwd *op) {
    const struct gate_job job = {op, cpu_state_of(stream)};
    const int64_t bytes = (op->shape.experts + op->shape.groups) * (int64_t)sizeof(float);
    if (!rows_scratch_fits(stream, "gate_fwd", bytes, CPU_THREAD_SCRATCH)) return;
    rows_run(stream, gate_rows, &job, op->logits.rows, op->shape.experts * (op->shape.active + 1));
}

/* ---- backward ---- */

/* weight_k = s_k / S * scale, S = sum_j s_j:  ds_k = scale / S * (dw_k - sum_j dw_j s_j / S); the
 * other experts' ds are 0. */
static void weight_backward(const struct op_gate_bwd *op, int64_t t, float *ds) {
    const struct gate_shape *g = &op->shape;
    const float *s = row_f32(op->scores, t), *dweight = row_f32(op->dweight, t);
    const int32_t *idx = op->idx + t * g->active;
    const float sum = g->is_normalised ? picked_sum(g, s, idx) : 1.0f;
    float mean = 0;
    for (int64_t k = 0; k < g->active && g->is_normalised; k++)
        mean += dweight[k] * (s[idx[k]] / sum);
    memset(ds, 0, (size_t)g->experts * sizeof *ds);
    for (int64_t k = 0; k < g->active; k++)
        ds[idx[k]] = (float)g->routed_scale / sum * (dweight[k] - mean);
}

/* loss = sum_i c_i mean_t s_i/S, S = sum_j s_j:  ds_i += coef / (T S) * (c_i - sum_j c_j s_j / S)
 */
static void balance_backward(const struct op_gate_bwd *op, int64_t n, int64_t t, float *ds) {
    const int64_t E = op->shape.experts;
    const float *s = row_f32(op->scores, t), *c = row_f32(op->balance_c, n);
    struct row_sums total = row_sums_zero();
    for (int64_t e = 0; e < E; e += VEC_LANES)
        total.chain[0] = vf_add(total.chain[0], row_load(s, e, E));
    const float sum = row_sums_total(total);
    const vf mean = vf_set1(row_dot(c, s, E) / sum);
    const vf scale = vf_set1((float)op->balance_coef / ((float)op->spans[n].count * sum));
    for (int64_t e = 0; e < E; e += VEC_LANES) {
        const vf added = vf_sub(row_load(c, e, E), mean);
        row_store(ds, e, E, vf_fma(scale, added, row_load(ds, e, E)));
    }
}

/* dlogits from ds in place: sigmoid ds s (1 - s); softmax s (ds - sum ds s) */
static void scores_backward(const struct gate_shape *g, const float *s, float *ds) {
    const int64_t E = g->experts;
    if (g->scoring == GATE_SIGMOID) {
        for (int64_t e = 0; e < E; e += VEC_LANES) {
            const vf score = row_load(s, e, E), rest = vf_sub(vf_set1(1.0f), score);
            row_store(ds, e, E, vf_mul(vf_mul(row_load(ds, e, E), score), rest));
        }
        return;
    }
    const vf sum = vf_set1(row_dot(ds, s, E));
    for (int64_t e = 0; e < E; e += VEC_LANES)
        row_store(ds, e, E, vf_mul(row_load(s, e, E), vf_sub(row_load(ds, e, E), sum)));
}

/* The span that row t lies in, looked for from `n` on, around the end; -1: none. */
static int64_t find_span(const struct op_gate_bwd *op, int64_t t, int64_t n) {
    for (int64_t i = 0; i < op->span_count; i++, n++) {
        if (n >= op->span_count) n = 0;
        const struct span *span = &op->spans[n];
        if (t >= span->row && t < span->row + span->count) return n;
    }
    return -1;
}

static void gate_bwd_rows(const void *arg, int64_t first, int64_t end, int worker) {
    (void)worker;
    const struct op_gate_bwd *op = arg;
    const bool has_balance = !tensor_is_absent(op->balance_c);
    int64_t span = 0;
    for (int64_t t = first; t < end; t++) {
        float *ds = row_f32(op->dlogits, t);
        weight_backward(op, t, ds);
        const int64_t found = has_balance ? find_span(op, t, span) : -1;
        if (found >= 0) {
            span = found;
            balance_backward(op, span, t, ds);
        }
        scores_backward(&op->shape, row_f32(op->scores, t), ds);
    }
}

void VEC_NAME(gate_bwd)(struct stream *stream, const struct op_gate_bwd *op) {
    rows_run(stream, gate_bwd_rows, op, op->scores.rows, op->shape.experts);
}
