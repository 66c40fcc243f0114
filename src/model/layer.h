/* A decoder layer on the residual stream: mid = x + attention(x), y = mid + ffn(mid). */
#ifndef MODEL_LAYER_H
#define MODEL_LAYER_H

#include "model/attention.h"
#include "model/ffn.h"

struct layer_saved {
    struct tensor mid; /* [T, D] */
    struct attention_saved attention;
    struct ffn_saved ffn;
};

/* y [T, D] from x [T, D]. saved->ffn.moe.balance is set beforehand when pass->balance_coef != 0. */
void layer_forward(const struct pass *pass, int64_t layer, struct tensor y, struct tensor x,
                   struct layer_saved *saved);
/* d [T, D]: the gradient of y on entry, of x on return. */
void layer_backward(const struct pass *pass, int64_t layer, struct tensor d, struct tensor x,
                    const struct layer_saved *saved);

#endif
