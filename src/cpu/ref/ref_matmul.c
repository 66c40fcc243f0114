#include "cpu/ref/ref.h"

/* sum + sum_k a[k * a_step] * b[k * b_step], K ascending, one accumulator. */
static real dot(real sum, const real *a, int64_t a_step, const real *b, int64_t b_step, int64_t K) {
    for (int64_t k = 0; k < K; k++) sum = real_fma(a[k * a_step], b[k * b_step], sum);
    return sum;
}

void REF(matmul)(struct stream *stream, const struct op_matmul *op) {
    (void)stream;
    const struct tensor a = op->a, b = op->b;
    const bool a_is_transposed = op->form == MATMUL_TN;
    const int64_t K = a_is_transposed ? a.rows : a.cols;
    for (int64_t i = 0; i < op->c.rows; i++) {
        real *c = ref_row(op->c, i);
        const real *a_i = a_is_transposed ? ref_row(a, 0) + i : ref_row(a, i);
        const int64_t a_step = a_is_transposed ? a.stride : 1;
        for (int64_t j = 0; j < op->c.cols; j++) {
            const real *b_j = op->form == MATMUL_NT ? ref_row(b, j) : ref_row(b, 0) + j;
            const int64_t b_step = op->form == MATMUL_NT ? 1 : b.stride;
            c[j] = dot(op->accumulate ? c[j] : 0, a_i, a_step, b_j, b_step, K);
            if (!tensor_is_absent(op->bias)) c[j] += ref_row(op->bias, 0)[j];
        }
    }
}

static int64_t gathered(const int32_t *gather, int64_t r) { return gather ? gather[r] : r; }

/* C[rows, N] = A[rows, K] B_e^T or A[rows, K] B_e, for the rows of expert e. */
static void grouped_rows(const struct op_matmul_grouped *op, int64_t e) {
    const int64_t height = op->b.rows / op->experts; /* N (NT) or K (NN) */
    const struct tensor b = tensor_rows(op->b, e * height, height);
    const int64_t K = op->a.cols, N = op->c.cols;
    for (int64_t r = op->offsets[e]; r < op->offsets[e + 1]; r++) {
        const real *a = ref_row(op->a, gathered(op->gather_a, r));
        for (int64_t j = 0; j < N; j++) {
            if (op->form == MATMUL_NT)
                ref_row(op->c, r)[j] = dot(0, a, 1, ref_row(b, j), 1, K);
            else
                ref_row(op->c, r)[j] = dot(0, a, 1, ref_row(b, 0) + j, b.stride, K);
        }
    }
}

/* C_e[M, N] (+)= A[rows, M]^T B[rows, N], for the rows of expert e. */
static void grouped_weights(const struct op_matmul_grouped *op, int64_t e) {
    const int64_t M = op->a.cols, N = op->b.cols;
    for (int64_t i = 0; i < M; i++) {
        real *c = ref_row(op->c, e * M + i);
        for (int64_t j = 0; j < N; j++) {
            real sum = op->accumulate ? c[j] : 0;
            for (int64_t r = op->offsets[e]; r < op->offsets[e + 1]; r++) {
                const real *a = ref_row(op->a, gathered(op->gather_a, r));
                const real *b = ref_row(op->b, gathered(op->gather_b, r));
                sum = real_fma(a[i], b[j], sum);
            }
            c[j] = sum;
        }
    }
}

void REF(matmul_grouped)(struct stream *stream, const struct op_matmul_grouped *op) {
    (void)stream;
    for (int64_t e = 0; e < op->experts; e++) {
        if (op->form == MATMUL_TN)
            grouped_weights(op, e);
        else
            grouped_rows(op, e);
    }
}
