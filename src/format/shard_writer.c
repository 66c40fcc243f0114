#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "format/shard.h"
#include "format/shard_file.h"

enum { DEFAULT_TOKENS_PER_SHARD = 100 * 1000 * 1000 };

/* A split while it grows: the shard being written, and what is known of the finished ones. */
struct growing {
    struct file_writer *out; /* NULL: no shard is open */
    struct shard_header header;
    struct checksum *checksum;
    struct shard_document_entry *index; /* of the open shard */
    size_t index_capacity;
    size_t shards;
    uint64_t tokens, documents, text_bytes; /* of the finished shards */
    struct text records;                    /* elements of meta.json's list of shards */
};

struct shard_writer {
    struct shard_writer_options options;
    char *path;      /* the final place */
    char *temporary; /* directory_begin's, or a copy of options.workplace */
    struct growing splits[SHARD_SPLITS];
};

static fathom_status check_options(const struct shard_writer_options *options, struct error *err) {
    const struct shard_tokenizer *t = &options->tokenizer;
    if (t->vocab_size < 1 || t->eos < 0 || t->eos >= t->vocab_size || t->bos < -1 ||
        t->bos >= t->vocab_size)
        RAISE(FATHOM_USAGE, "token shards: vocabulary of %d with eos %d and bos %d", t->vocab_size,
              t->eos, t->bos);
    if (options->tokens_per_shard < 0)
        RAISE(FATHOM_USAGE, "token shards of %" PRId64 " tokens", options->tokens_per_shard);
    return FATHOM_OK;
}

fathom_status shard_writer_open(struct shard_writer **out, const char *directory,
                                const struct shard_writer_options *options, struct error *err) {
    *out = NULL;
    TRY(check_options(options, err));
    struct shard_writer *writer = NULL;
    TRY(MEM_NEW(&writer, 1, "shard writer", err));
    writer->options = *options;
    if (options->tokens_per_shard == 0) writer->options.tokens_per_shard = DEFAULT_TOKENS_PER_SHARD;
    fathom_status status = string_copy(&writer->path, directory, err);
    for (int i = 0; i < SHARD_SPLITS && status == FATHOM_OK; i++)
        status = checksum_new(&writer->splits[i].checksum, err);
    if (status == FATHOM_OK && options->workplace)
        status = string_copy(&writer->temporary, options->workplace, err);
    else if (status == FATHOM_OK)
        status = directory_begin(&writer->temporary, directory, options->replace, err);
    if (status == FATHOM_OK)
        *out = writer;
    else
        shard_writer_abort(writer);
    return status;
}

const char *shard_writer_directory(const struct shard_writer *writer) { return writer->temporary; }

static void put_payload(struct growing *split, const void *bytes, size_t size) {
    checksum_add(split->checksum, bytes, size);
    file_writer_put(split->out, bytes, size);
}

static void put_tokens(struct growing *split, const int32_t *tokens, int64_t count) {
    enum { CHUNK = 4096 };
    if (split->header.token_size == sizeof *tokens) {
        put_payload(split, tokens, (size_t)count * sizeof *tokens);
        return;
    }
    uint16_t narrow[CHUNK];
    for (int64_t at = 0; at < count; at += CHUNK) {
        int64_t n = count - at < CHUNK ? count - at : CHUNK;
        for (int64_t i = 0; i < n; i++) narrow[i] = (uint16_t)tokens[at + i];
        put_payload(split, narrow, (size_t)n * sizeof *narrow);
    }
}

static void shard_name(char name[40], enum shard_split split, size_t number) {
    snprintf(name, 40, "%s-%05zu.tok", shard_split_name(split), number);
}

static fathom_status start_shard(struct shard_writer *writer, enum shard_split which,
                                 struct error *err) {
    struct growing *split = &writer->splits[which];
    char name[40], *path = NULL;
    shard_name(name, which, split->shards);
    TRY(path_join(&path, writer->temporary, name, err));
    fathom_status status = file_writer_open(&split->out, path, err);
    mem_free(path);
    TRY(status);
    int32_t vocab_size = writer->options.tokenizer.vocab_size;
    split->header = (struct shard_header){.token_size = shard_token_size(vocab_size),
                                          .vocab_size = (uint64_t)vocab_size};
    checksum_reset(split->checksum);
    /* The counts and the checksum are known at the end. */
    const unsigned char header[SHARD_HEADER_SIZE] = {0};
    file_writer_put(split->out, header, sizeof header);
    return FATHOM_OK;
}

/* Adds a finished shard to what is known of the split. */
static void record_shard(struct growing *split, enum shard_split which,
                         const struct shard_header *header) {
    char name[40];
    shard_name(name, which, split->shards);
    text_printf(&split->records,
                "%s\n        {\"file\": \"%s\", \"tokens\": %" PRIu64 ", \"documents\": %" PRIu64
                ", \"text_bytes\": %" PRIu64 ", \"hash\": \"%016" PRIx64 "\"}",
                split->shards ? "," : "", name, header->tokens, header->documents,
                header->text_bytes, header->payload_hash);
    split->shards++;
    split->tokens += header->tokens;
    split->documents += header->documents;
    split->text_bytes += header->text_bytes;
}

/* Writes index and header of the open shard, if any, and adds it to the split's record. */
static fathom_status finish_shard(struct shard_writer *writer, enum shard_split which,
                                  struct error *err) {
    static const unsigned char zeros[8] = {0};
    struct growing *split = &writer->splits[which];
    struct shard_header *header = &split->header;
    if (!split->out) return FATHOM_OK;
    put_payload(split, zeros, (size_t)(-file_writer_size(split->out) & 7));
    put_payload(split, split->index, (size_t)header->documents * sizeof *split->index);
    header->payload_hash = checksum_value(split->checksum);
    unsigned char bytes[SHARD_HEADER_SIZE];
    shard_header_write(bytes, header);
    file_writer_put_at(split->out, 0, bytes, sizeof bytes);
    struct file_writer *out = split->out;
    split->out = NULL;
    TRY(file_writer_commit(out, err));
    record_shard(split, which, header);
    return FATHOM_OK;
}

static fathom_status check_tokens(const struct shard_writer *writer, const int32_t *tokens,
                                  int64_t count, struct error *err) {
    int32_t vocab_size = writer->options.tokenizer.vocab_size;
    for (int64_t i = 0; i < count; i++)
        if (tokens[i] < 0 || tokens[i] >= vocab_size)
            RAISE(FATHOM_BAD_INPUT, "token %" PRId64 " of a document is %d in a vocabulary of %d",
                  i, tokens[i], vocab_size);
    return FATHOM_OK;
}

static fathom_status index_document(struct growing *split, int64_t text_bytes, struct error *err) {
    struct shard_header *header = &split->header;
    if (header->documents == split->index_capacity) {
        size_t capacity = split->index_capacity * 2 + 256;
        TRY(mem_grow((void **)&split->index, split->index_capacity, capacity, sizeof *split->index,
                     "document index", err));
        split->index_capacity = capacity;
    }
    split->index[header->documents++] =
        (struct shard_document_entry){header->tokens, (uint64_t)text_bytes};
    header->text_bytes += (uint64_t)text_bytes;
    return FATHOM_OK;
}

fathom_status shard_writer_append(struct shard_writer *writer, enum shard_split which,
                                  const int32_t *tokens, int64_t count, int64_t text_bytes,
                                  struct error *err) {
    if (count < 0 || text_bytes < 0)
        RAISE(FATHOM_USAGE, "a document of %" PRId64 " tokens and %" PRId64 " bytes", count,
              text_bytes);
    TRY(check_tokens(writer, tokens, count, err));
    struct growing *split = &writer->splits[which];
    uint64_t size = (uint64_t)count + 1; /* with its eos */
    if (split->out && split->header.tokens + size > (uint64_t)writer->options.tokens_per_shard)
        TRY(finish_shard(writer, which, err));
    if (!split->out) TRY(start_shard(writer, which, err));
    TRY(index_document(split, text_bytes, err));
    put_tokens(split, tokens, count);
    put_tokens(split, &writer->options.tokenizer.eos, 1);
    split->header.tokens += size;
    return FATHOM_OK;
}

void shard_writer_describe(const struct shard_writer *writer, struct text *meta) {
    const struct shard_tokenizer *tokenizer = &writer->options.tokenizer;
    text_printf(meta, "{\n  \"format\": \"fathom tokens\",\n  \"version\": %d,\n", SHARD_VERSION);
    text_printf(meta,
                "  \"tokenizer\": {\"hash\": \"%016" PRIx64
                "\", \"vocab_size\": %d, \"eos\": %d, \"bos\": ",
                tokenizer->hash, tokenizer->vocab_size, tokenizer->eos);
    if (tokenizer->bos >= 0)
        text_printf(meta, "%d", tokenizer->bos);
    else
        text_append_string(meta, "null");
    text_append_string(meta, "},\n  \"splits\": {");
    for (int i = 0; i < SHARD_SPLITS; i++) {
        const struct growing *split = &writer->splits[i];
        text_printf(meta,
                    "%s\n    \"%s\": {\n      \"tokens\": %" PRIu64
                    ",\n      \"documents\": %" PRIu64 ",\n      \"text_bytes\": %" PRIu64
                    ",\n      \"shards\": [",
                    i ? "," : "", shard_split_name((enum shard_split)i), split->tokens,
                    split->documents, split->text_bytes);
        text_append(meta, text_data(&split->records), split->records.size);
        text_append_string(meta, split->shards ? "\n      ]\n    }" : "]\n    }");
    }
    text_append_string(meta, "\n  }\n}\n");
}

int64_t shard_writer_open_tokens(const struct shard_writer *writer) {
    const struct growing *split = &writer->splits[SHARD_TRAIN];
    return split->out ? (int64_t)split->header.tokens : 0;
}
int64_t shard_writer_tokens_per_shard(const struct shard_writer *writer) {
    return writer->options.tokens_per_shard;
}
size_t shard_writer_finished(const struct shard_writer *writer) {
    return writer->splits[SHARD_TRAIN].shards;
}

fathom_status shard_writer_cut(struct shard_writer *writer, struct error *err) {
    for (int i = 0; i < SHARD_SPLITS; i++) TRY(finish_shard(writer, (enum shard_split)i, err));
    return FATHOM_OK;
}

static fathom_status restore_shard(struct growing *split, enum shard_split which,
                                   const json_node *record, const char *what, struct error *err) {
    struct shard_header header = {0};
    int64_t tokens = 0, documents = 0, text_bytes = 0;
    const char *hash = NULL;
    char *end = NULL;
    TRY(json_need_i64(record, "tokens", &tokens, what, err));
    TRY(json_need_i64(record, "documents", &documents, what, err));
    TRY(json_need_i64(record, "text_bytes", &text_bytes, what, err));
    TRY(json_need_string(record, "hash", &hash, what, err));
    header.tokens = (uint64_t)tokens;
    header.documents = (uint64_t)documents;
    header.text_bytes = (uint64_t)text_bytes;
    header.payload_hash = strtoull(hash, &end, 16);
    if (tokens < 0 || documents < 0 || text_bytes < 0 || *end || end == hash)
        RAISE(FATHOM_BAD_INPUT, "%s: a shard of it is not understood", what);
    record_shard(split, which, &header);
    return text_check(&split->records, err);
}

fathom_status shard_writer_restore(struct shard_writer *writer, const json_node *description,
                                   const char *what, struct error *err) {
    const json_node *tokenizer = json_member(description, "tokenizer");
    const struct shard_tokenizer *t = &writer->options.tokenizer;
    const char *hash = NULL;
    char own[20];
    TRY(json_need_string(tokenizer, "hash", &hash, what, err));
    snprintf(own, sizeof own, "%016" PRIx64, t->hash);
    if (strcmp(hash, own) != 0 || json_integer(json_member(tokenizer, "eos")) != t->eos)
        RAISE(FATHOM_BAD_INPUT, "%s: begun with another tokenizer (hash %s, now %s)", what, hash,
              own);
    for (int i = 0; i < SHARD_SPLITS; i++) {
        const enum shard_split which = (enum shard_split)i;
        const json_node *splits = json_member(description, "splits");
        const json_node *records =
            json_member(json_member(splits, shard_split_name(which)), "shards");
        for (size_t k = 0; k < json_count(records); k++)
            TRY(restore_shard(&writer->splits[i], which, json_element(records, k), what, err));
    }
    return FATHOM_OK;
}

static fathom_status finish_meta(struct shard_writer *writer, struct error *err) {
    struct text meta = {0};
    char *path = NULL;
    struct file_writer *out = NULL;
    for (int i = 0; i < SHARD_SPLITS; i++) TRY(text_check(&writer->splits[i].records, err));
    shard_writer_describe(writer, &meta);
    fathom_status status = text_check(&meta, err);
    if (status == FATHOM_OK) status = path_join(&path, writer->temporary, "meta.json", err);
    if (status == FATHOM_OK) status = file_writer_open(&out, path, err);
    if (status == FATHOM_OK) {
        file_writer_put(out, text_data(&meta), meta.size);
        status = file_writer_commit(out, err);
    }
    mem_free(path);
    text_free(&meta);
    return status;
}

fathom_status shard_writer_commit(struct shard_writer *writer, struct error *err) {
    fathom_status status = shard_writer_cut(writer, err);
    if (status == FATHOM_OK) status = finish_meta(writer, err);
    if (status == FATHOM_OK) {
        char *temporary = writer->temporary;
        writer->temporary = NULL;
        status = directory_commit(temporary, writer->path, writer->options.replace, err);
    }
    shard_writer_abort(writer);
    return status;
}

void shard_writer_abort(struct shard_writer *writer) {
    if (!writer) return;
    for (int i = 0; i < SHARD_SPLITS; i++) {
        struct growing *split = &writer->splits[i];
        file_writer_abort(split->out);
        checksum_free(split->checksum);
        mem_free(split->index);
        text_free(&split->records);
    }
    if (writer->options.workplace)
        mem_free(writer->temporary);
    else
        directory_abort(writer->temporary);
    mem_free(writer->path);
    mem_free(writer);
}
