/* Matrix products. Each function checks its operands (a failure latches on the stream) and does
 * nothing on a stream that has failed; backend/ops.h has the formulas and shapes. */
#ifndef OPS_PRODUCT_H
#define OPS_PRODUCT_H

#include "backend/device.h"

void ops_matmul(struct stream *stream, const struct op_matmul *op);
void ops_matmul_grouped(struct stream *stream, const struct op_matmul_grouped *op);

/* y [T, N] = x [T, K] w^T + bias,  w [N, K], bias [1, N] or absent. */
static inline void ops_linear(struct stream *stream, struct tensor y, struct tensor x,
                              struct tensor w, struct tensor bias) {
    ops_matmul(stream,
               &(struct op_matmul){.form = MATMUL_NT, .c = y, .a = x, .b = w, .bias = bias});
}
/* dx [T, K] = dy [T, N] w, or += with accumulate. */
static inline void ops_linear_dx(struct stream *stream, struct tensor dx, struct tensor dy,
                                 struct tensor w, bool accumulate) {
    ops_matmul(stream, &(struct op_matmul){
                           .form = MATMUL_NN, .c = dx, .a = dy, .b = w, .accumulate = accumulate});
}
/* dw [N, K] += dy^T x, rows in ascending order. */
static inline void ops_linear_dw(struct stream *stream, struct tensor dw, struct tensor dy,
                                 struct tensor x) {
    ops_matmul(stream, &(struct op_matmul){
                           .form = MATMUL_TN, .c = dw, .a = dy, .b = x, .accumulate = true});
}

#endif
