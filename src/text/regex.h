/* Regular expressions over UTF-8, for patterns of tokenizers that are not matched by hand.
 *
 * Oniguruma with Ruby's syntax, as Hugging Face's tokenizers use it. A search that backtracks
 * without end is an error, never a hang: steps and stack of one search are bounded. */
#ifndef TEXT_REGEX_H
#define TEXT_REGEX_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

struct regex; /* immutable: threads may share it */

/* FATHOM_UNSUPPORTED, with Oniguruma's reason, for a pattern that it does not take; `what` names
 * the file in the message. */
fathom_status regex_new(struct regex **out, const char *pattern, size_t size, const char *what,
                        struct error *err);
void regex_free(struct regex *regex); /* accepts NULL */
const char *regex_pattern(const struct regex *regex);

/* One thread's working memory for searches with any regex. */
struct regex_search;
fathom_status regex_search_new(struct regex_search **out, struct error *err);
void regex_search_free(struct regex_search *search); /* accepts NULL */

/* The first match in text[from..size) of a text that begins at text[0] (for anchors and what looks
 * behind); *found says whether there is one. text must be valid UTF-8 and `from` stand between
 * characters. FATHOM_UNSUPPORTED where the search exceeds its bounds. */
fathom_status regex_find(const struct regex *regex, struct regex_search *search,
                         const unsigned char *text, size_t size, size_t from, bool *found,
                         size_t *begin, size_t *end, struct error *err);

#endif
