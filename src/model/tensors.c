#include "model/tensors.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"

enum tensor_place { PLACE_NEW, PLACE_STACK };

struct tensor_spec {
    enum tensor_scope scope;
    enum tensor_kind kind;
    enum tensor_place place;
    const char *name;
};

static const struct tensor_spec specs[TENSOR_ID_COUNT] = {
#define TENSOR(id, scope, hf, gguf, rows, cols, kind, place, condition)                            \
    [TENSOR_##id] = {SCOPE_##scope, KIND_##kind, PLACE_##place, hf},
#include "model/tensors.def"
#undef TENSOR
};

/* Shape of tensor `id` in a layer; false when a layer of this sort lacks it. */
static bool tensor_shape(const struct model_config *c, enum tensor_id id, bool moe, int64_t *rows,
                         int64_t *cols) {
    (void)moe; /* where no condition of the list needs it */
    switch (id) {
#define TENSOR(id, scope, hf, gguf, row_count, col_count, kind, place, condition)                  \
    case TENSOR_##id:                                                                              \
        *rows = (row_count);                                                                       \
        *cols = (col_count);                                                                       \
        return (condition);
#include "model/tensors.def"
#undef TENSOR
    case TENSOR_ID_COUNT: break;
    }
    return false;
}

static enum param_group group_of(enum tensor_id id) {
    if (specs[id].kind == KIND_ROUTER_BIAS) return GROUP_STATE;
    return specs[id].scope == SCOPE_EXPERT ? GROUP_EXPERT : GROUP_DENSE;
}

/* Adds one tensor to the list (items may be NULL while counting). */
static void list_add(struct param_list *list, enum tensor_id id, int64_t layer, int64_t expert,
                     int64_t rows, int64_t cols, bool is_stacked) {
    enum param_group group = group_of(id);
    int64_t *size = &list->group_size[group];
    if (!is_stacked) *size = (*size + PARAM_ALIGNMENT - 1) / PARAM_ALIGNMENT * PARAM_ALIGNMENT;
    if (list->items)
        list->items[list->count] = (struct param){.id = id,
                                                  .kind = specs[id].kind,
                                                  .group = group,
                                                  .layer = layer,
                                                  .expert = expert,
                                                  .rows = rows,
                                                  .cols = cols,
                                                  .offset = *size};
    list->count++;
    *size += rows * cols;
}

/* The experts' blocks of a layer: [gate; up] of every expert one below the other, then down of
 * every expert, so that a grouped product finds expert e at a fixed stride. */
static void list_add_experts(struct param_list *list, const struct model_config *c, int64_t layer) {
    int64_t rows, cols;
    for (int64_t expert = 0; expert < c->experts; expert++) {
        tensor_shape(c, TENSOR_EXPERT_GATE, true, &rows, &cols);
        list_add(list, TENSOR_EXPERT_GATE, layer, expert, rows, cols, expert > 0);
        tensor_shape(c, TENSOR_EXPERT_UP, true, &rows, &cols);
        list_add(list, TENSOR_EXPERT_UP, layer, expert, rows, cols, true);
    }
    for (int64_t expert = 0; expert < c->experts; expert++) {
        tensor_shape(c, TENSOR_EXPERT_DOWN, true, &rows, &cols);
        list_add(list, TENSOR_EXPERT_DOWN, layer, expert, rows, cols, expert > 0);
    }
}

static void list_add_layer(struct param_list *list, const struct model_config *c, int64_t layer) {
    bool is_moe = config_layer_is_moe(c, layer);
    for (int id = 0; id < TENSOR_ID_COUNT; id++) {
        const struct tensor_spec *spec = &specs[id];
        int64_t rows, cols;
        if (spec->scope == SCOPE_MODEL) continue;
        if (spec->scope == SCOPE_MTP && layer < c->layers) continue;
        if (!tensor_shape(c, (enum tensor_id)id, is_moe, &rows, &cols)) continue;
        if (spec->scope != SCOPE_EXPERT)
            list_add(list, (enum tensor_id)id, layer, -1, rows, cols, spec->place == PLACE_STACK);
        else if (id == TENSOR_EXPERT_GATE)
            list_add_experts(list, c, layer);
    }
}

static void list_add_model(struct param_list *list, const struct model_config *c,
                           enum tensor_id id) {
    int64_t rows, cols;
    if (tensor_shape(c, id, false, &rows, &cols)) list_add(list, id, -1, -1, rows, cols, false);
}

/* A layer cannot take a sum from within its bound past int64. */
static bool is_bounded(const struct param_list *list) {
    for (int group = 0; group < GROUP_COUNT; group++)
        if (list->group_size[group] > PARAM_ELEMENTS_MAX) return false;
    return list->count <= PARAM_LIST_MAX;
}

static fathom_status list_fill(struct param_list *list, const struct model_config *c,
                               struct error *err) {
    list->count = 0;
    memset(list->group_size, 0, sizeof list->group_size);
    list_add_model(list, c, TENSOR_EMBEDDING);
    for (int64_t layer = 0; layer < config_all_layers(c); layer++) {
        if (list->layer_begin) list->layer_begin[layer] = list->count;
        list_add_layer(list, c, layer);
        if (!is_bounded(list))
            RAISE(FATHOM_BAD_INPUT,
                  "the model is too large: its first %lld layers of %lld, with %lld experts each, "
                  "have more than %d tensors or %lld parameters",
                  (long long)layer + 1, (long long)config_all_layers(c), (long long)c->experts,
                  PARAM_LIST_MAX, (long long)PARAM_ELEMENTS_MAX);
    }
    if (list->layer_begin) list->layer_begin[config_all_layers(c)] = list->count;
    list_add_model(list, c, TENSOR_FINAL_NORM);
    list_add_model(list, c, TENSOR_HEAD);
    for (int group = 0; group < GROUP_COUNT; group++)
        list->group_size[group] =
            (list->group_size[group] + PARAM_ALIGNMENT - 1) / PARAM_ALIGNMENT * PARAM_ALIGNMENT;
    return FATHOM_OK;
}

fathom_status param_list_new(struct param_list *list, const struct model_config *config,
                             struct error *err) {
    memset(list, 0, sizeof *list);
    fathom_status status = list_fill(list, config, err);
    if (status == FATHOM_OK)
        status = MEM_NEW(&list->items, list->count, "the list of parameters", err);
    if (status == FATHOM_OK)
        status = MEM_NEW(&list->layer_begin, config_all_layers(config) + 1,
                         "the list of parameters", err);
    if (status == FATHOM_OK) status = list_fill(list, config, err);
    if (status != FATHOM_OK) param_list_free(list);
    return status;
}

void param_list_free(struct param_list *list) {
    mem_free(list->items);
    mem_free(list->layer_begin);
    memset(list, 0, sizeof *list);
}

const struct param *param_find(const struct param_list *list, enum tensor_id id, int64_t layer,
                               int64_t expert) {
    bool is_in_layer = layer >= 0;
    int64_t begin = is_in_layer ? list->layer_begin[layer] : 0;
    int64_t end = is_in_layer ? list->layer_begin[layer + 1] : list->count;
    for (int64_t i = begin; i < end; i++) {
        const struct param *p = &list->items[i];
        if (p->id == id && p->layer == layer && p->expert == expert) return p;
    }
    return NULL;
}

void param_name(const struct param *p, char name[TENSOR_NAME_MAX]) {
    const struct tensor_spec *spec = &specs[p->id];
    if (spec->scope == SCOPE_MODEL) {
        snprintf(name, TENSOR_NAME_MAX, "%s", spec->name);
        return;
    }
    int used = snprintf(name, TENSOR_NAME_MAX, "model.layers.%lld.", (long long)p->layer);
    const char *hole = strstr(spec->name, "%lld");
    if (!hole)
        snprintf(name + used, (size_t)(TENSOR_NAME_MAX - used), "%s", spec->name);
    else
        snprintf(name + used, (size_t)(TENSOR_NAME_MAX - used), "%.*s%lld%s",
                 (int)(hole - spec->name), spec->name, (long long)p->expert, hole + strlen("%lld"));
}
