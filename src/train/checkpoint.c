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
#include "train/moments.h"

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
    const struct model *model;
    const struct optimizer *optimizer;
    const struct ema *ema; /* or NULL */
    struct state_writer *writer;
    struct stream stream;
    void *buffer; /* the largest tensor's bytes */
    uint64_t *hashes;
};

/* A tensor's bytes on the host, in s->buffer. */
static fathom_status fetch(struct stream *stream, struct tensor from, void *buffer,
                           struct error *err) {
    stream_download(stream, buffer, from.data, (size_t)tensor_count(from) * dtype_size(from.dtype));
    return stream_check(stream, err);
}

static fathom_status state_declare(struct state_save *s, struct error *err) {
    const struct param_list *list = &s->model->params;
    TRY(state_writer_declare(s->writer, weights_hash, DTYPE_U64, 1, &list->count, err));
    if (s->ema) TRY(state_writer_declare(s->writer, ema_hash, DTYPE_U64, 1, &list->count, err));
    const int64_t counts = 1 + s->optimizer->expert_count;
    TRY(state_writer_declare(s->writer, adam_steps, DTYPE_I64, 1, &counts, err));
    for (int second = 0; second < 2; second++) {
        for (int64_t i = 0; i < list->count; i++) {
            const struct param *p = &list->items[i];
            char name[TENSOR_NAME_MAX + 8];
            const int64_t shape[] = {p->rows, p->cols};
            if (!param_is_trained(p)) continue;
            moment_name(p, second, name);
            const enum dtype dtype = optimizer_moment(s->optimizer, p, second, NULL).dtype;
            TRY(state_writer_declare(s->writer, name, dtype, 2, shape, err));
        }
    }
    return FATHOM_OK;
}

static fathom_status hash_weights(const struct model *model, struct stream *stream, void *buffer,
                                  uint64_t *hashes, struct error *err) {
    for (int64_t i = 0; i < model->params.count; i++) {
        struct tensor w = model_weight(model, &model->params.items[i]);
        TRY(fetch(stream, w, buffer, err));
        hashes[i] = hash_bytes(buffer, (size_t)tensor_count(w) * dtype_size(w.dtype));
    }
    return FATHOM_OK;
}

static fathom_status state_put(struct state_save *s, struct error *err) {
    const struct param_list *list = &s->model->params;
    TRY(hash_weights(s->model, &s->stream, s->buffer, s->hashes, err));
    TRY(state_writer_put(s->writer, weights_hash, 0, s->hashes, list->count, err));
    if (s->ema) {
        TRY(hash_weights(&s->ema->view, &s->stream, s->buffer, s->hashes, err));
        TRY(state_writer_put(s->writer, ema_hash, 0, s->hashes, list->count, err));
    }
    TRY(state_writer_put(s->writer, adam_steps, 0, &s->optimizer->steps, 1, err));
    TRY(state_writer_put(s->writer, adam_steps, 1, s->optimizer->expert_steps,
                         s->optimizer->expert_count, err));
    for (int second = 0; second < 2; second++) {
        for (int64_t i = 0; i < list->count; i++) {
            const struct param *p = &list->items[i];
            char name[TENSOR_NAME_MAX + 8];
            if (!param_is_trained(p)) continue;
            moment_name(p, second, name);
            TRY(moments_fetch(s->optimizer, i, second, s->buffer, &s->stream, err));
            TRY(state_writer_put(s->writer, name, 0, s->buffer, param_count(p), err));
        }
    }
    return FATHOM_OK;
}

static int64_t largest_param(const struct param_list *list) {
    int64_t largest = 0;
    for (int64_t i = 0; i < list->count; i++)
        if (param_count(&list->items[i]) > largest) largest = param_count(&list->items[i]);
    return largest;
}

static fathom_status state_write(struct state_save *s, const char *directory,
                                 const struct state_info *info, const char *options_json,
                                 struct error *err) {
    size_t element = dtype_size(s->model->device->compute);
    TRY(mem_new_raw(&s->buffer, (size_t)largest_param(&s->model->params), element, "a checkpoint",
                    err));
    TRY(MEM_NEW(&s->hashes, s->model->params.count, "a checkpoint", err));
    TRY(state_writer_new(&s->writer, err));
    TRY(state_declare(s, err));
    TRY(state_writer_begin(s->writer, directory, info, options_json, err));
    TRY(state_put(s, err));
    struct state_writer *writer = s->writer;
    s->writer = NULL;
    return state_writer_commit(writer, err);
}

static fathom_status save_state(const struct trained *t, const char *directory,
                                const struct state_info *info, const char *options_json,
                                struct error *err) {
    struct state_save save = {.model = t->model, .optimizer = t->optimizer, .ema = t->ema};
    char *path = NULL;
    stream_init(&save.stream, t->model->device);
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

static fathom_status fill_model(const struct model *model, const char *files_from,
                                const char *directory, struct error *err) {
    TRY(model_save(model, directory, 0, err));
    return carry_files(files_from, directory, err);
}

static fathom_status fill_directory(const struct checkpoint_options *options,
                                    const struct trained *t, const struct state_info *info,
                                    const char *directory, struct error *err) {
    TRY(fill_model(t->model, options->files_from, directory, err));
    if (t->ema) {
        char *path = NULL;
        TRY(path_join(&path, directory, ema_directory, err));
        fathom_status status = path_make_directory(path, err);
        if (status == FATHOM_OK) status = fill_model(&t->ema->view, options->files_from, path, err);
        mem_free(path);
        TRY(status);
    }
    return save_state(t, directory, info, options->options_json, err);
}

static fathom_status write_checkpoint(const struct checkpoint_options *options,
                                      const struct trained *t, const struct state_info *info,
                                      struct error *err) {
    char *path = NULL, *temporary = NULL;
    fathom_status status = step_path(&path, options->run, info->step, err);
    if (status == FATHOM_OK) status = directory_begin(&temporary, path, true, err);
    if (status == FATHOM_OK) {
        status = fill_directory(options, t, info, temporary, err);
        if (status == FATHOM_OK)
            status = directory_commit(temporary, path, true, err);
        else
            directory_abort(temporary);
    }
    if (status == FATHOM_OK) status = publish(path, options->run, t->ema != NULL, err);
    if (status == FATHOM_OK) status = remove_old(options, err);
    mem_free(path);
    return status;
}

fathom_status checkpoint_save(const struct checkpoint_options *options, const struct trained *t,
                              const struct state_info *info, struct error *err) {
    const struct comm *comm = t->optimizer->zero.comm;
    struct stream stream;
    stream_init(&stream, t->model->device);
    if (comm && comm->rank > 0) return moments_serve(t->optimizer, &stream, err);
    return moments_end(t->optimizer, write_checkpoint(options, t, info, err), &stream, err);
}

/* ---- loading ---- */

/* What loading works with. */
struct state_load {
    const struct checkpoint *checkpoint;
    struct stream stream;
    void *buffer;                /* the largest tensor's bytes */
    uint64_t *hashes, *recorded; /* [params] */
};

/* Compares every weight of a model with the checksums in the state. */
static fathom_status check_weights(struct state_load *l, const struct model *model,
                                   const char *name_of_hashes, struct error *err) {
    const struct param_list *list = &model->params;
    TRY(state_read(l->checkpoint->state, name_of_hashes, DTYPE_U64, 0, list->count, l->recorded,
                   err));
    TRY(hash_weights(model, &l->stream, l->buffer, l->hashes, err));
    for (int64_t i = 0; i < list->count; i++) {
        char name[TENSOR_NAME_MAX];
        if (l->hashes[i] == l->recorded[i]) continue;
        param_name(&list->items[i], name);
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
    TRY(mem_new_raw(&l->buffer, (size_t)largest_param(list), dtype_size(t->model->device->compute),
                    "a checkpoint", err));
    TRY(MEM_NEW(&l->hashes, list->count, "a checkpoint", err));
    TRY(MEM_NEW(&l->recorded, list->count, "a checkpoint", err));
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
    mem_free(load.hashes);
    mem_free(load.recorded);
    return status;
}
