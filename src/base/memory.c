#include "base/memory.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/text.h"

static _Atomic int64_t allocations_to_failure; /* 0: none is due */

int64_t mem_fail_after(int64_t n) {
    int64_t left = atomic_exchange(&allocations_to_failure, n);
    return left > 0 ? left : 0;
}

/* Whether this allocation is the one that a test wants to fail. */
static bool must_fail(void) {
    if (atomic_load_explicit(&allocations_to_failure, memory_order_relaxed) <= 0) return false;
    return atomic_fetch_sub(&allocations_to_failure, 1) == 1;
}

static fathom_status refuse(size_t count, size_t size, const char *what, struct error *err) {
    char bytes[32];
    format_bytes(bytes, (double)count * (double)size);
    RAISE(FATHOM_NO_MEMORY, "%s: %s of memory cannot be had", what, bytes);
}

/* Room for count * size bytes, rounded up to the alignment as aligned_alloc asks. */
static bool block_size(size_t count, size_t size, size_t *bytes) {
    if (!size_mul(count, size, bytes) || !size_add(*bytes, MEM_ALIGNMENT, bytes)) return false;
    *bytes &= ~(size_t)(MEM_ALIGNMENT - 1);
    if (*bytes == 0) *bytes = MEM_ALIGNMENT;
    return *bytes <= PTRDIFF_MAX;
}

/* Large blocks lie on huge pages where the system has them: products and gathers touch many pages
 * at once, and the processor keeps the addresses of few. Without them it is the same memory. */
static void *allocate(size_t bytes) {
    enum { HUGE_PAGE = 2 << 20 };
    if (bytes < 2 * (size_t)HUGE_PAGE) return aligned_alloc(MEM_ALIGNMENT, bytes);
    void *block = NULL; /* aligned_alloc asks for a multiple of the alignment */
    if (posix_memalign(&block, HUGE_PAGE, bytes) != 0) return NULL;
    (void)madvise(block, bytes, MADV_HUGEPAGE);
    return block;
}

fathom_status mem_new_raw(void **out, size_t count, size_t size, const char *what,
                          struct error *err) {
    size_t bytes = 0;
    *out = NULL;
    if (!block_size(count, size, &bytes) || must_fail()) return refuse(count, size, what, err);
    *out = allocate(bytes);
    return *out ? FATHOM_OK : refuse(count, size, what, err);
}

fathom_status mem_new(void **out, size_t count, size_t size, const char *what, struct error *err) {
    TRY(mem_new_raw(out, count, size, what, err));
    memset(*out, 0, count * size);
    return FATHOM_OK;
}

fathom_status mem_grow(void **block, size_t old_count, size_t new_count, size_t size,
                       const char *what, struct error *err) {
    void *grown = NULL;
    TRY(mem_new_raw(&grown, new_count, size, what, err));
    size_t kept = old_count < new_count ? old_count : new_count;
    if (*block && kept > 0) memcpy(grown, *block, kept * size);
    free(*block);
    *block = grown;
    return FATHOM_OK;
}

void mem_free(void *block) { free(block); }

size_t mem_peak_resident(void) {
    char line[256];
    size_t kib = 0;
    FILE *file = fopen("/proc/self/status", "re");
    if (!file) return 0;
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "VmHWM: %zu kB", &kib) == 1) break;
    fclose(file);
    return kib * 1024;
}

size_t mem_physical(void) {
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    return pages > 0 && page > 0 ? (size_t)pages * (size_t)page : 0;
}
