#include "train/pipeline_schedule.h"

#include "base/memory.h"

int pipeline_slots_1f1b(int stage, int stages) { return stages - stage; }

static void add(struct pipeline_schedule *s, enum pipeline_kind kind, int64_t micro_batch,
                int slots) {
    s->actions[s->count++] =
        (struct pipeline_action){kind, micro_batch, (int)(micro_batch % slots)};
}

fathom_status pipeline_schedule_1f1b(struct pipeline_schedule *s, int stage, int stages,
                                     int64_t micro_batches, struct error *err) {
    const int slots = pipeline_slots_1f1b(stage, stages);
    const int64_t warmup = slots - 1;
    if (s->capacity < 2 * micro_batches) {
        TRY(mem_grow((void **)&s->actions, 0, (size_t)(2 * micro_batches), sizeof *s->actions,
                     "the pipeline's schedule", err));
        s->capacity = 2 * micro_batches;
    }
    s->count = 0;
    for (int64_t at = 0; at < micro_batches + warmup; at++) {
        if (at < micro_batches) add(s, PIPELINE_FORWARD, at, slots);
        if (at >= warmup) add(s, PIPELINE_BACKWARD, at - warmup, slots);
    }
    return FATHOM_OK;
}

void pipeline_schedule_free(struct pipeline_schedule *s) {
    mem_free(s->actions);
    *s = (struct pipeline_schedule){0};
}
