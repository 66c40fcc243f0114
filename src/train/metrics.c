#include "train/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "train/tensorboard.h"

enum { MAX_METRICS_BYTES = 1 << 30 };

/* A file that is appended to in whole records: what a full disk cuts off is taken back, and stays
 * pending until it can be written. */
struct appender {
    int fd;     /* -1: not open */
    off_t size; /* of whole records */
    struct text pending;
    int failure; /* errno of the last try; 0: all is written */
};

struct metrics {
    struct appender lines, events;
    struct text buffer;
};

/* ---- appending ---- */

static fathom_status appender_open(struct appender *a, const char *path, struct error *err) {
    a->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (a->fd >= 0) a->size = lseek(a->fd, 0, SEEK_END);
    if (a->fd < 0 || a->size < 0) return error_set_errno(err, errno, "%s: cannot be opened", path);
    return FATHOM_OK;
}

static void appender_flush(struct appender *a) {
    size_t done = 0;
    a->failure = 0;
    while (done < a->pending.size && a->failure == 0) {
        ssize_t n = write(a->fd, a->pending.data + done, a->pending.size - done);
        if (n > 0) done += (size_t)n;
        if (n == 0) a->failure = ENOSPC;
        if (n < 0 && errno != EINTR) a->failure = errno;
    }
    if (a->failure == 0) {
        a->size += (off_t)done;
        text_clear(&a->pending);
    } else if (done > 0 && ftruncate(a->fd, a->size) != 0) {
        /* The records stay torn: write what is missing of them. */
        a->size += (off_t)done;
        memmove(a->pending.data, a->pending.data + done, a->pending.size - done);
        a->pending.size -= done;
    }
}

static fathom_status appender_put(struct appender *a, const struct text *record,
                                  struct error *err) {
    TRY(text_check(record, err));
    text_append(&a->pending, text_data(record), record->size);
    TRY(text_check(&a->pending, err));
    appender_flush(a);
    return FATHOM_OK;
}

static fathom_status appender_sync(struct appender *a, const char *what, struct error *err) {
    appender_flush(a);
    if (a->failure == 0 && fsync(a->fd) != 0) a->failure = errno;
    if (a->failure != 0) return error_set_errno(err, a->failure, "%s cannot be written", what);
    return FATHOM_OK;
}

static void appender_close(struct appender *a) {
    if (a->fd >= 0) close(a->fd);
    text_free(&a->pending);
}

/* ---- opening ---- */

/* The step of a metrics line, or INT64_MAX when it is not a whole one (a torn last line). */
static int64_t step_of_line(const char *line, size_t size) {
    json_node *root = NULL;
    int64_t step = INT64_MAX;
    if (json_parse(&root, line, size, "metrics.jsonl", NULL) == FATHOM_OK)
        json_get_i64(root, "step", &step, "metrics.jsonl", NULL);
    json_free(root);
    return step;
}

/* Bytes of `text` up to the first line beyond last_step. */
static size_t kept_bytes(const char *text, size_t size, int64_t last_step) {
    size_t kept = 0;
    while (kept < size) {
        const char *end = memchr(text + kept, '\n', size - kept);
        if (!end) break;
        size_t length = (size_t)(end - text) - kept;
        if (step_of_line(text + kept, length) > last_step) break;
        kept += length + 1;
    }
    return kept;
}

static fathom_status cut_lines(const char *path, int64_t last_step, struct error *err) {
    char *text = NULL;
    size_t size = 0;
    if (!path_exists(path)) return FATHOM_OK;
    TRY(file_read(path, MAX_METRICS_BYTES, &text, &size, err));
    size_t kept = kept_bytes(text, size, last_step);
    mem_free(text);
    if (kept < size && truncate(path, (off_t)kept) != 0)
        return error_set_errno(err, errno, "%s: cannot be cut to step %lld", path,
                               (long long)last_step);
    return FATHOM_OK;
}

static fathom_status metrics_fill(struct metrics *m, const char *directory, int64_t last_step,
                                  struct error *err) {
    char name[128];
    char *path = NULL;
    TRY(path_join(&path, directory, "metrics.jsonl", err));
    fathom_status status = cut_lines(path, last_step, err);
    if (status == FATHOM_OK) status = appender_open(&m->lines, path, err);
    mem_free(path);
    TRY(status);

    snprintf(name, sizeof name, "events.out.tfevents.%lld.fathom.%lld", (long long)clock_wall(),
             (long long)last_step);
    TRY(path_join(&path, directory, name, err));
    status = appender_open(&m->events, path, err);
    mem_free(path);
    TRY(status);
    tensorboard_begin(&m->buffer, clock_wall());
    return appender_put(&m->events, &m->buffer, err);
}

fathom_status metrics_open(struct metrics **out, const char *directory, int64_t last_step,
                           struct error *err) {
    struct metrics *m = NULL;
    *out = NULL;
    TRY(MEM_NEW(&m, 1, "metrics", err));
    m->lines.fd = m->events.fd = -1;
    fathom_status status = metrics_fill(m, directory, last_step, err);
    if (status != FATHOM_OK)
        metrics_close(m);
    else
        *out = m;
    return status;
}

void metrics_close(struct metrics *m) {
    if (!m) return;
    appender_close(&m->lines);
    appender_close(&m->events);
    text_free(&m->buffer);
    mem_free(m);
}

/* ---- writing ---- */

static void put_number(struct text *out, const char *key, double value) {
    text_printf(out, ", \"%s\": ", key);
    json_write_f32(out, (float)value);
}

static void put_numbers(struct text *out, const char *key, const double *values, int64_t count) {
    text_printf(out, ", \"%s\": [", key);
    for (int64_t i = 0; i < count; i++) {
        if (i > 0) text_append_string(out, ", ");
        json_write_f32(out, (float)values[i]);
    }
    text_append_char(out, ']');
}

static void put_layers(struct text *out, const struct step_metrics *s) {
    put_numbers(out, "max_violation", s->max_violation, s->moe_layers);
    text_append_string(out, ", \"dead_experts\": [");
    for (int64_t i = 0; i < s->moe_layers; i++)
        text_printf(out, "%s%lld", i > 0 ? ", " : "", (long long)s->dead_experts[i]);
    text_append_char(out, ']');
    if (s->device_violation)
        put_numbers(out, "device_violation", s->device_violation, s->moe_layers);
    if (s->may_drop)
        text_printf(out, ", \"routed_slots\": %lld, \"dropped_slots\": %lld",
                    (long long)s->routed_slots, (long long)s->dropped_slots);
}

static void put_sources(struct text *out, const struct metrics_line *line) {
    text_append_string(out, ", \"sources\": [");
    for (size_t i = 0; i < line->source_count; i++) {
        const struct metrics_source *source = &line->sources[i];
        text_append_string(out, i > 0 ? ", {\"data\": " : "{\"data\": ");
        json_write_string(out, source->name, strlen(source->name));
        text_printf(out, ", \"tokens\": %lld", (long long)source->tokens);
        if (!isnan(source->heldout)) put_number(out, "heldout_loss", source->heldout);
        text_append_char(out, '}');
    }
    text_append_char(out, ']');
}

static void put_speed(struct text *out, const struct metrics_line *line, double tokens) {
    put_number(out, "seconds", line->seconds);
    put_number(out, "tokens_per_second", tokens / line->seconds);
    put_number(out, "gflops", line->flops / line->seconds * 1e-9);
    if (line->peak > 0) put_number(out, "peak_share", line->flops / line->seconds / line->peak);
}

static void put_line(struct text *out, const struct metrics_line *line, double tokens) {
    const struct step_metrics *s = line->metrics;
    text_printf(out, "{\"step\": %lld, \"tokens\": %lld", (long long)line->step,
                (long long)line->tokens_seen);
    put_number(out, "loss", s->loss_main);
    put_number(out, "mtp_loss", s->loss_mtp);
    put_number(out, "balance_loss", s->loss_balance);
    put_number(out, "total_loss", s->loss_total);
    put_number(out, "learning_rate", s->learning_rate);
    put_number(out, "grad_norm", s->grad_norm);
    if (line->seconds > 0) put_speed(out, line, tokens);
    if (!isnan(line->heldout)) put_number(out, "heldout_loss", line->heldout);
    if (line->sample) {
        text_append_string(out, ", \"sample\": ");
        json_write_string(out, text_data(line->sample), line->sample->size);
    }
    if (line->is_spike) text_append_string(out, ", \"spike\": true");
    if (line->source_count > 0) put_sources(out, line);
    if (s->moe_layers > 0) put_layers(out, s);
    text_append_string(out, "}\n");
}

static double mean_of(const double *values, int64_t count) {
    double sum = 0;
    for (int64_t i = 0; i < count; i++) sum += values[i];
    return count > 0 ? sum / (double)count : 0;
}

static void put_event(struct text *out, const struct metrics_line *line, double tokens) {
    const struct step_metrics *s = line->metrics;
    struct tensorboard_scalar scalars[16];
    size_t count = 0;
    scalars[count++] = (struct tensorboard_scalar){"loss/main", (float)s->loss_main};
    scalars[count++] = (struct tensorboard_scalar){"loss/mtp", (float)s->loss_mtp};
    scalars[count++] = (struct tensorboard_scalar){"loss/balance", (float)s->loss_balance};
    scalars[count++] =
        (struct tensorboard_scalar){"optimizer/learning_rate", (float)s->learning_rate};
    scalars[count++] = (struct tensorboard_scalar){"optimizer/grad_norm", (float)s->grad_norm};
    if (line->seconds > 0) {
        scalars[count++] =
            (struct tensorboard_scalar){"speed/tokens_per_second", (float)(tokens / line->seconds)};
        scalars[count++] = (struct tensorboard_scalar){"speed/gflops",
                                                       (float)(line->flops / line->seconds * 1e-9)};
    }
    if (s->moe_layers > 0)
        scalars[count++] = (struct tensorboard_scalar){
            "experts/max_violation", (float)mean_of(s->max_violation, s->moe_layers)};
    if (s->device_violation)
        scalars[count++] = (struct tensorboard_scalar){
            "experts/device_violation", (float)mean_of(s->device_violation, s->moe_layers)};
    if (s->may_drop && s->routed_slots > 0)
        scalars[count++] = (struct tensorboard_scalar){
            "experts/dropped_share", (float)((double)s->dropped_slots / (double)s->routed_slots)};
    if (!isnan(line->heldout))
        scalars[count++] = (struct tensorboard_scalar){"loss/heldout", (float)line->heldout};
    tensorboard_scalars(out, clock_wall(), line->step, scalars, count);
}

fathom_status metrics_put(struct metrics *m, const struct metrics_line *line, struct error *err) {
    double tokens = line->tokens_per_step;
    text_clear(&m->buffer);
    put_line(&m->buffer, line, tokens);
    TRY(appender_put(&m->lines, &m->buffer, err));
    text_clear(&m->buffer);
    put_event(&m->buffer, line, tokens);
    return appender_put(&m->events, &m->buffer, err);
}

fathom_status metrics_put_skipped(struct metrics *m, int64_t step, int64_t tokens_seen,
                                  const char *reason, struct error *err) {
    text_clear(&m->buffer);
    text_printf(&m->buffer, "{\"step\": %lld, \"tokens\": %lld, \"skipped\": ", (long long)step,
                (long long)tokens_seen);
    json_write_string(&m->buffer, reason, strlen(reason));
    text_append_string(&m->buffer, "}\n");
    return appender_put(&m->lines, &m->buffer, err);
}

fathom_status metrics_sync(struct metrics *m, struct error *err) {
    TRY(appender_sync(&m->lines, "metrics.jsonl", err));
    return appender_sync(&m->events, "the event file", err);
}
