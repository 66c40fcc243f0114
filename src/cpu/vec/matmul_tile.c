/* What threads do with a piece: packing tiles and compute tiles. */
#include "cpu/vec/matmul_piece.h"

enum {
    MR = MATMUL_MR,
    NR = MATMUL_NR,
    KC = MATMUL_KC,
    MC = MATMUL_MC,
    LINE = 16,      /* floats of a cache line */
    LINES_MAX = 32, /* asked for before one micro-kernel: what the processor keeps track of */
};

/* ---- packing tiles ---- */

/* Some columns of one block of K: of B, and after those tiles, where A is shared, of A. */
struct pack {
    bool is_a;
    int64_t at, count; /* columns of the piece */
    int64_t p, k;      /* steps of the piece */
};

static int64_t columns_of_pack(const struct matmul_piece *piece) {
    const int64_t columns =
        piece->of.form == MATMUL_NT ? MATMUL_PACK_TRANSPOSED : MATMUL_PACK_STRAIGHT;
    return matmul_round_up(columns, matmul_column_group(&piece->of));
}
static int64_t packs_of_b(const struct matmul_piece *piece) {
    return matmul_parts(piece->n, columns_of_pack(piece)) * matmul_parts(piece->k, KC);
}

int64_t VEC_NAME(matmul_packs)(const struct matmul_piece *piece) {
    if (piece->kind != MATMUL_SHARED) return 0;
    if (!matmul_shares_a(piece)) return packs_of_b(piece);
    return packs_of_b(piece) +
           matmul_parts(piece->m, MATMUL_PACK_ROWS) * matmul_parts(piece->k, KC);
}

static struct pack pack_of(const struct matmul_piece *piece, int64_t tile) {
    struct pack pack = {.is_a = tile >= packs_of_b(piece)};
    if (pack.is_a) tile -= packs_of_b(piece);
    const int64_t all = pack.is_a ? piece->m : piece->n;
    const int64_t size = pack.is_a ? MATMUL_PACK_ROWS : columns_of_pack(piece);
    const int64_t groups = matmul_parts(all, size);
    pack.at = tile % groups * size;
    pack.count = matmul_least(size, all - pack.at);
    pack.p = tile / groups * KC;
    pack.k = matmul_least(KC, piece->k - pack.p);
    return pack;
}

/* Whether pairs of bf16 are multiplied. */
static bool is_dot(const struct matmul_product *of) {
#ifdef VEC_BF16_DOT
    return of->round_a == ROUND_BF16 && of->round_b == ROUND_BF16;
#else
    (void)of;
    return false;
#endif
}

/* What has just been packed becomes what the micro-kernel multiplies. */
static void round_b(float *b, const struct matmul_product *of, int64_t n, int64_t k) {
    if (of->round_b == ROUND_NONE) return;
#ifdef VEC_BF16_DOT
    if (is_dot(of)) {
        VEC_NAME(matmul_pair_b)(b, n, k);
        return;
    }
#endif
    VEC_NAME(matmul_round_b)(b, n, k, of->round_b);
}
static void round_a(float *a, const struct matmul_product *of, int64_t m, int64_t k) {
    const bool is_columns = of->form == MATMUL_TN;
    if (of->round_a == ROUND_NONE) return;
#ifdef VEC_BF16_DOT
    if (is_dot(of)) {
        (is_columns ? VEC_NAME(matmul_pair_columns) : VEC_NAME(matmul_pair_rows))(a, m, k);
        return;
    }
#endif
    (is_columns ? VEC_NAME(matmul_round_columns) : VEC_NAME(matmul_round_rows))(a, m, k,
                                                                                of->round_a);
}

/* Panels of B for one block of K of the product. */
static void pack_b(float *to, const struct matmul_product *of, int64_t j, int64_t n, int64_t p,
                   int64_t k) {
    if (of->form == MATMUL_NT)
        VEC_NAME(matmul_pack_transposed)(to, &of->b, j, n, p, k);
    else
        VEC_NAME(matmul_pack_straight)(to, &of->b, j, n, p, k);
    round_b(to, of, n, k);
}

/* A block of A, or of A^T, for the micro-kernel. */
static void pack_a(float *to, const struct matmul_product *of, int64_t i, int64_t m, int64_t p,
                   int64_t k) {
    if (of->form == MATMUL_TN)
        VEC_NAME(matmul_pack_columns)(to, &of->a, i, m, p, k);
    else
        VEC_NAME(matmul_pack_rows)(to, &of->a, i, m, p, k);
    round_a(to, of, m, k);
}

void VEC_NAME(matmul_pack_tile)(const struct matmul_piece *piece, int64_t tile) {
    const struct pack x = pack_of(piece, tile);
    const int64_t block = x.p / KC, p = piece->p + x.p;
    if (x.is_a) {
        float *to = piece->packed_a + block * matmul_block_a(piece->m, KC) +
                    x.at / MR * matmul_a_panel(x.k);
        pack_a(to, &piece->of, piece->i + x.at, x.count, p, x.k);
    } else {
        float *to = piece->packed_b + block * matmul_block_b(piece->n, KC) +
                    x.at / NR * matmul_b_panel(x.k);
        pack_b(to, &piece->of, piece->j + x.at, x.count, p, x.k);
    }
}

/* ---- fetching ahead ---- */

/* A compute tile: rows [i, i + m), columns [j, j + n) of the piece. */
struct tile {
    int64_t i, m, j, n;
};
static struct tile tile_of(const struct matmul_piece *piece, int64_t tile) {
    const int64_t across = matmul_parts(piece->n, piece->tile_n);
    struct tile x = {.i = tile / across * piece->tile_m, .j = tile % across * piece->tile_n};
    x.m = matmul_least(piece->tile_m, piece->m - x.i);
    x.n = matmul_least(piece->tile_n, piece->n - x.j);
    return x;
}

/* The part of A that the tile packs for the block of K at step p of the piece. */
static struct matmul_fetch fetch_block(const struct matmul_piece *piece, const struct tile *x,
                                       int64_t p) {
    const int64_t i = piece->i + x->i, k = matmul_least(KC, piece->k - p);
    const int64_t at = piece->p + p;
    if (piece->of.form == MATMUL_TN)
        return (struct matmul_fetch){&piece->of.a, at, at + k, i, x->m};
    return (struct matmul_fetch){&piece->of.a, i, i + x->m, at, k};
}

struct matmul_fetch VEC_NAME(matmul_fetch_tile)(const struct matmul_piece *piece, int64_t tile) {
    if (piece->kind != MATMUL_SHARED || matmul_shares_a(piece)) return (struct matmul_fetch){0};
    const struct tile x = tile_of(piece, tile);
    return fetch_block(piece, &x, 0);
}

/* A fetch in progress: some cache lines before each micro-kernel. */
struct fetching {
    struct matmul_fetch what;
    int64_t column; /* of row what.r, next to be asked for */
    int64_t lines;  /* at a time */
};

static struct fetching fetching_start(struct matmul_fetch what, int64_t kernels) {
    struct fetching x = {.what = what};
    if (!what.rows) return x;
    const int64_t lines = (what.end - what.r) * matmul_parts(what.count, LINE);
    x.lines = matmul_least(matmul_parts(lines, kernels), LINES_MAX);
    return x;
}

static void fetching_go_on(struct fetching *x) {
    for (int64_t i = 0; i < x->lines && x->what.r < x->what.end; i++) {
        __builtin_prefetch(matmul_row(x->what.rows, x->what.r) + x->what.at + x->column, 0, 2);
        x->column += LINE;
        if (x->column < x->what.count) continue;
        x->column = 0;
        x->what.r++;
    }
}

/* ---- compute tiles ---- */

/* A block of k steps of a tile: rows [i, i + m), at most MC, and columns [j, j + n) of the product,
 * both packed. */
static void multiply_block(const struct matmul_product *of, struct matmul_step step, int64_t k,
                           struct fetching *fetching, const struct tile *x) {
    const bool is_columns = of->form == MATMUL_TN;
    const int64_t a_step = is_columns ? matmul_a_panel(k) : MR * MATMUL_A_STRIDE;
    const float *const a = step.a;
    const bool has_bias = step.bias;
    for (int64_t j = 0; j < x->n; j += NR, step.b += matmul_b_panel(k)) {
        step.n = (int)matmul_least(NR, x->n - j);
        step.bias = has_bias ? of->bias + x->j + j : NULL;
        step.a = a;
        for (int64_t i = 0; i < x->m; i += MR, step.a += a_step) {
            step.m = (int)matmul_least(MR, x->m - i);
            step.c = of->c + (x->i + i) * of->c_stride + x->j + j;
            fetching_go_on(fetching);
            if (is_columns)
                VEC_NAME(matmul_step_columns)(&step);
            else
                VEC_NAME(matmul_step_rows)(&step);
        }
    }
}

/* Rows [i, i + m) of A, packed, for the block of K at step p of the piece. */
static const float *packed_rows(const struct matmul_piece *piece, struct matmul_scratch *scratch,
                                int64_t i, int64_t m, int64_t p, int64_t k) {
    if (matmul_shares_a(piece))
        return piece->packed_a + p / KC * matmul_block_a(piece->m, KC) + i / MR * matmul_a_panel(k);
    pack_a(scratch->a, &piece->of, piece->i + i, m, piece->p + p, k);
    return scratch->a;
}

/* Columns [j, j + n) of B, packed, likewise. */
static const float *packed_columns(const struct matmul_piece *piece, struct matmul_scratch *scratch,
                                   int64_t j, int64_t n, int64_t p, int64_t k) {
    if (piece->kind == MATMUL_SHARED)
        return piece->packed_b + p / KC * matmul_block_b(piece->n, KC) + j / NR * matmul_b_panel(k);
    pack_b(scratch->b, &piece->of, piece->j + j, n, piece->p + p, k);
    return scratch->b;
}

static void multiply_tile(const struct matmul_piece *piece, const struct tile *x,
                          struct matmul_scratch *scratch, struct matmul_fetch next) {
    const struct matmul_product *of = &piece->of;
    const int64_t kernels = matmul_parts(x->m, MR) * matmul_parts(x->n, NR); /* in a block of K */
    const bool is_fetched = piece->kind == MATMUL_SHARED && !matmul_shares_a(piece);
    for (int64_t p = 0; p < piece->k; p += KC) {
        const int64_t k = matmul_least(KC, piece->k - p), at = piece->p + p;
        struct matmul_step step = {
            .b = packed_columns(piece, scratch, x->j, x->n, p, k),
            .bias = at + k == of->k ? of->bias : NULL,
            .c_stride = of->c_stride,
            .k = is_dot(of) ? matmul_parts(k, 2) : k,
            .is_started = of->accumulate || at > 0,
            .is_dot = is_dot(of),
        };
        const bool is_last = p + k == piece->k || !is_fetched;
        struct fetching fetching =
            fetching_start(is_last ? next : fetch_block(piece, x, p + k), kernels);
        for (int64_t i = 0; i < x->m; i += MC) {
            const int64_t rows = matmul_least(MC, x->m - i);
            step.a = packed_rows(piece, scratch, x->i + i, rows, p, k);
            const struct tile block = {piece->i + x->i + i, rows, piece->j + x->j, x->n};
            multiply_block(of, step, k, &fetching, &block);
        }
    }
}

static void stream_tile(const struct matmul_piece *piece, const struct tile *tile) {
    const struct matmul_product *of = &piece->of;
    struct matmul_stream x = {
        .b = matmul_row(&of->b, tile->j),
        .c = of->c + tile->j,
        .bias = of->bias ? of->bias + tile->j : NULL,
        .b_stride = of->b.stride,
        .c_stride = of->c_stride,
        .n = tile->n,
        .k = of->k,
        .m = (int)of->m,
        .is_started = of->accumulate,
    };
    for (int64_t i = 0; i < of->m; i++) x.a[i] = matmul_row(&of->a, i);
    VEC_NAME(matmul_stream)(&x);
}

void VEC_NAME(matmul_compute_tile)(const struct matmul_piece *piece, int64_t tile,
                                   struct matmul_scratch *scratch, struct matmul_fetch next) {
    const struct tile x = tile_of(piece, tile);
    if (piece->kind == MATMUL_STREAM)
        stream_tile(piece, &x);
    else
        multiply_tile(piece, &x, scratch, next);
}
