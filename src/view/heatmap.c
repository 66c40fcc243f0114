#include "view/heatmap.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "view/chart_scale.h"
#include "view/svg.h"

/* From dark to bright, of even steps in lightness: anchors of the viridis map. */
static const unsigned char anchors[][3] = {
    {68, 1, 84}, {59, 82, 139}, {33, 145, 140}, {94, 201, 98}, {253, 231, 37}};
enum { ANCHORS = sizeof anchors / sizeof anchors[0] };

/* The colour of a share of the scale, 0 to 1. */
static void put_colour(struct text *out, double share) {
    const double at = fmin(fmax(share, 0), 1) * (ANCHORS - 1);
    const int first = at >= ANCHORS - 1 ? ANCHORS - 2 : (int)at;
    text_append_char(out, '#');
    for (int i = 0; i < 3; i++) {
        const double from = anchors[first][i], to = anchors[first + 1][i];
        text_printf(out, "%02x", (int)lround(from + (to - from) * (at - first)));
    }
}

static void put_cell(struct text *out, const struct svg_frame *f, double share) {
    text_printf(out, "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"", f->left,
                f->top, f->width, f->height);
    put_colour(out, share);
    text_append_string(out, "\"/>\n");
}

/* The name of a row, or its number in `number`. */
static const char *row_name(const struct heatmap *map, size_t row, char number[32]) {
    if (map->row_names) return map->row_names[row];
    snprintf(number, 32, "%zu", row);
    return number;
}

static void put_cells(struct text *out, const struct svg_frame *f, const struct heatmap *map) {
    const double width = f->width / (double)map->columns, height = f->height / (double)map->rows;
    for (size_t row = 0; row < map->rows; row++) {
        for (size_t column = 0; column < map->columns; column++) {
            const double value = map->values[row * map->columns + column];
            if (!isfinite(value)) continue;
            const struct svg_frame cell = {f->left + width * (double)column,
                                           f->top + height * (double)row, width, height};
            put_cell(out, &cell, (value - map->low) / (map->high - map->low));
        }
        char number[32];
        svg_label(out, f->left - 8, f->top + height * ((double)row + 0.5) + 4, "end", "tick",
                  row_name(map, row, number));
    }
}

static void put_scale(struct text *out, const struct svg_frame *f, const struct heatmap *map) {
    enum { STEPS = 32 };
    const double x = f->left + f->width + 12, height = f->height / STEPS;
    char label[32];
    for (int i = 0; i < STEPS; i++) {
        const struct svg_frame cell = {x, f->top + height * (STEPS - 1 - i), 12, height};
        put_cell(out, &cell, (i + 0.5) / STEPS);
    }
    snprintf(label, sizeof label, "%.3g", map->high);
    svg_label(out, x + 16, f->top + 10, "start", "tick", label);
    snprintf(label, sizeof label, "%.3g", map->low);
    svg_label(out, x + 16, f->top + f->height, "start", "tick", label);
}

/* The ends of the horizontal axis. */
static void put_ends(struct text *out, const struct svg_frame *f, const struct heatmap *map) {
    const struct chart_axis axis = {.low = map->x_low, .high = map->x_high};
    char label[32];
    chart_label(&axis, map->x_low, label);
    svg_label(out, f->left, f->top + f->height + 20, "start", "tick", label);
    chart_label(&axis, map->x_high, label);
    svg_label(out, f->left + f->width, f->top + f->height + 20, "end", "tick", label);
}

static void put_column_names(struct text *out, const struct svg_frame *f,
                             const struct heatmap *map) {
    const double width = f->width / (double)map->columns;
    for (size_t column = 0; column < map->columns; column++)
        svg_label(out, f->left + width * ((double)column + 0.5), f->top + f->height + 20, "middle",
                  "tick", map->column_names[column]);
}

void heatmap_svg(const struct heatmap *map, int width, int height, struct text *out) {
    struct svg_frame f = svg_begin(out, width, height, map->title, map->x_label, map->y_label);
    f.width -= 50; /* the scale's */
    if (map->rows > 0 && map->columns > 0) {
        text_append_string(out, "<g shape-rendering=\"crispEdges\">\n");
        put_cells(out, &f, map);
        text_append_string(out, "</g>\n");
        if (map->column_names)
            put_column_names(out, &f, map);
        else
            put_ends(out, &f, map);
    }
    put_scale(out, &f, map);
    text_append_string(out, "</svg>\n");
}

/* ---- in the terminal ---- */

enum { CELL_WIDTH = 10, SHADES = 5 };
static const char *const shades[SHADES] = {" ", "\u2591", "\u2592", "\u2593", "\u2588"};
static const char plain_shades[SHADES + 1] = " .+*#";

static void put_terminal_cell(struct text *out, double share, bool is_utf8) {
    if (!isfinite(share)) {
        text_printf(out, "%*s", CELL_WIDTH, "-");
        return;
    }
    const double within = fmin(fmax(share, 0), 1);
    const int shade = (int)ceil(within * (SHADES - 1));
    text_append_string(out, "  ");
    for (int i = 0; i < 3; i++) {
        if (is_utf8)
            text_append_string(out, shades[shade]);
        else
            text_append_char(out, plain_shades[shade]);
    }
    text_printf(out, "%4.0f%%", 100 * within);
}

void heatmap_terminal(const struct heatmap *map, bool is_utf8, struct text *out) {
    char number[32];
    size_t width = strlen(map->y_label);
    for (size_t row = 0; row < map->rows; row++) {
        size_t size = strlen(row_name(map, row, number));
        if (size > width) width = size;
    }
    text_printf(out, "%s\n%-*s", map->title, (int)width, map->y_label);
    for (size_t column = 0; column < map->columns; column++)
        text_printf(out, "%*s", CELL_WIDTH, map->column_names[column]);
    text_printf(out, "  %s\n", map->x_label);
    for (size_t row = 0; row < map->rows; row++) {
        text_printf(out, "%*s", (int)width, row_name(map, row, number));
        for (size_t column = 0; column < map->columns; column++) {
            const double value = map->values[row * map->columns + column];
            put_terminal_cell(out, (value - map->low) / (map->high - map->low), is_utf8);
        }
        text_append_char(out, '\n');
    }
}
