/* DeepSeekMoE (V3 report 2.1.2): K of E routed experts for each token, and shared experts for all.
 *
 *   s = sigmoid or softmax(xn W_r^T);  idx = the chosen K (bias and groups count here only)
 *   w = s[idx], renormalised and scaled
 *   y = x + sum_k w_k E_idx_k(xn) + E_shared(xn),   E(x) = (silu(x W_g^T) * (x W_u^T)) W_d^T
 *
 * A slot k that its device drops (V2 report 2.2.4) is left out of the sum.
 *
 * Backward. With z = silu(g)*u of a routed row, y_row = w * (z W_d^T), so from dz' = dy W_d
 * (without w): dw = dz' . z and dz = w * dz'. The experts' outputs are therefore never needed
 * again. */
#include <math.h>

#include "model/layer.h"
#include "ops/moe.h"
#include "ops/product.h"
#include "ops/rows.h"

/* Which of the chosen slots are computed. */
static void moe_drop(const struct pass *pass, struct moe_saved *saved) {
    const struct batch *batch = pass->batch;
    const int64_t devices = pass->balance_levels.devices;
    if (pass->capacity_factor == 0 || pass->routing || batch->tokens_count == 0) return;
    const double mean = (double)saved->plan.slots / (double)devices;
    ops_moe_drop(pass->stream,
                 &(struct op_moe_drop){.kept = saved->plan.kept,
                                       .idx = saved->plan.idx,
                                       .scores = saved->scores,
                                       .spans = batch->spans,
                                       .span_count = batch->span_count,
                                       .keeps_all = batch->keeps_all,
                                       .active = pass->model->config.active_experts,
                                       .devices = devices,
                                       .capacity = (int64_t)ceil(pass->capacity_factor * mean)});
}

/* scores, idx and weights of every token, what of it is dropped, and each sequence's balance loss.
 */
static void moe_route(const struct pass *pass, int64_t layer, struct tensor xn,
                      struct moe_saved *saved) {
    bool is_given = pass->routing != NULL;
    const struct model *model = pass->model;
    const struct model_config *c = &model->config;
    const struct batch *batch = pass->batch;
    ops_linear(pass->stream, PRECISION_F32, saved->scores, xn, model->layers[layer].router,
               (struct tensor){0});
    ops_gate_fwd(pass->stream, &(struct op_gate_fwd){.shape = c->gate,
                                                     .scores = saved->scores,
                                                     .weight = saved->weight,
                                                     .logits = saved->scores,
                                                     .bias = model->router_bias[layer],
                                                     .idx = saved->plan.idx,
                                                     .idx_is_given = is_given});
    moe_drop(pass, saved);
    if (pass->balance_coef == 0) return;
    ops_balance_fwd(pass->stream,
                    &(struct op_balance_fwd){.loss = saved->balance,
                                             .c = saved->balance_c,
                                             .scores = saved->scores,
                                             .idx = pass->balances_routed ? saved->plan.idx : NULL,
                                             .spans = batch->spans,
                                             .span_count = batch->span_count,
                                             .active = c->active_experts,
                                             .levels = pass->balance_levels,
                                             .c_is_given = is_given});
}

/* x [T, D] as the experts get it. In FP8 it is sent so, with power-of-two scales (V3 report 3.3.3):
 * a copy in scratch, whose rounding by a product's own tiles along its rows changes nothing. */
static struct tensor moe_sent(const struct pass *pass, struct tensor x) {
    if (pass->model->precision != PRECISION_FP8) return x;
    struct tensor sent = pass_tensor(pass, pass->scratch, x.rows, x.cols);
    ops_round(pass->stream, &(struct op_round){.y = sent, .x = x, .rounding = ROUND_E4M3_POW2});
    return sent;
}

/* The part of an experts' tensor [E*n, any] that belongs to those that are computed here. */
static struct tensor experts_of(struct tensor x, const struct model_config *c,
                                struct own_experts own) {
    const int64_t each = x.rows / c->experts;
    return tensor_rows(x, own.first * each, own.count * each);
}

/* rows [R, D]: every routed row's expert output, before its weight. */
static void experts_forward(const struct pass *pass, int64_t layer, struct tensor rows,
                            struct dispatched in, struct moe_saved *saved) {
    const struct model_config *c = &pass->model->config;
    const struct layer_tensors *w = &pass->model->layers[layer];
    const struct dispatch_plan *plan = &saved->plan;
    const struct own_experts own = dispatch_own(pass, plan);
    int64_t F = c->expert_dim;
    size_t mark = arena_mark(pass->scratch);
    struct tensor act = pass_tensor(pass, pass->scratch, plan->rows, F);
    struct tensor gate = tensor_cols(saved->gate_up, 0, F), up = tensor_cols(saved->gate_up, F, F);
    struct op_matmul_grouped product = {.form = MATMUL_NT,
                                        .offsets = own.offsets,
                                        .experts = own.count,
                                        .rows = plan->rows,
                                        .round_b = precision_weight(pass->model->precision)};
    product.c = saved->gate_up;
    product.a = in.rows;
    product.b = experts_of(w->expert_gate_up, c, own);
    product.gather_a = in.gather;
    product.round_a = precision_activation(precision_kept(pass->model));
    ops_matmul_grouped(pass->stream, &product);

    ops_swiglu_fwd(pass->stream, &(struct op_swiglu_fwd){.y = act, .g = gate, .u = up});
    pass_round(pass, gate, ROUND_E4M3);
    pass_round(pass, up, ROUND_E4M3);

    product.c = rows;
    product.a = act;
    product.b = experts_of(w->expert_down, c, own);
    product.gather_a = NULL;
    product.round_a = precision_activation(pass->model->precision);
    ops_matmul_grouped(pass->stream, &product);
    arena_reset(pass->scratch, mark);
}

/* Memory for what is saved; saved->balance is the caller's. Given routing is read where it is. */
static void moe_take(const struct pass *pass, int64_t layer, int64_t T, struct moe_saved *saved) {
    const struct model_config *c = &pass->model->config;
    const struct moe_saved *given = pass->routing ? &pass->routing[layer].ffn.moe : NULL;
    dispatch_plan_take(pass, pass->kept, T, &saved->plan);
    if (given) {
        saved->plan.idx = given->plan.idx;
        saved->plan.kept = pass->capacity_factor != 0 ? given->plan.kept : given->plan.idx;
    }
    saved->scores = pass_tensor(pass, pass->kept, T, c->experts);
    saved->weight = pass_tensor(pass, pass->kept, T, c->active_experts);
    saved->gate_up = pass_tensor(pass, pass->kept, saved->plan.rows, 2 * c->expert_dim);
    if (pass->balance_coef == 0) return;
    saved->balance_c = given ? given->balance_c
                             : pass_tensor(pass, pass->kept, pass->batch->span_count, c->experts);
}

void moe_forward(const struct pass *pass, int64_t layer, struct tensor y, struct tensor x,
                 struct tensor xn, struct ffn_saved *saved) {
    const struct model *model = pass->model;
    const struct layer_tensors *w = &model->layers[layer];
    struct moe_saved *moe = &saved->moe;
    struct row_exchange exchange;
    moe_take(pass, layer, xn.rows, moe);
    moe_route(pass, layer, xn, moe);

    size_t mark = arena_mark(pass->scratch);
    struct tensor sent = moe_sent(pass, xn);
    dispatch_begin(pass, &moe->plan, pass->counts_loads ? model->loads[layer] : NULL, sent,
                   &exchange);
    struct tensor add = x;
    if (w->gate_up.rows > 0) {
        mlp_forward(pass, y, xn, w->gate_up, w->down, &saved->mlp);
        ops_add(pass->stream, &(struct op_add){.y = y, .a = x, .b = y});
        add = y;
    }
    struct dispatched in = dispatch_finish(pass, &moe->plan, &exchange);
    moe->gate_up = tensor_rows(moe->gate_up, 0, moe->plan.rows);
    struct tensor rows = pass_tensor(pass, pass->scratch, moe->plan.rows, x.cols);
    experts_forward(pass, layer, rows, in, moe);
    combine_begin(pass, &moe->plan, rows, &exchange);
    combine_finish(pass, &moe->plan, y, &exchange, moe->weight, add);
    arena_reset(pass->scratch, mark);
}

/* ---- backward ---- */

/* dz [R, F] in: gradient of z without its weight; out: the weighted z. dgu [R, 2F] and dweight [T,
 * K] out. */
static void activation_backward(const struct pass *pass, struct tensor dz, struct tensor dgu,
                                struct tensor dweight, const struct moe_saved *saved) {
    const int64_t F = dz.cols;
    const struct dispatch_plan *plan = &saved->plan;
    const size_t mark = arena_mark(pass->scratch);
    const struct slot_values weights = slot_values_send(pass, plan, saved->weight);
    const struct tensor dweights = slot_values_like(pass, weights, dweight);
    ops_swiglu_bwd(pass->stream, &(struct op_swiglu_bwd){.dg = tensor_cols(dgu, 0, F),
                                                         .du = tensor_cols(dgu, F, F),
                                                         .wy = dz,
                                                         .dz = dz,
                                                         .g = tensor_cols(saved->gate_up, 0, F),
                                                         .u = tensor_cols(saved->gate_up, F, F),
                                                         .weight = weights.values,
                                                         .dweight = dweights,
                                                         .slot = weights.slot});
    slot_values_return(pass, plan, dweights, dweight);
    arena_reset(pass->scratch, mark);
}

/* drows [R, D]: gradient of every dispatched row; dweight [T, K] of the gate's weights. */
static void experts_backward(const struct pass *pass, int64_t layer, struct tensor drows,
                             struct tensor dweight, struct tensor dy, struct tensor xn,
                             const struct moe_saved *saved) {
    const struct model_config *c = &pass->model->config;
    const struct layer_tensors *w = &pass->model->layers[layer];
    const struct layer_tensors *dw = &pass->model->layer_grads[layer];
    const struct dispatch_plan *plan = &saved->plan;
    struct stream *stream = pass->stream;
    const struct own_experts own_part = dispatch_own(pass, plan);
    int64_t F = c->expert_dim, R = plan->rows;
    size_t mark = arena_mark(pass->scratch);
    struct tensor dz = pass_tensor(pass, pass->scratch, R, F);
    struct tensor dgu = pass_tensor(pass, pass->scratch, R, 2 * F);
    const enum rounding own = precision_gradient(pass->model->precision);
    const enum rounding sent = precision_activation(precision_kept(pass->model));
    const enum rounding weight = precision_weight(pass->model->precision);
    struct dispatched from = dispatch_again(pass, plan, moe_sent(pass, dy));
    struct op_matmul_grouped product = {
        .offsets = own_part.offsets, .experts = own_part.count, .rows = R};

    product.form = MATMUL_NN; /* row = z W_d^T, w left out */
    product.c = dz;
    product.a = from.rows;
    product.b = experts_of(w->expert_down, c, own_part);
    product.gather_a = from.gather;
    product.round_a = sent;
    product.round_b = weight;
    ops_matmul_grouped(stream, &product);

    activation_backward(pass, dz, dgu, dweight, saved);
    product.form = MATMUL_TN; /* dW_d += dy^T (w z) */
    product.c = experts_of(dw->expert_down, c, own_part);
    product.b = dz;
    product.accumulate = true;
    product.round_b = own;
    ops_matmul_grouped(stream, &product);

    from = dispatch_again(pass, plan, moe_sent(pass, xn));
    product.c = experts_of(dw->expert_gate_up, c, own_part); /* gu = xn W_gu^T */
    product.a = dgu;
    product.b = from.rows;
    product.gather_a = NULL;
    product.gather_b = from.gather;
    product.round_a = own;
    product.round_b = sent;
    ops_matmul_grouped(stream, &product);

    product.form = MATMUL_NN;
    product.c = drows;
    product.b = experts_of(w->expert_gate_up, c, own_part);
    product.gather_b = NULL;
    product.accumulate = false;
    product.round_b = weight;
    ops_matmul_grouped(stream, &product);
    arena_reset(pass->scratch, mark);
}

/* dxn += gradient through the gate, from dweight and the balance loss. */
static void gate_backward(const struct pass *pass, int64_t layer, struct tensor dxn,
                          struct tensor dweight, struct tensor xn, const struct moe_saved *saved,
                          bool accumulate) {
    const struct model *model = pass->model;
    size_t mark = arena_mark(pass->scratch);
    struct tensor dlogits =
        pass_tensor(pass, pass->scratch, saved->scores.rows, saved->scores.cols);
    ops_gate_bwd(pass->stream, &(struct op_gate_bwd){.shape = model->config.gate,
                                                     .dlogits = dlogits,
                                                     .dweight = dweight,
                                                     .scores = saved->scores,
                                                     .weight = saved->weight,
                                                     .idx = saved->plan.idx,
                                                     .balance_c = saved->balance_c,
                                                     .spans = pass->batch->spans,
                                                     .span_count = pass->batch->span_count,
                                                     .balance_coef = pass->balance_coef});
    ops_linear_dw(pass->stream, PRECISION_F32, model->layer_grads[layer].router, dlogits, xn);
    ops_linear_dx(pass->stream, PRECISION_F32, dxn, dlogits, model->layers[layer].router,
                  accumulate);
    arena_reset(pass->scratch, mark);
}

void moe_backward(const struct pass *pass, int64_t layer, struct tensor dxn, struct tensor dy,
                  struct tensor xn, const struct ffn_saved *saved) {
    const struct layer_tensors *w = &pass->model->layers[layer];
    const struct layer_tensors *dw = &pass->model->layer_grads[layer];
    const struct moe_saved *moe = &saved->moe;
    bool has_shared = w->gate_up.rows > 0;
    struct row_exchange exchange;
    size_t mark = arena_mark(pass->scratch);
    struct tensor drows = pass_tensor(pass, pass->scratch, moe->plan.rows, xn.cols);
    struct tensor dweight = pass_tensor(pass, pass->scratch, moe->weight.rows, moe->weight.cols);

    if (has_shared)
        mlp_backward(pass, dxn, dy, xn, w->gate_up, w->down, dw->gate_up, dw->down, &saved->mlp);
    experts_backward(pass, layer, drows, dweight, dy, xn, moe);
    gate_backward(pass, layer, dxn, dweight, xn, moe, has_shared);
    combine_begin(pass, &moe->plan, drows, &exchange);
    combine_finish(pass, &moe->plan, dxn, &exchange, (struct tensor){0}, dxn);
    arena_reset(pass->scratch, mark);
}
