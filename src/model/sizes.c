#include "model/sizes.h"

#include <string.h>

/* The share of a parameter that one token uses. */
static int64_t active_count(const struct param *p, const struct model_config *c) {
    if (p->id == TENSOR_EMBEDDING) return c->is_tied ? param_count(p) : 0;
    if (p->group != GROUP_EXPERT) return param_count(p);
    return p->expert < c->active_experts ? param_count(p) : 0; /* K experts of E, all alike */
}

void model_sizes(const struct param_list *list, const struct model_config *c,
                 struct model_sizes *sizes) {
    memset(sizes, 0, sizeof *sizes);
    for (int64_t i = 0; i < list->count; i++) {
        const struct param *p = &list->items[i];
        if (!param_is_trained(p)) continue;
        bool is_mtp = p->layer >= c->layers;
        *(is_mtp ? &sizes->mtp_total : &sizes->total) += param_count(p);
        *(is_mtp ? &sizes->mtp_active : &sizes->active) += active_count(p, c);
        if (p->group == GROUP_EXPERT) sizes->experts += param_count(p);
    }
    sizes->mtp_active += c->mtp_modules * c->vocab * c->dim;
}

/* Causal attention of one layer: a token sees (length + 1) / 2 keys on average. */
static double attention_flops(const struct model_config *c, int64_t length) {
    const double keys = ((double)length + 1) / 2;
    return 6.0 * (double)(c->heads * (config_dim_key(c) + c->dim_value)) * keys;
}

double model_train_flops(const struct param_list *list, const struct model_config *c,
                         int64_t length) {
    struct model_sizes sizes;
    model_sizes(list, c, &sizes);
    double products = 6.0 * (double)(sizes.active + sizes.mtp_active);
    return products + (double)config_all_layers(c) * attention_flops(c, length);
}

double layer_train_flops(const struct param_list *list, const struct model_config *c,
                         int64_t length, int64_t layer) {
    int64_t active = 0;
    for (int64_t i = list->layer_begin[layer]; i < list->layer_begin[layer + 1]; i++)
        if (param_is_trained(&list->items[i])) active += active_count(&list->items[i], c);
    return 6.0 * (double)active + attention_flops(c, length);
}

double heads_train_flops(const struct model_config *c) {
    return 6.0 * (double)(((1 + c->mtp_modules) * c->vocab + 1) * c->dim);
}
