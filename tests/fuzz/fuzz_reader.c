/* Documents out of a file whose name says JSONL or text, packed or not, read as the first byte
 * says. */
#include <stdlib.h>

#include "data/reader.h"

#define MOST ((size_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct doc_reader *reader;
    struct document document;
    struct error err;
    bool is_end = false;
    if (size == 0) return 0;
    const char *name = data[0] & 1 ? "a.jsonl" : data[0] & 2 ? "-" : "a.txt";
    if (doc_reader_open_memory(&reader, name, data + 1, size - 1, NULL, &err) != FATHOM_OK)
        return 0;
    doc_reader_set_max_size(reader, MOST);
    if (data[0] & 4) doc_reader_keep_faults(reader);
    if (data[0] & 8) doc_reader_replace_invalid(reader);
    if (data[0] & 16) doc_reader_take_all_strings(reader);
    /* What replaces a byte has three. */
    while (!is_end && doc_reader_next(reader, &document, &is_end, &err) == FATHOM_OK)
        if (!is_end && (document.size == 0 || document.size > 3 * MOST)) abort();
    doc_reader_close(reader);
    return 0;
}
