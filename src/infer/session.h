/* A session: one timeline of tokens over a model's weights, with its cache of keys and values.
 *
 * The caller passes the whole sequence each time; session_sync keeps the prefix that is already
 * computed, rewinds what differs, and computes the rest in chunks. Exact mode: the logits have the
 * same bits whatever the chunks and whatever was cached (DESIGN: one model code). Not thread-safe;
 * sessions of one model are independent. */
#ifndef INFER_SESSION_H
#define INFER_SESSION_H

#include "model/kv_cache.h"
#include "model/run.h"

struct session;
struct session_options {
    int64_t positions; /* the longest sequence; memory is taken for all of it */
    int64_t chunk;     /* tokens computed at once; 0: 256 */
};
fathom_status session_new(struct session **out, const struct model *model,
                          const struct session_options *options, struct error *err);
void session_free(struct session *session); /* accepts NULL */

/* Makes tokens[0..count), count >= 1, the session's timeline and the logits those after its last
 * token. A sequence longer than the session's positions is FATHOM_USAGE, logits that are not finite
 * FATHOM_NOT_FINITE; the timeline is then what was computed before. */
fathom_status session_sync(struct session *session, const int32_t *tokens, int64_t count,
                           struct error *err);
/* [V] of the last sync; host memory of the session. */
const float *session_logits(const struct session *session);
/* Tokens in the timeline. */
int64_t session_length(const struct session *session);

#endif
