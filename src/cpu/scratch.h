/* What an open CPU device owns: scratch memory of constant size, allocated once so that no
 * operation allocates.
 *
 * The shared block holds what one operation prepares for all threads (packed operands); each
 * thread's block holds what one tile needs. Contents do not outlive the operation, and an operation
 * that calls into another (none does) would share its blocks. */
#ifndef CPU_SCRATCH_H
#define CPU_SCRATCH_H

#include <stddef.h>

#include "backend/device.h"
#include "base/status.h"

enum {
    CPU_SHARED_SCRATCH = 8 << 20, /* bytes of the shared block */
    CPU_THREAD_SCRATCH = 2 << 20, /* bytes of each thread's block */
};

struct cpu_state; /* device->state */

/* Sized for the device's engine's pool. */
fathom_status cpu_state_new(struct cpu_state **out, const struct device *device, struct error *err);
void cpu_state_free(struct cpu_state *state); /* accepts NULL */

/* Bytes that cpu_state_new allocates for a pool of `threads`: for the memory plan. */
size_t cpu_scratch_bytes(int threads);

/* The blocks, 64-byte aligned, undefined contents. `bytes` is what the caller will use, at most the
 * capacity above; `worker` is the pool's. */
void *cpu_shared_scratch(struct cpu_state *state, size_t bytes);
void *cpu_thread_scratch(struct cpu_state *state, int worker, size_t bytes);

static inline struct cpu_state *cpu_state_of(const struct stream *stream) {
    return (struct cpu_state *)stream->device->state;
}

#endif
