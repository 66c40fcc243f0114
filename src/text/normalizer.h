/* Normalizers: what is changed in a text before it is cut and merged.
 *
 * The "normalizer" of a tokenizer.json: NFC, NFD, NFKC, NFKD (utf8proc), Prepend, Replace, and
 * sequences of them. Bytes that are not part of valid UTF-8 pass unchanged. Time is linear in the
 * text, also for long runs of combining marks. */
#ifndef TEXT_NORMALIZER_H
#define TEXT_NORMALIZER_H

#include "base/json.h"
#include "base/status.h"
#include "base/text.h"

struct normalizer; /* immutable: threads may share it */

/* From the "normalizer" object; *out is NULL where it changes nothing (null, an empty sequence).
 * One that is not known is FATHOM_UNSUPPORTED and named; `what` names the file. */
fathom_status normalizer_parse(struct normalizer **out, const json_node *object, const char *what,
                               struct error *err);
void normalizer_free(struct normalizer *n); /* accepts NULL */
/* The object as tokenizer.json has it; "null" for NULL. */
const char *normalizer_json(const struct normalizer *n);

/* One thread's working memory. Zero-initialise; normalizer_scratch_free when done. */
struct normalizer_scratch {
    struct text texts[2];
    int32_t *codes; /* code points of a run */
    int32_t *sorted;
    size_t code_capacity;
    struct regex_search *search;
};
void normalizer_scratch_free(struct normalizer_scratch *scratch);

/* The normalized text, *bytes [*count], borrowed from the scratch until the next call. */
fathom_status normalizer_apply(const struct normalizer *n, struct normalizer_scratch *scratch,
                               const unsigned char *text, size_t size, const unsigned char **bytes,
                               size_t *count, struct error *err);
/* "15.0.0": the Unicode version of the normal forms. */
const char *normalizer_unicode_version(void);

#endif
