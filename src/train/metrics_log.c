#include "train/metrics_log.h"

#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/text.h"

enum { MAX_BYTES = 1 << 30, MAX_LAYERS = 4096 };

static double number_of(const json_node *line, const char *key) {
    const json_node *node = json_member(line, key);
    return json_is_number(node) ? json_real(node) : NAN;
}

static double mean_of(const json_node *values, bool is_sum) {
    const size_t count = json_count(values);
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += json_real(json_element(values, i));
    return count == 0 ? NAN : is_sum ? sum : sum / (double)count;
}

static void read_row(struct metrics_row *row, const json_node *line) {
    *row = (struct metrics_row){
        .step = number_of(line, "step"),
        .tokens = number_of(line, "tokens"),
        .loss = number_of(line, "loss"),
        .mtp_loss = number_of(line, "mtp_loss"),
        .heldout = number_of(line, "heldout_loss"),
        .learning_rate = number_of(line, "learning_rate"),
        .grad_norm = number_of(line, "grad_norm"),
        .tokens_per_second = number_of(line, "tokens_per_second"),
        .gflops = number_of(line, "gflops"),
        .peak_share = number_of(line, "peak_share"),
        .violation = mean_of(json_member(line, "max_violation"), false),
        .dead = mean_of(json_member(line, "dead_experts"), true),
        .is_skipped = json_member(line, "skipped") != NULL,
        .is_spike = json_bool(json_member(line, "spike")),
    };
}

/* The violations of line number log->count. */
static fathom_status read_layers(struct metrics_log *log, const json_node *line, size_t lines,
                                 struct error *err) {
    const json_node *values = json_member(line, "max_violation");
    const size_t count = json_count(values);
    if (log->layers == 0 && count > 0 && count <= MAX_LAYERS) {
        log->layers = count;
        TRY(MEM_NEW(&log->violations, lines * count, "metrics", err));
        for (size_t i = 0; i < lines * count; i++) log->violations[i] = NAN;
    }
    float *to = log->violations ? log->violations + log->count * log->layers : NULL;
    for (size_t i = 0; i < count && i < log->layers; i++)
        to[i] = (float)json_real(json_element(values, i));
    return FATHOM_OK;
}

static fathom_status read_sample(struct metrics_row *row, const json_node *line,
                                 struct error *err) {
    const json_node *sample = json_member(line, "sample");
    return json_is_string(sample) ? string_copy(&row->sample, json_string(sample, NULL), err)
                                  : FATHOM_OK;
}

static fathom_status read_lines(struct metrics_log *log, const char *path, const char *text,
                                size_t size, struct error *err) {
    size_t lines = 0;
    for (size_t i = 0; i < size; i++) lines += text[i] == '\n';
    TRY(MEM_NEW(&log->rows, lines, "metrics", err));
    for (size_t at = 0; log->count < lines;) {
        const char *end = memchr(text + at, '\n', size - at);
        json_node *line = NULL;
        fathom_status status = json_parse(&line, text + at, (size_t)(end - text) - at, path, err);
        if (status == FATHOM_OK) status = read_layers(log, line, lines, err);
        if (status == FATHOM_OK) read_row(&log->rows[log->count], line);
        if (status == FATHOM_OK) status = read_sample(&log->rows[log->count], line, err);
        log->count += status == FATHOM_OK;
        json_free(line);
        if (status != FATHOM_OK) return error_prefix(err, "line %zu", log->count + 1);
        at = (size_t)(end - text) + 1;
    }
    return FATHOM_OK;
}

fathom_status metrics_log_read(struct metrics_log *log, const char *directory, struct error *err) {
    char *path = NULL, *text = NULL;
    size_t size = 0;
    *log = (struct metrics_log){0};
    TRY(path_join(&path, directory, "metrics.jsonl", err));
    fathom_status status = file_read(path, MAX_BYTES, &text, &size, err);
    if (status == FATHOM_OK) status = read_lines(log, path, text, size, err);
    if (status != FATHOM_OK) metrics_log_free(log);
    mem_free(text);
    mem_free(path);
    return status;
}

void metrics_log_free(struct metrics_log *log) {
    for (size_t i = 0; i < log->count; i++) mem_free(log->rows[i].sample);
    mem_free(log->rows);
    mem_free(log->violations);
    *log = (struct metrics_log){0};
}

size_t metrics_log_points(const struct metrics_log *log, size_t offset, double *tokens,
                          double *values) {
    size_t count = 0;
    for (size_t i = 0; i < log->count; i++) {
        double value;
        memcpy(&value, (const char *)&log->rows[i] + offset, sizeof value);
        if (isnan(value) || isnan(log->rows[i].tokens)) continue;
        tokens[count] = log->rows[i].tokens;
        values[count++] = value;
    }
    return count;
}
