/* Grouped-query attention of the dense models (Qwen2 with q, k, v biases; Qwen3 with q and k norms;
 * Llama 3), every head wholly rotated in halves.
 *
 *   [q | k | v] = rmsnorm(x) W_in^T + b;  Qwen3: q, k = rmsnorm of each head
 *   q, k rotated;  o = attention(q, k, v);  attn = o W_o^T */
#include "model/attention.h"
#include "model/kv_cache.h"
#include "ops/attention.h"
#include "ops/product.h"
#include "ops/rows.h"

/* Queries and keys as the attention reads them. */
struct gqa_work {
    struct tensor q; /* [T, H*Dn] */
    struct tensor k; /* [T, Hk*Dn] */
};

static struct tensor in_q(const struct model_config *c, struct tensor in) {
    return tensor_cols(in, 0, c->heads * c->dim_nope);
}
static struct tensor in_k(const struct model_config *c, struct tensor in) {
    return tensor_cols(in, c->heads * c->dim_nope, c->kv_heads * c->dim_nope);
}
static struct tensor in_v(const struct model_config *c, struct tensor in) {
    return tensor_cols(in, (c->heads + c->kv_heads) * c->dim_nope, c->kv_heads * c->dim_value);
}

static struct attention_shape gqa_shape(const struct model *model) {
    const struct model_config *c = &model->config;
    return (struct attention_shape){.heads = c->heads,
                                    .kv_heads = c->kv_heads,
                                    .dim_nope = c->dim_nope,
                                    .dim_value = c->dim_value,
                                    .q_stride = c->dim_nope,
                                    .k_stride = c->dim_nope,
                                    .v_stride = c->dim_value,
                                    .o_stride = c->dim_value,
                                    .scale = model->softmax_scale};
}

static void rotate(const struct pass *pass, struct tensor x, bool is_inverse) {
    int64_t dim = pass->model->config.dim_nope;
    ops_rope(pass->stream, &(struct op_rope){.x = x,
                                             .cos = pass->cos,
                                             .sin = pass->sin,
                                             .heads = x.cols / dim,
                                             .head_stride = dim,
                                             .layout = ROPE_HALF,
                                             .is_inverse = is_inverse});
}

/* y [T, heads*Dn] = rmsnorm of each head of x (a column range of `in`); rstd [T*heads, 1]. Heads
 * become rows, so x is first copied out of `in`. */
static void head_norm(const struct pass *pass, struct tensor y, struct tensor x, struct tensor w,
                      struct tensor rstd) {
    const struct model_config *c = &pass->model->config;
    copy_rows(pass->stream, y, x);
    struct tensor heads = tensor_reshape(y, c->dim_nope);
    ops_rmsnorm_fwd(
        pass->stream,
        &(struct op_rmsnorm_fwd){.y = heads, .x = heads, .w = w, .rstd = rstd, .eps = c->norm_eps});
}

/* Normed and rotated queries and keys from the saved projection. */
static void gqa_prepare(const struct pass *pass, const struct layer_tensors *w,
                        const struct attention_saved *saved, struct gqa_work *work) {
    const struct model_config *c = &pass->model->config;
    struct tensor q = in_q(c, saved->in), k = in_k(c, saved->in);
    if (!c->has_qk_norm) {
        *work = (struct gqa_work){q, k};
        return;
    }
    work->q = pass_tensor(pass, pass->scratch, q.rows, q.cols);
    work->k = pass_tensor(pass, pass->scratch, k.rows, k.cols);
    head_norm(pass, work->q, q, w->q_norm, saved->q_rstd);
    head_norm(pass, work->k, k, w->k_norm, saved->kv_rstd);
    rotate(pass, work->q, false);
    rotate(pass, work->k, false);
}

static void gqa_project(const struct pass *pass, const struct layer_tensors *w, struct tensor x,
                        const struct attention_saved *saved) {
    const struct model_config *c = &pass->model->config;
    size_t mark = arena_mark(pass->scratch);
    struct tensor normed = pass_tensor(pass, pass->scratch, x.rows, x.cols);
    ops_rmsnorm_fwd(
        pass->stream,
        &(struct op_rmsnorm_fwd){
            .y = normed, .x = x, .w = w->attn_norm, .rstd = saved->rstd, .eps = c->norm_eps});
    ops_linear(pass->stream, pass->model->precision, saved->in, normed, w->attn_in,
               w->attn_in_bias);
    if (!c->has_qk_norm) {
        rotate(pass, in_q(c, saved->in), false);
        rotate(pass, in_k(c, saved->in), false);
    }
    arena_reset(pass->scratch, mark);
}

static void gqa_attend(const struct pass *pass, int64_t layer, const struct gqa_work *work,
                       const struct attention_saved *saved) {
    const struct model_config *c = &pass->model->config;
    const struct batch *batch = pass->batch;
    struct tensor k = work->k, v = in_v(c, saved->in);
    if (pass->cache) {
        struct tensor kv = pass->cache->kv[layer];
        struct tensor cached_k = tensor_cols(kv, 0, k.cols);
        struct tensor cached_v = tensor_cols(kv, k.cols, v.cols);
        kv_cache_append(pass->stream, cached_k, k, batch->spans, batch->span_count);
        kv_cache_append(pass->stream, cached_v, v, batch->spans, batch->span_count);
        k = cached_k;
        v = cached_v;
    }
    ops_attention_fwd(pass->stream, &(struct op_attention_fwd){.shape = gqa_shape(pass->model),
                                                               .o = saved->o,
                                                               .lse = saved->lse,
                                                               .q = work->q,
                                                               .k = k,
                                                               .v = v,
                                                               .spans = batch->spans,
                                                               .span_count = batch->span_count});
}

void gqa_forward(const struct pass *pass, int64_t layer, struct tensor attn, struct tensor x,
                 struct attention_saved *saved) {
    const struct model_config *c = &pass->model->config;
    const struct layer_tensors *w = &pass->model->layers[layer];
    int64_t T = x.rows;
    *saved = (struct attention_saved){
        .rstd = pass_tensor(pass, pass->kept, T, 1),
        .in = pass_tensor(pass, pass->kept, T, w->attn_in.rows),
        .o = pass_tensor(pass, pass->kept, T, c->heads * c->dim_value),
        .lse = pass_tensor(pass, pass->kept, T, c->heads),
    };
    if (c->has_qk_norm) {
        saved->q_rstd = pass_tensor(pass, pass->kept, T * c->heads, 1);
        saved->kv_rstd = pass_tensor(pass, pass->kept, T * c->kv_heads, 1);
    }
    size_t mark = arena_mark(pass->scratch);
    struct gqa_work work;
    gqa_project(pass, w, x, saved);
    gqa_prepare(pass, w, saved, &work);
    gqa_attend(pass, layer, &work, saved);
    pass_round(pass, saved->o, ROUND_E5M6_POW2);
    ops_linear(pass->stream, precision_kept(pass->model), attn, saved->o, w->o, (struct tensor){0});
    arena_reset(pass->scratch, mark);
}

/* ---- backward ---- */

/* y = rmsnorm of each head: turns dy [T, heads*Dn] into the gradient of x's columns, dx. */
static void head_norm_backward(const struct pass *pass, struct tensor dx, struct tensor dy,
                               struct tensor x, struct tensor rstd, struct tensor w,
                               struct tensor dw) {
    int64_t dim = pass->model->config.dim_nope;
    size_t mark = arena_mark(pass->scratch);
    struct tensor copy = pass_tensor(pass, pass->scratch, x.rows, x.cols);
    copy_rows(pass->stream, copy, x);
    ops_rmsnorm_bwd(pass->stream, &(struct op_rmsnorm_bwd){.dx = tensor_reshape(dy, dim),
                                                           .dw = dw,
                                                           .dy = tensor_reshape(dy, dim),
                                                           .x = tensor_reshape(copy, dim),
                                                           .w = w,
                                                           .rstd = rstd});
    copy_rows(pass->stream, dx, dy);
    arena_reset(pass->scratch, mark);
}

/* The gradient of `in` from that of o. */
static void gqa_attend_backward(const struct pass *pass, int64_t layer, struct tensor din,
                                struct tensor dout, const struct attention_saved *saved) {
    const struct model_config *c = &pass->model->config;
    const struct layer_tensors *w = &pass->model->layers[layer];
    const struct layer_tensors *dw = &pass->model->layer_grads[layer];
    size_t mark = arena_mark(pass->scratch);
    struct gqa_work work;
    struct tensor dq = in_q(c, din), dk = in_k(c, din);
    gqa_prepare(pass, w, saved, &work);
    if (c->has_qk_norm) {
        dq = pass_tensor(pass, pass->scratch, dq.rows, dq.cols);
        dk = pass_tensor(pass, pass->scratch, dk.rows, dk.cols);
    }
    ops_attention_bwd(
        pass->stream,
        &(struct op_attention_bwd){.shape = gqa_shape(pass->model),
                                   .dq = dq,
                                   .dk = dk,
                                   .dv = in_v(c, din),
                                   .delta = pass_tensor(pass, pass->scratch, dq.rows, c->heads),
                                   .dout = dout,
                                   .q = work.q,
                                   .k = work.k,
                                   .v = in_v(c, saved->in),
                                   .o = saved->o,
                                   .lse = saved->lse,
                                   .spans = pass->batch->spans,
                                   .span_count = pass->batch->span_count});
    rotate(pass, dq, true);
    rotate(pass, dk, true);
    if (c->has_qk_norm) {
        head_norm_backward(pass, in_q(c, din), dq, in_q(c, saved->in), saved->q_rstd, w->q_norm,
                           dw->q_norm);
        head_norm_backward(pass, in_k(c, din), dk, in_k(c, saved->in), saved->kv_rstd, w->k_norm,
                           dw->k_norm);
    }
    arena_reset(pass->scratch, mark);
}

void gqa_backward(const struct pass *pass, int64_t layer, struct tensor dx, struct tensor add,
                  struct tensor dattn, struct tensor x, const struct attention_saved *saved) {
    const struct model_config *c = &pass->model->config;
    const struct layer_tensors *w = &pass->model->layers[layer];
    const struct layer_tensors *dw = &pass->model->layer_grads[layer];
    struct stream *stream = pass->stream;
    size_t mark = arena_mark(pass->scratch);
    int64_t T = x.rows;

    /* attn = o W_o^T */
    struct tensor dout = pass_tensor(pass, pass->scratch, T, saved->o.cols);
    struct tensor din = pass_tensor(pass, pass->scratch, T, saved->in.cols);
    ops_linear_dx(stream, precision_kept(pass->model), dout, dattn, w->o, false);
    ops_linear_dw(stream, precision_kept(pass->model), dw->o, dattn, saved->o);
    gqa_attend_backward(pass, layer, din, dout, saved);

    /* in = rmsnorm(x) W_in^T + b */
    struct tensor normed = pass_tensor(pass, pass->scratch, T, x.cols);
    struct tensor dnormed = pass_tensor(pass, pass->scratch, T, x.cols);
    if (c->has_qkv_bias)
        ops_sum_rows(stream, &(struct op_sum_rows){.y = dw->attn_in_bias, .x = din});
    ops_rmsnorm_fwd(stream, &(struct op_rmsnorm_fwd){
                                .y = normed, .x = x, .w = w->attn_norm, .eps = c->norm_eps});
    ops_linear_dw(stream, pass->model->precision, dw->attn_in, din, normed);
    ops_linear_dx(stream, pass->model->precision, dnormed, din, w->attn_in, false);
    ops_rmsnorm_bwd(stream, &(struct op_rmsnorm_bwd){.dx = dx,
                                                     .dw = dw->attn_norm,
                                                     .dy = dnormed,
                                                     .x = x,
                                                     .w = w->attn_norm,
                                                     .rstd = saved->rstd,
                                                     .add = add});
    arena_reset(pass->scratch, mark);
}
