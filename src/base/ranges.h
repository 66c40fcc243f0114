/* Sets of numbers as people write them: "3,120-125". */
#ifndef BASE_RANGES_H
#define BASE_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct range {
    int64_t first, last;
};
struct ranges {
    struct range *items; /* in the order of the text; they may overlap */
    size_t count;
};
/* Zero-initialise. NULL and "" are the empty set; FATHOM_USAGE for anything but numbers >= 0 and
 * ranges that do not descend. */
fathom_status ranges_parse(struct ranges *ranges, const char *text, struct error *err);
/* The same for a list of single numbers in [low, high], at least one; `name` stands for it in
 * messages. */
fathom_status ranges_parse_numbers(struct ranges *ranges, const char *text, const char *name,
                                   int64_t low, int64_t high, struct error *err);
void ranges_free(struct ranges *ranges);
bool ranges_have(const struct ranges *ranges, int64_t number);

#endif
