/* Ranks as threads of one process: for tests, and for a machine whose memory is in several parts.
 *
 * Buffers are read and written where they are, by the threads of their owners and of the peers, so
 * device memory must be host memory. Waits spin for some microseconds and then sleep. */
#ifndef COMM_LOOPBACK_H
#define COMM_LOOPBACK_H

#include "comm/comm.h"

/* What a rank does. `comm` is the group of all ranks; it ends with the call. */
typedef fathom_status comm_rank_fn(void *arg, struct comm *comm, struct error *err);

/* Calls `fn` on `ranks` threads, rank 0 on the caller's, and returns when all have: FATHOM_OK, or
 * the status and text of the rank that failed first. Each rank has its own engine and device, which
 * fn opens. */
fathom_status comm_run_loopback(int ranks, comm_rank_fn *fn, void *arg, struct error *err);

#endif
