/* Attention, backward: the weights are made again from lse, block by block.
 *
 *   p = 2^(s - lse)   delta_i = sum_d do_i o_i   ds = scale * p * (do . v - delta)
 *   dv_j = sum_i p_ij do_i   dk_j = sum_i ds_ij q_i   dq_i = sum_j ds_ij k_j
 *
 * with s and lse in units of log 2. A tile is one span and key head. It walks over blocks of KEYS
 * keys; for each over the query heads that read this key head, in head order; for each over blocks
 * of ROWS rows, ascending. Every gradient is one chain of fused multiply-adds in that order, which
 * is stored to its tensor at the end of a block and loaded again: dq over keys ascending, dk and dv
 * over heads, then rows ascending. Blocks above the diagonal are skipped, as are the parts of
 * diagonal blocks that hold zeros only.
 *
 * k_rope is shared by all key heads: each one's part of dk_rope goes to rope_heads, and a second
 * pass adds them in head order. */
#include <math.h>

#include "cpu/scratch.h"
#include "cpu/vec/attention.h"
#include "cpu/vec/vmath.h"

enum {
    KEYS = 192,
    ROWS = 96,
    MR = BLOCK_MR,
    NR = BLOCK_NR,
    LANES = VEC_LANES,
};
_Static_assert(KEYS % NR == 0 && KEYS % ROWS == 0 && ROWS % MR == 0, "blocks are whole");

struct job {
    const struct op_attention_bwd *op;
    struct cpu_state *state;
};

/* One tile; the packed blocks are panels (block.h). */
struct tile {
    const struct op_attention_bwd *op;
    const struct span *span;
    int64_t kv_head;
    float *keys_across;   /* keys [Dn + Dr, KEYS] for scores */
    float *values_across; /* values [Dv, KEYS] for dp */
    float *keys_nope;     /* keys [KEYS, Dn], */
    float *keys_rope;     /* [KEYS, Dr] for dq */
    float *q_nope;        /* queries [ROWS, Dn], */
    float *q_rope;        /* [ROWS, Dr] for dk */
    float *dout;          /* [ROWS, Dv] for dv */
    float *p;             /* [ROWS, KEYS]: scores, then weights */
    float *ds;            /* [ROWS, KEYS]: dp, then ds */
};

/* A block of keys and a block of rows of query head `head`, in rows of the tensors. */
struct pair {
    int64_t head;
    int64_t key, keys; /* first key row, number */
    int64_t row, rows;
    int64_t offset;     /* row - key: row i sees keys 0..offset + i */
    bool is_first_head; /* dk and dv begin at the first row that sees the key */
    bool is_first_key;  /* dq begins here */
};

static int64_t tile_layout(struct tile *x, float *scratch) {
    const struct attention_shape *s = &x->op->shape;
    float *at = scratch;
    x->keys_across = attention_take(&at, attention_packed(s->dim_nope + s->dim_rope, KEYS));
    x->values_across = attention_take(&at, attention_packed(s->dim_value, KEYS));
    x->keys_nope = attention_take(&at, attention_packed(KEYS, s->dim_nope));
    x->keys_rope = attention_take(&at, attention_packed(KEYS, s->dim_rope));
    x->q_nope = attention_take(&at, attention_packed(ROWS, s->dim_nope));
    x->q_rope = attention_take(&at, attention_packed(ROWS, s->dim_rope));
    x->dout = attention_take(&at, attention_packed(ROWS, s->dim_value));
    x->p = attention_take(&at, ROWS * KEYS);
    x->ds = attention_take(&at, ROWS * KEYS);
    return at - scratch;
}

/* ---- packing ---- */

static void pack_keys(const struct tile *x, const struct pair *pair) {
    const struct op_attention_bwd *op = x->op;
    const struct attention_shape *s = &op->shape;
    struct attention_keys keys = {
        .nope = attention_rows(op->k, pair->key, x->kv_head * s->k_stride),
        .dim_nope = s->dim_nope,
        .dim_rope = s->dim_rope,
        .n = pair->keys,
    };
    if (s->dim_rope > 0) keys.rope = attention_rows(op->k_rope, pair->key, 0);
    attention_pack_keys(x->keys_across, &keys);
    VEC_NAME(matmul_pack_straight)(x->keys_nope, &keys.nope, 0, s->dim_nope, 0, pair->keys);
    if (s->dim_rope > 0)
        VEC_NAME(matmul_pack_straight)(x->keys_rope, &keys.rope, 0, s->dim_rope, 0, pair->keys);
    const struct matmul_rows values = attention_rows(op->v, pair->key, x->kv_head * s->v_stride);
    VEC_NAME(matmul_pack_transposed)(x->values_across, &values, 0, pair->keys, 0, s->dim_value);
}

static void pack_rows(const struct tile *x, const struct pair *pair) {
    const struct attention_shape *s = &x->op->shape;
    const struct matmul_rows q = attention_rows(x->op->q, pair->row, pair->head * s->q_stride);
    VEC_NAME(matmul_pack_straight)(x->q_nope, &q, 0, s->dim_nope, 0, pair->rows);
    if (s->dim_rope > 0)
        VEC_NAME(matmul_pack_straight)(x->q_rope, &q, s->dim_nope, s->dim_rope, 0, pair->rows);
    const struct matmul_rows dout =
        attention_rows(x->op->dout, pair->row, pair->head * s->o_stride);
    VEC_NAME(matmul_pack_straight)(x->dout, &dout, 0, s->dim_value, 0, pair->rows);
}

/* ---- scores and their gradients ---- */

/* Keys that row i sees. */
static int64_t keys_seen(const struct pair *pair, int64_t i) {
    const int64_t seen = pair->offset + i + 1;
    return seen < pair->keys ? seen : pair->keys;
}

static int rows_left(int64_t r, int64_t rows) { return rows - r < MR ? (int)(rows - r) : MR; }

/* c[rows, keys seen] = alpha * a[rows, dim] b[dim, keys] */
static void across(const struct pair *pair, struct matmul_rows a, const float *b, int64_t dim,
                   float alpha, float *c) {
    struct block block = {
        .a_stride = a.stride, .c_stride = KEYS, .k = dim, .n = NR, .alpha = alpha};
    for (int64_t j = 0; j < pair->keys; j += NR) {
        block.b = attention_panel(b, dim, j);
        for (int64_t r = 0; r < pair->rows; r += MR) {
            if (j >= keys_seen(pair, r + MR - 1)) continue;
            block.m = rows_left(r, pair->rows);
            block.a = a.data + r * a.stride;
            block.c = c + r * KEYS + j;
            VEC_NAME(block_rows)(&block);
        }
    }
}

/* One row: p from scores to weights, ds from dp to ds. */
struct row {
    float *p, *ds;
    vf lse, delta, scale;
};
VEC_INLINE void weights_vector(const struct row *row, int64_t j, vm seen, bool is_masked) {
    vf p = vf_exp2_flush(vf_sub(vf_load(row->p + j), row->lse));
    if (is_masked) p = vf_select(seen, p, vf_zero());
    const vf dp = vf_sub(vf_load(row->ds + j), row->delta);
    vf_store(row->p + j, p);
    vf_store(row->ds + j, vf_mul(vf_mul(row->scale, p), dp));
}

/* Rows [r, r + MR): whole vectors of keys that all of them see, then those of which some are not
 * seen, where p and ds are 0. */
static void weights_rows(const struct tile *x, const struct pair *pair, int64_t r) {
    const struct op_attention_bwd *op = x->op;
    const int64_t end = keys_seen(pair, r + MR - 1);
    const int64_t common = keys_seen(pair, r) / LANES * LANES;
    for (int64_t i = r; i < r + rows_left(r, pair->rows); i++) {
        const struct row row = {
            .p = x->p + i * KEYS,
            .ds = x->ds + i * KEYS,
            .lse = vf_set1(row_f32(op->lse, pair->row + i)[pair->head] * VMATH_LOG2_E),
            .delta = vf_set1(row_f32(op->delta, pair->row + i)[pair->head]),
            .scale = vf_set1((float)op->shape.scale),
        };
        const int64_t seen = keys_seen(pair, i);
        for (int64_t j = 0; j < common; j += LANES) weights_vector(&row, j, vm_first(0), false);
        for (int64_t j = common; j < end; j += LANES)
            weights_vector(&row, j, vi_gt(vi_set1((int)(seen - j)), vi_iota()), true);
    }
}

static void weights(const struct tile *x, const struct pair *pair) {
    for (int64_t r = 0; r < pair->rows; r += MR) weights_rows(x, pair, r);
}

/* ---- the three sums ---- */

/* c[keys, n] += a[rows, keys]^T b[rows, n]: dv and dk. Rows before the keys' first see none. */
static void down(const struct pair *pair, const float *a, const float *b, struct matmul_rows c,
                 int64_t n) {
    struct block block = {
        .a_stride = KEYS,
        .c_stride = c.stride,
        .alpha = 1,
    };
    for (int64_t d = 0; d < n; d += NR) {
        block.n = n - d < NR ? (int)(n - d) : NR;
        for (int64_t j = 0; j < pair->keys; j += MR) {
            const int64_t first = j > pair->offset ? j - pair->offset : 0;
            if (first >= pair->rows) break;
            const bool is_first = pair->is_first_head && j >= pair->offset;
            block.start = is_first ? BLOCK_FROM_ZERO : BLOCK_FROM_C;
            block.m = rows_left(j, pair->keys);
            block.k = pair->rows - first;
            block.a = a + first * KEYS + j;
            block.b = attention_panel(b, pair->rows, d) + first * NR;
            block.c = (float *)c.data + j * c.stride + d;
            VEC_NAME(block_columns)(&block);
        }
    }
}

/* c[rows, n] += ds[rows, keys] b[keys, n]: dq. */
static void along(const struct tile *x, const struct pair *pair, const float *b,
                  struct matmul_rows c, int64_t n) {
    struct block block = {
        .a_stride = KEYS,
        .c_stride = c.stride,
        .start = pair->is_first_key ? BLOCK_FROM_ZERO : BLOCK_FROM_C,
        .alpha = 1,
    };
    for (int64_t d = 0; d < n; d += NR) {
        block.n = n - d < NR ? (int)(n - d) : NR;
        for (int64_t r = 0; r < pair->rows; r += MR) {
            block.m = rows_left(r, pair->rows);
            block.k = keys_seen(pair, r + MR - 1);
            block.a = x->ds + r * KEYS;
            block.b = attention_panel(b, pair->keys, d);
            block.c = (float *)c.data + r * c.stride + d;
            VEC_NAME(block_rows)(&block);
        }
    }
}

static void attend_pair(const struct tile *x, const struct pair *pair) {
    const struct op_attention_bwd *op = x->op;
    const struct attention_shape *s = &op->shape;
    const int64_t Dn = s->dim_nope, Dr = s->dim_rope, Dv = s->dim_value;
    pack_rows(x, pair);
    across(pair, attention_rows(op->q, pair->row, pair->head * s->q_stride), x->keys_across,
           Dn + Dr, (float)(s->scale * ATTENTION_LOG2_E), x->p);
    across(pair, attention_rows(op->dout, pair->row, pair->head * s->o_stride), x->values_across,
           Dv, 1, x->ds);
    weights(x, pair);

    const int64_t q_column = pair->head * s->q_stride;
    down(pair, x->p, x->dout, attention_rows(op->dv, pair->key, x->kv_head * s->v_stride), Dv);
    down(pair, x->ds, x->q_nope, attention_rows(op->dk, pair->key, x->kv_head * s->k_stride), Dn);
    along(x, pair, x->keys_nope, attention_rows(op->dq, pair->row, q_column), Dn);
    if (Dr == 0) return;
    down(pair, x->ds, x->q_rope, attention_rows(op->rope_heads, pair->key, x->kv_head * Dr), Dr);
    along(x, pair, x->keys_rope, attention_rows(op->dq, pair->row, q_column + Dn), Dr);
}

/* ---- tiles ---- */

/* delta = sum_d do * o for the query heads of this key head */
static void tile_delta(const struct tile *x, int64_t group) {
    const struct op_attention_bwd *op = x->op;
    const struct attention_shape *s = &op->shape;
    for (int64_t row = x->span->row; row < x->span->row + x->span->count; row++) {
        for (int64_t h = x->kv_head * group; h < (x->kv_head + 1) * group; h++) {
            const int64_t column = h * s->o_stride;
            row_f32(op->delta, row)[h] = row_dot(row_f32(op->dout, row) + column,
                                                 row_f32(op->o, row) + column, s->dim_value);
        }
    }
}

static void run_tile(void *arg, int64_t index, int worker) {
    const struct job *job = arg;
    const struct attention_shape *s = &job->op->shape;
    const int64_t group = s->heads / s->kv_heads;
    struct tile x = {.op = job->op,
                     .span = &job->op->spans[index / s->kv_heads],
                     .kv_head = index % s->kv_heads};
    tile_layout(&x, cpu_thread_scratch(job->state, worker, CPU_THREAD_SCRATCH));
    tile_delta(&x, group);
    const int64_t begin = x.span->row, end = begin + x.span->count;
    for (int64_t key = begin; key < end; key += KEYS) {
        struct pair pair = {.key = key, .keys = end - key < KEYS ? end - key : KEYS};
        pair.is_first_key = key == begin;
        pack_keys(&x, &pair);
        for (int64_t g = 0; g < group; g++) {
            pair.head = x.kv_head * group + g;
            pair.is_first_head = g == 0;
            for (pair.row = key; pair.row < end; pair.row += ROWS) {
                pair.rows = end - pair.row < ROWS ? end - pair.row : ROWS;
                pair.offset = pair.row - key;
                attend_pair(&x, &pair);
            }
        }
    }
}

/* dk_rope = sum over key heads of rope_heads, in head order: spans [first, end) */
static void reduce_rope(const void *arg, int64_t first, int64_t end, int worker) {
    (void)worker;
    const struct op_attention_bwd *op = arg;
    const int64_t Dr = op->shape.dim_rope;
    const int64_t row = op->spans[first].row, rows = op->spans[first].count;
    (void)end; /* one span a tile */
    for (int64_t t = row; t < row + rows; t++) {
        const float *part = row_f32(op->rope_heads, t);
        float *dk_rope = row_f32(op->dk_rope, t);
        for (int64_t i = 0; i < Dr; i += LANES) {
            vf sum = vf_zero();
            for (int64_t h = 0; h < op->shape.kv_heads; h++)
                sum = vf_add(sum, row_load(part + h * Dr, i, Dr));
            row_store(dk_rope, i, Dr, sum);
        }
    }
}

void VEC_NAME(attention_bwd)(struct stream *stream, const struct op_attention_bwd *op) {
    const struct attention_shape *s = &op->shape;
    struct job job = {op, cpu_state_of(stream)};
    struct tile x = {.op = op};
    const int64_t floats = tile_layout(&x, cpu_thread_scratch(job.state, 0, 0));
    if (!rows_scratch_fits(stream, "attention_bwd", floats * 4, CPU_THREAD_SCRATCH)) return;
    pool_run(stream->device->engine->pool, op->span_count * s->kv_heads, run_tile, &job);
    if (s->dim_rope == 0) return;
    rows_run_tiles(stream, reduce_rope, op, op->span_count, 1);
}
