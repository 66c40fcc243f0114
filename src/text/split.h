/* One step of a pre-tokenizer: a range of text to its pieces. For the files of text/ only. */
#ifndef TEXT_SPLIT_H
#define TEXT_SPLIT_H

#include "base/text.h"
#include "text/patterns.h"
#include "text/regex.h"

enum split_behavior { /* what becomes of a match; "gap" is what stands between matches */
                      SPLIT_ISOLATED,             /* a piece of its own */
                      SPLIT_REMOVED,              /* left out */
                      SPLIT_MERGED_WITH_PREVIOUS, /* joins the gap before it */
                      SPLIT_MERGED_WITH_NEXT,     /* joins the gap after it */
                      SPLIT_CONTIGUOUS,           /* joins matches directly before and after it */
};

enum step_kind {
    STEP_SPLIT,    /* by a pattern: the first of known, regex and literal that is there */
    STEP_SPLIT_V3, /* V3's three splits at once */
    STEP_PREFIX,   /* a space before the range, unless one is there */
};

struct split_step {
    enum step_kind kind;
    const struct known_pattern *known;
    struct regex *regex;
    char *literal;
    size_t literal_size;
    enum split_behavior behavior;
    bool invert; /* matches and gaps change places */
};
void split_step_free(struct split_step *step); /* what it holds */

struct split_item {
    size_t begin, end;
    bool is_match;
};

/* Where a step stands in a range. */
struct split_range {
    const unsigned char *text;  /* [size] */
    const unsigned char *valid; /* the same with bytes that are not UTF-8 replaced; for regex */
    size_t size;
    size_t at;                          /* before it, all is said */
    struct split_item match;            /* the next match, where has_match */
    size_t search_from, last_match_end; /* the latter SIZE_MAX: none yet */
    struct split_item ahead;            /* an item read too far, where has_ahead */
    bool has_match, has_no_more, has_ahead;
};
void split_range_start(struct split_range *range, const unsigned char *text,
                       const unsigned char *valid, size_t size);
/* The next piece [*begin, *end), which is not empty; false in *is_more at the end. */
fathom_status split_next(const struct split_step *step, struct split_range *range,
                         struct regex_search *search, size_t *begin, size_t *end, bool *is_more,
                         struct error *err);

#endif
