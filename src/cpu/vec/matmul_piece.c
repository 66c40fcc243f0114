/* How a product is cut: which pieces its packed operands allow, and which tiles. */
#include "cpu/vec/matmul_piece.h"

enum {
    MR = MATMUL_MR,
    NR = MATMUL_NR,
    KC = MATMUL_KC,
    MC = MATMUL_MC,
    SHARED_WORK_MIN = 1 << 20, /* multiply-adds in a tile that shares B: B is read again for each */
    PIECE_K_MIN = 2 * KC,      /* a product too large for the buffer is cut along N before this */
};

int64_t VEC_NAME(matmul_packed_floats)(const struct matmul_piece *piece) {
    if (piece->kind != MATMUL_SHARED) return 0;
    const int64_t a = matmul_shares_a(piece) ? matmul_packed_a(piece) : 0;
    return a + matmul_packed_b(piece);
}

/* Cuts along K, where what is packed is read once, as long as pieces stay long; then B's columns,
 * then the rows of a shared A. */
static void shrink(struct matmul_piece *piece, int64_t capacity) {
    const bool is_a_shared = matmul_shares_a(piece);
    const int64_t block =
        matmul_block_b(piece->n, KC) + (is_a_shared ? matmul_block_a(piece->m, KC) : 0);
    piece->k = matmul_least(piece->k, matmul_most(PIECE_K_MIN, capacity / block * KC));
    const int64_t room = capacity / matmul_parts(piece->k, KC); /* for each block of K */
    const int64_t panels = (is_a_shared ? room / 4 * 3 : room) / matmul_b_panel(KC);
    const int64_t group = matmul_column_group(&piece->of);
    piece->n = matmul_least(piece->n, panels * NR / group * group);
    const int64_t left = room - matmul_block_b(piece->n, KC);
    if (is_a_shared) piece->m = matmul_least(piece->m, left / matmul_a_panel(KC) * MR);
}

struct matmul_piece VEC_NAME(matmul_first_piece)(const struct matmul_product *of,
                                                 int64_t capacity) {
    struct matmul_piece piece = {.of = *of, .m = of->m, .n = of->n, .k = of->k};
    const bool is_small = of->m * of->n * of->k <= MATMUL_TILE_WORK_MIN;
    const bool is_rounded = of->round_a != ROUND_NONE || of->round_b != ROUND_NONE;
    if (of->m <= MATMUL_STREAM_ROWS && of->form == MATMUL_NT && !is_rounded)
        piece.kind = MATMUL_STREAM;
    else if (is_small || (of->m <= MC && of->form != MATMUL_TN))
        piece.kind = MATMUL_OWN;
    else
        piece.kind = MATMUL_SHARED;
    if (VEC_NAME(matmul_packed_floats)(&piece) > capacity) shrink(&piece, capacity);
    return piece;
}

/* Halved where that packs nothing twice: along M if each tile packs its own rows of A; if A is
 * shared, the longer side. */
static void choose_shared(struct matmul_piece *piece, int64_t tiles) {
    int64_t tile_m = MC, tile_n = matmul_round_up(piece->n, NR);
    while (matmul_parts(piece->m, tile_m) * matmul_parts(piece->n, tile_n) < tiles &&
           matmul_least(tile_m, piece->m) * tile_n * piece->k >= 2 * SHARED_WORK_MIN) {
        const bool is_n = matmul_shares_a(piece) ? tile_n > tile_m : tile_m < 4 * MR;
        if (is_n && tile_n > 2 * NR)
            tile_n = matmul_round_up(tile_n / 2, NR);
        else if (tile_m > 2 * MR)
            tile_m /= 2;
        else
            break;
    }
    piece->tile_m = tile_m;
    piece->tile_n = tile_n;
}

/* One row of tiles, each of which reads columns of B that no other does. */
static void choose_columns(struct matmul_piece *piece, int64_t tiles) {
    const int64_t work = piece->m * piece->k * NR; /* of one panel */
    const int64_t panels =
        matmul_most(matmul_parts(piece->n, NR) / tiles, MATMUL_TILE_WORK_MIN / work);
    piece->tile_m = piece->m;
    piece->tile_n = matmul_round_up(matmul_least(matmul_most(panels, 1) * NR, MATMUL_OWN_COLUMNS),
                                    matmul_column_group(&piece->of));
}

void VEC_NAME(matmul_choose_tiles)(struct matmul_piece *piece, int64_t tiles) {
    if (piece->kind == MATMUL_SHARED)
        choose_shared(piece, tiles);
    else
        choose_columns(piece, tiles);
}

int64_t VEC_NAME(matmul_tiles)(const struct matmul_piece *piece) {
    return matmul_parts(piece->m, piece->tile_m) * matmul_parts(piece->n, piece->tile_n);
}
