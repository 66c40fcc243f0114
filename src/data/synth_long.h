/* Long documents of the embedded corpus: stories one after the other, with facts hidden among their
 * sentences (data/facts.h) and questions about them, some on the way and some at the end. */
#ifndef DATA_SYNTH_LONG_H
#define DATA_SYNTH_LONG_H

#include "data/haystack.h"

struct synth_long_options {
    uint64_t from, to; /* bytes of a document, about; both 0: the defaults */
    /* Each document draws its share of sentences about facts from [0, fact_share]: many facts teach
     * the looking up, few of them the distance. */
    double fact_share;
    double list_share; /* the same for lists that are said again: facts_write_list */
};
enum { SYNTH_LONG_FROM = 4096, SYNTH_LONG_TO = 8192 };

fathom_status synth_long_check(const struct synth_long_options *options, struct error *err);
double synth_long_mean(const struct synth_long_options *options); /* bytes */
/* Appends a document, without a newline at its end. Its facts are of the training split; at least
 * one stands at a depth drawn evenly, and the last paragraphs ask about some of them. */
void synth_long_write(struct haystack *haystack, const struct synth_long_options *options,
                      struct rng *rng, struct text *out);

#endif
