#include "train/curve.h"

#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "view/chart.h"

enum { MAX_METRICS_BYTES = 1 << 30, SVG_WIDTH = 900, SVG_HEIGHT = 480 };

struct curve {
    double *tokens, *loss;                 /* [count] */
    double *heldout_tokens, *heldout_loss; /* [heldout_count] */
    size_t count, heldout_count, capacity;
};

static void curve_free(struct curve *c) {
    mem_free(c->tokens);
    mem_free(c->loss);
    mem_free(c->heldout_tokens);
    mem_free(c->heldout_loss);
}

static void curve_add(struct curve *c, const json_node *line) {
    double tokens = json_real(json_member(line, "tokens"));
    const json_node *heldout = json_member(line, "heldout_loss");
    if (json_is_number(json_member(line, "loss"))) {
        c->tokens[c->count] = tokens;
        c->loss[c->count++] = json_real(json_member(line, "loss"));
    }
    if (json_is_number(heldout)) {
        c->heldout_tokens[c->heldout_count] = tokens;
        c->heldout_loss[c->heldout_count++] = json_real(heldout);
    }
}

static fathom_status curve_read(struct curve *c, const char *text, size_t size, struct error *err) {
    size_t lines = 0;
    for (size_t i = 0; i < size; i++) lines += text[i] == '\n';
    TRY(MEM_NEW(&c->tokens, lines, "a curve", err));
    TRY(MEM_NEW(&c->loss, lines, "a curve", err));
    TRY(MEM_NEW(&c->heldout_tokens, lines, "a curve", err));
    TRY(MEM_NEW(&c->heldout_loss, lines, "a curve", err));
    for (size_t at = 0; at < size;) {
        const char *end = memchr(text + at, '\n', size - at);
        json_node *line = NULL;
        if (!end) break;
        TRY(json_parse(&line, text + at, (size_t)(end - text) - at, "metrics.jsonl", err));
        curve_add(c, line);
        json_free(line);
        at = (size_t)(end - text) + 1;
    }
    return FATHOM_OK;
}

static fathom_status write_svg(const char *directory, const struct chart *chart,
                               struct error *err) {
    struct text svg = {0};
    char *path = NULL;
    struct file_writer *file = NULL;
    chart_svg(chart, SVG_WIDTH, SVG_HEIGHT, &svg);
    fathom_status status = text_check(&svg, err);
    if (status == FATHOM_OK) status = path_join(&path, directory, "loss.svg", err);
    if (status == FATHOM_OK) status = file_writer_open(&file, path, err);
    if (status == FATHOM_OK) {
        file_writer_put(file, text_data(&svg), svg.size);
        status = file_writer_commit(file, err);
    }
    text_free(&svg);
    mem_free(path);
    return status;
}

fathom_status curve_draw(const char *directory, struct text *terminal, struct error *err) {
    struct curve c = {0};
    char *path = NULL, *text = NULL;
    size_t size = 0;
    TRY(path_join(&path, directory, "metrics.jsonl", err));
    fathom_status status = file_read(path, MAX_METRICS_BYTES, &text, &size, err);
    if (status == FATHOM_OK) status = curve_read(&c, text, size, err);
    const struct chart_series series[] = {
        {.name = "training", .x = c.tokens, .y = c.loss, .count = c.count},
        {.name = "held-out",
         .x = c.heldout_tokens,
         .y = c.heldout_loss,
         .count = c.heldout_count,
         .has_points = true},
    };
    const struct chart chart = {.title = "Loss, nats per token",
                                .x_label = "tokens",
                                .y_label = "nats per token",
                                .series = series,
                                .count = c.heldout_count > 0 ? 2 : 1};
    if (status == FATHOM_OK) status = write_svg(directory, &chart, err);
    if (status == FATHOM_OK && terminal) chart_terminal(&chart, 78, 16, true, terminal);
    curve_free(&c);
    mem_free(text);
    mem_free(path);
    return status;
}
