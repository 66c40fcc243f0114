/* The feed-forward blocks: the dense SwiGLU MLP and the mixture of experts, forward beside
 * backward.
 *
 * Both compute y = x + ffn(rmsnorm(x)), x being the residual stream after attention. SwiGLU's
 * inputs are kept; its outputs, the norm and the experts' outputs are not. */
#ifndef MODEL_FFN_H
#define MODEL_FFN_H

#include "model/dispatch.h"
#include "model/pass.h"

struct mlp_saved {
    struct tensor gate_up; /* [T, 2F]: gate, then up projection */
};
struct moe_saved {
    struct tensor scores;    /* [T, E] */
    struct tensor weight;    /* [T, K] */
    struct tensor gate_up;   /* [R, 2F] of the routed experts */
    struct tensor balance_c; /* [span_count, E]; absent without a balance loss */
    struct tensor balance;   /* [span_count, 1]: each sequence's balance loss; set by the caller */
    struct dispatch_plan plan;
};
struct ffn_saved {
    struct tensor rstd;   /* [T, 1] of the input norm */
    struct mlp_saved mlp; /* dense layer, or the shared experts */
    struct moe_saved moe; /* MoE layers only */
};

/* y = a MLP of xn; gate_up [2F, D] and down [D, F] are its weights. y may be read as `add` later.
 */
void mlp_forward(const struct pass *pass, struct tensor y, struct tensor xn, struct tensor gate_up,
                 struct tensor down, struct mlp_saved *saved);
/* dxn [T, D] out; weight gradients are added. */
void mlp_backward(const struct pass *pass, struct tensor dxn, struct tensor dy, struct tensor xn,
                  struct tensor gate_up, struct tensor down, struct tensor dgate_up,
                  struct tensor ddown, const struct mlp_saved *saved);

/* y [T, D] = x + moe(xn), the shared experts included. */
void moe_forward(const struct pass *pass, int64_t layer, struct tensor y, struct tensor x,
                 struct tensor xn, struct ffn_saved *saved);
/* dxn [T, D] out: gradient of the normed input. */
void moe_backward(const struct pass *pass, int64_t layer, struct tensor dxn, struct tensor dy,
                  struct tensor xn, const struct ffn_saved *saved);

#endif
