#include "data/build_record.h"

#include <inttypes.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"

enum { RECORD_VERSION = 1 };

struct build_record {
    const struct doc_reader *reader;
    char *directory;
    struct file_writer *dropped; /* from the first one on */
    struct build_result *inputs; /* [doc_reader_files] */
};

fathom_status build_record_new(struct build_record **out, const char *directory,
                               const struct doc_reader *reader, struct error *err) {
    struct build_record *r = NULL;
    *out = NULL;
    TRY(MEM_NEW(&r, 1, "the record of a dataset", err));
    r->reader = reader;
    fathom_status status = string_copy(&r->directory, directory, err);
    if (status == FATHOM_OK)
        status = MEM_NEW(&r->inputs, doc_reader_files(reader), "the record of a dataset", err);
    if (status == FATHOM_OK)
        *out = r;
    else
        build_record_free(r);
    return status;
}

void build_record_free(struct build_record *r) {
    if (!r) return;
    file_writer_abort(r->dropped);
    mem_free(r->directory);
    mem_free(r->inputs);
    mem_free(r);
}

struct build_result *build_record_of(struct build_record *r, uint32_t file) {
    return &r->inputs[file];
}

static fathom_status open_file(struct file_writer **out, const struct build_record *r,
                               const char *name, struct error *err) {
    char *path = NULL;
    TRY(path_join(&path, r->directory, name, err));
    fathom_status status = file_writer_open(out, path, err);
    mem_free(path);
    return status;
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
    if (!r->dropped) TRY(open_file(&r->dropped, r, "dropped.jsonl", err));
    text_append_string(&line, "{");
    write_origin(&line, r, origin);
    text_printf(&line, ", \"why\": \"%s\"", verdict_name(j->verdict));
    write_reason(&line, r, j, fault);
    text_append_string(&line, "}\n");
    fathom_status status = text_check(&line, err);
    if (status == FATHOM_OK) file_writer_put(r->dropped, line.data, line.size);
    text_free(&line);
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

fathom_status build_record_commit(struct build_record *r, const char *settings, struct error *err) {
    struct file_writer *dropped = r->dropped, *out = NULL;
    struct text text = {0};
    r->dropped = NULL;
    if (dropped) TRY(file_writer_commit(dropped, err));
    write_record(&text, r, settings);
    fathom_status status = text_check(&text, err);
    if (status == FATHOM_OK) status = open_file(&out, r, "build.json", err);
    if (status == FATHOM_OK) {
        file_writer_put(out, text.data, text.size);
        status = file_writer_commit(out, err);
    }
    text_free(&text);
    return status;
}
