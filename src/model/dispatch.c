#include "model/dispatch.h"

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
        .rows = rows,
    };
}

void dispatch_begin(const struct pass *pass, struct dispatch_plan *plan, int32_t *load,
                    struct tensor x) {
    const struct model_config *c = &pass->model->config;
    ops_moe_plan(pass->stream, &(struct op_moe_plan){.idx = plan->idx,
                                                     .place = plan->place,
                                                     .offsets = plan->offsets,
                                                     .row_token = plan->row_token,
                                                     .row_slot = plan->row_slot,
                                                     .slot_row = plan->slot_row,
                                                     .load = load,
                                                     .tokens = x.rows,
                                                     .active = c->active_experts,
                                                     .experts = c->experts});
}

struct dispatched dispatch_finish(const struct pass *pass, const struct dispatch_plan *plan,
                                  struct tensor x) {
    (void)pass; /* local: rows are read where they are */
    return (struct dispatched){.rows = x, .gather = plan->row_token};
}

void combine_begin(const struct pass *pass, const struct dispatch_plan *plan, struct tensor rows) {
    (void)pass; /* local: nothing to send */
    (void)plan;
    (void)rows;
}

void combine_finish(const struct pass *pass, const struct dispatch_plan *plan, struct tensor y,
                    struct tensor rows, struct tensor weight, struct tensor add) {
    ops_moe_combine(pass->stream, &(struct op_moe_combine){
                                      .y = y,
                                      .rows = rows,
                                      .weight = weight,
                                      .add = add,
                                      .slot_row = plan->slot_row,
                                      .active = pass->model->config.active_experts,
                                  });
}
