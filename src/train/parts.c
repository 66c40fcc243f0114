#include "train/parts.h"

#include "base/memory.h"
#include "train/moments.h"

/* What rank 0 sends to the stages. */
struct request {
    int64_t kind; /* enum part_kind, or -1 - status at the end */
    int64_t number, first, count;
};
enum { REQUEST_FIELDS = sizeof(struct request) / sizeof(int64_t) };

static bool is_first_of(const struct comm *comm) { return !comm || comm->rank == 0; }

bool trained_is_first(const struct trained *t) {
    return is_first_of(t->stages) && is_first_of(t->optimizer->zero.comm);
}

/* ---- between stages ---- */

static fathom_status tell_stages(const struct trained *t, struct stream *stream,
                                 struct request *request, struct error *err) {
    comm_run(t->stages, stream,
             &(struct comm_op){.kind = COMM_BROADCAST,
                               .dtype = DTYPE_I64,
                               .on_host = true,
                               .to = request,
                               .count = REQUEST_FIELDS});
    return stream_check(stream, err);
}

/* Nobody leaves with the outcome before all ranks have been told it: the stages' first ranks wait
 * for each other, and each stage's others for its first. */
static fathom_status leave_together(const struct trained *t, struct stream *stream,
                                    fathom_status outcome, struct error *err) {
    struct comm *replicas = t->optimizer->zero.comm;
    const struct comm_op barrier = {.kind = COMM_BARRIER};
    if (!t->stages) return outcome;
    if (is_first_of(replicas)) comm_run(t->stages, stream, &barrier);
    if (replicas) comm_run(replicas, stream, &barrier);
    fathom_status status = stream_check(stream, outcome == FATHOM_OK ? err : NULL);
    return outcome == FATHOM_OK ? status : outcome;
}

/* The stage that a parameter belongs to, whose copies elsewhere do not count. */
static int owner_of(const struct trained *t, const struct param *p) {
    int stage = t->stages ? t->stages->size - 1 : 0;
    if (p->layer < 0) return p->id == TENSOR_EMBEDDING ? 0 : stage;
    while (stage > 0 && t->begins[stage] > p->layer) stage--;
    return stage;
}

static enum dtype dtype_of(const struct trained *t, enum part_kind kind, const struct param *p) {
    const enum dtype compute = t->model->device->compute;
    if (kind >= PART_FIRST_MOMENT) return optimizer_moment_dtype(&t->optimizer->options, compute);
    return p->group == GROUP_STATE ? DTYPE_F32 : compute;
}

/* ---- a part that is here ---- */

/* p is an item of the own model's list. */
static fathom_status read_own(const struct trained *t, const struct request *r,
                              const struct param *p, struct stream *stream, void *to_host,
                              struct error *err) {
    const int64_t own = p - t->model->params.items;
    switch ((enum part_kind)r->kind) {
    case PART_WEIGHTS: return model_read(t->model, stream, p, r->first, r->count, to_host, err);
    case PART_EMA: return model_read(&t->ema->view, stream, p, r->first, r->count, to_host, err);
    case PART_FIRST_MOMENT: return moments_fetch(t->optimizer, own, false, to_host, stream, err);
    case PART_SECOND_MOMENT: break;
    }
    return moments_fetch(t->optimizer, own, true, to_host, stream, err);
}

/* ---- rank 0 ---- */

fathom_status parts_open(struct parts *parts, const struct trained *trained, struct error *err) {
    *parts = (struct parts){.trained = trained};
    stream_init(&parts->stream, trained->model->device);
    return param_list_new(&parts->whole, &trained->model->config, err);
}

fathom_status parts_read(struct parts *parts, enum part_kind kind, const struct param *p,
                         int64_t first, int64_t count, void *to_host, struct error *err) {
    const struct trained *t = parts->trained;
    struct request request = {kind, p->number, first, count};
    const int owner = owner_of(t, p);
    if (owner == 0) {
        const struct param *own = param_numbered(&t->model->params, p->number);
        return read_own(t, &request, own, &parts->stream, to_host, err);
    }
    TRY(tell_stages(t, &parts->stream, &request, err));
    comm_run(t->stages, &parts->stream,
             &(struct comm_op){.kind = COMM_RECEIVE,
                               .dtype = dtype_of(t, kind, p),
                               .peer = owner,
                               .on_host = true,
                               .to = to_host,
                               .count = count});
    return stream_check(&parts->stream, err);
}

fathom_status parts_close(struct parts *parts, fathom_status outcome, struct error *err) {
    const struct trained *t = parts->trained;
    struct request end = {.kind = -1 - (int64_t)outcome};
    fathom_status status = FATHOM_OK;
    if (t->stages) status = tell_stages(t, &parts->stream, &end, outcome == FATHOM_OK ? err : NULL);
    if (outcome == FATHOM_OK) outcome = status;
    param_list_free(&parts->whole);
    outcome = moments_end(t->optimizer, outcome, &parts->stream, err);
    return leave_together(t, &parts->stream, outcome, err);
}

/* ---- the others ---- */

struct answer {
    const struct trained *trained;
    struct stream stream;
    void *buffer;   /* the largest own tensor's bytes; a stage's first rank */
    bool has_ended; /* rank 0 has said how it went */
};

static fathom_status answer_one(struct answer *a, const struct request *r, struct error *err) {
    const struct trained *t = a->trained;
    const struct param *p = param_numbered(&t->model->params, r->number);
    if (!p || p->group == GROUP_COPY) return FATHOM_OK; /* another stage's */
    TRY(read_own(t, r, p, &a->stream, a->buffer, err));
    comm_run(t->stages, &a->stream,
             &(struct comm_op){.kind = COMM_SEND,
                               .dtype = dtype_of(t, (enum part_kind)r->kind, p),
                               .on_host = true,
                               .from = a->buffer,
                               .count = r->count});
    return stream_check(&a->stream, err);
}

static fathom_status answer_all(struct answer *a, struct error *err) {
    const struct trained *t = a->trained;
    TRY(mem_new_raw(&a->buffer, (size_t)param_list_largest(&t->model->params),
                    dtype_size(t->model->device->compute), "a checkpoint", err));
    for (;;) {
        struct request request = {0};
        TRY(tell_stages(t, &a->stream, &request, err));
        a->has_ended = request.kind < 0;
        if (request.kind == -1) return FATHOM_OK;
        if (a->has_ended)
            RAISE((fathom_status)(-1 - request.kind), "rank 0 failed (%s)",
                  status_name((fathom_status)(-1 - request.kind)));
        TRY(answer_one(a, &request, err));
    }
}

/* The first rank of a stage, for it and its replicas. */
static fathom_status answer_for_stage(struct answer *a, struct error *err) {
    fathom_status status = answer_all(a, err);
    mem_free(a->buffer);
    return moments_end(a->trained->optimizer, status, &a->stream, err);
}

fathom_status parts_serve(const struct trained *trained, struct error *err) {
    struct answer a = {.trained = trained};
    stream_init(&a.stream, trained->model->device);
    fathom_status status = is_first_of(trained->optimizer->zero.comm)
                               ? answer_for_stage(&a, err)
                               : moments_serve(trained->optimizer, &a.stream, &a.has_ended, err);
    return a.has_ended ? leave_together(trained, &a.stream, status, err) : status;
}

/* ---- weights for a file ---- */

static fathom_status read_weights(void *owner, const struct param *p, int64_t first, int64_t count,
                                  void *to_host, struct error *err) {
    const struct parts_owner *o = owner;
    return parts_read(o->parts, o->kind, p, first, count, to_host, err);
}

struct weight_source parts_weights(struct parts_owner *owner) {
    const struct model *model = owner->parts->trained->model;
    return (struct weight_source){.config = &model->config,
                                  .params = &owner->parts->whole,
                                  .dtype = model->device->compute,
                                  .read = read_weights,
                                  .owner = owner};
}
