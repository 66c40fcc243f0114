#include "ops/loss_head.h"

#include "ops/check.h"
#include "ops/loss.h"

static bool wants_gradient(const struct op_loss_head *op) {
    return !tensor_is_absent(op->dhidden) || !tensor_is_absent(op->dweight);
}

static void loss_head_check(struct stream *stream, const struct op_loss_head *op) {
    const struct check check = {stream, "loss head"};
    const int64_t T = op->hidden.rows, D = op->hidden.cols, V = op->weight.rows;
    check_at_least(&check, "hidden", op->hidden, 0, 1);
    check_at_least(&check, "weight", op->weight, 1, 1);
    check_tensor(&check, "weight", op->weight, V, D);
    check_optional(&check, "dhidden", op->dhidden, T, D);
    check_optional(&check, "dweight", op->dweight, V, D);
    check_range(&check, "chunk", op->chunk, 1, INT32_MAX);
    check_tensor(&check, "logits", op->logits, op->chunk, V);
    check_array(&check, "targets", op->targets, T);
    check_array(&check, "logp", op->logp, T);
    if (wants_gradient(op)) check_array(&check, "coef", op->coef, T);
    check_apart(&check, CHECK_LIST(OPERAND(dhidden), OPERAND(dweight), OPERAND(logits)),
                CHECK_LIST(OPERAND(weight)));
    check_apart(&check, CHECK_LIST(OPERAND(dweight), OPERAND(logits)), CHECK_LIST(OPERAND(hidden)));
    check_alias(&check, (struct operand)OPERAND(dhidden), (struct operand)OPERAND(hidden));
}

/* Rows [row, row + count). */
static void loss_head_chunk(struct stream *stream, const struct op_loss_head *op, int64_t row,
                            int64_t count) {
    const struct tensor hidden = tensor_rows(op->hidden, row, count);
    const struct tensor logits = tensor_rows(op->logits, 0, count);
    ops_linear(stream, op->precision, logits, hidden, op->weight, (struct tensor){0});
    ops_cross_entropy(stream, &(struct op_cross_entropy){
                                  .logits = logits,
                                  .targets = op->targets + row,
                                  .coef = op->coef ? op->coef + row : NULL,
                                  .logp = op->logp + row,
                                  .entropy = op->entropy ? op->entropy + row : NULL,
                                  .top = op->top ? op->top + row : NULL,
                                  .is_gradient_wanted = wants_gradient(op),
                              });
    /* dweight first: dhidden may take hidden's place. */
    if (!tensor_is_absent(op->dweight))
        ops_linear_dw(stream, op->precision, op->dweight, logits, hidden);
    if (!tensor_is_absent(op->dhidden))
        ops_linear_dx(stream, op->precision, tensor_rows(op->dhidden, row, count), logits,
                      op->weight, false);
}

void ops_loss_head(struct stream *stream, const struct op_loss_head *op) {
    if (stream_failed(stream)) return;
    loss_head_check(stream, op);
    const int64_t T = op->hidden.rows;
    for (int64_t row = 0; row < T && !stream_failed(stream); row += op->chunk)
        loss_head_chunk(stream, op, row, T - row < op->chunk ? T - row : op->chunk);
}
