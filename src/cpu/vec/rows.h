/* Rows of f32 tensors: how work over them is cut into tiles, and how a row is summed.
 *
 * A tile is a range of rows (or of columns) whose size depends on the shape alone, about 64 KiB of
 * one operand: small operations are one tile, which runs on the calling thread. */
#ifndef CPU_VEC_ROWS_H
#define CPU_VEC_ROWS_H

#include <stdint.h>

#include "backend/device.h"
#include "cpu/vec/simd.h"

#define VEC_DECLARE(name) void VEC_NAME(name)(struct stream * stream, const struct op_##name *op);
OPS(VEC_DECLARE)
#undef VEC_DECLARE

enum {
    ROWS_TILE_ELEMENTS = 16384,
    /* Columns of one tile where a tile walks down the rows of a few columns. */
    ROWS_COLUMN_TILE = 64,
    ROWS_COLUMN_VECTORS = ROWS_COLUMN_TILE / VEC_LANES,
};

VEC_INLINE float *row_f32(struct tensor x, int64_t row) { return (float *)x.data + row * x.stride; }

/* Whether a block of scratch holds `bytes`; where not, the stream fails. */
static inline bool rows_scratch_fits(struct stream *stream, const char *op, int64_t bytes,
                                     int64_t capacity) {
    if (bytes <= capacity) return true;
    stream_fail(stream, FATHOM_NO_MEMORY,
                "%s: %lld bytes of scratch for one tile, but there are %lld", op, (long long)bytes,
                (long long)capacity);
    return false;
}

/* Does items [first, end) of an operation; `worker` is the pool's. */
typedef void rows_fn(const void *op, int64_t first, int64_t end, int worker);

struct rows_job {
    rows_fn *fn;
    const void *op;
    int64_t count, per_tile;
};

static inline void rows_tile(void *arg, int64_t tile, int worker) {
    const struct rows_job *job = arg;
    const int64_t first = tile * job->per_tile, end = first + job->per_tile;
    job->fn(job->op, first, end < job->count ? end : job->count, worker);
}

/* fn over [0, count) in tiles of per_tile items. */
static inline void rows_run_tiles(struct stream *stream, rows_fn *fn, const void *op, int64_t count,
                                  int64_t per_tile) {
    struct rows_job job = {fn, op, count, per_tile};
    pool_run(stream->device->engine->pool, (count + per_tile - 1) / per_tile, rows_tile, &job);
}

/* fn over rows of `cols` elements each. */
static inline void rows_run(struct stream *stream, rows_fn *fn, const void *op, int64_t rows,
                            int64_t cols) {
    const int64_t fit = ROWS_TILE_ELEMENTS / (cols > 0 ? cols : 1);
    rows_run_tiles(stream, fn, op, rows, fit > 0 ? fit : 1);
}

/* fn over columns [first, end) of a matrix that it walks down itself; one tile where it is small.
 */
static inline void rows_run_columns(struct stream *stream, rows_fn *fn, const void *op,
                                    int64_t rows, int64_t cols) {
    const int64_t per_tile = rows * cols <= ROWS_TILE_ELEMENTS ? cols : ROWS_COLUMN_TILE;
    if (cols > 0) rows_run_tiles(stream, fn, op, cols, per_tile);
}

/* Four partial sums a lane. Element i of a row belongs to lane i % LANES of chain (i / LANES) % 4,
 * ascending; a row's end is padded with exact zeros; then the fixed tree of rows_sum. So a sum
 * depends on the row's elements and length only. */
struct row_sums {
    vf chain[4];
};
VEC_INLINE struct row_sums row_sums_zero(void) {
    return (struct row_sums){{vf_zero(), vf_zero(), vf_zero(), vf_zero()}};
}
VEC_INLINE float row_sums_total(struct row_sums s) {
    return vf_sum(vf_add(vf_add(s.chain[0], s.chain[1]), vf_add(s.chain[2], s.chain[3])));
}

/* sum_i a[i] * b[i] */
VEC_INLINE float row_dot(const float *a, const float *b, int64_t n) {
    struct row_sums s = row_sums_zero();
    int64_t i = 0;
    for (; i + 4 * VEC_LANES <= n; i += 4 * VEC_LANES) {
        VEC_UNROLL
        for (int j = 0; j < 4; j++) {
            const int64_t at = i + j * VEC_LANES;
            s.chain[j] = vf_fma(vf_load(a + at), vf_load(b + at), s.chain[j]);
        }
    }
    VEC_UNROLL
    for (int j = 0; j < 4; j++) {
        const int64_t at = i + j * VEC_LANES, left = n - at;
        if (left <= 0) break;
        const int lanes = left < VEC_LANES ? (int)left : VEC_LANES;
        s.chain[j] = vf_fma(vf_load_n(a + at, lanes), vf_load_n(b + at, lanes), s.chain[j]);
    }
    return row_sums_total(s);
}

/* The vector at element i of a row of n, at most what the row has left. Whole vectors take the
 * plain instruction: masked stores cost dozens of cycles on some processors. */
VEC_INLINE int row_lanes(int64_t i, int64_t n) {
    return n - i < VEC_LANES ? (int)(n - i) : VEC_LANES;
}
VEC_INLINE vf row_load(const float *x, int64_t i, int64_t n) {
    return n - i >= VEC_LANES ? vf_load(x + i) : vf_load_n(x + i, (int)(n - i));
}
/* The same where i may lie beyond the row: zeros there. */
VEC_INLINE vf row_load_or_zero(const float *x, int64_t i, int64_t n) {
    return n - i > 0 ? row_load(x, i, n) : vf_zero();
}
VEC_INLINE void row_store(float *x, int64_t i, int64_t n, vf a) {
    if (n - i >= VEC_LANES)
        vf_store(x + i, a);
    else
        vf_store_n(x + i, a, (int)(n - i));
}

#endif
