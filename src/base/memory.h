/* Allocation. Everything is 64-byte aligned so that any block can be handed to a vector kernel.
 * Sizes are counts times element sizes, checked for overflow. mem_free accepts NULL. */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum { MEM_ALIGNMENT = 64 };

/* count * size bytes, zeroed; *out is NULL on failure (FATHOM_NO_MEMORY with the size in the text).
 * `what` names the thing for the message. A zero-sized request gives a valid, freeable pointer. */
fathom_status mem_new(void **out, size_t count, size_t size, const char *what, struct error *err);
/* As mem_new without zeroing. */
fathom_status mem_new_raw(void **out, size_t count, size_t size, const char *what,
                          struct error *err);
/* Grows *block (from mem_*, or NULL) that holds old_count elements to new_count; on failure *block
 * is untouched. New bytes are not zeroed. */
fathom_status mem_grow(void **block, size_t old_count, size_t new_count, size_t size,
                       const char *what, struct error *err);
void mem_free(void *block);

/* mem_new for a typed pointer: MEM_NEW(&array, n, "tokens", err) */
#define MEM_NEW(pointer, count, what, err)                                                         \
    mem_new((void **)(pointer), (size_t)(count), sizeof **(pointer), (what), (err))

/* Checked size arithmetic for sizes that come from outside: true when it fits. */
static inline int size_mul(size_t a, size_t b, size_t *out) {
    return !__builtin_mul_overflow(a, b, out);
}
static inline int size_add(size_t a, size_t b, size_t *out) {
    return !__builtin_add_overflow(a, b, out);
}

/* For tests only: the n-th allocation from now (1: the next one) fails, once; 0 turns this off.
 * Returns what was left of the call before: above 0 when its allocation did not come. A test sweeps
 * n upwards until the code under test succeeds or makes no n allocations. This counter is the
 * layer's one mutable variable beside the signal flag (base/clock.h): allocation has no handle to
 * hang it on. */
int64_t mem_fail_after(int64_t n);

/* Peak resident set of this process in bytes (VmHWM); 0 where the system does not tell. */
size_t mem_peak_resident(void);
/* Physical memory of the machine in bytes. */
size_t mem_physical(void);

#endif
