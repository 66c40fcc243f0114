#include "model/layer.h"

#include "ops/rows.h"

static void ffn_norm(const struct pass *pass, int64_t layer, struct tensor xn, struct tensor mid,
                     struct tensor rstd) {
    const struct model *model = pass->model;
    ops_rmsnorm_fwd(pass->stream, &(struct op_rmsnorm_fwd){.y = xn,
                                                           .x = mid,
                                                           .w = model->layers[layer].ffn_norm,
                                                           .rstd = rstd,
                                                           .eps = model->config.norm_eps});
}

void layer_forward(const struct pass *pass, int64_t layer, struct tensor y, struct tensor x,
                   struct layer_saved *saved) {
    const struct model_config *c = &pass->model->config;
    const struct layer_tensors *w = &pass->model->layers[layer];
    saved->mid = pass_tensor(pass, pass->kept, x.rows, x.cols);
    saved->ffn.rstd = pass_tensor(pass, pass->kept, x.rows, 1);

    size_t mark = arena_mark(pass->scratch);
    struct tensor part = pass_tensor(pass, pass->scratch, x.rows, x.cols);
    if (c->is_mla)
        mla_forward(pass, layer, part, x, &saved->attention);
    else
        gqa_forward(pass, layer, part, x, &saved->attention);
    ops_add(pass->stream, &(struct op_add){.y = saved->mid, .a = x, .b = part});

    struct tensor xn = part; /* the attention's output is used up */
    ffn_norm(pass, layer, xn, saved->mid, saved->ffn.rstd);
    if (config_layer_is_moe(c, layer)) {
        moe_forward(pass, layer, y, saved->mid, xn, &saved->ffn);
    } else {
        mlp_forward(pass, y, xn, w->gate_up, w->down, &saved->ffn.mlp);
        ops_add(pass->stream, &(struct op_add){.y = y, .a = saved->mid, .b = y});
    }
    arena_reset(pass->scratch, mark);
}

void layer_backward(const struct pass *pass, int64_t layer, struct tensor d, struct tensor x,
                    const struct layer_saved *saved) {
    const struct model_config *c = &pass->model->config;
    const struct layer_tensors *w = &pass->model->layers[layer];
    const struct layer_tensors *dw = &pass->model->layer_grads[layer];
    size_t mark = arena_mark(pass->scratch);
    struct tensor xn = pass_tensor(pass, pass->scratch, x.rows, x.cols);
    struct tensor dxn = pass_tensor(pass, pass->scratch, x.rows, x.cols);

    /* y = mid + ffn(rmsnorm(mid)) */
    ffn_norm(pass, layer, xn, saved->mid, (struct tensor){0});
    if (config_layer_is_moe(c, layer))
        moe_backward(pass, layer, dxn, d, xn, &saved->ffn);
    else
        mlp_backward(pass, dxn, d, xn, w->gate_up, w->down, dw->gate_up, dw->down, &saved->ffn.mlp);
    ops_rmsnorm_bwd(pass->stream, &(struct op_rmsnorm_bwd){.dx = d,
                                                           .dw = dw->ffn_norm,
                                                           .dy = dxn,
                                                           .x = saved->mid,
                                                           .w = w->ffn_norm,
                                                           .rstd = saved->ffn.rstd,
                                                           .add = d});
    arena_reset(pass->scratch, mark);

    /* mid = x + attention(x) */
    if (c->is_mla)
        mla_backward(pass, layer, d, d, d, x, &saved->attention);
    else
        gqa_backward(pass, layer, d, d, d, x, &saved->attention);
}
