/* Documents, one after the other, out of text and JSONL files, each plain, gzip or zstd.
 *
 * A file whose name ends in .jsonl, .ndjson or .json (before .gz or .zst) holds a JSON object on
 * every line, and its documents are the strings under one field. Any other file is one document.
 * Standard input ("-") has no name: it is JSONL when its first byte is '{'. A UTF-8 byte order mark
 * at the start of a file is dropped; blank lines and empty documents are passed over. */
#ifndef DATA_READER_H
#define DATA_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* The longest document (for JSONL: line) that a reader accepts unless told otherwise: 1 GiB. */
#define DOC_READER_MAX_SIZE ((size_t)1 << 30)

struct document {
    const char *bytes; /* borrowed until the next call on the reader; not NUL-terminated */
    size_t size;       /* >= 1 */
    const char *path;  /* borrowed from the reader */
    int64_t line;      /* of a JSONL file, from 1; 0 for a text file */
    size_t file;       /* which of the paths */
    size_t replaced;   /* doc_reader_replace_invalid: bytes of the line that were not UTF-8 */
    const char *fault; /* doc_reader_keep_faults: what is wrong with the line; else NULL */
};

struct doc_reader;

/* Reads paths[0..count) in this order. The paths are copied; a missing file is noticed when its
 * turn comes. field NULL: "text". No path at all is FATHOM_USAGE. */
fathom_status doc_reader_open(struct doc_reader **out, const char *const *paths, size_t count,
                              const char *field, struct error *err);
/* One file that is in memory, which stays the caller's; `name` decides as a path does. */
fathom_status doc_reader_open_memory(struct doc_reader **out, const char *name, const void *bytes,
                                     size_t size, const char *field, struct error *err);
void doc_reader_close(struct doc_reader *reader); /* accepts NULL */
void doc_reader_set_max_size(struct doc_reader *reader, size_t max_size);
/* A line that is malformed or lacks the field comes as a document of its bytes with `fault`, and
 * reading goes on. One that is too long is a failure still. */
void doc_reader_keep_faults(struct doc_reader *reader);
/* Bytes of a JSONL file's line that are not UTF-8 become U+FFFD; else such a line is malformed. */
void doc_reader_replace_invalid(struct doc_reader *reader);
/* Of a JSONL file all strings of an object, however deep, are the document, each with a NUL behind
 * it; the field does not matter. */
void doc_reader_take_all_strings(struct doc_reader *reader);

/* Passes over everything up to and with the document that came from this line of this file (0: the
 * whole file). Before the first document. FATHOM_BAD_INPUT where there is no such line. */
fathom_status doc_reader_skip(struct doc_reader *reader, size_t file, int64_t line,
                              struct error *err);
size_t doc_reader_files(const struct doc_reader *reader);
const char *doc_reader_path(const struct doc_reader *reader, size_t file); /* borrowed */

/* The next document, or *is_end. A malformed line is FATHOM_BAD_INPUT and names file and line;
 * after a failure the reader can only be closed. */
fathom_status doc_reader_next(struct doc_reader *reader, struct document *document, bool *is_end,
                              struct error *err);

#endif
