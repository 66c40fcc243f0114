/* Texts from rules.
 *
 * Rules are written as strings "@name one|two|three": a name and its alternatives; strings with the
 * same name add up. In an alternative
 *
 *     [name]      stands for a random alternative of that rule
 *     [x=name]    the same, remembered as {x}
 *     [!x=name]   remembered without being written
 *     [!x:text]   remembers the expanded text without writing it
 *     {x}         what was remembered last under that name
 *     (a|b|)      a random one of these texts
 *
 * and a '^' before a name, as in [^name] or {^x}, makes the first letter a capital. A grammar is
 * checked when it is made: every rule that is used exists, brackets match, nesting is bounded. */
#ifndef DATA_GRAMMAR_H
#define DATA_GRAMMAR_H

#include <stdbool.h>
#include <stddef.h>

#include "base/rng.h"
#include "base/status.h"
#include "base/text.h"

struct grammar;

/* Rule strings in static storage; they are not copied. */
struct grammar_source {
    const char *const *rules;
    size_t count;
};
fathom_status grammar_new(struct grammar **out, const struct grammar_source *sources, size_t count,
                          struct error *err);
void grammar_free(struct grammar *grammar); /* accepts NULL */
bool grammar_has_rule(const struct grammar *grammar, const char *name);

/* What one text remembers. Zero-initialise; the same memory may remember for several expansions. A
 * failed allocation latches values.failed. */
enum { GRAMMAR_VARIABLES = 64 };
struct grammar_memory {
    struct {
        const char *name; /* not NUL-terminated */
        size_t name_size;
        size_t at, size; /* in values */
    } variables[GRAMMAR_VARIABLES];
    size_t count;
    struct text values;
};
void grammar_memory_clear(struct grammar_memory *memory); /* keeps its allocation */
void grammar_memory_free(struct grammar_memory *memory);
/* `name` must outlive the memory; `value` is copied. */
void grammar_remember(struct grammar_memory *memory, const char *name, const char *value);

/* Appends an expansion of rule `name`, which must exist. A variable that was never set is written
 * as
 * "{name}", which a test looks for. Draws come from rng alone. */
void grammar_expand(const struct grammar *grammar, const char *name, struct rng *rng,
                    struct grammar_memory *memory, struct text *out);

/* "a" before a vowel sound becomes "an" in text[from..]. */
void grammar_fix_articles(struct text *text, size_t from);

/* Every run of letters in the rules' texts (not in the names of rules and variables), with capitals
 * made small, as often as it occurs. */
void grammar_each_word(const struct grammar *grammar,
                       void (*visit)(void *arg, const char *word, size_t size), void *arg);

#endif
