/* What attention's forward and backward share: the keys' blocks and how they are packed. */
#ifndef CPU_VEC_ATTENTION_H
#define CPU_VEC_ATTENTION_H

#include <stddef.h>

#include "backend/ops.h"
#include "cpu/vec/block.h"
#include "cpu/vec/rows.h"

#define ATTENTION_LOG2_E 1.4426950408889634

/* floats rounded up to whole cache lines, panels, and the floats of [k, columns] in panels */
static inline int64_t attention_align(int64_t floats) { return (floats + 15) / 16 * 16; }
static inline int64_t attention_panels(int64_t columns) {
    return (columns + BLOCK_NR - 1) / BLOCK_NR;
}
static inline int64_t attention_packed(int64_t k, int64_t columns) {
    return attention_panels(columns) * matmul_b_panel(k);
}

/* The packed panel of [k, columns] that begins at column `at`, a multiple of NR. */
static inline const float *attention_panel(const float *packed, int64_t k, int64_t at) {
    return packed + at / BLOCK_NR * matmul_b_panel(k);
}

/* Takes floats off a thread's scratch. */
static inline float *attention_take(float **scratch, int64_t floats) {
    float *block = *scratch;
    *scratch += attention_align(floats);
    return block;
}

/* Row `row` of x, `columns` floats to the right. */
static inline struct matmul_rows attention_rows(struct tensor x, int64_t row, int64_t column) {
    return (struct matmul_rows){.data = row_f32(x, row) + column, .stride = x.stride};
}

/* Keys of one block: their two parts, n rows each. `rope` has no data when Dr = 0. */
struct attention_keys {
    struct matmul_rows nope, rope;
    int64_t dim_nope, dim_rope;
    int64_t n;
};

/* Transposed, for scores: panels of NR keys, each [Dn + Dr, NR], matmul_b_panel(Dn + Dr) apart. */
static inline void attention_pack_keys(float *to, const struct attention_keys *x) {
    const int64_t panel = matmul_b_panel(x->dim_nope + x->dim_rope);
    for (int64_t j = 0; j < x->n; j += BLOCK_NR, to += panel) {
        const int64_t n = x->n - j < BLOCK_NR ? x->n - j : BLOCK_NR;
        VEC_NAME(matmul_pack_transposed)(to, &x->nope, j, n, 0, x->dim_nope);
        if (x->dim_rope == 0) continue;
        float *rope = to + x->dim_nope * BLOCK_NR;
        VEC_NAME(matmul_pack_transposed)(rope, &x->rope, j, n, 0, x->dim_rope);
    }
}

#endif
