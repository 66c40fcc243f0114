/* metrics.jsonl read back, the page about runs, and what watching one shows. */
#include <math.h>
#include <stddef.h>
#include <stdio.h>

#include "base/file.h"
#include "files.h"
#include "harness.h"
#include "train/metrics_log.h"
#include "train/report.h"
#include "train/watch.h"

static struct error err;

static const char lines[] =
    "{\"step\": 1, \"tokens\": 100, \"loss\": 5.5, \"mtp_loss\": 6, \"learning_rate\": 0.001, "
    "\"grad_norm\": 2, \"tokens_per_second\": 50, \"max_violation\": [0.5, 1.5], "
    "\"dead_experts\": [0, 3]}\n"
    "{\"step\": 2, \"tokens\": 200, \"skipped\": \"step 2: not finite\"}\n"
    "{\"step\": 3, \"tokens\": 300, \"loss\": 4.5, \"heldout_loss\": 4.75, \"grad_norm\": 1, "
    "\"tokens_per_second\": 100, \"sample\": \"A <cat>\\nsat\", \"spike\": true, "
    "\"max_violation\": [0.25, 0.75], "
    "\"dead_experts\": [0, 0]}\n";

static const char *make_run(const char *name, const char *text, size_t size) {
    char path[256];
    CHECK_OK(path_make_directory(test_path(name), &err), &err);
    snprintf(path, sizeof path, "%s/metrics.jsonl", name);
    FILE *file = fopen(test_path(path), "wb");
    CHECK(file != NULL);
    CHECK_EQ(fwrite(text, 1, size, file), size);
    CHECK_EQ(fclose(file), 0);
    return test_path(name);
}

static void lines_are_read_back(void) {
    struct metrics_log log;
    double tokens[3], values[3];
    CHECK_OK(metrics_log_read(&log, make_run("run", lines, strlen(lines)), &err), &err);
    CHECK_EQ(log.count, 3);
    CHECK_EQ(log.layers, 2);
    CHECK_NEAR(log.rows[0].loss, 5.5, 0);
    CHECK_NEAR(log.rows[0].violation, 1, 0);
    CHECK_NEAR(log.rows[0].dead, 3, 0);
    CHECK(log.rows[1].is_skipped && isnan(log.rows[1].loss) && isnan(log.violations[2]));
    CHECK(log.rows[2].is_spike && !log.rows[0].is_spike);
    CHECK_NEAR(log.violations[5], 0.75, 0);
    CHECK_STR(log.rows[2].sample, "A <cat>\nsat");
    CHECK(log.rows[0].sample == NULL);
    CHECK_EQ(metrics_log_points(&log, offsetof(struct metrics_row, loss), tokens, values), 2);
    CHECK(tokens[1] == 300 && values[1] == 4.5);
    CHECK_EQ(metrics_log_points(&log, offsetof(struct metrics_row, heldout), tokens, values), 1);
    metrics_log_free(&log);
}

static void a_line_that_is_being_written_is_left_out(void) {
    for (size_t size = 0; size < strlen(lines); size++) {
        struct metrics_log log;
        size_t whole = 0;
        for (size_t i = 0; i < size; i++) whole += lines[i] == '\n';
        harness_context("%zu bytes", size);
        CHECK_OK(metrics_log_read(&log, make_run("run", lines, size), &err), &err);
        CHECK_EQ(log.count, whole);
        metrics_log_free(&log);
    }
}

static void a_line_that_is_no_object_is_named(void) {
    struct metrics_log log;
    const char *run = make_run("run", "{\"step\": 1}\n{\"step\": \n", 22);
    CHECK_STATUS(metrics_log_read(&log, run, &err), FATHOM_BAD_INPUT);
    CHECK_HAS(err.text, "line 2");
    CHECK_STATUS(metrics_log_read(&log, test_path("none"), &err), FATHOM_IO);
    CHECK_HAS(err.text, "metrics.jsonl");
}

static void a_page_has_all_runs(void) {
    struct text page = {0};
    const char *runs[] = {make_run("one", lines, strlen(lines)),
                          make_run("a<b", lines, (size_t)(strchr(lines, '\n') - lines) + 1)};
    CHECK_OK(report_html(runs, 2, &page, &err), &err);
    const char *html = text_data(&page);
    CHECK(strncmp(html, "<!doctype html>", 15) == 0);
    CHECK_EQ(harness_count(html, "step 3, 300 tokens</th><td class=\"sample\">A &lt;cat&gt;\nsat<"),
             1);
    CHECK_EQ(harness_count(html, "<h3>Samples"), 1);
    CHECK_HAS(html, "a&lt;b</th><td>1</td><td>100</td><td>5.5000</td><td></td>");
    CHECK_HAS(html, "one</th><td>3</td><td>300</td><td>4.5000</td><td>4.7500</td>");
    CHECK_HAS(html, "<td>1</td><td>1</td></tr>"); /* skipped, spikes */
    CHECK(!strstr(html, "a<b") && !strstr(html, "nan"));
    /* The learning rate is known at one step only; every chart has both runs in its legend. */
    CHECK_EQ(harness_count(html, "<svg "), 8 + 2);
    CHECK_EQ(harness_count(html, "<svg "), harness_count(html, "</svg>"));
    CHECK(!strstr(html, "http://") ||
          harness_count(html, "http://") == harness_count(html, "xmlns=\"http://"));
    text_free(&page);
}

static void a_run_that_just_began_has_a_page(void) {
    struct text page = {0};
    const char *run = make_run("empty", "", 0);
    CHECK_OK(report_html(&run, 1, &page, &err), &err);
    CHECK_EQ(harness_count(text_data(&page), "<svg "), 0);
    text_free(&page);
}

static const struct watch_screen screen = {.columns = 80, .rows = 30, .is_utf8 = false};

static void watching_shows_where_a_run_is(void) {
    struct text out = {0};
    bool is_over = true;
    const char *run = make_run("run", lines, strlen(lines));
    CHECK_OK(watch_draw(&run, 1, &screen, &out, &is_over, &err), &err);
    const char *shown = text_data(&out);
    CHECK_HAS(shown, "run: step 3  300 tokens  100 tok/s");
    CHECK_HAS(shown, "loss 4.5  held-out 4.75  mtp 6  lr 0.001  norm 1  skipped 1  spikes 1\n");
    CHECK_HAS(shown, "Loss, nats per token");
    CHECK_HAS(shown, "MoE layer  0 ####                           0.25\n");
    CHECK_HAS(shown, "MoE layer  1 ############                   0.75\n");
    CHECK(!is_over); /* nothing says how long it is */
    text_free(&out);
}

static void several_runs_are_watched_at_once(void) {
    struct text out = {0};
    bool is_over = true;
    const char *runs[] = {make_run("one", lines, strlen(lines)), make_run("two", "", 0)};
    CHECK_OK(watch_draw(runs, 2, &screen, &out, &is_over, &err), &err);
    CHECK_HAS(text_data(&out), "one: step 3");
    CHECK_HAS(text_data(&out), "two: waiting for the first step\n");
    CHECK(!is_over);
    text_free(&out);
    const char *none = test_path("none");
    CHECK_STATUS(watch_draw(&none, 1, &screen, &out, &is_over, &err), FATHOM_IO);
    text_free(&out);
}

static const struct test tests[] = {
    TEST(lines_are_read_back),
    TEST(a_line_that_is_being_written_is_left_out),
    TEST(a_line_that_is_no_object_is_named),
    TEST(a_page_has_all_runs),
    TEST(a_run_that_just_began_has_a_page),
    TEST(watching_shows_where_a_run_is),
    TEST(several_runs_are_watched_at_once),
};
HARNESS_MAIN(tests)
