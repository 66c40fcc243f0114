/* Packed operands rounded where they lie, in the first or second cache: the sums of the
 * micro-kernel are then those of the rounded numbers. A packed block begins at a multiple of
 * ROUND_TILE steps, and with ROUND_E4M3_BLOCKS at a multiple of ROUND_TILE columns. */
#include "cpu/vec/matmul.h"
#include "cpu/vec/round.h"

enum {
    LANES = VEC_LANES,
    MR = MATMUL_MR,
    NR = MATMUL_NR,
    BLOCK_PANELS = ROUND_TILE / NR, /* of B, in one block of weights */
};
_Static_assert(MATMUL_KC % ROUND_TILE == 0, "tiles do not straddle blocks of K");
_Static_assert(ROUND_TILE % NR == 0, "panels do not straddle blocks of weights");

void VEC_NAME(matmul_round_rows)(float *a, int64_t m, int64_t k, enum rounding rounding) {
    for (int64_t i = 0; i < m; i++)
        round_row(a + i * MATMUL_A_STRIDE, a + i * MATMUL_A_STRIDE, k, rounding);
}

/* `width` lanes of each of k steps that are `stride` floats apart: every lane is a column. */
VEC_INLINE void round_lanes(float *x, int64_t k, int64_t stride, int width,
                            enum rounding rounding) {
    if (rounding == ROUND_BF16) {
        for (int64_t p = 0; p < k; p++)
            vf_store_n(x + p * stride, round_bf16(vf_load_n(x + p * stride, width)), width);
        return;
    }
    const struct round_code code = round_code_of(rounding);
    for (int64_t at = 0; at < k; at += ROUND_TILE) {
        const int64_t end = k - at < ROUND_TILE ? k : at + ROUND_TILE;
        vf amax = vf_zero();
        for (int64_t p = at; p < end; p++)
            amax = vf_max(vf_abs(vf_load_n(x + p * stride, width)), amax);
        const vf s = round_scale(code, amax);
        for (int64_t p = at; p < end; p++)
            vf_store_n(x + p * stride, round_coded(code, vf_load_n(x + p * stride, width), s),
                       width);
    }
}

void VEC_NAME(matmul_round_columns)(float *a, int64_t m, int64_t k, enum rounding rounding) {
    for (int64_t i = 0; i < m; i += MR, a += matmul_a_panel(k)) round_lanes(a, k, MR, MR, rounding);
}

/* `panels` panels, their first k steps: one block. */
static void round_block(float *b, int64_t panels, int64_t panel, int64_t k) {
    const struct round_code code = round_code_of(ROUND_E4M3_BLOCKS);
    vf amax = vf_zero();
    for (int64_t j = 0; j < panels; j++)
        for (int64_t i = 0; i < k * NR; i += LANES)
            amax = vf_max(vf_abs(vf_load(b + j * panel + i)), amax);
    const vf s = round_scale(code, vf_set1(vf_hmax(amax)));
    for (int64_t j = 0; j < panels; j++)
        for (int64_t i = 0; i < k * NR; i += LANES)
            vf_store(b + j * panel + i, round_coded(code, vf_load(b + j * panel + i), s));
}

void VEC_NAME(matmul_round_b)(float *b, int64_t n, int64_t k, enum rounding rounding) {
    const int64_t panels = (n + NR - 1) / NR, panel = matmul_b_panel(k);
    if (rounding != ROUND_E4M3_BLOCKS) {
        for (int64_t j = 0; j < panels; j++, b += panel) {
            round_lanes(b, k, NR, LANES, rounding);
            round_lanes(b + LANES, k, NR, LANES, rounding);
        }
        return;
    }
    for (int64_t j = 0; j < panels; j += BLOCK_PANELS, b += BLOCK_PANELS * panel) {
        const int64_t count = panels - j < BLOCK_PANELS ? panels - j : BLOCK_PANELS;
        for (int64_t p = 0; p < k; p += ROUND_TILE)
            round_block(b + p * NR, count, panel, k - p < ROUND_TILE ? k - p : ROUND_TILE);
    }
}
