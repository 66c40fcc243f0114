/* A file that grows in parts, for work that may be killed: a part is on the disk once it is cut,
 * and what came behind the last cut is lost. A part is a file "NAME.part-00000": u64 XXH3 of what
 * follows, little-endian, and then what was put. */
#ifndef DATA_PART_LOG_H
#define DATA_PART_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct part_log;
/* In the directory, going on behind its first `parts` parts. */
fathom_status part_log_open(struct part_log **out, const char *directory, const char *name,
                            int64_t parts, struct error *err);
void part_log_close(struct part_log *log); /* accepts NULL */
/* Failures show when the part is cut. */
fathom_status part_log_put(struct part_log *log, const void *bytes, size_t size, struct error *err);
/* Ends the part; one without anything is a part too. */
fathom_status part_log_cut(struct part_log *log, struct error *err);
/* Gives every part that was cut to fn, in their order. A damaged one is FATHOM_BAD_INPUT. */
typedef fathom_status part_log_fn(void *arg, const void *bytes, size_t size, struct error *err);
fathom_status part_log_read(const struct part_log *log, part_log_fn *fn, void *arg,
                            struct error *err);
/* Removes the parts that were cut. */
fathom_status part_log_remove(struct part_log *log, struct error *err);

#endif
