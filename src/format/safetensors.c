#include "format/safetensors.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/text.h"

struct tensor_file {
    struct file_map map; /* zero when the bytes are the caller's */
    const unsigned char *bytes;
    size_t size;
    size_t data_begin;
    char *path;
    json_node *header; /* names and metadata are borrowed from it */
};

struct safetensors {
    char *path; /* what was opened, for messages */
    struct tensor_file *files;
    size_t file_count;
    struct safetensors_entry *entries;
    size_t count;
    const struct safetensors_entry **by_name; /* [count], sorted */
};

static const struct {
    enum dtype dtype;
    const char *name;
} dtype_names[] = {
    {DTYPE_F32, "F32"},       {DTYPE_F64, "F64"},      {DTYPE_BF16, "BF16"},
    {DTYPE_F16, "F16"},       {DTYPE_E4M3, "F8_E4M3"}, {DTYPE_E5M2, "F8_E5M2"},
    {DTYPE_UE8M0, "F8_E8M0"}, {DTYPE_I8, "I8"},        {DTYPE_U8, "U8"},
    {DTYPE_I16, "I16"},       {DTYPE_U16, "U16"},      {DTYPE_I32, "I32"},
    {DTYPE_U32, "U32"},       {DTYPE_I64, "I64"},      {DTYPE_U64, "U64"},
    {DTYPE_BOOL, "BOOL"},
};
enum { DTYPE_NAMES = sizeof dtype_names / sizeof dtype_names[0] };

const char *safetensors_dtype_name(enum dtype dtype) {
    for (size_t i = 0; i < DTYPE_NAMES; i++)
        if (dtype_names[i].dtype == dtype) return dtype_names[i].name;
    return NULL;
}

static enum dtype dtype_from_name(const char *name) {
    for (size_t i = 0; i < DTYPE_NAMES; i++)
        if (strcmp(dtype_names[i].name, name) == 0) return dtype_names[i].dtype;
    return DTYPE_COUNT;
}

int64_t safetensors_elements(const struct safetensors_entry *entry) {
    int64_t elements = 1;
    for (int i = 0; i < entry->ndim; i++) elements *= entry->shape[i];
    return elements;
}

char *safetensors_shape_text(const struct safetensors_entry *entry,
                             char buffer[SAFETENSORS_SHAPE_TEXT]) {
    size_t used = 0;
    buffer[used++] = '[';
    for (int i = 0; i < entry->ndim; i++)
        used += (size_t)snprintf(buffer + used, SAFETENSORS_SHAPE_TEXT - used, "%s%" PRId64,
                                 i ? ", " : "", entry->shape[i]);
    snprintf(buffer + used, SAFETENSORS_SHAPE_TEXT - used, "]");
    return buffer;
}

static fathom_status parse_shape(struct safetensors_entry *entry, const json_node *shape,
                                 struct error *err) {
    if (!json_is_array(shape)) RAISE(FATHOM_BAD_INPUT, "shape is not an array");
    if (json_count(shape) > SAFETENSORS_MAX_DIMS)
        RAISE(FATHOM_UNSUPPORTED, "shape has %zu dimensions; at most %d are supported",
              json_count(shape), SAFETENSORS_MAX_DIMS);
    entry->ndim = (int)json_count(shape);
    int64_t elements = 1;
    for (int i = 0; i < entry->ndim; i++) {
        const json_node *dim = json_element(shape, (size_t)i);
        if (!json_is_integer(dim) || json_integer(dim) < 0)
            RAISE(FATHOM_BAD_INPUT, "shape[%d] is not a whole number >= 0", i);
        entry->shape[i] = json_integer(dim);
        if (__builtin_mul_overflow(elements, entry->shape[i], &elements))
            RAISE(FATHOM_BAD_INPUT, "shape has more than 2^63 elements");
    }
    return FATHOM_OK;
}

/* The range of an entry inside the file's data. */
static fathom_status parse_offsets(struct safetensors_entry *entry, const struct tensor_file *file,
                                   const json_node *offsets, struct error *err) {
    const json_node *first = json_element(offsets, 0), *second = json_element(offsets, 1);
    if (json_count(offsets) != 2 || !json_is_integer(first) || !json_is_integer(second))
        RAISE(FATHOM_BAD_INPUT, "data_offsets are not two whole numbers");
    int64_t begin = json_integer(first), end = json_integer(second);
    size_t data_size = file->size - file->data_begin;
    if (begin < 0 || end < begin || (uint64_t)end > data_size)
        RAISE(FATHOM_BAD_INPUT,
              "data_offsets [%" PRId64 ", %" PRId64 "] outside the %zu bytes of data", begin, end,
              data_size);
    entry->data = file->bytes + file->data_begin + begin;
    entry->size = (size_t)(end - begin);
    return FATHOM_OK;
}

static fathom_status parse_entry(struct safetensors_entry *entry, const struct tensor_file *file,
                                 const json_node *node, struct error *err) {
    if (!json_is_object(node)) RAISE(FATHOM_BAD_INPUT, "is not a JSON object");
    TRY(json_need_string(node, "dtype", &entry->dtype_name, "tensor", err));
    entry->dtype = dtype_from_name(entry->dtype_name);
    entry->file = file->path;
    TRY(parse_shape(entry, json_member(node, "shape"), err));
    TRY(parse_offsets(entry, file, json_member(node, "data_offsets"), err));
    if (entry->dtype == DTYPE_COUNT) return FATHOM_OK;
    size_t size;
    if (!size_mul((size_t)safetensors_elements(entry), dtype_size(entry->dtype), &size) ||
        size != entry->size) {
        char shape[SAFETENSORS_SHAPE_TEXT];
        RAISE(FATHOM_BAD_INPUT, "%s of shape %s has %zu bytes of data", entry->dtype_name,
              safetensors_shape_text(entry, shape), entry->size);
    }
    return FATHOM_OK;
}

static int compare_places(const void *a, const void *b) {
    const struct safetensors_entry *x = a, *y = b;
    const char *x_begin = x->data, *y_begin = y->data;
    if (x_begin != y_begin) return x_begin < y_begin ? -1 : 1;
    if (x->size != y->size) return x->size < y->size ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* The entries, in order of their places, cover the data without holes or overlaps. */
static fathom_status check_cover(const struct tensor_file *file,
                                 const struct safetensors_entry *entries, size_t count,
                                 struct error *err) {
    const unsigned char *next = file->bytes + file->data_begin;
    for (size_t i = 0; i < count; i++) {
        if (entries[i].data != next)
            RAISE(FATHOM_BAD_INPUT, "%s: tensor %s: its data %s the data before it", file->path,
                  entries[i].name,
                  (const unsigned char *)entries[i].data < next ? "overlap" : "leave a hole after");
        next += entries[i].size;
    }
    size_t left = file->size - (size_t)(next - file->bytes);
    if (left != 0)
        RAISE(FATHOM_BAD_INPUT, "%s: %zu bytes after the last tensor belong to none", file->path,
              left);
    return FATHOM_OK;
}

static fathom_status check_metadata(const struct tensor_file *file, struct error *err) {
    const json_node *metadata = json_member(file->header, "__metadata__");
    if (json_is_null(metadata)) return FATHOM_OK;
    if (!json_is_object(metadata))
        RAISE(FATHOM_BAD_INPUT, "%s: __metadata__ is not an object", file->path);
    const char *key;
    json_node *value;
    for (void *it = NULL; json_next_member(metadata, &it, &key, &value);)
        if (!json_is_string(value))
            RAISE(FATHOM_BAD_INPUT, "%s: __metadata__: %s is not a string", file->path, key);
    return FATHOM_OK;
}

static fathom_status parse_header(struct tensor_file *file, struct error *err) {
    uint64_t size;
    if (file->size < sizeof size)
        RAISE(FATHOM_BAD_INPUT, "%s: %zu bytes are too few for a safetensors file", file->path,
              file->size);
    memcpy(&size, file->bytes, sizeof size);
    if (size > SAFETENSORS_MAX_HEADER || size > file->size - sizeof size)
        RAISE(FATHOM_BAD_INPUT,
              "%s: header of %" PRIu64 " bytes in a file of %zu; truncated, or not safetensors",
              file->path, size, file->size);
    file->data_begin = sizeof size + (size_t)size;
    const char *text = (const char *)file->bytes + sizeof size;
    if (size == 0 || text[0] != '{')
        RAISE(FATHOM_BAD_INPUT, "%s: the header does not begin with {", file->path);
    TRY(json_parse(&file->header, text, (size_t)size, file->path, err));
    return check_metadata(file, err);
}

/* Appends the file's tensors; with a weight_map, those that it places in this file. */
static fathom_status add_entries(struct safetensors *st, const struct tensor_file *file,
                                 const char *file_name, const json_node *weight_map,
                                 struct error *err) {
    size_t most = json_count(file->header);
    TRY(mem_grow((void **)&st->entries, st->count, st->count + most, sizeof *st->entries,
                 "tensor entries", err));
    struct safetensors_entry *entries = st->entries + st->count;
    size_t count = 0;
    const char *name;
    json_node *node;
    for (void *it = NULL; json_next_member(file->header, &it, &name, &node);) {
        if (strcmp(name, "__metadata__") == 0) continue;
        entries[count] = (struct safetensors_entry){.name = name};
        if (parse_entry(&entries[count], file, node, err) != FATHOM_OK)
            return error_prefix(err, "%s: tensor %s", file->path, name);
        count++;
    }
    if (count > 0) qsort(entries, count, sizeof *entries, compare_places);
    TRY(check_cover(file, entries, count, err));
    for (size_t i = 0; i < count; i++) {
        if (weight_map &&
            strcmp(json_string(json_member(weight_map, entries[i].name), NULL), file_name) != 0)
            continue;
        st->entries[st->count++] = entries[i];
    }
    return FATHOM_OK;
}

static int compare_names(const void *a, const void *b) {
    const struct safetensors_entry *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

static fathom_status index_names(struct safetensors *st, struct error *err) {
    TRY(mem_new((void **)&st->by_name, st->count, sizeof(void *), "tensor names", err));
    for (size_t i = 0; i < st->count; i++) st->by_name[i] = &st->entries[i];
    if (st->count > 0) qsort(st->by_name, st->count, sizeof(void *), compare_names);
    return FATHOM_OK;
}

static fathom_status open_file(struct tensor_file *file, const char *path, struct error *err) {
    TRY(string_copy(&file->path, path, err));
    TRY(file_map_open(&file->map, path, err));
    file->bytes = file->map.data;
    file->size = file->map.size;
    return parse_header(file, err);
}

static fathom_status new_files(struct safetensors *st, size_t count, struct error *err) {
    TRY(MEM_NEW(&st->files, count, "safetensors files", err));
    st->file_count = count;
    return FATHOM_OK;
}

static fathom_status open_single(struct safetensors *st, const char *path, struct error *err) {
    TRY(new_files(st, 1, err));
    TRY(open_file(&st->files[0], path, err));
    return add_entries(st, &st->files[0], "", NULL, err);
}

static int compare_strings(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The different file names of a weight_map, sorted: *names is [json_count(weight_map)]. They are
 * plain names, so that an index cannot reach outside its directory. */
static fathom_status list_files(const json_node *weight_map, const char **names, size_t *count,
                                struct error *err) {
    size_t all = 0;
    const char *tensor;
    json_node *value;
    for (void *it = NULL; json_next_member(weight_map, &it, &tensor, &value);) {
        size_t size;
        const char *name = json_string(value, &size);
        if (!json_is_string(value) || strlen(name) != size || strchr(name, '/') ||
            !string_ends_with(name, ".safetensors"))
            RAISE(FATHOM_BAD_INPUT,
                  "tensor %s is placed in \"%s\", which is no .safetensors file name", tensor,
                  name);
        names[all++] = name;
    }
    qsort(names, all, sizeof *names, compare_strings);
    *count = 0;
    for (size_t i = 0; i < all; i++)
        if (i == 0 || strcmp(names[i], names[i - 1]) != 0) names[(*count)++] = names[i];
    return FATHOM_OK;
}

static fathom_status check_index_complete(const struct safetensors *st, const json_node *weight_map,
                                          struct error *err) {
    const char *tensor;
    json_node *file;
    if (st->count == json_count(weight_map)) return FATHOM_OK;
    for (void *it = NULL; json_next_member(weight_map, &it, &tensor, &file);)
        if (!safetensors_find(st, tensor))
            RAISE(FATHOM_BAD_INPUT, "tensor %s is placed in %s, which does not hold it", tensor,
                  json_string(file, NULL));
    return FATHOM_OK;
}

static fathom_status open_shard(struct safetensors *st, size_t i, const char *directory,
                                const char *name, const json_node *weight_map, struct error *err) {
    char *path = NULL;
    TRY(path_join(&path, directory, name, err));
    fathom_status status = open_file(&st->files[i], path, err);
    if (status == FATHOM_OK) status = add_entries(st, &st->files[i], name, weight_map, err);
    mem_free(path);
    return status;
}

static fathom_status open_indexed(struct safetensors *st, const char *directory,
                                  const json_node *index, struct error *err) {
    const json_node *weight_map = json_member(index, "weight_map");
    if (!json_is_object(weight_map) || json_count(weight_map) == 0)
        RAISE(FATHOM_BAD_INPUT, "has no weight_map, or an empty one");
    const char **names = NULL;
    size_t count = 0;
    TRY(mem_new((void **)&names, json_count(weight_map), sizeof *names, "shard names", err));
    fathom_status status = list_files(weight_map, names, &count, err);
    if (status == FATHOM_OK) status = new_files(st, count, err);
    for (size_t i = 0; i < count && status == FATHOM_OK; i++)
        status = open_shard(st, i, directory, names[i], weight_map, err);
    mem_free(names);
    TRY(status);
    TRY(index_names(st, err));
    return check_index_complete(st, weight_map, err);
}

static fathom_status open_directory(struct safetensors *st, const char *directory,
                                    struct error *err) {
    char *single = NULL, *index_path = NULL;
    json_node *index = NULL;
    fathom_status status = path_join(&single, directory, "model.safetensors", err);
    if (status == FATHOM_OK)
        status = path_join(&index_path, directory, "model.safetensors.index.json", err);
    if (status != FATHOM_OK) goto out;
    if (path_exists(single)) {
        status = open_single(st, single, err);
        if (status == FATHOM_OK) status = index_names(st, err);
        goto out;
    }
    if (!path_exists(index_path)) {
        status = error_set(err, FATHOM_IO,
                           "%s holds neither model.safetensors nor model.safetensors.index.json",
                           directory);
        goto out;
    }
    status = json_read_file(&index, index_path, SAFETENSORS_MAX_HEADER, err);
    if (status != FATHOM_OK) goto out;
    status = open_indexed(st, directory, index, err);
    if (status != FATHOM_OK) error_prefix(err, "%s", index_path);
out:
    json_free(index);
    mem_free(index_path);
    mem_free(single);
    return status;
}

static fathom_status open_path(struct safetensors *st, const char *path, struct error *err) {
    if (path_is_directory(path)) return open_directory(st, path, err);
    TRY(open_single(st, path, err));
    return index_names(st, err);
}

static fathom_status open_bytes(struct safetensors *st, const void *bytes, size_t size,
                                struct error *err) {
    TRY(new_files(st, 1, err));
    struct tensor_file *file = &st->files[0];
    file->bytes = bytes;
    file->size = size;
    TRY(string_copy(&file->path, st->path, err));
    TRY(parse_header(file, err));
    TRY(add_entries(st, file, "", NULL, err));
    return index_names(st, err);
}

static fathom_status new_named(struct safetensors **out, const char *path, struct error *err) {
    *out = NULL;
    struct safetensors *st = NULL;
    TRY(MEM_NEW(&st, 1, "safetensors", err));
    fathom_status status = string_copy(&st->path, path, err);
    if (status == FATHOM_OK)
        *out = st;
    else
        mem_free(st);
    return status;
}

/* Closes what a failed open left. */
static fathom_status opened(struct safetensors **out, fathom_status status) {
    if (status == FATHOM_OK) return FATHOM_OK;
    safetensors_close(*out);
    *out = NULL;
    return status;
}

fathom_status safetensors_open(struct safetensors **out, const char *path, struct error *err) {
    TRY(new_named(out, path, err));
    return opened(out, open_path(*out, path, err));
}

fathom_status safetensors_open_memory(struct safetensors **out, const void *bytes, size_t size,
                                      const char *what, struct error *err) {
    TRY(new_named(out, what, err));
    return opened(out, open_bytes(*out, bytes, size, err));
}

void safetensors_close(struct safetensors *st) {
    if (!st) return;
    for (size_t i = 0; i < st->file_count; i++) {
        json_free(st->files[i].header);
        file_map_close(&st->files[i].map);
        mem_free(st->files[i].path);
    }
    mem_free(st->files);
    mem_free(st->entries);
    mem_free(st->by_name);
    mem_free(st->path);
    mem_free(st);
}

size_t safetensors_count(const struct safetensors *st) { return st->count; }

const struct safetensors_entry *safetensors_at(const struct safetensors *st, size_t i) {
    return &st->entries[i];
}

static int compare_name_entry(const void *name, const void *entry) {
    return strcmp(name, (*(const struct safetensors_entry *const *)entry)->name);
}

const struct safetensors_entry *safetensors_find(const struct safetensors *st, const char *name) {
    if (st->count == 0) return NULL;
    const struct safetensors_entry *const *found =
        bsearch(name, st->by_name, st->count, sizeof(void *), compare_name_entry);
    return found ? *found : NULL;
}

fathom_status safetensors_need(const struct safetensors *st, const char *name,
                               const struct safetensors_entry **out, struct error *err) {
    *out = safetensors_find(st, name);
    if (!*out) RAISE(FATHOM_BAD_INPUT, "%s: no tensor named %s", st->path, name);
    if ((*out)->dtype == DTYPE_COUNT)
        RAISE(FATHOM_UNSUPPORTED, "%s: tensor %s has dtype %s, which is not supported",
              (*out)->file, name, (*out)->dtype_name);
    return FATHOM_OK;
}

const char *safetensors_metadata(const struct safetensors *st, const char *key) {
    const json_node *value = json_member(json_member(st->files[0].header, "__metadata__"), key);
    return json_is_string(value) ? json_string(value, NULL) : NULL;
}

uint64_t safetensors_header_hash(const struct safetensors *st) {
    uint64_t hash = 0;
    for (size_t i = 0; i < st->file_count; i++)
        hash = hash_bytes_seeded(st->files[i].bytes, st->files[i].data_begin, hash);
    return hash;
}
