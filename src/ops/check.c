#include "ops/check.h"

#include <inttypes.h>
#include <stdio.h>

static void fail_shape(const struct check *check, const char *name, struct tensor x,
                       const char *relation, int64_t rows, int64_t cols) {
    char expected[2][24] = {"any", "any"};
    if (rows != ANY) snprintf(expected[0], sizeof expected[0], "%" PRId64, rows);
    if (cols != ANY) snprintf(expected[1], sizeof expected[1], "%" PRId64, cols);
    stream_fail(check->stream, FATHOM_USAGE,
                "%s: %s is [%" PRId64 ", %" PRId64 "], expected %s[%s, %s]", check->op, name,
                x.rows, x.cols, relation, expected[0], expected[1]);
}

void check_tensor_of(const struct check *check, const char *name, struct tensor x, int64_t rows,
                     int64_t cols, enum dtype dtype) {
    struct stream *stream = check->stream;
    const bool fits = (rows == ANY || x.rows == rows) && (cols == ANY || x.cols == cols);
    if (!fits || x.rows < 0 || x.cols < 0) {
        fail_shape(check, name, x, "", rows, cols);
    } else if (x.rows == 0 || x.cols == 0) {
        return;
    } else if (tensor_is_absent(x)) {
        stream_fail(stream, FATHOM_USAGE, "%s: %s [%" PRId64 ", %" PRId64 "] has no memory",
                    check->op, name, x.rows, x.cols);
    } else if (x.layout != LAYOUT_ROWS) {
        stream_fail(stream, FATHOM_UNSUPPORTED, "%s: %s has layout %d, which is not read here",
                    check->op, name, (int)x.layout);
    } else if (x.dtype != dtype) {
        stream_fail(stream, FATHOM_UNSUPPORTED, "%s: %s is %s, expected %s", check->op, name,
                    dtype_name(x.dtype), dtype_name(dtype));
    } else if (x.stride < x.cols) {
        stream_fail(stream, FATHOM_USAGE,
                    "%s: %s has rows of %" PRId64 " columns %" PRId64 " apart", check->op, name,
                    x.cols, x.stride);
    }
}

void check_tensor(const struct check *check, const char *name, struct tensor x, int64_t rows,
                  int64_t cols) {
    check_tensor_of(check, name, x, rows, cols, check->stream->device->compute);
}

void check_optional(const struct check *check, const char *name, struct tensor x, int64_t rows,
                    int64_t cols) {
    if (!tensor_is_absent(x)) check_tensor(check, name, x, rows, cols);
}

void check_at_least(const struct check *check, const char *name, struct tensor x, int64_t rows,
                    int64_t cols) {
    if (x.rows < rows || x.cols < cols) fail_shape(check, name, x, "at least ", rows, cols);
    check_tensor(check, name, x, ANY, ANY);
}

void check_contiguous(const struct check *check, const char *name, struct tensor x) {
    if (x.rows > 1 && x.stride != x.cols)
        stream_fail(check->stream, FATHOM_USAGE,
                    "%s: %s has rows of %" PRId64 " columns %" PRId64 " apart, expected no gaps",
                    check->op, name, x.cols, x.stride);
}

void check_array(const struct check *check, const char *name, const void *array, int64_t count) {
    if (count > 0 && !array)
        stream_fail(check->stream, FATHOM_USAGE, "%s: %s is NULL, expected %" PRId64 " elements",
                    check->op, name, count);
}

void check_range(const struct check *check, const char *name, int64_t value, int64_t low,
                 int64_t high) {
    if (value < low || value > high)
        stream_fail(check->stream, FATHOM_USAGE,
                    "%s: %s is %" PRId64 ", expected %" PRId64 " to %" PRId64, check->op, name,
                    value, low, high);
}

/* ---- aliasing ---- */

/* Bytes from the first element to the end of the last. */
static size_t tensor_extent(struct tensor x) {
    return (size_t)((x.rows - 1) * x.stride + x.cols) * dtype_size(x.dtype);
}

bool tensors_overlap(struct tensor a, struct tensor b) {
    if (tensor_is_absent(a) || tensor_is_absent(b)) return false;
    if (tensor_count(a) == 0 || tensor_count(b) == 0) return false;
    const uintptr_t a_begin = (uintptr_t)a.data, b_begin = (uintptr_t)b.data;
    if (a_begin + tensor_extent(a) <= b_begin || b_begin + tensor_extent(b) <= a_begin)
        return false;
    const size_t a_pitch = (size_t)a.stride * dtype_size(a.dtype);
    const size_t b_pitch = (size_t)b.stride * dtype_size(b.dtype);
    if (a_pitch != b_pitch) return true;
    /* Within one matrix: columns of a are [0, a_width), those of b begin at `offset`. */
    const size_t a_width = (size_t)a.cols * dtype_size(a.dtype);
    const size_t b_width = (size_t)b.cols * dtype_size(b.dtype);
    const size_t offset = b_begin >= a_begin ? (b_begin - a_begin) % a_pitch
                                             : (a_pitch - (a_begin - b_begin) % a_pitch) % a_pitch;
    return offset < a_width || offset + b_width > a_pitch;
}

static void fail_overlap(const struct check *check, struct operand a, struct operand b) {
    stream_fail(check->stream, FATHOM_USAGE,
                "%s: %s [%" PRId64 ", %" PRId64 "] overlaps %s [%" PRId64 ", %" PRId64 "]",
                check->op, a.name, a.x.rows, a.x.cols, b.name, b.x.rows, b.x.cols);
}

void check_apart(const struct check *check, const struct operand *written, size_t written_count,
                 const struct operand *read, size_t read_count) {
    for (size_t i = 0; i < written_count; i++) {
        for (size_t j = 0; j < i; j++)
            if (tensors_overlap(written[i].x, written[j].x))
                fail_overlap(check, written[i], written[j]);
        for (size_t j = 0; j < read_count; j++)
            if (tensors_overlap(written[i].x, read[j].x)) fail_overlap(check, written[i], read[j]);
    }
}

void check_alias(const struct check *check, struct operand written, struct operand read) {
    const bool is_same_view = written.x.data == read.x.data && written.x.stride == read.x.stride &&
                              written.x.cols == read.x.cols && written.x.rows == read.x.rows;
    if (!is_same_view && tensors_overlap(written.x, read.x)) fail_overlap(check, written, read);
}

void check_spans(const struct check *check, const struct span *spans, int64_t count, int64_t rows) {
    check_array(check, "spans", spans, count);
    check_range(check, "span_count", count, 0, SPANS_MAX);
    int64_t end = 0;
    for (int64_t i = 0; i < count && spans; i++) {
        const struct span *s = &spans[i];
        const bool is_good = s->row >= end && s->count >= 0 && s->row <= rows &&
                             s->count <= rows - s->row && s->first >= 0 && s->kv_row >= 0;
        if (!is_good) {
            stream_fail(check->stream, FATHOM_USAGE,
                        "%s: span %" PRId64 " is row %" PRId64 ", count %" PRId64 ", first %" PRId64
                        ", kv_row %" PRId64 " after row %" PRId64 " of %" PRId64 " rows",
                        check->op, i, s->row, s->count, s->first, s->kv_row, end, rows);
            return;
        }
        end = s->row + s->count;
    }
}
