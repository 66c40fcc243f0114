#include "train/moments.h"

/* What rank 0 broadcasts: 2 * parameter + is_second, or -1 - status at the end. */
static fathom_status tell(const struct optimizer *o, int64_t *request, struct stream *stream,
                          struct error *err) {
    comm_run(o->zero.comm, stream,
             &(struct comm_op){.kind = COMM_BROADCAST,
                               .dtype = DTYPE_I64,
                               .on_host = true,
                               .to = request,
                               .count = 1});
    return stream_check(stream, err);
}

/* Where a parameter lies in a rank's shard, as elements of the parameter. */
static struct shard part_of(const struct optimizer *o, const struct param *p, int rank) {
    const struct comm place = {.rank = rank, .size = o->zero.comm->size};
    const struct shard shard = zero_shard(o->model->params.group_size[p->group], &place);
    const struct shard part =
        shard_overlap(shard, (struct shard){p->offset, p->offset + param_count(p)});
    return (struct shard){part.begin - p->offset, part.end - p->offset};
}

/* The part that the own shard has, at its place in the tensor. */
static void read_own(const struct optimizer *o, const struct param *p, bool is_second,
                     void *to_host, struct stream *stream) {
    int64_t first = 0;
    const struct tensor own = optimizer_moment(o, p, is_second, &first);
    const size_t size = dtype_size(own.dtype);
    if (own.cols > 0)
        stream_download(stream, (char *)to_host + (size_t)first * size, own.data,
                        (size_t)own.cols * size);
}

/* Host memory on rank 0's side, the device's on the other. */
static void receive_part(const struct optimizer *o, const struct param *p, int rank, void *to_host,
                         enum dtype dtype, struct stream *stream) {
    const struct shard part = part_of(o, p, rank);
    if (shard_count(part) == 0) return;
    comm_run(o->zero.comm, stream,
             &(struct comm_op){.kind = COMM_RECEIVE,
                               .dtype = dtype,
                               .peer = rank,
                               .on_host = true,
                               .to = (char *)to_host + (size_t)part.begin * dtype_size(dtype),
                               .count = shard_count(part)});
}

fathom_status moments_fetch(const struct optimizer *o, int64_t param, bool is_second, void *to_host,
                            struct stream *stream, struct error *err) {
    const struct param *p = &o->model->params.items[param];
    int64_t request = 2 * param + is_second;
    if (o->zero.comm) TRY(tell(o, &request, stream, err));
    read_own(o, p, is_second, to_host, stream);
    const enum dtype dtype = optimizer_moment(o, p, is_second, NULL).dtype;
    for (int rank = 1; o->zero.comm && rank < o->zero.comm->size; rank++)
        receive_part(o, p, rank, to_host, dtype, stream);
    return stream_check(stream, err);
}

fathom_status moments_end(const struct optimizer *o, fathom_status outcome, struct stream *stream,
                          struct error *err) {
    int64_t request = -1 - (int64_t)outcome;
    if (!o->zero.comm) return outcome;
    fathom_status status = tell(o, &request, stream, outcome == FATHOM_OK ? err : NULL);
    return outcome == FATHOM_OK ? status : outcome;
}

fathom_status moments_serve(const struct optimizer *o, struct stream *stream, bool *has_ended,
                            struct error *err) {
    *has_ended = false;
    for (;;) {
        int64_t request = 0;
        TRY(tell(o, &request, stream, err));
        *has_ended = request < 0;
        if (request == -1) return FATHOM_OK;
        if (request < 0)
            RAISE((fathom_status)(-1 - request), "rank 0 failed (%s)",
                  status_name((fathom_status)(-1 - request)));
        const struct param *p = &o->model->params.items[request / 2];
        const struct tensor own = optimizer_moment(o, p, request % 2, NULL);
        if (own.cols == 0) continue;
        comm_run(o->zero.comm, stream,
                 &(struct comm_op){
                     .kind = COMM_SEND, .dtype = own.dtype, .from = own.data, .count = own.cols});
        TRY(stream_check(stream, err));
    }
}
