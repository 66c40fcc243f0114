#include "data/part_log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checksum.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"

struct part_log {
    char *directory, *name;
    int64_t parts;           /* that were cut */
    struct file_writer *out; /* of the part being written; NULL: none is open */
    struct checksum *checksum;
};

fathom_status part_log_open(struct part_log **out, const char *directory, const char *name,
                            int64_t parts, struct error *err) {
    struct part_log *log = NULL;
    *out = NULL;
    TRY(MEM_NEW(&log, 1, name, err));
    log->parts = parts;
    fathom_status status = string_copy(&log->directory, directory, err);
    if (status == FATHOM_OK) status = string_copy(&log->name, name, err);
    if (status == FATHOM_OK) status = checksum_new(&log->checksum, err);
    if (status == FATHOM_OK)
        *out = log;
    else
        part_log_close(log);
    return status;
}

void part_log_close(struct part_log *log) {
    if (!log) return;
    file_writer_abort(log->out);
    checksum_free(log->checksum);
    mem_free(log->directory);
    mem_free(log->name);
    mem_free(log);
}

static fathom_status path_of(char **path, const struct part_log *log, int64_t part,
                             struct error *err) {
    char name[128];
    snprintf(name, sizeof name, "%s.part-%05" PRId64, log->name, part);
    return path_join(path, log->directory, name, err);
}

static void hash_bytes_of(unsigned char bytes[8], uint64_t hash) {
    for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)(hash >> (8 * i));
}

static fathom_status begin_part(struct part_log *log, struct error *err) {
    const unsigned char hash[8] = {0};
    char *path = NULL;
    if (log->out) return FATHOM_OK;
    TRY(path_of(&path, log, log->parts, err));
    fathom_status status = file_writer_open(&log->out, path, err);
    mem_free(path);
    TRY(status);
    checksum_reset(log->checksum);
    file_writer_put(log->out, hash, sizeof hash);
    return FATHOM_OK;
}

fathom_status part_log_put(struct part_log *log, const void *bytes, size_t size,
                           struct error *err) {
    TRY(begin_part(log, err));
    checksum_add(log->checksum, bytes, size);
    file_writer_put(log->out, bytes, size);
    return FATHOM_OK;
}

fathom_status part_log_cut(struct part_log *log, struct error *err) {
    unsigned char hash[8];
    TRY(begin_part(log, err));
    hash_bytes_of(hash, checksum_value(log->checksum));
    file_writer_put_at(log->out, 0, hash, sizeof hash);
    struct file_writer *out = log->out;
    log->out = NULL;
    TRY(file_writer_commit(out, err));
    log->parts++;
    return FATHOM_OK;
}

static fathom_status read_part(const char *path, part_log_fn *fn, void *arg, struct error *err) {
    struct file_map map;
    unsigned char hash[8];
    TRY(file_map_open(&map, path, err));
    fathom_status status = FATHOM_OK;
    if (map.size >= sizeof hash)
        hash_bytes_of(hash, hash_bytes(map.data + sizeof hash, map.size - sizeof hash));
    if (map.size < sizeof hash || memcmp(hash, map.data, sizeof hash) != 0)
        status =
            error_set(err, FATHOM_BAD_INPUT, "%s: the checksum does not fit: it is damaged", path);
    else
        status = fn(arg, map.data + sizeof hash, map.size - sizeof hash, err);
    file_map_close(&map);
    return status;
}

fathom_status part_log_read(const struct part_log *log, part_log_fn *fn, void *arg,
                            struct error *err) {
    for (int64_t part = 0; part < log->parts; part++) {
        char *path = NULL;
        TRY(path_of(&path, log, part, err));
        fathom_status status = read_part(path, fn, arg, err);
        mem_free(path);
        TRY(status);
    }
    return FATHOM_OK;
}

fathom_status part_log_remove(struct part_log *log, struct error *err) {
    for (; log->parts > 0; log->parts--) {
        char *path = NULL;
        TRY(path_of(&path, log, log->parts - 1, err));
        fathom_status status = path_remove(path, err);
        mem_free(path);
        TRY(status);
    }
    return FATHOM_OK;
}
