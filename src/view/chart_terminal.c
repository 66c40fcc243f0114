#include <math.h>
#include <stdio.h>
#include <string.h>

#include "view/chart_scale.h"

/* A canvas of cells, each 2 x 4 dots of braille or one plain character. */
enum { MAX_COLUMNS = 240, MAX_ROWS = 100, LABEL_WIDTH = 8 };

struct canvas {
    int columns, rows;
    bool is_utf8;
    unsigned char dots[MAX_ROWS][MAX_COLUMNS];  /* braille bits, or the plain mark of a series */
    unsigned char marks[MAX_ROWS][MAX_COLUMNS]; /* 1 + index of a point mark; 0: none */
};

static const char plain_marks[] = "*o+x#@%";
static const char *const point_marks[] = {"\u25cf", "\u25c6", "\u25b2", "\u25a0"};
enum { POINT_MARKS = sizeof point_marks / sizeof point_marks[0] };

static void set_dot(struct canvas *c, double across, double up, size_t series) {
    int wide = c->is_utf8 ? 2 * c->columns : c->columns;
    int high = c->is_utf8 ? 4 * c->rows : c->rows;
    int x = (int)lround(across * (wide - 1)), y = (int)lround((1 - up) * (high - 1));
    if (x < 0 || x >= wide || y < 0 || y >= high) return;
    if (!c->is_utf8) {
        c->dots[y][x] = (unsigned char)plain_marks[series % (sizeof plain_marks - 1)];
        return;
    }
    /* braille numbers its dots down the left column, then the right, the last row apart */
    static const unsigned char bits[4][2] = {{1, 8}, {2, 16}, {4, 32}, {64, 128}};
    c->dots[y / 4][x / 2] |= bits[y % 4][x % 2];
}

static void draw_line(struct canvas *c, double x0, double y0, double x1, double y1, size_t series) {
    double wide = fabs(x1 - x0) * 2 * c->columns, high = fabs(y1 - y0) * 4 * c->rows;
    int steps = (int)fmin(fmax(wide, high), 4096) + 1;
    for (int i = 0; i <= steps; i++) {
        double t = (double)i / steps;
        set_dot(c, x0 + t * (x1 - x0), y0 + t * (y1 - y0), series);
    }
}

/* Marks are told apart by their order among the series. */
static void draw_points(struct canvas *c, const struct chart_scale *scale,
                        const struct chart_series *s, size_t index) {
    for (size_t i = 0; i < s->count; i++) {
        double across, up;
        if (!chart_place(scale, s->x[i], s->y[i], &across, &up)) continue;
        int x = (int)lround(across * (c->columns - 1)), y = (int)lround((1 - up) * (c->rows - 1));
        c->marks[y][x] = (unsigned char)(1 + index % POINT_MARKS);
    }
}

static void draw_series(struct canvas *c, const struct chart_scale *scale,
                        const struct chart_series *s, size_t index) {
    double old_across = 0, old_up = 0;
    bool has_old = false;
    for (size_t i = 0; i < s->count; i++) {
        double across, up;
        bool is_placed = chart_place(scale, s->x[i], s->y[i], &across, &up);
        if (is_placed)
            draw_line(c, has_old ? old_across : across, has_old ? old_up : up, across, up, index);
        has_old = is_placed;
        if (is_placed) old_across = across, old_up = up;
    }
}

static void put_row(struct text *out, const struct canvas *c, int row) {
    for (int col = 0; col < c->columns; col++) {
        unsigned char cell = c->dots[row][col], mark = c->marks[row][col], utf8[4];
        if (!c->is_utf8) {
            text_append_char(out, cell ? (char)cell : ' ');
            continue;
        }
        if (mark) {
            text_append_string(out, point_marks[mark - 1]);
            continue;
        }
        int length = utf8_encode(cell ? 0x2800u + cell : ' ', utf8);
        text_append(out, utf8, (size_t)length);
    }
}

/* The label of a y tick that falls on this row, or blanks. */
static void put_row_label(struct text *out, const struct chart_axis *axis, int row, int rows) {
    char label[32] = "";
    for (int i = 0; i < axis->tick_count; i++) {
        double up = (axis->ticks[i] - axis->low) / (axis->high - axis->low);
        if ((int)lround((1 - up) * (rows - 1)) == row) chart_label(axis, axis->ticks[i], label);
    }
    text_printf(out, "%*s ", LABEL_WIDTH, label);
}

static void put_x_labels(struct text *out, const struct chart_axis *axis, int columns) {
    char line[MAX_COLUMNS + 64];
    memset(line, ' ', sizeof line);
    int used = 0;
    for (int i = 0; i < axis->tick_count; i++) {
        char label[32];
        chart_label(axis, axis->ticks[i], label);
        double across = (axis->ticks[i] - axis->low) / (axis->high - axis->low);
        int length = (int)strlen(label), at = (int)lround(across * (columns - 1)) - length / 2;
        if (at < used) at = used;
        if (at + length > columns + 8) break;
        memcpy(line + at, label, (size_t)length);
        used = at + length + 1;
    }
    text_printf(out, "%*s %.*s\n", LABEL_WIDTH, "", used, line);
}

static void put_legend(struct text *out, const struct chart *chart, bool is_utf8) {
    text_printf(out, "%*s %s", LABEL_WIDTH, "", chart->x_label ? chart->x_label : "");
    for (size_t i = 0; i < chart->count && chart->count > 1; i++) {
        const struct chart_series *s = &chart->series[i];
        const char plain[2] = {plain_marks[i % (sizeof plain_marks - 1)], 0};
        const char *mark = !is_utf8        ? plain
                           : s->has_points ? point_marks[i % POINT_MARKS]
                                           : "\u2812";
        text_printf(out, "%s%s %s", i ? ", " : ": ", mark, s->name ? s->name : "");
    }
    text_append_char(out, '\n');
}

void chart_terminal(const struct chart *chart, int columns, int rows, bool is_utf8,
                    struct text *out) {
    struct canvas c = {.columns = columns - LABEL_WIDTH - 2, .rows = rows, .is_utf8 = is_utf8};
    struct chart_scale scale;
    if (c.columns < 8) c.columns = 8;
    if (c.columns > MAX_COLUMNS) c.columns = MAX_COLUMNS;
    if (c.rows < 3) c.rows = 3;
    if (c.rows > MAX_ROWS) c.rows = MAX_ROWS;
    chart_scale_of(chart, c.columns / 12 + 1, c.rows / 3 + 1, &scale);
    for (size_t i = 0; i < chart->count; i++) {
        if (is_utf8 && chart->series[i].has_points)
            draw_points(&c, &scale, &chart->series[i], i);
        else
            draw_series(&c, &scale, &chart->series[i], i);
    }
    text_printf(out, "%*s %s\n", LABEL_WIDTH, "", chart->title ? chart->title : "");
    for (int row = 0; row < c.rows; row++) {
        put_row_label(out, &scale.y, row, c.rows);
        text_append_string(out, is_utf8 ? "\xe2\x94\x82" : "|");
        put_row(out, &c, row);
        text_append_char(out, '\n');
    }
    put_x_labels(out, &scale.x, c.columns);
    put_legend(out, chart, is_utf8);
}
