#include "ops/moe.h"

#include <inttypes.h>

#include "ops/check.h"

static void check_gate(const struct check *check, const struct gate_shape *g) {
    check_range(check, "experts", g->experts, 1, EXPERTS_MAX);
    check_range(check, "active experts", g->active, 1, g->experts);
    check_range(check, "groups", g->groups, 1, g->experts);
    check_range(check, "topk_groups", g->topk_groups, 1, g->groups);
    if (stream_failed(check->stream) || g->method == GATE_GREEDY || g->groups == 1) return;
    const int64_t size = g->experts / g->groups;
    const int64_t least = g->method == GATE_NOAUX_TC ? 2 : 1; /* a group's rank needs its top two */
    if (g->experts % g->groups != 0 || size < least || g->topk_groups * size < g->active)
        stream_fail(check->stream, FATHOM_USAGE,
                    "%s: %" PRId64 " of %" PRId64 " experts cannot come from %" PRId64
                    " of %" PRId64 " groups",
                    check->op, g->active, g->experts, g->topk_groups, g->groups);
}

void ops_gate_fwd(struct stream *stream, const struct op_gate_fwd *op) {
    if (stream_failed(stream)) return;
    const struct check check = {stream, "gate"};
    const int64_t T = op->logits.rows, E = op->shape.experts, K = op->shape.active;
    check_gate(&check, &op->shape);
    check_tensor(&check, "logits", op->logits, T, E);
    check_tensor(&check, "scores", op->scores, T, E);
    check_tensor(&check, "weight", op->weight, T, K);
    check_array(&check, "idx", op->idx, T);
    if (!tensor_is_absent(op->bias)) check_tensor_of(&check, "bias", op->bias, 1, E, DTYPE_F32);
    check_apart(&check, CHECK_LIST(OPERAND(scores), OPERAND(weight)), CHECK_LIST(OPERAND(bias)));
    check_apart(&check, CHECK_LIST(OPERAND(weight)), CHECK_LIST(OPERAND(logits)));
    check_alias(&check, (struct operand)OPERAND(scores), (struct operand)OPERAND(logits));
    if (stream_failed(stream) || T == 0) return;
    stream->device->ops->gate_fwd(stream, op);
}

/* Blocks of experts on devices, each as large. */
static void check_devices(const struct check *check, int64_t devices, int64_t experts) {
    check_range(check, "devices", devices, 1, experts);
    if (!stream_failed(check->stream) && experts % devices != 0)
        stream_fail(check->stream, FATHOM_USAGE,
                    "%s: %" PRId64 " experts cannot be divided among %" PRId64 " devices",
                    check->op, experts, devices);
}

void ops_balance_fwd(struct stream *stream, const struct op_balance_fwd *op) {
    if (stream_failed(stream)) return;
    const struct check check = {stream, "balance loss"};
    const int64_t E = op->scores.cols;
    check_at_least(&check, "scores", op->scores, 0, 1);
    check_range(&check, "experts", E, 1, EXPERTS_MAX);
    check_range(&check, "active experts", op->active, 1, E);
    check_tensor(&check, "loss", op->loss, op->span_count, 1);
    check_tensor(&check, "c", op->c, op->span_count, E);
    check_spans(&check, op->spans, op->span_count, op->scores.rows);
    check_apart(&check, CHECK_LIST(OPERAND(loss), OPERAND(c)), CHECK_LIST(OPERAND(scores)));
    if (op->levels.device != 0 || op->levels.communication != 0) {
        check_devices(&check, op->levels.devices, E);
        check_array(&check, "idx", op->idx, op->scores.rows);
    }
    if (op->levels.communication != 0)
        check_range(&check, "reach", op->levels.reach, 1, op->levels.devices);
    if (stream_failed(stream) || op->span_count == 0) return;
    stream->device->ops->balance_fwd(stream, op);
}

void ops_gate_bwd(struct stream *stream, const struct op_gate_bwd *op) {
    if (stream_failed(stream)) return;
    const struct check check = {stream, "gate backward"};
    const int64_t T = op->scores.rows, E = op->shape.experts, K = op->shape.active;
    check_gate(&check, &op->shape);
    check_tensor(&check, "scores", op->scores, T, E);
    check_tensor(&check, "dlogits", op->dlogits, T, E);
    check_tensor(&check, "dweight", op->dweight, T, K);
    check_tensor(&check, "weight", op->weight, T, K);
    check_array(&check, "idx", op->idx, T);
    if (!tensor_is_absent(op->balance_c)) {
        check_tensor(&check, "balance_c", op->balance_c, op->span_count, E);
        check_spans(&check, op->spans, op->span_count, T);
    }
    check_apart(&check, CHECK_LIST(OPERAND(dlogits)),
                CHECK_LIST(OPERAND(scores), OPERAND(dweight), OPERAND(weight), OPERAND(balance_c)));
    if (stream_failed(stream) || T == 0) return;
    stream->device->ops->gate_bwd(stream, op);
}

void ops_moe_drop(struct stream *stream, const struct op_moe_drop *op) {
    if (stream_failed(stream)) return;
    const struct check check = {stream, "moe_drop"};
    const int64_t T = op->scores.rows, E = op->scores.cols;
    check_range(&check, "experts", E, 1, EXPERTS_MAX);
    check_range(&check, "active experts", op->active, 1, E);
    check_devices(&check, op->devices, E);
    check_range(&check, "capacity", op->capacity, 1, INT64_MAX);
    check_array(&check, "kept", op->kept, T);
    check_array(&check, "idx", op->idx, T);
    check_spans(&check, op->spans, op->span_count, T);
    if (stream_failed(stream) || T == 0) return;
    stream->device->ops->moe_drop(stream, op);
}

void ops_moe_plan(struct stream *stream, const struct op_moe_plan *op) {
    if (stream_failed(stream)) return;
    const struct check check = {stream, "moe_plan"};
    check_range(&check, "experts", op->experts, 1, EXPERTS_MAX);
    check_range(&check, "active experts", op->active, 1, op->experts);
    check_range(&check, "tokens", op->tokens, 0, INT32_MAX / (op->active > 0 ? op->active : 1));
    check_array(&check, "offsets", op->offsets, op->experts + 1);
    check_array(&check, "idx", op->idx, op->tokens);
    check_array(&check, "row_token", op->row_token, op->tokens);
    check_array(&check, "row_slot", op->row_slot, op->tokens);
    check_array(&check, "slot_row", op->slot_row, op->tokens);
    if (stream_failed(stream)) return;
    stream->device->ops->moe_plan(stream, op);
}

void ops_moe_combine(struct stream *stream, const struct op_moe_combine *op) {
    if (stream_failed(stream)) return;
    const struct check check = {stream, "moe_combine"};
    const int64_t T = op->y.rows, D = op->y.cols, K = op->active;
    check_range(&check, "active experts", K, 1, INT32_MAX);
    check_tensor(&check, "y", op->y, T, D);
    check_tensor(&check, "rows", op->rows, ANY, D);
    check_at_least(&check, "rows", op->rows, T > 0 ? 1 : 0, 0);
    check_optional(&check, "weight", op->weight, T, K);
    check_optional(&check, "add", op->add, T, D);
    check_array(&check, "slot_row", op->slot_row, T);
    check_apart(&check, CHECK_LIST(OPERAND(y)), CHECK_LIST(OPERAND(rows), OPERAND(weight)));
    check_alias(&check, (struct operand)OPERAND(y), (struct operand)OPERAND(add));
    if (stream_failed(stream) || T == 0 || D == 0) return;
    stream->device->ops->moe_combine(stream, op);
}
