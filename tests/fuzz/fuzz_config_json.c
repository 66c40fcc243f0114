/* config.json: what is accepted has finite rotary tables and sizes that can be counted, and reads
 * back from its written form as the same model. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/config.h"
#include "model/sizes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_rope(const struct model_config *config, const struct model_config *again) {
    size_t bytes = (size_t)(config->dim_rope / 2) * sizeof(double);
    double *frequency = malloc(bytes), *frequency_again = malloc(bytes);
    double factor, factor_again;
    if (!frequency || !frequency_again) abort();
    config_rope(config, frequency, &factor);
    config_rope(again, frequency_again, &factor_again);
    for (int64_t i = 0; i < config->dim_rope / 2; i++)
        if (!isfinite(frequency[i])) abort();
    double scale = config_softmax_scale(config);
    if (!isfinite(factor) || !isfinite(scale) || !(factor > 0) || !(scale > 0)) abort();
    if (memcmp(frequency, frequency_again, bytes) != 0) abort();
    if (factor != factor_again || scale != config_softmax_scale(again)) abort();
    free(frequency);
    free(frequency_again);
}

static void check_written(const struct model_config *config) {
    struct text written = {0}, twice = {0};
    struct model_config again;
    config_write(config, &written);
    if (config_parse(&again, text_data(&written), written.size, "written", NULL) != FATHOM_OK)
        abort();
    config_write(&again, &twice);
    if (strcmp(text_data(&written), text_data(&twice)) != 0) abort();
    check_rope(config, &again);
    text_free(&written);
    text_free(&twice);
}

static void check_sizes(const struct model_config *config) {
    struct param_list list;
    struct model_sizes sizes;
    if (param_list_new(&list, config, NULL) != FATHOM_OK) return;
    model_sizes(&list, config, &sizes);
    if (sizes.total <= 0 || sizes.active <= 0 || sizes.active > sizes.total || sizes.experts < 0)
        abort();
    if (!(model_train_flops(&list, config, config->max_positions) > 0)) abort();
    param_list_free(&list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct model_config config;
    struct error err;
    if (config_parse(&config, (const char *)data, size, "fuzz", &err) != FATHOM_OK) return 0;
    check_written(&config);
    check_sizes(&config);
    return 0;
}
