/* Dispatch and combine: how tokens reach their experts and come back.
 *
 * Each is a begin/finish pair, so that a member which sends tokens to other ranks can overlap them
 * with work of its own. The local member moves nothing: `gather` lets the first grouped product
 * read each routed row from its token's place. With expert ranks (dispatch_ranks.c) rank r of n
 * computes the experts [r E/n, (r+1) E/n) for the tokens of all ranks: rows are sent in the order
 * of their experts, arrive in the order of the ranks, and are read in the order of the own experts
 * by a gather again. Neither changes the order of a token's K outputs in the sum. Group-limited
 * routing limits the ranks that a token is sent to, as groups are consecutive experts.
 *
 * All ranks make the same passes over batches of one size. */
#ifndef MODEL_DISPATCH_H
#define MODEL_DISPATCH_H

#include "comm/comm.h"
#include "model/pass.h"

enum { EXPERT_RANKS_MAX = 64 };

/* Ranks that divide the experts; the number divides E. The host's workspace is the pass's. */
struct expert_ranks {
    struct comm *comm;
    int32_t *ids;    /* [the largest plan's rows, at least E + 1] */
    int64_t *counts; /* [2 E] */
};
/* ids and counts for micro-batches of so many tokens. The communicator stays the caller's. */
fathom_status expert_ranks_init(struct expert_ranks *ranks, struct comm *comm,
                                const struct model_config *config, int64_t tokens,
                                struct error *err);
void expert_ranks_free(struct expert_ranks *ranks); /* safe on a zeroed one */

/* Rows that came from all ranks, in rank order. */
struct arrived_rows {
    int64_t to[EXPERT_RANKS_MAX], from[EXPERT_RANKS_MAX]; /* rows sent to and come from each rank */
    int32_t *idx;                                         /* [rows] own expert of each, from 0 */
    int32_t *offsets;   /* [own experts + 1] first row of each own expert */
    int32_t *row_place; /* [rows] arrived row of each row in the experts' order */
    int32_t *row_slot;  /* [rows] the same */
    int32_t *place_row; /* [rows] the reverse */
};

/* Where every routed row is; filled by dispatch_begin, kept for the backward. */
struct dispatch_plan {
    int32_t *idx;         /* [T, K] logical expert of each slot, by descending selection score */
    int32_t *kept;        /* [T, K] the same, -1 where the slot is dropped; idx where none can be */
    int32_t *offsets;     /* [E + 1] first row of each physical expert */
    int32_t *row_token;   /* [T*K] */
    int32_t *row_slot;    /* [T*K] */
    int32_t *slot_row;    /* [T*K]; -1: dropped */
    const int32_t *place; /* [E] logical to physical expert; NULL: the same */
    int64_t slots;        /* that own tokens have: T*K, after dispatch_begin without the dropped */
    int64_t rows;         /* R that are computed here: an upper bound known to the host */
    struct arrived_rows arrived; /* with expert ranks */
};
/* Rows as the experts read them: row r is rows[gather[r]]. */
struct dispatched {
    struct tensor rows;
    const int32_t *gather;
};
/* The experts that are computed here, and where their rows begin. */
struct own_experts {
    int64_t first, count;
    const int32_t *offsets; /* [count + 1] */
};
struct own_experts dispatch_own(const struct pass *pass, const struct dispatch_plan *plan);

/* Rows on their way, from begin to finish: the caller's, which does not move it. */
struct row_exchange {
    struct tensor rows; /* where they arrive */
    struct comm_request request;
    int64_t to_counts[EXPERT_RANKS_MAX], from_counts[EXPERT_RANKS_MAX]; /* elements */
};

/* Memory for a plan of T tokens, from `arena`. */
void dispatch_plan_take(const struct pass *pass, struct arena *arena, int64_t T,
                        struct dispatch_plan *plan);
/* Sorts the slots of plan->kept by expert, counts the loads into `load` (may be NULL), and starts
 * sending x [T, D]. Memory for rows on the way is taken from the pass's scratch and is the caller's
 * to give back after the finish. */
void dispatch_begin(const struct pass *pass, struct dispatch_plan *plan, int32_t *load,
                    struct tensor x, struct row_exchange *exchange);
struct dispatched dispatch_finish(const struct pass *pass, const struct dispatch_plan *plan,
                                  struct row_exchange *exchange);
/* Sends x [T, D] once more over a plan that is made: for the backward. */
struct dispatched dispatch_again(const struct pass *pass, const struct dispatch_plan *plan,
                                 struct tensor x);
/* y [T, D] = add + sum over a token's slots of weight * row; weight absent: ones (the backward of
 * dispatch); add may be absent or y. begin starts to send rows [R, D], in the experts' order, home.
 */
void combine_begin(const struct pass *pass, const struct dispatch_plan *plan, struct tensor rows,
                   struct row_exchange *exchange);
void combine_finish(const struct pass *pass, const struct dispatch_plan *plan, struct tensor y,
                    struct row_exchange *exchange, struct tensor weight, struct tensor add);

/* A number for each slot [T, K], as those that compute the rows see them: row r's is
 * values[slot[r]]. */
struct slot_values {
    struct tensor values; /* [any, 1] */
    const int32_t *slot;
};
struct slot_values slot_values_send(const struct pass *pass, const struct dispatch_plan *plan,
                                    struct tensor weight);
/* Where gradients of such numbers go: slot_values_return brings them home to dweight [T, K]. */
struct tensor slot_values_like(const struct pass *pass, struct slot_values sent,
                               struct tensor dweight);
void slot_values_return(const struct pass *pass, const struct dispatch_plan *plan,
                        struct tensor dvalues, struct tensor dweight);

#endif
