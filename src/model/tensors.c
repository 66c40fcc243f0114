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

static enum param_group group_of(enum tensor_id id, struct stage stage) {
    if (id == TENSOR_EMBEDDING && !stage_is_first(stage)) return GROUP_COPY;
    if (specs[id].kind == KIND_ROUTER_BIAS) return GROUP_STATE;
    return specs[id].scope == SCOPE_EXPERT ? GROUP_EXPERT : GROUP_DENSE;
}

/* Adds one tensor to the list (items may be NULL while counting). */
static void list_add(struct param_list *list, enum tensor_id id, int64_t layer, int64_t expert,
                     int64_t rows, int64_t cols, bool is_stacked) {
    enum param_group group = group_of(id, list->stage);
    int64_t *size = &list->group_size[group];
    if (!is_stacked) *size = (*size + PARAM_ALIGNMENT - 1) / PARAM_ALIGNMENT * PARAM_ALIGNMENT;
    if (list->items)
        list->items[list->count] = (struct param){.id = id,
                                                  .kind = specs[id].kind,
                                                  .group = group,
                                                  .number = list->whole_count,
                                                  .layer = layer,
                                                  .expert = expert,
                                                  .rows = rows,
                                                  .cols = cols,
                                                  .offset = *size};
    list->count++;
    list->whole_count++;
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

/* Whether the list's stage computes with a tensor outside of the layers. */
static bool has_model_tensor(const struct param_list *list, const struct model_config *c,
                             enum tensor_id id) {
    if (id != TENSOR_EMBEDDING) return stage_is_last(list->stage, c);
    return stage_is_first(list->stage) || stage_has_copy(list->stage, c);
}

static void list_add_model(struct param_list *list, const struct model_config *c,
                           enum tensor_id id) {
    int64_t rows, cols;
    if (!tensor_shape(c, id, false, &rows, &cols)) return;
    if (has_model_tensor(list, c, id))
        list_add(list, id, -1, -1, rows, cols, false);
    else
        list->whole_count++;
}

/* Counts the tensors of another stage's layer. */
static void list_pass_layer(struct param_list *list, const struct model_config *c, int64_t layer) {
    struct param_list passed = {.stage = list->stage};
    list_add_layer(&passed, c, layer);
    list->whole_count += passed.count;
}

/* A layer cannot take a sum from within its bound past int64. */
static bool is_bounded(const struct param_list *list) {
    for (int group = 0; group < GROUP_COUNT; group++)
        if (list->group_size[group] > PARAM_ELEMENTS_MAX) return false;
    return list->count <= PARAM_LIST_MAX;
}

static fathom_status list_fill(struct param_list *list, const struct model_config *c,
                               struct error *err) {
    const struct stage stage = list->stage;
    list->count = list->whole_count = 0;
    memset(list->group_size, 0, sizeof list->group_size);
    list_add_model(list, c, TENSOR_EMBEDDING);
    for (int64_t layer = 0; layer < config_all_layers(c); layer++) {
        if (list->layer_begin) list->layer_begin[layer] = list->count;
        if (layer >= stage.begin && layer < stage_layers_end(stage, c))
            list_add_layer(list, c, layer);
        else
            list_pass_layer(list, c, layer);
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
    return param_list_new_stage(list, config, stage_whole(config), err);
}

fathom_status param_list_new_stage(struct param_list *list, const struct model_config *config,
                                   struct stage stage, struct error *err) {
    *list = (struct param_list){.stage = stage};
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

const struct param *param_numbered(const struct param_list *list, int64_t number) {
    int64_t low = 0, high = list->count;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (list->items[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    const bool is_here = low < list->count && list->items[low].number == number;
    return is_here ? &list->items[low] : NULL;
}

int64_t param_list_largest(const struct param_list *list) {
    int64_t largest = 0;
    for (int64_t i = 0; i < list->count; i++)
        if (param_count(&list->items[i]) > largest) largest = param_count(&list->items[i]);
    return largest;
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
