/* Ranks with a device each, and buffers whose contents every rank can tell. */
#ifndef COMM_TEST_H
#define COMM_TEST_H

#include "backend/device.h"
#include "base/memory.h"
#include "base/rng.h"
#include "comm/loopback.h"
#include "harness.h"

struct peer {
    struct comm *comm;
    struct stream stream;
    struct error *err;
    void *arg;
};
typedef fathom_status peer_fn(struct peer *peer);

struct peer_call {
    peer_fn *fn;
    void *arg;
};

static inline fathom_status peer_main(void *arg, struct comm *comm, struct error *err) {
    const struct peer_call *call = arg;
    struct engine *engine = NULL;
    struct device *device = NULL;
    TRY(engine_new(&engine, 1, err));
    fathom_status status = device_open(&device, engine, "cpu", "ref", err);
    if (status == FATHOM_OK) {
        struct peer peer = {.comm = comm, .err = err, .arg = call->arg};
        stream_init(&peer.stream, device);
        status = call->fn(&peer);
    }
    device_close(device);
    engine_free(engine);
    return status;
}

static inline fathom_status run_peers(int ranks, peer_fn *fn, void *arg, struct error *err) {
    struct peer_call call = {fn, arg};
    return comm_run_loopback(ranks, peer_main, &call, err);
}

/* One exchange, checked. */
static inline fathom_status exchange(struct peer *peer, struct comm *comm,
                                     const struct comm_op *op) {
    comm_run(comm, &peer->stream, op);
    return stream_check(&peer->stream, peer->err);
}

/* Element i of rank's buffer in a round: no sum of two is exact in F32. */
static inline double value_of(uint64_t round, int rank, int64_t i) {
    const struct rng_key key = {round, RNG_TEST, (uint64_t)rank};
    return rng_uniform(key, (uint64_t)i) * 3 - 1;
}

static inline void put(void *buffer, enum dtype dtype, int64_t at, double value) {
    if (dtype == DTYPE_F32) ((float *)buffer)[at] = (float)value;
    if (dtype == DTYPE_F64) ((double *)buffer)[at] = value;
    if (dtype == DTYPE_I32) ((int32_t *)buffer)[at] = (int32_t)(value * 1e6);
    if (dtype == DTYPE_I64) ((int64_t *)buffer)[at] = (int64_t)(value * 1e12);
}

static inline double get(const void *buffer, enum dtype dtype, int64_t at) {
    if (dtype == DTYPE_F32) return (double)((const float *)buffer)[at];
    if (dtype == DTYPE_F64) return ((const double *)buffer)[at];
    if (dtype == DTYPE_I32) return ((const int32_t *)buffer)[at];
    return (double)((const int64_t *)buffer)[at];
}

/* The same number as it would come back from a buffer. */
static inline double stored(enum dtype dtype, double value) {
    int64_t cell = 0;
    put(&cell, dtype, 0, value);
    return get(&cell, dtype, 0);
}

/* What the ranks' values reduce to: a chain in rank order. */
static inline double reduced(uint64_t round, enum dtype dtype, enum comm_reduction reduction,
                             int ranks, int64_t i) {
    double sum = stored(dtype, value_of(round, 0, i));
    for (int rank = 1; rank < ranks; rank++) {
        const double x = stored(dtype, value_of(round, rank, i));
        if (reduction == COMM_MAX)
            sum = x > sum ? x : sum;
        else
            sum = dtype == DTYPE_F32 ? (double)((float)sum + (float)x) : sum + x;
    }
    return sum;
}

#endif
