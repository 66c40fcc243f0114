#include "comm/reduce.h"

#include <string.h>

bool reduce_has(enum dtype dtype) {
    return dtype == DTYPE_F32 || dtype == DTYPE_F64 || dtype == DTYPE_I32 || dtype == DTYPE_I64;
}

static void f32_join(float *restrict to, const float *restrict x, int64_t n, bool is_max) {
    if (!is_max)
        for (int64_t i = 0; i < n; i++) to[i] += x[i];
    else
        for (int64_t i = 0; i < n; i++) to[i] = to[i] >= x[i] || to[i] != to[i] ? to[i] : x[i];
}

static void f64_join(double *restrict to, const double *restrict x, int64_t n, bool is_max) {
    if (!is_max)
        for (int64_t i = 0; i < n; i++) to[i] += x[i];
    else
        for (int64_t i = 0; i < n; i++) to[i] = to[i] >= x[i] || to[i] != to[i] ? to[i] : x[i];
}

static void i32_join(int32_t *restrict to, const int32_t *restrict x, int64_t n, bool is_max) {
    if (!is_max)
        for (int64_t i = 0; i < n; i++) to[i] = (int32_t)((uint32_t)to[i] + (uint32_t)x[i]);
    else
        for (int64_t i = 0; i < n; i++) to[i] = to[i] > x[i] ? to[i] : x[i];
}

static void i64_join(int64_t *restrict to, const int64_t *restrict x, int64_t n, bool is_max) {
    if (!is_max)
        for (int64_t i = 0; i < n; i++) to[i] = (int64_t)((uint64_t)to[i] + (uint64_t)x[i]);
    else
        for (int64_t i = 0; i < n; i++) to[i] = to[i] > x[i] ? to[i] : x[i];
}

void reduce_block(void *block, enum dtype dtype, enum comm_reduction reduction,
                  const void *const *from, int ranks, int64_t count) {
    const bool is_max = reduction == COMM_MAX;
    memcpy(block, from[0], (size_t)count * dtype_size(dtype));
    for (int rank = 1; rank < ranks; rank++) {
        const void *x = from[rank];
        if (dtype == DTYPE_F32)
            f32_join(block, x, count, is_max);
        else if (dtype == DTYPE_F64)
            f64_join(block, x, count, is_max);
        else if (dtype == DTYPE_I32)
            i32_join(block, x, count, is_max);
        else
            i64_join(block, x, count, is_max);
    }
}
