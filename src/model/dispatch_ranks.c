#include "model/dispatch_ranks.h"

#include "base/memory.h"
#include "comm/comm.h"
#include "ops/moe.h"
#include "ops/rows.h"

/* A token sends at most one row to each expert of a rank, and K in all. */
static int64_t most_rows(const struct comm *comm, const struct model_config *c, int64_t tokens) {
    const int64_t own = c->experts / comm->size;
    return comm->size * tokens * (c->active_experts < own ? c->active_experts : own);
}

fathom_status expert_ranks_init(struct expert_ranks *ranks, struct comm *comm,
                                const struct model_config *c, int64_t tokens, struct error *err) {
    *ranks = (struct expert_ranks){.comm = comm};
    if (comm->size > EXPERT_RANKS_MAX || c->experts % comm->size != 0)
        RAISE(FATHOM_USAGE, "%lld experts cannot be divided among %d ranks (at most %d)",
              (long long)c->experts, comm->size, EXPERT_RANKS_MAX);
    TRY(MEM_NEW(&ranks->ids, most_rows(comm, c, tokens) + c->experts + 1, "the expert ranks", err));
    return MEM_NEW(&ranks->counts, 2 * c->experts, "the expert ranks", err);
}

void expert_ranks_free(struct expert_ranks *ranks) {
    mem_free(ranks->ids);
    mem_free(ranks->counts);
    *ranks = (struct expert_ranks){0};
}

void arrived_rows_take(const struct pass *pass, struct arena *arena, int64_t T,
                       struct dispatch_plan *plan) {
    const struct model_config *c = &pass->model->config;
    const struct comm *comm = pass->experts->comm;
    const int64_t rows = most_rows(comm, c, T);
    plan->rows = rows;
    plan->arrived.idx = ARENA_TAKE(arena, int32_t, rows);
    plan->arrived.offsets = ARENA_TAKE(arena, int32_t, c->experts / comm->size + 1);
    plan->arrived.row_place = ARENA_TAKE(arena, int32_t, rows);
    plan->arrived.row_slot = ARENA_TAKE(arena, int32_t, rows);
    plan->arrived.place_row = ARENA_TAKE(arena, int32_t, rows);
}

/* ---- the plan ---- */

/* counts [E]: the own rows for each expert; theirs [ranks, own experts]: each rank's rows for the
 * own experts. */
static void exchange_counts(const struct pass *pass, const struct dispatch_plan *plan,
                            int64_t *counts, int64_t *theirs) {
    const struct expert_ranks *ranks = pass->experts;
    const int64_t experts = pass->model->config.experts;
    int64_t each[EXPERT_RANKS_MAX];
    stream_download(pass->stream, ranks->ids, plan->offsets,
                    (size_t)(experts + 1) * sizeof(int32_t));
    pass->stream->device->driver->wait(pass->stream);
    for (int64_t e = 0; e < experts; e++) counts[e] = ranks->ids[e + 1] - ranks->ids[e];
    for (int rank = 0; rank < ranks->comm->size; rank++) each[rank] = experts / ranks->comm->size;
    comm_run(ranks->comm, pass->stream,
             &(struct comm_op){.kind = COMM_ALL_TO_ALL,
                               .dtype = DTYPE_I64,
                               .on_host = true,
                               .from = counts,
                               .to = theirs,
                               .counts = each,
                               .from_counts = each});
}

/* Sums by rank, and their total. */
static int64_t sum_by_rank(const int64_t *counts, int64_t own, int ranks, int64_t *sums) {
    int64_t total = 0;
    for (int rank = 0; rank < ranks; rank++) {
        sums[rank] = 0;
        for (int64_t e = 0; e < own; e++) sums[rank] += counts[rank * own + e];
        total += sums[rank];
    }
    return total;
}

void arrived_rows_plan(const struct pass *pass, struct dispatch_plan *plan) {
    const struct expert_ranks *ranks = pass->experts;
    const int size = ranks->comm->size;
    const int64_t experts = pass->model->config.experts, own = experts / size;
    int64_t *counts = ranks->counts, *theirs = counts + experts;
    if (stream_failed(pass->stream)) return;
    exchange_counts(pass, plan, counts, theirs);
    if (stream_failed(pass->stream)) return;
    sum_by_rank(counts, own, size, plan->arrived.to);
    const int64_t rows = sum_by_rank(theirs, own, size, plan->arrived.from);
    if (rows > plan->rows) {
        stream_fail(pass->stream, FATHOM_USAGE,
                    "%lld routed rows have come where %lld are the most: ranks have batches of "
                    "different sizes",
                    (long long)rows, (long long)plan->rows);
        return;
    }
    plan->rows = 0;
    for (int64_t i = 0; i < experts; i++)
        for (int64_t n = 0; n < theirs[i]; n++) ranks->ids[plan->rows++] = (int32_t)(i % own);
    stream_upload(pass->stream, plan->arrived.idx, ranks->ids, (size_t)rows * sizeof(int32_t));
    ops_moe_plan(pass->stream, &(struct op_moe_plan){.idx = plan->arrived.idx,
                                                     .offsets = plan->arrived.offsets,
                                                     .row_token = plan->arrived.row_place,
                                                     .row_slot = plan->arrived.row_slot,
                                                     .slot_row = plan->arrived.place_row,
                                                     .tokens = rows,
                                                     .active = 1,
                                                     .experts = own});
}

/* ---- rows ---- */

void rows_gather(const struct pass *pass, struct tensor y, struct tensor x, const int32_t *index) {
    if (y.rows == 0) return;
    ops_embedding_fwd(pass->stream, &(struct op_embedding_fwd){.y = y, .w = x, .tokens = index});
}

/* Blocks of `out` rows of x to each rank, of `in` rows from each to exchange->rows. */
static void exchange_begin(const struct pass *pass, struct row_exchange *exchange,
                           const int64_t *in, struct tensor x, const int64_t *out) {
    struct comm *comm = pass->experts->comm;
    for (int rank = 0; rank < comm->size; rank++) {
        exchange->to_counts[rank] = in[rank] * x.cols;
        exchange->from_counts[rank] = out[rank] * x.cols;
    }
    comm_begin(comm, pass->stream,
               &(struct comm_op){.kind = COMM_ALL_TO_ALL,
                                 .dtype = x.dtype,
                                 .from = x.data,
                                 .to = exchange->rows.data,
                                 .counts = exchange->to_counts,
                                 .from_counts = exchange->from_counts},
               &exchange->request);
}

void rows_send_begin(const struct pass *pass, const struct dispatch_plan *plan, struct tensor x,
                     const int32_t *index, struct row_exchange *exchange) {
    struct tensor sent = pass_tensor(pass, pass->scratch, plan->slots, x.cols);
    exchange->rows = pass_tensor(pass, pass->scratch, plan->rows, x.cols);
    rows_gather(pass, sent, x, index);
    exchange_begin(pass, exchange, plan->arrived.from, sent, plan->arrived.to);
}

void rows_return_begin(const struct pass *pass, const struct dispatch_plan *plan, struct tensor x,
                       const int32_t *index, struct row_exchange *exchange) {
    exchange->rows = pass_tensor(pass, pass->scratch, plan->slots, x.cols);
    if (index) {
        struct tensor sent = pass_tensor(pass, pass->scratch, plan->rows, x.cols);
        rows_gather(pass, sent, x, index);
        x = sent;
    }
    exchange_begin(pass, exchange, plan->arrived.to, x, plan->arrived.from);
}
