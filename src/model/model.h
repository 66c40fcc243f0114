/* A model: its config, its parameters on a device, and views of them by layer.
 *
 * Weights have up to three storages: the compute copy that layers read, the gradient bucket that
 * backward adds to, and the optimizer's shard of master weights and moments (train/optimizer.h).
 * With F32 compute the master weights are the compute copy. */
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H

#include <stdbool.h>

#include "backend/device.h"
#include "model/config.h"
#include "model/tensors.h"
#include "ops/product.h"

/* Tensors of one layer, as views into a group's buffers: of weights, or of their gradients. Absent
 * where the layer has none. Stacked tensors are one view. */
struct layer_tensors {
    struct tensor attn_norm; /* [1, D] */
    /* MLA with q latent: [Q+R+Dr, D]; without: [H*Dk+R+Dr, D]; GQA: q, k, v, [(H+Hk)*Dn+Hk*Dv, D]
     */
    struct tensor attn_in;
    struct tensor attn_in_bias;   /* [1, rows of attn_in]; Qwen2 */
    struct tensor q_norm, k_norm; /* [1, Dn]; Qwen3 */
    struct tensor q_a_norm;       /* [1, Q] */
    struct tensor q_b;            /* [H*Dk, Q] */
    struct tensor kv_a_norm;      /* [1, R] */
    struct tensor kv_b;           /* [H*(Dn+Dv), R], a head: Dn key rows, then Dv value rows */
    struct tensor o;              /* [D, H*Dv] */
    struct tensor ffn_norm;       /* [1, D] */
    struct tensor gate_up;        /* [2F, D] dense, or the shared expert's [2Fs, D] */
    struct tensor down;           /* [D, F], or [D, Fs] */
    struct tensor router;         /* [E, D] */
    struct tensor expert_gate_up; /* [E*2F, D] */
    struct tensor expert_down;    /* [E*D, F] */
    /* MTP modules */
    struct tensor embedding_norm, hidden_norm; /* [1, D] */
    struct tensor eh_proj;                     /* [D, 2D], columns: embedding, hidden */
    struct tensor mtp_norm;                    /* [1, D] */
};
/* Tensors outside the layers. */
struct outer_tensors {
    struct tensor embedding;  /* [V, D] */
    struct tensor final_norm; /* [1, D] */
    struct tensor head;       /* [V, D]; the embedding's view when tied */
};

struct model {
    struct model_config config;
    struct device *device;
    enum precision precision; /* of the layers' products, forward and backward; model_new: F32 */
    struct stage stage;       /* the layers that are here and that training passes compute */
    struct param_list params;
    void *weights[GROUP_COUNT];        /* the compute copy, and GROUP_STATE as F32 */
    void *grads[GROUP_COUNT];          /* NULL without MODEL_GRADS, and for GROUP_STATE */
    struct layer_tensors *layers;      /* [all layers] */
    struct layer_tensors *layer_grads; /* [all layers], absent tensors without gradients */
    struct outer_tensors outer, outer_grads;
    struct tensor *router_bias; /* [all layers] [1, E] F32, absent where there is none */
    int32_t **loads;   /* [all layers] -> [E] tokens that each expert got since the last reset; NULL
                          in   dense layers. Device memory, only with MODEL_GRADS */
    double *frequency; /* [Dr/2] rotary frequencies, host */
    double rope_factor; /* on cos and sin */
    double softmax_scale;
    int64_t loads_count; /* elements behind `loads` */
    int32_t *loads_block;
    bool is_dry; /* no memory behind any tensor: for planning */
};

/* Embedding, head, router, norms and the attention itself are never FP8 (V3 report 3.3.1): the head
 * and the MTP modules' projections are then BF16, the others F32 as always. */
static inline enum precision precision_outer(const struct model *model) {
    return model->precision >= PRECISION_FP8 ? PRECISION_BF16 : model->precision;
}
/* Products whose input is kept or sent with power-of-two scales (V3 report 3.3.3). */
static inline enum precision precision_kept(const struct model *model) {
    return model->precision == PRECISION_FP8 ? PRECISION_FP8_POW2 : model->precision;
}

enum model_flags {
    MODEL_GRADS = 1, /* allocate gradients and load counters */
    MODEL_DRY = 2,   /* shapes only: every tensor has NULL data */
};
/* Allocates on the device in its compute dtype; weights are undefined until model_init or
 * model_load, gradients and loads zero. */
fathom_status model_new(struct model **out, struct device *device,
                        const struct model_config *config, unsigned flags, struct error *err);
/* The same with a stage's parameters alone: for training passes, and only where what comes before
 * and after is another rank's. Tensors of other stages are absent; loads are counted for all
 * layers. */
fathom_status model_new_stage(struct model **out, struct device *device,
                              const struct model_config *config, struct stage stage, unsigned flags,
                              struct error *err);
void model_free(struct model *model); /* accepts NULL */

/* Bytes that model_new takes on the device. */
size_t model_bytes(const struct param_list *list, enum dtype compute, unsigned flags,
                   int64_t loads_count);

/* Initial weights: matrices normal with mean 0 and deviation std (<= 0: the config's
 * initializer_range), norms one, biases zero. Keyed by (seed, tensor, element). */
fathom_status model_init(struct model *model, uint64_t seed, double std, struct error *err);

/* The tensor behind a parameter: its weights or its gradient. */
struct tensor model_weight(const struct model *model, const struct param *p);
struct tensor model_grad(const struct model *model, const struct param *p);

/* Zeroes every gradient. */
void model_zero_grads(struct model *model, struct stream *stream);

#endif
