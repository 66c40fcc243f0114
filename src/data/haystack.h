/* Stories as one long text in pieces, between which other sentences can be put.
 *
 * A piece is a sentence or a few; the space before it belongs to it, the line ends behind it too.
 * So pieces can be cut anywhere and joined again, as text and as tokens. */
#ifndef DATA_HAYSTACK_H
#define DATA_HAYSTACK_H

#include "data/synth_story.h"

struct haystack {
    struct story_maker *stories; /* the caller's */
    struct text story;           /* the one that is being cut */
    size_t at;                   /* what of it has been given */
};
void haystack_free(struct haystack *haystack); /* not the stories */
/* The next piece begins a new story. */
void haystack_restart(struct haystack *haystack);
/* Appends the next piece. Failed allocations latch out->failed. */
void haystack_next(struct haystack *haystack, struct rng *rng, struct text *out);
/* Appends a sentence: as a paragraph of its own where one would begin, else behind the last
 * sentence. `begin`: where the text that is being made starts in out. */
void haystack_put(struct text *out, size_t begin, const char *sentence);
/* Ends the paragraph, unless a new one would begin anyway. */
void haystack_end_paragraph(struct text *out, size_t begin);

#endif
