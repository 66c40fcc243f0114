#include "format/shard_file.h"

#include <inttypes.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"

static const char magic[8] = {'F', 'T', 'H', 'M', 'T', 'O', 'K', '1'};

uint32_t shard_token_size(int64_t vocab_size) { return vocab_size <= 65536 ? 2 : 4; }

static void put(unsigned char *out, size_t at, const void *value, size_t size) {
    memcpy(out + at, value, size);
}

void shard_header_write(unsigned char out[SHARD_HEADER_SIZE], const struct shard_header *header) {
    uint32_t version = SHARD_VERSION;
    put(out, 0, magic, sizeof magic);
    put(out, 8, &version, 4);
    put(out, 12, &header->token_size, 4);
    put(out, 16, &header->vocab_size, 8);
    put(out, 24, &header->tokens, 8);
    put(out, 32, &header->documents, 8);
    put(out, 40, &header->text_bytes, 8);
    put(out, 48, &header->payload_hash, 8);
    uint64_t header_hash = hash_bytes(out, 56);
    put(out, 56, &header_hash, 8);
}

static uint32_t get_u32(const unsigned char *bytes, size_t at) {
    uint32_t value;
    memcpy(&value, bytes + at, sizeof value);
    return value;
}

static uint64_t get_u64(const unsigned char *bytes, size_t at) {
    uint64_t value;
    memcpy(&value, bytes + at, sizeof value);
    return value;
}

/* Where the index begins and the file ends, by the header's counts; false where they overflow. */
static bool layout(const struct shard_header *header, size_t *index_at, size_t *end) {
    size_t tokens, index, padded;
    if (!size_mul(header->tokens, header->token_size, &tokens) ||
        !size_add(tokens, SHARD_HEADER_SIZE + 7, &padded) ||
        !size_mul(header->documents, sizeof(struct shard_document_entry), &index))
        return false;
    *index_at = padded & ~(size_t)7;
    return size_add(*index_at, index, end);
}

static fathom_status parse_header(struct shard_header *header, const unsigned char *bytes,
                                  size_t size, const char *name, struct error *err) {
    if (size < SHARD_HEADER_SIZE)
        RAISE(FATHOM_BAD_INPUT, "%s: %zu bytes are too few for a token shard", name, size);
    if (memcmp(bytes, magic, sizeof magic) != 0)
        RAISE(FATHOM_BAD_INPUT, "%s: not a token shard", name);
    if (get_u32(bytes, 8) != SHARD_VERSION)
        RAISE(FATHOM_UNSUPPORTED,
              "%s: token shard version %" PRIu32 "; this program reads version %d", name,
              get_u32(bytes, 8), SHARD_VERSION);
    if (get_u64(bytes, 56) != hash_bytes(bytes, 56))
        RAISE(FATHOM_BAD_INPUT, "%s: the header is damaged (its checksum differs)", name);
    *header = (struct shard_header){
        .token_size = get_u32(bytes, 12),
        .vocab_size = get_u64(bytes, 16),
        .tokens = get_u64(bytes, 24),
        .documents = get_u64(bytes, 32),
        .text_bytes = get_u64(bytes, 40),
        .payload_hash = get_u64(bytes, 48),
    };
    return FATHOM_OK;
}

fathom_status shard_file_parse(struct shard_file *file, const void *bytes, size_t size,
                               const char *name, struct error *err) {
    *file = (struct shard_file){.bytes = bytes, .size = size, .name = name};
    struct shard_header *header = &file->header;
    TRY(parse_header(header, bytes, size, name, err));
    if (header->vocab_size == 0 || header->vocab_size > INT32_MAX ||
        header->token_size != shard_token_size((int64_t)header->vocab_size))
        RAISE(FATHOM_BAD_INPUT, "%s: vocabulary of %" PRIu64 " with tokens of %" PRIu32 " bytes",
              name, header->vocab_size, header->token_size);
    if (header->documents > header->tokens || (header->documents == 0 && header->tokens > 0) ||
        header->text_bytes > INT64_MAX)
        RAISE(FATHOM_BAD_INPUT,
              "%s: %" PRIu64 " tokens, %" PRIu64 " documents, %" PRIu64 " bytes of text cannot be",
              name, header->tokens, header->documents, header->text_bytes);
    size_t index_at, end;
    if (!layout(header, &index_at, &end) || end != size)
        RAISE(FATHOM_BAD_INPUT,
              "%s: %zu bytes do not hold %" PRIu64 " tokens and %" PRIu64 " documents; truncated?",
              name, size, header->tokens, header->documents);
    file->index = file->bytes + index_at;
    return FATHOM_OK;
}

/* Widens tokens; returns the largest as unsigned. */
static uint32_t widen(const struct shard_file *file, int64_t begin, int64_t count,
                      int32_t *tokens) {
    const unsigned char *from =
        file->bytes + SHARD_HEADER_SIZE + (size_t)begin * file->header.token_size;
    uint32_t largest = 0;
    for (int64_t i = 0; i < count; i++) {
        uint32_t token;
        if (file->header.token_size == 2) {
            uint16_t narrow;
            memcpy(&narrow, from + 2 * i, sizeof narrow);
            token = narrow;
        } else {
            memcpy(&token, from + 4 * i, sizeof token);
        }
        largest = token > largest ? token : largest;
        tokens[i] = (int32_t)token;
    }
    return largest;
}

fathom_status shard_file_read(const struct shard_file *file, int64_t begin, int64_t count,
                              int32_t *tokens, struct error *err) {
    uint64_t vocab_size = file->header.vocab_size;
    if (widen(file, begin, count, tokens) < vocab_size) return FATHOM_OK;
    int64_t i = 0;
    while ((uint32_t)tokens[i] < vocab_size) i++;
    RAISE(FATHOM_BAD_INPUT, "%s: token %" PRId64 " is %" PRIu32 " in a vocabulary of %" PRIu64,
          file->name, begin + i, (uint32_t)tokens[i], vocab_size);
}

fathom_status shard_file_document(const struct shard_file *file, int64_t i,
                                  struct shard_document *document, struct error *err) {
    const size_t entry_size = sizeof(struct shard_document_entry);
    const unsigned char *entry = file->index + (size_t)i * entry_size;
    bool is_last = (uint64_t)i + 1 == file->header.documents;
    uint64_t begin = get_u64(entry, 0);
    uint64_t end = is_last ? file->header.tokens : get_u64(entry, entry_size);
    uint64_t text_bytes = get_u64(entry, 8);
    if (begin >= end || end > file->header.tokens || (i == 0 && begin != 0) ||
        text_bytes > file->header.text_bytes)
        RAISE(FATHOM_BAD_INPUT,
              "%s: document %" PRId64 " is tokens [%" PRIu64 ", %" PRIu64 ") with %" PRIu64
              " bytes of text, in a shard of %" PRIu64 " tokens and %" PRIu64 " bytes",
              file->name, i, begin, end, text_bytes, file->header.tokens, file->header.text_bytes);
    *document = (struct shard_document){(int64_t)begin, (int64_t)end, (int64_t)text_bytes};
    return FATHOM_OK;
}

static fathom_status verify_tokens(const struct shard_file *file, struct error *err) {
    enum { CHUNK = 4096 };
    int32_t tokens[CHUNK];
    int64_t all = (int64_t)file->header.tokens;
    for (int64_t begin = 0; begin < all; begin += CHUNK) {
        int64_t count = all - begin < CHUNK ? all - begin : CHUNK;
        TRY(shard_file_read(file, begin, count, tokens, err));
    }
    return FATHOM_OK;
}

fathom_status shard_file_verify(const struct shard_file *file, int32_t eos, struct error *err) {
    const struct shard_header *header = &file->header;
    if (hash_bytes(file->bytes + SHARD_HEADER_SIZE, file->size - SHARD_HEADER_SIZE) !=
        header->payload_hash)
        RAISE(FATHOM_BAD_INPUT, "%s: the tokens are damaged (their checksum differs)", file->name);
    TRY(verify_tokens(file, err));
    uint64_t text_bytes = 0;
    for (int64_t i = 0; i < (int64_t)header->documents; i++) {
        struct shard_document document;
        TRY(shard_file_document(file, i, &document, err));
        int32_t last;
        TRY(shard_file_read(file, document.end - 1, 1, &last, err));
        if (last != eos)
            RAISE(FATHOM_BAD_INPUT, "%s: document %" PRId64 " ends with token %d, not with eos %d",
                  file->name, i, last, eos);
        text_bytes += (uint64_t)document.text_bytes;
        if (text_bytes > header->text_bytes) break;
    }
    if (text_bytes != header->text_bytes)
        RAISE(FATHOM_BAD_INPUT, "%s: the documents' bytes of text do not add up to %" PRIu64,
              file->name, header->text_bytes);
    return FATHOM_OK;
}
