/* What is kept of a corpus and what is dropped, and why.
 *
 * A document is judged in two steps. clean_examine looks at it alone, on any thread: its UTF-8, the
 * rules about its measures, texts that must not be trained on, its hash and its MinHash bands.
 * clean_decide compares it with those before it, one after the other in the order of the input, so
 * that what is kept does not depend on the threads: of duplicates the first stays. */
#ifndef DATA_CLEAN_H
#define DATA_CLEAN_H

#include "data/contamination.h"
#include "data/measures.h"
#include "data/minhash.h"
#include "data/part_log.h"
#include "data/reader.h"

enum utf8_policy { UTF8_KEEP, UTF8_REPLACE, UTF8_DROP };
enum dedup { DEDUP_NONE, DEDUP_EXACT, DEDUP_NEAR }; /* near: exact ones too */

struct clean_options {
    enum utf8_policy utf8;
    struct measure_rules rules;
    const struct contamination *contamination; /* NULL: none */
    enum dedup dedup;
    struct minhash_options minhash; /* for near duplicates */
    uint64_t dedup_bytes;           /* that its tables may take; 0: any */
};

enum verdict {
    VERDICT_KEPT,
    VERDICT_MALFORMED, /* a line of a JSONL file that could not be read */
    VERDICT_NOT_UTF8,
    VERDICT_FILTERED,
    VERDICT_CONTAMINATED,
    VERDICT_DUPLICATE,
    VERDICT_NEAR_DUPLICATE,
    VERDICTS
};
const char *verdict_name(enum verdict verdict); /* "near-duplicate" */

struct origin {
    uint64_t line; /* of a JSONL file, from 1; 0: the whole file */
    uint32_t file; /* which of the inputs */
};

/* Why, as far as the verdict has it. */
struct judgement {
    enum verdict verdict;
    enum measure broken; /* filtered: the rule, and what was measured */
    double value;
    const char *contaminated_by; /* a path, borrowed from the contamination */
    struct origin first;         /* duplicates: of which document */
    size_t replaced;             /* bytes that were not UTF-8 */
    uint64_t hash;
    bool has_bands;
};

/* A thread's memory. */
struct cleaner;
fathom_status cleaner_new(struct cleaner **out, const struct clean_options *options,
                          struct error *err);
void cleaner_free(struct cleaner *cleaner); /* accepts NULL */

/* *text and *size become those of `valid` where bytes are replaced. bands[minhash.bands] is filled
 * for near duplicates, else may be NULL. */
fathom_status clean_examine(struct cleaner *cleaner, const char **text, size_t *size,
                            struct text *valid, struct judgement *judgement, uint64_t *bands,
                            struct error *err);

/* The documents so far. */
struct clean_history;
fathom_status clean_history_new(struct clean_history **out, const struct clean_options *options,
                                struct error *err);
void clean_history_free(struct clean_history *history); /* accepts NULL */
/* From now on what is remembered goes into the log too, which stays the caller's; all that is there
 * is remembered first. */
fathom_status clean_history_log(struct clean_history *history, struct part_log *log,
                                struct error *err);
/* For a document that clean_examine kept; one that stays is remembered. FATHOM_UNSUPPORTED when the
 * tables have grown beyond what they may take. */
fathom_status clean_decide(struct clean_history *history, struct origin origin,
                           struct judgement *judgement, const uint64_t *bands, struct error *err);

#endif
