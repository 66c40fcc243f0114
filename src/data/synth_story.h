/* Plain-English stories, fables and short texts from the story grammar. */
#ifndef DATA_SYNTH_STORY_H
#define DATA_SYNTH_STORY_H

#include "data/grammar.h"

struct story_maker {
    struct grammar *grammar;
    struct grammar_memory memory;
};

fathom_status story_maker_new(struct story_maker *maker, struct error *err);
void story_maker_free(struct story_maker *maker); /* safe on a zeroed maker */
/* Appends one text, without a newline at its end. The same rng gives the same text. Failed
 * allocations latch out->failed. */
void story_write(struct story_maker *maker, struct rng *rng, struct text *out);

#endif
