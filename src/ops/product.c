#include "ops/product.h"

#include "ops/check.h"

/* How A and B are read: only weights have blocks, and E5M6 is no operand's format. */
static void check_rounding(const struct check *check, enum matmul_form form, enum rounding a,
                           enum rounding b) {
    const bool has_weights = form != MATMUL_TN;
    check_range(check, "round_a", a, ROUND_NONE, ROUND_E4M3_POW2);
    check_range(check, "round_b", b, ROUND_NONE, has_weights ? ROUND_E4M3_BLOCKS : ROUND_E4M3_POW2);
}

void ops_matmul(struct stream *stream, const struct op_matmul *op) {
    if (stream_failed(stream)) return;
    const struct check check = {stream, "matmul"};
    const int64_t M = op->c.rows, N = op->c.cols;
    const bool is_weight_gradient = op->form == MATMUL_TN;
    const int64_t K = is_weight_gradient ? op->a.rows : op->a.cols;

    check_tensor(&check, "c", op->c, ANY, ANY);
    check_range(&check, "K", K, is_weight_gradient ? 0 : 1, INT64_MAX);
    check_tensor(&check, "a", op->a, is_weight_gradient ? K : M, is_weight_gradient ? M : K);
    check_tensor(&check, "b", op->b, op->form == MATMUL_NT ? N : K, op->form == MATMUL_NT ? K : N);
    check_optional(&check, "bias", op->bias, 1, N);
    check_rounding(&check, op->form, op->round_a, op->round_b);
    check_apart(&check, CHECK_LIST(OPERAND(c)), CHECK_LIST(OPERAND(a), OPERAND(b), OPERAND(bias)));
    const bool adds_nothing = K == 0 && op->accumulate && tensor_is_absent(op->bias);
    if (stream_failed(stream) || M == 0 || N == 0 || adds_nothing) return;
    stream->device->ops->matmul(stream, op);
}

/* Rows of an operand: `rows` at least, or any number where a gather picks them. */
static void check_gathered(const struct check *check, const char *name, struct tensor x,
                           const int32_t *gather, int64_t rows, int64_t cols) {
    check_at_least(check, name, x, gather && rows > 0 ? 1 : gather ? 0 : rows, 0);
    check_tensor(check, name, x, ANY, cols);
}

void ops_matmul_grouped(struct stream *stream, const struct op_matmul_grouped *op) {
    if (stream_failed(stream)) return;
    const struct check check = {stream, "matmul_grouped"};
    const int64_t E = op->experts, rows = op->rows;
    check_range(&check, "experts", E, 1, EXPERTS_MAX);
    check_range(&check, "rows", rows, 0, INT32_MAX);
    check_array(&check, "offsets", op->offsets, E + 1);
    check_rounding(&check, op->form, op->round_a, op->round_b);
    if (stream_failed(stream)) return;

    if (op->form == MATMUL_TN) {
        const int64_t M = op->a.cols, N = op->b.cols;
        check_gathered(&check, "a", op->a, op->gather_a, rows, M);
        check_gathered(&check, "b", op->b, op->gather_b, rows, N);
        check_tensor(&check, "c", op->c, E * M, N);
    } else {
        const int64_t K = op->a.cols, N = op->c.cols;
        const bool is_forward = op->form == MATMUL_NT;
        check_range(&check, "K", K, 1, INT64_MAX);
        check_gathered(&check, "a", op->a, op->gather_a, rows, K);
        check_tensor(&check, "b", op->b, E * (is_forward ? N : K), is_forward ? K : N);
        check_gathered(&check, "c", op->c, NULL, rows, N);
        if (op->accumulate || op->gather_b)
            stream_fail(stream, FATHOM_USAGE,
                        "matmul_grouped: only the TN form adds to c or gathers b");
    }
    check_apart(&check, CHECK_LIST(OPERAND(c)), CHECK_LIST(OPERAND(a), OPERAND(b)));
    const bool has_no_work = rows == 0 && (op->form != MATMUL_TN || op->accumulate);
    if (stream_failed(stream) || has_no_work || tensor_count(op->c) == 0) return;
    stream->device->ops->matmul_grouped(stream, op);
}
