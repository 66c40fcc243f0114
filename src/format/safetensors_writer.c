/* Headers need every shape before the first byte of data, so tensors are declared first; then the
 * plan (which tensor in which file at which offset) is fixed and the data stream through. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/text.h"
#include "format/safetensors.h"

enum { DATA_ALIGNMENT = 64 };

struct declared {
    char *name;
    int64_t shape[SAFETENSORS_MAX_DIMS];
    int ndim;
    enum dtype dtype;
    uint64_t size;  /* bytes */
    uint64_t begin; /* in the data of its file */
    size_t file;
};

struct safetensors_writer {
    struct declared *tensors;
    size_t count, capacity;
    uint64_t total;
    struct text metadata; /* members of __metadata__ */
    char *path;           /* the file, or the directory */
    bool is_directory;
    size_t file_count;
    struct file_writer *out; /* file `file` */
    size_t file;
    size_t current; /* the tensor whose bytes come next */
    uint64_t written;
    bool has_begun;
};

fathom_status safetensors_writer_new(struct safetensors_writer **out, struct error *err) {
    return MEM_NEW(out, 1, "safetensors writer", err);
}

static bool is_utf8(const char *string) {
    const unsigned char *bytes = (const unsigned char *)string;
    for (size_t left = strlen(string); left > 0;) {
        uint32_t code;
        int size = utf8_decode(bytes, left, &code);
        if (size == 0) return false;
        bytes += size;
        left -= (size_t)size;
    }
    return true;
}

static fathom_status measure(struct declared *tensor, struct error *err) {
    size_t size = dtype_size(tensor->dtype);
    for (int i = 0; i < tensor->ndim; i++)
        if (tensor->shape[i] < 0 || !size_mul(size, (size_t)tensor->shape[i], &size))
            RAISE(FATHOM_USAGE, "tensor %s: dimension %d is %" PRId64, tensor->name, i,
                  tensor->shape[i]);
    if (size > INT64_MAX) RAISE(FATHOM_USAGE, "tensor %s: %zu bytes", tensor->name, size);
    tensor->size = size;
    return FATHOM_OK;
}

fathom_status safetensors_writer_declare(struct safetensors_writer *writer, const char *name,
                                         enum dtype dtype, int ndim, const int64_t *shape,
                                         struct error *err) {
    if (writer->has_begun) RAISE(FATHOM_USAGE, "tensor %s is declared after begin", name);
    if (!is_utf8(name) || strcmp(name, "__metadata__") == 0)
        RAISE(FATHOM_USAGE, "\"%s\" cannot name a tensor", name);
    if (!safetensors_dtype_name(dtype))
        RAISE(FATHOM_UNSUPPORTED, "tensor %s: safetensors has no dtype for %s", name,
              dtype_name(dtype));
    if (ndim < 0 || ndim > SAFETENSORS_MAX_DIMS)
        RAISE(FATHOM_USAGE, "tensor %s: %d dimensions", name, ndim);
    if (writer->count == writer->capacity) {
        size_t capacity = writer->capacity * 2 + 64;
        TRY(mem_grow((void **)&writer->tensors, writer->capacity, capacity, sizeof *writer->tensors,
                     "declared tensors", err));
        writer->capacity = capacity;
    }
    struct declared *tensor = &writer->tensors[writer->count];
    *tensor = (struct declared){.dtype = dtype, .ndim = ndim};
    for (int i = 0; i < ndim; i++) tensor->shape[i] = shape[i];
    TRY(string_copy(&tensor->name, name, err));
    writer->count++;
    TRY(measure(tensor, err));
    if (__builtin_add_overflow(writer->total, tensor->size, &writer->total))
        RAISE(FATHOM_USAGE, "tensor %s: more than 2^64 bytes in all", name);
    return FATHOM_OK;
}

fathom_status safetensors_writer_metadata(struct safetensors_writer *writer, const char *key,
                                          const char *value, struct error *err) {
    if (writer->has_begun) RAISE(FATHOM_USAGE, "metadata %s comes after begin", key);
    text_append_char(&writer->metadata, ',');
    json_write_string(&writer->metadata, key, strlen(key));
    text_append_char(&writer->metadata, ':');
    json_write_string(&writer->metadata, value, strlen(value));
    return text_check(&writer->metadata, err);
}

uint64_t safetensors_writer_total(const struct safetensors_writer *writer) { return writer->total; }

static int compare_strings(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static fathom_status check_unique(const struct safetensors_writer *writer, struct error *err) {
    const char **names = NULL;
    TRY(mem_new((void **)&names, writer->count, sizeof *names, "tensor names", err));
    for (size_t i = 0; i < writer->count; i++) names[i] = writer->tensors[i].name;
    if (writer->count > 0) qsort(names, writer->count, sizeof *names, compare_strings);
    fathom_status status = FATHOM_OK;
    for (size_t i = 1; i < writer->count && status == FATHOM_OK; i++)
        if (strcmp(names[i], names[i - 1]) == 0)
            status = error_set(err, FATHOM_USAGE, "tensor %s is declared twice", names[i]);
    mem_free(names);
    return status;
}

/* Fills files in the declared order; a tensor that does not fit opens the next one. */
static void plan_files(struct safetensors_writer *writer, uint64_t max_bytes) {
    uint64_t used = 0;
    size_t file = 0;
    for (size_t i = 0; i < writer->count; i++) {
        struct declared *tensor = &writer->tensors[i];
        if (used > 0 && tensor->size > 0 && (used > max_bytes || tensor->size > max_bytes - used)) {
            file++;
            used = 0;
        }
        tensor->file = file;
        tensor->begin = used;
        used += tensor->size;
    }
    writer->file_count = file + 1;
}

static void write_header(const struct safetensors_writer *writer, struct text *header) {
    text_append_string(header, "{\"__metadata__\":{\"format\":\"pt\"");
    text_append(header, text_data(&writer->metadata), writer->metadata.size);
    text_append_char(header, '}');
    for (size_t i = 0; i < writer->count; i++) {
        const struct declared *tensor = &writer->tensors[i];
        if (tensor->file != writer->file) continue;
        text_append_char(header, ',');
        json_write_string(header, tensor->name, strlen(tensor->name));
        text_printf(header, ":{\"dtype\":\"%s\",\"shape\":[",
                    safetensors_dtype_name(tensor->dtype));
        for (int d = 0; d < tensor->ndim; d++)
            text_printf(header, "%s%" PRId64, d ? "," : "", tensor->shape[d]);
        text_printf(header, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", tensor->begin,
                    tensor->begin + tensor->size);
    }
    text_append_char(header, '}');
    while (!header->failed && (sizeof(uint64_t) + header->size) % DATA_ALIGNMENT != 0)
        text_append_char(header, ' ');
}

static void file_name(const struct safetensors_writer *writer, size_t file, char name[64]) {
    if (writer->file_count == 1)
        snprintf(name, 64, "model.safetensors");
    else
        snprintf(name, 64, "model-%05zu-of-%05zu.safetensors", file + 1, writer->file_count);
}

/* Opens file `writer->file` and writes its header. */
static fathom_status start_file(struct safetensors_writer *writer, struct error *err) {
    struct text header = {0};
    char *path = NULL, name[64];
    file_name(writer, writer->file, name);
    fathom_status status = writer->is_directory ? path_join(&path, writer->path, name, err)
                                                : string_copy(&path, writer->path, err);
    if (status != FATHOM_OK) goto out;
    write_header(writer, &header);
    status = text_check(&header, err);
    if (status != FATHOM_OK) goto out;
    if (header.size > SAFETENSORS_MAX_HEADER) {
        status =
            error_set(err, FATHOM_UNSUPPORTED, "%s: a header of %zu bytes; at most %zu are read",
                      path, header.size, SAFETENSORS_MAX_HEADER);
        goto out;
    }
    status = file_writer_open(&writer->out, path, err);
    if (status != FATHOM_OK) goto out;
    uint64_t size = header.size;
    file_writer_put(writer->out, &size, sizeof size);
    file_writer_put(writer->out, text_data(&header), header.size);
out:
    mem_free(path);
    text_free(&header);
    return status;
}

static fathom_status finish_file(struct safetensors_writer *writer, struct error *err) {
    struct file_writer *out = writer->out;
    writer->out = NULL;
    return file_writer_commit(out, err);
}

static fathom_status begin(struct safetensors_writer *writer, const char *path, uint64_t max_bytes,
                           struct error *err) {
    if (writer->has_begun) RAISE(FATHOM_USAGE, "%s: writing has begun already", path);
    TRY(check_unique(writer, err));
    TRY(string_copy(&writer->path, path, err));
    plan_files(writer, max_bytes);
    writer->has_begun = true;
    return start_file(writer, err);
}

fathom_status safetensors_writer_begin_file(struct safetensors_writer *writer, const char *path,
                                            struct error *err) {
    return begin(writer, path, UINT64_MAX, err);
}

fathom_status safetensors_writer_begin_directory(struct safetensors_writer *writer,
                                                 const char *directory, uint64_t max_shard_bytes,
                                                 struct error *err) {
    static const char *const names[] = {"model.safetensors", "model.safetensors.index.json"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char *path = NULL;
        TRY(path_join(&path, directory, names[i], err));
        bool is_there = path_exists(path);
        mem_free(path);
        if (is_there) RAISE(FATHOM_EXISTS, "%s already holds %s", directory, names[i]);
    }
    writer->is_directory = true;
    return begin(writer, directory, max_shard_bytes ? max_shard_bytes : SAFETENSORS_SHARD_BYTES,
                 err);
}

/* Moves past complete tensors, into the next file where the plan says so. */
static fathom_status advance(struct safetensors_writer *writer, struct error *err) {
    while (writer->current < writer->count &&
           writer->written == writer->tensors[writer->current].size) {
        writer->current++;
        writer->written = 0;
        if (writer->current == writer->count) break;
        if (writer->tensors[writer->current].file == writer->file) continue;
        TRY(finish_file(writer, err));
        writer->file++;
        TRY(start_file(writer, err));
    }
    return FATHOM_OK;
}

fathom_status safetensors_writer_put(struct safetensors_writer *writer, const char *name,
                                     const void *bytes, size_t size, struct error *err) {
    if (size == 0) return FATHOM_OK;
    TRY(advance(writer, err));
    if (!writer->out || writer->current == writer->count)
        RAISE(FATHOM_USAGE, "tensor %s: %zu bytes where none are expected", name, size);
    const struct declared *tensor = &writer->tensors[writer->current];
    if (strcmp(name, tensor->name) != 0)
        RAISE(FATHOM_USAGE, "tensor %s is written where %s comes next", name, tensor->name);
    if (size > tensor->size - writer->written)
        RAISE(FATHOM_USAGE, "tensor %s: %zu bytes more where %" PRIu64 " are left", name, size,
              tensor->size - writer->written);
    file_writer_put(writer->out, bytes, size);
    writer->written += size;
    return FATHOM_OK;
}

static fathom_status write_index(const struct safetensors_writer *writer, struct error *err) {
    struct text index = {0};
    char *path = NULL;
    struct file_writer *out = NULL;
    text_printf(&index, "{\n  \"metadata\": {\"total_size\": %" PRIu64 "},\n  \"weight_map\": {",
                writer->total);
    for (size_t i = 0; i < writer->count; i++) {
        char name[64];
        file_name(writer, writer->tensors[i].file, name);
        text_append_string(&index, i ? ",\n    " : "\n    ");
        json_write_string(&index, writer->tensors[i].name, strlen(writer->tensors[i].name));
        text_printf(&index, ": \"%s\"", name);
    }
    text_append_string(&index, "\n  }\n}\n");
    fathom_status status = text_check(&index, err);
    if (status == FATHOM_OK)
        status = path_join(&path, writer->path, "model.safetensors.index.json", err);
    if (status == FATHOM_OK) status = file_writer_open(&out, path, err);
    if (status == FATHOM_OK) {
        file_writer_put(out, text_data(&index), index.size);
        status = file_writer_commit(out, err);
    }
    mem_free(path);
    text_free(&index);
    return status;
}

fathom_status safetensors_writer_commit(struct safetensors_writer *writer, struct error *err) {
    fathom_status status = FATHOM_OK;
    if (!writer->out) status = error_set(err, FATHOM_USAGE, "safetensors: commit without begin");
    if (status == FATHOM_OK) status = advance(writer, err);
    if (status == FATHOM_OK && writer->current < writer->count)
        status = error_set(err, FATHOM_USAGE, "%s: tensor %s is not complete", writer->path,
                           writer->tensors[writer->current].name);
    if (status == FATHOM_OK) status = finish_file(writer, err);
    if (status == FATHOM_OK && writer->file_count > 1) status = write_index(writer, err);
    safetensors_writer_abort(writer);
    return status;
}

void safetensors_writer_abort(struct safetensors_writer *writer) {
    if (!writer) return;
    file_writer_abort(writer->out);
    for (size_t i = 0; i < writer->count; i++) mem_free(writer->tensors[i].name);
    mem_free(writer->tensors);
    text_free(&writer->metadata);
    mem_free(writer->path);
    mem_free(writer);
}
