/* The embedded corpus: stories and small tasks with worked reasoning, of any size, a pure function
 * of the options (docs/data.md says what it holds and what is held out of it). */
#ifndef DATA_SYNTH_H
#define DATA_SYNTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "base/text.h"
#include "data/synth_long.h"
#include "data/tasks.h"

struct synth_options {
    uint64_t seed;
    const char *words;     /* word_list_new's path: NULL the system's, "" the built-in */
    size_t word_count;     /* different words; 0: WORD_DEFAULT_COUNT */
    bool leave_out_work;   /* answers without their worked reasoning */
    double template_share; /* of the task texts in the think/answer template, [0, 1] */
    /* "stories=45 spell=15 letters=15 ...": shares of the bytes, in any unit; what is not named has
     * none. NULL: SYNTH_DEFAULT_MIX. */
    const char *mix;
    struct task_options tasks;
    struct synth_long_options long_texts; /* of the mix's "long" */
};
#define SYNTH_DEFAULT_MIX                                                                          \
    "stories=40 spell=16 letters=18 sums=6 compare=5 countdown=4 sort=5 length=2 position=2 "      \
    "weekday=2"

struct synth;
/* A mix that is not understood is FATHOM_USAGE; so is a word list without training words where the
 * mix needs some. */
fathom_status synth_new(struct synth **out, const struct synth_options *options, struct error *err);
void synth_free(struct synth *synth); /* accepts NULL */
/* Appends document number i, without a newline at its end. Documents are independent. Failed
 * allocations latch out->failed. */
void synth_document(struct synth *synth, uint64_t i, struct text *out);
const struct word_list *synth_words(const struct synth *synth);

#endif
