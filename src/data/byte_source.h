/* The bytes of a file, unpacked: plain, gzip or zstd, told apart by their first bytes, never by
 * name. Several gzip members or zstd frames one after the other are one stream, as the tools write
 * them. */
#ifndef DATA_BYTE_SOURCE_H
#define DATA_BYTE_SOURCE_H

#include <stddef.h>

#include "base/status.h"

struct byte_source;

/* Opens a file or pipe; the path "-" is standard input. */
fathom_status byte_source_open(struct byte_source **out, const char *path, struct error *err);
/* Over bytes that stay the caller's; `name` (copied) is for messages. */
fathom_status byte_source_open_memory(struct byte_source **out, const char *name, const void *bytes,
                                      size_t size, struct error *err);
void byte_source_close(struct byte_source *source); /* accepts NULL */

/* The next bytes into to[0..capacity), capacity >= 1; *got is 0 only at the end. Packed data that
 * is damaged or ends too early is FATHOM_BAD_INPUT. */
fathom_status byte_source_read(struct byte_source *source, void *to, size_t capacity, size_t *got,
                               struct error *err);
/* The path, or "standard input". */
const char *byte_source_name(const struct byte_source *source);

#endif
