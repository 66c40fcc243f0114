#include "train/checkpoint.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "model/files.h"

/* Files that make a model directory complete beside config.json and the weights. */
static const char *const carried_files[] = {"tokenizer.json", "tokenizer_config.json",
                                            "generation_config.json"};

enum { CARRIED_COUNT = sizeof carried_files / sizeof carried_files[0] };
static const char step_prefix[] = "step-";
static const char weights_hash[] = "weights.xxh3";
static const char ema_hash[] = "ema.xxh3";
static const char ema_directory[] = "ema";
static const char adam_steps[] = "adam_steps"; /* the updates of the whole, then of each expert */

/* ---- names ---- */

/* The step in a checkpoint directory's name, or -1. */
static int64_t step_of_name(const char *name) {
    int64_t step = -1;
    if (!string_starts_with(name, step_prefix)) return -1;
    const char *digits = name + strlen(step_prefix);
    return string_to_i64(digits, &step) && step >= 0 ? step : -1;
}

struct step_list {
    int64_t *steps; /* ascending */
    size_t count, capacity;
};

static fathom_status step_list_add(struct step_list *list, int64_t step, struct error *err) {
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 16;
        TRY(mem_grow((void **)&list->steps, list->count, capacity, sizeof *list->steps,
                     "the list of checkpoints", err));
        list->capacity = capacity;
    }
    size_t at = list->count++;
    while (at > 0 && list->steps[at - 1] > step) {
        list->steps[at] = list->steps[at - 1];
        at--;
    }
    list->steps[at] = step;
    return FATHOM_OK;
}

/* A directory that is not there has no checkpoints. */
static fathom_status step_list_read(struct step_list *list, const char *run, struct error *err) {
    fathom_status status = FATHOM_OK;
    const struct dirent *entry = NULL;
    DIR *directory = opendir(run);
    if (!directory && errno == ENOENT) return FATHOM_OK;
    if (!directory) return error_set_errno(err, errno, "%s: cannot be listed", run);
    while (status == FATHOM_OK && (entry = readdir(directory))) {
        int64_t step = step_of_name(entry->d_name);
        if (step >= 0) status = step_list_add(list, step, err);
    }
    closedir(directory);
    return status;
}

static fathom_status step_path(char **path, const char *run, int64_t step, struct error *err) {
    char name[64];
    snprintf(name, sizeof name, "%s%08lld", step_prefix, (long long)step);
    return path_join(path, run, name, err);
}

/* The largest step below `before` that a run has a checkpoint of, or -1. */
static fathom_status newest_step(int64_t *step, const char *run, int64_t before,
                                 struct error *err) {
    struct step_list list = {0};
    fathom_status status = step_list_read(&list, run, err);
    while (list.count > 0 && list.steps[list.count - 1] >= before) list.count--;
    *step = list.count > 0 ? list.steps[list.count - 1] : -1;
    mem_free(list.steps);
    return status;
}

bool checkpoint_exists(const char *run) {
    int64_t step = -1;
    return newest_step(&step, run, INT64_MAX, NULL) == FATHOM_OK && step >= 0;
}

fathom_status checkpoint_remove_leftovers(const char *run, struct error *err) {
    char *ema = NULL;
    TRY(directory_remove_leftovers(run, err));
    TRY(path_join(&ema, run, ema_directory, err));
    fathom_status status =
        path_is_directory(ema) ? directory_remove_leftovers(ema, err) : FATHOM_OK;
    mem_free(ema);
    return status;
}

static fathom_status open_step(struct checkpoint *out, const char *run, int64_t step,
                               struct error *err) {
    char *path = NULL;
    *out = (struct checkpoint){.step = step};
    fathom_status status = step_path(&out->path, run, step, err);
    if (status == FATHOM_OK) status = path_join(&path, out->path, "state", err);
    if (status == FATHOM_OK) status = state_open(&out->state, path, err);
    mem_free(path);
    if (status != FATHOM_OK) checkpoint_close(out);
    return status;
}

fathom_status checkpoint_open(struct checkpoint *out, const char *run, int64_t before,
                              struct error *err) {
    fathom_status newest = FATHOM_OK;
    for (;;) {
        int64_t step = -1;
        TRY(newest_step(&step, run, before, err));
        if (step < 0 && newest != FATHOM_OK) return newest;
        if (step < 0) RAISE(FATHOM_BAD_INPUT, "%s: no checkpoint to resume from", run);
        fathom_status status = open_step(out, run, step, newest == FATHOM_OK ? err : NULL);
        if (!checkpoint_is_damage(status)) return status;
        if (newest == FATHOM_OK) newest = status;
        before = step;
    }
}

void checkpoint_close(struct checkpoint *checkpoint) {
    state_close(checkpoint->state);
    mem_free(checkpoint->path);
    *checkpoint = (struct checkpoint){0};
}

bool checkpoint_is_damage(fathom_status status) {
    return status == FATHOM_BAD_INPUT || status == FATHOM_IO;
}

static fathom_status set_one_aside(const char *path, struct error *err) {
    struct text aside = {0};
    text_printf(&aside, "%s.damaged", path);
    fathom_status status = text_check(&aside, err);
    if (status == FATHOM_OK) status = path_remove(text_data(&aside), err);
    if (status == FATHOM_OK && rename(path, text_data(&aside)) != 0)
        status =
            error_set_errno(err, errno, "%s: cannot be renamed to %s", path, text_data(&aside));
    text_free(&aside);
    return status;
}

fathom_status checkpoint_set_aside(const char *run, int64_t step, struct error *err) {
    struct step_list list = {0};
    fathom_status status = step_list_read(&list, run, err);
    for (size_t i = 0; status == FATHOM_OK && i < list.count; i++) {
        char *path = NULL;
        if (list.steps[i] <= step) continue;
        status = step_path(&path, run, list.steps[i], err);
        if (status == FATHOM_OK) status = set_one_aside(path, err);
        mem_free(path);
    }
    mem_free(list.steps);
    return status;
}

/* ---- files ---- */

static fathom_status copy_file(const char *from, const char *to, struct error *err) {
    struct file_map map = {0};
    struct file_writer *writer = NULL;
    TRY(file_map_open(&map, from, err));
    fathom_status status = file_writer_open(&writer, to, err);
    if (status == FATHOM_OK) {
        file_writer_put(writer, map.data, map.size);
        status = file_writer_commit(writer, err);
    }
    file_map_close(&map);
    return status;
}

/* Puts DIRECTORY/name at TO/name: by a hard link renamed into place, else by a copy. */
static fathom_status link_file(const char *directory, const char *name, const char *to,
                               struct error *err) {
    char *from_path = NULL, *to_path = NULL;
    struct text temporary = {0};
    fathom_status status = path_join(&from_path, directory, name, err);
    if (status == FATHOM_OK) status = path_join(&to_path, to, name, err);
    if (status == FATHOM_OK) {
        text_printf(&temporary, "%s.tmp-%ld", to_path, (long)getpid());
        status = text_check(&temporary, err);
    }
    if (status == FATHOM_OK) {
        unlink(text_data(&temporary));
        bool is_linked = link(from_path, text_data(&temporary)) == 0 &&
                         rename(text_data(&temporary), to_path) == 0;
        if (!is_linked) {
            unlink(text_data(&temporary));
            status = copy_file(from_path, to_path, err);
        }
        /* rename does nothing when both names are one file already */
        unlink(text_data(&temporary));
    }
    text_free(&temporary);
    mem_free(from_path);
    mem_free(to_path);
    return status;
}

static fathom_status carry_files(const char *from, const char *to, struct error *err) {
    for (int i = 0; i < CARRIED_COUNT; i++) {
        char *path = NULL, *target = NULL;
        fathom_status status = path_join(&path, from, carried_files[i], err);
        if (status == FATHOM_OK) status = path_join(&target, to, carried_files[i], err);
        if (status == FATHOM_OK && path_exists(path)) status = copy_file(path, target, err);
        mem_free(path);
        mem_free(target);
        TRY(status);
    }
    return FATHOM_OK;
}

/* Links every regular file of a checkpoint's directory into the run's. */
static fathom_status publish_files(const char *checkpoint, const char *run, struct error *err) {
    fathom_status status = FATHOM_OK;
    const struct dirent *entry = NULL;
    DIR *directory = opendir(checkpoint);
    if (!directory) return error_set_errno(err, errno, "%s: cannot be listed", checkpoint);
    while (status == FATHOM_OK && (entry = readdir(directory))) {
        if (entry->d_name[0] == '.' || strcmp(entry->d_name, "state") == 0 ||
            strcmp(entry->d_name, ema_directory) == 0)
            continue;
        status = link_file(checkpoint, entry->d_name, run, err);
    }
    closedir(directory);
    return status;
}

static fathom_status publish(const char *checkpoint, const char *run, bool has_ema,
                             struct error *err) {
    char *from = NULL, *to = NULL;
    TRY(publish_files(checkpoint, run, err));
    if (!has_ema) return directory_sync(run, err);
    fathom_status status = path_join(&from, checkpoint, ema_directory, err);
    if (status == FATHOM_OK) status = path_join(&to, run, ema_directory, err);
    if (status == FATHOM_OK) status = path_make_directory(to, err);
    if (status == FATHOM_OK) status = publish_files(from, to, err);
    if (status == FATHOM_OK) status = directory_sync(to, err);
    if (status == FATHOM_OK) status = directory_sync(run, err);
    mem_free(from);
    mem_free(to);
    return status;
}

fathom_status checkpoint_publish(const struct checkpoint *checkpoint, const char *directory,
                                 struct error *err) {
    char *ema = NULL;
    TRY(path_join(&ema, checkpoint->path, ema_directory, err));
    fathom_status status = publish(checkpoint->path, directory, path_exists(ema), err);
    mem_free(ema);
    return status;
}

static fathom_status remove_old(const struct checkpoint_options *o, struct error *err) {
    struct step_list list = {0};
    const char *run = o->run;
    fathom_status status = step_list_read(&list, run, err);
    for (size_t i = 0; status == FATHOM_OK && i + (size_t)o->keep < list.count; i++) {
        char *path = NULL;
        if (o->keep_every > 0 && list.steps[i] % o->keep_every == 0) continue;
        status = step_path(&path, run, list.steps[i], err);
        if (status == FATHOM_OK) status = path_remove(path, err);
        mem_free(path);
    }
    mem_free(list.steps);
    return status;
}

/* ---- state ---- */

static void moment_name(const struct param *p, bool is_second, char name[TENSOR_NAME_MAX + 8]) {
    char base[TENSOR_NAME_MAX];
    param_name(p, base);
    snprintf(name, TENSOR_NAME_MAX + 8, "%s.%s", is_second ? "adam_v" : "adam_m", base);
}

struct state_save {
    struct parts *parts;
    struct state_writer *writer;
    void *buffer; /* the largest tensor's bytes */
    uint64_t *hashes;
};

static fathom_status state_declare(struct state_save *s, struct error *err) {
    const struct trained *t = s->parts->trained;
    const struct param_list *list = &s->parts->whole;
    const enum dtype dtype =
        optimizer_moment_dtype(&t->optimizer->options, t->model->device->compute);
    TRY(state_writer_declare(s->writer, weights_hash, DTYPE_U64, 1, &list->count, err));
    if (t->ema) TRY(state_writer_declare(s->writer, ema_hash, DTYPE_U64, 1, &list->count, err));
    const int64_t counts = 1 + t->optimizer->expert_count;
    TRY(state_writer_declare(s->writer, adam_steps, DTYPE_I64, 1, &counts, err));
    for (int second = 0; second < 2; second++) {
        for (int64_t i = 0; i < list->count; i++) {
            const struct param *p = &list->items[i];
            char name[TENSOR_NAME_MAX + 8];
            const int64_t shape[] = {p->rows, p->cols};
            if (!param_is_trained(p)) continue;
            moment_name(p, second, name);
            TRY(state_writer_declare(s->writer, name, dtype, 2, shape, err));
        }
    }
    return FATHOM_OK;
}

static uint64_t hash_weight(const struct model *model, const struct param *p, const void *values) {
    return hash_bytes(values, (size_t)param_count(p) * dtype_size(model_weight(model, p).dtype));
}

/* Checksums of the weights or their average, by number. */
static fathom_status put_hashes(struct state_save *s, const char *name, enum part_kind kind,
                                struct error *err) {
    const struct param_list *list = &s->parts->whole;
    for (int64_t i = 0; i < list->count; i++) {
        const struct param *p = &list->items[i];
        TRY(parts_read(s->parts, kind, p, 0, param_count(p), s->buffer, err));
        s->hashes[i] = hash_weight(s->parts->trained->model, p, s->buffer);
    }
    return state_writer_put(s->writer, name, 0, s->hashes, list->count, err);
}

static fathom_status state_put(struct state_save *s, struct error *err) {
    const struct param_list *list = &s->parts->whole;
    const struct trained *t = s->parts->trained;
    TRY(put_hashes(s, weights_hash, PART_WEIGHTS, err));
    if (t->ema) TRY(put_hashes(s, ema_hash, PART_EMA, err));
    TRY(state_writer_put(s->writer, adam_steps, 0, &t->optimizer->steps, 1, err));
    TRY(state_writer_put(s->writer, adam_steps, 1, t->optimizer->expert_steps,
                         t->optimizer->expert_count, err));
    for (int second = 0; second < 2; second++) {
        for (int64_t i = 0; i < list->count; i++) {
            const struct param *p = &list->items[i];
            char name[TENSOR_NAME_MAX + 8];
            if (!param_is_trained(p)) continue;
            moment_name(p, second, name);
            TRY(parts_read(s->parts, second ? PART_SECOND_MOMENT : PART_FIRST_MOMENT, p, 0,
                           param_count(p), s->buffer, err));
            TRY(state_writer_put(s->writer, name, 0, s->buffer, param_count(p), err));
        }
    }
    return FATHOM_OK;
}

static fathom_status state_write(struct state_save *s, const char *directory,
                                 const struct state_info *info, const char *options_json,
                                 struct error *err) {
    const struct param_list *list = &s->parts->whole;
    size_t element = dtype_size(s->parts->trained->model->device->compute);
    TRY(mem_new_raw(&s->buffer, (size_t)param_list_largest(list), element, "a checkpoint", err));
    TRY(MEM_NEW(&s->hashes, list->count, "a checkpoint", err));
    TRY(state_writer_new(&s->writer, err));
    TRY(state_declare(s, err));
    TRY(state_writer_begin(s->writer, directory, info, options_json, err));
    TRY(state_put(s, err));
    struct state_writer *writer = s->writer;
    s->writer = NULL;
    return state_writer_commit(writer, err);
}

static fathom_status save_state(struct parts *parts, const char *directory,
                                const struct state_info *info, const char *options_json,
                                struct error *err) {
    struct state_save save = {.parts = parts};
    char *path = NULL;
    TRY(path_join(&path, directory, "state", err));
    fathom_status status = path_make_directory(path, err);
    if (status == FATHOM_OK) status = state_write(&save, path, info, options_json, err);
    state_writer_abort(save.writer);
    mem_free(save.buffer);
    mem_free(save.hashes);
    mem_free(path);
    return status;
}

/* ---- saving ---- */

static fathom_status fill_model(struct parts *parts, enum part_kind kind, const char *files_from,
                                const char *directory, struct error *err) {
    struct parts_owner owner = {parts, kind};
    const struct weight_source source = parts_weights(&owner);
    TRY(model_save_from(&source, directory, 0, err));
    return carry_files(files_from, directory, err);
}

static fathom_status fill_directory(const struct checkpoint_options *options, struct parts *parts,
                                    const struct state_info *info, const char *directory,
                                    struct error *err) {
    TRY(fill_model(parts, PART_WEIGHTS, options->files_from, directory, err));
    if (parts->trained->ema) {
        char *path = NULL;
        TRY(path_join(&path, directory, ema_directory, err));
        fathom_status status = path_make_directory(path, err);
        if (status == FATHOM_OK)
            status = fill_model(parts, PART_EMA, options->files_from, path, err);
        mem_free(path);
        TRY(status);
    }
    return save_state(parts, directory, info, options->options_json, err);
}

static fathom_status write_checkpoint(const struct checkpoint_options *options, struct parts *parts,
                                      const struct state_info *info, struct error *err) {
    char *path = NULL, *temporary = NULL;
    fathom_status status = step_path(&path, options->run, info->step, err);
    if (status == FATHOM_OK) status = directory_begin(&temporary, path, true, err);
    if (status == FATHOM_OK) {
        status = fill_directory(options, parts, info, temporary, err);
        if (status == FATHOM_OK)
            status = directory_commit(temporary, path, true, err);
        else
            directory_abort(temporary);
    }
    if (status == FATHOM_OK) status = publish(path, options->run, parts->trained->ema != NULL, err);
    if (status == FATHOM_OK) status = remove_old(options, err);
    mem_free(path);
    return status;
}

fathom_status checkpoint_save(const struct checkpoint_options *options, const struct trained *t,
                              const struct state_info *info, struct error *err) {
    struct parts parts;
    if (!trained_is_first(t)) return parts_serve(t, err);
    fathom_status status = parts_open(&parts, t, err);
    if (status == FATHOM_OK) status = write_checkpoint(options, &parts, info, err);
    return parts_close(&parts, status, err);
}

/* ---- loading ---- */

/* What loading works with. */
struct state_load {
    const struct checkpoint *checkpoint;
    struct stream stream;
    void *buffer;       /* the largest tensor's bytes */
    uint64_t *recorded; /* [parameters of the whole model] */
};

/* Compares every weight of a model with the checksums in the state. */
static fathom_status check_weights(struct state_load *l, const struct model *model,
                                   const char *name_of_hashes, struct error *err) {
    const struct param_list *list = &model->params;
    TRY(state_read(l->checkpoint->state, name_of_hashes, DTYPE_U64, 0, list->whole_count,
                   l->recorded, err));
    for (int64_t i = 0; i < list->count; i++) {
        const struct param *p = &list->items[i];
        char name[TENSOR_NAME_MAX];
        TRY(model_read(model, &l->stream, p, 0, param_count(p), l->buffer, err));
        if (hash_weight(model, p, l->buffer) == l->recorded[p->number]) continue;
        param_name(p, name);
        RAISE(FATHOM_BAD_INPUT,
              "%s: %s differs from the checksum in the training state: the file was damaged or "
              "replaced",
              l->checkpoint->path, name);
    }
    return FATHOM_OK;
}

static fathom_status load_moments(const struct state *state, struct optimizer *optimizer,
                                  void *buffer, struct stream *stream, struct error *err) {
    const struct param_list *list = &optimizer->model->params;
    TRY(state_verify_tensor(state, adam_steps, err));
    TRY(state_read(state, adam_steps, DTYPE_I64, 0, 1, &optimizer->steps, err));
    TRY(state_read(state, adam_steps, DTYPE_I64, 1, optimizer->expert_count,
                   optimizer->expert_steps, err));
    for (int second = 0; second < 2; second++) {
        for (int64_t i = 0; i < list->count; i++) {
            const struct param *p = &list->items[i];
            char name[TENSOR_NAME_MAX + 8];
            if (!param_is_trained(p)) continue;
            moment_name(p, second, name);
            int64_t first = 0;
            struct tensor moment = optimizer_moment(optimizer, p, second, &first);
            TRY(state_verify_tensor(state, name, err));
            if (moment.cols == 0) continue;
            TRY(state_read(state, name, moment.dtype, first, moment.cols, buffer, err));
            stream_upload(stream, moment.data, buffer,
                          (size_t)moment.cols * dtype_size(moment.dtype));
        }
    }
    return stream_check(stream, err);
}

static fathom_status load_ema(struct state_load *l, struct ema *ema, struct error *err) {
    char *path = NULL;
    TRY(path_join(&path, l->checkpoint->path, ema_directory, err));
    fathom_status status = model_load(&ema->view, path, err);
    mem_free(path);
    TRY(status);
    return check_weights(l, &ema->view, ema_hash, err);
}

static fathom_status load_all(struct state_load *l, const struct trained *t, struct error *err) {
    const struct param_list *list = &t->model->params;
    stream_init(&l->stream, t->model->device);
    TRY(mem_new_raw(&l->buffer, (size_t)param_list_largest(list),
                    dtype_size(t->model->device->compute), "a checkpoint", err));
    TRY(MEM_NEW(&l->recorded, list->whole_count, "a checkpoint", err));
    /* The average first: its file carries the router biases too, which belong to the model. */
    if (t->ema) TRY(load_ema(l, t->ema, err));
    TRY(model_load(t->model, l->checkpoint->path, err));
    TRY(check_weights(l, t->model, weights_hash, err));
    return load_moments(l->checkpoint->state, t->optimizer, l->buffer, &l->stream, err);
}

fathom_status checkpoint_load(const struct checkpoint *checkpoint, const struct trained *trained,
                              struct error *err) {
    struct state_load load = {.checkpoint = checkpoint};
    fathom_status status = load_all(&load, trained, err);
    mem_free(load.buffer);
    mem_free(load.recorded);
    return status;
}
