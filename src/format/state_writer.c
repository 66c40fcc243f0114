#include <inttypes.h>
#include <string.h>

#include "base/checksum.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "format/state.h"
#include "format/state_file.h"

struct declared {
    char *name;
    int64_t elements;
    size_t element_size;
    uint64_t hash; /* once complete */
};

struct state_writer {
    struct safetensors_writer *tensors; /* NULL after its commit */
    struct declared *declared;
    size_t count, capacity;
    size_t current; /* the tensor that is being written */
    int64_t next;   /* its next element */
    struct checksum *checksum;
    struct state_info info;
    struct text options;
    char *json_path, *tensors_path;
};

fathom_status state_writer_new(struct state_writer **out, struct error *err) {
    *out = NULL;
    struct state_writer *writer = NULL;
    TRY(MEM_NEW(&writer, 1, "state writer", err));
    fathom_status status = safetensors_writer_new(&writer->tensors, err);
    if (status == FATHOM_OK) status = checksum_new(&writer->checksum, err);
    if (status == FATHOM_OK)
        *out = writer;
    else
        state_writer_abort(writer);
    return status;
}

fathom_status state_writer_declare(struct state_writer *writer, const char *name, enum dtype dtype,
                                   int ndim, const int64_t *shape, struct error *err) {
    TRY(safetensors_writer_declare(writer->tensors, name, dtype, ndim, shape, err));
    if (writer->count == writer->capacity) {
        size_t capacity = writer->capacity * 2 + 64;
        TRY(mem_grow((void **)&writer->declared, writer->capacity, capacity,
                     sizeof *writer->declared, "state tensors", err));
        writer->capacity = capacity;
    }
    struct declared *tensor = &writer->declared[writer->count];
    *tensor = (struct declared){.elements = 1, .element_size = dtype_size(dtype)};
    for (int i = 0; i < ndim; i++) tensor->elements *= shape[i]; /* checked by the line above */
    TRY(string_copy(&tensor->name, name, err));
    writer->count++;
    return FATHOM_OK;
}

/* An object is needed, or state.json would not be read again. */
static fathom_status take_options(struct state_writer *writer, const char *options_json,
                                  struct error *err) {
    const char *options = options_json ? options_json : "{}";
    json_node *root = NULL;
    TRY(json_parse(&root, options, strlen(options), "options", err));
    bool is_object = json_is_object(root);
    json_free(root);
    if (!is_object) RAISE(FATHOM_USAGE, "training state: options are not a JSON object");
    text_append_string(&writer->options, options);
    return text_check(&writer->options, err);
}

fathom_status state_writer_begin(struct state_writer *writer, const char *directory,
                                 const struct state_info *info, const char *options_json,
                                 struct error *err) {
    writer->info = *info;
    TRY(take_options(writer, options_json, err));
    TRY(path_join(&writer->json_path, directory, "state.json", err));
    TRY(path_join(&writer->tensors_path, directory, "state.safetensors", err));
    return safetensors_writer_begin_file(writer->tensors, writer->tensors_path, err);
}

/* Moves past complete tensors; those without elements are complete from the start. */
static void advance(struct state_writer *writer) {
    while (writer->current < writer->count &&
           writer->next == writer->declared[writer->current].elements) {
        writer->declared[writer->current].hash = checksum_value(writer->checksum);
        checksum_reset(writer->checksum);
        writer->current++;
        writer->next = 0;
    }
}

fathom_status state_writer_put(struct state_writer *writer, const char *name, int64_t offset,
                               const void *elements, int64_t count, struct error *err) {
    if (count == 0) return FATHOM_OK;
    advance(writer);
    if (writer->current == writer->count)
        RAISE(FATHOM_USAGE, "training state: %s is written after the last tensor", name);
    const struct declared *tensor = &writer->declared[writer->current];
    if (strcmp(name, tensor->name) != 0)
        RAISE(FATHOM_USAGE, "training state: %s is written where %s comes next", name,
              tensor->name);
    if (offset != writer->next || count < 0 || count > tensor->elements - offset)
        RAISE(FATHOM_USAGE,
              "training state: tensor %s: elements [%" PRId64 ", +%" PRId64 ") where [%" PRId64
              ", %" PRId64 ") are missing",
              name, offset, count, writer->next, tensor->elements);
    size_t size = (size_t)count * tensor->element_size;
    TRY(safetensors_writer_put(writer->tensors, name, elements, size, err));
    checksum_add(writer->checksum, elements, size);
    writer->next += count;
    return FATHOM_OK;
}

/* The header as it stands on the disk. */
static fathom_status hash_header(const struct state_writer *writer, uint64_t *hash,
                                 struct error *err) {
    struct safetensors *st = NULL;
    TRY(safetensors_open(&st, writer->tensors_path, err));
    *hash = safetensors_header_hash(st);
    safetensors_close(st);
    return FATHOM_OK;
}

static void write_json(const struct state_writer *writer, uint64_t header_hash, struct text *json) {
    const struct state_info *info = &writer->info;
    text_printf(json, "{\n  \"format\": \"%s\",\n  \"version\": %d,\n", STATE_FORMAT,
                STATE_VERSION);
    text_printf(json,
                "  \"step\": %" PRId64 ",\n  \"tokens_seen\": %" PRId64
                ",\n  \"samples_seen\": %" PRId64 ",\n",
                info->step, info->tokens_seen, info->samples_seen);
    text_printf(json, "  \"seed\": \"%016" PRIx64 "\",\n  \"data_identity\": \"%016" PRIx64 "\",\n",
                info->seed, info->data_identity);
    text_append_string(json, "  \"options\": ");
    text_append(json, text_data(&writer->options), writer->options.size);
    text_printf(json, ",\n  \"header\": \"%016" PRIx64 "\",\n  \"tensors\": {", header_hash);
    for (size_t i = 0; i < writer->count; i++) {
        text_append_string(json, i ? ",\n    " : "\n    ");
        json_write_string(json, writer->declared[i].name, strlen(writer->declared[i].name));
        text_printf(json, ": \"%016" PRIx64 "\"", writer->declared[i].hash);
    }
    text_append_string(json, "\n  }");
    uint64_t seal = hash_bytes(text_data(json), json->size);
    text_printf(json, "%s%016" PRIx64 "%s", STATE_SEAL_PREFIX, seal, STATE_SEAL_SUFFIX);
}

static fathom_status finish_json(const struct state_writer *writer, struct error *err) {
    uint64_t header_hash;
    struct file_writer *out = NULL;
    struct text json = {0};
    TRY(hash_header(writer, &header_hash, err));
    write_json(writer, header_hash, &json);
    fathom_status status = text_check(&json, err);
    if (status == FATHOM_OK) status = file_writer_open(&out, writer->json_path, err);
    if (status == FATHOM_OK) {
        file_writer_put(out, text_data(&json), json.size);
        status = file_writer_commit(out, err);
    }
    text_free(&json);
    return status;
}

fathom_status state_writer_commit(struct state_writer *writer, struct error *err) {
    advance(writer);
    struct safetensors_writer *tensors = writer->tensors;
    writer->tensors = NULL;
    fathom_status status = safetensors_writer_commit(tensors, err);
    if (status == FATHOM_OK) status = finish_json(writer, err);
    state_writer_abort(writer);
    return status;
}

void state_writer_abort(struct state_writer *writer) {
    if (!writer) return;
    safetensors_writer_abort(writer->tensors);
    checksum_free(writer->checksum);
    for (size_t i = 0; i < writer->count; i++) mem_free(writer->declared[i].name);
    mem_free(writer->declared);
    text_free(&writer->options);
    mem_free(writer->json_path);
    mem_free(writer->tensors_path);
    mem_free(writer);
}
