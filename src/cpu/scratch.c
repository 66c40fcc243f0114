#include "cpu/scratch.h"

#include <assert.h>

#include "base/memory.h"

struct cpu_state {
    unsigned char *shared;  /* [CPU_SHARED_SCRATCH] */
    unsigned char *threads; /* [threads, CPU_THREAD_SCRATCH] */
    int thread_count;
};

size_t cpu_scratch_bytes(int threads) {
    return (size_t)CPU_SHARED_SCRATCH + (size_t)threads * CPU_THREAD_SCRATCH;
}

fathom_status cpu_state_new(struct cpu_state **out, const struct device *device,
                            struct error *err) {
    *out = NULL;
    const int threads = pool_threads(device->engine->pool);
    void *block = NULL;
    struct cpu_state *state = NULL;
    TRY(MEM_NEW(&state, 1, "the CPU device", err));
    fathom_status status = mem_new_raw(&block, cpu_scratch_bytes(threads), 1, "CPU scratch", err);
    if (status != FATHOM_OK) {
        mem_free(state);
        return status;
    }
    state->shared = (unsigned char *)block;
    state->threads = state->shared + CPU_SHARED_SCRATCH;
    state->thread_count = threads;
    *out = state;
    return FATHOM_OK;
}

void cpu_state_free(struct cpu_state *state) {
    if (!state) return;
    mem_free(state->shared);
    mem_free(state);
}

void *cpu_shared_scratch(struct cpu_state *state, size_t bytes) {
    assert(bytes <= CPU_SHARED_SCRATCH);
    (void)bytes;
    return state->shared;
}

void *cpu_thread_scratch(struct cpu_state *state, int worker, size_t bytes) {
    assert(bytes <= CPU_THREAD_SCRATCH && worker >= 0 && worker < state->thread_count);
    (void)bytes;
    return state->threads + (size_t)worker * CPU_THREAD_SCRATCH;
}
