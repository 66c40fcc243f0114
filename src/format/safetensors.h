/* safetensors files and Hugging Face model directories of them, memory-mapped.
 *
 * A file is: u64 header size (little-endian), a JSON header {"name": {"dtype", "shape",
 * "data_offsets": [begin, end]}, "__metadata__": {string: string}}, then the data. As in the
 * reference implementation, the tensors' ranges must cover the data without holes or overlaps.
 * A directory is a model.safetensors, or the files that a model.safetensors.index.json lists; its
 * weight_map decides which file a tensor comes from. Tensors are checked when the file is opened:
 * after that, every entry's data lies inside the map and has the size of its shape and dtype. */
#ifndef FORMAT_SAFETENSORS_H
#define FORMAT_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "num/dtype.h"

enum { SAFETENSORS_MAX_DIMS = 8 };
#define SAFETENSORS_MAX_HEADER ((size_t)100 * 1000 * 1000) /* the reference implementation's */
#define SAFETENSORS_SHARD_BYTES ((uint64_t)5 * 1000 * 1000 * 1000)

struct safetensors_entry {
    const char *name;
    const char *dtype_name; /* as the file spells it: "BF16", "F8_E4M3" */
    const char *file;       /* path of the file, for messages */
    const void *data;       /* in the map; may be unaligned: read it with dtype_to_f32 or memcpy */
    size_t size;            /* bytes of data */
    int64_t shape[SAFETENSORS_MAX_DIMS];
    int ndim;         /* 0 for a scalar */
    enum dtype dtype; /* DTYPE_COUNT where we do not know it; its size is then unchecked */
};

/* Open tensors. Immutable after open, so threads may share it. Entries and their strings live until
 * safetensors_close. */
struct safetensors;

/* `path` is a .safetensors file or a model directory. */
fathom_status safetensors_open(struct safetensors **out, const char *path, struct error *err);
/* One file's bytes, which the caller keeps until close; `what` names them in messages. */
fathom_status safetensors_open_memory(struct safetensors **out, const void *bytes, size_t size,
                                      const char *what, struct error *err);
void safetensors_close(struct safetensors *st); /* accepts NULL */

size_t safetensors_count(const struct safetensors *st);
/* Entry i < count: files in order of their names, inside a file in the order of the data. */
const struct safetensors_entry *safetensors_at(const struct safetensors *st, size_t i);
/* The entry of that name, or NULL. */
const struct safetensors_entry *safetensors_find(const struct safetensors *st, const char *name);
/* As find; a missing name or an unknown dtype is an error that names tensor and file. */
fathom_status safetensors_need(const struct safetensors *st, const char *name,
                               const struct safetensors_entry **out, struct error *err);
/* Value of a key of the first file's __metadata__, or NULL. */
const char *safetensors_metadata(const struct safetensors *st, const char *key);
/* XXH3 of the files' headers in order: names, dtypes, shapes and places, not the data. */
uint64_t safetensors_header_hash(const struct safetensors *st);

/* Elements of an entry: the product of its shape, 1 for a scalar. */
int64_t safetensors_elements(const struct safetensors_entry *entry);
/* "[2, 3]" into buffer, for messages; returns buffer. */
enum { SAFETENSORS_SHAPE_TEXT = 192 };
char *safetensors_shape_text(const struct safetensors_entry *entry,
                             char buffer[SAFETENSORS_SHAPE_TEXT]);

/* The spelling of a dtype in the file ("BF16"), or NULL for one that has none (E5M6). */
const char *safetensors_dtype_name(enum dtype dtype);

/* Writing. Declare every tensor, then begin, then put each tensor's bytes in the declared order and
 * commit. Nothing but the current chunk is in memory. Data begin at a multiple of 64 bytes. Each
 * file appears in its place complete or not at all; a caller who wants a whole directory to appear
 * at once writes into one from directory_begin. */
struct safetensors_writer;
fathom_status safetensors_writer_new(struct safetensors_writer **out, struct error *err);
/* Names are unique and valid UTF-8; ndim <= SAFETENSORS_MAX_DIMS; shape may hold zeros. */
fathom_status safetensors_writer_declare(struct safetensors_writer *writer, const char *name,
                                         enum dtype dtype, int ndim, const int64_t *shape,
                                         struct error *err);
/* Another string beside the "format": "pt" that every file gets. Before begin. */
fathom_status safetensors_writer_metadata(struct safetensors_writer *writer, const char *key,
                                          const char *value, struct error *err);
/* Everything into one file. */
fathom_status safetensors_writer_begin_file(struct safetensors_writer *writer, const char *path,
                                            struct error *err);
/* Into `directory`, which exists: model.safetensors when all fits in max_shard_bytes (0: 5 GB),
 * else model-0000i-of-0000N.safetensors and model.safetensors.index.json. A tensor is never
 * divided. A directory that already holds weights is FATHOM_EXISTS. */
fathom_status safetensors_writer_begin_directory(struct safetensors_writer *writer,
                                                 const char *directory, uint64_t max_shard_bytes,
                                                 struct error *err);
/* The next bytes of tensor `name`, which must be the first declared one that is not complete. */
fathom_status safetensors_writer_put(struct safetensors_writer *writer, const char *name,
                                     const void *bytes, size_t size, struct error *err);
/* Total bytes of the declared tensors' data. */
uint64_t safetensors_writer_total(const struct safetensors_writer *writer);
/* Finishes and frees the writer, whatever happens; fails when a tensor is incomplete. */
fathom_status safetensors_writer_commit(struct safetensors_writer *writer, struct error *err);
void safetensors_writer_abort(struct safetensors_writer *writer); /* accepts NULL */

#endif
