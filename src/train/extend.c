#include "train/extend.h"

#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "train/checkpoint.h"
#include "train/extend_phases.h"

struct extension {
    const struct extend_options *options;
    struct device *device;
    struct log *log;
    struct extend_phases phases;
    int lock; /* of DIR; -1: none yet */
    bool made_directory;
};

/* ---- start ---- */

static fathom_status is_taken(const char *out, bool *taken, struct error *err) {
    static const char *const files[] = {"config.json", "extend.json"};
    *taken = checkpoint_exists(out);
    for (int i = 0; i < 2; i++) {
        char *path = NULL;
        TRY(path_join(&path, out, files[i], err));
        *taken |= path_exists(path);
        mem_free(path);
    }
    return FATHOM_OK;
}

static fathom_status write_record(const struct option_table *table,
                                  const struct extend_options *options, struct error *err) {
    struct text record = {0};
    struct file_writer *file = NULL;
    char *path = NULL;
    options_to_json(table, options, false, &record);
    text_append_char(&record, '\n');
    fathom_status status = text_check(&record, err);
    if (status == FATHOM_OK) status = path_join(&path, options->train.out, "extend.json", err);
    if (status == FATHOM_OK) status = file_writer_open(&file, path, err);
    if (status == FATHOM_OK) {
        file_writer_put(file, record.data, record.size);
        status = file_writer_commit(file, err);
    }
    mem_free(path);
    text_free(&record);
    return status;
}

static fathom_status start_new(struct extension *e, const struct option_table *table,
                               struct error *err) {
    const char *out = e->options->train.out;
    bool taken = false;
    TRY(is_taken(out, &taken, err));
    if (taken)
        RAISE(FATHOM_EXISTS,
              "%s: there is a model or run already; continue it with --resume or choose another "
              "--out",
              out);
    e->made_directory = !path_exists(out);
    TRY(path_make_directory(out, err));
    TRY(directory_lock(&e->lock, out, err));
    /* What was found out about the model is kept: it may be gone later. */
    struct extend_options known = *e->options;
    known.original = e->phases.original;
    return write_record(table, &known, err);
}

/* ---- phases ---- */

/* Whether the run has its last checkpoint. */
static bool is_done(const struct extend_phase *phase) {
    struct checkpoint checkpoint;
    if (checkpoint_open(&checkpoint, phase->out, INT64_MAX, NULL) != FATHOM_OK) return false;
    bool done = checkpoint.step >= phase->options.steps;
    checkpoint_close(&checkpoint);
    return done;
}

static fathom_status say_how_to_go_on(const struct extension *e, size_t i, struct error *err) {
    struct text directory = {0};
    text_append_shell_word(&directory, e->options->train.out);
    fathom_status status =
        error_set(err, FATHOM_INTERRUPTED,
                  "saved in phase %zu of %zu; continue with: fathom extend --resume --out %s",
                  i + 1, e->phases.count, text_data(&directory));
    text_free(&directory);
    return status;
}

static fathom_status run_phase(struct extension *e, size_t i, struct error *err) {
    struct extend_phase *phase = &e->phases.items[i];
    if (is_done(phase)) return FATHOM_OK;
    phase->options.resume = checkpoint_exists(phase->out);
    log_line(e->log, LOG_INFO, "phase %zu of %zu: %lld tokens in a sequence, YaRN factor %g", i + 1,
             e->phases.count, (long long)phase->options.sequence_length, phase->config.rope.factor);
    fathom_status status = pretrain_run(&phase->options, e->device, err);
    if (status == FATHOM_OK && interrupt_requested() && i + 1 < e->phases.count)
        status = FATHOM_INTERRUPTED;
    return status == FATHOM_INTERRUPTED ? say_how_to_go_on(e, i, err) : status;
}

/* The last phase's model becomes the extension's. */
static fathom_status publish(const struct extension *e, struct error *err) {
    const struct extend_phase *last = &e->phases.items[e->phases.count - 1];
    struct checkpoint checkpoint;
    TRY(checkpoint_open(&checkpoint, last->out, INT64_MAX, err));
    fathom_status status = checkpoint_publish(&checkpoint, e->options->train.out, err);
    checkpoint_close(&checkpoint);
    if (status == FATHOM_OK)
        log_line(e->log, LOG_INFO, "%s: a model of %lld positions", e->options->train.out,
                 (long long)last->config.max_positions);
    return status;
}

/* A first phase that could not begin leaves nothing behind. */
static void undo_start(const struct extension *e) {
    const char *out = e->options->train.out;
    char *record = NULL;
    if (e->lock < 0 || e->options->train.resume || path_exists(e->phases.items[0].out)) return;
    if (path_join(&record, out, "extend.json", NULL) == FATHOM_OK) path_remove(record, NULL);
    mem_free(record);
    if (e->made_directory) rmdir(out);
}

static fathom_status run_all(struct extension *e, const struct option_table *table,
                             struct error *err) {
    const struct extend_options *o = e->options;
    TRY(extend_phases_new(&e->phases, o, err));
    TRY(o->train.resume ? directory_lock(&e->lock, o->train.out, err) : start_new(e, table, err));
    for (size_t i = 0; i < e->phases.count; i++) TRY(run_phase(e, i, err));
    return publish(e, err);
}

fathom_status extend_run(const struct option_table *table, const struct extend_options *options,
                         struct device *device, struct error *err) {
    struct extension e = {
        .options = options, .device = device, .log = &device->engine->log, .lock = -1};
    fathom_status status = run_all(&e, table, err);
    if (status != FATHOM_OK) undo_start(&e);
    extend_phases_free(&e.phases);
    directory_unlock(e.lock);
    return status;
}

fathom_status extend_plan(const struct extend_options *options, struct device *device, FILE *out,
                          struct error *err) {
    struct extend_phases phases;
    fathom_status status = extend_phases_new(&phases, options, err);
    for (size_t i = 0; i < phases.count && status == FATHOM_OK; i++) {
        struct extend_phase *phase = &phases.items[i];
        fprintf(out, "%sphase %zu of %zu: %lld tokens in a sequence, YaRN factor %g, to %s\n",
                i > 0 ? "\n" : "", i + 1, phases.count, (long long)phase->options.sequence_length,
                phase->config.rope.factor, phase->out);
        /* The model of a later phase is there when the one before is done. */
        status = pretrain_plan(&phase->options, device, out, err);
    }
    extend_phases_free(&phases);
    return status;
}
