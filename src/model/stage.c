#include "model/stage.h"

#include "base/memory.h"
#include "model/sizes.h"

/* A layer of the main model; the last one has with it what only the last stage computes. */
static double cost_of(const struct param_list *list, const struct model_config *c, int64_t length,
                      int64_t layer) {
    double cost = layer_train_flops(list, c, length, layer);
    if (layer < c->layers - 1) return cost;
    for (int64_t module = c->layers; module < config_all_layers(c); module++)
        cost += layer_train_flops(list, c, length, module);
    return cost + heads_train_flops(c);
}

/* Fills begins [stages] from the last stage to the first: each takes layers as long as they cost
 * `limit` at most together and one is left for each stage before it. Whether all are taken. */
static bool divide_within(double limit, const double *costs, int64_t layers, int64_t stages,
                          int64_t *begins) {
    int64_t at = layers;
    for (int64_t s = stages - 1; s >= 0; s--) {
        double sum = 0;
        while (at > s && sum + costs[at - 1] <= limit) sum += costs[--at];
        begins[s] = at;
    }
    return at == 0;
}

/* The smallest limit that all layers can be divided within, to the precision of a double. */
static double least_limit(const double *costs, int64_t layers, int64_t stages, int64_t *begins) {
    enum { HALVINGS = 64 };
    double low = 0, high = 0;
    for (int64_t layer = 0; layer < layers; layer++) {
        high += costs[layer];
        if (costs[layer] > low) low = costs[layer];
    }
    if (divide_within(low, costs, layers, stages, begins)) return low;
    for (int i = 0; i < HALVINGS; i++) {
        const double middle = low + (high - low) / 2;
        *(divide_within(middle, costs, layers, stages, begins) ? &high : &low) = middle;
    }
    return high;
}

struct division {
    struct param_list list; /* of the whole model */
    double *costs;          /* [layers] */
    int64_t *begins;        /* [stages + 1] */
};

static fathom_status divide(struct division *d, int64_t stages, const struct model_config *c,
                            int64_t length, struct error *err) {
    TRY(param_list_new(&d->list, c, err));
    TRY(MEM_NEW(&d->costs, c->layers, "the stages", err));
    TRY(MEM_NEW(&d->begins, stages + 1, "the stages", err));
    for (int64_t layer = 0; layer < c->layers; layer++)
        d->costs[layer] = cost_of(&d->list, c, length, layer);
    const double limit = least_limit(d->costs, c->layers, stages, d->begins);
    divide_within(limit, d->costs, c->layers, stages, d->begins);
    d->begins[stages] = c->layers;
    return FATHOM_OK;
}

fathom_status stage_divide(struct stage *stage, int64_t index, int64_t stages,
                           const struct model_config *c, int64_t length, struct error *err) {
    struct division d = {0};
    if (stages > c->layers)
        RAISE(FATHOM_USAGE,
              "a pipeline of %lld stages needs as many layers, and the model has %lld; MTP modules "
              "go with the last one",
              (long long)stages, (long long)c->layers);
    fathom_status status = divide(&d, stages, c, length, err);
    if (status == FATHOM_OK) *stage = (struct stage){d.begins[index], d.begins[index + 1]};
    param_list_free(&d.list);
    mem_free(d.costs);
    mem_free(d.begins);
    return status;
}
