/* The moments of a sharded optimizer, read whole by the first of its ranks, one tensor at a time.
 * Rank 0 is that of the optimizer's group, the replicas of a stage.
 *
 *     rank 0:      moments_fetch ... moments_fetch moments_end
 *     the others:  moments_serve
 *
 * Rank 0 asks for what it wants and says when it is done, so that it may fail in between without
 * leaving the others behind. With one rank moments_fetch reads and moments_end does nothing. */
#ifndef TRAIN_MOMENTS_H
#define TRAIN_MOMENTS_H

#include "train/optimizer.h"

/* Moment `is_second` of parameter number `param` of the model's list, whole, to host memory. */
fathom_status moments_fetch(const struct optimizer *optimizer, int64_t param, bool is_second,
                            void *to_host, struct stream *stream, struct error *err);
/* Tells the others how it went with rank 0; returns `outcome`. */
fathom_status moments_end(const struct optimizer *optimizer, fathom_status outcome,
                          struct stream *stream, struct error *err);
/* Sends what rank 0 asks for until it ends; its outcome. Whether it has ended, and not this rank
 * failed before, is *has_ended. */
fathom_status moments_serve(const struct optimizer *optimizer, struct stream *stream,
                            bool *has_ended, struct error *err);

#endif
