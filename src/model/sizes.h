/* Counts: parameters, and the FLOPs of training. */
#ifndef MODEL_SIZES_H
#define MODEL_SIZES_H

#include "model/tensors.h"

struct model_sizes {
    int64_t total;      /* all parameters of the main model, the embedding and the head included */
    int64_t active;     /* of them, those that a token uses: K of E experts, and no embedding rows
                           beyond its own, so the embedding does not count unless tied */
    int64_t mtp_total;  /* the MTP modules' own, without the shared embedding and head */
    int64_t mtp_active; /* the same for a token, and the shared head once more per module */
    int64_t experts;    /* parameters in routed experts, MTP included */
};
void model_sizes(const struct param_list *list, const struct model_config *config,
                 struct model_sizes *sizes);

/* Useful FLOPs of a token in training on sequences of `length`: 6 for each active parameter (2
 * forward, 4 backward; head and MTP modules included) and causal attention, which sees
 * (length + 1) / 2 keys on average: 3 * 2 * (Dk + Dv) * H a key and layer. Recomputation does not
 * count. */
double model_train_flops(const struct param_list *list, const struct model_config *config,
                         int64_t length);
/* Of them, those of one layer, which may be an MTP module without its head; and those of the final
 * norm and all heads, the modules' included. Together they are all. */
double layer_train_flops(const struct param_list *list, const struct model_config *config,
                         int64_t length, int64_t layer);
double heads_train_flops(const struct model_config *config);

#endif
