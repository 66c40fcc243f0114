#include "format/state.h"

#include <inttypes.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "format/hex.h"
#include "format/state_file.h"

struct state {
    char *json_text; /* what state_open read; NULL when the bytes are the caller's */
    json_node *json;
    struct safetensors *tensors;
    struct state_info info;
};

static const char *const what = "state.json";

/* The file ends with the checksum of all that stands before it. */
static fathom_status check_seal(const char *text, size_t size, struct error *err) {
    const size_t prefix = sizeof STATE_SEAL_PREFIX - 1, suffix = sizeof STATE_SEAL_SUFFIX - 1;
    const size_t seal = prefix + HEX_DIGITS + suffix;
    uint64_t recorded;
    if (size < seal || memcmp(text + size - seal, STATE_SEAL_PREFIX, prefix) != 0 ||
        memcmp(text + size - suffix, STATE_SEAL_SUFFIX, suffix) != 0 ||
        !hex_parse(text + size - seal + prefix, &recorded))
        RAISE(FATHOM_BAD_INPUT, "%s does not end with its checksum", what);
    if (recorded != hash_bytes(text, size - seal))
        RAISE(FATHOM_BAD_INPUT, "%s is damaged (its checksum differs)", what);
    return FATHOM_OK;
}

static fathom_status check_version(const json_node *json, struct error *err) {
    const char *format = NULL;
    int64_t version = 0;
    TRY(json_need_string(json, "format", &format, what, err));
    if (strcmp(format, STATE_FORMAT) != 0)
        RAISE(FATHOM_BAD_INPUT, "%s: format is \"%s\", not \"%s\"", what, format, STATE_FORMAT);
    TRY(json_need_i64(json, "version", &version, what, err));
    if (version != STATE_VERSION)
        RAISE(FATHOM_UNSUPPORTED,
              "%s: training state of version %" PRId64 "; this program reads version %d", what,
              version, STATE_VERSION);
    return FATHOM_OK;
}

static fathom_status parse_info(struct state_info *info, const json_node *json, struct error *err) {
    TRY(json_need_i64(json, "step", &info->step, what, err));
    TRY(json_need_i64(json, "tokens_seen", &info->tokens_seen, what, err));
    TRY(json_need_i64(json, "samples_seen", &info->samples_seen, what, err));
    TRY(hex_need(json, "seed", &info->seed, what, err));
    TRY(hex_need(json, "data_identity", &info->data_identity, what, err));
    if (info->step < 0 || info->tokens_seen < 0 || info->samples_seen < 0)
        RAISE(FATHOM_BAD_INPUT,
              "%s: step %" PRId64 ", tokens_seen %" PRId64 ", samples_seen %" PRId64 " cannot be",
              what, info->step, info->tokens_seen, info->samples_seen);
    return FATHOM_OK;
}

static fathom_status parse_json(struct state *state, const char *text, size_t size,
                                struct error *err) {
    TRY(json_parse(&state->json, text, size, what, err));
    TRY(check_version(state->json, err));
    TRY(check_seal(text, size, err));
    TRY(parse_info(&state->info, state->json, err));
    if (!json_is_object(state_options(state)))
        RAISE(FATHOM_BAD_INPUT, "%s: options is not an object", what);
    return FATHOM_OK;
}

/* Both files speak of the same tensors. */
static fathom_status check_tensors(const struct state *state, struct error *err) {
    const json_node *hashes = json_member(state->json, "tensors");
    const struct safetensors *st = state->tensors;
    uint64_t header_hash = 0, hash;
    TRY(hex_need(state->json, "header", &header_hash, what, err));
    for (size_t i = 0; i < safetensors_count(st); i++) {
        const struct safetensors_entry *entry = safetensors_at(st, i);
        if (entry->dtype == DTYPE_COUNT)
            RAISE(FATHOM_UNSUPPORTED, "%s: tensor %s has dtype %s, which is not supported",
                  entry->file, entry->name, entry->dtype_name);
        TRY(hex_need(hashes, entry->name, &hash, "state.json: tensors", err));
    }
    if (json_count(hashes) != safetensors_count(st))
        RAISE(FATHOM_BAD_INPUT, "%s lists %zu tensors, but state.safetensors holds %zu", what,
              json_count(hashes), safetensors_count(st));
    if (safetensors_header_hash(st) != header_hash)
        RAISE(FATHOM_BAD_INPUT, "state.safetensors: the header is damaged (its checksum differs)");
    return FATHOM_OK;
}

static fathom_status open_files(struct state *state, const char *directory, struct error *err) {
    char *json_path = NULL, *tensors_path = NULL;
    size_t size = 0;
    fathom_status status = path_join(&json_path, directory, "state.json", err);
    if (status == FATHOM_OK) status = path_join(&tensors_path, directory, "state.safetensors", err);
    if (status == FATHOM_OK)
        status = file_read(json_path, SAFETENSORS_MAX_HEADER, &state->json_text, &size, err);
    if (status != FATHOM_OK) goto out;
    status = parse_json(state, state->json_text, size, err);
    if (status == FATHOM_OK) {
        status = safetensors_open(&state->tensors, tensors_path, err);
        if (status != FATHOM_OK) goto out;
        status = check_tensors(state, err);
    }
    if (status != FATHOM_OK) error_prefix(err, "%s", directory);
out:
    mem_free(json_path);
    mem_free(tensors_path);
    return status;
}

fathom_status state_open(struct state **out, const char *directory, struct error *err) {
    *out = NULL;
    struct state *state = NULL;
    TRY(MEM_NEW(&state, 1, "training state", err));
    fathom_status status = open_files(state, directory, err);
    if (status == FATHOM_OK)
        *out = state;
    else
        state_close(state);
    return status;
}

fathom_status state_open_memory(struct state **out, const void *json, size_t json_size,
                                const void *tensors, size_t tensors_size, struct error *err) {
    *out = NULL;
    struct state *state = NULL;
    TRY(MEM_NEW(&state, 1, "training state", err));
    fathom_status status = parse_json(state, json, json_size, err);
    if (status == FATHOM_OK)
        status = safetensors_open_memory(&state->tensors, tensors, tensors_size,
                                         "state.safetensors", err);
    if (status == FATHOM_OK) status = check_tensors(state, err);
    if (status == FATHOM_OK)
        *out = state;
    else
        state_close(state);
    return status;
}

void state_close(struct state *state) {
    if (!state) return;
    safetensors_close(state->tensors);
    json_free(state->json);
    mem_free(state->json_text);
    mem_free(state);
}

const struct state_info *state_get_info(const struct state *state) { return &state->info; }

const json_node *state_options(const struct state *state) {
    return json_member(state->json, "options");
}

const struct safetensors *state_tensors(const struct state *state) { return state->tensors; }

fathom_status state_read(const struct state *state, const char *name, enum dtype dtype,
                         int64_t offset, int64_t count, void *elements, struct error *err) {
    const struct safetensors_entry *entry = NULL;
    TRY(safetensors_need(state->tensors, name, &entry, err));
    if (entry->dtype != dtype)
        RAISE(FATHOM_BAD_INPUT, "%s: tensor %s is %s, not %s", entry->file, name,
              dtype_name(entry->dtype), dtype_name(dtype));
    int64_t all = safetensors_elements(entry);
    if (offset < 0 || count < 0 || offset > all || count > all - offset)
        RAISE(FATHOM_BAD_INPUT,
              "%s: tensor %s has %" PRId64 " elements; [%" PRId64 ", +%" PRId64 ") is asked for",
              entry->file, name, all, offset, count);
    size_t size = dtype_size(dtype);
    if (count > 0)
        memcpy(elements, (const char *)entry->data + (size_t)offset * size, (size_t)count * size);
    return FATHOM_OK;
}

static fathom_status verify_entry(const struct state *state, const struct safetensors_entry *entry,
                                  struct error *err) {
    uint64_t recorded = 0;
    TRY(hex_need(json_member(state->json, "tensors"), entry->name, &recorded, what, err));
    if (hash_bytes(entry->data, entry->size) != recorded)
        RAISE(FATHOM_BAD_INPUT, "%s: tensor %s is damaged (its checksum differs)", entry->file,
              entry->name);
    return FATHOM_OK;
}

fathom_status state_verify_tensor(const struct state *state, const char *name, struct error *err) {
    const struct safetensors_entry *entry = NULL;
    TRY(safetensors_need(state->tensors, name, &entry, err));
    return verify_entry(state, entry, err);
}

fathom_status state_verify(const struct state *state, struct error *err) {
    for (size_t i = 0; i < safetensors_count(state->tensors); i++)
        TRY(verify_entry(state, safetensors_at(state->tensors, i), err));
    return FATHOM_OK;
}
