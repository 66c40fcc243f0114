#include "ops/attention.h"

#include <inttypes.h>

#include "ops/check.h"

static void check_shape(const struct check *check, const struct attention_shape *s) {
    check_range(check, "heads", s->heads, 1, INT32_MAX);
    check_range(check, "kv_heads", s->kv_heads, 1, INT32_MAX);
    if (stream_failed(check->stream)) return;
    if (s->heads % s->kv_heads != 0)
        stream_fail(check->stream, FATHOM_USAGE,
                    "%s: %" PRId64 " query heads are no multiple of %" PRId64 " key heads",
                    check->op, s->heads, s->kv_heads);
    check_range(check, "dim_nope", s->dim_nope, 1, INT32_MAX);
    check_range(check, "dim_rope", s->dim_rope, 0, INT32_MAX);
    check_range(check, "dim_value", s->dim_value, 1, INT32_MAX);
    check_range(check, "the width of a head", s->dim_nope + s->dim_rope + s->dim_value, 1,
                ATTENTION_WIDTH_MAX);
    if (s->heads > 1) {
        check_range(check, "q_stride", s->q_stride, s->dim_nope + s->dim_rope, INT32_MAX);
        check_range(check, "o_stride", s->o_stride, s->dim_value, INT32_MAX);
    }
    if (s->kv_heads > 1) {
        check_range(check, "k_stride", s->k_stride, s->dim_nope, INT32_MAX);
        check_range(check, "v_stride", s->v_stride, s->dim_value, INT32_MAX);
    }
}

/* Heads side by side in the rows of a tensor, which may be wider than they are. */
struct heads {
    struct operand operand;
    int64_t count, width, stride;
};

static int64_t heads_cols(struct heads x) { return (x.count - 1) * x.stride + x.width; }

static void check_heads(const struct check *check, struct heads x, int64_t rows) {
    check_at_least(check, x.operand.name, x.operand.x, rows, heads_cols(x));
}

/* Heads of k and v may be interleaved in one row (MLA's up-projection). Two families are apart if
 * they are so as column ranges, or as rows of heads when one stride fits both. */
static bool heads_overlap(struct heads a, struct heads b) {
    const struct tensor x = tensor_cols(a.operand.x, 0, heads_cols(a));
    const struct tensor y = tensor_cols(b.operand.x, 0, heads_cols(b));
    if (!tensors_overlap(x, y)) return false;
    if (x.stride != y.stride || a.stride != b.stride || a.stride < 1) return true;
    if (x.stride % a.stride != 0 || a.width > a.stride || b.width > b.stride) return true;
    const int64_t per_row = x.stride / a.stride;
    struct tensor by_head[2] = {x, y};
    const struct heads *families[2] = {&a, &b};
    for (int i = 0; i < 2; i++) {
        by_head[i].rows = (by_head[i].rows - 1) * per_row + families[i]->count;
        by_head[i].cols = families[i]->width;
        by_head[i].stride = a.stride;
    }
    return tensors_overlap(by_head[0], by_head[1]);
}

static void check_heads_apart(const struct check *check, const struct heads *written,
                              size_t written_count, const struct heads *read, size_t read_count) {
    for (size_t i = 0; i < written_count; i++) {
        for (size_t j = 0; j < i + read_count; j++) {
            const struct heads other = j < i ? written[j] : read[j - i];
            if (!heads_overlap(written[i], other)) continue;
            stream_fail(check->stream, FATHOM_USAGE, "%s: %s overlaps %s", check->op,
                        written[i].operand.name, other.operand.name);
        }
    }
}

/* A span reads key rows [kv_row, kv_row + first + count). */
static void check_keys(const struct check *check, const struct span *spans, int64_t count,
                       int64_t keys) {
    for (int64_t i = 0; i < count; i++) {
        const struct span *s = &spans[i];
        if (s->count == 0) continue;
        if (s->first <= keys && s->kv_row <= keys && s->kv_row + s->first + s->count <= keys)
            continue;
        stream_fail(check->stream, FATHOM_USAGE,
                    "%s: span %" PRId64 " reads %" PRId64 " keys from row %" PRId64
                    ", k has %" PRId64 " rows",
                    check->op, i, s->first + s->count, s->kv_row, keys);
    }
}

#define HEADS(field, heads_, width_, stride_)                                                      \
    { .operand = OPERAND(field), .count = (heads_), .width = (width_), .stride = (stride_) }
#define COUNT(array) (sizeof(array) / sizeof(*(array)))

void ops_attention_fwd(struct stream *stream, const struct op_attention_fwd *op) {
    if (stream_failed(stream)) return;
    const struct check check = {stream, "attention"};
    const struct attention_shape *s = &op->shape;
    const int64_t T = op->q.rows, S = op->k.rows, Dk = s->dim_nope + s->dim_rope;
    check_shape(&check, s);
    check_spans(&check, op->spans, op->span_count, T);
    if (stream_failed(stream) || T == 0 || op->span_count == 0) return;

    const struct heads written[] = {HEADS(o, s->heads, s->dim_value, s->o_stride),
                                    HEADS(lse, 1, s->heads, s->heads)};
    const struct heads read[] = {HEADS(q, s->heads, Dk, s->q_stride),
                                 HEADS(k, s->kv_heads, s->dim_nope, s->k_stride),
                                 HEADS(v, s->kv_heads, s->dim_value, s->v_stride),
                                 HEADS(k_rope, 1, s->dim_rope, s->dim_rope)};
    check_heads(&check, written[0], T);
    check_heads(&check, read[0], T);
    check_heads(&check, read[1], S);
    check_heads(&check, read[2], S);
    if (s->dim_rope > 0) check_at_least(&check, "k_rope", op->k_rope, S, s->dim_rope);
    check_optional(&check, "lse", op->lse, T, s->heads);
    check_keys(&check, op->spans, op->span_count, S);
    if (!stream_failed(stream))
        check_heads_apart(&check, written, COUNT(written), read, COUNT(read));
    if (stream_failed(stream)) return;
    stream->device->ops->attention_fwd(stream, op);
}

/* Whole sequences: keys and queries are the same rows. */
static void check_whole(const struct check *check, const struct span *spans, int64_t count) {
    for (int64_t i = 0; i < count; i++)
        if (spans[i].first != 0 || spans[i].kv_row != spans[i].row)
            stream_fail(check->stream, FATHOM_USAGE,
                        "%s: span %" PRId64 " starts at position %" PRId64
                        " with keys at row %" PRId64 ", expected 0 and %" PRId64,
                        check->op, i, spans[i].first, spans[i].kv_row, spans[i].row);
}

void ops_attention_bwd(struct stream *stream, const struct op_attention_bwd *op) {
    if (stream_failed(stream)) return;
    const struct check check = {stream, "attention backward"};
    const struct attention_shape *s = &op->shape;
    const int64_t T = op->q.rows, H = s->heads, Dr = s->dim_rope, Dk = s->dim_nope + Dr;
    check_shape(&check, s);
    check_spans(&check, op->spans, op->span_count, T);
    if (stream_failed(stream) || T == 0 || op->span_count == 0) return;
    check_whole(&check, op->spans, op->span_count);

    const struct heads written[] = {
        HEADS(dq, H, Dk, s->q_stride),
        HEADS(dk, s->kv_heads, s->dim_nope, s->k_stride),
        HEADS(dv, s->kv_heads, s->dim_value, s->v_stride),
        HEADS(delta, 1, H, H),
        HEADS(dk_rope, 1, Dr, Dr),
        HEADS(rope_heads, 1, H * Dr, H * Dr),
    };
    const struct heads read[] = {
        HEADS(q, H, Dk, s->q_stride),
        HEADS(k, s->kv_heads, s->dim_nope, s->k_stride),
        HEADS(v, s->kv_heads, s->dim_value, s->v_stride),
        HEADS(o, H, s->dim_value, s->o_stride),
        HEADS(dout, H, s->dim_value, s->o_stride),
        HEADS(lse, 1, H, H),
        HEADS(k_rope, 1, Dr, Dr),
    };
    /* The last ones belong to the shared rotated key only. */
    const size_t written_count = COUNT(written) - (Dr > 0 ? 0 : 2);
    const size_t read_count = COUNT(read) - (Dr > 0 ? 0 : 1);
    for (size_t i = 0; i < written_count; i++) check_heads(&check, written[i], T);
    for (size_t i = 0; i < read_count; i++) check_heads(&check, read[i], T);
    if (!stream_failed(stream)) check_heads_apart(&check, written, written_count, read, read_count);
    if (stream_failed(stream)) return;
    stream->device->ops->attention_bwd(stream, op);
}
