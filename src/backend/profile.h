/* Where a device's time goes: every operation timed beside what it cannot do without.
 *
 * A profile stands between a device and its table of operations. An operation's work is what its
 * contract asks for, counted from its operands: multiply-adds (2 FLOPs each; causal attention
 * counts the keys that are seen) and bytes that are read or written at least once. Operands that
 * stay in a cache from one operation to the next move fewer bytes than that. Each operation is
 * waited for, so a backend that queues them runs without overlap while it is profiled. */
#ifndef BACKEND_PROFILE_H
#define BACKEND_PROFILE_H

#include "backend/device.h"

enum { PROFILE_ROWS_MAX = 128 };

struct profile_row {
    char name[32]; /* an operation; of products with their form, as "matmul NT" */
    int64_t calls;
    double seconds, flops, bytes; /* of all calls */
};

struct profile;

/* Times the operations of `device` from now on until profile_free, which comes before device_close.
 * One profile a device, and one thread that queues operations. */
fathom_status profile_new(struct profile **out, struct device *device, struct error *err);
void profile_free(struct profile *profile); /* accepts NULL */
void profile_clear(struct profile *profile);
/* The operations that were called, the longest first: how many. */
size_t profile_rows(const struct profile *profile, struct profile_row rows[PROFILE_ROWS_MAX]);

#endif
