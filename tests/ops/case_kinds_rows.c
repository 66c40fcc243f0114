/* The cases of products and of operations on rows: inputs and calls. */
#include <math.h>
#include <stdlib.h>

#include "harness.h"
#include "op_cases.h"
#include "ops/product.h"
#include "ops/rows.h"

#define TENSOR(name) case_tensor(data, #name)
#define FLAGS(mask) ((data->op_case->flags & (mask)) != 0)
/* Where the output takes an input's place there is one array, under the input's name. */
#define EITHER(output, input) (FLAGS(CASE_ALIASED) ? TENSOR(input) : TENSOR(output))

static void put_output(struct case_data *data, const char *output, struct case_array *input,
                       int64_t rows, int64_t cols) {
    if (FLAGS(CASE_ALIASED))
        input->role = CASE_INOUT;
    else
        case_put(data, output, CASE_OUT, CASE_ROWS, rows, cols);
}

/* ---- products ---- */

static void make_matmul(struct case_data *data) {
    const struct op_case *c = data->op_case;
    const bool is_dw = c->form == MATMUL_TN, is_nt = c->form == MATMUL_NT;
    const enum case_axis axis = is_dw ? CASE_WHOLE : CASE_ROWS;
    case_put(data, "a", CASE_IN, axis, is_dw ? c->K : c->T, is_dw ? c->T : c->K);
    case_put(data, "b", CASE_IN, CASE_WHOLE, is_nt ? c->N : c->K, is_nt ? c->K : c->N);
    case_put(data, "c", FLAGS(CASE_ACCUMULATE) ? CASE_INOUT : CASE_OUT, axis, c->T, c->N);
    if (FLAGS(CASE_BIAS)) case_put(data, "bias", CASE_IN, CASE_WHOLE, 1, c->N);
}
static void call_matmul(struct stream *stream, const struct case_data *data) {
    ops_matmul(stream, &(struct op_matmul){.form = (enum matmul_form)data->op_case->form,
                                           .c = TENSOR(c),
                                           .a = TENSOR(a),
                                           .b = TENSOR(b),
                                           .bias = TENSOR(bias),
                                           .accumulate = FLAGS(CASE_ACCUMULATE),
                                           .round_a = (enum rounding)data->op_case->rounding,
                                           .round_b = (enum rounding)data->op_case->rounding_b});
}
const struct op_kind case_kind_matmul = {
    .op = "matmul", .make = make_matmul, .call = call_matmul, .is_exact = true, .tolerance = 2e-6};

/* Rows of each expert: random, some without any, the last rows in nobody's. */
static void make_offsets(struct case_data *data, int64_t rows) {
    const int64_t E = data->op_case->E;
    struct case_array *offsets = case_put(data, "offsets", CASE_IN, CASE_OFFSETS, 1, E + 1);
    offsets->type = CASE_I32;
    offsets->values[0] = 0;
    const int64_t used = rows > 4 ? rows - 2 : rows;
    for (int64_t e = 1; e <= E; e++) {
        const int64_t left = used - (int64_t)offsets->values[e - 1];
        const int64_t taken = e == E ? left
                              : case_below(offsets, e, 3) == 0
                                  ? 0
                                  : case_below(offsets, e + E, left + 1);
        offsets->values[e] = offsets->values[e - 1] + (double)taken;
    }
}
static void put_gather(struct case_data *data, const char *name, enum case_axis axis, int64_t rows,
                       int64_t n) {
    struct case_array *gather = case_put(data, name, CASE_IN, axis, rows, 1);
    gather->type = CASE_I32;
    for (int64_t i = 0; i < rows; i++) gather->values[i] = (double)case_below(gather, i, n);
}
static void make_matmul_grouped(struct case_data *data) {
    const struct op_case *c = data->op_case;
    const bool is_gathered = FLAGS(CASE_GATHER), is_dw = c->form == MATMUL_TN;
    const int64_t sources = is_gathered ? c->T / 2 + 1 : c->T;
    const enum case_axis axis = is_dw ? CASE_WHOLE : CASE_ROWS;
    make_offsets(data, c->T);
    case_put(data, "a", CASE_IN, is_gathered ? CASE_WHOLE : axis, sources, c->K);
    if (is_gathered) put_gather(data, "gather_a", axis, c->T, sources);
    if (!is_dw) {
        const bool is_nt = c->form == MATMUL_NT;
        case_put(data, "b", CASE_IN, CASE_WHOLE, c->E * (is_nt ? c->N : c->K), is_nt ? c->K : c->N);
        case_put(data, "c", CASE_OUT, CASE_ROWS, c->T, c->N);
        return;
    }
    const bool is_b_gathered = FLAGS(CASE_SLOTS);
    case_put(data, "b", CASE_IN, CASE_WHOLE, is_b_gathered ? c->T / 3 + 1 : c->T, c->N);
    if (is_b_gathered) put_gather(data, "gather_b", CASE_WHOLE, c->T, c->T / 3 + 1);
    case_put(data, "c", FLAGS(CASE_ACCUMULATE) ? CASE_INOUT : CASE_OUT, CASE_WHOLE, c->E * c->K,
             c->N);
}
static void call_matmul_grouped(struct stream *stream, const struct case_data *data) {
    ops_matmul_grouped(
        stream, &(struct op_matmul_grouped){.form = (enum matmul_form)data->op_case->form,
                                            .c = TENSOR(c),
                                            .a = TENSOR(a),
                                            .b = TENSOR(b),
                                            .offsets = case_pointer(data, "offsets"),
                                            .gather_a = case_pointer(data, "gather_a"),
                                            .gather_b = case_pointer(data, "gather_b"),
                                            .experts = data->op_case->E,
                                            .rows = data->rows,
                                            .accumulate = FLAGS(CASE_ACCUMULATE),
                                            .round_a = (enum rounding)data->op_case->rounding,
                                            .round_b = (enum rounding)data->op_case->rounding_b});
}
const struct op_kind case_kind_matmul_grouped = {.op = "matmul_grouped",
                                                 .make = make_matmul_grouped,
                                                 .call = call_matmul_grouped,
                                                 .is_exact = true,
                                                 .tolerance = 2e-6};

/* ---- rounding ---- */

/* Rows of very different sizes, so that scales reach from the smallest to large ones, and some of
 * zeros. Blocks reach over rows, which are then not computed alone. */
static void make_round(struct case_data *data) {
    const struct op_case *c = data->op_case;
    const enum case_axis axis = c->rounding == ROUND_E4M3_BLOCKS ? CASE_WHOLE : CASE_ROWS;
    struct case_array *x = case_put(data, "x", CASE_IN, axis, c->T, c->C);
    for (int64_t i = 0; i < c->T * c->C; i++) {
        const int64_t t = i / c->C;
        const int exponent = (int)(t * 7 % 61) - 40 - (int)case_below(x, i, 12);
        x->values[i] = t % 5 == 4 ? 0 : (float)ldexp(x->values[i], exponent);
    }
    if (FLAGS(CASE_ALIASED))
        x->role = CASE_INOUT;
    else
        case_put(data, "y", CASE_OUT, axis, c->T, c->C);
}
static void call_round(struct stream *stream, const struct case_data *data) {
    ops_round(stream, &(struct op_round){.y = EITHER(y, x),
                                         .x = TENSOR(x),
                                         .rounding = (enum rounding)data->op_case->rounding});
}
const struct op_kind case_kind_round = {
    .op = "round", .make = make_round, .call = call_round, .is_exact = true, .tolerance = 0};

/* ---- RMSNorm ---- */

static const double norm_eps = 1e-6;

static void make_rmsnorm_fwd(struct case_data *data) {
    const struct op_case *c = data->op_case;
    struct case_array *x = case_put(data, "x", CASE_IN, CASE_ROWS, c->T, c->C);
    case_put(data, "w", CASE_IN, CASE_WHOLE, 1, c->C);
    put_output(data, "y", x, c->T, c->C);
    if (FLAGS(CASE_OPTIONAL)) case_put(data, "rstd", CASE_OUT, CASE_ROWS, c->T, 1);
}
static void call_rmsnorm_fwd(struct stream *stream, const struct case_data *data) {
    ops_rmsnorm_fwd(stream, &(struct op_rmsnorm_fwd){.y = EITHER(y, x),
                                                     .x = TENSOR(x),
                                                     .w = TENSOR(w),
                                                     .rstd = TENSOR(rstd),
                                                     .eps = norm_eps});
}
const struct op_kind case_kind_rmsnorm_fwd = {
    .op = "rmsnorm_fwd", .make = make_rmsnorm_fwd, .call = call_rmsnorm_fwd, .tolerance = 1e-6};

static void make_rmsnorm_bwd(struct case_data *data) {
    const struct op_case *c = data->op_case;
    struct case_array *dy = case_put(data, "dy", CASE_IN, CASE_ROWS, c->T, c->C);
    struct case_array *x = case_put(data, "x", CASE_IN, CASE_ROWS, c->T, c->C);
    struct case_array *rstd = case_put(data, "rstd", CASE_IN, CASE_ROWS, c->T, 1);
    for (int64_t t = 0; t < c->T; t++) {
        double sum = 0;
        for (int64_t i = 0; i < c->C; i++) sum += x->values[t * c->C + i] * x->values[t * c->C + i];
        rstd->values[t] = (float)(1 / sqrt(sum / (double)c->C + norm_eps));
    }
    case_put(data, "w", CASE_IN, CASE_WHOLE, 1, c->C);
    case_put(data, "dw", CASE_INOUT, CASE_WHOLE, 1, c->C);
    if (FLAGS(CASE_OPTIONAL)) case_put(data, "add", CASE_IN, CASE_ROWS, c->T, c->C);
    put_output(data, "dx", dy, c->T, c->C);
}
static void call_rmsnorm_bwd(struct stream *stream, const struct case_data *data) {
    ops_rmsnorm_bwd(stream, &(struct op_rmsnorm_bwd){.dx = EITHER(dx, dy),
                                                     .dw = TENSOR(dw),
                                                     .dy = TENSOR(dy),
                                                     .x = TENSOR(x),
                                                     .w = TENSOR(w),
                                                     .rstd = TENSOR(rstd),
                                                     .add = TENSOR(add)});
}
const struct op_kind case_kind_rmsnorm_bwd = {
    .op = "rmsnorm_bwd", .make = make_rmsnorm_bwd, .call = call_rmsnorm_bwd, .tolerance = 2e-6};

/* ---- RoPE ---- */

static void make_rope_table(struct case_data *data) {
    const struct op_case *c = data->op_case;
    const int64_t pairs = c->Dr / 2;
    struct case_array *positions = case_put(data, "positions", CASE_IN, CASE_ROWS, c->T, 1);
    positions->type = CASE_I32;
    for (int64_t t = 0; t < c->T; t++)
        positions->values[t] = (double)case_below(positions, t, 160000);
    data->frequency = malloc((size_t)pairs * sizeof(double));
    CHECK(data->frequency);
    for (int64_t i = 0; i < pairs; i++)
        data->frequency[i] = pow(10000, -2.0 * (double)i / (double)c->Dr);
    case_put(data, "cos", CASE_OUT, CASE_ROWS, c->T, pairs);
    case_put(data, "sin", CASE_OUT, CASE_ROWS, c->T, pairs);
}
static void call_rope_table(struct stream *stream, const struct case_data *data) {
    ops_rope_table(stream, &(struct op_rope_table){.cos = TENSOR(cos),
                                                   .sin = TENSOR(sin),
                                                   .positions = case_pointer(data, "positions"),
                                                   .frequency = data->frequency,
                                                   .factor = 1.25});
}
const struct op_kind case_kind_rope_table = {
    .op = "rope_table", .make = make_rope_table, .call = call_rope_table, .tolerance = 1e-7};

/* Heads of Dr columns, Dn columns between them that stay as they are. */
static void make_rope(struct case_data *data) {
    const struct op_case *c = data->op_case;
    case_put(data, "x", CASE_INOUT, CASE_ROWS, c->T, (c->H - 1) * (c->Dn + c->Dr) + c->Dr);
    struct case_array *cosine = case_put(data, "cos", CASE_IN, CASE_ROWS, c->T, c->Dr / 2);
    struct case_array *sine = case_put(data, "sin", CASE_IN, CASE_ROWS, c->T, c->Dr / 2);
    for (int64_t i = 0; i < c->T * (c->Dr / 2); i++) {
        const double angle = 7 * cosine->values[i];
        cosine->values[i] = (float)cos(angle);
        sine->values[i] = (float)sin(angle);
    }
}
static void call_rope(struct stream *stream, const struct case_data *data) {
    const struct op_case *c = data->op_case;
    ops_rope(stream, &(struct op_rope){.x = TENSOR(x),
                                       .cos = TENSOR(cos),
                                       .sin = TENSOR(sin),
                                       .heads = c->H,
                                       .head_stride = c->Dn + c->Dr,
                                       .layout = FLAGS(CASE_HALF) ? ROPE_HALF : ROPE_INTERLEAVED,
                                       .is_inverse = FLAGS(CASE_INVERSE)});
}
const struct op_kind case_kind_rope = {
    .op = "rope", .make = make_rope, .call = call_rope, .tolerance = 2e-7};

/* ---- SwiGLU ---- */

static void make_swiglu_fwd(struct case_data *data) {
    const struct op_case *c = data->op_case;
    struct case_array *g = case_put(data, "g", CASE_IN, CASE_ROWS, c->T, c->C);
    for (int64_t i = 0; i < c->T * c->C; i++) g->values[i] *= 4;
    case_put(data, "u", CASE_IN, CASE_ROWS, c->T, c->C);
    case_put(data, "y", CASE_OUT, CASE_ROWS, c->T, c->C);
}
static void call_swiglu_fwd(struct stream *stream, const struct case_data *data) {
    ops_swiglu_fwd(stream, &(struct op_swiglu_fwd){.y = TENSOR(y), .g = TENSOR(g), .u = TENSOR(u)});
}
const struct op_kind case_kind_swiglu_fwd = {
    .op = "swiglu_fwd", .make = make_swiglu_fwd, .call = call_swiglu_fwd, .tolerance = 1e-6};

static void make_swiglu_bwd(struct case_data *data) {
    const struct op_case *c = data->op_case;
    const bool has_slots = FLAGS(CASE_SLOTS);
    struct case_array *dz = case_put(data, "dz", CASE_IN, CASE_ROWS, c->T, c->C);
    case_put(data, "g", CASE_IN, CASE_ROWS, c->T, c->C);
    case_put(data, "u", CASE_IN, CASE_ROWS, c->T, c->C);
    case_put(data, "dg", CASE_OUT, CASE_ROWS, c->T, c->C);
    case_put(data, "du", CASE_OUT, CASE_ROWS, c->T, c->C);
    if (FLAGS(CASE_OPTIONAL) || FLAGS(CASE_ALIASED)) put_output(data, "wy", dz, c->T, c->C);
    if (!FLAGS(CASE_WEIGHTED)) return;
    /* Without gaps: the operation takes them as flat arrays. */
    const enum case_axis axis = has_slots ? CASE_WHOLE : CASE_ROWS;
    case_put(data, "weight", CASE_IN, axis, c->T, 1)->is_dense = true;
    case_put(data, "dweight", CASE_OUT, axis, c->T, 1)->is_dense = true;
    if (!has_slots) return;
    struct case_array *slot = case_put(data, "slot", CASE_IN, CASE_ROWS, c->T, 1);
    slot->type = CASE_I32;
    for (int64_t t = 0; t < c->T; t++) slot->values[t] = (double)((t * 5 + 2) % c->T);
}
static void call_swiglu_bwd(struct stream *stream, const struct case_data *data) {
    ops_swiglu_bwd(stream, &(struct op_swiglu_bwd){.dg = TENSOR(dg),
                                                   .du = TENSOR(du),
                                                   .wy = EITHER(wy, dz),
                                                   .dz = TENSOR(dz),
                                                   .g = TENSOR(g),
                                                   .u = TENSOR(u),
                                                   .weight = TENSOR(weight),
                                                   .dweight = TENSOR(dweight),
                                                   .slot = case_pointer(data, "slot")});
}
const struct op_kind case_kind_swiglu_bwd = {
    .op = "swiglu_bwd", .make = make_swiglu_bwd, .call = call_swiglu_bwd, .tolerance = 1e-6};

/* ---- sums ---- */

static void make_add(struct case_data *data) {
    const struct op_case *c = data->op_case;
    struct case_array *a = case_put(data, "a", CASE_IN, CASE_ROWS, c->T, c->C);
    case_put(data, "b", CASE_IN, CASE_ROWS, c->T, c->C);
    put_output(data, "y", a, c->T, c->C);
}
static void call_add(struct stream *stream, const struct case_data *data) {
    ops_add(stream, &(struct op_add){.y = EITHER(y, a), .a = TENSOR(a), .b = TENSOR(b)});
}
const struct op_kind case_kind_add = {
    .op = "add", .make = make_add, .call = call_add, .is_exact = true, .tolerance = 1e-7};

static void make_sum_rows(struct case_data *data) {
    const struct op_case *c = data->op_case;
    case_put(data, "x", CASE_IN, CASE_WHOLE, c->T, c->C);
    case_put(data, "y", CASE_INOUT, CASE_WHOLE, 1, c->C);
}
static void call_sum_rows(struct stream *stream, const struct case_data *data) {
    ops_sum_rows(stream, &(struct op_sum_rows){.y = TENSOR(y), .x = TENSOR(x)});
}
const struct op_kind case_kind_sum_rows = {.op = "sum_rows",
                                           .make = make_sum_rows,
                                           .call = call_sum_rows,
                                           .is_exact = true,
                                           .tolerance = 1e-6};

/* ---- softmax ---- */

static void make_softmax_fwd(struct case_data *data) {
    const struct op_case *c = data->op_case;
    struct case_array *x = case_put(data, "x", CASE_IN, CASE_ROWS, c->T, c->C);
    put_output(data, "y", x, c->T, c->C);
}
static void call_softmax_fwd(struct stream *stream, const struct case_data *data) {
    ops_softmax_fwd(stream,
                    &(struct op_softmax_fwd){.y = EITHER(y, x), .x = TENSOR(x), .scale = 2.5});
}
const struct op_kind case_kind_softmax_fwd = {
    .op = "softmax_fwd", .make = make_softmax_fwd, .call = call_softmax_fwd, .tolerance = 2e-6};

static void make_softmax_bwd(struct case_data *data) {
    const struct op_case *c = data->op_case;
    struct case_array *dy = case_put(data, "dy", CASE_IN, CASE_ROWS, c->T, c->C);
    case_put(data, "y", CASE_IN, CASE_ROWS, c->T, c->C);
    put_output(data, "dx", dy, c->T, c->C);
}
static void call_softmax_bwd(struct stream *stream, const struct case_data *data) {
    ops_softmax_bwd(stream,
                    &(struct op_softmax_bwd){
                        .dx = EITHER(dx, dy), .dy = TENSOR(dy), .y = TENSOR(y), .scale = 2.5});
}
const struct op_kind case_kind_softmax_bwd = {
    .op = "softmax_bwd", .make = make_softmax_bwd, .call = call_softmax_bwd, .tolerance = 1e-6};

/* ---- embedding ---- */

static void put_tokens(struct case_data *data, enum case_axis axis) {
    const struct op_case *c = data->op_case;
    struct case_array *tokens = case_put(data, "tokens", CASE_IN, axis, c->T, 1);
    tokens->type = CASE_I32;
    for (int64_t t = 0; t < c->T; t++) tokens->values[t] = (double)case_below(tokens, t, c->N);
}
static void make_embedding_fwd(struct case_data *data) {
    const struct op_case *c = data->op_case;
    put_tokens(data, CASE_ROWS);
    case_put(data, "w", CASE_IN, CASE_WHOLE, c->N, c->C);
    case_put(data, "y", CASE_OUT, CASE_ROWS, c->T, c->C);
}
static void call_embedding_fwd(struct stream *stream, const struct case_data *data) {
    ops_embedding_fwd(stream, &(struct op_embedding_fwd){.y = TENSOR(y),
                                                         .w = TENSOR(w),
                                                         .tokens = case_pointer(data, "tokens")});
}
const struct op_kind case_kind_embedding_fwd = {.op = "embedding_fwd",
                                                .make = make_embedding_fwd,
                                                .call = call_embedding_fwd,
                                                .is_exact = true};

static void make_embedding_bwd(struct case_data *data) {
    const struct op_case *c = data->op_case;
    put_tokens(data, CASE_WHOLE);
    case_put(data, "dw", CASE_INOUT, CASE_WHOLE, c->N, c->C);
    case_put(data, "dy", CASE_IN, CASE_WHOLE, c->T, c->C);
}
static void call_embedding_bwd(struct stream *stream, const struct case_data *data) {
    ops_embedding_bwd(stream, &(struct op_embedding_bwd){.dw = TENSOR(dw),
                                                         .dy = TENSOR(dy),
                                                         .tokens = case_pointer(data, "tokens")});
}
const struct op_kind case_kind_embedding_bwd = {.op = "embedding_bwd",
                                                .make = make_embedding_bwd,
                                                .call = call_embedding_bwd,
                                                .is_exact = true,
                                                .tolerance = 1e-6};
