/* Training runs as a terminal shows them: where they are, their curves, the balance of experts. */
#ifndef TRAIN_WATCH_H
#define TRAIN_WATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "base/text.h"

struct watch_screen {
    int columns, rows; /* of the terminal */
    bool is_utf8;
};
/* Appends a picture of the runs in directories[count], count >= 1. *is_over is set when each has
 * taken all the steps that its newest checkpoint's record asks for. A run without a line yet is
 * shown as waiting; no metrics.jsonl at all is FATHOM_IO. */
fathom_status watch_draw(const char *const *directories, size_t count,
                         const struct watch_screen *screen, struct text *out, bool *is_over,
                         struct error *err);

#endif
