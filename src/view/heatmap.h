/* Heat maps: a colour for every cell of a matrix, as a standalone SVG and for a terminal. */
#ifndef VIEW_HEATMAP_H
#define VIEW_HEATMAP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

struct heatmap {
    const char *title, *x_label, *y_label;
    size_t rows, columns;
    const double *values; /* [rows, columns], row 0 on top; what is not finite stays empty */
    double low, high;     /* values of the first and the last colour; low < high */
    double x_low, x_high; /* what the first column's left and the last one's right edge stand for */
    const char *const *row_names;    /* [rows]; NULL: their numbers */
    const char *const *column_names; /* [columns], in place of x_low and x_high; NULL: none */
};

/* A self-contained SVG of width x height pixels with a scale of its colours. */
void heatmap_svg(const struct heatmap *map, int width, int height, struct text *out);
/* A line per row: every cell as a shade and its share of the scale in percent. Needs column_names.
 */
void heatmap_terminal(const struct heatmap *map, bool is_utf8, struct text *out);

#endif
