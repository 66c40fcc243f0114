/* What every layer function receives: one forward (and backward) pass over one batch. */
#ifndef MODEL_PASS_H
#define MODEL_PASS_H

#include "base/arena.h"
#include "model/batch.h"
#include "model/model.h"
#include "ops/rows.h"

struct expert_ranks;
struct kv_cache;
struct layer_saved;

/* What backward computes again instead of keeping. */
enum recompute {
    RECOMPUTE_SELECTIVE, /* RMSNorm outputs, MLA up-projections, SwiGLU outputs (V3 report 3.2.3) */
    RECOMPUTE_LAYER,     /* whole layers: only each layer's input is kept */
};

struct pass {
    const struct model *model;
    struct stream *stream;
    const struct batch *batch;
    struct tensor cos, sin; /* [T, Dr/2] of the batch's positions */
    struct arena *kept;     /* lives until the backward has used it */
    struct arena *scratch;  /* given back when a function returns */
    struct kv_cache *cache; /* inference: keys and values of earlier positions; NULL in training */
    double balance_coef;    /* of the summed sequence-wise balance losses; 0: no balance loss */
    const struct layer_saved *routing;  /* [all layers] whose expert choices (plan.idx, balance_c)
                                           are kept; NULL: choose */
    const struct expert_ranks *experts; /* ranks that divide the experts; NULL: all are here */
    bool counts_loads; /* add to model->loads (false when a forward is run again) */
};

/* [rows, cols] of the compute dtype from an arena. */
static inline struct tensor pass_tensor(const struct pass *pass, struct arena *arena, int64_t rows,
                                        int64_t cols) {
    enum dtype dtype = pass->model->device->compute;
    void *data = arena_take(arena, (size_t)(rows * cols), dtype_size(dtype));
    return tensor_of(data, dtype, rows, cols);
}

/* In FP8, what is kept for the backward is rounded where it lies. */
static inline void pass_round(const struct pass *pass, struct tensor x, enum rounding rounding) {
    if (pass->model->precision != PRECISION_FP8) return;
    ops_round(pass->stream, &(struct op_round){.y = x, .x = x, .rounding = rounding});
}

#endif
