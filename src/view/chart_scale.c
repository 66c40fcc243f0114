#include "view/chart_scale.h"

#include <math.h>
#include <stdio.h>

static double plotted(const struct chart_axis *axis, double value) {
    return axis->is_log ? log10(value) : value;
}

static bool is_drawable(const struct chart_axis *axis, double value) {
    return isfinite(value) && (!axis->is_log || value > 0);
}

static void include(struct chart_axis *axis, double value, bool *has_any) {
    double at = plotted(axis, value);
    if (!*has_any || at < axis->low) axis->low = at;
    if (!*has_any || at > axis->high) axis->high = at;
    *has_any = true;
}

/* 1, 2 or 5 times a power of ten, so that `count` steps cover the span. */
static double round_step(double span, int count) {
    double raw = span / count, power = pow(10, floor(log10(raw)));
    double lead = raw / power;
    return power * (lead <= 1 ? 1 : lead <= 2 ? 2 : lead <= 5 ? 5 : 10);
}

static void make_ticks(struct chart_axis *axis, int count) {
    double step = round_step(axis->high - axis->low, count);
    axis->tick_count = 0;
    for (double i = ceil(axis->low / step - 1e-9); axis->tick_count < MAX_TICKS; i++) {
        double tick = i * step;
        if (tick > axis->high + 1e-9 * step) break;
        axis->ticks[axis->tick_count++] = tick;
    }
}

static void finish_axis(struct chart_axis *axis, bool has_any, bool has_margin, int ticks) {
    if (!has_any) axis->low = 0, axis->high = 1;
    double span = axis->high - axis->low;
    if (!(span > 0)) {
        double margin = fabs(axis->low) > 0 ? 0.05 * fabs(axis->low) : 0.5;
        axis->low -= margin;
        axis->high += margin;
    } else if (has_margin) {
        axis->low -= 0.04 * span;
        axis->high += 0.04 * span;
    }
    make_ticks(axis, ticks);
}

void chart_scale_of(const struct chart *chart, int x_ticks, int y_ticks,
                    struct chart_scale *scale) {
    bool has_any = false, has_any_y = false;
    *scale = (struct chart_scale){.y.is_log = chart->is_log_y};
    for (size_t s = 0; s < chart->count; s++) {
        for (size_t i = 0; i < chart->series[s].count; i++) {
            double x = chart->series[s].x[i], y = chart->series[s].y[i];
            if (!is_drawable(&scale->x, x) || !is_drawable(&scale->y, y)) continue;
            include(&scale->x, x, &has_any);
            include(&scale->y, y, &has_any_y);
        }
    }
    finish_axis(&scale->x, has_any, false, x_ticks);
    finish_axis(&scale->y, has_any_y, true, y_ticks);
}

bool chart_place(const struct chart_scale *scale, double x, double y, double *across, double *up) {
    if (!is_drawable(&scale->x, x) || !is_drawable(&scale->y, y)) return false;
    *across = (x - scale->x.low) / (scale->x.high - scale->x.low);
    *up = (plotted(&scale->y, y) - scale->y.low) / (scale->y.high - scale->y.low);
    return true;
}

void chart_label(const struct chart_axis *axis, double tick, char label[32]) {
    double value = axis->is_log ? pow(10, tick) : tick;
    double size = fabs(value);
    if (size < 1e-12)
        snprintf(label, 32, "0");
    else if (size >= 1e9)
        snprintf(label, 32, "%.4gB", value * 1e-9);
    else if (size >= 1e6)
        snprintf(label, 32, "%.4gM", value * 1e-6);
    else if (size >= 1e4)
        snprintf(label, 32, "%.4gK", value * 1e-3);
    else
        snprintf(label, 32, "%.4g", value);
}
