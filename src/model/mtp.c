#include "model/mtp.h"

#include "ops/product.h"
#include "ops/rows.h"

/* rows of `from` in the order of `idx`: the embedding op reads any table. */
static void gather_rows(const struct pass *pass, struct tensor to, struct tensor from,
                        const int32_t *idx) {
    ops_embedding_fwd(pass->stream, &(struct op_embedding_fwd){.y = to, .w = from, .tokens = idx});
}

static void scatter_rows(const struct pass *pass, struct tensor to, struct tensor from,
                         const int32_t *idx) {
    ops_embedding_bwd(pass->stream,
                      &(struct op_embedding_bwd){.dw = to, .dy = from, .tokens = idx});
}

/* The two halves of the joined input, before and after their norms. */
struct mtp_inputs {
    struct tensor embedding, hidden; /* [T, D] gathered */
    struct tensor joined;            /* [T, 2D] normed */
};

static void mtp_join(const struct pass *pass, int64_t layer, struct tensor previous,
                     const int32_t *rows, const struct mtp_saved *saved, struct mtp_inputs *in) {
    const struct model *model = pass->model;
    const struct layer_tensors *w = &model->layers[layer];
    int64_t T = pass->batch->tokens_count, D = model->config.dim;
    in->embedding = pass_tensor(pass, pass->scratch, T, D);
    in->hidden = pass_tensor(pass, pass->scratch, T, D);
    in->joined = pass_tensor(pass, pass->scratch, T, 2 * D);
    gather_rows(pass, in->embedding, model->outer.embedding, pass->batch->tokens);
    gather_rows(pass, in->hidden, previous, rows);
    ops_rmsnorm_fwd(pass->stream, &(struct op_rmsnorm_fwd){.y = tensor_cols(in->joined, 0, D),
                                                           .x = in->embedding,
                                                           .w = w->embedding_norm,
                                                           .rstd = saved->embedding_rstd,
                                                           .eps = model->config.norm_eps});
    ops_rmsnorm_fwd(pass->stream, &(struct op_rmsnorm_fwd){.y = tensor_cols(in->joined, D, D),
                                                           .x = in->hidden,
                                                           .w = w->hidden_norm,
                                                           .rstd = saved->hidden_rstd,
                                                           .eps = model->config.norm_eps});
}

void mtp_forward(const struct pass *pass, int64_t layer, struct tensor previous,
                 const int32_t *rows, struct mtp_saved *saved) {
    const struct model *model = pass->model;
    const struct layer_tensors *w = &model->layers[layer];
    struct mtp_inputs in;
    size_t mark = arena_mark(pass->scratch);
    mtp_join(pass, layer, previous, rows, saved, &in);
    ops_linear(pass->stream, precision_outer(pass->model), saved->x, in.joined, w->eh_proj,
               (struct tensor){0});
    arena_reset(pass->scratch, mark);

    layer_forward(pass, layer, saved->y, saved->x, &saved->layer);
    ops_rmsnorm_fwd(pass->stream, &(struct op_rmsnorm_fwd){.y = saved->hidden,
                                                           .x = saved->y,
                                                           .w = w->mtp_norm,
                                                           .rstd = saved->rstd,
                                                           .eps = model->config.norm_eps});
}

/* One half of the joined input: dy are its columns of the joined gradient. */
static struct tensor half_backward(const struct pass *pass, struct tensor dy, struct tensor x,
                                   struct tensor w, struct tensor dw, struct tensor rstd) {
    struct tensor dx = pass_tensor(pass, pass->scratch, x.rows, x.cols);
    ops_rmsnorm_bwd(pass->stream, &(struct op_rmsnorm_bwd){
                                      .dx = dx, .dw = dw, .dy = dy, .x = x, .w = w, .rstd = rstd});
    return dx;
}

void mtp_backward(const struct pass *pass, int64_t layer, struct tensor dprevious,
                  const int32_t *rows, struct tensor d, struct tensor previous,
                  const struct mtp_saved *saved) {
    const struct model *model = pass->model;
    const struct layer_tensors *w = &model->layers[layer];
    const struct layer_tensors *dw = &model->layer_grads[layer];
    int64_t D = model->config.dim;
    ops_rmsnorm_bwd(pass->stream, &(struct op_rmsnorm_bwd){.dx = d,
                                                           .dw = dw->mtp_norm,
                                                           .dy = d,
                                                           .x = saved->y,
                                                           .w = w->mtp_norm,
                                                           .rstd = saved->rstd});
    layer_backward(pass, layer, d, saved->x, &saved->layer);

    /* x = W_eh joined */
    struct mtp_inputs in;
    size_t mark = arena_mark(pass->scratch);
    mtp_join(pass, layer, previous, rows, saved, &in);
    struct tensor djoined = pass_tensor(pass, pass->scratch, d.rows, 2 * D);
    ops_linear_dx(pass->stream, precision_outer(pass->model), djoined, d, w->eh_proj, false);
    ops_linear_dw(pass->stream, precision_outer(pass->model), dw->eh_proj, d, in.joined);
    struct tensor dembedding =
        half_backward(pass, tensor_cols(djoined, 0, D), in.embedding, w->embedding_norm,
                      dw->embedding_norm, saved->embedding_rstd);
    struct tensor dhidden = half_backward(pass, tensor_cols(djoined, D, D), in.hidden,
                                          w->hidden_norm, dw->hidden_norm, saved->hidden_rstd);
    scatter_rows(pass, model->outer_grads.embedding, dembedding, pass->batch->tokens);
    scatter_rows(pass, dprevious, dhidden, rows);
    arena_reset(pass->scratch, mark);
}
