/* The cases of the gate, the experts' bookkeeping, the loss and the optimizer. */
#include <math.h>

#include "base/rng.h"
#include "harness.h"
#include "op_cases.h"
#include "ops/loss.h"
#include "ops/moe.h"
#include "ops/optimizer.h"

#define TENSOR(name) case_tensor(data, #name)
#define POINTER(name) case_pointer(data, #name)
#define FLAGS(mask) ((data->op_case->flags & (mask)) != 0)

/* ---- gate ---- */

static struct gate_shape shape_of(const struct op_case *c) {
    return (struct gate_shape){.experts = c->E,
                               .active = c->A,
                               .groups = c->G,
                               .topk_groups = c->Gk,
                               .scoring = c->flags & CASE_SOFTMAX ? GATE_SOFTMAX : GATE_SIGMOID,
                               .method = (enum gate_method)c->form,
                               .is_normalised = (c->flags & CASE_NORMALISED) != 0,
                               .routed_scale = 2.5};
}

/* idx [T, A]: distinct random experts in each row. */
static struct case_array *put_routing(struct case_data *data, enum case_axis axis) {
    const struct op_case *c = data->op_case;
    struct case_array *idx = case_put(data, "idx", CASE_IN, axis, data->rows, c->A);
    idx->type = CASE_I32;
    for (int64_t i = 0; i < data->rows * c->A; i++) {
        const struct rng_key key = {.seed = 3, .purpose = RNG_TEST, .stream = (uint64_t)(i / c->A)};
        idx->values[i] = (double)rng_permute(key, (uint64_t)(i % c->A), (uint64_t)c->E);
    }
    return idx;
}

static void make_gate_fwd(struct case_data *data) {
    const struct op_case *c = data->op_case;
    struct case_array *logits = case_put(data, "logits", CASE_IN, CASE_ROWS, c->T, c->E);
    if (FLAGS(CASE_ALIASED))
        logits->role = CASE_INOUT;
    else
        case_put(data, "scores", CASE_OUT, CASE_ROWS, c->T, c->E);
    case_put(data, "weight", CASE_OUT, CASE_ROWS, c->T, c->A);
    if (FLAGS(CASE_BIAS)) {
        struct case_array *bias = case_put(data, "bias", CASE_IN, CASE_WHOLE, 1, c->E);
        bias->type = CASE_F32;
        for (int64_t e = 0; e < c->E; e++) bias->values[e] = (float)(0.2 * bias->values[e]);
    }
    if (FLAGS(CASE_GIVEN)) {
        put_routing(data, CASE_ROWS);
    } else {
        case_put(data, "idx", CASE_OUT, CASE_ROWS, c->T, c->A)->type = CASE_I32;
    }
}
static void call_gate_fwd(struct stream *stream, const struct case_data *data) {
    ops_gate_fwd(stream, &(struct op_gate_fwd){.shape = shape_of(data->op_case),
                                               .scores = FLAGS(CASE_ALIASED) ? TENSOR(logits)
                                                                             : TENSOR(scores),
                                               .weight = TENSOR(weight),
                                               .logits = TENSOR(logits),
                                               .bias = TENSOR(bias),
                                               .idx = POINTER(idx),
                                               .idx_is_given = FLAGS(CASE_GIVEN)});
}
const struct op_kind case_kind_gate_fwd = {
    .op = "gate_fwd", .make = make_gate_fwd, .call = call_gate_fwd, .tolerance = 1e-6};

/* Scores between 0 and 1, as after a sigmoid. */
static struct case_array *put_scores(struct case_data *data) {
    const int64_t E = data->op_case->E;
    struct case_array *scores = case_put(data, "scores", CASE_IN, CASE_ROWS, data->rows, E);
    for (int64_t i = 0; i < data->rows * E; i++)
        scores->values[i] = (float)(0.05 + 0.9 * case_uniform(scores, i));
    return scores;
}

/* Cases with devices count the experts of a given routing. */
static void make_balance_fwd(struct case_data *data) {
    put_scores(data);
    if (data->op_case->G > 0) put_routing(data, CASE_ROWS);
    case_put(data, "loss", CASE_OUT, CASE_SPANS, data->span_count, 1);
    case_put(data, "c", FLAGS(CASE_GIVEN) ? CASE_IN : CASE_OUT, CASE_SPANS, data->span_count,
             data->op_case->E);
}
static void call_balance_fwd(struct stream *stream, const struct case_data *data) {
    const struct op_case *c = data->op_case;
    struct balance_levels levels = {.expert = 1};
    if (c->G > 0) levels = (struct balance_levels){0.25, 2, 0.5, .devices = c->G, .reach = c->Gk};
    ops_balance_fwd(stream, &(struct op_balance_fwd){.loss = TENSOR(loss),
                                                     .c = TENSOR(c),
                                                     .scores = TENSOR(scores),
                                                     .idx = POINTER(idx),
                                                     .spans = data->spans,
                                                     .span_count = data->span_count,
                                                     .active = c->A,
                                                     .levels = levels,
                                                     .c_is_given = FLAGS(CASE_GIVEN)});
}
const struct op_kind case_kind_balance_fwd = {
    .op = "balance_fwd", .make = make_balance_fwd, .call = call_balance_fwd, .tolerance = 1e-6};

static void make_gate_bwd(struct case_data *data) {
    const struct op_case *c = data->op_case;
    const struct gate_shape shape = shape_of(c);
    const struct case_array *scores = put_scores(data), *idx = put_routing(data, CASE_ROWS);
    struct case_array *weight = case_put(data, "weight", CASE_IN, CASE_ROWS, data->rows, c->A);
    for (int64_t t = 0; t < data->rows; t++) {
        double sum = 0;
        for (int64_t k = 0; k < c->A; k++)
            sum += scores->values[t * c->E + (int64_t)idx->values[t * c->A + k]];
        for (int64_t k = 0; k < c->A; k++) {
            const double s = scores->values[t * c->E + (int64_t)idx->values[t * c->A + k]];
            weight->values[t * c->A + k] =
                (float)((shape.is_normalised ? s / sum : s) * shape.routed_scale);
        }
    }
    case_put(data, "dweight", CASE_IN, CASE_ROWS, data->rows, c->A);
    case_put(data, "dlogits", CASE_OUT, CASE_ROWS, data->rows, c->E);
    if (c->spans > 0) case_put(data, "balance_c", CASE_IN, CASE_SPANS, data->span_count, c->E);
}
static void call_gate_bwd(struct stream *stream, const struct case_data *data) {
    ops_gate_bwd(stream, &(struct op_gate_bwd){.shape = shape_of(data->op_case),
                                               .dlogits = TENSOR(dlogits),
                                               .dweight = TENSOR(dweight),
                                               .scores = TENSOR(scores),
                                               .weight = TENSOR(weight),
                                               .idx = POINTER(idx),
                                               .balance_c = TENSOR(balance_c),
                                               .spans = data->spans,
                                               .span_count = data->span_count,
                                               .balance_coef = 0.5});
}
const struct op_kind case_kind_gate_bwd = {
    .op = "gate_bwd", .make = make_gate_bwd, .call = call_gate_bwd, .tolerance = 2e-6};

/* ---- dispatch and combine ---- */

/* Scores with many equal ones; every other sequence keeps all where it may. */
static void make_moe_drop(struct case_data *data) {
    struct case_array *scores = put_scores(data);
    for (int64_t i = 0; i < data->rows * data->op_case->E; i++)
        if (i % 3 != 0) scores->values[i] = (double)(i % 5) / 8;
    put_routing(data, CASE_WHOLE);
    case_put(data, "kept", CASE_OUT, CASE_WHOLE, data->rows, data->op_case->A)->type = CASE_I32;
}
static void call_moe_drop(struct stream *stream, const struct case_data *data) {
    const struct op_case *c = data->op_case;
    bool keeps_all[CASE_SPANS_MAX];
    for (int64_t n = 0; n < data->span_count; n++) keeps_all[n] = n % 2 == 1;
    ops_moe_drop(stream, &(struct op_moe_drop){.kept = POINTER(kept),
                                               .idx = POINTER(idx),
                                               .scores = TENSOR(scores),
                                               .spans = data->spans,
                                               .span_count = data->span_count,
                                               .keeps_all = FLAGS(CASE_OPTIONAL) ? keeps_all : NULL,
                                               .active = c->A,
                                               .devices = c->G,
                                               .capacity = c->Gk});
}
const struct op_kind case_kind_moe_drop = {
    .op = "moe_drop", .make = make_moe_drop, .call = call_moe_drop, .is_exact = true};

static void make_moe_plan(struct case_data *data) {
    const struct op_case *c = data->op_case;
    struct case_array *idx = put_routing(data, CASE_WHOLE);
    for (int64_t i = 0; i < c->T * c->A && FLAGS(CASE_DROPPED); i++)
        if (i % 7 < 3) idx->values[i] = -1;
    if (FLAGS(CASE_GIVEN)) {
        struct case_array *place = case_put(data, "place", CASE_IN, CASE_WHOLE, 1, c->E);
        place->type = CASE_I32;
        for (int64_t e = 0; e < c->E; e++) place->values[e] = (double)(c->E - 1 - e);
    }
    case_put(data, "offsets", CASE_OUT, CASE_WHOLE, 1, c->E + 1)->type = CASE_I32;
    const char *const names[] = {"row_token", "row_slot", "slot_row"};
    for (int i = 0; i < 3; i++)
        case_put(data, names[i], CASE_OUT, CASE_WHOLE, c->T, c->A)->type = CASE_I32;
    if (!FLAGS(CASE_OPTIONAL)) return;
    struct case_array *load = case_put(data, "load", CASE_INOUT, CASE_WHOLE, 1, c->E);
    load->type = CASE_I32;
    for (int64_t e = 0; e < c->E; e++) load->values[e] = (double)(100 + e);
}
static void call_moe_plan(struct stream *stream, const struct case_data *data) {
    ops_moe_plan(stream, &(struct op_moe_plan){.idx = POINTER(idx),
                                               .place = POINTER(place),
                                               .offsets = POINTER(offsets),
                                               .row_token = POINTER(row_token),
                                               .row_slot = POINTER(row_slot),
                                               .slot_row = POINTER(slot_row),
                                               .load = POINTER(load),
                                               .tokens = data->op_case->T,
                                               .active = data->op_case->A,
                                               .experts = data->op_case->E});
}
const struct op_kind case_kind_moe_plan = {
    .op = "moe_plan", .make = make_moe_plan, .call = call_moe_plan, .is_exact = true};

static void make_moe_combine(struct case_data *data) {
    const struct op_case *c = data->op_case;
    case_put(data, "rows", CASE_IN, CASE_WHOLE, c->T * c->A, c->C);
    if (FLAGS(CASE_WEIGHTED)) case_put(data, "weight", CASE_IN, CASE_ROWS, c->T, c->A);
    struct case_array *slot_row = case_put(data, "slot_row", CASE_IN, CASE_ROWS, c->T, c->A);
    slot_row->type = CASE_I32;
    const struct rng_key key = {.seed = 5, .purpose = RNG_TEST};
    for (int64_t i = 0; i < c->T * c->A; i++)
        slot_row->values[i] = (double)rng_permute(key, (uint64_t)i, (uint64_t)(c->T * c->A));
    for (int64_t i = 0; i < c->T * c->A && FLAGS(CASE_DROPPED); i++)
        if (i % 5 < 2) slot_row->values[i] = -1;
    if (FLAGS(CASE_ALIASED)) {
        case_put(data, "add", CASE_INOUT, CASE_ROWS, c->T, c->C);
        return;
    }
    if (FLAGS(CASE_OPTIONAL)) case_put(data, "add", CASE_IN, CASE_ROWS, c->T, c->C);
    case_put(data, "y", CASE_OUT, CASE_ROWS, c->T, c->C);
}
static void call_moe_combine(struct stream *stream, const struct case_data *data) {
    ops_moe_combine(stream,
                    &(struct op_moe_combine){.y = FLAGS(CASE_ALIASED) ? TENSOR(add) : TENSOR(y),
                                             .rows = TENSOR(rows),
                                             .weight = TENSOR(weight),
                                             .add = TENSOR(add),
                                             .slot_row = POINTER(slot_row),
                                             .active = data->op_case->A});
}
const struct op_kind case_kind_moe_combine = {
    .op = "moe_combine", .make = make_moe_combine, .call = call_moe_combine, .tolerance = 1e-6};

/* ---- loss ---- */

static void make_cross_entropy(struct case_data *data) {
    const struct op_case *c = data->op_case;
    struct case_array *logits = case_put(
        data, "logits", FLAGS(CASE_GRADIENT) ? CASE_INOUT : CASE_IN, CASE_ROWS, c->T, c->C);
    for (int64_t i = 0; i < c->T * c->C; i++) logits->values[i] = (float)(3 * logits->values[i]);
    struct case_array *targets = case_put(data, "targets", CASE_IN, CASE_ROWS, c->T, 1);
    targets->type = CASE_I32;
    for (int64_t t = 0; t < c->T; t++)
        targets->values[t] = t % 4 == 3 ? -1 : (double)case_below(targets, t, c->C);
    if (FLAGS(CASE_GRADIENT)) case_put(data, "coef", CASE_IN, CASE_ROWS, c->T, 1)->type = CASE_F32;
    case_put(data, "logp", CASE_OUT, CASE_ROWS, c->T, 1)->type = CASE_F32;
    if (!FLAGS(CASE_OPTIONAL)) return;
    case_put(data, "entropy", CASE_OUT, CASE_ROWS, c->T, 1)->type = CASE_F32;
    case_put(data, "top", CASE_OUT, CASE_ROWS, c->T, 1)->type = CASE_I32;
}
static void call_cross_entropy(struct stream *stream, const struct case_data *data) {
    ops_cross_entropy(stream,
                      &(struct op_cross_entropy){.logits = TENSOR(logits),
                                                 .targets = POINTER(targets),
                                                 .coef = POINTER(coef),
                                                 .logp = POINTER(logp),
                                                 .entropy = POINTER(entropy),
                                                 .top = POINTER(top),
                                                 .is_gradient_wanted = FLAGS(CASE_GRADIENT)});
}
const struct op_kind case_kind_cross_entropy = {.op = "cross_entropy",
                                                .make = make_cross_entropy,
                                                .call = call_cross_entropy,
                                                .tolerance = 2e-6};

/* ---- optimizer ---- */

static void make_adamw(struct case_data *data) {
    const int64_t n = data->op_case->C;
    case_put(data, "p", CASE_INOUT, CASE_WHOLE, 1, n);
    case_put(data, "g", CASE_IN, CASE_WHOLE, 1, n);
    case_put(data, "m", CASE_INOUT, CASE_WHOLE, 1, n);
    struct case_array *v = case_put(data, "v", CASE_INOUT, CASE_WHOLE, 1, n);
    for (int64_t i = 0; i < n; i++) v->values[i] = (float)fabs(v->values[i]);
}
static void call_adamw(struct stream *stream, const struct case_data *data) {
    ops_adamw(stream, &(struct op_adamw){.p = TENSOR(p),
                                         .g = TENSOR(g),
                                         .m = TENSOR(m),
                                         .v = TENSOR(v),
                                         .lr = 1e-2,
                                         .beta1 = 0.9,
                                         .beta2 = 0.95,
                                         .eps = 1e-8,
                                         .decay = 0.1,
                                         .grad_scale = 0.5,
                                         .correction1 = 1 - 0.9 * 0.9 * 0.9,
                                         .correction2 = 1 - 0.95 * 0.95 * 0.95});
}
const struct op_kind case_kind_adamw = {
    .op = "adamw", .make = make_adamw, .call = call_adamw, .tolerance = 1e-6};

static void make_lerp(struct case_data *data) {
    const int64_t n = data->op_case->C;
    case_put(data, "y", CASE_INOUT, CASE_WHOLE, 1, n);
    case_put(data, "x", CASE_IN, CASE_WHOLE, 1, n);
}
static void call_lerp(struct stream *stream, const struct case_data *data) {
    ops_lerp(stream, &(struct op_lerp){.y = TENSOR(y), .x = TENSOR(x), .weight = 0.3});
}
const struct op_kind case_kind_lerp = {
    .op = "lerp", .make = make_lerp, .call = call_lerp, .tolerance = 1e-6};

static void make_sumsq(struct case_data *data) {
    const int64_t n = data->op_case->C;
    case_put(data, "x", CASE_IN, CASE_WHOLE, 1, n);
    case_put(data, "partial", CASE_OUT, CASE_WHOLE, 1, (n + SUMSQ_CHUNK - 1) / SUMSQ_CHUNK)->type =
        CASE_F64;
}
static void call_sumsq(struct stream *stream, const struct case_data *data) {
    ops_sumsq(stream, &(struct op_sumsq){.partial = POINTER(partial), .x = TENSOR(x)});
}
const struct op_kind case_kind_sumsq = {
    .op = "sumsq", .make = make_sumsq, .call = call_sumsq, .tolerance = 1e-12};
