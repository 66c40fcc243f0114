/* Attention, forward: FlashAttention-2's online softmax (Dao 2023) on blocks in thread scratch.
 *
 *   s_j = scale * (q_nope . k_j + q_rope . k_rope_j),  o = sum_j softmax(s)_j v_j
 *
 * A tile is up to ROWS rows of one span and key head, a row being (position, query head that reads
 * this key head), positions outermost. It takes the keys in blocks of KEYS that start at multiples
 * of KEYS from the sequence's first position: packs a block, then for MR rows at a time makes the
 * scores, their softmax against the running maximum m, and adds the values:
 *
 *   m' = max(m, max_j s_j)   c = 2^(m - m')   l' = c l + sum_j 2^(s_j - m')
 *   o' = c o + sum_j 2^(s_j - m') v_j         in the end o / l,  lse = ln 2 (m + log2 l)
 *
 * with scores in units of log 2. What a row does depends on its own position and keys only: keys
 * that it must not see are left out or have the weight 0, which changes no bit. */
#include <string.h>

#include "cpu/scratch.h"
#include "cpu/vec/attention.h"
#include "cpu/vec/vmath.h"

enum {
    ROWS = 288,            /* of a tile, at most */
    ROWS_FLOATS = 1 << 16, /* floats of queries and sums in a tile, about: half a second cache */
    KEYS = 128,            /* part of the numerics: docs/numerics.md */
    MR = BLOCK_MR,
    NR = BLOCK_NR,
    LANES = VEC_LANES,
    ROWS_STEP = 48,
};
_Static_assert(KEYS % NR == 0 && ROWS_STEP % MR == 0 && ROWS_STEP % LANES == 0 && MR <= LANES,
               "blocks are whole");

/* One call. first_tile[n] is the number of tiles of the spans before n. */
struct job {
    const struct op_attention_fwd *op;
    struct cpu_state *state;
    int64_t *first_tile; /* [span_count + 1] */
    int64_t group;       /* query heads of a key head */
    int64_t rows;        /* of a tile, at most */
};

/* One tile: rows [0, rows) are the span's flattened rows from `first`, at key head `kv_head`. */
struct tile {
    const struct op_attention_fwd *op;
    const struct span *span;
    int64_t kv_head, group;
    int64_t first, rows;
    float *q;          /* [ROWS, q_stride] packed queries */
    float *keys;       /* a block of keys, packed */
    float *values;     /* a block of values, packed */
    float *scores;     /* [MR, KEYS]: scores, then weights */
    float *o;          /* [ROWS, o_stride] sums so far */
    float *max;        /* [ROWS + LANES] m, in the end lse; the last are never used */
    float *sum;        /* [ROWS] l */
    int32_t *position; /* [ROWS] in the sequence */
    int64_t q_stride, o_stride;
};

/* Lays the tile's blocks out in scratch; returns the floats taken. */
static int64_t tile_layout(struct tile *x, float *scratch) {
    const struct attention_shape *s = &x->op->shape;
    float *at = scratch;
    x->q_stride = attention_align(s->dim_nope + s->dim_rope);
    x->o_stride = attention_panels(s->dim_value) * NR;
    x->q = attention_take(&at, ROWS * x->q_stride);
    x->keys = attention_take(&at, attention_packed(s->dim_nope + s->dim_rope, KEYS));
    x->values = attention_take(&at, attention_packed(KEYS, s->dim_value));
    x->scores = attention_take(&at, MR * KEYS);
    x->o = attention_take(&at, ROWS * x->o_stride);
    x->max = attention_take(&at, ROWS + LANES);
    x->sum = attention_take(&at, ROWS);
    x->position = (int32_t *)(void *)attention_take(&at, ROWS);
    return at - scratch;
}

/* A row of the tile: its row in the tensors, and its query head. */
struct place {
    int64_t row, head;
};
static struct place place_first(const struct tile *x) {
    return (struct place){x->span->row + x->first / x->group,
                          x->kv_head * x->group + x->first % x->group};
}
static struct place place_next(const struct tile *x, struct place at) {
    const bool is_last_head = at.head + 1 == (x->kv_head + 1) * x->group;
    return (struct place){at.row + is_last_head,
                          is_last_head ? x->kv_head * x->group : at.head + 1};
}

static void tile_begin(struct tile *x) {
    const struct attention_shape *s = &x->op->shape;
    const size_t bytes = (size_t)(s->dim_nope + s->dim_rope) * sizeof(float);
    struct place at = place_first(x);
    for (int64_t r = 0; r < x->rows; r++, at = place_next(x, at)) {
        memcpy(x->q + r * x->q_stride, row_f32(x->op->q, at.row) + at.head * s->q_stride, bytes);
        x->position[r] = (int32_t)(at.row - x->span->row + x->span->first);
        x->max[r] = -INFINITY;
        x->sum[r] = 0;
        const float *o = row_f32(x->op->o, at.row) + at.head * s->o_stride;
        for (int64_t i = 0; i < s->dim_value; i += 16) __builtin_prefetch(o + i, 1);
    }
}

/* Keys and values of positions [start, start + n). */
static void pack_block(struct tile *x, int64_t start, int64_t n) {
    const struct attention_shape *s = &x->op->shape;
    const int64_t row = x->span->kv_row + start;
    struct attention_keys keys = {
        .nope = attention_rows(x->op->k, row, x->kv_head * s->k_stride),
        .dim_nope = s->dim_nope,
        .dim_rope = s->dim_rope,
        .n = n,
    };
    if (s->dim_rope > 0) keys.rope = attention_rows(x->op->k_rope, row, 0);
    attention_pack_keys(x->keys, &keys);
    const struct matmul_rows values = attention_rows(x->op->v, row, x->kv_head * s->v_stride);
    VEC_NAME(matmul_pack_straight)(x->values, &values, 0, s->dim_value, 0, n);
}

/* Some rows of a tile and the block of keys before them. */
struct strip {
    int64_t r;           /* first row */
    int m;               /* rows */
    int width;           /* keys that some row sees */
    int common;          /* keys that all see, in whole vectors */
    int visible[MR];     /* keys that each sees */
    float factor[LANES]; /* c */
};

/* scores[m, width] = scale * log2(e) * q . k */
static void strip_scores(const struct tile *x, const struct strip *strip) {
    const struct attention_shape *s = &x->op->shape;
    const int64_t dim = s->dim_nope + s->dim_rope;
    struct block block = {
        .a = x->q + strip->r * x->q_stride,
        .a_stride = x->q_stride,
        .c_stride = KEYS,
        .k = dim,
        .m = strip->m,
        .n = NR,
        .start = BLOCK_FROM_ZERO,
        .alpha = (float)(s->scale * ATTENTION_LOG2_E),
    };
    for (int64_t j = 0; j < strip->width; j += NR) {
        block.b = attention_panel(x->keys, dim, j);
        block.c = x->scores + j;
        VEC_NAME(block_rows)(&block);
    }
}

/* The lanes of keys j.. that row i of the strip sees. */
VEC_INLINE vm seen(const struct strip *strip, int64_t i, int64_t j) {
    return vi_gt(vi_set1(strip->visible[i] - (int)j), vi_iota());
}

/* new_max[i] = max(m, scores[0, visible)) for rows [first, first + n) of the strip, n constant. The
 * columns are outermost: one loop for all rows, whose end the processor foresees. */
VEC_INLINE void rows_max(const struct tile *x, const struct strip *strip, int first, int n,
                         float *new_max) {
    const float *scores = x->scores + first * KEYS;
    vf max[MR];
    VEC_UNROLL
    for (int i = 0; i < n; i++) max[i] = vf_set1(x->max[strip->r + first + i]);
    int64_t j = 0;
    for (; j < strip->common; j += LANES) {
        VEC_UNROLL
        for (int i = 0; i < n; i++) max[i] = vf_max(max[i], vf_load(scores + i * KEYS + j));
    }
    for (; j < strip->width; j += LANES) {
        VEC_UNROLL
        for (int i = 0; i < n; i++) {
            const vf larger = vf_max(max[i], vf_load(scores + i * KEYS + j));
            max[i] = vf_select(seen(strip, first + i, j), larger, max[i]);
        }
    }
    VEC_UNROLL
    for (int i = 0; i < n; i++) new_max[first + i] = vf_hmax(max[i]);
}

/* Scores become 2^(s - new_max), those not seen 0; added[i] is their sum. */
VEC_INLINE void rows_weights(const struct tile *x, const struct strip *strip, int first, int n,
                             const float *new_max, float *added) {
    float *scores = x->scores + first * KEYS;
    vf sum[MR];
    VEC_UNROLL
    for (int i = 0; i < n; i++) sum[i] = vf_zero();
    int64_t j = 0;
    for (; j < strip->common; j += LANES) {
        VEC_UNROLL
        for (int i = 0; i < n; i++) {
            float *at = scores + i * KEYS + j;
            const vf p = vf_exp2_flush(vf_sub(vf_load(at), vf_set1(new_max[first + i])));
            vf_store(at, p);
            sum[i] = vf_add(sum[i], p);
        }
    }
    for (; j < strip->width; j += LANES) {
        VEC_UNROLL
        for (int i = 0; i < n; i++) {
            float *at = scores + i * KEYS + j;
            vf p = vf_exp2_flush(vf_sub(vf_load(at), vf_set1(new_max[first + i])));
            p = vf_select(seen(strip, first + i, j), p, vf_zero());
            vf_store(at, p);
            sum[i] = vf_add(sum[i], p);
        }
    }
    VEC_UNROLL
    for (int i = 0; i < n; i++) added[first + i] = vf_sum(sum[i]);
}

static void strip_max(const struct tile *x, const struct strip *strip, float *new_max) {
    if (strip->m == MR)
        rows_max(x, strip, 0, MR, new_max);
    else
        for (int i = 0; i < strip->m; i++) rows_max(x, strip, i, 1, new_max);
}

static void strip_weights(const struct tile *x, const struct strip *strip, const float *new_max,
                          float *added) {
    if (strip->m == MR)
        rows_weights(x, strip, 0, MR, new_max, added);
    else
        for (int i = 0; i < strip->m; i++) rows_weights(x, strip, i, 1, new_max, added);
}

/* The running maximum, factors, weights and sums of the strip's rows. */
static void strip_softmax(const struct tile *x, struct strip *strip) {
    float *max = x->max + strip->r, *sum = x->sum + strip->r;
    float new_max[LANES] = {0}, added[LANES];
    strip_max(x, strip, new_max);
    strip_weights(x, strip, new_max, added);
    vf_store(strip->factor, vf_exp2_flush(vf_sub(vf_load(max), vf_load(new_max))));
    for (int i = 0; i < strip->m; i++) {
        max[i] = new_max[i];
        sum[i] = fmaf(sum[i], strip->factor[i], added[i]);
    }
}

/* o = c o + weights[m, width] values[width, Dv], the first block's from zero */
static void strip_values(const struct tile *x, const struct strip *strip, int64_t start,
                         int64_t n) {
    struct block block = {
        .a = x->scores,
        .a_stride = KEYS,
        .c_stride = x->o_stride,
        .k = strip->width,
        .m = strip->m,
        .start = start == 0 ? BLOCK_FROM_ZERO : BLOCK_FROM_SCALED_C,
        .factor = strip->factor,
        .alpha = 1,
    };
    const int64_t dim = x->op->shape.dim_value;
    for (int64_t d = 0; d < dim; d += NR) {
        block.b = attention_panel(x->values, n, d);
        block.c = x->o + strip->r * x->o_stride + d;
        block.n = dim - d < NR ? (int)(dim - d) : NR;
        VEC_NAME(block_rows)(&block);
    }
}

/* Rows [r, r + MR) of the tile against keys [start, start + n). */
static void attend_strip(const struct tile *x, int64_t r, int64_t start, int64_t n) {
    struct strip strip = {.r = r, .common = KEYS};
    strip.m = x->rows - r < MR ? (int)(x->rows - r) : MR;
    for (int i = 0; i < strip.m; i++) {
        int64_t visible = x->position[r + i] + 1 - start;
        visible = visible > n ? n : visible > 0 ? visible : 0;
        strip.visible[i] = (int)visible;
        if (visible > strip.width) strip.width = (int)visible;
        if (visible < strip.common) strip.common = (int)visible;
    }
    strip.common -= strip.common % LANES;
    if (strip.width == 0) return;
    strip_scores(x, &strip);
    strip_softmax(x, &strip);
    strip_values(x, &strip, start, n);
}

/* o / l and lse of the tile's rows, to where they belong. */
static void tile_end(const struct tile *x) {
    const struct attention_shape *s = &x->op->shape;
    for (int64_t r = 0; r < x->rows; r += LANES)
        vf_store(x->max + r,
                 vf_fma(vf_load(x->max + r), vf_set1(VMATH_LN2), vf_log(vf_load(x->sum + r))));
    struct place at = place_first(x);
    for (int64_t r = 0; r < x->rows; r++, at = place_next(x, at)) {
        float *o = row_f32(x->op->o, at.row) + at.head * s->o_stride;
        const float *from = x->o + r * x->o_stride;
        const vf sum = vf_set1(x->sum[r]);
        for (int64_t d = 0; d < s->dim_value; d += LANES)
            row_store(o, d, s->dim_value, vf_div(vf_load(from + d), sum));
        if (!tensor_is_absent(x->op->lse)) row_f32(x->op->lse, at.row)[at.head] = x->max[r];
    }
}

static int64_t tile_rows(const struct attention_shape *s) {
    const int64_t fit = ROWS_FLOATS / (s->dim_nope + s->dim_rope + s->dim_value);
    return fit >= ROWS ? ROWS : fit > ROWS_STEP ? fit / ROWS_STEP * ROWS_STEP : ROWS_STEP;
}

static int64_t span_tiles(const struct job *job, const struct span *span) {
    return (span->count * job->group + job->rows - 1) / job->rows;
}

/* Within a span key heads are outermost, so that tiles in flight share keys, and rows run
 * backwards, so that the longest come first. */
static struct tile tile_find(const struct job *job, int64_t index) {
    int64_t low = 0, high = job->op->span_count;
    while (high - low > 1) {
        const int64_t middle = (low + high) / 2;
        if (job->first_tile[middle] <= index)
            low = middle;
        else
            high = middle;
    }
    const struct span *span = &job->op->spans[low];
    const int64_t blocks = span_tiles(job, span), rows = span->count * job->group;
    const int64_t at = index - job->first_tile[low];
    struct tile x = {.op = job->op, .span = span, .group = job->group, .kv_head = at / blocks};
    x.first = (blocks - 1 - at % blocks) * job->rows;
    x.rows = rows - x.first < job->rows ? rows - x.first : job->rows;
    return x;
}

static void run_tile(void *arg, int64_t index, int worker) {
    const struct job *job = arg;
    struct tile x = tile_find(job, index);
    tile_layout(&x, cpu_thread_scratch(job->state, worker, CPU_THREAD_SCRATCH));
    tile_begin(&x);
    const int64_t end = x.position[x.rows - 1] + 1;
    for (int64_t start = 0; start < end; start += KEYS) {
        const int64_t n = end - start < KEYS ? end - start : KEYS;
        pack_block(&x, start, n);
        for (int64_t r = 0; r < x.rows; r += MR) attend_strip(&x, r, start, n);
    }
    tile_end(&x);
}

void VEC_NAME(attention_fwd)(struct stream *stream, const struct op_attention_fwd *op) {
    struct job job = {.op = op, .state = cpu_state_of(stream)};
    const int64_t bytes = (op->span_count + 1) * (int64_t)sizeof *job.first_tile;
    struct tile x = {.op = op};
    const int64_t floats = tile_layout(&x, cpu_thread_scratch(job.state, 0, 0));
    if (!rows_scratch_fits(stream, "attention_fwd", bytes, CPU_SHARED_SCRATCH)) return;
    if (!rows_scratch_fits(stream, "attention_fwd", floats * 4, CPU_THREAD_SCRATCH)) return;
    job.first_tile = cpu_shared_scratch(job.state, (size_t)bytes);
    job.group = op->shape.heads / op->shape.kv_heads;
    job.rows = tile_rows(&op->shape);
    int64_t tiles = 0;
    for (int64_t n = 0; n < op->span_count; n++) {
        job.first_tile[n] = tiles;
        tiles += span_tiles(&job, &op->spans[n]) * op->shape.kv_heads;
    }
    job.first_tile[op->span_count] = tiles;
    pool_run(stream->device->engine->pool, tiles, run_tile, &job);
}
