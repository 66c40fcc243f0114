/* A profile as a table: where the steps' time went, and how near each operation is to its bound. */
#ifndef PROGRAMS_PROFILE_TABLE_H
#define PROGRAMS_PROFILE_TABLE_H

#include <stdio.h>

#include "backend/profile.h"

/* The steps that a profile saw, and what the machine can do at most: a bound is the longer of an
 * operation's FLOPs at the one rate and its bytes at the other. */
struct profiled_steps {
    int64_t steps;
    double seconds;                            /* of all steps */
    double flops_per_second, bytes_per_second; /* 0: not known, no bounds are shown */
};
fathom_status profile_print(const struct profile *profile, const struct profiled_steps *steps,
                            FILE *out, struct error *err);

#endif
