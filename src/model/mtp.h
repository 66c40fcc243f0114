/* A multi-token prediction module (V3 report 2.2, eqs 21-25), in the order of the released weights:
 *
 *   x = W_eh [rmsnorm(embedding(t_{i+k})); rmsnorm(h_i)]     h: the module before, after its norm
 *   y = decoder layer(x);  hidden = rmsnorm(y), read by the shared head and by the next module */
#ifndef MODEL_MTP_H
#define MODEL_MTP_H

#include "model/layer.h"

struct mtp_saved {
    struct tensor embedding_rstd, hidden_rstd; /* [T, 1] */
    struct tensor x, y;                        /* [T, D] around the decoder layer */
    struct layer_saved layer;
    struct tensor rstd;   /* [T, 1] of the last norm */
    struct tensor hidden; /* [T, D] */
};

/* `layer` is the module's own (config.layers + k - 1); pass->batch is the module's batch. previous
 * [T', D] is the hidden state of the module before, its rows picked by `rows` [T]. */
void mtp_forward(const struct pass *pass, int64_t layer, struct tensor previous,
                 const int32_t *rows, struct mtp_saved *saved);
/* dprevious += gradient; d [T, D] is the gradient of `hidden` and is overwritten. With a layer
 * whose activations were not kept, layer_saved must have been filled again by mtp_layer_again. */
void mtp_backward(const struct pass *pass, int64_t layer, struct tensor dprevious,
                  const int32_t *rows, struct tensor d, struct tensor previous,
                  const struct mtp_saved *saved);

#endif
