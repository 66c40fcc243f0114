#include "data/build_record.h"

#include <inttypes.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "data/origins.h"

enum { RECORD_VERSION = 1, STATE_VERSION = 1, STATE_MOST = 256 << 20 };
#define STATE_NAME "state.json"

/* What grows while the dataset is built. */
enum { LOG_ORIGINS, LOG_DROPPED = LOG_ORIGINS + SHARD_SPLITS, LOG_SEEN, LOGS };

struct build_record {
    const struct doc_reader *reader;
    char *directory;
    struct part_log *logs[LOGS];
    struct build_result *inputs; /* [doc_reader_files] */
    struct path_stamp *stamps;   /* [doc_reader_files] */
};

static const char *log_name(int log) {
    if (log == LOG_DROPPED) return "dropped";
    return log == LOG_SEEN ? "seen" : origins_log_name((enum shard_split)(log - LOG_ORIGINS));
}

fathom_status build_record_new(struct build_record **out, const char *directory,
                               const struct doc_reader *reader, int64_t checkpoints,
                               struct error *err) {
    struct build_record *r = NULL;
    *out = NULL;
    TRY(MEM_NEW(&r, 1, "the record of a dataset", err));
    r->reader = reader;
    fathom_status status = string_copy(&r->directory, directory, err);
    if (status == FATHOM_OK)
        status = MEM_NEW(&r->inputs, doc_reader_files(reader), "the record of a dataset", err);
    if (status == FATHOM_OK)
        status = MEM_NEW(&r->stamps, doc_reader_files(reader), "the record of a dataset", err);
    for (int i = 0; i < LOGS && status == FATHOM_OK; i++)
        status = part_log_open(&r->logs[i], directory, log_name(i), checkpoints, err);
    if (status == FATHOM_OK)
        *out = r;
    else
        build_record_free(r);
    return status;
}

void build_record_free(struct build_record *r) {
    if (!r) return;
    for (int i = 0; i < LOGS; i++) part_log_close(r->logs[i]);
    mem_free(r->directory);
    mem_free(r->inputs);
    mem_free(r->stamps);
    mem_free(r);
}

struct part_log *build_record_seen(struct build_record *r) {
    return r->logs[LOG_SEEN];
}

fathom_status build_record_keep(struct build_record *r, enum shard_split split,
                                struct origin origin, enum document_form form, struct error *err) {
    return origins_put(r->logs[LOG_ORIGINS + split], origin, form, err);
}

struct build_result *build_record_of(struct build_record *r, uint32_t file) {
    return &r->inputs[file];
}

/* A small file of the dataset, whole. */
static fathom_status write_file(const struct build_record *r, const char *name,
                                const struct text *text, struct error *err) {
    struct file_writer *out = NULL;
    char *path = NULL;
    TRY(text_check(text, err));
    TRY(path_join(&path, r->directory, name, err));
    fathom_status status = file_writer_open(&out, path, err);
    mem_free(path);
    TRY(status);
    file_writer_put(out, text_data(text), text->size);
    return file_writer_commit(out, err);
}

/* ---- dropped.jsonl ---- */

static void write_origin(struct text *line, const struct build_record *r, struct origin origin) {
    const char *path = doc_reader_path(r->reader, origin.file);
    text_append_string(line, "\"file\": ");
    json_write_string(line, path, strlen(path));
    if (origin.line > 0) text_printf(line, ", \"line\": %" PRIu64, origin.line);
}

static void write_reason(struct text *line, const struct build_record *r, const struct judgement *j,
                         const char *fault) {
    switch (j->verdict) {
    case VERDICT_MALFORMED:
        text_append_string(line, ", \"fault\": ");
        json_write_string(line, fault, strlen(fault));
        break;
    case VERDICT_FILTERED:
        text_printf(line, ", \"measure\": \"%s\", \"value\": ", measure_name(j->broken));
        json_write_f64(line, j->value);
        break;
    case VERDICT_CONTAMINATED:
        text_append_string(line, ", \"by\": ");
        json_write_string(line, j->contaminated_by, strlen(j->contaminated_by));
        break;
    case VERDICT_DUPLICATE:
    case VERDICT_NEAR_DUPLICATE:
        text_append_string(line, ", \"of\": {");
        write_origin(line, r, j->first);
        text_append_string(line, "}");
        break;
    default: break;
    }
}

fathom_status build_record_drop(struct build_record *r, struct origin origin,
                                const struct judgement *j, const char *fault, struct error *err) {
    struct text line = {0};
    text_append_string(&line, "{");
    write_origin(&line, r, origin);
    text_printf(&line, ", \"why\": \"%s\"", verdict_name(j->verdict));
    write_reason(&line, r, j, fault);
    text_append_string(&line, "}\n");
    fathom_status status = text_check(&line, err);
    if (status == FATHOM_OK) status = part_log_put(r->logs[LOG_DROPPED], line.data, line.size, err);
    text_free(&line);
    return status;
}

/* The file of all parts; NULL until there is something to put into it. */
struct dropped_file {
    const char *path;
    struct file_writer *out;
};

static fathom_status add_dropped(void *arg, const void *bytes, size_t size, struct error *err) {
    struct dropped_file *f = arg;
    if (size > 0 && !f->out) TRY(file_writer_open(&f->out, f->path, err));
    if (size > 0) file_writer_put(f->out, bytes, size);
    return FATHOM_OK;
}

static fathom_status write_dropped(const struct build_record *r, struct error *err) {
    struct dropped_file f = {0};
    char *path = NULL;
    TRY(path_join(&path, r->directory, "dropped.jsonl", err));
    f.path = path;
    fathom_status status = part_log_read(r->logs[LOG_DROPPED], add_dropped, &f, err);
    if (status == FATHOM_OK && f.out)
        status = file_writer_commit(f.out, err);
    else
        file_writer_abort(f.out);
    mem_free(path);
    return status;
}

/* ---- build.json ---- */

static void write_splits(struct text *out, const struct build_result *c) {
    for (int s = 0; s < SHARD_SPLITS; s++)
        text_printf(out,
                    "%s\"%s\": {\"documents\": %" PRId64 ", \"tokens\": %" PRId64
                    ", \"text_bytes\": %" PRId64 "}",
                    s ? ", " : "", shard_split_name((enum shard_split)s), c->documents[s],
                    c->tokens[s], c->text_bytes[s]);
}

/* {"name": count, ...} of those that are not zero. */
static void write_counts(struct text *out, const char *key, const int64_t *counts, int count,
                         const char *(*name)(int)) {
    const char *before = "";
    text_printf(out, ", \"%s\": {", key);
    for (int i = 0; i < count; i++) {
        if (counts[i] == 0) continue;
        text_printf(out, "%s\"%s\": %" PRId64, before, name(i), counts[i]);
        before = ", ";
    }
    text_append_string(out, "}");
}
static const char *name_of_verdict(int i) { return verdict_name((enum verdict)i); }
static const char *name_of_measure(int i) { return measure_name((enum measure)i); }
static const char *name_of_form(int i) { return document_form_name((enum document_form)i); }

static void write_input(struct text *out, const char *path, const struct build_result *c) {
    text_append_string(out, "\n    {\"file\": ");
    json_write_string(out, path, strlen(path));
    text_append_string(out, ", ");
    write_splits(out, c);
    write_counts(out, "forms", c->forms, FORMS, name_of_form);
    write_counts(out, "verdicts", c->verdicts, VERDICTS, name_of_verdict);
    write_counts(out, "broken", c->broken, MEASURES, name_of_measure);
    text_printf(out, ", \"mended\": %" PRId64 "}", c->mended);
}

static void write_record(struct text *out, const struct build_record *r, const char *settings) {
    text_printf(out, "{\n  \"format\": \"fathom build\",\n  \"version\": %d,\n", RECORD_VERSION);
    text_printf(out, "  \"settings\": %s,\n  \"inputs\": [", settings ? settings : "{}");
    for (size_t i = 0; i < doc_reader_files(r->reader); i++) {
        if (i > 0) text_append_string(out, ",");
        write_input(out, doc_reader_path(r->reader, i), &r->inputs[i]);
    }
    text_append_string(out, "\n  ]\n}\n");
}

/* ---- going on ---- */

enum { RESULT_COUNTS = sizeof(struct build_result) / sizeof(int64_t) };
_Static_assert(sizeof(struct build_result) == RESULT_COUNTS * sizeof(int64_t),
               "all counts are int64_t");

static void write_result(struct text *out, const struct build_result *result) {
    int64_t counts[RESULT_COUNTS];
    memcpy(counts, result, sizeof counts);
    for (int i = 0; i < RESULT_COUNTS; i++)
        text_printf(out, "%s%" PRId64, i ? ", " : "[", counts[i]);
    text_append_string(out, "]");
}

static fathom_status read_result(struct build_result *result, const json_node *list,
                                 const char *what, struct error *err) {
    int64_t counts[RESULT_COUNTS];
    if (json_count(list) != RESULT_COUNTS)
        RAISE(FATHOM_BAD_INPUT, "%s: counts of another version", what);
    for (int i = 0; i < RESULT_COUNTS; i++) counts[i] = json_integer(json_element(list, (size_t)i));
    memcpy(result, counts, sizeof counts);
    return FATHOM_OK;
}

fathom_status build_record_stamp(struct build_record *r, struct error *err) {
    for (size_t i = 0; i < doc_reader_files(r->reader); i++)
        TRY(path_stamp_of(&r->stamps[i], doc_reader_path(r->reader, i), err));
    return FATHOM_OK;
}

static void write_inputs_state(struct text *out, const struct build_record *r) {
    for (size_t i = 0; i < doc_reader_files(r->reader); i++) {
        const char *path = doc_reader_path(r->reader, i);
        text_printf(out, "%s\n    {\"file\": ", i ? "," : "");
        json_write_string(out, path, strlen(path));
        text_printf(out, ", \"size\": %" PRId64 ", \"changed\": %" PRId64 ", \"counts\": ",
                    r->stamps[i].size, r->stamps[i].changed);
        write_result(out, &r->inputs[i]);
        text_append_string(out, "}");
    }
}

static void write_state(struct text *out, const struct build_record *r,
                        const struct build_progress *p, const struct shard_writer *writer,
                        const char *settings) {
    text_printf(out, "{\n  \"format\": \"fathom build state\",\n  \"version\": %d,\n",
                STATE_VERSION);
    text_printf(out, "  \"settings\": %s,\n  \"read\": %" PRIu64 ",\n", settings ? settings : "{}",
                p->read);
    text_printf(out, "  \"file\": %" PRIu32 ",\n  \"line\": %" PRIu64 ",\n", p->last.file,
                p->last.line);
    text_printf(out, "  \"checkpoints\": %" PRId64 ",\n  \"counts\": ", p->checkpoints);
    write_result(out, &p->result);
    text_append_string(out, ",\n  \"inputs\": [");
    write_inputs_state(out, r);
    text_append_string(out, "\n  ],\n  \"shards\": ");
    shard_writer_describe(writer, out);
    text_append_string(out, "}\n");
}

fathom_status build_record_checkpoint(struct build_record *r, struct build_progress *p,
                                      const struct shard_writer *writer, const char *settings,
                                      struct error *err) {
    struct text text = {0};
    for (int i = 0; i < LOGS; i++) TRY(part_log_cut(r->logs[i], err));
    p->checkpoints++;
    write_state(&text, r, p, writer, settings);
    fathom_status status = write_file(r, STATE_NAME, &text, err);
    text_free(&text);
    return status;
}

static fathom_status restore_input(struct build_record *r, size_t i, const json_node *input,
                                   const char *what, struct error *err) {
    const char *path = doc_reader_path(r->reader, i), *recorded = "";
    TRY(json_need_string(input, "file", &recorded, what, err));
    TRY(path_stamp_of(&r->stamps[i], path, err));
    const struct path_stamp stamp = r->stamps[i];
    if (strcmp(path, recorded) != 0 || stamp.size != json_integer(json_member(input, "size")) ||
        stamp.changed != json_integer(json_member(input, "changed")))
        RAISE(FATHOM_BAD_INPUT, "%s: changed since the building began; begin anew (--force)", path);
    return read_result(&r->inputs[i], json_member(input, "counts"), what, err);
}

fathom_status build_record_restore(struct build_record *r, const json_node *state,
                                   struct build_progress *p, struct shard_writer *writer,
                                   struct error *err) {
    const json_node *inputs = json_member(state, "inputs");
    int64_t read = 0, file = 0, line = 0;
    TRY(json_need_i64(state, "read", &read, STATE_NAME, err));
    TRY(json_need_i64(state, "file", &file, STATE_NAME, err));
    TRY(json_need_i64(state, "line", &line, STATE_NAME, err));
    if (json_count(inputs) != doc_reader_files(r->reader) || file < 0 ||
        file >= (int64_t)json_count(inputs))
        RAISE(FATHOM_BAD_INPUT, "%s: begun with other inputs", STATE_NAME);
    for (size_t i = 0; i < json_count(inputs); i++)
        TRY(restore_input(r, i, json_element(inputs, i), STATE_NAME, err));
    p->read = (uint64_t)read;
    p->last = (struct origin){(uint64_t)line, (uint32_t)file};
    p->checkpoints = json_integer(json_member(state, "checkpoints"));
    TRY(read_result(&p->result, json_member(state, "counts"), STATE_NAME, err));
    return shard_writer_restore(writer, json_member(state, "shards"), STATE_NAME, err);
}

bool build_has_state(const char *workplace) {
    char *path = NULL;
    bool has = path_join(&path, workplace, STATE_NAME, NULL) == FATHOM_OK && path_exists(path);
    mem_free(path);
    return has;
}

fathom_status build_unfinished(json_node **state, const char *workplace, struct error *err) {
    char *path = NULL;
    const char *format = "";
    int64_t version = 0;
    *state = NULL;
    TRY(path_join(&path, workplace, STATE_NAME, err));
    fathom_status status = FATHOM_OK;
    if (!path_exists(path))
        status = error_set(err, FATHOM_IO, "%s: there is nothing to go on with", workplace);
    if (status == FATHOM_OK) status = json_read_file(state, path, STATE_MOST, err);
    if (status == FATHOM_OK) status = json_get_string(*state, "format", &format, path, err);
    if (status == FATHOM_OK) status = json_get_i64(*state, "version", &version, path, err);
    if (status == FATHOM_OK && strcmp(format, "fathom build state") != 0)
        status = error_set(err, FATHOM_BAD_INPUT, "%s: not the state of a building", path);
    else if (status == FATHOM_OK && version != STATE_VERSION)
        status = error_set(err, FATHOM_UNSUPPORTED,
                           "%s: version %" PRId64 " of the format is not known", path, version);
    mem_free(path);
    if (status != FATHOM_OK) {
        json_free(*state);
        *state = NULL;
    }
    return status;
}

/* ---- the end ---- */

static fathom_status remove_state(struct build_record *r, struct error *err) {
    char *path = NULL;
    TRY(path_join(&path, r->directory, STATE_NAME, err));
    fathom_status status = path_remove(path, err);
    mem_free(path);
    for (int i = 0; i < LOGS && status == FATHOM_OK; i++) status = part_log_remove(r->logs[i], err);
    return status;
}

fathom_status build_record_commit(struct build_record *r, const char *settings, struct error *err) {
    struct text text = {0};
    for (int i = 0; i < LOGS; i++) TRY(part_log_cut(r->logs[i], err));
    for (int i = 0; i < SHARD_SPLITS; i++)
        TRY(origins_write(r->logs[LOG_ORIGINS + i], r->directory, (enum shard_split)i, err));
    TRY(write_dropped(r, err));
    write_record(&text, r, settings);
    fathom_status status = write_file(r, "build.json", &text, err);
    text_free(&text);
    return status == FATHOM_OK ? remove_state(r, err) : status;
}
