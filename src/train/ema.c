#include "train/ema.h"

#include "base/memory.h"
#include "ops/optimizer.h"

static size_t group_bytes(const struct param_list *list, int group, enum dtype compute) {
    return (size_t)list->group_size[group] * dtype_size(compute);
}

size_t ema_bytes(const struct param_list *list, enum dtype compute) {
    size_t bytes = 0;
    for (int group = 0; group < GROUP_STATE; group++) bytes += group_bytes(list, group, compute);
    return bytes;
}

static struct tensor flat(const struct model *model, int group) {
    return tensor_of(model->weights[group], model->device->compute, 1,
                     model->params.group_size[group]);
}

static void move_towards(struct ema *e, const struct model *model, double weight,
                         struct stream *stream) {
    for (int group = 0; group < GROUP_STATE; group++)
        ops_lerp(stream, &(struct op_lerp){.y = flat(&e->view, group),
                                           .x = flat(model, group),
                                           .weight = weight});
}

static fathom_status ema_fill(struct ema *e, const struct model *model, struct error *err) {
    struct stream stream;
    stream_init(&stream, model->device);
    for (int group = 0; group < GROUP_STATE; group++) {
        const size_t bytes = group_bytes(&model->params, group, model->device->compute);
        TRY(device_allocate(model->device, &e->view.weights[group], bytes,
                            "the average of the weights", err));
        stream_zero(&stream, e->view.weights[group], bytes);
    }
    move_towards(e, model, 1, &stream);
    return stream_check(&stream, err);
}

fathom_status ema_new(struct ema **out, const struct model *model, double decay,
                      struct error *err) {
    struct ema *e = NULL;
    *out = NULL;
    TRY(MEM_NEW(&e, 1, "the average of the weights", err));
    e->decay = decay;
    e->view = *model;
    for (int group = 0; group < GROUP_STATE; group++) e->view.weights[group] = NULL;
    fathom_status status = ema_fill(e, model, err);
    if (status != FATHOM_OK)
        ema_free(e);
    else
        *out = e;
    return status;
}

void ema_free(struct ema *e) {
    if (!e) return;
    for (int group = 0; group < GROUP_STATE; group++)
        device_release(e->view.device, e->view.weights[group]);
    mem_free(e);
}

void ema_update(struct ema *e, const struct model *model, struct stream *stream) {
    move_towards(e, model, 1 - e->decay, stream);
}
