/* Sorting tokens by expert, and adding the experts' outputs up again. */
#include "cpu/ref/ref.h"

static bool keeps_all(const struct op_moe_drop *op, int64_t span) {
    return op->keeps_all && op->keeps_all[span];
}

/* Whether one slot is kept before another on the same device: the higher affinity, then the earlier
 * slot. */
static bool slot_is_before(const struct op_moe_drop *op, int64_t slot, int64_t other) {
    const real a = ref_row(op->scores, slot / op->active)[op->idx[slot]];
    const real b = ref_row(op->scores, other / op->active)[op->idx[other]];
    return a > b || (!(b > a) && slot < other);
}

/* The slots of `device` that are kept before this one, those that are never dropped included. */
static int64_t slots_before(const struct op_moe_drop *op, int64_t slot, int64_t device) {
    const int64_t K = op->active, size = op->scores.cols / op->devices;
    int64_t before = 0;
    for (int64_t n = 0; n < op->span_count; n++) {
        const struct span *span = &op->spans[n];
        for (int64_t other = span->row * K; other < (span->row + span->count) * K; other++) {
            if (op->idx[other] / size != device || other == slot) continue;
            if (keeps_all(op, n) || slot_is_before(op, other, slot)) before++;
        }
    }
    return before;
}

void REF(moe_drop)(struct stream *stream, const struct op_moe_drop *op) {
    (void)stream;
    const int64_t K = op->active, size = op->scores.cols / op->devices;
    for (int64_t slot = 0; slot < op->scores.rows * K; slot++) op->kept[slot] = op->idx[slot];
    for (int64_t n = 0; n < op->span_count; n++) {
        const struct span *span = &op->spans[n];
        if (keeps_all(op, n)) continue;
        for (int64_t slot = span->row * K; slot < (span->row + span->count) * K; slot++)
            if (slots_before(op, slot, op->idx[slot] / size) >= op->capacity) op->kept[slot] = -1;
    }
}

/* Where a slot has no row. */
static void plan_clear(const struct op_moe_plan *op, int64_t slot) {
    op->row_token[slot] = op->row_slot[slot] = op->slot_row[slot] = -1;
}

void REF(moe_plan)(struct stream *stream, const struct op_moe_plan *op) {
    (void)stream;
    const int64_t slots = op->tokens * op->active;
    int32_t row = 0;
    op->offsets[0] = 0;
    for (int64_t slot = 0; slot < slots; slot++) plan_clear(op, slot);
    for (int64_t physical = 0; physical < op->experts; physical++) {
        for (int64_t slot = 0; slot < slots; slot++) {
            const int32_t e = op->idx[slot];
            if (e < 0 || (op->place ? op->place[e] : e) != physical) continue;
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
                if (op->slot_row[t * K + k] < 0) continue;
                const real w = tensor_is_absent(op->weight) ? 1 : ref_row(op->weight, t)[k];
                sum = real_fma(w, ref_row(op->rows, op->slot_row[t * K + k])[i], sum);
            }
            ref_row(op->y, t)[i] = sum;
        }
    }
}
