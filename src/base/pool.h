/* Threads that claim fixed tiles.
 *
 * The caller cuts work into tiles whose boundaries depend on the work alone, never on the number of
 * threads; threads claim them one by one from an atomic counter. So the result has the same bits
 * for any number of threads, and a core that other processes use takes fewer tiles instead of
 * holding everybody up. Workers spin for some microseconds after a run and then sleep on a futex.
 */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include <stdint.h>

#include "base/status.h"

struct pool;

/* `worker` is in [0, pool_threads), 0 is the caller of pool_run: an index for per-thread scratch.
 */
typedef void pool_fn(void *arg, int64_t tile, int worker);

/* threads >= 1, the caller included; 0 takes the number of processors this process may use. */
fathom_status pool_new(struct pool **out, int threads, struct error *err);
void pool_free(struct pool *pool); /* accepts NULL; no run may be in progress */
int pool_threads(const struct pool *pool);

/* Runs fn for every tile in [0, tiles), in parallel, and returns when all are done. The calling
 * thread takes part. One run at a time per pool; not reentrant from fn. Memory written by a tile is
 * visible to the caller afterwards. Fewer than 2^32 - 1 tiles; tiles <= 0 does nothing; one tile
 * runs without waking anybody. */
void pool_run(struct pool *pool, int64_t tiles, pool_fn *fn, void *arg);

/* Processors that this process may run on (affinity mask and cgroup quota, rounded up), at least 1.
 */
int pool_available_processors(void);

#endif
