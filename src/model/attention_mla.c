/* Multi-head latent attention (DeepSeek-V2 report 2.1, V3 report eqs 1-11).
 *
 *   xn = rmsnorm(x)
 *   [cq | ckv | kr] = xn W_in^T          cq [Q], ckv [R], kr [Dr]; one stacked product
 *   q  = rmsnorm(cq) W_qb^T              a head: Dn nope, Dr rope   (no q latent: q = xn W_q^T)
 *   kv = rmsnorm(ckv) W_kvb^T            a head: Dn key, Dv value
 *   q_rope, kr rotated;  o = attention(q, [k | kr], v);  attn = o W_o^T
 *
 * xn, the normed latents, q and kv are computed again in the backward (V3 report 3.2.3). */
#include "model/attention.h"
#include "model/kv_cache.h"
#include "ops/attention.h"
#include "ops/product.h"
#include "ops/rows.h"

/* What lies between the latents and the attention. */
struct mla_work {
    struct tensor q_normed;  /* [T, Q]; absent without a q latent */
    struct tensor kv_normed; /* [T, R] */
    struct tensor q;         /* [T, H*Dk] rotated; without a q latent a view of saved->in */
    struct tensor kv;        /* [T, H*(Dn+Dv)] */
};

/* Column ranges of the stacked projection. */
static int64_t q_columns(const struct model_config *c) {
    return c->q_rank > 0 ? c->q_rank : c->heads * config_dim_key(c);
}
static struct tensor in_q(const struct model_config *c, struct tensor in) {
    return tensor_cols(in, 0, q_columns(c));
}
static struct tensor in_kv(const struct model_config *c, struct tensor in) {
    return tensor_cols(in, q_columns(c), c->kv_rank);
}
static struct tensor in_k_rope(const struct model_config *c, struct tensor in) {
    return tensor_cols(in, q_columns(c) + c->kv_rank, c->dim_rope);
}

static struct attention_shape mla_shape(const struct model *model) {
    const struct model_config *c = &model->config;
    return (struct attention_shape){.heads = c->heads,
                                    .kv_heads = c->heads,
                                    .dim_nope = c->dim_nope,
                                    .dim_rope = c->dim_rope,
                                    .dim_value = c->dim_value,
                                    .q_stride = c->dim_nope + c->dim_rope,
                                    .k_stride = c->dim_nope + c->dim_value,
                                    .v_stride = c->dim_nope + c->dim_value,
                                    .o_stride = c->dim_value,
                                    .scale = model->softmax_scale};
}

static void rotate_queries(const struct pass *pass, struct tensor q, bool is_inverse) {
    const struct model_config *c = &pass->model->config;
    ops_rope(pass->stream, &(struct op_rope){
                               .x = tensor_cols(q, c->dim_nope, q.cols - c->dim_nope),
                               .cos = pass->cos,
                               .sin = pass->sin,
                               .heads = c->heads,
                               .head_stride = config_dim_key(c),
                               .layout = ROPE_INTERLEAVED,
                               .is_inverse = is_inverse,
                           });
}

static void rotate_shared_key(const struct pass *pass, struct tensor k_rope, bool is_inverse) {
    ops_rope(pass->stream, &(struct op_rope){.x = k_rope,
                                             .cos = pass->cos,
                                             .sin = pass->sin,
                                             .heads = 1,
                                             .head_stride = k_rope.cols,
                                             .layout = ROPE_INTERLEAVED,
                                             .is_inverse = is_inverse});
}

/* [cq | ckv | kr] = rmsnorm(x) W_in^T, with everything rotated that is not projected further. */
static void mla_latents(const struct pass *pass, const struct layer_tensors *w, struct tensor x,
                        struct attention_saved *saved) {
    const struct model_config *c = &pass->model->config;
    size_t mark = arena_mark(pass->scratch);
    struct tensor normed = pass_tensor(pass, pass->scratch, x.rows, x.cols);
    ops_rmsnorm_fwd(
        pass->stream,
        &(struct op_rmsnorm_fwd){
            .y = normed, .x = x, .w = w->attn_norm, .rstd = saved->rstd, .eps = c->norm_eps});
    ops_linear(pass->stream, pass->model->precision, saved->in, normed, w->attn_in,
               (struct tensor){0});
    rotate_shared_key(pass, in_k_rope(c, saved->in), false);
    if (c->q_rank == 0) rotate_queries(pass, in_q(c, saved->in), false);
    arena_reset(pass->scratch, mark);
}

/* The up-projections from the saved latents, into scratch that the caller gives back. The first run
 * fills the norms' rstd; a recomputation writes the same values again. */
static void mla_up_project(const struct pass *pass, const struct layer_tensors *w,
                           const struct attention_saved *saved, struct mla_work *work) {
    const struct model_config *c = &pass->model->config;
    int64_t T = saved->in.rows;
    *work = (struct mla_work){0};
    work->kv_normed = pass_tensor(pass, pass->scratch, T, c->kv_rank);
    work->kv = pass_tensor(pass, pass->scratch, T, c->heads * (c->dim_nope + c->dim_value));
    ops_rmsnorm_fwd(pass->stream, &(struct op_rmsnorm_fwd){.y = work->kv_normed,
                                                           .x = in_kv(c, saved->in),
                                                           .w = w->kv_a_norm,
                                                           .rstd = saved->kv_rstd,
                                                           .eps = c->norm_eps});
    ops_linear(pass->stream, pass->model->precision, work->kv, work->kv_normed, w->kv_b,
               (struct tensor){0});

    if (c->q_rank == 0) {
        work->q = in_q(c, saved->in);
        return;
    }
    work->q_normed = pass_tensor(pass, pass->scratch, T, c->q_rank);
    work->q = pass_tensor(pass, pass->scratch, T, c->heads * config_dim_key(c));
    ops_rmsnorm_fwd(pass->stream, &(struct op_rmsnorm_fwd){.y = work->q_normed,
                                                           .x = in_q(c, saved->in),
                                                           .w = w->q_a_norm,
                                                           .rstd = saved->q_rstd,
                                                           .eps = c->norm_eps});
    ops_linear(pass->stream, pass->model->precision, work->q, work->q_normed, w->q_b,
               (struct tensor){0});
    rotate_queries(pass, work->q, false);
}

/* Attention over this batch's own rows, or over the cache after appending them. */
static void mla_attend(const struct pass *pass, int64_t layer, const struct mla_work *work,
                       const struct attention_saved *saved) {
    const struct model_config *c = &pass->model->config;
    const struct batch *batch = pass->batch;
    struct tensor kv = work->kv, k_rope = in_k_rope(c, saved->in);
    if (pass->cache) {
        struct kv_cache *cache = pass->cache;
        kv_cache_append(pass->stream, cache->kv[layer], kv, batch->spans, batch->span_count);
        kv_cache_append(pass->stream, cache->k_rope[layer], k_rope, batch->spans,
                        batch->span_count);
        kv = cache->kv[layer];
        k_rope = cache->k_rope[layer];
    }
    ops_attention_fwd(pass->stream, &(struct op_attention_fwd){
                                        .shape = mla_shape(pass->model),
                                        .o = saved->o,
                                        .lse = saved->lse,
                                        .q = work->q,
                                        .k = kv,
                                        .k_rope = k_rope,
                                        .v = tensor_cols(kv, c->dim_nope, kv.cols - c->dim_nope),
                                        .spans = batch->spans,
                                        .span_count = batch->span_count,
                                    });
}

void mla_forward(const struct pass *pass, int64_t layer, struct tensor attn, struct tensor x,
                 struct attention_saved *saved) {
    const struct model_config *c = &pass->model->config;
    const struct layer_tensors *w = &pass->model->layers[layer];
    int64_t T = x.rows;
    *saved = (struct attention_saved){
        .rstd = pass_tensor(pass, pass->kept, T, 1),
        .in = pass_tensor(pass, pass->kept, T, w->attn_in.rows),
        .kv_rstd = pass_tensor(pass, pass->kept, T, 1),
        .o = pass_tensor(pass, pass->kept, T, c->heads * c->dim_value),
        .lse = pass_tensor(pass, pass->kept, T, c->heads),
    };
    if (c->q_rank > 0) saved->q_rstd = pass_tensor(pass, pass->kept, T, 1);

    size_t mark = arena_mark(pass->scratch);
    struct mla_work work;
    mla_latents(pass, w, x, saved);
    mla_up_project(pass, w, saved, &work);
    mla_attend(pass, layer, &work, saved);
    pass_round(pass, saved->o, ROUND_E5M6_POW2);
    ops_linear(pass->stream, precision_kept(pass->model), attn, saved->o, w->o, (struct tensor){0});
    arena_reset(pass->scratch, mark);
}

/* ---- backward ---- */

/* dq, dkv and dk_rope (rotated back) from do; k_rope's gradient goes into din's last columns. */
static void mla_attend_backward(const struct pass *pass, struct tensor dq, struct tensor dkv,
                                struct tensor din, struct tensor dout, const struct mla_work *work,
                                const struct attention_saved *saved) {
    const struct model_config *c = &pass->model->config;
    const struct batch *batch = pass->batch;
    size_t mark = arena_mark(pass->scratch);
    int64_t T = dout.rows;
    int64_t value_cols = dkv.cols - c->dim_nope;
    ops_attention_bwd(pass->stream,
                      &(struct op_attention_bwd){
                          .shape = mla_shape(pass->model),
                          .dq = dq,
                          .dk = dkv,
                          .dk_rope = in_k_rope(c, din),
                          .dv = tensor_cols(dkv, c->dim_nope, value_cols),
                          .rope_heads = pass_tensor(pass, pass->scratch, T, c->heads * c->dim_rope),
                          .delta = pass_tensor(pass, pass->scratch, T, c->heads),
                          .dout = dout,
                          .q = work->q,
                          .k = work->kv,
                          .k_rope = in_k_rope(c, saved->in),
                          .v = tensor_cols(work->kv, c->dim_nope, value_cols),
                          .o = saved->o,
                          .lse = saved->lse,
                          .spans = batch->spans,
                          .span_count = batch->span_count,
                      });
    rotate_queries(pass, dq, true);
    rotate_shared_key(pass, in_k_rope(c, din), true);
    arena_reset(pass->scratch, mark);
}

/* up = rmsnorm(latent) W^T: the gradient of the latent's columns of `in`. */
static void mla_up_backward(const struct pass *pass, struct tensor dlatent, struct tensor dup,
                            struct tensor latent, struct tensor normed, struct tensor rstd,
                            struct tensor w, struct tensor dw, struct tensor norm,
                            struct tensor dnorm) {
    size_t mark = arena_mark(pass->scratch);
    struct tensor dnormed = pass_tensor(pass, pass->scratch, dup.rows, w.cols);
    ops_linear_dx(pass->stream, pass->model->precision, dnormed, dup, w, false);
    ops_linear_dw(pass->stream, pass->model->precision, dw, dup, normed);
    ops_rmsnorm_bwd(
        pass->stream,
        &(struct op_rmsnorm_bwd){
            .dx = dlatent, .dw = dnorm, .dy = dnormed, .x = latent, .w = norm, .rstd = rstd});
    arena_reset(pass->scratch, mark);
}

void mla_backward(const struct pass *pass, int64_t layer, struct tensor dx, struct tensor add,
                  struct tensor dattn, struct tensor x, const struct attention_saved *saved) {
    const struct model_config *c = &pass->model->config;
    const struct layer_tensors *w = &pass->model->layers[layer];
    const struct layer_tensors *dw = &pass->model->layer_grads[layer];
    struct stream *stream = pass->stream;
    size_t mark = arena_mark(pass->scratch);
    int64_t T = x.rows;
    struct mla_work work;
    mla_up_project(pass, w, saved, &work);

    /* attn = o W_o^T */
    struct tensor dout = pass_tensor(pass, pass->scratch, T, saved->o.cols);
    ops_linear_dx(stream, precision_kept(pass->model), dout, dattn, w->o, false);
    ops_linear_dw(stream, precision_kept(pass->model), dw->o, dattn, saved->o);

    struct tensor din = pass_tensor(pass, pass->scratch, T, saved->in.cols);
    struct tensor dkv = pass_tensor(pass, pass->scratch, T, work.kv.cols);
    struct tensor dq =
        c->q_rank > 0 ? pass_tensor(pass, pass->scratch, T, work.q.cols) : in_q(c, din);
    mla_attend_backward(pass, dq, dkv, din, dout, &work, saved);
    mla_up_backward(pass, in_kv(c, din), dkv, in_kv(c, saved->in), work.kv_normed, saved->kv_rstd,
                    w->kv_b, dw->kv_b, w->kv_a_norm, dw->kv_a_norm);
    if (c->q_rank > 0)
        mla_up_backward(pass, in_q(c, din), dq, in_q(c, saved->in), work.q_normed, saved->q_rstd,
                        w->q_b, dw->q_b, w->q_a_norm, dw->q_a_norm);

    /* in = rmsnorm(x) W_in^T */
    struct tensor normed = pass_tensor(pass, pass->scratch, T, x.cols);
    struct tensor dnormed = pass_tensor(pass, pass->scratch, T, x.cols);
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
