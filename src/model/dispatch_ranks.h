/* The member of dispatch that sends rows to the ranks of their experts; dispatch.c chooses it. */
#ifndef MODEL_DISPATCH_RANKS_H
#define MODEL_DISPATCH_RANKS_H

#include "model/dispatch.h"

/* Memory for the most rows that can arrive, each rank having T tokens; sets plan->rows to it. */
void arrived_rows_take(const struct pass *pass, struct arena *arena, int64_t T,
                       struct dispatch_plan *plan);
/* Tells every rank how many rows come for each of its experts, and sorts what will arrive by
 * expert; plan->rows is then exact. Waits for the stream. */
void arrived_rows_plan(const struct pass *pass, struct dispatch_plan *plan);

/* y[i] = x[index[i]]; nothing without rows. */
void rows_gather(const struct pass *pass, struct tensor y, struct tensor x, const int32_t *index);
/* Starts to send x[index[i]] for every slot i in the order of the experts; [R, cols] arrive in
 * scratch. comm_finish(&exchange->request) ends it. */
void rows_send_begin(const struct pass *pass, const struct dispatch_plan *plan, struct tensor x,
                     const int32_t *index, struct row_exchange *exchange);
/* Starts to send x[index[i]] (index NULL: x[i]) for every arrived row i back to where it came from;
 * [T*K, cols] in the order of the experts come home, in scratch. */
void rows_return_begin(const struct pass *pass, const struct dispatch_plan *plan, struct tensor x,
                       const int32_t *index, struct row_exchange *exchange);

#endif
