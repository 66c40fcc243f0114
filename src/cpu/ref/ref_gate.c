/* The gate (V3 report 2.1.2; V2 report 2.2) and the sequence-wise balance losses (V3 eqs 17-20, V2
 * eqs 23-31). */
#include "cpu/ref/ref.h"

/* ---- forward ---- */

/* s = sigmoid(logits) or softmax(logits) */
static void gate_scores(const struct gate_shape *g, real *s, const real *logits) {
    if (g->scoring == GATE_SIGMOID) {
        for (int64_t e = 0; e < g->experts; e++) s[e] = real_sigmoid(logits[e]);
        return;
    }
    real max = logits[0], sum = 0;
    for (int64_t e = 1; e < g->experts; e++)
        if (logits[e] > max) max = logits[e];
    for (int64_t e = 0; e < g->experts; e++) {
        s[e] = real_exp(logits[e] - max);
        sum += s[e];
    }
    for (int64_t e = 0; e < g->experts; e++) s[e] /= sum;
}

/* One token's selection: what picks, not what weighs. */
struct selection {
    const struct gate_shape *shape;
    const real *s;     /* [E] */
    const float *bias; /* [E] or NULL */
};

static real selection_score(const struct selection *x, int64_t e) {
    return x->bias ? x->s[e] + (real)x->bias[e] : x->s[e];
}

/* A group's rank: its maximum, or for noaux_tc the sum of its top two. */
static real group_score(const struct selection *x, int64_t group) {
    const int64_t size = x->shape->experts / x->shape->groups;
    real first = -INFINITY, second = -INFINITY;
    for (int64_t e = group * size; e < (group + 1) * size; e++) {
        const real score = selection_score(x, e);
        if (score > first) {
            second = first;
            first = score;
        } else if (score > second) {
            second = score;
        }
    }
    return x->shape->method == GATE_NOAUX_TC ? first + second : first;
}

/* Whether expert e lies in one of the best topk_groups groups; ties: the lower group. */
static bool in_best_groups(const struct selection *x, int64_t e) {
    const struct gate_shape *g = x->shape;
    if (g->method == GATE_GREEDY || g->groups == 1) return true;
    const int64_t own = e / (g->experts / g->groups);
    const real own_score = group_score(x, own);
    int64_t better = 0;
    for (int64_t group = 0; group < g->groups; group++) {
        const real score = group_score(x, group);
        if (score > own_score || (score == own_score && group < own)) better++;
    }
    return better < g->topk_groups;
}

static bool is_taken(const int32_t *idx, int64_t count, int64_t e) {
    for (int64_t k = 0; k < count; k++)
        if (idx[k] == e) return true;
    return false;
}

/* idx[K]: the best experts, descending; ties: the lower expert. Scores that are not numbers lose
 * nothing but the order: indices stay distinct and in range. */
static void gate_pick(const struct selection *x, int32_t *idx) {
    for (int64_t k = 0; k < x->shape->active; k++) {
        int64_t best = -1;
        for (int64_t e = 0; e < x->shape->experts; e++) {
            if (is_taken(idx, k, e) || !in_best_groups(x, e)) continue;
            if (best < 0 || selection_score(x, e) > selection_score(x, best)) best = e;
        }
        idx[k] = (int32_t)best;
    }
}

/* sum of the picked scores + 1e-20 */
static real picked_sum(const struct gate_shape *g, const real *s, const int32_t *idx) {
    real sum = 0;
    for (int64_t k = 0; k < g->active; k++) sum += s[idx[k]];
    return sum + (real)1e-20;
}

void REF(gate_fwd)(struct stream *stream, const struct op_gate_fwd *op) {
    (void)stream;
    const struct gate_shape *g = &op->shape;
    for (int64_t t = 0; t < op->logits.rows; t++) {
        real *s = ref_row(op->scores, t), *weight = ref_row(op->weight, t);
        int32_t *idx = op->idx + t * g->active;
        gate_scores(g, s, ref_row(op->logits, t));
        const struct selection selection = {.shape = g, .s = s, .bias = op->bias.data};
        if (!op->idx_is_given) gate_pick(&selection, idx);
        const real sum = g->is_normalised ? picked_sum(g, s, idx) : 1;
        for (int64_t k = 0; k < g->active; k++) weight[k] = s[idx[k]] / sum * (real)g->routed_scale;
    }
}

/* ---- balance loss ---- */

static real row_sum(const real *s, int64_t E) {
    real sum = 0;
    for (int64_t e = 0; e < E; e++) sum += s[e];
    return sum;
}

/* Whether expert i is among the top K of s; ties: the lower expert. */
static bool in_top(const real *s, int64_t E, int64_t K, int64_t i) {
    int64_t better = 0;
    for (int64_t e = 0; e < E; e++)
        if (s[e] > s[i] || (s[e] == s[i] && e < i)) better++;
    return better < K;
}

/* Whether token t counts expert e. */
static bool counts_expert(const struct op_balance_fwd *op, int64_t t, int64_t e) {
    if (op->idx) return is_taken(op->idx + t * op->active, op->active, e);
    return in_top(ref_row(op->scores, t), op->scores.cols, op->active, e);
}

/* Whether token t is sent to device d, which holds `size` experts. */
static bool reaches_device(const struct op_balance_fwd *op, int64_t t, int64_t d, int64_t size) {
    for (int64_t k = 0; k < op->active; k++)
        if (op->idx[t * op->active + k] / size == d) return true;
    return false;
}

/* f_i = E/(K*T) * #{t : t counts i} */
static real expert_share(const struct op_balance_fwd *op, const struct span *span, int64_t e) {
    int64_t count = 0;
    if (span->count == 0) return 0;
    for (int64_t t = span->row; t < span->row + span->count; t++)
        if (counts_expert(op, t, e)) count++;
    return (real)(op->scores.cols * count) / (real)(op->active * span->count);
}

/* a2 f'_d + a3 f''_d */
static real device_part(const struct op_balance_fwd *op, const struct span *span, int64_t d) {
    const struct balance_levels *levels = &op->levels;
    const int64_t size = op->scores.cols / levels->devices;
    real f = 0;
    int64_t sent = 0;
    for (int64_t e = d * size; e < (d + 1) * size; e++) f += expert_share(op, span, e);
    real part = (real)levels->device * (f / (real)size);
    if (levels->communication == 0 || span->count == 0) return part;
    for (int64_t t = span->row; t < span->row + span->count; t++)
        if (reaches_device(op, t, d, size)) sent++;
    return part + (real)levels->communication *
                      ((real)(levels->devices * sent) / (real)(levels->reach * span->count));
}

/* c_i = a1 f_i + a2 f'_d(i) + a3 f''_d(i) */
static void balance_coefficients(const struct op_balance_fwd *op, int64_t n) {
    const struct balance_levels *levels = &op->levels;
    const int64_t E = op->scores.cols;
    real *c = ref_row(op->c, n);
    for (int64_t e = 0; e < E; e++)
        c[e] = (real)levels->expert * expert_share(op, &op->spans[n], e);
    if (levels->device == 0 && levels->communication == 0) return;
    const int64_t size = E / levels->devices;
    for (int64_t d = 0; d < levels->devices; d++) {
        const real part = device_part(op, &op->spans[n], d);
        for (int64_t e = d * size; e < (d + 1) * size; e++) c[e] += part;
    }
}

/* P_i = mean_t s_i/sum_j s_j,  loss = sum_i c_i P_i */
void REF(balance_fwd)(struct stream *stream, const struct op_balance_fwd *op) {
    (void)stream;
    const int64_t E = op->scores.cols;
    for (int64_t n = 0; n < op->span_count; n++) {
        const int64_t row = op->spans[n].row, T = op->spans[n].count;
        real loss = 0;
        if (!op->c_is_given) balance_coefficients(op, n);
        for (int64_t e = 0; e < E && T > 0; e++) {
            real p = 0;
            for (int64_t t = row; t < row + T; t++)
                p += ref_row(op->scores, t)[e] / row_sum(ref_row(op->scores, t), E);
            loss += ref_row(op->c, n)[e] * (p / (real)T);
        }
        ref_row(op->loss, n)[0] = loss;
    }
}

/* ---- backward ---- */

/* weight_k = s_k / S * scale, S = sum_j s_j:  ds_k = scale / S * (dw_k - sum_j dw_j s_j / S) */
static void weight_backward(const struct op_gate_bwd *op, int64_t t, real *ds) {
    const struct gate_shape *g = &op->shape;
    const real *s = ref_row(op->scores, t), *dweight = ref_row(op->dweight, t);
    const int32_t *idx = op->idx + t * g->active;
    const real sum = g->is_normalised ? picked_sum(g, s, idx) : 1;
    real mean = 0;
    if (g->is_normalised)
        for (int64_t k = 0; k < g->active; k++) mean += dweight[k] * (s[idx[k]] / sum);
    for (int64_t k = 0; k < g->active; k++)
        ds[idx[k]] = (real)g->routed_scale / sum * (dweight[k] - mean);
}

/* loss = sum_i c_i mean_t s_i/S, S = sum_j s_j:  ds_i += coef / (T S) * (c_i - sum_j c_j s_j / S)
 */
static void balance_backward(const struct op_gate_bwd *op, const real *c, int64_t t, int64_t T,
                             real *ds) {
    const int64_t E = op->shape.experts;
    const real *s = ref_row(op->scores, t);
    const real sum = row_sum(s, E);
    real mean = 0;
    for (int64_t e = 0; e < E; e++) mean += c[e] * (s[e] / sum);
    for (int64_t e = 0; e < E; e++)
        ds[e] += (real)op->balance_coef / ((real)T * sum) * (c[e] - mean);
}

/* dlogits from ds in place: sigmoid ds s (1 - s); softmax s (ds - sum ds s) */
static void scores_backward(const struct gate_shape *g, const real *s, real *ds) {
    real sum = 0;
    for (int64_t e = 0; e < g->experts; e++) sum += ds[e] * s[e];
    for (int64_t e = 0; e < g->experts; e++)
        ds[e] = g->scoring == GATE_SIGMOID ? ds[e] * s[e] * (1 - s[e]) : s[e] * (ds[e] - sum);
}

void REF(gate_bwd)(struct stream *stream, const struct op_gate_bwd *op) {
    (void)stream;
    const int64_t T = op->scores.rows, E = op->shape.experts;
    for (int64_t t = 0; t < T; t++) {
        for (int64_t e = 0; e < E; e++) ref_row(op->dlogits, t)[e] = 0;
        weight_backward(op, t, ref_row(op->dlogits, t));
    }
    for (int64_t n = 0; n < op->span_count && !tensor_is_absent(op->balance_c); n++) {
        const struct span *span = &op->spans[n];
        for (int64_t t = span->row; t < span->row + span->count; t++)
            balance_backward(op, ref_row(op->balance_c, n), t, span->count,
                             ref_row(op->dlogits, t));
    }
    for (int64_t t = 0; t < T; t++)
        scores_backward(&op->shape, ref_row(op->scores, t), ref_row(op->dlogits, t));
}
