#include "train/pipeline.h"

#include <assert.h>

#include "base/memory.h"

struct pipeline_place pipeline_place_of(const struct comm *comm, int stages) {
    if (!comm) return (struct pipeline_place){.stages = 1, .replicas = 1};
    const int replicas = comm->size / stages;
    return (struct pipeline_place){.stage = comm->rank / replicas,
                                   .stages = stages,
                                   .replica = comm->rank % replicas,
                                   .replicas = replicas};
}

/* ---- creation ---- */

static fathom_status take_block(struct pipeline *p, struct arena *arena, void **block, size_t bytes,
                                const char *what, struct error *err) {
    TRY(device_allocate(p->model->device, block, bytes, what, err));
    arena_over(arena, *block, bytes);
    return FATHOM_OK;
}

static fathom_status fill_slot(struct pipeline *p, struct pipeline_slot *slot,
                               const struct run_bytes *bytes, struct error *err) {
    TRY(run_new(&slot->run, p->model, err));
    TRY(arena_new(&slot->host, bytes->host, "a batch", err));
    TRY(take_block(p, &slot->device, &slot->device_blocks[0], bytes->device, "a batch", err));
    return take_block(p, &slot->kept, &slot->device_blocks[1], bytes->kept, "activations", err);
}

static fathom_status pipeline_fill(struct pipeline *p, const struct run_bytes *bytes,
                                   struct error *err) {
    TRY(MEM_NEW(&p->slots, p->slot_count, "the pipeline", err));
    for (int i = 0; i < p->slot_count; i++) TRY(fill_slot(p, &p->slots[i], bytes, err));
    return take_block(p, &p->scratch, &p->scratch_block, bytes->scratch, "scratch memory", err);
}

fathom_status pipeline_new(struct pipeline **out, const struct model *model,
                           const struct run_bytes *bytes, int slots, struct comm *comm,
                           struct stream *stream, struct error *err) {
    struct pipeline *p = NULL;
    *out = NULL;
    TRY(MEM_NEW(&p, 1, "the pipeline", err));
    p->model = model;
    p->stream = stream;
    p->comm = comm;
    p->slot_count = slots;
    fathom_status status = pipeline_fill(p, bytes, err);
    if (status != FATHOM_OK)
        pipeline_free(p);
    else
        *out = p;
    return status;
}

void pipeline_free(struct pipeline *p) {
    if (!p) return;
    for (int i = 0; p->slots && i < p->slot_count; i++) {
        struct pipeline_slot *slot = &p->slots[i];
        run_free(slot->run);
        arena_free(&slot->host);
        for (int block = 0; block < 2; block++)
            device_release(p->model->device, slot->device_blocks[block]);
    }
    device_release(p->model->device, p->scratch_block);
    mem_free(p->slots);
    mem_free(p);
}

/* ---- messages ---- */

static int peer_of(const struct pipeline *p, enum pipeline_kind kind, bool is_send) {
    const bool is_after = (kind == PIPELINE_FORWARD) == is_send;
    return p->comm->rank + (is_after ? 1 : -1);
}

/* Waits until x [T, D] has come. */
static void receive(struct pipeline *p, const struct pipeline_action *action, struct tensor x) {
    comm_run(p->comm, p->stream,
             &(struct comm_op){.kind = COMM_RECEIVE,
                               .dtype = x.dtype,
                               .peer = peer_of(p, action->kind, false),
                               .tag = (int)action->micro_batch,
                               .to = x.data,
                               .count = tensor_count(x)});
}

static void finish_send(struct pipeline_send *send) {
    comm_finish(&send->request);
    send->slot = NULL;
}

static void begin_send(struct pipeline *p, const struct pipeline_action *action, struct tensor x) {
    struct pipeline_send *send = &p->sends[action->kind];
    finish_send(send);
    send->slot = &p->slots[action->slot];
    comm_begin(p->comm, p->stream,
               &(struct comm_op){.kind = COMM_SEND,
                                 .dtype = x.dtype,
                                 .peer = peer_of(p, action->kind, true),
                                 .tag = (int)action->micro_batch,
                                 .from = x.data,
                                 .count = tensor_count(x)},
               &send->request);
}

/* ---- actions ---- */

static bool is_last(const struct pipeline *p) {
    return stage_is_last(p->model->stage, &p->model->config);
}

/* Nobody reads the slot's memory any more, and it is empty. */
static void empty_slot(struct pipeline *p, struct pipeline_slot *slot) {
    for (int kind = 0; kind < 2; kind++)
        if (p->sends[kind].slot == slot) finish_send(&p->sends[kind]);
    arena_reset(&slot->host, 0);
    arena_reset(&slot->device, 0);
    arena_reset(&slot->kept, 0);
    arena_reset(&p->scratch, 0);
}

static fathom_status check_memory(const struct pipeline *p, const struct pipeline_slot *slot,
                                  struct error *err) {
    TRY(arena_check(&slot->kept, "activations", err));
    return arena_check(&p->scratch, "scratch memory", err);
}

fathom_status pipeline_forward(struct pipeline *p, const struct pipeline_action *action,
                               const struct pipeline_input *input, struct error *err) {
    struct pipeline_slot *slot = &p->slots[action->slot];
    struct run_options options = *input->run;
    assert(action->slot < p->slot_count);
    empty_slot(p, slot);
    TRY(train_batch_build(&slot->batch, input->sequences, input->count, input->batch, &slot->host,
                          &slot->device, p->stream, err));
    if (!stage_is_first(p->model->stage)) {
        options.input = run_take_stream(p->model, &slot->batch, &slot->kept);
        receive(p, action, options.input);
    }
    run_forward(slot->run, &slot->batch, &options, p->stream, &slot->kept, &p->scratch);
    if (is_last(p))
        run_heads(slot->run, !options.only_measures);
    else
        begin_send(p, action, run_output(slot->run));
    return check_memory(p, slot, err);
}

fathom_status pipeline_backward(struct pipeline *p, const struct pipeline_action *action,
                                struct error *err) {
    struct pipeline_slot *slot = &p->slots[action->slot];
    if (!is_last(p)) receive(p, action, run_take_gradient(slot->run));
    run_backward(slot->run);
    if (!stage_is_first(p->model->stage)) begin_send(p, action, run_gradient(slot->run));
    return check_memory(p, slot, err);
}

fathom_status pipeline_end(struct pipeline *p, fathom_status outcome, struct error *err) {
    if (outcome != FATHOM_OK && p->comm) {
        const struct error unsaid = {.status = outcome, .text = "a stage of the pipeline failed"};
        comm_abort(p->comm, err ? err : &unsaid);
    }
    for (int kind = 0; kind < 2; kind++) finish_send(&p->sends[kind]);
    const fathom_status status = stream_check(p->stream, outcome == FATHOM_OK ? err : NULL);
    return outcome == FATHOM_OK ? status : outcome;
}
