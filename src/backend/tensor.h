/* A tensor is a matrix view of device memory: rows of `cols` elements, `stride` elements apart.
 * Rows are tokens or output features; heads lie side by side in a row. Views are values: they own
 * nothing and are copied freely. */
#ifndef BACKEND_TENSOR_H
#define BACKEND_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "num/dtype.h"

enum tensor_layout {
    LAYOUT_ROWS, /* row-major */
    /* Layouts that a backend packs weights into get their names here, with the backend that reads
     * them; every op refuses a layout that it does not know. */
};

struct tensor {
    void *data;   /* NULL: absent (optional operands) */
    void *scales; /* block scales of FP8 data, NULL otherwise */
    int64_t rows, cols;
    int64_t stride; /* elements from one row to the next, >= cols */
    enum dtype dtype;
    enum tensor_layout layout;
};

static inline struct tensor tensor_of(void *data, enum dtype dtype, int64_t rows, int64_t cols) {
    return (struct tensor){
        .data = data, .rows = rows, .cols = cols, .stride = cols, .dtype = dtype};
}
static inline bool tensor_is_absent(struct tensor x) { return x.data == NULL; }
static inline int64_t tensor_count(struct tensor x) { return x.rows * x.cols; }

/* Address of element (row, col); NULL in a tensor without memory (absent, or only measured). */
static inline void *tensor_at(struct tensor x, int64_t row, int64_t col) {
    if (!x.data) return NULL;
    return (char *)x.data + (size_t)(row * x.stride + col) * dtype_size(x.dtype);
}
/* rows [row, row + rows), and columns [col, col + cols), of x. */
static inline struct tensor tensor_rows(struct tensor x, int64_t row, int64_t rows) {
    x.data = tensor_at(x, row, 0);
    x.rows = rows;
    return x;
}
static inline struct tensor tensor_cols(struct tensor x, int64_t col, int64_t cols) {
    x.data = tensor_at(x, 0, col);
    x.cols = cols;
    return x;
}
/* The same contiguous elements as rows of `cols`. x.stride == x.cols and cols divides the count. */
static inline struct tensor tensor_reshape(struct tensor x, int64_t cols) {
    x.rows = x.rows * x.cols / cols;
    x.cols = cols;
    x.stride = cols;
    return x;
}

#endif
