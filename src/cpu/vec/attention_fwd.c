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
    float *max;        /* [ROWS] m */
    float *sum;        /* [ROWS] l */
    int32_t *position; /* [ROWS] in the sequence */
    int64_t q_stride, o_stride;
};

static int64_t key_floats(const struct attention_shape *s) {
    return (s->dim_nope + s->dim_rope) * KEYS;
}

/* Lays the tile's blocks out in scratch; returns the floats taken. */
static int64_t tile_layout(struct tile *x, float *scratch) {
    const struct attention_shape *s = &x->op->shape;
    float *at = scratch;
    x->q_stride = attention_align(s->dim_nope + s->dim_rope);
    x->o_stride = attention_panels(s->dim_value) * NR;
    x->q = attention_take(&at, ROWS * x->q_stride);
    x->keys = attention_take(&at, key_floats(s));
    x->values = attention_take(&at, attention_packed(KEYS, s->dim_value));
    x->scores = attention_take(&at, MR * KEYS);
    x->o = attention_take(&at, ROWS * x->o_stride);
    x->max = attention_take(&at, ROWS);
    x->sum = attention_take(&at, ROWS);
    x->position = (int32_t *)(void *)attention_take(&at, ROWS);
    return at - scratch;
}

static int64_t tile_head(const struct tile *x, int64_t r) {
    return x->kv_head * x->group + (x->first + r) % x->group;
}
static int64_t tile_row(const struct tile *x, int64_t r) {
    return x->span->row + (x->first + r) / x->group;
}

static void tile_begin(struct tile *x) {
    const struct attention_shape *s = &x->op->shape;
    const size_t bytes = (size_t)(s->dim_nope + s->dim_rope) * sizeof(float);
    for (int64_t r = 0; r < x->rows; r++) {
        const float *q = row_f32(x->op->q, tile_row(x, r)) + tile_head(x, r) * s->q_stride;
        memcpy(x->q + r * x->q_stride, q, bytes);
        x->position[r] = (int32_t)(x->span->first + (x->first + r) / x->group);
        x->max[r] = -INFINITY;
        x->sum[r] = 0;
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
        block.b = x->keys + j * dim;
        block.c = x->scores + j;
        VEC_NAME(block_rows)(&block);
    }
}

/* max(m, scores[0, n)) */
static float row_max(const float *scores, int n, float m) {
    vf max = vf_set1(m);
    int j = 0;
    for (; j + LANES <= n; j += LANES) max = vf_max(max, vf_load(scores + j));
    if (j < n) max = vf_max(max, vf_select(vm_first(n - j), vf_load(scores + j), vf_set1(m)));
    return vf_hmax(max);
}

/* scores[0, n) become 2^(s - max), those up to `width` 0; returns the sum. */
static float row_weights(float *scores, int n, int width, float max) {
    const vf m = vf_set1(max);
    vf sum = vf_zero();
    int j = 0;
    for (; j + LANES <= n; j += LANES) {
        const vf p = vf_exp2_flush(vf_sub(vf_load(scores + j), m));
        vf_store(scores + j, p);
        sum = vf_add(sum, p);
    }
    if (j < n) {
        vf p = vf_exp2_flush(vf_sub(vf_load(scores + j), m));
        p = vf_select(vm_first(n - j), p, vf_zero());
        vf_store(scores + j, p);
        sum = vf_add(sum, p);
        j += LANES;
    }
    for (; j < width; j += LANES) vf_store(scores + j, vf_zero());
    return vf_sum(sum);
}

/* The running maximum, factors, weights and sums of the strip's rows. */
static void strip_softmax(const struct tile *x, struct strip *strip) {
    float *max = x->max + strip->r, *sum = x->sum + strip->r;
    float old[LANES] = {0}, new[LANES] = {0};
    for (int i = 0; i < strip->m; i++) {
        old[i] = max[i];
        new[i] = row_max(x->scores + i * KEYS, strip->visible[i], max[i]);
    }
    vf_store(strip->factor, vf_exp2_flush(vf_sub(vf_load(old), vf_load(new))));
    for (int i = 0; i < strip->m; i++) {
        float *scores = x->scores + i * KEYS;
        const float added = row_weights(scores, strip->visible[i], strip->width, new[i]);
        max[i] = new[i];
        sum[i] = fmaf(sum[i], strip->factor[i], added);
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
        block.b = x->values + d * n;
        block.c = x->o + strip->r * x->o_stride + d;
        block.n = dim - d < NR ? (int)(dim - d) : NR;
        VEC_NAME(block_rows)(&block);
    }
}

/* Rows [r, r + MR) of the tile against keys [start, start + n). */
static void attend_strip(const struct tile *x, int64_t r, int64_t start, int64_t n) {
    struct strip strip = {.r = r};
    strip.m = x->rows - r < MR ? (int)(x->rows - r) : MR;
    for (int i = 0; i < strip.m; i++) {
        int64_t visible = x->position[r + i] + 1 - start;
        if (visible > n) visible = n;
        strip.visible[i] = visible > 0 ? (int)visible : 0;
        if (strip.visible[i] > strip.width) strip.width = strip.visible[i];
    }
    if (strip.width == 0) return;
    strip_scores(x, &strip);
    strip_softmax(x, &strip);
    strip_values(x, &strip, start, n);
}

/* o / l and lse of the tile's rows, to where they belong. */
static void tile_end(const struct tile *x) {
    const struct attention_shape *s = &x->op->shape;
    for (int64_t r = 0; r < x->rows; r++) {
        const int64_t row = tile_row(x, r), head = tile_head(x, r);
        float *o = row_f32(x->op->o, row) + head * s->o_stride;
        const float *from = x->o + r * x->o_stride;
        const vf sum = vf_set1(x->sum[r]);
        for (int64_t d = 0; d < s->dim_value; d += LANES)
            row_store(o, d, s->dim_value, vf_div(vf_load(from + d), sum));
    }
    if (tensor_is_absent(x->op->lse)) return;
    for (int64_t r = 0; r < x->rows; r += LANES) {
        float lse[LANES];
        vf_store(lse, vf_fma(vf_load(x->max + r), vf_set1(VMATH_LN2), vf_log(vf_load(x->sum + r))));
        for (int64_t i = r; i < r + LANES && i < x->rows; i++)
            row_f32(x->op->lse, tile_row(x, i))[tile_head(x, i)] = lse[i - r];
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
    const size_t bytes =
        (size_t)tile_layout(&x, cpu_thread_scratch(job->state, worker, 0)) * sizeof(float);
    cpu_thread_scratch(job->state, worker, bytes);
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
    const size_t bytes = (size_t)(op->span_count + 1) * sizeof *job.first_tile;
    job.first_tile = cpu_shared_scratch(job.state, bytes);
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
