#include "model/model.h"

#include <string.h>

#include "base/memory.h"
#include "base/rng.h"

static size_t group_element_size(enum param_group group, enum dtype compute) {
    return dtype_size(group == GROUP_STATE ? DTYPE_F32 : compute);
}

size_t model_bytes(const struct param_list *list, enum dtype compute, unsigned flags,
                   int64_t loads_count) {
    size_t bytes = 0;
    for (int group = 0; group < GROUP_COUNT; group++) {
        size_t size =
            (size_t)list->group_size[group] * group_element_size((enum param_group)group, compute);
        bool has_grads = (flags & MODEL_GRADS) && group != GROUP_STATE;
        bytes += has_grads ? 2 * size : size;
    }
    if (flags & MODEL_GRADS) bytes += (size_t)loads_count * sizeof(int32_t);
    return bytes;
}

/* ---- views ---- */

static struct tensor param_view(void *const blocks[GROUP_COUNT], enum dtype compute,
                                const struct param *p) {
    enum dtype dtype = p->group == GROUP_STATE ? DTYPE_F32 : compute;
    char *base = (char *)blocks[p->group];
    void *data = base ? base + (size_t)p->offset * dtype_size(dtype) : NULL;
    return tensor_of(data, dtype, p->rows, p->cols);
}

struct tensor model_weight(const struct model *model, const struct param *p) {
    return param_view(model->weights, model->device->compute, p);
}

struct tensor model_grad(const struct model *model, const struct param *p) {
    return param_view(model->grads, model->device->compute, p);
}

/* Where a parameter is seen in struct layer_tensors; NULL for the model's own and the state. */
static struct tensor *layer_slot(struct layer_tensors *t, enum tensor_id id) {
    switch (id) {
    case TENSOR_ATTN_NORM: return &t->attn_norm;
    case TENSOR_Q_A:
    case TENSOR_Q:
    case TENSOR_KV_A:
    case TENSOR_K:
    case TENSOR_V: return &t->attn_in;
    case TENSOR_Q_BIAS:
    case TENSOR_K_BIAS:
    case TENSOR_V_BIAS: return &t->attn_in_bias;
    case TENSOR_Q_NORM: return &t->q_norm;
    case TENSOR_K_NORM: return &t->k_norm;
    case TENSOR_Q_A_NORM: return &t->q_a_norm;
    case TENSOR_Q_B: return &t->q_b;
    case TENSOR_KV_A_NORM: return &t->kv_a_norm;
    case TENSOR_KV_B: return &t->kv_b;
    case TENSOR_O: return &t->o;
    case TENSOR_FFN_NORM: return &t->ffn_norm;
    case TENSOR_GATE:
    case TENSOR_UP:
    case TENSOR_SHARED_GATE:
    case TENSOR_SHARED_UP: return &t->gate_up;
    case TENSOR_DOWN:
    case TENSOR_SHARED_DOWN: return &t->down;
    case TENSOR_ROUTER: return &t->router;
    case TENSOR_EXPERT_GATE:
    case TENSOR_EXPERT_UP: return &t->expert_gate_up;
    case TENSOR_EXPERT_DOWN: return &t->expert_down;
    case TENSOR_EMBEDDING_NORM: return &t->embedding_norm;
    case TENSOR_HIDDEN_NORM: return &t->hidden_norm;
    case TENSOR_EH_PROJ: return &t->eh_proj;
    case TENSOR_MTP_NORM: return &t->mtp_norm;
    case TENSOR_EMBEDDING:
    case TENSOR_FINAL_NORM:
    case TENSOR_HEAD:
    case TENSOR_ROUTER_BIAS:
    case TENSOR_ID_COUNT: break;
    }
    return NULL;
}

/* Adds a parameter to a view: the first makes it, stacked ones extend it (matrices by rows, vectors
 * by columns). */
static void view_extend(struct tensor *view, struct tensor next, const struct param *p) {
    if (view->rows == 0)
        *view = next;
    else if (p->kind == KIND_MATRIX)
        view->rows += next.rows;
    else
        view->cols = view->stride = view->cols + next.cols;
}

static void views_make(const struct model *model, void *const blocks[GROUP_COUNT],
                       struct layer_tensors *layers, struct outer_tensors *outer) {
    for (int64_t i = 0; i < model->params.count; i++) {
        const struct param *p = &model->params.items[i];
        struct tensor view = param_view(blocks, model->device->compute, p);
        struct tensor *slot = p->layer >= 0 ? layer_slot(&layers[p->layer], p->id) : NULL;
        if (slot) view_extend(slot, view, p);
        if (p->id == TENSOR_EMBEDDING) outer->embedding = view;
        if (p->id == TENSOR_FINAL_NORM) outer->final_norm = view;
        if (p->id == TENSOR_HEAD) outer->head = view;
    }
    if (model->config.is_tied) outer->head = outer->embedding;
}

/* ---- creation ---- */

static fathom_status allocate_blocks(struct model *model, unsigned flags, struct error *err) {
    struct stream stream;
    stream_init(&stream, model->device);
    for (int group = 0; group < GROUP_COUNT; group++) {
        size_t bytes = (size_t)model->params.group_size[group] *
                       group_element_size((enum param_group)group, model->device->compute);
        TRY(device_allocate(model->device, &model->weights[group], bytes, "the weights", err));
        stream_zero(&stream, model->weights[group], bytes); /* the gaps too: they are updated */
        if (!(flags & MODEL_GRADS) || group == GROUP_STATE) continue;
        TRY(device_allocate(model->device, &model->grads[group], bytes, "the gradients", err));
        stream_zero(&stream, model->grads[group], bytes);
    }
    if (flags & MODEL_GRADS) {
        size_t bytes = (size_t)model->loads_count * sizeof(int32_t);
        void *block = NULL;
        TRY(device_allocate(model->device, &block, bytes, "the expert loads", err));
        model->loads_block = block;
        stream_zero(&stream, block, bytes);
    }
    return stream_check(&stream, err);
}

static void place_loads(struct model *model) {
    const struct model_config *c = &model->config;
    int64_t at = 0;
    for (int64_t layer = 0; layer < config_all_layers(c) && model->loads_block; layer++) {
        if (!config_layer_is_moe(c, layer)) continue;
        model->loads[layer] = model->loads_block + at;
        at += c->experts;
    }
}

static void place_router_bias(struct model *model) {
    for (int64_t layer = 0; layer < config_all_layers(&model->config); layer++) {
        const struct param *p = param_find(&model->params, TENSOR_ROUTER_BIAS, layer, -1);
        if (p) model->router_bias[layer] = model_weight(model, p);
    }
}

static fathom_status model_fill(struct model *model, unsigned flags, struct error *err) {
    const struct model_config *c = &model->config;
    int64_t layers = config_all_layers(c);
    TRY(param_list_new_stage(&model->params, c, model->stage, err));
    TRY(MEM_NEW(&model->layers, layers, "the model", err));
    TRY(MEM_NEW(&model->layer_grads, layers, "the model", err));
    TRY(MEM_NEW(&model->router_bias, layers, "the model", err));
    TRY(MEM_NEW(&model->loads, layers, "the model", err));
    TRY(MEM_NEW(&model->frequency, c->dim_rope / 2, "the rotary frequencies", err));
    for (int64_t layer = 0; layer < layers; layer++)
        if (config_layer_is_moe(c, layer)) model->loads_count += c->experts;
    model->is_dry = flags & MODEL_DRY;
    if (!model->is_dry) TRY(allocate_blocks(model, flags, err));

    views_make(model, model->weights, model->layers, &model->outer);
    if (flags & MODEL_GRADS)
        views_make(model, model->grads, model->layer_grads, &model->outer_grads);
    place_loads(model);
    place_router_bias(model);
    config_rope(c, model->frequency, &model->rope_factor);
    model->softmax_scale = config_softmax_scale(c);
    return FATHOM_OK;
}

fathom_status model_new(struct model **out, struct device *device,
                        const struct model_config *config, unsigned flags, struct error *err) {
    return model_new_stage(out, device, config, stage_whole(config), flags, err);
}

fathom_status model_new_stage(struct model **out, struct device *device,
                              const struct model_config *config, struct stage stage, unsigned flags,
                              struct error *err) {
    struct model *model = NULL;
    *out = NULL;
    TRY(MEM_NEW(&model, 1, "the model", err));
    model->config = *config;
    model->device = device;
    model->stage = stage;
    fathom_status status = model_fill(model, flags, err);
    if (status != FATHOM_OK)
        model_free(model);
    else
        *out = model;
    return status;
}

void model_free(struct model *model) {
    if (!model) return;
    for (int group = 0; group < GROUP_COUNT; group++) {
        device_release(model->device, model->weights[group]);
        device_release(model->device, model->grads[group]);
    }
    device_release(model->device, model->loads_block);
    param_list_free(&model->params);
    mem_free(model->layers);
    mem_free(model->layer_grads);
    mem_free(model->router_bias);
    mem_free(model->loads);
    mem_free(model->frequency);
    mem_free(model);
}

/* ---- initial weights ---- */

enum { INIT_CHUNK = 65536 };

struct init_chunk {
    float values[INIT_CHUNK];
    double wide[INIT_CHUNK];
};

/* Sends count host values to the device, starting at element `at` of w. */
static void init_upload(struct stream *stream, struct tensor w, int64_t at, int64_t count,
                        struct init_chunk *chunk) {
    size_t size = dtype_size(w.dtype);
    const void *from = chunk->values;
    if (w.dtype == DTYPE_F64) {
        for (int64_t i = 0; i < count; i++) chunk->wide[i] = (double)chunk->values[i];
        from = chunk->wide;
    }
    stream_upload(stream, (char *)w.data + (size_t)at * size, from, (size_t)count * size);
}

static void init_param(struct stream *stream, const struct param *p, struct tensor w,
                       struct rng_key key, double std, struct init_chunk *chunk) {
    for (int64_t at = 0; at < param_count(p); at += INIT_CHUNK) {
        int64_t count = param_count(p) - at < INIT_CHUNK ? param_count(p) - at : INIT_CHUNK;
        for (int64_t i = 0; i < count; i++) {
            double value = p->kind == KIND_MATRIX ? std * rng_normal(key, (uint64_t)(at + i))
                                                  : (double)(p->kind == KIND_VECTOR);
            chunk->values[i] = (float)value;
        }
        init_upload(stream, w, at, count, chunk);
    }
}

fathom_status model_init(struct model *model, uint64_t seed, double std, struct error *err) {
    struct init_chunk *chunk = NULL;
    if (std <= 0) std = model->config.init_std;
    TRY(MEM_NEW(&chunk, 1, "initial weights", err));
    struct stream stream;
    stream_init(&stream, model->device);
    for (int64_t i = 0; i < model->params.count; i++) {
        const struct param *p = &model->params.items[i];
        const struct rng_key key = {seed, RNG_INIT, (uint64_t)p->number};
        init_param(&stream, p, model_weight(model, p), key, std, chunk);
    }
    mem_free(chunk);
    return stream_check(&stream, err);
}

void model_zero_grads(struct model *model, struct stream *stream) {
    size_t size = dtype_size(model->device->compute);
    for (int group = 0; group < GROUP_STATE; group++)
        stream_zero(stream, model->grads[group], (size_t)model->params.group_size[group] * size);
}
