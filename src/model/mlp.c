/* The dense MLP: y = (silu(xn W_g^T) * (xn W_u^T)) W_d^T, gate and up being one stacked product. */
#include "model/ffn.h"
#include "ops/product.h"
#include "ops/rows.h"

static struct tensor gate_half(struct tensor gate_up) {
    return tensor_cols(gate_up, 0, gate_up.cols / 2);
}
static struct tensor up_half(struct tensor gate_up) {
    return tensor_cols(gate_up, gate_up.cols / 2, gate_up.cols / 2);
}

void mlp_forward(const struct pass *pass, struct tensor y, struct tensor xn, struct tensor gate_up,
                 struct tensor down, struct mlp_saved *saved) {
    saved->gate_up = pass_tensor(pass, pass->kept, xn.rows, gate_up.rows);
    size_t mark = arena_mark(pass->scratch);
    struct tensor act = pass_tensor(pass, pass->scratch, xn.rows, down.cols);
    ops_linear(pass->stream, pass->model->precision, saved->gate_up, xn, gate_up,
               (struct tensor){0});
    ops_swiglu_fwd(pass->stream, &(struct op_swiglu_fwd){.y = act,
                                                         .g = gate_half(saved->gate_up),
                                                         .u = up_half(saved->gate_up)});
    pass_round(pass, gate_half(saved->gate_up), ROUND_E4M3);
    pass_round(pass, up_half(saved->gate_up), ROUND_E4M3);
    ops_linear(pass->stream, pass->model->precision, y, act, down, (struct tensor){0});
    arena_reset(pass->scratch, mark);
}

void mlp_backward(const struct pass *pass, struct tensor dxn, struct tensor dy, struct tensor xn,
                  struct tensor gate_up, struct tensor down, struct tensor dgate_up,
                  struct tensor ddown, const struct mlp_saved *saved) {
    struct stream *stream = pass->stream;
    size_t mark = arena_mark(pass->scratch);
    int64_t T = xn.rows;
    struct tensor dact = pass_tensor(pass, pass->scratch, T, down.cols);
    struct tensor act = pass_tensor(pass, pass->scratch, T, down.cols);
    struct tensor dgu = pass_tensor(pass, pass->scratch, T, gate_up.rows);

    ops_linear_dx(stream, pass->model->precision, dact, dy, down, false); /* y = act W_d^T */
    ops_swiglu_bwd(stream, &(struct op_swiglu_bwd){.dg = gate_half(dgu),
                                                   .du = up_half(dgu),
                                                   .wy = act,
                                                   .dz = dact,
                                                   .g = gate_half(saved->gate_up),
                                                   .u = up_half(saved->gate_up)});
    ops_linear_dw(stream, pass->model->precision, ddown, dy, act);
    ops_linear_dx(stream, pass->model->precision, dxn, dgu, gate_up, false); /* gu = xn W_gu^T */
    ops_linear_dw(stream, pass->model->precision, dgate_up, dgu, xn);
    arena_reset(pass->scratch, mark);
}
