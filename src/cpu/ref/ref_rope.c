#include "cpu/ref/ref.h"

void REF(rope_table)(struct stream *stream, const struct op_rope_table *op) {
    (void)stream;
    for (int64_t t = 0; t < op->cos.rows; t++) {
        for (int64_t i = 0; i < op->cos.cols; i++) {
            const double angle = op->positions[t] * op->frequency[i];
            ref_row(op->cos, t)[i] = (real)(op->factor * cos(angle));
            ref_row(op->sin, t)[i] = (real)(op->factor * sin(angle));
        }
    }
}

/* (a, b) -> (a cos - b sin, b cos + a sin) */
void REF(rope)(struct stream *stream, const struct op_rope *op) {
    (void)stream;
    const int64_t pairs = op->cos.cols;
    const bool is_half = op->layout == ROPE_HALF;
    for (int64_t t = 0; t < op->x.rows; t++) {
        for (int64_t h = 0; h < op->heads; h++) {
            real *x = ref_row(op->x, t) + h * op->head_stride;
            for (int64_t i = 0; i < pairs; i++) {
                real *first = is_half ? x + i : x + 2 * i;
                real *second = is_half ? x + i + pairs : x + 2 * i + 1;
                const real a = *first, b = *second;
                const real c = ref_row(op->cos, t)[i];
                const real s = op->is_inverse ? -ref_row(op->sin, t)[i] : ref_row(op->sin, t)[i];
                *first = a * c - b * s;
                *second = b * c + a * s;
            }
        }
    }
}
