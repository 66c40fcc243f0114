/* Rounding of whole tensors (backend/ops.h: enum rounding). */
#include "cpu/vec/round.h"
#include "cpu/vec/rows.h"

static void round_rows(const void *arg, int64_t first, int64_t end, int worker) {
    (void)worker;
    const struct op_round *op = arg;
    for (int64_t t = first; t < end; t++)
        round_row(row_f32(op->y, t), row_f32(op->x, t), op->y.cols, op->rounding);
}

/* Columns [at, at + n) of rows [first, end): one block. */
static void round_block(const struct op_round *op, int64_t first, int64_t end, int64_t at,
                        int64_t n) {
    const struct round_code code = round_code_of(op->rounding);
    vf amax = vf_zero();
    for (int64_t t = first; t < end; t++)
        for (int64_t i = 0; i < n; i += VEC_LANES)
            amax = vf_max(vf_abs(row_load(row_f32(op->x, t) + at, i, n)), amax);
    const vf s = round_scale(code, vf_set1(vf_hmax(amax)));
    for (int64_t t = first; t < end; t++) {
        const float *x = row_f32(op->x, t) + at;
        float *y = row_f32(op->y, t) + at;
        for (int64_t i = 0; i < n; i += VEC_LANES)
            row_store(y, i, n, round_coded(code, row_load(x, i, n), s));
    }
}

/* Rows of blocks. */
static void round_block_rows(const void *arg, int64_t first, int64_t end, int worker) {
    (void)worker;
    const struct op_round *op = arg;
    const int64_t T = op->y.rows, C = op->y.cols;
    for (int64_t b = first; b < end; b++) {
        const int64_t row = b * ROUND_TILE;
        const int64_t last = T - row < ROUND_TILE ? T : row + ROUND_TILE;
        for (int64_t at = 0; at < C; at += ROUND_TILE)
            round_block(op, row, last, at, C - at < ROUND_TILE ? C - at : ROUND_TILE);
    }
}

void VEC_NAME(round)(struct stream *stream, const struct op_round *op) {
    if (op->rounding == ROUND_E4M3_BLOCKS)
        rows_run_tiles(stream, round_block_rows, op, (op->y.rows + ROUND_TILE - 1) / ROUND_TILE, 1);
    else
        rows_run(stream, round_rows, op, op->y.rows, op->y.cols);
}
