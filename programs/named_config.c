#include "named_config.h"

#include <string.h>

#include "base/file.h"
#include "base/text.h"

struct embedded_config {
    const char *name;
    const char *json;
};
/* Made by CMake from configs/ (cmake/embed_configs.cmake). */
static const struct embedded_config embedded[] = {
#include "embedded_configs.inc"
};
enum { EMBEDDED_COUNT = sizeof embedded / sizeof embedded[0] };

fathom_status config_named(struct model_config *config, const char *name_or_path,
                           struct error *err) {
    struct text names = {0};
    for (int i = 0; i < EMBEDDED_COUNT; i++) {
        if (strcmp(embedded[i].name, name_or_path) == 0)
            return config_parse(config, embedded[i].json, strlen(embedded[i].json),
                                embedded[i].name, err);
        text_printf(&names, "%s%s", i ? ", " : "", embedded[i].name);
    }
    if (path_exists(name_or_path)) {
        text_free(&names);
        return config_read(config, name_or_path, err);
    }
    error_set(err, FATHOM_USAGE, "\"%s\" is neither a file nor one of the shapes %s", name_or_path,
              text_data(&names));
    text_free(&names);
    return FATHOM_USAGE;
}
