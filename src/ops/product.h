/* Matrix products. Each function checks its operands (a failure latches on the stream) and does
 * nothing on a stream that has failed; backend/ops.h has the formulas and shapes. */
#ifndef OPS_PRODUCT_H
#define OPS_PRODUCT_H

#include "backend/device.h"

void ops_matmul(struct stream *stream, const struct op_matmul *op);
void ops_matmul_grouped(struct stream *stream, const struct op_matmul_grouped *op);

/* What the operands of a model's products are rounded to (V3 report 3.3 for FP8: activations and
 * their gradients in tiles, weights in blocks). */
enum precision {
    PRECISION_F32,
    PRECISION_BF16,
    PRECISION_FP8,
    PRECISION_FP8_POW2, /* forward activations with power-of-two scales */
};
static inline const char *precision_name(enum precision precision) {
    static const char *const names[] = {"f32", "bf16", "fp8", "fp8 with power-of-two scales"};
    return names[precision];
}
/* What the multiply-adds of its products multiply: for device_peak_flops. */
static inline enum dtype precision_operands(enum precision precision) {
    return precision == PRECISION_BF16 ? DTYPE_BF16 : DTYPE_F32;
}
static inline enum rounding precision_activation(enum precision precision) {
    static const enum rounding roundings[] = {ROUND_NONE, ROUND_BF16, ROUND_E4M3, ROUND_E4M3_POW2};
    return roundings[precision];
}
static inline enum rounding precision_gradient(enum precision precision) {
    return precision == PRECISION_FP8_POW2 ? ROUND_E4M3 : precision_activation(precision);
}
static inline enum rounding precision_weight(enum precision precision) {
    static const enum rounding roundings[] = {ROUND_NONE, ROUND_BF16, ROUND_E4M3_BLOCKS,
                                              ROUND_E4M3_BLOCKS};
    return roundings[precision];
}

/* y [T, N] = x [T, K] w^T + bias,  w [N, K], bias [1, N] or absent. */
static inline void ops_linear(struct stream *stream, enum precision precision, struct tensor y,
                              struct tensor x, struct tensor w, struct tensor bias) {
    ops_matmul(stream, &(struct op_matmul){.form = MATMUL_NT,
                                           .c = y,
                                           .a = x,
                                           .b = w,
                                           .bias = bias,
                                           .round_a = precision_activation(precision),
                                           .round_b = precision_weight(precision)});
}
/* dx [T, K] = dy [T, N] w, or += with accumulate. */
static inline void ops_linear_dx(struct stream *stream, enum precision precision, struct tensor dx,
                                 struct tensor dy, struct tensor w, bool accumulate) {
    ops_matmul(stream, &(struct op_matmul){.form = MATMUL_NN,
                                           .c = dx,
                                           .a = dy,
                                           .b = w,
                                           .accumulate = accumulate,
                                           .round_a = precision_gradient(precision),
                                           .round_b = precision_weight(precision)});
}
/* dw [N, K] += dy^T x, rows in ascending order. */
static inline void ops_linear_dw(struct stream *stream, enum precision precision, struct tensor dw,
                                 struct tensor dy, struct tensor x) {
    ops_matmul(stream, &(struct op_matmul){.form = MATMUL_TN,
                                           .c = dw,
                                           .a = dy,
                                           .b = x,
                                           .accumulate = true,
                                           .round_a = precision_gradient(precision),
                                           .round_b = precision_activation(precision)});
}

#endif
