#include "backend/profile.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"

enum {
#define OP_ID(name) OP_##name,
    OPS(OP_ID)
#undef OP_ID
        OP_COUNT,
    FORMS = 3, /* of products: rows of their own */
};
_Static_assert(OP_COUNT *FORMS <= PROFILE_ROWS_MAX, "every operation has its rows");

static const char *const op_names[OP_COUNT] = {
#define OP_NAME(name) #name,
    OPS(OP_NAME)
#undef OP_NAME
};
static const char *const form_names[FORMS] = {
    [MATMUL_NT] = "NT", [MATMUL_NN] = "NN", [MATMUL_TN] = "TN"};

struct profile {
    struct op_table table; /* first: how an operation finds its profile */
    struct device *device;
    const struct op_table *inner;
    struct profile_row rows[OP_COUNT][FORMS];
};

/* ---- work ---- */

struct work {
    double flops, bytes;
    enum matmul_form form; /* of a product; else 0 */
};

/* Bytes of the operands; one that is read and written stands there twice. */
static double bytes_of(const struct tensor *operands, size_t count) {
    double bytes = 0;
    for (size_t i = 0; i < count; i++)
        if (!tensor_is_absent(operands[i]))
            bytes += (double)tensor_count(operands[i]) * (double)dtype_size(operands[i].dtype);
    return bytes;
}
#define BYTES(...)                                                                                 \
    bytes_of((const struct tensor[]){__VA_ARGS__},                                                 \
             sizeof((const struct tensor[]){__VA_ARGS__}) / sizeof(struct tensor))
#define MOVED(...)                                                                                 \
    (struct work) { .bytes = BYTES(__VA_ARGS__) }

static struct tensor only_if(bool is_so, struct tensor x) { return is_so ? x : (struct tensor){0}; }

static struct work work_round(const struct op_round *op) { return MOVED(op->x, op->y); }

static struct work work_matmul(const struct op_matmul *op) {
    const int64_t steps = op->form == MATMUL_TN ? op->a.rows : op->a.cols;
    return (struct work){.form = op->form,
                         .flops = 2.0 * (double)tensor_count(op->c) * (double)steps,
                         .bytes = BYTES(op->a, op->b, op->c, only_if(op->accumulate, op->c))};
}

static struct work work_matmul_grouped(const struct op_matmul_grouped *op) {
    const bool is_tn = op->form == MATMUL_TN;
    const int64_t columns = op->c.cols, steps = op->a.cols; /* TN: rows of each C_e */
    struct tensor a = op->a, b = op->b, c = op->c;
    a.rows = op->rows;
    if (is_tn)
        b.rows = op->rows;
    else
        c.rows = op->rows;
    return (struct work){.form = op->form,
                         .flops = 2.0 * (double)op->rows * (double)columns * (double)steps,
                         .bytes = BYTES(a, b, c, only_if(op->accumulate, c))};
}

static struct work work_rmsnorm_fwd(const struct op_rmsnorm_fwd *op) { return MOVED(op->x, op->y); }
static struct work work_rmsnorm_bwd(const struct op_rmsnorm_bwd *op) {
    return MOVED(op->dx, op->dy, op->x, op->add);
}
static struct work work_rope_table(const struct op_rope_table *op) {
    return MOVED(op->cos, op->sin);
}
static struct work work_rope(const struct op_rope *op) {
    struct tensor x = op->x;
    x.cols = op->heads * 2 * op->cos.cols;
    return MOVED(x, x);
}
static struct work work_swiglu_fwd(const struct op_swiglu_fwd *op) {
    return MOVED(op->y, op->g, op->u);
}
static struct work work_swiglu_bwd(const struct op_swiglu_bwd *op) {
    return MOVED(op->dg, op->du, op->wy, op->dz, op->g, op->u);
}
static struct work work_add(const struct op_add *op) { return MOVED(op->y, op->a, op->b); }
static struct work work_sum_rows(const struct op_sum_rows *op) { return MOVED(op->x); }
static struct work work_softmax_fwd(const struct op_softmax_fwd *op) { return MOVED(op->x, op->y); }
static struct work work_softmax_bwd(const struct op_softmax_bwd *op) {
    return MOVED(op->dx, op->dy, op->y);
}
static struct work work_embedding_fwd(const struct op_embedding_fwd *op) {
    return MOVED(op->y, op->y);
}
static struct work work_embedding_bwd(const struct op_embedding_bwd *op) {
    return MOVED(op->dy, op->dy, op->dy); /* the rows of dw are read and written */
}

/* Query and key pairs of all heads. */
static double pairs_of(const struct span *spans, int64_t count, int64_t heads) {
    double pairs = 0;
    for (int64_t i = 0; i < count; i++)
        pairs +=
            (double)spans[i].count * ((double)spans[i].first + ((double)spans[i].count + 1) / 2);
    return pairs * (double)heads;
}

static struct work work_attention_fwd(const struct op_attention_fwd *op) {
    const struct attention_shape *s = &op->shape;
    const double key = (double)(s->dim_nope + s->dim_rope), value = (double)s->dim_value;
    return (struct work){.flops = 2 * pairs_of(op->spans, op->span_count, s->heads) * (key + value),
                         .bytes = BYTES(op->o, op->q, op->k, op->k_rope, op->v)};
}

/* q k again, do v, dq, dk, dv. */
static struct work work_attention_bwd(const struct op_attention_bwd *op) {
    const struct attention_shape *s = &op->shape;
    const double key = (double)(s->dim_nope + s->dim_rope), value = (double)s->dim_value;
    return (struct work){.flops = 2 * pairs_of(op->spans, op->span_count, s->heads) *
                                  (3 * key + 2 * value),
                         .bytes = BYTES(op->dq, op->dk, op->dk_rope, op->dv, op->dout, op->q, op->k,
                                        op->k_rope, op->v, op->o)};
}

static struct work work_gate_fwd(const struct op_gate_fwd *op) {
    return MOVED(op->scores, op->logits, op->weight);
}
static struct work work_balance_fwd(const struct op_balance_fwd *op) { return MOVED(op->scores); }
static struct work work_gate_bwd(const struct op_gate_bwd *op) {
    return MOVED(op->dlogits, op->scores, op->dweight, op->weight);
}
static struct work work_moe_plan(const struct op_moe_plan *op) {
    return (struct work){.bytes = 4.0 * (double)(op->tokens * op->active) * sizeof(int32_t)};
}
/* A slot's choice, score and outcome. */
static struct work work_moe_drop(const struct op_moe_drop *op) {
    const double slots = (double)(op->scores.rows * op->active);
    return (struct work){.bytes =
                             slots * (2 * sizeof(int32_t) + (double)dtype_size(op->scores.dtype))};
}
static struct work work_moe_combine(const struct op_moe_combine *op) {
    struct tensor rows = op->rows;
    rows.rows = op->y.rows * op->active;
    return MOVED(op->y, rows, op->add);
}
static struct work work_cross_entropy(const struct op_cross_entropy *op) {
    return MOVED(op->logits, only_if(op->is_gradient_wanted, op->logits));
}
static struct work work_adamw(const struct op_adamw *op) {
    return MOVED(op->p, op->p, op->g, op->m, op->m, op->v, op->v);
}
static struct work work_lerp(const struct op_lerp *op) { return MOVED(op->y, op->y, op->x); }
static struct work work_sumsq(const struct op_sumsq *op) { return MOVED(op->x); }

/* ---- the timed table ---- */

static struct profile *profile_of(struct stream *stream) {
    return (struct profile *)(uintptr_t)stream->device->ops;
}

static void record(struct stream *stream, struct profile_row *row, struct work work, double begin) {
    stream->device->driver->wait(stream);
    row->seconds += clock_since(begin);
    row->calls++;
    row->flops += work.flops;
    row->bytes += work.bytes;
}

#define TIMED(name)                                                                                \
    static void timed_##name(struct stream *stream, const struct op_##name *op) {                  \
        struct profile *profile = profile_of(stream);                                              \
        const struct work work = work_##name(op);                                                  \
        const double begin = clock_seconds();                                                      \
        profile->inner->name(stream, op);                                                          \
        record(stream, &profile->rows[OP_##name][work.form], work, begin);                         \
    }
OPS(TIMED)
#undef TIMED

#define TIMED_MEMBER(name) .name = timed_##name,
static const struct op_table timed_table = {OPS(TIMED_MEMBER)};
#undef TIMED_MEMBER

/* ---- the profile ---- */

static bool is_product(int op) { return op == OP_matmul || op == OP_matmul_grouped; }

void profile_clear(struct profile *profile) {
    memset(profile->rows, 0, sizeof profile->rows);
    for (int op = 0; op < OP_COUNT; op++)
        for (int form = 0; form < FORMS; form++)
            snprintf(profile->rows[op][form].name, sizeof profile->rows[op][form].name, "%s%s%s",
                     op_names[op], is_product(op) ? " " : "",
                     is_product(op) ? form_names[form] : "");
}

fathom_status profile_new(struct profile **out, struct device *device, struct error *err) {
    struct profile *profile = NULL;
    *out = NULL;
    TRY(MEM_NEW(&profile, 1, "a profile", err));
    profile->table = timed_table;
    profile->device = device;
    profile->inner = device->ops;
    device->ops = &profile->table;
    profile_clear(profile);
    *out = profile;
    return FATHOM_OK;
}

void profile_free(struct profile *profile) {
    if (!profile) return;
    profile->device->ops = profile->inner;
    mem_free(profile);
}

static int by_time(const void *a, const void *b) {
    const double x = ((const struct profile_row *)a)->seconds;
    const double y = ((const struct profile_row *)b)->seconds;
    return (x < y) - (x > y);
}

size_t profile_rows(const struct profile *profile, struct profile_row rows[PROFILE_ROWS_MAX]) {
    size_t count = 0;
    for (int op = 0; op < OP_COUNT; op++)
        for (int form = 0; form < FORMS; form++)
            if (profile->rows[op][form].calls > 0) rows[count++] = profile->rows[op][form];
    qsort(rows, count, sizeof *rows, by_time);
    return count;
}
