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

/* Devices that hold consecutive experts, as many each: what V2's training balances and limits (V2
 * report 2.2.3 and 2.2.4). Zeroed: nothing of it. */
struct expert_devices {
    int64_t count;             /* D, divides E */
    int64_t reach;             /* M: the most devices that a token is sent to */
    double balance_coef;       /* of the summed device-level balance losses */
    double communication_coef; /* of the summed communication-level ones */
    double capacity_factor;    /* slots of a device are at most so many times T*K/D, the others
                                  dropped; 0: nothing is dropped */
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
    struct balance_levels balance_levels; /* that they are added up with */
    bool balances_routed;                 /* they count the routed experts, not the top K */
    double capacity_factor;               /* as in struct expert_devices */
    const struct layer_saved *routing;    /* [all layers] whose expert choices (plan.idx, plan.kept,
                                             balance_c) are kept; NULL: choose */
    const struct expert_ranks *experts;   /* ranks that divide the experts; NULL: all are here */
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
