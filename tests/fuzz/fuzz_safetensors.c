/* One safetensors file: whatever opens can be read to its last byte. */
#include <stdlib.h>

#include "format/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct safetensors *st;
    struct error err;
    volatile uint8_t sink;
    if (safetensors_open_memory(&st, data, size, "fuzz", &err) != FATHOM_OK) return 0;
    for (size_t i = 0; i < safetensors_count(st); i++) {
        const struct safetensors_entry *entry = safetensors_at(st, i);
        char shape[SAFETENSORS_SHAPE_TEXT];
        for (size_t b = 0; b < entry->size; b++) sink = ((const uint8_t *)entry->data)[b];
        safetensors_shape_text(entry, shape);
        if (safetensors_find(st, entry->name) != entry) abort();
    }
    (void)sink;
    safetensors_metadata(st, "format");
    safetensors_close(st);
    return 0;
}
