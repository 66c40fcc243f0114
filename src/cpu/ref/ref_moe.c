/* Sorting tokens by expert, and adding the experts' outputs up again. */
#include "cpu/ref/ref.h"

void REF(moe_plan)(struct stream *stream, const struct op_moe_plan *op) {
    (void)stream;
    const int64_t slots = op->tokens * op->active;
    int32_t row = 0;
    op->offsets[0] = 0;
    for (int64_t physical = 0; physical < op->experts; physical++) {
        for (int64_t slot = 0; slot < slots; slot++) {
            const int32_t e = op->idx[slot];
            if ((op->place ? op->place[e] : e) != physical) continue;
            op->row_token[row] = (int32_t)(slot / op->active);
            op->row_slot[row] = (int32_t)slot;
            op->slot_row[slot] = row;
            if (op->load) op->load[e]++;
            row++;
        }
        op->offsets[physical + 1] = row;
    }
}

/* y[t] = add[t] + sum_k weight[t,k] * rows[slot_row[t*K + k]] */
void REF(moe_combine)(struct stream *stream, const struct op_moe_combine *op) {
    (void)stream;
    const int64_t K = op->active;
    for (int64_t t = 0; t < op->y.rows; t++) {
        for (int64_t i = 0; i < op->y.cols; i++) {
            real sum = tensor_is_absent(op->add) ? 0 : ref_row(op->add, t)[i];
            for (int64_t k = 0; k < K; k++) {
                const real w = tensor_is_absent(op->weight) ? 1 : ref_row(op->weight, t)[k];
                sum = real_fma(w, ref_row(op->rows, op->slot_row[t * K + k])[i], sum);
            }
            ref_row(op->y, t)[i] = sum;
        }
    }
}
