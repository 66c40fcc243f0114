/* Products cut into pieces, pieces into tiles: private to matmul*.c of this directory. */
#ifndef CPU_VEC_MATMUL_PIECE_H
#define CPU_VEC_MATMUL_PIECE_H

#include "cpu/vec/matmul.h"

enum {
    MATMUL_OWN_COLUMNS = 16 * MATMUL_NR,    /* most columns of B that a tile packs for itself */
    MATMUL_PACK_TRANSPOSED = 4 * MATMUL_NR, /* columns of B in one packing tile, NT */
    MATMUL_PACK_STRAIGHT = 16 * MATMUL_NR,  /* NN, TN */
    MATMUL_PACK_ROWS = 32 * MATMUL_MR,      /* rows of A^T in one packing tile, TN */
    MATMUL_OWN_A_ROWS = 8 * MATMUL_MC,
    MATMUL_OWN_A_COLUMNS = 32 * MATMUL_NR,
    MATMUL_TILE_WORK_MIN = 1 << 18, /* multiply-adds that are worth waking a thread for */
};

/* One product of an operation (an expert's, or the only one). */
struct matmul_product {
    enum matmul_form form;
    struct matmul_rows a, b;
    float *c;
    const float *bias; /* NULL: none */
    int64_t c_stride;
    int64_t m, n, k;
    bool accumulate;
    enum rounding round_a, round_b;
};

/* How a piece meets its operands. */
enum matmul_piece_kind {
    MATMUL_SHARED, /* B is packed once for all tiles; A by each tile, or once too: matmul_shares_a
                    */
    MATMUL_OWN,    /* few rows: every tile packs the columns of B that only it reads */
    MATMUL_STREAM, /* a handful of rows: B is not packed */
};

/* Rows [i, i + m), columns [j, j + n) and steps [p, p + k) of a product, cut into tiles. */
struct matmul_piece {
    struct matmul_product of;
    enum matmul_piece_kind kind;
    int64_t i, m, j, n, p, k;
    int64_t tile_m, tile_n;
    float *packed_b; /* MATMUL_SHARED: K block after K block, panel after panel */
    float *packed_a; /* matmul_shares_a: likewise */
};

static inline int64_t matmul_least(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t matmul_most(int64_t a, int64_t b) { return a > b ? a : b; }
static inline int64_t matmul_parts(int64_t n, int64_t size) { return (n + size - 1) / size; }
static inline int64_t matmul_round_up(int64_t n, int64_t size) {
    return matmul_parts(n, size) * size;
}
/* Columns of B that are packed together or not at all. */
static inline int64_t matmul_column_group(const struct matmul_product *of) {
    return of->round_b == ROUND_E4M3_BLOCKS ? ROUND_TILE : MATMUL_NR;
}
/* Tiles pack their own rows of A^T where there are enough of them and each row meets many columns,
 * or has few steps; else all rows are packed first, in longer pieces than a tile's. */
static inline bool matmul_shares_a(const struct matmul_piece *piece) {
    const struct matmul_product *of = &piece->of;
    const bool is_own =
        of->m >= MATMUL_OWN_A_ROWS && (of->n >= MATMUL_OWN_A_COLUMNS || of->k <= 2 * MATMUL_KC);
    return piece->kind == MATMUL_SHARED && of->form == MATMUL_TN && !is_own;
}

/* Floats of one block of k steps of the packed operands. */
static inline int64_t matmul_block_a(int64_t m, int64_t k) {
    return matmul_parts(m, MATMUL_MR) * matmul_a_panel(k);
}
static inline int64_t matmul_block_b(int64_t n, int64_t k) {
    return matmul_parts(n, MATMUL_NR) * matmul_b_panel(k);
}

/* Floats of all its blocks. */
static inline int64_t matmul_packed_a(const struct matmul_piece *piece) {
    const int64_t blocks = piece->k / MATMUL_KC, rest = piece->k % MATMUL_KC;
    return blocks * matmul_block_a(piece->m, MATMUL_KC) +
           (rest > 0 ? matmul_block_a(piece->m, rest) : 0);
}
static inline int64_t matmul_packed_b(const struct matmul_piece *piece) {
    const int64_t blocks = piece->k / MATMUL_KC, rest = piece->k % MATMUL_KC;
    return blocks * matmul_block_b(piece->n, MATMUL_KC) +
           (rest > 0 ? matmul_block_b(piece->n, rest) : 0);
}

/* ---- cutting ---- */

/* The largest piece at the product's origin whose packed operands fit `capacity` floats; the others
 * repeat it along each side. */
struct matmul_piece VEC_NAME(matmul_first_piece)(const struct matmul_product *of, int64_t capacity);
int64_t VEC_NAME(matmul_packed_floats)(const struct matmul_piece *piece);
/* Sets tile_m and tile_n for about `tiles` tiles. */
void VEC_NAME(matmul_choose_tiles)(struct matmul_piece *piece, int64_t tiles);
int64_t VEC_NAME(matmul_tiles)(const struct matmul_piece *piece);
int64_t VEC_NAME(matmul_packs)(const struct matmul_piece *piece); /* packing tiles */

/* ---- tiles ---- */

/* Memory that will be read soon and is asked for while something else is multiplied: columns
 * [at, at + count) of rows [r, end). Nothing when rows is NULL. */
struct matmul_fetch {
    const struct matmul_rows *rows;
    int64_t r, end, at, count;
};
/* What compute tile `tile` will read first. */
struct matmul_fetch VEC_NAME(matmul_fetch_tile)(const struct matmul_piece *piece, int64_t tile);

/* Where a tile packs what is not shared. */
struct matmul_scratch {
    float a[MATMUL_A_BLOCK];
    float b[MATMUL_OWN_COLUMNS / MATMUL_NR * (MATMUL_KC * MATMUL_NR + MATMUL_PAD)];
};
void VEC_NAME(matmul_pack_tile)(const struct matmul_piece *piece, int64_t tile);
/* Needs the packing tiles of a shared piece done. */
void VEC_NAME(matmul_compute_tile)(const struct matmul_piece *piece, int64_t tile,
                                   struct matmul_scratch *scratch, struct matmul_fetch next);

#endif
