/* The loss curve of a run, drawn from its metrics.jsonl. */
#ifndef TRAIN_CURVE_H
#define TRAIN_CURVE_H

#include "base/status.h"
#include "base/text.h"

/* Writes DIR/loss.svg and, where `terminal` is not NULL, appends the same for a terminal. */
fathom_status curve_draw(const char *directory, struct text *terminal, struct error *err);

#endif
