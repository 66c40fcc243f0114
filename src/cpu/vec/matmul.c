/* The matrix products: which pieces run together, and the order in which threads take their tiles.
 * The arithmetic is in matmul_kernel.c and matmul_stream.c; matmul.h says how the parts fit. */
#include <sched.h>
#include <stdatomic.h>

#include "cpu/scratch.h"
#include "cpu/vec/matmul_piece.h"

void VEC_NAME(matmul)(struct stream *stream, const struct op_matmul *op);
void VEC_NAME(matmul_grouped)(struct stream *stream, const struct op_matmul_grouped *op);

enum {
    PIECES_MAX = 128, /* that run together */
    /* Floats of packed operands at a time: what stays in the caches of some threads. */
    PACKED_MIN = (2 << 20) / (int)sizeof(float),
    PACKED_PER_THREAD = (256 << 10) / (int)sizeof(float),
    PACKED_MAX = CPU_SHARED_SCRATCH / (int)sizeof(float),
    /* Tiles of a product, so that threads end within some percent of each other. */
    TILES_MIN = 48,
    TILES_PER_THREAD = 8,
};

/* An operation under way: pieces that run together, as many as the packing buffer holds; then the
 * next ones. */
struct job {
    struct pool *pool;
    struct cpu_state *state;
    int64_t capacity; /* floats of the packing buffer */
    int64_t wanted;   /* tiles, of each piece */
    struct matmul_piece pieces[PIECES_MAX];
    int64_t first_tile[PIECES_MAX], first_pack[PIECES_MAX]; /* of each piece */
    int count;
    int64_t packs, tiles;   /* of all pieces */
    int64_t used;           /* floats of the packing buffer */
    _Atomic int64_t packed; /* packing tiles done: released by the packer, acquired by readers */
};

/* ---- running ---- */

/* The piece that holds a tile: the last one whose first is not beyond it. */
static int find(const int64_t *first, int count, int64_t tile) {
    int low = 0, high = count - 1;
    while (low < high) {
        const int middle = (low + high + 1) / 2;
        if (first[middle] <= tile)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

static void wait_packed(struct job *job) {
    int spins = 0;
    while (atomic_load_explicit(&job->packed, memory_order_acquire) < job->packs) {
        if (++spins < 1000)
            _mm_pause();
        else
            sched_yield();
    }
}

/* What the thread of compute tile `tile` will read after it, if threads keep step. */
static struct matmul_fetch fetch_after(const struct job *job, int64_t tile) {
    const int64_t next = tile + pool_threads(job->pool);
    if (next >= job->tiles) return (struct matmul_fetch){0};
    const int which = find(job->first_tile, job->count, next);
    return VEC_NAME(matmul_fetch_tile)(&job->pieces[which], next - job->first_tile[which]);
}

/* Packing tiles come first; as tiles are claimed in ascending order, a tile that waits for packing
 * waits for threads that are at work. */
static void run_tile(void *arg, int64_t tile, int worker) {
    struct job *job = arg;
    if (tile < job->packs) {
        const int which = find(job->first_pack, job->count, tile);
        VEC_NAME(matmul_pack_tile)(&job->pieces[which], tile - job->first_pack[which]);
        atomic_fetch_add_explicit(&job->packed, 1, memory_order_release);
        return;
    }
    tile -= job->packs;
    const int which = find(job->first_tile, job->count, tile);
    const struct matmul_piece *piece = &job->pieces[which];
    if (piece->kind == MATMUL_SHARED) wait_packed(job);
    VEC_NAME(matmul_compute_tile)
    (piece, tile - job->first_tile[which],
     cpu_thread_scratch(job->state, worker, sizeof(struct matmul_scratch)), fetch_after(job, tile));
}

/* Runs what has been planned so far. */
static void job_run(struct job *job) {
    atomic_store_explicit(&job->packed, 0, memory_order_relaxed);
    pool_run(job->pool, job->packs + job->tiles, run_tile, job);
    job->count = 0;
    job->packs = job->tiles = job->used = 0;
}

static void job_start(struct job *job, struct stream *stream) {
    job->pool = stream->device->engine->pool;
    job->state = cpu_state_of(stream);
    const int64_t threads = pool_threads(job->pool);
    job->capacity = matmul_least(PACKED_MAX, matmul_most(PACKED_MIN, threads * PACKED_PER_THREAD));
    job->wanted = matmul_most(TILES_MIN, threads * TILES_PER_THREAD);
    job->count = 0;
    job->packs = job->tiles = job->used = 0;
}

/* ---- planning ---- */

static void add_piece(struct job *job, struct matmul_piece piece) {
    const int64_t floats = VEC_NAME(matmul_packed_floats)(&piece);
    /* A chain goes on only where the steps before are done. */
    if (piece.p > 0 || job->count == PIECES_MAX || job->used + floats > job->capacity) job_run(job);
    if (piece.kind == MATMUL_SHARED) {
        float *buffer = cpu_shared_scratch(job->state, (size_t)job->capacity * sizeof(float));
        piece.packed_b = buffer + job->used;
        if (matmul_shares_a(&piece)) piece.packed_a = piece.packed_b + matmul_packed_b(&piece);
    }
    VEC_NAME(matmul_choose_tiles)(&piece, job->wanted);
    job->first_tile[job->count] = job->tiles;
    job->first_pack[job->count] = job->packs;
    job->tiles += VEC_NAME(matmul_tiles)(&piece);
    job->packs += VEC_NAME(matmul_packs)(&piece);
    job->used += floats;
    job->pieces[job->count++] = piece;
}

/* C = 0 or the old C, plus bias: a product without steps. */
static void add_nothing(const struct matmul_product *of) {
    for (int64_t i = 0; i < of->m; i++) {
        float *c = of->c + i * of->c_stride;
        for (int64_t j = 0; j < of->n; j++) {
            if (!of->accumulate) c[j] = 0;
            if (of->bias) c[j] += of->bias[j];
        }
    }
}

static void add_product(struct job *job, const struct matmul_product *of) {
    if (of->m == 0 || of->n == 0) return;
    if (of->k == 0) {
        add_nothing(of);
        return;
    }
    const struct matmul_piece first = VEC_NAME(matmul_first_piece)(of, job->capacity);
    struct matmul_piece piece = first;
    for (piece.p = 0; piece.p < of->k; piece.p += first.k) {
        piece.k = matmul_least(first.k, of->k - piece.p);
        for (piece.i = 0; piece.i < of->m; piece.i += first.m) {
            piece.m = matmul_least(first.m, of->m - piece.i);
            for (piece.j = 0; piece.j < of->n; piece.j += first.n) {
                piece.n = matmul_least(first.n, of->n - piece.j);
                add_piece(job, piece);
            }
        }
    }
}

/* ---- operations ---- */

/* Rows `first` and on. */
static struct matmul_rows rows_of(struct tensor x, const int32_t *gather, int64_t first) {
    struct matmul_rows rows = {.data = x.data, .stride = x.stride};
    if (gather)
        rows.gather = gather + first;
    else
        rows.data += first * x.stride;
    return rows;
}

void VEC_NAME(matmul)(struct stream *stream, const struct op_matmul *op) {
    const struct matmul_product product = {
        .form = op->form,
        .a = rows_of(op->a, NULL, 0),
        .b = rows_of(op->b, NULL, 0),
        .c = op->c.data,
        .bias = op->bias.data,
        .c_stride = op->c.stride,
        .m = op->c.rows,
        .n = op->c.cols,
        .k = op->form == MATMUL_TN ? op->a.rows : op->a.cols,
        .accumulate = op->accumulate,
        .round_a = op->round_a,
        .round_b = op->round_b,
    };
    struct job job;
    job_start(&job, stream);
    add_product(&job, &product);
    job_run(&job);
}

/* Expert e's product. */
static struct matmul_product expert_product(const struct op_matmul_grouped *op, int64_t e) {
    const int64_t first = op->offsets[e], rows = op->offsets[e + 1] - first;
    struct matmul_product product = {
        .form = op->form,
        .a = rows_of(op->a, op->gather_a, first),
        .c_stride = op->c.stride,
        .n = op->c.cols,
        .round_a = op->round_a,
        .round_b = op->round_b,
    };
    if (op->form == MATMUL_TN) {
        product.b = rows_of(op->b, op->gather_b, first);
        product.c = tensor_at(op->c, e * op->a.cols, 0);
        product.m = op->a.cols;
        product.k = rows;
        product.accumulate = op->accumulate;
    } else {
        product.b = rows_of(op->b, NULL, e * (op->b.rows / op->experts));
        product.c = tensor_at(op->c, first, 0);
        product.m = rows;
        product.k = op->a.cols;
    }
    return product;
}

void VEC_NAME(matmul_grouped)(struct stream *stream, const struct op_matmul_grouped *op) {
    struct job job;
    job_start(&job, stream);
    for (int64_t e = 0; e < op->experts; e++) {
        const struct matmul_product product = expert_product(op, e);
        add_product(&job, &product);
    }
    job_run(&job);
}
