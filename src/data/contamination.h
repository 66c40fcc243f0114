/* Texts that must not be trained on: a document that shares a run of words with one of them is
 * contaminated. DeepSeek-R1's supplement names runs of about ten words. */
#ifndef DATA_CONTAMINATION_H
#define DATA_CONTAMINATION_H

#include "data/words.h"

struct contamination;
enum { CONTAMINATION_WORDS = 10 };

/* Reads paths[0..count): text files, and of JSONL files all strings of each object. A text shorter
 * than a run is a run by itself where it has at least half as many words; shorter ones say too
 * little and are left out. */
fathom_status contamination_new(struct contamination **out, const char *const *paths, size_t count,
                                int64_t run_words, struct error *err);
void contamination_free(struct contamination *contamination); /* accepts NULL */
/* Runs that are looked for, and texts that were too short. */
int64_t contamination_runs(const struct contamination *contamination);
int64_t contamination_too_short(const struct contamination *contamination);
/* Whether the words hold one of the runs; *path (borrowed) names the file that has it. */
bool contamination_find(const struct contamination *contamination, const struct word *words,
                        size_t count, const char **path);

#endif
