/* Element by element, and row by row: SwiGLU, sums, embedding. */
#include "cpu/ref/ref.h"

#include <string.h>

/* y = silu(g) * u;  silu(z) = z * sigmoid(z) */
void REF(swiglu_fwd)(struct stream *stream, const struct op_swiglu_fwd *op) {
    (void)stream;
    for (int64_t t = 0; t < op->y.rows; t++) {
        const real *g = ref_row(op->g, t), *u = ref_row(op->u, t);
        real *y = ref_row(op->y, t);
        for (int64_t i = 0; i < op->y.cols; i++) y[i] = g[i] * real_sigmoid(g[i]) * u[i];
    }
}

/* z = w * silu(g) * u:  dg = w*dz*u*silu'(g)  du = w*dz*silu(g)  dw = sum dz*silu(g)*u
 * silu'(g) = sigmoid(g) * (1 + g * (1 - sigmoid(g))) */
void REF(swiglu_bwd)(struct stream *stream, const struct op_swiglu_bwd *op) {
    (void)stream;
    const bool has_weight = !tensor_is_absent(op->weight);
    for (int64_t t = 0; t < op->dz.rows; t++) {
        const real *g = ref_row(op->g, t), *u = ref_row(op->u, t), *dz = ref_row(op->dz, t);
        real *dg = ref_row(op->dg, t), *du = ref_row(op->du, t);
        const int64_t slot = op->slot ? op->slot[t] : t;
        const real w = has_weight ? ref_row(op->weight, slot)[0] : 1;
        real dweight = 0;
        for (int64_t i = 0; i < op->dz.cols; i++) {
            const real sigmoid = real_sigmoid(g[i]);
            const real silu = g[i] * sigmoid, d = w * dz[i];
            dweight += dz[i] * (silu * u[i]);
            dg[i] = d * u[i] * (sigmoid * (1 + g[i] * (1 - sigmoid)));
            du[i] = d * silu;
            if (!tensor_is_absent(op->wy)) ref_row(op->wy, t)[i] = w * (silu * u[i]);
        }
        if (has_weight) ref_row(op->dweight, slot)[0] = dweight;
    }
}

void REF(add)(struct stream *stream, const struct op_add *op) {
    (void)stream;
    for (int64_t t = 0; t < op->y.rows; t++)
        for (int64_t i = 0; i < op->y.cols; i++)
            ref_row(op->y, t)[i] = ref_row(op->a, t)[i] + ref_row(op->b, t)[i];
}

void REF(sum_rows)(struct stream *stream, const struct op_sum_rows *op) {
    (void)stream;
    for (int64_t t = 0; t < op->x.rows; t++)
        for (int64_t i = 0; i < op->x.cols; i++) ref_row(op->y, 0)[i] += ref_row(op->x, t)[i];
}

void REF(embedding_fwd)(struct stream *stream, const struct op_embedding_fwd *op) {
    (void)stream;
    for (int64_t t = 0; t < op->y.rows; t++)
        memcpy(ref_row(op->y, t), ref_row(op->w, op->tokens[t]), (size_t)op->y.cols * sizeof(real));
}

void REF(embedding_bwd)(struct stream *stream, const struct op_embedding_bwd *op) {
    (void)stream;
    for (int64_t t = 0; t < op->dy.rows; t++)
        for (int64_t i = 0; i < op->dy.cols; i++)
            ref_row(op->dw, op->tokens[t])[i] += ref_row(op->dy, t)[i];
}
