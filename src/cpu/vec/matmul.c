/* The matrix products: pieces, tiles, and the order in which threads take them. The arithmetic is
 * in matmul_kernel.c and matmul_stream.c, matmul.h says how they fit together. */
#include <sched.h>
#include <stdatomic.h>

#include "cpu/cpu.h"
#include "cpu/scratch.h"
#include "cpu/vec/matmul.h"

void VEC_NAME(matmul)(struct stream *stream, const struct op_matmul *op);
void VEC_NAME(matmul_grouped)(struct stream *stream, const struct op_matmul_grouped *op);

enum {
    MR = MATMUL_MR,
    NR = MATMUL_NR,
    KC = MATMUL_KC,
    MC = MATMUL_MC,

    PIECES_MAX = 128,                                     /* in one region */
    PACKED_MAX = CPU_SHARED_SCRATCH / (int)sizeof(float), /* floats of B packed at a time */
    PIECE_K_MIN = 4 * KC, /* a product too large for the buffer is cut along N before this */

    TILES_WANTED = 64,        /* so that threads end within 2% of each other */
    TILE_WORK_MIN = 1 << 18,  /* multiply-adds that are worth waking a thread for */
    OWN_COLUMNS = 16 * NR,    /* columns of B that a tile packs for itself */
    PACK_TRANSPOSED = 4 * NR, /* columns of B in one packing tile */
    PACK_STRAIGHT = 16 * NR,
};

/* One product of an operation (an expert's, or the only one). */
struct product {
    enum matmul_form form;
    struct matmul_rows a, b;
    float *c;
    const float *bias; /* NULL: none */
    int64_t c_stride;
    int64_t m, n, k;
    bool accumulate;
};

/* How a piece meets its B. */
enum piece_kind {
    PIECE_SHARED, /* packed once for all tiles */
    PIECE_OWN,    /* few rows: every tile packs the columns that only it reads */
    PIECE_STREAM, /* a handful of rows: not packed */
};

/* Columns [j, j + n) and steps [p, p + k) of a product, all rows, cut into tiles. */
struct piece {
    struct product of;
    enum piece_kind kind;
    int64_t j, n, p, k;
    float *packed; /* PIECE_SHARED: K block after K block, panel after panel */
    int64_t tile_m, tile_n;
    int64_t first_tile, first_pack; /* of the region's */
    int64_t pack_n;                 /* columns of one packing tile */
};

/* Pieces that run together. Packing tiles come first; as tiles are claimed in ascending order, a
 * tile that waits for packing waits for threads that are at work. */
struct region {
    struct stream *stream;
    struct piece pieces[PIECES_MAX];
    int count;
    int64_t packs, tiles;
    float *buffer; /* [PACKED_MAX] */
    int64_t used;
    _Atomic int64_t packed; /* packing tiles done: released by the packer, acquired by readers */
};

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t parts(int64_t n, int64_t size) { return (n + size - 1) / size; }
static int64_t round_up(int64_t n, int64_t size) { return parts(n, size) * size; }

/* ---- tiles ---- */

/* Panels of B for one block of K. */
static void pack_b(float *to, const struct product *of, int64_t j, int64_t n, int64_t p,
                   int64_t k) {
    if (of->form == MATMUL_NT)
        VEC_NAME(matmul_pack_transposed)(to, &of->b, j, n, p, k);
    else
        VEC_NAME(matmul_pack_straight)(to, &of->b, j, n, p, k);
}

/* Packing tile: some columns of one block of K. */
static void pack_tile(const struct piece *piece, int64_t tile) {
    const int64_t groups = parts(piece->n, piece->pack_n);
    const int64_t p = tile / groups * KC, j = tile % groups * piece->pack_n;
    const int64_t k = least(KC, piece->k - p), n = least(piece->pack_n, piece->n - j);
    float *to = piece->packed + p * round_up(piece->n, NR) + j * k;
    pack_b(to, &piece->of, piece->j + j, n, piece->p + p, k);
}

/* A block of K of a tile: rows [i, i + m), at most MC, times packed panels of columns [j, j + n) of
 * the product. */
static void multiply_block(const struct piece *piece, struct matmul_step step, float *a, int64_t i,
                           int64_t m, int64_t j, int64_t n) {
    const struct product *of = &piece->of;
    const bool is_columns = of->form == MATMUL_TN;
    const int64_t a_step = is_columns ? MATMUL_A_PANEL : MR * MATMUL_A_STRIDE;
    for (int64_t jj = 0; jj < n; jj += NR, step.b += NR * step.k) {
        step.n = (int)least(NR, n - jj);
        step.bias = step.bias ? of->bias + j + jj : NULL;
        step.a = a;
        for (int64_t ii = 0; ii < m; ii += MR, step.a += a_step) {
            step.m = (int)least(MR, m - ii);
            step.c = of->c + (i + ii) * of->c_stride + j + jj;
            if (is_columns)
                VEC_NAME(matmul_step_columns)(&step);
            else
                VEC_NAME(matmul_step_rows)(&step);
        }
    }
}

/* Rows [i, i + m) times columns j + [0, n) of the piece. */
static void multiply_tile(const struct piece *piece, float *scratch, int64_t i, int64_t m,
                          int64_t j, int64_t n) {
    const struct product *of = &piece->of;
    float *a = scratch, *own_b = scratch + MATMUL_A_BLOCK;
    for (int64_t p = 0; p < piece->k; p += KC) {
        const int64_t k = least(KC, piece->k - p), at = piece->p + p;
        struct matmul_step step = {
            .bias = at + k == of->k ? of->bias : NULL,
            .c_stride = of->c_stride,
            .k = k,
            .is_started = of->accumulate || at > 0,
            .b = piece->packed + p * round_up(piece->n, NR) + j * k,
        };
        if (piece->kind == PIECE_OWN) {
            pack_b(own_b, of, piece->j + j, n, at, k);
            step.b = own_b;
        }
        for (int64_t ii = 0; ii < m; ii += MC) {
            const int64_t rows = least(MC, m - ii);
            if (of->form == MATMUL_TN)
                VEC_NAME(matmul_pack_columns)(a, &of->a, i + ii, rows, at, k);
            else
                VEC_NAME(matmul_pack_rows)(a, &of->a, i + ii, rows, at, k);
            multiply_block(piece, step, a, i + ii, rows, piece->j + j, n);
        }
    }
}

static void stream_tile(const struct piece *piece, int64_t j, int64_t n) {
    const struct product *of = &piece->of;
    struct matmul_stream x = {
        .b = matmul_row(&of->b, j),
        .c = of->c + j,
        .bias = of->bias ? of->bias + j : NULL,
        .b_stride = of->b.stride,
        .c_stride = of->c_stride,
        .n = n,
        .k = of->k,
        .m = (int)of->m,
        .is_started = of->accumulate,
    };
    for (int64_t i = 0; i < of->m; i++) x.a[i] = matmul_row(&of->a, i);
    VEC_NAME(matmul_stream)(&x);
}

static void compute_tile(struct region *region, const struct piece *piece, int64_t tile,
                         int worker) {
    const int64_t across = parts(piece->n, piece->tile_n);
    const int64_t i = tile / across * piece->tile_m, j = tile % across * piece->tile_n;
    const int64_t m = least(piece->tile_m, piece->of.m - i), n = least(piece->tile_n, piece->n - j);
    if (piece->kind == PIECE_STREAM) {
        stream_tile(piece, j, n);
        return;
    }
    const size_t floats = MATMUL_A_BLOCK + (size_t)OWN_COLUMNS * KC;
    float *scratch =
        cpu_thread_scratch(cpu_state_of(region->stream), worker, floats * sizeof(float));
    multiply_tile(piece, scratch, i, m, j, n);
}

/* ---- regions ---- */

/* The piece that holds a tile: the last one whose first is not beyond it. */
static const struct piece *find_piece(const struct region *region, int64_t tile, bool is_pack) {
    int low = 0, high = region->count - 1;
    while (low < high) {
        const int middle = (low + high + 1) / 2;
        const struct piece *piece = &region->pieces[middle];
        if ((is_pack ? piece->first_pack : piece->first_tile) <= tile)
            low = middle;
        else
            high = middle - 1;
    }
    return &region->pieces[low];
}

static void wait_packed(struct region *region) {
    for (int spins = 0; atomic_load_explicit(&region->packed, memory_order_acquire) < region->packs;
         spins++) {
        if (spins < 1000)
            _mm_pause();
        else
            sched_yield();
    }
}

static void region_tile(void *arg, int64_t tile, int worker) {
    struct region *region = arg;
    if (tile < region->packs) {
        const struct piece *piece = find_piece(region, tile, true);
        pack_tile(piece, tile - piece->first_pack);
        atomic_fetch_add_explicit(&region->packed, 1, memory_order_release);
        return;
    }
    tile -= region->packs;
    const struct piece *piece = find_piece(region, tile, false);
    if (piece->kind == PIECE_SHARED) wait_packed(region);
    compute_tile(region, piece, tile - piece->first_tile, worker);
}

static void region_clear(struct region *region) {
    region->count = 0;
    region->packs = region->tiles = region->used = 0;
    atomic_init(&region->packed, 0);
}

static void region_run(struct region *region) {
    pool_run(region->stream->device->engine->pool, region->packs + region->tiles, region_tile,
             region);
    region_clear(region);
}

/* ---- pieces ---- */

/* Tiles small enough that threads end together and large enough to be worth a claim: halved along M
 * first, where nothing is packed twice. */
static void choose_tiles(struct piece *piece) {
    const int64_t m = piece->of.m, n = piece->n, k = piece->k;
    int64_t tile_m = MC, tile_n = n;
    while (parts(m, tile_m) * parts(n, tile_n) < TILES_WANTED) {
        if (tile_m > 2 * MR && tile_m * tile_n * k / 2 >= TILE_WORK_MIN)
            tile_m /= 2;
        else if (tile_n > 4 * NR && tile_m * tile_n * k / 2 >= TILE_WORK_MIN)
            tile_n = round_up(tile_n / 2, NR);
        else
            break;
    }
    piece->tile_m = tile_m;
    piece->tile_n = tile_n;
}

/* One row of tiles, each of which reads columns of B that no other does. */
static void choose_columns(struct piece *piece) {
    const int64_t work = most(1, piece->of.m * piece->k * NR); /* of one panel */
    const int64_t panels = parts(piece->n, NR);
    const int64_t wanted = most(panels / TILES_WANTED, TILE_WORK_MIN / work);
    piece->tile_m = piece->of.m;
    piece->tile_n = most(1, least(wanted, OWN_COLUMNS / NR)) * NR;
}

static void region_add(struct region *region, struct piece piece) {
    const int64_t floats = piece.kind == PIECE_SHARED ? round_up(piece.n, NR) * piece.k : 0;
    /* A chain goes on only where the steps before are done. */
    if (piece.p > 0 || region->count == PIECES_MAX || region->used + floats > PACKED_MAX)
        region_run(region);
    piece.first_tile = region->tiles;
    piece.first_pack = region->packs;
    if (piece.kind == PIECE_SHARED) {
        piece.packed = region->buffer + region->used;
        piece.pack_n = piece.of.form == MATMUL_NT ? PACK_TRANSPOSED : PACK_STRAIGHT;
        region->packs += parts(piece.n, piece.pack_n) * parts(piece.k, KC);
        region->used += floats;
        choose_tiles(&piece);
    } else {
        choose_columns(&piece);
    }
    region->tiles += parts(piece.of.m, piece.tile_m) * parts(piece.n, piece.tile_n);
    region->pieces[region->count++] = piece;
}

/* C = 0 or the old C, plus bias: a product without steps. */
static void add_nothing(const struct product *of) {
    for (int64_t i = 0; i < of->m; i++) {
        float *c = of->c + i * of->c_stride;
        for (int64_t j = 0; j < of->n; j++) {
            if (!of->accumulate) c[j] = 0;
            if (of->bias) c[j] += of->bias[j];
        }
    }
}

static void add_product(struct region *region, const struct product *of) {
    if (of->m == 0 || of->n == 0) return;
    if (of->k == 0) {
        add_nothing(of);
        return;
    }
    struct piece piece = {.of = *of, .n = of->n, .k = of->k};
    const bool is_few = of->m <= MATMUL_STREAM_ROWS && of->form == MATMUL_NT;
    if (is_few || of->m <= MC || of->m * of->n * of->k <= TILE_WORK_MIN) {
        piece.kind = is_few ? PIECE_STREAM : PIECE_OWN;
        region_add(region, piece);
        return;
    }
    piece.kind = PIECE_SHARED;
    const int64_t wide = round_up(of->n, NR);
    if (wide * of->k > PACKED_MAX) {
        piece.k = least(of->k, most(PIECE_K_MIN, PACKED_MAX / wide / KC * KC));
        piece.n = least(of->n, PACKED_MAX / piece.k / NR * NR);
    }
    const struct piece largest = piece;
    for (piece.p = 0; piece.p < of->k; piece.p += largest.k) {
        piece.k = least(largest.k, of->k - piece.p);
        for (piece.j = 0; piece.j < of->n; piece.j += largest.n) {
            piece.n = least(largest.n, of->n - piece.j);
            region_add(region, piece);
        }
    }
}

/* ---- operations ---- */

static void region_init(struct region *region, struct stream *stream) {
    region->stream = stream;
    region->buffer = cpu_shared_scratch(cpu_state_of(stream), PACKED_MAX * sizeof(float));
    region_clear(region);
}

static struct matmul_rows rows_of(struct tensor x, const int32_t *gather) {
    return (struct matmul_rows){.data = x.data, .stride = x.stride, .gather = gather};
}

void VEC_NAME(matmul)(struct stream *stream, const struct op_matmul *op) {
    const struct product product = {
        .form = op->form,
        .a = rows_of(op->a, NULL),
        .b = rows_of(op->b, NULL),
        .c = op->c.data,
        .bias = op->bias.data,
        .c_stride = op->c.stride,
        .m = op->c.rows,
        .n = op->c.cols,
        .k = op->form == MATMUL_TN ? op->a.rows : op->a.cols,
        .accumulate = op->accumulate,
    };
    struct region region;
    region_init(&region, stream);
    add_product(&region, &product);
    region_run(&region);
}

/* Rows from `first` on. */
static struct matmul_rows rows_from(struct tensor x, const int32_t *gather, int64_t first) {
    if (gather) return rows_of(x, gather + first);
    return rows_of(tensor_rows(x, first, 0), NULL);
}

/* Expert e's product. */
static struct product expert_product(const struct op_matmul_grouped *op, int64_t e) {
    const int64_t first = op->offsets[e], rows = op->offsets[e + 1] - first;
    struct product product = {
        .form = op->form,
        .a = rows_from(op->a, op->gather_a, first),
        .c_stride = op->c.stride,
        .n = op->c.cols,
        .accumulate = op->accumulate && op->form == MATMUL_TN,
    };
    if (op->form == MATMUL_TN) {
        product.b = rows_from(op->b, op->gather_b, first);
        product.c = tensor_at(op->c, e * op->a.cols, 0);
        product.m = op->a.cols;
        product.k = rows;
    } else {
        product.b = rows_of(tensor_rows(op->b, e * (op->b.rows / op->experts), 0), NULL);
        product.c = tensor_at(op->c, first, 0);
        product.m = rows;
        product.k = op->a.cols;
    }
    return product;
}

void VEC_NAME(matmul_grouped)(struct stream *stream, const struct op_matmul_grouped *op) {
    struct region region;
    region_init(&region, stream);
    for (int64_t e = 0; e < op->experts; e++) {
        const struct product product = expert_product(op, e);
        add_product(&region, &product);
    }
    region_run(&region);
}
