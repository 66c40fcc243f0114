#include "view/chart_scale.h"

#include <math.h>
#include <stdio.h>

static double plotted(const struct chart_axis *axis, double value) {
    return axis->is_log ? log10(value) : value;
}

static bool is_drawable(const struct chart_axis *axis, double value) {
    const double limit = 1e300; /* so that no span overflows */
    return fabs(value) < limit && (!axis->is_log || value > 1 / limit);
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

static void add_tick(struct chart_axis *axis, double at) {
    double slack = 1e-9 * (axis->high - axis->low);
    if (axis->tick_count < MAX_TICKS && at >= axis->low - slack && at <= axis->high + slack)
        axis->ticks[axis->tick_count++] = at;
}

/* Round values in [low, high], placed on the axis. */
static void add_even_ticks(struct chart_axis *axis, double low, double high, int count) {
    double step = round_step(high - low, count), first = ceil(low / step - 1e-9);
    for (int i = 0; i <= MAX_TICKS; i++) {
        double value = (first + i) * step;
        if (value > high + 1e-9 * step) break;
        if (!axis->is_log || value > 0) add_tick(axis, plotted(axis, value));
    }
}

/* 1, 2 and 5 of every decade; over many decades, powers of ten some decades apart. */
static void add_log_ticks(struct chart_axis *axis, int count) {
    double decades = axis->high - axis->low;
    bool has_parts = 3 * decades <= fmax(count, 3);
    int stride = has_parts ? 1 : (int)ceil(decades / MAX_TICKS);
    for (int power = (int)floor(axis->low); power <= axis->high; power += stride) {
        add_tick(axis, power);
        if (has_parts) add_tick(axis, power + log10(2));
        if (has_parts) add_tick(axis, power + log10(5));
    }
}

static void make_ticks(struct chart_axis *axis, int count) {
    axis->tick_count = 0;
    if (!axis->is_log)
        add_even_ticks(axis, axis->low, axis->high, count);
    else if (axis->high - axis->low < 1)
        add_even_ticks(axis, pow(10, axis->low), pow(10, axis->high), count);
    else
        add_log_ticks(axis, count);
}

static void finish_axis(struct chart_axis *axis, bool has_any, bool has_margin, int ticks) {
    if (!has_any) axis->low = 0, axis->high = 1;
    double span = axis->high - axis->low, size = fmax(fabs(axis->low), fabs(axis->high));
    const double nothing = 1e-290; /* below it steps between ticks would vanish */
    if (!(span > 1e-12 * size) || span < nothing) {
        double margin = size > nothing ? 0.05 * size : 0.5;
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
    *scale = (struct chart_scale){.x.is_log = chart->is_log_x, .y.is_log = chart->is_log_y};
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
    *across = (plotted(&scale->x, x) - scale->x.low) / (scale->x.high - scale->x.low);
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
