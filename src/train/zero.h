/* ZeRO-1 (Rajbhandari et al. 2020): data-parallel ranks hold all weights and gradients of their
 * model or stage, and the optimizer's state of one shard of every parameter group each.
 *
 * A step sums the gradients into the shards, updates each shard on its rank, and gathers the
 * weights. Shards are ranges of a group's flat buffer that begin at multiples of SUMSQ_CHUNK, so
 * the chunk sums of the gradient norm, added in the order of the buffer, do not depend on the
 * number of ranks. Every rank ends a step with the same bits. */
#ifndef TRAIN_ZERO_H
#define TRAIN_ZERO_H

#include "comm/comm.h"
#include "model/tensors.h"

/* Elements [begin, end) of a group's buffer. */
struct shard {
    int64_t begin, end;
};

struct zero {
    struct comm *comm; /* NULL: one rank, whose shards are the groups */
    struct shard own[GROUP_STATE];
    int64_t *elements[GROUP_STATE]; /* [ranks] of each rank's shard; NULL with one rank */
    int64_t *chunks[GROUP_STATE];   /* [ranks] of SUMSQ_CHUNK elements in it */
};

/* comm may be NULL, and only its rank and size are read. The communicator stays the caller's. */
fathom_status zero_init(struct zero *zero, const struct param_list *list, struct comm *comm,
                        struct error *err);
void zero_free(struct zero *zero); /* safe on a zeroed one */
/* The shard of comm's rank of a group of `size` elements. */
struct shard zero_shard(int64_t size, const struct comm *comm);
static inline int64_t shard_count(struct shard shard) { return shard.end - shard.begin; }
/* What lies in both; an empty overlap lies at b's beginning. */
static inline struct shard shard_overlap(struct shard a, struct shard b) {
    struct shard both = {a.begin > b.begin ? a.begin : b.begin, a.end < b.end ? a.end : b.end};
    return both.end > both.begin ? both : (struct shard){b.begin, b.begin};
}

/* Collectives over all ranks; nothing happens with one. `block` is a group's whole buffer. */
/* The own shard of `block` becomes the sum over the ranks; the rest of it is undefined. */
void zero_sum(const struct zero *zero, struct stream *stream, enum param_group group, void *block,
              enum dtype dtype);
/* Every rank's own shard of `block` comes to all. */
void zero_gather(const struct zero *zero, struct stream *stream, enum param_group group,
                 void *block, enum dtype dtype);
/* The same of a group's chunk sums [chunks of the group]. */
void zero_gather_chunks(const struct zero *zero, struct stream *stream, enum param_group group,
                        double *partial);

#endif
