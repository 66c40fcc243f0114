/* The parts of the matrix product, private to matmul*.c of this directory.
 *
 * The structure is BLIS's (Van Zee and van de Geijn, ACM TOMS 41, 2015): B is packed once into
 * panels of NR columns, A block by block into rows, and a micro-kernel multiplies MR rows with one
 * panel while the MR x NR results stay in registers. Every result is one chain of fused
 * multiply-adds over K in ascending order: a chain that is cut at the end of a K block is stored to
 * C and loaded again, never split. So blocking, tiles and threads do not change a bit.
 *
 * Letters: m n k extents of a piece, i j p positions in M N K. */
#ifndef CPU_VEC_MATMUL_H
#define CPU_VEC_MATMUL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/ops.h"
#include "cpu/vec/simd.h"

/* Rows and columns of the micro-kernel: with 16 registers 12 sums, two vectors of B and one of A;
 * with 32 registers 28 and the same. */
#ifdef VEC_ISA_AVX2
#define MATMUL_MR 6
#define MATMUL_KC 384
#else
#define MATMUL_MR 14
#define MATMUL_KC 256
#endif
/* KC: K steps of one block. A panel of B, which fits the first cache, has KC x NR. */
enum {
    MATMUL_NR = 2 * VEC_LANES,
    /* Floats between packed rows and panels, so that those that are written or read together do not
     * fall into one set of the first cache. */
    MATMUL_PAD = 16,
    /* Floats from one packed row of A to the next. */
    MATMUL_A_STRIDE = MATMUL_KC + MATMUL_PAD,
    /* Most rows of A in one tile. */
    MATMUL_MC = 8 * MATMUL_MR,
    /* Floats that a packed block of A takes at most. */
    MATMUL_A_BLOCK = MATMUL_MC * MATMUL_A_STRIDE,
};
_Static_assert(MATMUL_MR <= VEC_LANES, "a step of a column panel is one vector");
_Static_assert(MATMUL_A_BLOCK >= MATMUL_MC / MATMUL_MR * (MATMUL_KC * MATMUL_MR + MATMUL_PAD),
               "a block holds panels");
/* Floats from one packed panel of B to the next; from one of A^T (TN), whose last vector store
 * reaches into the pad. */
static inline int64_t matmul_b_panel(int64_t k) { return k * MATMUL_NR + MATMUL_PAD; }
static inline int64_t matmul_a_panel(int64_t k) { return k * MATMUL_MR + MATMUL_PAD; }

/* Rows of an operand in memory; row r is at data + (gather ? gather[r] : r) * stride. */
struct matmul_rows {
    const float *data;
    int64_t stride;
    const int32_t *gather;
};
VEC_INLINE const float *matmul_row(const struct matmul_rows *x, int64_t r) {
    return x->data + (x->gather ? x->gather[r] : r) * x->stride;
}

/* ---- micro-kernel ---- */

/* C[m, n] = A[m, k] B[k, n], 1 <= m <= MR, 1 <= n <= NR, one block of K. */
struct matmul_step {
    const float *a;    /* rows: [m] rows A_STRIDE apart, [k] each; columns: [k, MR] */
    const float *b;    /* [k, NR] packed panel, zeros beyond column n */
    float *c;          /* row stride c_stride */
    const float *bias; /* [n], added when the sum is complete; NULL: none */
    int64_t c_stride;
    int64_t k; /* floats, or words of two bf16 */
    int m, n;
    bool is_started; /* C holds the chains so far */
    bool is_dot;     /* a and b are words: matmul_pair_* */
};
void VEC_NAME(matmul_step_rows)(const struct matmul_step *x);
void VEC_NAME(matmul_step_columns)(const struct matmul_step *x);

/* ---- packing ---- */

/* Panels of B from its columns in rows of memory (NT, not gathered): b[j][p] of rows j0 + [0, n),
 * columns p0 + [0, k), to panels of [k, NR], b_panel(k) apart, zeros beyond n. */
void VEC_NAME(matmul_pack_transposed)(float *to, const struct matmul_rows *b, int64_t j0, int64_t n,
                                      int64_t p0, int64_t k);
/* The same from b[p][j] (NN, TN): rows p0 + [0, k), columns j0 + [0, n). */
void VEC_NAME(matmul_pack_straight)(float *to, const struct matmul_rows *b, int64_t j0, int64_t n,
                                    int64_t p0, int64_t k);
/* A block of A for matmul_step_rows: rows i0 + [0, m), columns p0 + [0, k). */
void VEC_NAME(matmul_pack_rows)(float *to, const struct matmul_rows *a, int64_t i0, int64_t m,
                                int64_t p0, int64_t k);
/* A block of A^T for matmul_step_columns: panels of [k, MR], a_panel(k) apart, from rows p0 +
 * [0, k), columns i0 + [0, m). */
void VEC_NAME(matmul_pack_columns)(float *to, const struct matmul_rows *a, int64_t i0, int64_t m,
                                   int64_t p0, int64_t k);

/* ---- rounding ---- */

/* What has just been packed, rounded in place: m packed rows or columns of A, n columns of B, one
 * block of k steps. `rounding` is not ROUND_NONE. */
void VEC_NAME(matmul_round_rows)(float *a, int64_t m, int64_t k, enum rounding rounding);
void VEC_NAME(matmul_round_columns)(float *a, int64_t m, int64_t k, enum rounding rounding);
void VEC_NAME(matmul_round_b)(float *b, int64_t n, int64_t k, enum rounding rounding);

/* ---- pairs ---- */

/* With VEC_BF16_DOT, operands that are both rounded to bf16 are multiplied two steps at a time: a
 * chain is then one of dot products of pairs in ascending order. Each of these rounds what has just
 * been packed, in place: words of step 2q in the lower half and 2q + 1 in the upper (0 beyond k)
 * stand where the floats of step q stood; distances between rows and panels stay. */
#ifdef VEC_BF16_DOT
void VEC_NAME(matmul_pair_rows)(float *a, int64_t m, int64_t k);
void VEC_NAME(matmul_pair_columns)(float *a, int64_t m, int64_t k);
void VEC_NAME(matmul_pair_b)(float *b, int64_t n, int64_t k);
#endif

/* ---- few rows ---- */

enum { MATMUL_STREAM_ROWS = 8 };
/* C[m, n] = A[m, k] B[n, k]^T with m <= STREAM_ROWS: B is read once, as it lies, and transposed in
 * registers, so that a decoding step runs at the speed of memory. */
struct matmul_stream {
    const float *a[MATMUL_STREAM_ROWS]; /* [m] rows of [k] */
    const float *b;                     /* [n, k], row stride b_stride */
    float *c;                           /* [m, n], row stride c_stride */
    const float *bias;                  /* [n] or NULL */
    int64_t b_stride, c_stride;
    int64_t n, k;
    int m;
    bool is_started; /* C holds the start of the chains */
};
void VEC_NAME(matmul_stream)(const struct matmul_stream *x);

#endif
