/* The rules that stories are made of, by file. What every story may use: {hero} with {he} {him}
 * {his} {himself} {kid} ("girl", "boy"); {friend} with {fhe} {fhim} {fhis}; an elder of the hero,
 * {elder}
 * ("grandmother") called {Elder} ("Grandma") with {ehe} {ehim} {ehis}; and {town}. Fables use the
 * animals {beast} and {other}, with the pronouns of hero and friend. */
#ifndef DATA_STORY_RULES_H
#define DATA_STORY_RULES_H

#include "data/grammar.h"

extern const struct grammar_source story_words;   /* nouns, verbs, adjectives */
extern const struct grammar_source story_phrases; /* openings, talk, endings */
extern const struct grammar_source story_home;    /* plots at home, in town and at school */
extern const struct grammar_source story_outdoors;
extern const struct grammar_source story_fables;
extern const struct grammar_source story_short; /* scenes, talks, letters, facts, recipes */

#endif
