#include <stdio.h>

#include "view/chart_scale.h"
#include "view/svg.h"

/* Okabe and Ito's palette, distinguishable with colour-blindness. */
static const char *const colours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                      "#e69f00", "#56b4e9", "#8a8a8a"};
enum { COLOURS = sizeof colours / sizeof colours[0] };

static void put_axes(struct text *out, const struct svg_frame *f, const struct chart_scale *scale) {
    char label[32];
    for (int i = 0; i < scale->y.tick_count; i++) {
        double up = (scale->y.ticks[i] - scale->y.low) / (scale->y.high - scale->y.low);
        double y = f->top + f->height * (1 - up);
        text_printf(out, "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>\n",
                    f->left, f->left + f->width, y, y);
        chart_label(&scale->y, scale->y.ticks[i], label);
        svg_label(out, f->left - 8, y + 4, "end", "tick", label);
    }
    for (int i = 0; i < scale->x.tick_count; i++) {
        double across = (scale->x.ticks[i] - scale->x.low) / (scale->x.high - scale->x.low);
        double x = f->left + f->width * across;
        text_printf(out, "<line class=\"axis\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>\n",
                    x, x, f->top + f->height, f->top + f->height + 5);
        chart_label(&scale->x, scale->x.ticks[i], label);
        svg_label(out, x, f->top + f->height + 20, "middle", "tick", label);
    }
    text_printf(out, "<path class=\"axis\" d=\"M%.1f %.1fV%.1fH%.1f\"/>\n", f->left, f->top,
                f->top + f->height, f->left + f->width);
}

static void put_series(struct text *out, const struct svg_frame *f, const struct chart_scale *scale,
                       const struct chart_series *s, const char *colour) {
    bool is_drawing = false;
    text_printf(out, "<path class=\"line\" stroke=\"%s\" d=\"", colour);
    for (size_t i = 0; i < s->count; i++) {
        double across, up;
        bool is_placed = chart_place(scale, s->x[i], s->y[i], &across, &up);
        if (is_placed)
            text_printf(out, "%c%.1f %.1f", is_drawing ? 'L' : 'M', f->left + f->width * across,
                        f->top + f->height * (1 - up));
        is_drawing = is_placed;
    }
    text_append_string(out, "\"/>\n");
    for (size_t i = 0; i < s->count && s->has_points; i++) {
        double across, up;
        if (!chart_place(scale, s->x[i], s->y[i], &across, &up)) continue;
        text_printf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"/>\n",
                    f->left + f->width * across, f->top + f->height * (1 - up), colour);
    }
}

static void put_legend(struct text *out, const struct svg_frame *f, const struct chart *chart) {
    double x = f->left + f->width - 150, y = f->top + 14;
    for (size_t i = 0; i < chart->count; i++, y += 18) {
        text_printf(out,
                    "<line class=\"line\" stroke=\"%s\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" "
                    "y2=\"%.1f\"/>\n",
                    colours[i % COLOURS], x, x + 22, y - 4, y - 4);
        svg_label(out, x + 28, y, "start", "tick", chart->series[i].name);
    }
}

void chart_svg(const struct chart *chart, int width, int height, struct text *out) {
    const struct svg_frame f =
        svg_begin(out, width, height, chart->title, chart->x_label, chart->y_label);
    struct chart_scale scale;
    chart_scale_of(chart, 8, 6, &scale);
    put_axes(out, &f, &scale);
    for (size_t i = 0; i < chart->count; i++)
        put_series(out, &f, &scale, &chart->series[i], colours[i % COLOURS]);
    put_legend(out, &f, chart);
    text_append_string(out, "</svg>\n");
}
