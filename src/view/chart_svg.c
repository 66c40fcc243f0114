#include <stdio.h>

#include "view/chart_scale.h"

/* Okabe and Ito's palette, distinguishable with colour-blindness. */
static const char *const colours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                      "#e69f00", "#56b4e9", "#8a8a8a"};
enum { COLOURS = sizeof colours / sizeof colours[0] };

struct frame {
    double left, top, width, height; /* of the plot, pixels */
};

static void put_escaped(struct text *out, const char *string) {
    for (const char *at = string ? string : ""; *at; at++) {
        switch (*at) {
        case '<': text_append_string(out, "&lt;"); break;
        case '>': text_append_string(out, "&gt;"); break;
        case '&': text_append_string(out, "&amp;"); break;
        case '"': text_append_string(out, "&quot;"); break;
        default: text_append_char(out, *at);
        }
    }
}

static void put_label(struct text *out, double x, double y, const char *anchor, const char *class,
                      const char *string) {
    text_printf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" class=\"%s\">", x, y, anchor,
                class);
    put_escaped(out, string);
    text_append_string(out, "</text>\n");
}

static void put_axes(struct text *out, const struct frame *f, const struct chart_scale *scale) {
    char label[32];
    for (int i = 0; i < scale->y.tick_count; i++) {
        double up = (scale->y.ticks[i] - scale->y.low) / (scale->y.high - scale->y.low);
        double y = f->top + f->height * (1 - up);
        text_printf(out, "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>\n",
                    f->left, f->left + f->width, y, y);
        chart_label(&scale->y, scale->y.ticks[i], label);
        put_label(out, f->left - 8, y + 4, "end", "tick", label);
    }
    for (int i = 0; i < scale->x.tick_count; i++) {
        double across = (scale->x.ticks[i] - scale->x.low) / (scale->x.high - scale->x.low);
        double x = f->left + f->width * across;
        text_printf(out, "<line class=\"axis\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>\n",
                    x, x, f->top + f->height, f->top + f->height + 5);
        chart_label(&scale->x, scale->x.ticks[i], label);
        put_label(out, x, f->top + f->height + 20, "middle", "tick", label);
    }
    text_printf(out, "<path class=\"axis\" d=\"M%.1f %.1fV%.1fH%.1f\"/>\n", f->left, f->top,
                f->top + f->height, f->left + f->width);
}

static void put_series(struct text *out, const struct frame *f, const struct chart_scale *scale,
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

static void put_legend(struct text *out, const struct frame *f, const struct chart *chart) {
    double x = f->left + f->width - 150, y = f->top + 14;
    for (size_t i = 0; i < chart->count; i++, y += 18) {
        text_printf(out,
                    "<line class=\"line\" stroke=\"%s\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" "
                    "y2=\"%.1f\"/>\n",
                    colours[i % COLOURS], x, x + 22, y - 4, y - 4);
        put_label(out, x + 28, y, "start", "tick", chart->series[i].name);
    }
}

void chart_svg(const struct chart *chart, int width, int height, struct text *out) {
    const struct frame f = {64, 40, width - 88.0, height - 92.0};
    struct chart_scale scale;
    chart_scale_of(chart, 8, 6, &scale);
    text_printf(out,
                "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
                "viewBox=\"0 0 %d %d\" role=\"img\">\n<style>\n"
                "text{font-family:system-ui,sans-serif;fill:#222}\n"
                ".page{fill:#fff}.title{font-size:16px;font-weight:600}.name{font-size:13px}\n"
                ".tick{font-size:12px}.grid{stroke:#ddd}.axis{stroke:#555;fill:none}\n"
                ".line{fill:none;stroke-width:1.8;stroke-linejoin:round}\n"
                "@media (prefers-color-scheme:dark){.page{fill:#16181c}text{fill:#ddd}"
                ".grid{stroke:#333}.axis{stroke:#aaa}}\n</style>\n"
                "<rect class=\"page\" width=\"%d\" height=\"%d\"/>\n",
                width, height, width, height, width, height);
    put_label(out, f.left, 24, "start", "title", chart->title);
    put_label(out, f.left + f.width / 2, height - 14, "middle", "name", chart->x_label);
    text_printf(out, "<g transform=\"rotate(-90 16 %.1f)\">\n", f.top + f.height / 2);
    put_label(out, 16, f.top + f.height / 2, "middle", "name", chart->y_label);
    text_append_string(out, "</g>\n");
    put_axes(out, &f, &scale);
    for (size_t i = 0; i < chart->count; i++)
        put_series(out, &f, &scale, &chart->series[i], colours[i % COLOURS]);
    put_legend(out, &f, chart);
    text_append_string(out, "</svg>\n");
}
