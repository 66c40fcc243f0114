/* Axis ranges and ticks of charts; for the files of view/ only. */
#ifndef VIEW_CHART_SCALE_H
#define VIEW_CHART_SCALE_H

#include "view/chart.h"

enum { MAX_TICKS = 12 };

struct chart_axis {
    double low, high; /* in the plotted unit: log10 of the value on a log axis */
    bool is_log;
    double ticks[MAX_TICKS];
    int tick_count;
};
struct chart_scale {
    struct chart_axis x, y;
};
/* Ranges that hold every finite point, with about `x_ticks` and `y_ticks` round ticks; a chart
 * without points gets [0, 1]. */
void chart_scale_of(const struct chart *chart, int x_ticks, int y_ticks, struct chart_scale *scale);
/* Whether a point can be drawn, and where: 0..1 from left to right and from bottom to top. */
bool chart_place(const struct chart_scale *scale, double x, double y, double *across, double *up);
/* A tick's label: "0.5", "1200", "40K". */
void chart_label(const struct chart_axis *axis, double tick, char label[32]);

#endif
