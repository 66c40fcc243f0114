/* XXH3 64-bit of bytes that come in pieces: the streaming form of hash_bytes (base/file.h). */
#ifndef BASE_CHECKSUM_H
#define BASE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct checksum;
fathom_status checksum_new(struct checksum **out, struct error *err);
void checksum_free(struct checksum *checksum); /* accepts NULL */
/* Starts again from nothing. */
void checksum_reset(struct checksum *checksum);
void checksum_add(struct checksum *checksum, const void *bytes, size_t size);
/* hash_bytes of everything added since the last reset; more may be added afterwards. */
uint64_t checksum_value(const struct checksum *checksum);

#endif
