#include "train/optimizer.h"

#include <math.h>

#include "base/memory.h"
#include "ops/optimizer.h"

static int64_t chunks_of(int64_t count) { return (count + SUMSQ_CHUNK - 1) / SUMSQ_CHUNK; }

static int64_t all_chunks(const struct param_list *list) {
    int64_t chunks = 0;
    for (int group = 0; group < GROUP_STATE; group++) chunks += chunks_of(list->group_size[group]);
    return chunks;
}

size_t optimizer_bytes(const struct param_list *list, enum dtype compute) {
    int64_t elements = list->group_size[GROUP_DENSE] + list->group_size[GROUP_EXPERT];
    return 2 * (size_t)elements * dtype_size(compute) + (size_t)all_chunks(list) * sizeof(double);
}

/* Ranges in memory order; gaps between parameters fall to the range before. */
static void ranges_fill(struct optimizer *o) {
    const struct param_list *list = &o->model->params;
    o->range_count = 0;
    for (int group = 0; group < GROUP_STATE; group++) {
        struct optimizer_range *last = NULL;
        for (int64_t i = 0; i < list->count; i++) {
            const struct param *p = &list->items[i];
            if ((int)p->group != group) continue;
            if (last) last->count = p->offset - last->offset;
            if (last && last->has_decay == param_has_decay(p)) continue;
            last = &o->ranges[o->range_count++];
            *last = (struct optimizer_range){
                .group = p->group, .offset = p->offset, .has_decay = param_has_decay(p)};
        }
        if (last) last->count = list->group_size[group] - last->offset;
    }
}

static fathom_status optimizer_fill(struct optimizer *o, struct error *err) {
    struct device *device = o->model->device;
    const struct param_list *list = &o->model->params;
    struct stream stream;
    stream_init(&stream, device);
    for (int group = 0; group < GROUP_STATE; group++) {
        size_t bytes = (size_t)list->group_size[group] * dtype_size(device->compute);
        TRY(device_allocate(device, &o->m[group], bytes, "the optimizer's moments", err));
        TRY(device_allocate(device, &o->v[group], bytes, "the optimizer's moments", err));
        stream_zero(&stream, o->m[group], bytes);
        stream_zero(&stream, o->v[group], bytes);
    }
    o->partial_count = all_chunks(list);
    void *partial = NULL;
    TRY(device_allocate(device, &partial, (size_t)o->partial_count * sizeof(double),
                        "the gradient norm", err));
    o->partial = partial;
    TRY(MEM_NEW(&o->partial_host, o->partial_count, "the gradient norm", err));
    TRY(MEM_NEW(&o->ranges, list->count, "the optimizer", err));
    ranges_fill(o);
    return stream_check(&stream, err);
}

fathom_status optimizer_new(struct optimizer **out, struct model *model,
                            const struct optimizer_options *options, struct error *err) {
    struct optimizer *o = NULL;
    *out = NULL;
    TRY(MEM_NEW(&o, 1, "the optimizer", err));
    o->model = model;
    o->options = *options;
    fathom_status status = optimizer_fill(o, err);
    if (status != FATHOM_OK)
        optimizer_free(o);
    else
        *out = o;
    return status;
}

void optimizer_free(struct optimizer *o) {
    if (!o) return;
    for (int group = 0; group < GROUP_COUNT; group++) {
        device_release(o->model->device, o->m[group]);
        device_release(o->model->device, o->v[group]);
    }
    device_release(o->model->device, o->partial);
    mem_free(o->partial_host);
    mem_free(o->ranges);
    mem_free(o);
}

static struct tensor flat(const struct optimizer *o, void *block, int64_t offset, int64_t count) {
    enum dtype dtype = o->model->device->compute;
    return tensor_of((char *)block + (size_t)offset * dtype_size(dtype), dtype, 1, count);
}

fathom_status optimizer_grad_norm(struct optimizer *o, struct stream *stream, double *norm,
                                  struct error *err) {
    int64_t at = 0;
    for (int group = 0; group < GROUP_STATE; group++) {
        int64_t size = o->model->params.group_size[group];
        if (size == 0) continue;
        ops_sumsq(stream, &(struct op_sumsq){.partial = o->partial + at,
                                             .x = flat(o, o->model->grads[group], 0, size)});
        at += chunks_of(size);
    }
    stream_download(stream, o->partial_host, o->partial, (size_t)o->partial_count * sizeof(double));
    TRY(stream_check(stream, err));
    double sum = 0;
    for (int64_t i = 0; i < o->partial_count; i++) sum += o->partial_host[i];
    *norm = sqrt(sum);
    return FATHOM_OK;
}

bool optimizer_grad_is_finite(struct optimizer *o, struct stream *stream, const struct param *p) {
    int64_t chunks = chunks_of(param_count(p)); /* of one tensor: fewer than of its group */
    ops_sumsq(stream, &(struct op_sumsq){
                          .partial = o->partial,
                          .x = flat(o, o->model->grads[p->group], p->offset, param_count(p))});
    stream_download(stream, o->partial_host, o->partial, (size_t)chunks * sizeof(double));
    double sum = 0;
    for (int64_t i = 0; i < chunks; i++) sum += o->partial_host[i];
    return isfinite(sum);
}

void optimizer_update(struct optimizer *o, struct stream *stream, double learning_rate,
                      double grad_norm) {
    const struct optimizer_options *options = &o->options;
    o->steps++;
    double scale = 1;
    if (options->clip > 0 && grad_norm > options->clip) scale = options->clip / grad_norm;
    for (int64_t i = 0; i < o->range_count; i++) {
        const struct optimizer_range *r = &o->ranges[i];
        ops_adamw(stream, &(struct op_adamw){
                              .p = flat(o, o->model->weights[r->group], r->offset, r->count),
                              .g = flat(o, o->model->grads[r->group], r->offset, r->count),
                              .m = flat(o, o->m[r->group], r->offset, r->count),
                              .v = flat(o, o->v[r->group], r->offset, r->count),
                              .lr = learning_rate,
                              .beta1 = options->beta1,
                              .beta2 = options->beta2,
                              .eps = options->eps,
                              .decay = r->has_decay ? options->decay : 0,
                              .grad_scale = scale,
                              .correction1 = 1 - pow(options->beta1, (double)o->steps),
                              .correction2 = 1 - pow(options->beta2, (double)o->steps),
                          });
    }
}

struct tensor optimizer_moment(const struct optimizer *o, const struct param *p, bool is_second) {
    void *const *blocks = is_second ? o->v : o->m;
    struct tensor moment = flat(o, blocks[p->group], p->offset, param_count(p));
    moment.rows = p->rows;
    moment.cols = moment.stride = p->cols;
    return moment;
}
