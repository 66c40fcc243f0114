/* What a pre-tokenizer is made of; for the files of text/ only. */
#ifndef TEXT_PRETOKENIZER_DATA_H
#define TEXT_PRETOKENIZER_DATA_H

#include "text/pretokenizer.h"
#include "text/split.h"

enum { PRETOKENIZER_STEPS = 32 }; /* the most that one may have */

struct pretokenizer {
    struct split_step steps[PRETOKENIZER_STEPS];
    int count;
    bool has_regex, has_prefix;
    bool can_cut;     /* see pretokenizer_cut */
    const char *name; /* static; NULL: none of the published ones */
    char *json;
};

#endif
