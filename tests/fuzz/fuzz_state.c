/* Training state: state.json and state.safetensors. The checksum of state.json is made right first,
 * so that what lies behind it is reached. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "fuzz_pair.h"

#include "base/file.h"
#include "format/state.h"
#include "format/state_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void seal(char *json, size_t size) {
    const size_t suffix = sizeof STATE_SEAL_SUFFIX - 1;
    const size_t tail = sizeof STATE_SEAL_PREFIX - 1 + 16 + suffix;
    char digits[17];
    if (size < tail) return;
    snprintf(digits, sizeof digits, "%016" PRIx64, hash_bytes(json, size - tail));
    memcpy(json + size - suffix - 16, digits, 16);
}

static void read_pair(const struct fuzz_pair *pair, const char *json) {
    struct state *state;
    struct error err;
    if (state_open_memory(&state, json, pair->first_size, pair->second, pair->second_size, &err) !=
        FATHOM_OK)
        return;
    for (size_t i = 0; i < safetensors_count(state_tensors(state)); i++) {
        const struct safetensors_entry *entry = safetensors_at(state_tensors(state), i);
        unsigned char element[8];
        state_read(state, entry->name, entry->dtype, safetensors_elements(entry) - 1, 1, element,
                   &err);
    }
    state_verify(state, &err);
    state_close(state);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fuzz_pair pair;
    if (!fuzz_pair_split(&pair, data, size)) return 0;
    char *json = malloc(pair.first_size + 1);
    if (!json) return 0;
    memcpy(json, pair.first, pair.first_size);
    seal(json, pair.first_size);
    read_pair(&pair, json);
    free(json);
    return 0;
}
