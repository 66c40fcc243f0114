/* Sorting tokens by expert, and adding the experts' outputs up again. */
#include <string.h>

#include "cpu/vec/rows.h"

static int32_t place_of(const struct op_moe_plan *op, int32_t expert) {
    return op->place ? op->place[expert] : expert;
}

/* A counting sort. While rows are dealt out, offsets[p] is the next free row of p, which ends as
 * the start of p + 1. */
void VEC_NAME(moe_plan)(struct stream *stream, const struct op_moe_plan *op) {
    (void)stream;
    int32_t *offsets = op->offsets;
    const int64_t E = op->experts;
    memset(offsets, 0, (size_t)(E + 1) * sizeof *offsets);
    for (int64_t slot = 0; slot < op->tokens * op->active; slot++) {
        if (op->idx[slot] < 0) continue;
        offsets[place_of(op, op->idx[slot]) + 1]++;
        if (op->load) op->load[op->idx[slot]]++;
    }
    for (int64_t p = 0; p < E; p++) offsets[p + 1] += offsets[p];
    int32_t slot = 0;
    for (int64_t t = 0; t < op->tokens; t++) {
        for (int64_t k = 0; k < op->active; k++, slot++) {
            op->slot_row[slot] = -1;
            if (op->idx[slot] < 0) continue;
            const int32_t row = offsets[place_of(op, op->idx[slot])]++;
            op->row_token[row] = (int32_t)t;
            op->row_slot[row] = slot;
            op->slot_row[slot] = row;
        }
    }
    memmove(offsets + 1, offsets, (size_t)E * sizeof *offsets);
    offsets[0] = 0;
    for (int64_t row = offsets[E]; row < op->tokens * op->active; row++)
        op->row_token[row] = op->row_slot[row] = -1;
}

/* y = add + sum_k weight[k] * rows[slot_row[k]] on four vectors of columns from i, at most up to
 * column D. Inlined with is_whole where there are four. */
VEC_INLINE void combine_columns(const struct op_moe_combine *op, int64_t t, int64_t i,
                                bool is_whole) {
    const int64_t D = is_whole ? i + 4 * VEC_LANES : op->y.cols, K = op->active;
    const float *add = tensor_is_absent(op->add) ? NULL : row_f32(op->add, t);
    const float *weight = tensor_is_absent(op->weight) ? NULL : row_f32(op->weight, t);
    vf sum[4];
    VEC_UNROLL
    for (int j = 0; j < 4; j++)
        sum[j] = add ? row_load_or_zero(add, i + j * VEC_LANES, D) : vf_zero();
    for (int64_t k = 0; k < K; k++) {
        if (op->slot_row[t * K + k] < 0) continue;
        const float *row = row_f32(op->rows, op->slot_row[t * K + k]);
        const vf w = vf_set1(weight ? weight[k] : 1.0f);
        VEC_UNROLL
        for (int j = 0; j < 4; j++)
            sum[j] = vf_fma(w, row_load_or_zero(row, i + j * VEC_LANES, D), sum[j]);
    }
    VEC_UNROLL
    for (int j = 0; j < 4; j++)
        if (i + j * VEC_LANES < D) row_store(row_f32(op->y, t), i + j * VEC_LANES, D, sum[j]);
}

static void combine_rows(const void *arg, int64_t first, int64_t end, int worker) {
    (void)worker;
    const struct op_moe_combine *op = arg;
    for (int64_t t = first; t < end; t++) {
        int64_t i = 0;
        for (; i + 4 * VEC_LANES <= op->y.cols; i += 4 * VEC_LANES) combine_columns(op, t, i, true);
        if (i < op->y.cols) combine_columns(op, t, i, false);
    }
}

void VEC_NAME(moe_combine)(struct stream *stream, const struct op_moe_combine *op) {
    rows_run(stream, combine_rows, op, op->y.rows, op->y.cols * (op->active + 1));
}
