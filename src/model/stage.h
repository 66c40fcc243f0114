/* Stages: the consecutive layers of a model that one rank of a pipeline computes.
 *
 * The embedding belongs to the first stage, the final norm, the head and the MTP modules to the
 * last. The modules read the embedding too (V3 shares it, and the head, between them and the main
 * model), and so does a tied head: the gradient of such a tensor is then the sum of what the first
 * and the last stage add to theirs. */
#ifndef MODEL_STAGE_H
#define MODEL_STAGE_H

#include "base/status.h"
#include "model/config.h"

struct stage {
    int64_t begin, end; /* layers of the main model, at least one */
};

static inline struct stage stage_whole(const struct model_config *c) {
    return (struct stage){0, c->layers};
}
static inline bool stage_is_first(struct stage stage) { return stage.begin == 0; }
static inline bool stage_is_last(struct stage stage, const struct model_config *c) {
    return stage.end == c->layers;
}
/* Where its layers end, MTP modules included, which stand behind the main model's. */
static inline int64_t stage_layers_end(struct stage stage, const struct model_config *c) {
    return stage_is_last(stage, c) ? config_all_layers(c) : stage.end;
}
/* MTP modules that it computes. */
static inline int64_t stage_mtp_modules(struct stage stage, const struct model_config *c) {
    return stage_is_last(stage, c) ? c->mtp_modules : 0;
}

/* The last stage of several has a copy of the embedding where it reads it too. */
static inline bool stage_has_copy(struct stage stage, const struct model_config *c) {
    return !stage_is_first(stage) && stage_is_last(stage, c) && (c->mtp_modules > 0 || c->is_tied);
}

/* Stage `index` (from 0) of `stages`, which are divided by the FLOPs of training on sequences of
 * `length`: the costliest stage is as cheap as consecutive layers allow, and what is left over is
 * given to the last ones, as the first have the most micro-batches in flight. FATHOM_USAGE with
 * more stages than layers. */
fathom_status stage_divide(struct stage *stage, int64_t index, int64_t stages,
                           const struct model_config *config, int64_t length, struct error *err);

#endif
