#include "backend/device.h"
#include "base/memory.h"
#include "cpu/ref/ref_round.h"

/* sum + sum_k a[k * a_step] * b[k * b_step], K ascending, one accumulator. */
static real dot(real sum, const real *a, int64_t a_step, const real *b, int64_t b_step, int64_t K) {
    for (int64_t k = 0; k < K; k++) sum = real_fma(a[k * a_step], b[k * b_step], sum);
    return sum;
}

/* C = A B, or += : what one call without a gather and without rounding does. */
static void multiply(enum matmul_form form, struct tensor c, struct tensor a, struct tensor b,
                     struct tensor bias, bool accumulate) {
    const bool a_is_transposed = form == MATMUL_TN;
    const int64_t K = a_is_transposed ? a.rows : a.cols;
    for (int64_t i = 0; i < c.rows; i++) {
        real *c_i = ref_row(c, i);
        const real *a_i = a_is_transposed ? ref_row(a, 0) + i : ref_row(a, i);
        const int64_t a_step = a_is_transposed ? a.stride : 1;
        for (int64_t j = 0; j < c.cols; j++) {
            const real *b_j = form == MATMUL_NT ? ref_row(b, j) : ref_row(b, 0) + j;
            const int64_t b_step = form == MATMUL_NT ? 1 : b.stride;
            c_i[j] = dot(accumulate ? c_i[j] : 0, a_i, a_step, b_j, b_step, K);
            if (!tensor_is_absent(bias)) c_i[j] += ref_row(bias, 0)[j];
        }
    }
}

/* An operand as it is read: a view, or a copy of the gathered and rounded rows. */
struct operand {
    struct tensor x;
    void *copy;
};

/* Rows [first, first + rows) of x, or of its gathered rows. Tiles run down the rows where the
 * product sums over them. Fails the stream where there is no memory for a copy. */
static struct operand read_rows(struct stream *stream, struct tensor x, const int32_t *gather,
                                int64_t first, int64_t rows, enum rounding rounding,
                                bool sums_rows) {
    struct operand out = {0};
    struct error err = {0};
    const int64_t C = x.cols;
    if ((!gather && rounding == ROUND_NONE) || rows == 0) {
        out.x = tensor_rows(x, gather ? 0 : first, rows);
        return out;
    }
    if (mem_new_raw(&out.copy, (size_t)(rows * C), sizeof(real), "an operand", &err) != FATHOM_OK) {
        stream_fail(stream, err.status, "%s", err.text);
        return out;
    }
    out.x = tensor_of(out.copy, x.dtype, rows, C);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < C; i++)
            ref_row(out.x, r)[i] = ref_row(x, gather ? gather[first + r] : first + r)[i];
    const struct ref_grid along_rows = {out.copy, rows, C, C, 1}, along = {out.copy, C, 1, rows, C};
    REF(round_grid)(sums_rows ? along_rows : along, rounding);
    return out;
}

void REF(matmul)(struct stream *stream, const struct op_matmul *op) {
    const bool sums_rows = op->form == MATMUL_TN;
    struct operand a = read_rows(stream, op->a, NULL, 0, op->a.rows, op->round_a, sums_rows);
    struct operand b = read_rows(stream, op->b, NULL, 0, op->b.rows, op->round_b,
                                 sums_rows || op->form == MATMUL_NN);
    if (!stream_failed(stream)) multiply(op->form, op->c, a.x, b.x, op->bias, op->accumulate);
    mem_free(a.copy);
    mem_free(b.copy);
}

/* Expert e's product. */
static void multiply_expert(struct stream *stream, const struct op_matmul_grouped *op, int64_t e) {
    const int64_t first = op->offsets[e], rows = op->offsets[e + 1] - first;
    const bool is_weight_gradient = op->form == MATMUL_TN;
    const int64_t height = op->b.rows / op->experts; /* N (NT) or K (NN) */
    struct operand a =
        read_rows(stream, op->a, op->gather_a, first, rows, op->round_a, is_weight_gradient);
    struct operand b = is_weight_gradient
                           ? read_rows(stream, op->b, op->gather_b, first, rows, op->round_b, true)
                           : read_rows(stream, op->b, NULL, e * height, height, op->round_b,
                                       op->form == MATMUL_NN);
    const int64_t M = op->a.cols;
    const struct tensor c =
        is_weight_gradient ? tensor_rows(op->c, e * M, M) : tensor_rows(op->c, first, rows);
    if (!stream_failed(stream))
        multiply(op->form, c, a.x, b.x, (struct tensor){0}, op->accumulate && is_weight_gradient);
    mem_free(a.copy);
    mem_free(b.copy);
}

void REF(matmul_grouped)(struct stream *stream, const struct op_matmul_grouped *op) {
    for (int64_t e = 0; e < op->experts; e++) multiply_expert(stream, op, e);
}
