#include "train/optimizer.h"

#include <math.h>

#include "base/memory.h"
#include "ops/optimizer.h"

static int64_t all_partials(const struct param_list *list) {
    struct tensor groups[GROUP_STATE];
    for (int group = 0; group < GROUP_STATE; group++)
        groups[group] = tensor_of(NULL, DTYPE_F32, 1, list->group_size[group]);
    return ops_norm_partials(groups, GROUP_STATE);
}

enum dtype optimizer_moment_dtype(const struct optimizer_options *options, enum dtype compute) {
    return options->has_bf16_moments ? DTYPE_BF16 : compute;
}

size_t optimizer_bytes(const struct param_list *list, const struct comm *comm, enum dtype moments) {
    int64_t elements = 0;
    for (int group = 0; group < GROUP_STATE; group++)
        elements += shard_count(zero_shard(list->group_size[group], comm));
    return 2 * (size_t)elements * dtype_size(moments) + (size_t)all_partials(list) * sizeof(double);
}

/* Index of a parameter's expert among all MoE layers' experts, or -1. */
static int64_t expert_index(const struct model_config *c, const struct param *p) {
    return p->expert < 0 ? -1 : (p->layer - c->first_dense) * c->experts + p->expert;
}

/* Ranges in memory order; gaps between parameters fall to the range before. */
static void ranges_fill(struct optimizer *o) {
    const struct param_list *list = &o->model->params;
    o->range_count = 0;
    for (int group = 0; group < GROUP_STATE; group++) {
        struct optimizer_range *last = NULL;
        for (int64_t i = 0; i < list->count; i++) {
            const struct param *p = &list->items[i];
            int64_t expert = expert_index(&o->model->config, p);
            if ((int)p->group != group) continue;
            if (last) last->count = p->offset - last->offset;
            if (last && last->has_decay == param_has_decay(p) && last->expert == expert) continue;
            last = &o->ranges[o->range_count++];
            *last = (struct optimizer_range){.group = p->group,
                                             .offset = p->offset,
                                             .has_decay = param_has_decay(p),
                                             .expert = expert};
        }
        if (last) last->count = list->group_size[group] - last->offset;
    }
}

static fathom_status optimizer_fill(struct optimizer *o, struct comm *comm, struct error *err) {
    struct device *device = o->model->device;
    const struct param_list *list = &o->model->params;
    struct stream stream;
    TRY(zero_init(&o->zero, list, comm, err));
    stream_init(&stream, device);
    for (int group = 0; group < GROUP_STATE; group++) {
        size_t bytes = (size_t)shard_count(o->zero.own[group]) *
                       dtype_size(optimizer_moment_dtype(&o->options, device->compute));
        TRY(device_allocate(device, &o->m[group], bytes, "the optimizer's moments", err));
        TRY(device_allocate(device, &o->v[group], bytes, "the optimizer's moments", err));
        stream_zero(&stream, o->m[group], bytes);
        stream_zero(&stream, o->v[group], bytes);
    }
    const int64_t partials = all_partials(list);
    void *partial = NULL;
    TRY(device_allocate(device, &partial, (size_t)partials * sizeof(double), "the gradient norm",
                        err));
    o->partial = partial;
    TRY(MEM_NEW(&o->partial_host, partials, "the gradient norm", err));
    TRY(MEM_NEW(&o->ranges, list->count, "the optimizer", err));
    o->expert_count = o->model->loads_count;
    TRY(MEM_NEW(&o->expert_steps, o->expert_count, "the optimizer", err));
    ranges_fill(o);
    return stream_check(&stream, err);
}

fathom_status optimizer_new(struct optimizer **out, struct model *model, struct comm *comm,
                            const struct optimizer_options *options, struct error *err) {
    struct optimizer *o = NULL;
    *out = NULL;
    TRY(MEM_NEW(&o, 1, "the optimizer", err));
    o->model = model;
    o->options = *options;
    fathom_status status = optimizer_fill(o, comm, err);
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
    zero_free(&o->zero);
    device_release(o->model->device, o->partial);
    mem_free(o->partial_host);
    mem_free(o->ranges);
    mem_free(o->expert_steps);
    mem_free(o);
}

static struct tensor flat_of(void *block, enum dtype dtype, int64_t offset, int64_t count) {
    return tensor_of((char *)block + (size_t)offset * dtype_size(dtype), dtype, 1, count);
}
/* Of weights or gradients, and of moments. */
static struct tensor flat(const struct optimizer *o, void *block, int64_t offset, int64_t count) {
    return flat_of(block, o->model->device->compute, offset, count);
}
static struct tensor flat_moment(const struct optimizer *o, void *block, int64_t offset,
                                 int64_t count) {
    enum dtype dtype = optimizer_moment_dtype(&o->options, o->model->device->compute);
    return flat_of(block, dtype, offset, count);
}

void optimizer_sum_grads(struct optimizer *o, struct stream *stream) {
    for (int group = 0; group < GROUP_STATE; group++)
        zero_sum(&o->zero, stream, (enum param_group)group, o->model->grads[group],
                 o->model->device->compute);
}

fathom_status optimizer_grad_norm(struct optimizer *o, struct stream *stream, double *norm,
                                  struct error *err) {
    double *partial = o->partial;
    for (int group = 0; group < GROUP_COPY; group++) {
        const struct shard own = o->zero.own[group];
        const struct tensor all =
            flat(o, o->model->grads[group], 0, o->model->params.group_size[group]);
        ops_norm_chunks(stream, tensor_cols(all, own.begin, shard_count(own)),
                        partial + own.begin / SUMSQ_CHUNK);
        zero_gather_chunks(&o->zero, stream, (enum param_group)group, partial);
        partial += ops_norm_partials(&all, 1);
    }
    *norm = ops_norm_total(stream, o->partial, o->partial_host, partial - o->partial);
    return stream_check(stream, err);
}

/* Where a parameter lies in the own shard, as elements of its group. */
static struct shard held_part(const struct optimizer *o, const struct param *p) {
    const struct shard whole = {p->offset, p->offset + param_count(p)};
    return shard_overlap(whole, o->zero.own[p->group]);
}

bool optimizer_grad_is_finite(struct optimizer *o, struct stream *stream, const struct param *p) {
    const struct shard held = held_part(o, p);
    const struct tensor grad = flat(o, o->model->grads[p->group], held.begin, shard_count(held));
    return isfinite(ops_norm(
        stream, &(struct op_norm){
                    .tensors = &grad, .count = 1, .partial = o->partial, .host = o->partial_host}));
}

static int64_t steps_of(const struct optimizer *o, const struct optimizer_range *r) {
    return r->expert < 0 ? o->steps : o->expert_steps[r->expert];
}

static bool is_touched(const struct optimizer_range *r, const int32_t *loads) {
    return r->expert < 0 || loads[r->expert] > 0;
}

static void count_steps(struct optimizer *o, const int32_t *loads) {
    o->steps++;
    for (int64_t e = 0; e < o->expert_count; e++) o->expert_steps[e] += loads[e] > 0;
}

/* The end of the ranges from `first` on that one call can update: neighbours alike in all. */
static int64_t alike_until(const struct optimizer *o, int64_t first, const int32_t *loads) {
    const struct optimizer_range *a = &o->ranges[first];
    int64_t end = first + 1;
    for (; end < o->range_count; end++) {
        const struct optimizer_range *b = &o->ranges[end];
        if (a->group != b->group || a->has_decay != b->has_decay ||
            is_touched(a, loads) != is_touched(b, loads) || steps_of(o, a) != steps_of(o, b))
            break;
    }
    return end;
}

void optimizer_update(struct optimizer *o, struct stream *stream, double learning_rate,
                      double grad_norm, const int32_t *loads) {
    const struct optimizer_options *options = &o->options;
    double scale = 1;
    if (options->clip > 0 && grad_norm > options->clip) scale = options->clip / grad_norm;
    count_steps(o, loads);
    for (int64_t i = 0, end = 0; i < o->range_count; i = end) {
        const struct optimizer_range *r = &o->ranges[i], *last = NULL;
        end = alike_until(o, i, loads);
        last = &o->ranges[end - 1];
        const struct shard own = o->zero.own[r->group];
        const struct shard part =
            shard_overlap((struct shard){r->offset, last->offset + last->count}, own);
        const int64_t count = shard_count(part);
        if (!is_touched(r, loads) || count == 0) continue;
        double steps = (double)steps_of(o, r);
        ops_adamw(stream, &(struct op_adamw){
                              .p = flat(o, o->model->weights[r->group], part.begin, count),
                              .g = flat(o, o->model->grads[r->group], part.begin, count),
                              .m = flat_moment(o, o->m[r->group], part.begin - own.begin, count),
                              .v = flat_moment(o, o->v[r->group], part.begin - own.begin, count),
                              .lr = learning_rate,
                              .beta1 = options->beta1,
                              .beta2 = options->beta2,
                              .eps = options->eps,
                              .decay = r->has_decay ? options->decay : 0,
                              .grad_scale = scale,
                              .correction1 = 1 - pow(options->beta1, steps),
                              .correction2 = 1 - pow(options->beta2, steps),
                          });
    }
    for (int group = 0; group < GROUP_STATE; group++)
        zero_gather(&o->zero, stream, (enum param_group)group, o->model->weights[group],
                    o->model->device->compute);
}

struct tensor optimizer_moment(const struct optimizer *o, const struct param *p, bool is_second,
                               int64_t *first) {
    const struct shard held = held_part(o, p);
    if (first) *first = held.begin - p->offset;
    return flat_moment(o, is_second ? o->v[p->group] : o->m[p->group],
                       held.begin - o->zero.own[p->group].begin, shard_count(held));
}
