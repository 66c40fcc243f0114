/* Numbers about a text that say how good it is, and rules about them.
 *
 * The measures are those of common pretraining pipelines: Rae et al. 2021 ("Gopher", appendix
 * A.1.1) with the counting of repetitions as stated at each. Lines are those that are not blank;
 * words are data/words.h's; "of the words" means of the bytes of all words together. */
#ifndef DATA_MEASURES_H
#define DATA_MEASURES_H

#include "base/text.h"
#include "data/words.h"

enum measure {
    MEASURE_BYTES,
    MEASURE_WORDS,
    MEASURE_WORD_LENGTH, /* mean, in characters */
    MEASURE_SYMBOLS,     /* "#", or "..." and its single character, whichever are more; per word */
    MEASURE_BULLETS,     /* share of lines that begin with a bullet, dash or asterisk */
    MEASURE_ELLIPSES,    /* share of lines that end with an ellipsis */
    MEASURE_ALPHABETIC,  /* share of what stands between white space that has a letter */
    MEASURE_STOP_WORDS,  /* how many of: the be to of and that have with */
    MEASURE_LETTERS,     /* share of the characters that are not white space */
    /* Shares of the letters, by script. */
    MEASURE_LATIN,
    MEASURE_GREEK,
    MEASURE_CYRILLIC,
    MEASURE_HEBREW,
    MEASURE_ARABIC,
    MEASURE_DEVANAGARI,
    MEASURE_THAI,
    MEASURE_HANGUL,
    MEASURE_KANA,
    MEASURE_HAN,
    /* Lines, and paragraphs (between blank lines), that stood in the text before: their share of
     * all, and of the bytes. */
    MEASURE_REPEATED_LINES,
    MEASURE_REPEATED_LINE_BYTES,
    MEASURE_REPEATED_PARAGRAPHS,
    MEASURE_REPEATED_PARAGRAPH_BYTES,
    /* The n words in a row that occur most often: their occurrences' share of the words. */
    MEASURE_TOP_2,
    MEASURE_TOP_3,
    MEASURE_TOP_4,
    /* n words in a row that occurred before, not overlapping: their share of the words. */
    MEASURE_REPEATED_5,
    MEASURE_REPEATED_6,
    MEASURE_REPEATED_7,
    MEASURE_REPEATED_8,
    MEASURE_REPEATED_9,
    MEASURE_REPEATED_10,
    MEASURES
};
const char *measure_name(enum measure measure); /* "word-length" */

/* What must hold: least <= value <= most where is_ruled. */
struct measure_rules {
    double least[MEASURES], most[MEASURES];
    bool is_ruled[MEASURES];
};
/* "words=50:100000 top-2=:0.2 gopher": measures with their least and most, either of which may be
 * missing, and names of sets of rules ("gopher", "english"); separated by spaces or commas, the
 * later win. NULL or "": no rules. FATHOM_USAGE names what is not understood. */
fathom_status measure_rules_parse(struct measure_rules *rules, const char *text, struct error *err);
bool measure_rules_any(const struct measure_rules *rules);

/* A thread's memory for measuring. */
struct measurer;
fathom_status measurer_new(struct measurer **out, struct error *err);
void measurer_free(struct measurer *measurer); /* accepts NULL */
/* The first rule that the text breaks, with the measured value; MEASURES: none. words are the
 * text's. */
fathom_status measurer_check(struct measurer *measurer, const struct measure_rules *rules,
                             const char *text, size_t size, const struct word_array *words,
                             enum measure *broken, double *value, struct error *err);

#endif
