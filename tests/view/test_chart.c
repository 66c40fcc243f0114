#include <ctype.h>
#include <float.h>
#include <stdio.h>
#include <stdlib.h>

#include "harness.h"

#include "view/chart.h"
#include "view/chart_scale.h"

enum { POINTS = 40 };
static double xs[POINTS], ys[POINTS];

static struct chart_series falling(void) {
    for (int i = 0; i < POINTS; i++) {
        xs[i] = 100 * i;
        ys[i] = 1 + 8.0 / (1 + i);
    }
    return (struct chart_series){.name = "training", .x = xs, .y = ys, .count = POINTS};
}

static const char *svg_of(const struct chart *chart) {
    static struct text out;
    text_clear(&out);
    chart_svg(chart, 900, 480, &out);
    return text_data(&out);
}

static const char *terminal_of(const struct chart *chart, int columns, int rows, bool is_utf8) {
    static struct text out;
    text_clear(&out);
    chart_terminal(chart, columns, rows, is_utf8, &out);
    return text_data(&out);
}

/* Every number of the picture is finite and every tag is closed. */
static void check_svg(const char *svg) {
    CHECK(strncmp(svg, "<svg ", 5) == 0);
    CHECK_STR(svg + strlen(svg) - 7, "</svg>\n");
    CHECK(!strstr(svg, "nan") && !strstr(svg, "inf"));
    CHECK_EQ(harness_count(svg, "<text"), harness_count(svg, "</text>"));
    CHECK_EQ(harness_count(svg, "<g "), harness_count(svg, "</g>"));
}

static void an_svg_has_title_axes_legend_and_a_line(void) {
    const struct chart_series series[] = {falling()};
    const struct chart chart = {"Loss", "tokens", "nats", series, 1, false, false};
    const char *svg = svg_of(&chart);
    check_svg(svg);
    CHECK_HAS(svg, ">Loss</text>");
    CHECK_HAS(svg, ">tokens</text>");
    CHECK_HAS(svg, ">nats</text>");
    CHECK_HAS(svg, ">training</text>");
    CHECK_HAS(svg, ">1000</text>");
    CHECK_HAS(svg, "prefers-color-scheme:dark");
    const char *line = strstr(svg, "<path class=\"line\"");
    CHECK(line != NULL);
    CHECK(harness_count(line, "L") >= POINTS - 1);
}

static void names_are_escaped(void) {
    struct chart_series series = falling();
    series.name = "a<b & \"c\"";
    const struct chart chart = {"<script>", NULL, NULL, &series, 1, false, false};
    const char *svg = svg_of(&chart);
    CHECK_HAS(svg, "&lt;script&gt;");
    CHECK_HAS(svg, "a&lt;b &amp; &quot;c&quot;");
    CHECK(!strstr(svg, "<script>"));
}

static void values_that_are_not_finite_are_gaps(void) {
    struct chart_series series = falling();
    ys[10] = NAN;
    ys[20] = INFINITY;
    xs[30] = NAN;
    ys[39] = -INFINITY;
    const struct chart chart = {"t", "x", "y", &series, 1, false, false};
    const char *svg = svg_of(&chart), *line = strstr(svg, "<path class=\"line\"");
    check_svg(svg);
    char path[8192];
    snprintf(path, sizeof path, "%.*s", (int)(strstr(line, "/>") - line), line);
    CHECK_EQ(harness_count(path, "M"), 4);
    CHECK(strlen(terminal_of(&chart, 60, 10, true)) > 100);
}

/* Values that a scale could stumble over; each pair as a chart in every form. */
static void extreme_values_do_no_harm(void) {
    static const double values[] = {0,        1,      -1,        1e-300, DBL_MIN,  DBL_MAX,
                                    -DBL_MAX, 1e300,  -1e299,    1e15,   1e15 + 1, NAN,
                                    INFINITY, 5e-324, 1 + 1e-15, 123.456};
    enum { N = sizeof values / sizeof values[0] };
    for (int i = 0; i < N * N * 4; i++) {
        double x[2] = {values[i % N], values[i / N % N]}, y[2] = {values[i / N % N], values[i % N]};
        const struct chart_series series = {"s", x, y, 2, true};
        const struct chart chart = {
            "t", "x", "y", &series, 1, (i / N / N & 1) != 0, (i / N / N & 2) != 0};
        harness_context("%g and %g, form %d", x[0], x[1], i / N / N);
        check_svg(svg_of(&chart));
        terminal_of(&chart, 40, 8, true);
        terminal_of(&chart, 40, 8, false);
    }
}

static void empty_charts_and_tiny_sizes_are_drawn(void) {
    const struct chart_series nothing = {"s", NULL, NULL, 0, false};
    const struct chart chart = {NULL, NULL, NULL, &nothing, 1, false, true};
    const struct chart none = {"t", "x", "y", NULL, 0, false, false};
    check_svg(svg_of(&chart));
    check_svg(svg_of(&none));
    terminal_of(&none, 1, 1, true);
    const struct chart_series series[] = {falling()};
    const struct chart line = {"t", "x", "y", series, 1, false, false};
    terminal_of(&line, 0, 0, false);
    terminal_of(&line, 100000, 100000, true);
    struct text out = {0};
    chart_svg(&line, 1, 1, &out);
    check_svg(text_data(&out));
    text_free(&out);
}

/* The ticks of an axis over [low, high], as labels. */
static const char *ticks_of(double low, double high, bool is_log) {
    static struct text labels;
    double x[2] = {0, 1}, y[2] = {low, high};
    const struct chart_series series = {"s", y, x, 2, false};
    const struct chart chart = {"t", "x", "y", &series, 1, is_log, false};
    struct chart_scale scale;
    text_clear(&labels);
    chart_scale_of(&chart, 6, 6, &scale);
    for (int i = 0; i < scale.x.tick_count; i++) {
        char label[32];
        chart_label(&scale.x, scale.x.ticks[i], label);
        text_printf(&labels, "%s%s", i ? " " : "", label);
    }
    return text_data(&labels);
}

static void ticks_are_round(void) {
    CHECK_STR(ticks_of(0, 10, false), "0 2 4 6 8 10");
    CHECK_STR(ticks_of(0.13, 0.97, false), "0.2 0.4 0.6 0.8");
    CHECK_STR(ticks_of(0, 3.2e6, false), "0 1M 2M 3M");
    CHECK_STR(ticks_of(-1, 1, false), "-1 -0.5 0 0.5 1");
    CHECK_STR(ticks_of(1, 100, true), "1 2 5 10 20 50 100");
    CHECK_STR(ticks_of(1.4, 8.2, true), "2 4 6 8");
    CHECK_STR(ticks_of(1e-6, 1, true), "1e-06 1e-05 0.0001 0.001 0.01 0.1 1");
}

static void a_log_axis_leaves_out_what_it_cannot_show(void) {
    struct chart_series series = falling();
    ys[5] = 0;
    ys[6] = -3;
    const struct chart chart = {"t", "x", "y", &series, 1, false, true};
    const char *svg = svg_of(&chart), *line = strstr(svg, "<path class=\"line\"");
    char path[8192];
    check_svg(svg);
    snprintf(path, sizeof path, "%.*s", (int)(strstr(line, "/>") - line), line);
    CHECK_EQ(harness_count(path, "M"), 2);
}

static size_t characters_of(const char *line, size_t size) {
    size_t count = 0;
    for (size_t i = 0; i < size; i++) count += ((unsigned char)line[i] & 0xc0) != 0x80;
    return count;
}

static void lines_in_the_terminal_keep_to_the_width(void) {
    const struct chart_series series[] = {falling()};
    const struct chart chart = {"Loss", "tokens", "nats", series, 1, false, false};
    for (int form = 0; form < 2; form++) {
        const char *text = terminal_of(&chart, 60, 10, form == 0);
        int lines = 0;
        for (const char *p = text; *p; p = strchr(p, '\n') + 1, lines++)
            CHECK(characters_of(p, (size_t)(strchr(p, '\n') - p)) <= 60);
        CHECK_EQ(lines, 10 + 3); /* the title, the plot, the ticks, the legend */
    }
}

static void plain_charts_are_ascii_and_name_their_marks(void) {
    const struct chart_series series[] = {falling(), falling()};
    const struct chart chart = {"Loss", "tokens", "nats", series, 2, false, false};
    const char *text = terminal_of(&chart, 60, 10, false);
    for (const char *p = text; *p; p++) CHECK(*p == '\n' || (*p >= ' ' && *p < 127));
    CHECK_HAS(text, "* training, o training");
}

/* A line that falls from the top left to the bottom right does so in the picture. */
static void the_plot_has_its_points_in_place(void) {
    double x[2] = {0, 1}, y[2] = {1, 0};
    const struct chart_series series = {"s", x, y, 2, false};
    const struct chart chart = {"t", "x", "y", &series, 1, false, false};
    const char *text = strchr(terminal_of(&chart, 40, 8, false), '\n') + 1;
    int previous = -1;
    for (int row = 0; row < 8; row++, text = strchr(text, '\n') + 1) {
        const char *mark = strchr(strchr(text, '|') + 1, '*');
        CHECK(mark && mark < strchr(text, '\n'));
        CHECK(mark - text > previous);
        previous = (int)(mark - text);
    }
}

static void sparse_points_have_marks_of_their_own(void) {
    struct chart_series series[] = {falling(), falling()};
    series[1].name = "held-out";
    series[1].has_points = true;
    series[1].count = 3;
    const struct chart chart = {"Loss", "tokens", "nats", series, 2, false, false};
    const char *text = terminal_of(&chart, 60, 10, true);
    CHECK_HAS(text, "\u25c6 held-out");
    CHECK(harness_count(text, "\u25c6") >= 3);
    CHECK_EQ(harness_count(svg_of(&chart), "<circle"), 3);
}

static const struct test tests[] = {
    TEST(an_svg_has_title_axes_legend_and_a_line),
    TEST(names_are_escaped),
    TEST(values_that_are_not_finite_are_gaps),
    TEST(extreme_values_do_no_harm),
    TEST(empty_charts_and_tiny_sizes_are_drawn),
    TEST(ticks_are_round),
    TEST(a_log_axis_leaves_out_what_it_cannot_show),
    TEST(lines_in_the_terminal_keep_to_the_width),
    TEST(plain_charts_are_ascii_and_name_their_marks),
    TEST(the_plot_has_its_points_in_place),
    TEST(sparse_points_have_marks_of_their_own),
};
HARNESS_MAIN(tests)
