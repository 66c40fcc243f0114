/* Dispatch and combine: how tokens reach their experts and come back.
 *
 * Each is a begin/finish pair, so that a member which sends tokens to other ranks can overlap them
 * with work of its own. Here stands the local member: nothing moves, and `gather` lets the first
 * grouped product read each routed row from its token's place. A remote member returns rows that
 * have arrived, with gather NULL, and never changes the order of a token's K outputs in the sum. */
#ifndef MODEL_DISPATCH_H
#define MODEL_DISPATCH_H

#include "model/pass.h"

/* Where every routed row is; filled by dispatch_begin, kept for the backward. */
struct dispatch_plan {
    int32_t *idx;         /* [T, K] logical expert of each slot, by descending selection score */
    int32_t *offsets;     /* [E + 1] first row of each physical expert */
    int32_t *row_token;   /* [R] */
    int32_t *row_slot;    /* [R] */
    int32_t *slot_row;    /* [T*K] */
    const int32_t *place; /* [E] logical to physical expert; NULL: the same */
    int64_t rows;         /* R, an upper bound known to the host */
};
/* Rows as the experts read them: row r is rows[gather[r]], or rows[r] without a gather. */
struct dispatched {
    struct tensor rows;
    const int32_t *gather;
};

/* Memory for a plan of T tokens, from `arena`. */
void dispatch_plan_take(const struct pass *pass, struct arena *arena, int64_t T,
                        struct dispatch_plan *plan);
/* Sorts the slots of plan->idx by expert, counts the loads into `load` (may be NULL), and starts
 * sending x [T, D]. */
void dispatch_begin(const struct pass *pass, struct dispatch_plan *plan, int32_t *load,
                    struct tensor x);
struct dispatched dispatch_finish(const struct pass *pass, const struct dispatch_plan *plan,
                                  struct tensor x);
/* y [T, D] = add + sum over a token's slots of weight * row; weight absent: ones (the backward of
 * dispatch); add may be absent or y. */
void combine_begin(const struct pass *pass, const struct dispatch_plan *plan, struct tensor rows);
void combine_finish(const struct pass *pass, const struct dispatch_plan *plan, struct tensor y,
                    struct tensor rows, struct tensor weight, struct tensor add);

#endif
