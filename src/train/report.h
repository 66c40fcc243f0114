/* A page about one or several training runs: one HTML file with everything in it. */
#ifndef TRAIN_REPORT_H
#define TRAIN_REPORT_H

#include "base/status.h"
#include "base/text.h"

/* Appends the page for the runs in directories[count], count >= 1: a summary, the curves (each with
 * all runs), and for each run the balance of its experts by layer and its options. Reads
 * metrics.jsonl and the newest checkpoint's record, which may be missing. */
fathom_status report_html(const char *const *directories, size_t count, struct text *out,
                          struct error *err);

#endif
