#include "train/balance.h"

#include "base/memory.h"

enum { BIAS_CHUNK = 1024 };

static double mean_load(const int32_t *load, int64_t experts) {
    double sum = 0;
    for (int64_t e = 0; e < experts; e++) sum += load[e];
    return sum / (double)experts;
}

static void move_bias(struct stream *stream, struct tensor bias, const int32_t *load, double mean,
                      double speed) {
    float values[BIAS_CHUNK];
    for (int64_t at = 0; at < bias.cols; at += BIAS_CHUNK) {
        int64_t count = bias.cols - at < BIAS_CHUNK ? bias.cols - at : BIAS_CHUNK;
        size_t bytes = (size_t)count * sizeof(float);
        stream_download(stream, values, tensor_at(bias, 0, at), bytes);
        for (int64_t e = 0; e < count; e++) {
            double error = mean - load[at + e];
            values[e] += (float)(speed * ((error > 0) - (error < 0)));
        }
        stream_upload(stream, tensor_at(bias, 0, at), values, bytes);
    }
}

int64_t balance_update(struct model *model, const int32_t *loads, double speed,
                       double *max_violation, int64_t *dead_experts, struct stream *stream) {
    const struct model_config *c = &model->config;
    int64_t count = 0;
    for (int64_t layer = 0; layer < config_all_layers(c); layer++) {
        if (!config_layer_is_moe(c, layer)) continue;
        const int32_t *load = loads + count * c->experts;
        double mean = mean_load(load, c->experts), largest = 0;
        dead_experts[count] = 0;
        for (int64_t e = 0; e < c->experts; e++) {
            if (load[e] > largest) largest = load[e];
            dead_experts[count] += load[e] == 0;
        }
        max_violation[count] = mean > 0 ? largest / mean - 1 : 0;
        count++;
        struct tensor bias = model->router_bias[layer];
        if (speed != 0 && !tensor_is_absent(bias)) move_bias(stream, bias, load, mean, speed);
    }
    return count;
}

void balance_of_devices(const struct model *model, const int32_t *loads, int64_t devices,
                        double *max_violation) {
    const int64_t experts = model->config.experts, size = experts / devices;
    for (int64_t layer = 0; layer < model->loads_count / experts; layer++) {
        double total = 0, largest = 0;
        for (int64_t d = 0; d < devices; d++) {
            const double load = mean_load(loads + layer * experts + d * size, size) * (double)size;
            total += load;
            if (load > largest) largest = load;
        }
        max_violation[layer] = total > 0 ? largest * (double)devices / total - 1 : 0;
    }
}

fathom_status balance_sums_new(struct balance_sums *sums, const struct model *model,
                               struct error *err) {
    const int64_t experts = model->config.experts;
    *sums = (struct balance_sums){.experts = experts,
                                  .layers = experts > 0 ? model->loads_count / experts : 0};
    return MEM_NEW(&sums->loads, model->loads_count, "the expert loads", err);
}

void balance_sums_free(struct balance_sums *sums) { mem_free(sums->loads); }

void balance_sums_add(struct balance_sums *sums, const int32_t *loads) {
    for (int64_t i = 0; i < sums->layers * sums->experts; i++) sums->loads[i] += loads[i];
    sums->steps++;
}

void balance_sums_violation(const struct balance_sums *sums, double *mean, double *worst) {
    *mean = *worst = 0;
    for (int64_t layer = 0; layer < sums->layers; layer++) {
        const int64_t *loads = sums->loads + layer * sums->experts;
        double total = 0, largest = 0;
        for (int64_t e = 0; e < sums->experts; e++) {
            total += (double)loads[e];
            if ((double)loads[e] > largest) largest = (double)loads[e];
        }
        const double violation = total > 0 ? largest * (double)sums->experts / total - 1 : 0;
        *mean += violation / (double)sums->layers;
        if (violation > *worst) *worst = violation;
    }
}
