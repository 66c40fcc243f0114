#include "model/dispatch_ranks.h"

#include "ops/moe.h"

void dispatch_plan_take(const struct pass *pass, struct arena *arena, int64_t T,
                        struct dispatch_plan *plan) {
    const struct model_config *c = &pass->model->config;
    int64_t rows = T * c->active_experts;
    *plan = (struct dispatch_plan){
        .idx = ARENA_TAKE(arena, int32_t, rows),
        .offsets = ARENA_TAKE(arena, int32_t, c->experts + 1),
        .row_token = ARENA_TAKE(arena, int32_t, rows),
        .row_slot = ARENA_TAKE(arena, int32_t, rows),
        .slot_row = ARENA_TAKE(arena, int32_t, rows),
        .slots = rows,
        .rows = rows,
    };
    plan->kept = pass->capacity_factor != 0 ? ARENA_TAKE(arena, int32_t, rows) : plan->idx;
    if (pass->experts) arrived_rows_take(pass, arena, T, plan);
}

/* Where slots are dropped the host asks how many are left, so that nothing is computed or sent for
 * the others. */
static void plan_count_kept(const struct pass *pass, struct dispatch_plan *plan) {
    const int64_t experts = pass->model->config.experts;
    int32_t kept = 0;
    if (pass->capacity_factor == 0 || stream_failed(pass->stream)) return;
    stream_download(pass->stream, &kept, plan->offsets + experts, sizeof kept);
    pass->stream->device->driver->wait(pass->stream);
    if (stream_failed(pass->stream)) return;
    plan->slots = kept;
    if (!pass->experts) plan->rows = kept;
}

struct own_experts dispatch_own(const struct pass *pass, const struct dispatch_plan *plan) {
    const int64_t experts = pass->model->config.experts;
    if (!pass->experts) return (struct own_experts){0, experts, plan->offsets};
    const struct comm *comm = pass->experts->comm;
    const int64_t own = experts / comm->size;
    return (struct own_experts){comm->rank * own, own, plan->arrived.offsets};
}

void dispatch_begin(const struct pass *pass, struct dispatch_plan *plan, int32_t *load,
                    struct tensor x, struct row_exchange *exchange) {
    const struct model_config *c = &pass->model->config;
    ops_moe_plan(pass->stream, &(struct op_moe_plan){.idx = plan->kept,
                                                     .place = plan->place,
                                                     .offsets = plan->offsets,
                                                     .row_token = plan->row_token,
                                                     .row_slot = plan->row_slot,
                                                     .slot_row = plan->slot_row,
                                                     .load = load,
                                                     .tokens = x.rows,
                                                     .active = c->active_experts,
                                                     .experts = c->experts});
    plan_count_kept(pass, plan);
    exchange->rows = x; /* local: rows are read where they are */
    if (!pass->experts) return;
    arrived_rows_plan(pass, plan);
    rows_send_begin(pass, plan, x, plan->row_token, exchange);
}

struct dispatched dispatch_finish(const struct pass *pass, const struct dispatch_plan *plan,
                                  struct row_exchange *exchange) {
    if (!pass->experts) return (struct dispatched){exchange->rows, plan->row_token};
    comm_finish(&exchange->request);
    return (struct dispatched){exchange->rows, plan->arrived.row_place};
}

struct dispatched dispatch_again(const struct pass *pass, const struct dispatch_plan *plan,
                                 struct tensor x) {
    struct row_exchange exchange = {.rows = x};
    if (pass->experts) rows_send_begin(pass, plan, x, plan->row_token, &exchange);
    return dispatch_finish(pass, plan, &exchange);
}

void combine_begin(const struct pass *pass, const struct dispatch_plan *plan, struct tensor rows,
                   struct row_exchange *exchange) {
    exchange->rows = rows;
    if (pass->experts) rows_return_begin(pass, plan, rows, plan->arrived.place_row, exchange);
}

void combine_finish(const struct pass *pass, const struct dispatch_plan *plan, struct tensor y,
                    struct row_exchange *exchange, struct tensor weight, struct tensor add) {
    if (pass->experts) comm_finish(&exchange->request);
    ops_moe_combine(pass->stream, &(struct op_moe_combine){
                                      .y = y,
                                      .rows = exchange->rows,
                                      .weight = weight,
                                      .add = add,
                                      .slot_row = plan->slot_row,
                                      .active = pass->model->config.active_experts,
                                  });
}

/* ---- numbers by slot ---- */

struct slot_values slot_values_send(const struct pass *pass, const struct dispatch_plan *plan,
                                    struct tensor weight) {
    const struct tensor flat = tensor_reshape(weight, 1);
    struct row_exchange exchange;
    if (!pass->experts) return (struct slot_values){flat, plan->row_slot};
    rows_send_begin(pass, plan, flat, plan->row_slot, &exchange);
    comm_finish(&exchange.request);
    return (struct slot_values){exchange.rows, plan->arrived.row_place};
}

struct tensor slot_values_like(const struct pass *pass, struct slot_values sent,
                               struct tensor dweight) {
    if (!pass->experts) {
        if (pass->capacity_factor != 0) /* dropped slots have no row that writes theirs */
            stream_zero(pass->stream, dweight.data,
                        (size_t)tensor_count(dweight) * dtype_size(dweight.dtype));
        return tensor_reshape(dweight, 1);
    }
    return pass_tensor(pass, pass->scratch, sent.values.rows, 1);
}

void slot_values_return(const struct pass *pass, const struct dispatch_plan *plan,
                        struct tensor dvalues, struct tensor dweight) {
    struct row_exchange exchange;
    if (!pass->experts) return; /* they are where they belong */
    rows_return_begin(pass, plan, dvalues, NULL, &exchange);
    comm_finish(&exchange.request);
    ops_moe_combine(pass->stream, &(struct op_moe_combine){.y = tensor_reshape(dweight, 1),
                                                           .rows = exchange.rows,
                                                           .slot_row = plan->slot_row,
                                                           .active = 1});
}
