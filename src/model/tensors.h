/* The parameters of a model, listed from tensors.def: names, shapes, kinds and places in memory.
 *
 * Parameters live in groups, each one block: dense weights, expert weights (which expert
 * parallelism will shard by expert), copies of what is another stage's, and state that no gradient
 * moves. Within a group a tensor has an offset in elements, the same in the weight, gradient,
 * master and moment buffers. */
#ifndef MODEL_TENSORS_H
#define MODEL_TENSORS_H

#include <stdint.h>

#include "base/status.h"
#include "model/stage.h"

enum tensor_id {
#define TENSOR(id, ...) TENSOR_##id,
#include "model/tensors.def"
#undef TENSOR
    TENSOR_ID_COUNT
};
enum tensor_scope { SCOPE_MODEL, SCOPE_LAYER, SCOPE_EXPERT, SCOPE_MTP };
enum tensor_kind { KIND_MATRIX, KIND_VECTOR, KIND_BIAS, KIND_ROUTER_BIAS };
enum param_group { GROUP_DENSE, GROUP_EXPERT, GROUP_COPY, GROUP_STATE, GROUP_COUNT };

enum { TENSOR_NAME_MAX = 128, PARAM_ALIGNMENT = 16 /* elements */ };

/* One tensor of one model. */
struct param {
    enum tensor_id id;
    enum tensor_kind kind;
    enum param_group group;
    int64_t number; /* in the whole model's list */
    int64_t layer;  /* -1 for SCOPE_MODEL */
    int64_t expert; /* -1 unless SCOPE_EXPERT */
    int64_t rows, cols;
    int64_t offset; /* elements from the group's start */
};

/* A larger model is no model that anyone has; past these the sums here would overflow. */
enum { PARAM_LIST_MAX = 1 << 22 /* tensors */ };
#define PARAM_ELEMENTS_MAX ((int64_t)1 << 50) /* in a group */

/* The list in memory order; group_size[g] is the number of elements of a group, gaps included. A
 * stage's has the parameters that it computes with, and the layers of others are empty in it. */
struct param_list {
    struct param *items;
    int64_t count;
    int64_t whole_count; /* of the whole model's list */
    struct stage stage;
    int64_t group_size[GROUP_COUNT];
    int64_t *layer_begin; /* [all layers + 1]: first item of each layer; the last entry ends them */
};
/* FATHOM_BAD_INPUT when it would exceed the bounds above. */
fathom_status param_list_new(struct param_list *list, const struct model_config *config,
                             struct error *err);
fathom_status param_list_new_stage(struct param_list *list, const struct model_config *config,
                                   struct stage stage, struct error *err);
void param_list_free(struct param_list *list);
/* The item, or NULL when this model lacks it. layer -1 for SCOPE_MODEL, expert -1 unless EXPERT. */
const struct param *param_find(const struct param_list *list, enum tensor_id id, int64_t layer,
                               int64_t expert);
/* The item with that number in the whole model's list, or NULL when this stage lacks it. */
const struct param *param_numbered(const struct param_list *list, int64_t number);
/* Elements of the largest item. */
int64_t param_list_largest(const struct param_list *list);

static inline int64_t param_count(const struct param *p) { return p->rows * p->cols; }
static inline bool param_is_trained(const struct param *p) { return p->group != GROUP_STATE; }
static inline bool param_has_decay(const struct param *p) { return p->kind == KIND_MATRIX; }

/* The Hugging Face name of a parameter. */
void param_name(const struct param *p, char name[TENSOR_NAME_MAX]);
/* Whether its file shape has one dimension. */
static inline bool param_is_vector(const struct param *p) { return p->kind != KIND_MATRIX; }

#endif
