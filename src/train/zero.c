#include "train/zero.h"

#include "base/memory.h"

static int64_t chunks_of(int64_t elements) { return (elements + SUMSQ_CHUNK - 1) / SUMSQ_CHUNK; }

static struct shard shard_of_rank(int64_t size, int rank, int ranks) {
    const int64_t chunks = chunks_of(size);
    const int64_t begin = chunks * rank / ranks * SUMSQ_CHUNK;
    const int64_t end = chunks * (rank + 1) / ranks * SUMSQ_CHUNK;
    return (struct shard){begin < size ? begin : size, end < size ? end : size};
}

struct shard zero_shard(int64_t size, const struct comm *comm) {
    return comm ? shard_of_rank(size, comm->rank, comm->size) : (struct shard){0, size};
}

fathom_status zero_init(struct zero *zero, const struct param_list *list, struct comm *comm,
                        struct error *err) {
    *zero = (struct zero){.comm = comm};
    for (int group = 0; group < GROUP_STATE; group++) {
        const int64_t size = list->group_size[group];
        zero->own[group] = zero_shard(size, comm);
        if (!comm) continue;
        TRY(MEM_NEW(&zero->elements[group], comm->size, "the shards", err));
        TRY(MEM_NEW(&zero->chunks[group], comm->size, "the shards", err));
        for (int rank = 0; rank < comm->size; rank++) {
            zero->elements[group][rank] = shard_count(shard_of_rank(size, rank, comm->size));
            zero->chunks[group][rank] = chunks_of(zero->elements[group][rank]);
        }
    }
    return FATHOM_OK;
}

void zero_free(struct zero *zero) {
    for (int group = 0; group < GROUP_STATE; group++) {
        mem_free(zero->elements[group]);
        mem_free(zero->chunks[group]);
    }
    *zero = (struct zero){0};
}

static char *own_part(const struct zero *zero, enum param_group group, void *block,
                      enum dtype dtype) {
    return (char *)block + (size_t)zero->own[group].begin * dtype_size(dtype);
}

void zero_sum(const struct zero *zero, struct stream *stream, enum param_group group, void *block,
              enum dtype dtype) {
    if (!zero->comm) return;
    comm_run(zero->comm, stream,
             &(struct comm_op){.kind = COMM_REDUCE_SCATTER,
                               .dtype = dtype,
                               .from = block,
                               .to = own_part(zero, group, block, dtype),
                               .counts = zero->elements[group]});
}

void zero_gather(const struct zero *zero, struct stream *stream, enum param_group group,
                 void *block, enum dtype dtype) {
    if (!zero->comm) return;
    comm_run(zero->comm, stream,
             &(struct comm_op){.kind = COMM_ALL_GATHER,
                               .dtype = dtype,
                               .from = own_part(zero, group, block, dtype),
                               .to = block,
                               .counts = zero->elements[group]});
}

void zero_gather_chunks(const struct zero *zero, struct stream *stream, enum param_group group,
                        double *partial) {
    if (!zero->comm) return;
    comm_run(zero->comm, stream,
             &(struct comm_op){.kind = COMM_ALL_GATHER,
                               .dtype = DTYPE_F64,
                               .from = partial + zero->own[group].begin / SUMSQ_CHUNK,
                               .to = partial,
                               .counts = zero->chunks[group]});
}
