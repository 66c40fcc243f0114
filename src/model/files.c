#include "model/files.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "format/safetensors.h"

enum { COPY_CHUNK = 1 << 18 /* elements */ };

/* One chunk of values on their way between a file and the device. */
struct copy_chunk {
    float values[COPY_CHUNK];
    double wide[COPY_CHUNK];
};

/* ---- loading ---- */

static fathom_status check_entry(const struct safetensors_entry *entry, const struct param *p,
                                 struct error *err) {
    char shape[SAFETENSORS_SHAPE_TEXT];
    bool is_vector = param_is_vector(p);
    bool fits = is_vector
                    ? entry->ndim == 1 && entry->shape[0] == p->cols
                    : entry->ndim == 2 && entry->shape[0] == p->rows && entry->shape[1] == p->cols;
    if (!fits && is_vector)
        RAISE(FATHOM_BAD_INPUT, "%s: %s has shape %s, but config.json makes it [%lld]", entry->file,
              entry->name, safetensors_shape_text(entry, shape), (long long)p->cols);
    if (!fits)
        RAISE(FATHOM_BAD_INPUT, "%s: %s has shape %s, but config.json makes it [%lld, %lld]",
              entry->file, entry->name, safetensors_shape_text(entry, shape), (long long)p->rows,
              (long long)p->cols);
    if (entry->dtype == DTYPE_F32 || entry->dtype == DTYPE_F16 || entry->dtype == DTYPE_BF16 ||
        entry->dtype == DTYPE_F64)
        return FATHOM_OK;
    RAISE(FATHOM_UNSUPPORTED, "%s: %s has dtype %s; this command reads F32, F16 and BF16 weights",
          entry->file, entry->name, entry->dtype_name);
}

static void load_values(struct stream *stream, struct tensor w,
                        const struct safetensors_entry *entry, struct copy_chunk *chunk) {
    int64_t total = tensor_count(w);
    size_t from_size = dtype_size(entry->dtype), to_size = dtype_size(w.dtype);
    for (int64_t at = 0; at < total; at += COPY_CHUNK) {
        size_t count = (size_t)(total - at < COPY_CHUNK ? total - at : COPY_CHUNK);
        const char *from = (const char *)entry->data + (size_t)at * from_size;
        char *to = (char *)w.data + (size_t)at * to_size;
        if (w.dtype == DTYPE_F64) {
            dtype_to_f64(chunk->wide, from, entry->dtype, count);
            stream_upload(stream, to, chunk->wide, count * to_size);
        } else {
            dtype_to_f32(chunk->values, from, entry->dtype, count);
            stream_upload(stream, to, chunk->values, count * to_size);
        }
    }
}

static fathom_status load_params(struct model *model, const struct safetensors *st,
                                 struct copy_chunk *chunk, struct error *err) {
    struct stream stream;
    stream_init(&stream, model->device);
    for (int64_t i = 0; i < model->params.count; i++) {
        const struct param *p = &model->params.items[i];
        const struct safetensors_entry *entry = NULL;
        char name[TENSOR_NAME_MAX];
        param_name(p, name);
        TRY(safetensors_need(st, name, &entry, err));
        TRY(check_entry(entry, p, err));
        load_values(&stream, model_weight(model, p), entry, chunk);
    }
    return stream_check(&stream, err);
}

fathom_status model_load(struct model *model, const char *directory, struct error *err) {
    struct safetensors *st = NULL;
    struct copy_chunk *chunk = NULL;
    TRY(safetensors_open(&st, directory, err));
    fathom_status status = MEM_NEW(&chunk, 1, "loading weights", err);
    if (status == FATHOM_OK) status = load_params(model, st, chunk, err);
    mem_free(chunk);
    safetensors_close(st);
    return status;
}

fathom_status model_open(struct model **out, struct device *device, const char *directory,
                         unsigned flags, struct error *err) {
    struct model_config config;
    *out = NULL;
    TRY(config_read(&config, directory, err));
    TRY(model_new(out, device, &config, flags, err));
    fathom_status status = model_load(*out, directory, err);
    if (status != FATHOM_OK) {
        model_free(*out);
        *out = NULL;
    }
    return status;
}

/* ---- saving ---- */

/* A tensor of the file: a parameter, or an MTP layer's shared copy of one under another name. */
struct file_tensor {
    const struct param *param;
    char name[TENSOR_NAME_MAX];
};

typedef fathom_status file_tensor_fn(void *arg, const struct file_tensor *tensor,
                                     struct error *err);

static fathom_status each_shared_copy(const struct param_list *params, int64_t layer,
                                      file_tensor_fn *fn, void *arg, struct error *err) {
    const struct param *embedding = param_find(params, TENSOR_EMBEDDING, -1, -1);
    const struct param *head = param_find(params, TENSOR_HEAD, -1, -1);
    struct file_tensor copy = {.param = embedding};
    snprintf(copy.name, sizeof copy.name, "model.layers.%lld.embed_tokens.weight",
             (long long)layer);
    TRY(fn(arg, &copy, err));
    copy.param = head ? head : embedding;
    snprintf(copy.name, sizeof copy.name, "model.layers.%lld.shared_head.head.weight",
             (long long)layer);
    return fn(arg, &copy, err);
}

/* Calls fn for every tensor of the file, in the file's order. */
static fathom_status each_file_tensor(const struct weight_source *source, file_tensor_fn *fn,
                                      void *arg, struct error *err) {
    const struct model_config *c = source->config;
    for (int64_t i = 0; i < source->params->count; i++) {
        struct file_tensor tensor = {.param = &source->params->items[i]};
        param_name(tensor.param, tensor.name);
        TRY(fn(arg, &tensor, err));
    }
    for (int64_t k = 0; k < c->mtp_modules; k++)
        TRY(each_shared_copy(source->params, c->layers + k, fn, arg, err));
    return FATHOM_OK;
}

struct save {
    const struct weight_source *source;
    struct safetensors_writer *writer;
    struct copy_chunk *chunk;
};

static fathom_status save_declare(void *arg, const struct file_tensor *tensor, struct error *err) {
    struct save *save = arg;
    const struct param *p = tensor->param;
    const int64_t matrix[] = {p->rows, p->cols}, vector[] = {p->cols};
    bool is_vector = param_is_vector(p);
    return safetensors_writer_declare(save->writer, tensor->name, DTYPE_F32, is_vector ? 1 : 2,
                                      is_vector ? vector : matrix, err);
}

static fathom_status save_values(void *arg, const struct file_tensor *tensor, struct error *err) {
    struct save *save = arg;
    struct copy_chunk *chunk = save->chunk;
    const struct weight_source *source = save->source;
    const struct param *p = tensor->param;
    const bool is_wide = source->dtype == DTYPE_F64 && p->group != GROUP_STATE;
    for (int64_t at = 0; at < param_count(p); at += COPY_CHUNK) {
        const int64_t left = param_count(p) - at, count = left < COPY_CHUNK ? left : COPY_CHUNK;
        TRY(source->read(source->owner, p, at, count,
                         is_wide ? (void *)chunk->wide : (void *)chunk->values, err));
        for (int64_t i = 0; i < count && is_wide; i++) chunk->values[i] = (float)chunk->wide[i];
        TRY(safetensors_writer_put(save->writer, tensor->name, chunk->values,
                                   (size_t)count * sizeof(float), err));
    }
    return FATHOM_OK;
}

static fathom_status save_config(const struct model_config *config, const char *directory,
                                 struct error *err) {
    char *path = NULL;
    struct file_writer *file = NULL;
    struct text text = {0};
    config_write(config, &text);
    fathom_status status = text_check(&text, err);
    if (status == FATHOM_OK) status = path_join(&path, directory, "config.json", err);
    if (status == FATHOM_OK) status = file_writer_open(&file, path, err);
    if (status == FATHOM_OK) {
        file_writer_put(file, text_data(&text), text.size);
        status = file_writer_commit(file, err);
    }
    text_free(&text);
    mem_free(path);
    return status;
}

static fathom_status save_weights(struct save *save, const char *directory,
                                  uint64_t max_shard_bytes, struct error *err) {
    TRY(each_file_tensor(save->source, save_declare, save, err));
    TRY(safetensors_writer_begin_directory(save->writer, directory, max_shard_bytes, err));
    return each_file_tensor(save->source, save_values, save, err);
}

fathom_status model_save_from(const struct weight_source *source, const char *directory,
                              uint64_t max_shard_bytes, struct error *err) {
    struct save save = {.source = source};
    TRY(save_config(source->config, directory, err));
    TRY(MEM_NEW(&save.chunk, 1, "saving weights", err));
    fathom_status status = safetensors_writer_new(&save.writer, err);
    if (status == FATHOM_OK) status = save_weights(&save, directory, max_shard_bytes, err);
    if (status == FATHOM_OK)
        status = safetensors_writer_commit(save.writer, err);
    else
        safetensors_writer_abort(save.writer);
    mem_free(save.chunk);
    return status;
}

/* ---- a model that is here ---- */

fathom_status model_read(const struct model *model, struct stream *stream, const struct param *p,
                         int64_t first, int64_t count, void *to_host, struct error *err) {
    const struct tensor w = model_weight(model, p);
    const size_t size = dtype_size(w.dtype);
    stream_download(stream, to_host, (const char *)w.data + (size_t)first * size,
                    (size_t)count * size);
    return stream_check(stream, err);
}

struct local {
    const struct model *model;
    struct stream stream;
};

static fathom_status read_local(void *owner, const struct param *p, int64_t first, int64_t count,
                                void *to_host, struct error *err) {
    struct local *local = owner;
    return model_read(local->model, &local->stream, p, first, count, to_host, err);
}

fathom_status model_save(const struct model *model, const char *directory, uint64_t max_shard_bytes,
                         struct error *err) {
    struct local local = {.model = model};
    const struct weight_source source = {&model->config, &model->params, model->device->compute,
                                         read_local, &local};
    stream_init(&local.stream, model->device);
    return model_save_from(&source, directory, max_shard_bytes, err);
}
