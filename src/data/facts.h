/* Facts to hide in long texts, and the questions about them. The corpus (data synth, the mix's
 * long) and the needle evaluation word them alike, but never speak of the same pair of color and
 * thing: a tenth of the pairs, by hash, is held out. */
#ifndef DATA_FACTS_H
#define DATA_FACTS_H

#include "base/rng.h"
#include "base/text.h"
#include "data/word_list.h"

/* FACT_TEXT_MAX: room for what any of the writers below appends. */
enum { FACT_MOST = 64, FACT_MOST_OTHERS = FACT_MOST / 2, FACT_TEXT_MAX = 128 };

struct fact {
    const char *color, *thing; /* static */
    int number;                /* 10 to 99 */
};

/* Fills facts[count] from the next draws of rng, with no thing and no number twice; count is at
 * most FACT_MOST. Returns how many there are: fewer where the split has no more things. */
size_t facts_draw(struct fact *facts, size_t count, enum task_split split, struct rng *rng);
/* The hold-out rule. */
bool fact_is_heldout(const struct fact *fact);

/* "The secret number of the green kite is 48." */
void fact_write(const struct fact *fact, struct text *out);
/* "What is the secret number of the green kite? The secret number of the green kite is" */
void fact_write_question(const struct fact *fact, struct text *out);
/* " 48.": what follows the question. */
void fact_write_answer(const struct fact *fact, struct text *out);

/* "Say: kite hat bell. Again: kite hat bell.": some of the things in random order, said two to four
 * times. To repeat a list is the simplest looking up, and comes first. */
void facts_write_list(struct rng *rng, struct text *out);
/* Two to eight facts of the training side, then each asked for once, in another order. */
void facts_write_lookup(struct rng *rng, struct text *out);

#endif
