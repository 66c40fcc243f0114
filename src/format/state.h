/* Training state, the `state/` beside a checkpoint's model files.
 *
 * state.safetensors holds the tensors (master weights, moments, biases), so that any tool reads
 * them; state.json holds the version, where the run stood, the options that it ran with, and an
 * XXH3 per tensor, of the tensors' header, and of itself. Every bit of both files is under a
 * checksum. Tensors are global: a rank that owns a part addresses it by (tensor, global offset). */
#ifndef FORMAT_STATE_H
#define FORMAT_STATE_H

#include <stddef.h>
#include <stdint.h>

#include "base/json.h"
#include "base/status.h"
#include "format/safetensors.h"

enum { STATE_VERSION = 1 };

/* Where a run stood. */
struct state_info {
    int64_t step;         /* optimizer steps done */
    int64_t tokens_seen;  /* tokens trained on */
    int64_t samples_seen; /* data position: the next sample to take, counted over epochs */
    uint64_t seed;
    uint64_t data_identity; /* shard_set_identity of the training split; 0: not recorded */
};

/* Writing into `directory`, which exists (a caller makes it part of a checkpoint that appears at
 * once). Declare every tensor, begin, put the chunks, commit. */
struct state_writer;
fathom_status state_writer_new(struct state_writer **out, struct error *err);
fathom_status state_writer_declare(struct state_writer *writer, const char *name, enum dtype dtype,
                                   int ndim, const int64_t *shape, struct error *err);
/* `options_json` is one JSON object (options_to_json); NULL: {}. It is copied. */
fathom_status state_writer_begin(struct state_writer *writer, const char *directory,
                                 const struct state_info *info, const char *options_json,
                                 struct error *err);
/* `count` elements of a tensor from element `offset` on. Tensors come in the declared order and
 * each one's chunks in ascending order without gaps; anything else is FATHOM_USAGE. */
fathom_status state_writer_put(struct state_writer *writer, const char *name, int64_t offset,
                               const void *elements, int64_t count, struct error *err);
/* Finishes and frees the writer, whatever happens. */
fathom_status state_writer_commit(struct state_writer *writer, struct error *err);
void state_writer_abort(struct state_writer *writer); /* accepts NULL */

/* Reading. Immutable after open, so threads may share it. */
struct state;
/* Checks the version (another one is FATHOM_UNSUPPORTED and named), the checksums of state.json and
 * of the tensors' header, and that both files name the same tensors; not the tensors' data. */
fathom_status state_open(struct state **out, const char *directory, struct error *err);
/* The two files' bytes, which the caller keeps until close. */
fathom_status state_open_memory(struct state **out, const void *json, size_t json_size,
                                const void *tensors, size_t tensors_size, struct error *err);
void state_close(struct state *state); /* accepts NULL */

const struct state_info *state_get_info(const struct state *state);
/* The recorded options, for options_compare_json. */
const json_node *state_options(const struct state *state);
const struct safetensors *state_tensors(const struct state *state);

/* Elements [offset, offset + count) of a tensor, which must have this dtype. A missing tensor,
 * another dtype or a range outside it is FATHOM_BAD_INPUT. */
fathom_status state_read(const struct state *state, const char *name, enum dtype dtype,
                         int64_t offset, int64_t count, void *elements, struct error *err);
/* Compares one tensor with its checksum, or all of them: reads everything. */
fathom_status state_verify_tensor(const struct state *state, const char *name, struct error *err);
fathom_status state_verify(const struct state *state, struct error *err);

#endif
