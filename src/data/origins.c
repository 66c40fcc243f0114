#include "data/origins.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checksum.h"
#include "base/file.h"
#include "base/memory.h"

enum { HEADER_SIZE = 32, RECORD_SIZE = 16, VERSION = 1 };
static const char magic[8] = {'F', 'A', 'T', 'H', 'O', 'R', 'I', 'G'};

static fathom_status path_of(char **path, const char *directory, enum shard_split split,
                             struct error *err) {
    char name[40];
    snprintf(name, sizeof name, "%s-origins.bin", shard_split_name(split));
    return path_join(path, directory, name, err);
}

static void put_u64(unsigned char *to, uint64_t value) {
    for (int i = 0; i < 8; i++) to[i] = (unsigned char)(value >> (8 * i));
}
static uint64_t get_u64(const unsigned char *from) {
    uint64_t value = 0;
    for (int i = 0; i < 8; i++) value |= (uint64_t)from[i] << (8 * i);
    return value;
}

static void make_header(unsigned char header[HEADER_SIZE], uint64_t records, uint64_t hash) {
    memcpy(header, magic, sizeof magic);
    put_u64(header + 8, VERSION);
    put_u64(header + 16, records);
    put_u64(header + 24, hash);
}

/* ---- writing ---- */

const char *origins_log_name(enum shard_split split) {
    return split == SHARD_TRAIN ? "train-origins" : "heldout-origins";
}

fathom_status origins_put(struct part_log *log, struct origin origin, enum document_form form,
                          struct error *err) {
    unsigned char record[RECORD_SIZE];
    put_u64(record, origin.line);
    put_u64(record + 8, origin.file | (uint64_t)form << 32);
    return part_log_put(log, record, sizeof record, err);
}

/* The file while it is put together. */
struct origins_file {
    struct file_writer *out;
    struct checksum *checksum;
};

static fathom_status add_part(void *arg, const void *bytes, size_t size, struct error *err) {
    const struct origins_file *f = arg;
    (void)err;
    checksum_add(f->checksum, bytes, size);
    file_writer_put(f->out, bytes, size);
    return FATHOM_OK;
}

static fathom_status write_all(struct origins_file *f, const struct part_log *log, const char *path,
                               struct error *err) {
    unsigned char header[HEADER_SIZE] = {0};
    TRY(checksum_new(&f->checksum, err));
    TRY(file_writer_open(&f->out, path, err));
    file_writer_put(f->out, header, sizeof header);
    TRY(part_log_read(log, add_part, f, err));
    make_header(header, (file_writer_size(f->out) - HEADER_SIZE) / RECORD_SIZE,
                checksum_value(f->checksum));
    file_writer_put_at(f->out, 0, header, sizeof header);
    struct file_writer *out = f->out;
    f->out = NULL;
    return file_writer_commit(out, err);
}

fathom_status origins_write(const struct part_log *log, const char *directory,
                            enum shard_split split, struct error *err) {
    struct origins_file f = {0};
    char *path = NULL;
    TRY(path_of(&path, directory, split, err));
    fathom_status status = write_all(&f, log, path, err);
    file_writer_abort(f.out);
    checksum_free(f.checksum);
    mem_free(path);
    return status;
}

/* ---- reading ---- */

struct origins {
    struct file_map map;
};

static fathom_status check(const struct file_map *map, const char *path, int64_t documents,
                           struct error *err) {
    const uint64_t records = (uint64_t)documents;
    if (map->size < HEADER_SIZE || memcmp(map->data, magic, sizeof magic) != 0)
        RAISE(FATHOM_BAD_INPUT, "%s: not a list of origins", path);
    if (get_u64(map->data + 8) != VERSION)
        RAISE(FATHOM_UNSUPPORTED, "%s: version %" PRIu64 " of the format is not known", path,
              get_u64(map->data + 8));
    if (get_u64(map->data + 16) != records || (map->size - HEADER_SIZE) / RECORD_SIZE != records ||
        (map->size - HEADER_SIZE) % RECORD_SIZE != 0)
        RAISE(FATHOM_BAD_INPUT, "%s: has %zu bytes, which is not what %" PRId64 " documents take",
              path, map->size, documents);
    if (hash_bytes(map->data + HEADER_SIZE, map->size - HEADER_SIZE) != get_u64(map->data + 24))
        RAISE(FATHOM_BAD_INPUT, "%s: the checksum does not fit: it is damaged", path);
    for (uint64_t i = 0; i < records; i++)
        if (get_u64(map->data + HEADER_SIZE + i * RECORD_SIZE + 8) >> 32 >= FORMS)
            RAISE(FATHOM_BAD_INPUT, "%s: document %" PRIu64 " has an unknown form", path, i);
    return FATHOM_OK;
}

fathom_status origins_open(struct origins **out, const char *directory, enum shard_split split,
                           int64_t documents, struct error *err) {
    struct origins *o = NULL;
    char *path = NULL;
    *out = NULL;
    TRY(path_of(&path, directory, split, err));
    fathom_status status = FATHOM_OK;
    if (path_exists(path)) {
        status = MEM_NEW(&o, 1, "the documents' origins", err);
        if (status == FATHOM_OK) status = file_map_open(&o->map, path, err);
        if (status == FATHOM_OK) status = check(&o->map, path, documents, err);
    }
    mem_free(path);
    if (status == FATHOM_OK)
        *out = o;
    else
        origins_close(o);
    return status;
}

void origins_close(struct origins *o) {
    if (!o) return;
    file_map_close(&o->map);
    mem_free(o);
}

struct origin origins_of(const struct origins *o, int64_t document, enum document_form *form) {
    const unsigned char *record = o->map.data + HEADER_SIZE + (size_t)document * RECORD_SIZE;
    uint64_t packed = get_u64(record + 8);
    *form = (enum document_form)(packed >> 32);
    return (struct origin){.line = get_u64(record), .file = (uint32_t)packed};
}
