/* Line charts: as a standalone SVG and for a terminal. Pure functions of their arguments. Points
 * that are not finite (or beyond 1e300) are gaps. */
#ifndef VIEW_CHART_H
#define VIEW_CHART_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

struct chart_series {
    const char *name;
    const double *x, *y; /* [count]; x ascending */
    size_t count;
    bool has_points; /* dots as well as a line, for sparse measurements */
};
struct chart {
    const char *title, *x_label, *y_label;
    const struct chart_series *series;
    size_t count;
    bool is_log_x, is_log_y; /* values that are not positive are gaps */
};

/* A self-contained SVG of width x height pixels, readable on light and dark pages. */
void chart_svg(const struct chart *chart, int width, int height, struct text *out);
/* Lines of `columns` characters, `rows` of them for the plot. Where is_utf8, lines are braille dots
 * and a series that has points is drawn by a mark at each of them; else every series has its own
 * plain character. The legend names the marks. */
void chart_terminal(const struct chart *chart, int columns, int rows, bool is_utf8,
                    struct text *out);

#endif
