#include "data/reader.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "base/text.h"
#include "data/byte_source.h"

enum { CHUNK_SIZE = 1 << 16 };

struct doc_reader {
    char **paths; /* [count] */
    size_t count;
    size_t next_path;
    char *field;
    size_t max_size;
    const void *memory; /* not NULL: the content of the only path */
    size_t memory_size;

    struct byte_source *source; /* the file being read; NULL: between files */
    bool is_jsonl;
    int64_t line; /* lines begun */
    char chunk[CHUNK_SIZE];
    size_t chunk_at, chunk_size;
    struct text pending; /* the text file, or the line, as far as it is read */
    json_node *object;   /* the line that the last document stands in */
    bool keeps_faults, replaces_invalid, takes_all_strings;
    struct text strings; /* of the object, where all are taken; a line made valid */
    struct error fault;  /* the last document's */
};

/* ---- opening ---- */

static fathom_status fill_reader(struct doc_reader *reader, const char *const *paths, size_t count,
                                 const char *field, struct error *err) {
    reader->max_size = DOC_READER_MAX_SIZE;
    TRY(string_copy(&reader->field, field ? field : "text", err));
    TRY(MEM_NEW(&reader->paths, count, "paths", err));
    for (; reader->count < count; reader->count++)
        TRY(string_copy(&reader->paths[reader->count], paths[reader->count], err));
    return FATHOM_OK;
}

fathom_status doc_reader_open(struct doc_reader **out, const char *const *paths, size_t count,
                              const char *field, struct error *err) {
    struct doc_reader *reader = NULL;
    *out = NULL;
    if (count == 0) RAISE(FATHOM_USAGE, "no file to read was given");
    TRY(MEM_NEW(&reader, 1, "a document reader", err));
    fathom_status status = fill_reader(reader, paths, count, field, err);
    if (status != FATHOM_OK)
        doc_reader_close(reader);
    else
        *out = reader;
    return status;
}

fathom_status doc_reader_open_memory(struct doc_reader **out, const char *name, const void *bytes,
                                     size_t size, const char *field, struct error *err) {
    TRY(doc_reader_open(out, &name, 1, field, err));
    (*out)->memory = bytes;
    (*out)->memory_size = size;
    return FATHOM_OK;
}

void doc_reader_close(struct doc_reader *reader) {
    if (!reader) return;
    byte_source_close(reader->source);
    for (size_t i = 0; i < reader->count; i++) mem_free(reader->paths[i]);
    mem_free(reader->paths);
    mem_free(reader->field);
    text_free(&reader->pending);
    text_free(&reader->strings);
    json_free(reader->object);
    mem_free(reader);
}

void doc_reader_set_max_size(struct doc_reader *reader, size_t max_size) {
    reader->max_size = max_size;
}
void doc_reader_keep_faults(struct doc_reader *reader) { reader->keeps_faults = true; }
void doc_reader_replace_invalid(struct doc_reader *reader) { reader->replaces_invalid = true; }
size_t doc_reader_files(const struct doc_reader *reader) { return reader->count; }
const char *doc_reader_path(const struct doc_reader *reader, size_t file) {
    return reader->paths[file];
}
void doc_reader_take_all_strings(struct doc_reader *reader) { reader->takes_all_strings = true; }

/* ---- files ---- */

static bool name_is_jsonl(const char *path) {
    static const char *const packed[] = {".gz", ".zst"}, *const lines[] = {".jsonl", ".ndjson",
                                                                           ".json"};
    size_t size = strlen(path);
    for (size_t i = 0; i < sizeof packed / sizeof packed[0]; i++)
        if (string_ends_with(path, packed[i])) size -= strlen(packed[i]);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        size_t tail = strlen(lines[i]);
        if (size >= tail && memcmp(path + size - tail, lines[i], tail) == 0) return true;
    }
    return false;
}

static fathom_status fill_chunk(struct doc_reader *reader, struct error *err) {
    reader->chunk_at = 0;
    return byte_source_read(reader->source, reader->chunk, CHUNK_SIZE, &reader->chunk_size, err);
}

static fathom_status open_next(struct doc_reader *reader, struct error *err) {
    static const char mark[] = {'\xef', '\xbb', '\xbf'};
    const char *path = reader->paths[reader->next_path];
    if (reader->memory)
        TRY(byte_source_open_memory(&reader->source, path, reader->memory, reader->memory_size,
                                    err));
    else
        TRY(byte_source_open(&reader->source, path, err));
    reader->next_path++;
    reader->line = 0;
    TRY(fill_chunk(reader, err));
    if (reader->chunk_size >= sizeof mark && memcmp(reader->chunk, mark, sizeof mark) == 0)
        reader->chunk_at = sizeof mark;
    bool is_stdin = strcmp(path, "-") == 0;
    bool has_brace =
        reader->chunk_at < reader->chunk_size && reader->chunk[reader->chunk_at] == '{';
    reader->is_jsonl = is_stdin ? has_brace : name_is_jsonl(path);
    return FATHOM_OK;
}

static void close_current(struct doc_reader *reader) {
    byte_source_close(reader->source);
    reader->source = NULL;
}

/* ---- documents ---- */

/* Adds the rest of the chunk, or of its line, to `pending`. */
static fathom_status take(struct doc_reader *reader, size_t size, struct error *err) {
    const char *name = byte_source_name(reader->source);
    bool fits = size <= reader->max_size && reader->pending.size <= reader->max_size - size;
    if (!fits && reader->is_jsonl)
        RAISE(FATHOM_BAD_INPUT, "%s, line %" PRId64 ": longer than the %zu bytes allowed", name,
              reader->line + 1, reader->max_size);
    if (!fits)
        RAISE(FATHOM_BAD_INPUT,
              "%s: longer than the %zu bytes allowed for a document; cut it into several files",
              name, reader->max_size);
    text_append(&reader->pending, reader->chunk + reader->chunk_at, size);
    reader->chunk_at += size;
    return text_check(&reader->pending, err);
}

static fathom_status read_whole(struct doc_reader *reader, struct error *err) {
    while (reader->chunk_size > 0) {
        TRY(take(reader, reader->chunk_size - reader->chunk_at, err));
        TRY(fill_chunk(reader, err));
    }
    return FATHOM_OK;
}

/* One line, without its newline, into `pending`; *has_line is false when the file has no more. */
static fathom_status read_line(struct doc_reader *reader, bool *has_line, struct error *err) {
    *has_line = false;
    for (;;) {
        if (reader->chunk_at == reader->chunk_size) TRY(fill_chunk(reader, err));
        if (reader->chunk_size == 0) break;
        size_t left = reader->chunk_size - reader->chunk_at;
        const char *at = reader->chunk + reader->chunk_at;
        const char *newline = memchr(at, '\n', left);
        *has_line = true;
        TRY(take(reader, newline ? (size_t)(newline - at) : left, err));
        if (!newline) continue;
        reader->chunk_at++;
        break;
    }
    if (*has_line) reader->line++;
    return FATHOM_OK;
}

static bool is_blank(const struct text *line) {
    return strspn(text_data(line), " \t\r") == line->size;
}

/* In `pending`. */
static fathom_status replace_invalid(struct doc_reader *reader, size_t *replaced,
                                     struct error *err) {
    struct text line = reader->pending;
    *replaced = 0;
    if (utf8_valid_size(text_data(&line), line.size) == line.size) return FATHOM_OK;
    text_clear(&reader->strings);
    *replaced = text_append_valid(&reader->strings, line.data, line.size);
    TRY(text_check(&reader->strings, err));
    reader->pending = reader->strings;
    reader->strings = line;
    return FATHOM_OK;
}

/* The depth is json_parse's at most. */
static void take_strings(struct text *out, const json_node *node) {
    void *iterator = NULL;
    const char *key;
    json_node *member;
    size_t size;
    if (json_is_string(node)) {
        const char *string = json_string(node, &size);
        text_append(out, string, size);
        text_append_char(out, 0);
    } else if (json_is_object(node)) {
        while (json_next_member(node, &iterator, &key, &member)) take_strings(out, member);
    } else {
        for (size_t i = 0; i < json_count(node); i++) take_strings(out, json_element(node, i));
    }
}

/* The string under the field of the line in `pending`. */
static fathom_status parse_line(struct doc_reader *reader, struct document *document,
                                struct error *err) {
    char what[512];
    const char *name = byte_source_name(reader->source);
    snprintf(what, sizeof what, "%s, line %" PRId64, name, reader->line);
    json_free(reader->object);
    reader->object = NULL;
    if (reader->replaces_invalid) TRY(replace_invalid(reader, &document->replaced, err));
    TRY(json_parse(&reader->object, text_data(&reader->pending), reader->pending.size, what, err));
    if (!json_is_object(reader->object))
        RAISE(FATHOM_BAD_INPUT, "%s: not a JSON object, as every line of a JSONL file must be",
              what);
    if (reader->takes_all_strings) {
        text_clear(&reader->strings);
        take_strings(&reader->strings, reader->object);
        document->bytes = text_data(&reader->strings);
        document->size = reader->strings.size;
        return text_check(&reader->strings, err);
    }
    const json_node *value = json_member(reader->object, reader->field);
    if (!json_is_string(value))
        RAISE(FATHOM_BAD_INPUT, "%s: \"%s\" is %s; the text to read is expected there", what,
              reader->field, value ? "not a string" : "missing");
    document->bytes = json_string(value, &document->size);
    return FATHOM_OK;
}

static fathom_status next_of_jsonl(struct doc_reader *reader, struct document *document,
                                   struct error *err) {
    bool has_line = true;
    while (document->size == 0) {
        text_clear(&reader->pending);
        TRY(read_line(reader, &has_line, err));
        if (!has_line) break;
        if (is_blank(&reader->pending)) continue;
        fathom_status status = parse_line(reader, document, &reader->fault);
        if (status == FATHOM_BAD_INPUT && reader->keeps_faults) {
            document->fault = reader->fault.text;
            document->bytes = text_data(&reader->pending);
            document->size = reader->pending.size;
        } else if (status != FATHOM_OK) {
            *err = reader->fault;
            return status;
        }
    }
    document->line = reader->line;
    if (!has_line) close_current(reader);
    return FATHOM_OK;
}

static fathom_status next_of_text(struct doc_reader *reader, struct document *document,
                                  struct error *err) {
    text_clear(&reader->pending);
    TRY(read_whole(reader, err));
    document->bytes = text_data(&reader->pending);
    document->size = reader->pending.size;
    document->line = 0;
    close_current(reader);
    return FATHOM_OK;
}

fathom_status doc_reader_next(struct doc_reader *reader, struct document *document, bool *is_end,
                              struct error *err) {
    *is_end = false;
    *document = (struct document){0};
    while (document->size == 0) {
        if (!reader->source && reader->next_path == reader->count) {
            *is_end = true;
            return FATHOM_OK;
        }
        if (!reader->source) TRY(open_next(reader, err));
        document->file = reader->next_path - 1;
        document->path = reader->paths[document->file];
        if (reader->is_jsonl)
            TRY(next_of_jsonl(reader, document, err));
        else
            TRY(next_of_text(reader, document, err));
    }
    return FATHOM_OK;
}

fathom_status doc_reader_skip(struct doc_reader *reader, size_t file, int64_t line,
                              struct error *err) {
    bool has_line = true;
    reader->next_path = line > 0 ? file : file + 1;
    if (line <= 0) return FATHOM_OK;
    TRY(open_next(reader, err));
    while (reader->is_jsonl && reader->line < line && has_line) {
        text_clear(&reader->pending);
        TRY(read_line(reader, &has_line, err));
    }
    if (reader->line != line)
        RAISE(FATHOM_BAD_INPUT, "%s: has no line %" PRId64, byte_source_name(reader->source), line);
    return FATHOM_OK;
}
