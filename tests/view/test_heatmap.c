#include "view/heatmap.h"

#include <math.h>

#include "harness.h"

enum { SCALE_CELLS = 32, PAGE = 1 };

static const struct heatmap small = {
    .title = "Load <of> experts",
    .x_label = "tokens",
    .y_label = "layer",
    .rows = 2,
    .columns = 3,
    .values = (const double[]){0, 0.5, 1, NAN, 7, -7},
    .low = 0,
    .high = 1,
    .x_low = 0,
    .x_high = 30000,
};

static void every_number_has_a_cell_of_its_colour(void) {
    struct text out = {0};
    heatmap_svg(&small, 600, 200, &out);
    const char *svg = text_data(&out);
    CHECK(strncmp(svg, "<svg ", 5) == 0);
    CHECK_STR(svg + out.size - 7, "</svg>\n");
    CHECK_EQ(harness_count(svg, "<rect "), 5 + SCALE_CELLS + PAGE);
    CHECK_EQ(harness_count(svg, "<g "), harness_count(svg, "</g>"));
    /* 0 and what lies below, the middle, 1 and what lies above */
    CHECK_EQ(harness_count(svg, "\"#440154\""), 2);
    CHECK_EQ(harness_count(svg, "\"#21918c\""), 1);
    CHECK_EQ(harness_count(svg, "\"#fde725\""), 2);
    CHECK_HAS(svg, "Load &lt;of&gt; experts");
    CHECK_HAS(svg, ">30K</text>");
    CHECK(!strstr(svg, "nan"));
    text_free(&out);
}

static void an_empty_map_is_a_picture_too(void) {
    struct heatmap none = small;
    struct text out = {0};
    none.rows = none.columns = 0;
    none.values = NULL;
    heatmap_svg(&none, 600, 200, &out);
    CHECK_EQ(harness_count(text_data(&out), "<rect "), SCALE_CELLS + PAGE);
    text_free(&out);
}

static const struct heatmap named = {
    .title = "A needle",
    .x_label = "tokens",
    .y_label = "depth",
    .rows = 2,
    .columns = 2,
    .values = (const double[]){0, 0.5, 1, NAN},
    .low = 0,
    .high = 1,
    .row_names = (const char *const[]){"0%", "100%"},
    .column_names = (const char *const[]){"256", "2048"},
};

static void names_stand_in_place_of_numbers(void) {
    struct text out = {0};
    heatmap_svg(&named, 600, 200, &out);
    CHECK_HAS(text_data(&out), ">100%</text>");
    CHECK_HAS(text_data(&out), "text-anchor=\"middle\" class=\"tick\">2048</text>");
    text_free(&out);
}

static void the_terminal_shows_shades_and_percents(void) {
    struct text out = {0};
    heatmap_terminal(&named, false, &out);
    CHECK_STR(text_data(&out), "A needle\n"
                               "depth       256      2048  tokens\n"
                               "   0%        0%  +++  50%\n"
                               " 100%  ### 100%         -\n");
    text_clear(&out);
    heatmap_terminal(&named, true, &out);
    CHECK_HAS(text_data(&out), " 100%  \u2588\u2588\u2588 100%         -\n");
    text_free(&out);
}

static const struct test tests[] = {
    TEST(names_stand_in_place_of_numbers),
    TEST(the_terminal_shows_shades_and_percents),
    TEST(every_number_has_a_cell_of_its_colour),
    TEST(an_empty_map_is_a_picture_too),
};
HARNESS_MAIN(tests)
