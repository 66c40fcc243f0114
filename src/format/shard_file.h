/* One .tok file in memory, for shard.c, its writer, and tests. The layout, little-endian:
 *
 *     0  char magic[8]      "FTHMTOK1"
 *     8  u32 version        SHARD_VERSION
 *    12  u32 token_size     2 or 4 bytes
 *    16  u64 vocab_size
 *    24  u64 tokens
 *    32  u64 documents
 *    40  u64 text_bytes
 *    48  u64 payload_hash   XXH3 of all bytes from 64 on
 *    56  u64 header_hash    XXH3 of the 56 bytes before
 *    64  tokens, zeros up to a multiple of 8, then per document u64 first token, u64 text bytes */
#ifndef FORMAT_SHARD_FILE_H
#define FORMAT_SHARD_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "format/shard.h"

enum { SHARD_VERSION = 1, SHARD_HEADER_SIZE = 64 };

struct shard_header {
    uint32_t token_size;
    uint64_t vocab_size, tokens, documents, text_bytes, payload_hash;
};
void shard_header_write(unsigned char out[SHARD_HEADER_SIZE], const struct shard_header *header);
/* Bytes of a token for this vocabulary. */
uint32_t shard_token_size(int64_t vocab_size);

struct shard_document_entry { /* as it stands in the file */
    uint64_t first;
    uint64_t text_bytes;
};

struct shard_file {
    const unsigned char *bytes;
    size_t size;
    const unsigned char *index; /* the document index, inside bytes */
    struct shard_header header;
    const char *name; /* for messages; the caller's */
};
/* Checks header and size; the bytes stay the caller's. */
fathom_status shard_file_parse(struct shard_file *file, const void *bytes, size_t size,
                               const char *name, struct error *err);
/* Tokens [begin, begin + count), which lie in the file. */
fathom_status shard_file_read(const struct shard_file *file, int64_t begin, int64_t count,
                              int32_t *tokens, struct error *err);
/* Document i < documents, counted from the start of the file. */
fathom_status shard_file_document(const struct shard_file *file, int64_t i,
                                  struct shard_document *document, struct error *err);
fathom_status shard_file_verify(const struct shard_file *file, int32_t eos, struct error *err);

/* shard_set_open over bytes: meta.json, and one .tok file that stands for every shard it lists. */
fathom_status shard_set_open_memory(struct shard_set **out, enum shard_split split,
                                    const void *meta, size_t meta_size, const void *file,
                                    size_t file_size, struct error *err);

#endif
