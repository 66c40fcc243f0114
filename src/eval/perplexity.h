/* Perplexity of a split of token shards: nats per token and bits per byte of the text behind them.
 *
 * The stream is cut into windows of `length` predictions, as training samples are; each token but
 * the first of the stream is predicted once, from what stands before it in its window. MTP modules
 * (V3 report 2.2) are measured the same way, and how often module k's likeliest token is the one
 * that the model itself finds likeliest once it has read k tokens more: what speculative decoding
 * accepts, on the text's own tokens. */
#ifndef EVAL_PERPLEXITY_H
#define EVAL_PERPLEXITY_H

#include "format/shard.h"
#include "model/run.h"

struct perplexity_options {
    int64_t length; /* predictions per window */
    int64_t micro;  /* windows at once; 0: 8 */
    int64_t most;   /* windows that are measured, from the beginning; 0: all */
    bool with_mtp;  /* measure the MTP modules too */
};
enum { PERPLEXITY_MTP_MOST = 8 };
struct perplexity_mtp {
    int64_t tokens;   /* predicted */
    double nats;      /* per token */
    double agreement; /* share of them that the model itself chooses */
};
struct perplexity {
    int64_t windows, tokens; /* predicted */
    double nats;             /* per token */
    double bits_per_byte;    /* bytes: the split's text, in proportion to the tokens measured */
    double seconds;
    int64_t mtp_modules; /* that were measured */
    struct perplexity_mtp mtp[PERPLEXITY_MTP_MOST];
};
/* FATHOM_BAD_INPUT when the split has no window; FATHOM_INTERRUPTED on a signal. */
fathom_status perplexity_measure(struct perplexity *result, const struct model *model,
                                 const struct shard_set *set,
                                 const struct perplexity_options *options, struct error *err);

#endif
