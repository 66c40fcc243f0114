#include "base/checksum.h"

#include <xxhash.h>

/* A struct checksum is the library's own state: only its address is ever used here. */

fathom_status checksum_new(struct checksum **out, struct error *err) {
    *out = (struct checksum *)XXH3_createState();
    if (!*out) RAISE(FATHOM_NO_MEMORY, "no memory for a checksum");
    checksum_reset(*out);
    return FATHOM_OK;
}

void checksum_free(struct checksum *checksum) { XXH3_freeState((XXH3_state_t *)checksum); }

void checksum_reset(struct checksum *checksum) { XXH3_64bits_reset((XXH3_state_t *)checksum); }

void checksum_add(struct checksum *checksum, const void *bytes, size_t size) {
    if (size > 0) XXH3_64bits_update((XXH3_state_t *)checksum, bytes, size);
}

uint64_t checksum_value(const struct checksum *checksum) {
    return XXH3_64bits_digest((const XXH3_state_t *)checksum);
}
