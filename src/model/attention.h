/* The attention blocks: MLA (DeepSeek-V2/V3) and GQA (Qwen, Llama), each forward beside backward.
 *
 * Both compute attn = attention(rmsnorm(x)) without the residual. `saved` is filled by the forward
 * and holds what the backward needs; the rest is computed again from it. */
#ifndef MODEL_ATTENTION_H
#define MODEL_ATTENTION_H

#include "model/pass.h"

struct attention_saved {
    struct tensor rstd; /* [T, 1] of the input norm */
    /* Output of the stacked input projection. MLA: [T, Q+R+Dr] latents before their norms, k_rope
     * rotated (without a q latent the first H*Dk columns are the rotated queries). GQA:
     * [T, (H+Hk)*Dn+Hk*Dv] after the bias; rotated unless there are q and k norms. */
    struct tensor in;
    struct tensor q_rstd;  /* MLA [T, 1] of the q latent; GQA with norms [T*H, 1] */
    struct tensor kv_rstd; /* MLA [T, 1] of the kv latent; GQA with norms [T*Hk, 1] */
    struct tensor o;       /* [T, H*Dv] */
    struct tensor lse;     /* [T, H] */
};

/* attn [T, D] from x [T, D]. */
void mla_forward(const struct pass *pass, int64_t layer, struct tensor attn, struct tensor x,
                 struct attention_saved *saved);
/* dx [T, D] = add + gradient through the block, where dattn [T, D] is the gradient of attn; weight
 * gradients are added to the model's. dx may alias add; dattn may alias add. */
void mla_backward(const struct pass *pass, int64_t layer, struct tensor dx, struct tensor add,
                  struct tensor dattn, struct tensor x, const struct attention_saved *saved);

void gqa_forward(const struct pass *pass, int64_t layer, struct tensor attn, struct tensor x,
                 struct attention_saved *saved);
void gqa_backward(const struct pass *pass, int64_t layer, struct tensor dx, struct tensor add,
                  struct tensor dattn, struct tensor x, const struct attention_saved *saved);

#endif
