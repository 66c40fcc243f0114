#include "format/shard.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "format/hex.h"
#include "format/shard_file.h"

#define META_MAX_SIZE ((size_t)64 << 20)

/* One shard of the set, and where its tokens and documents stand in the stream. */
struct shard {
    struct file_map map; /* zero when the bytes are the caller's */
    struct shard_file file;
    char name[40];
    int64_t first_token, first_document;
};

struct shard_set {
    struct shard_tokenizer tokenizer;
    struct shard *shards;
    size_t count;
    int64_t tokens, documents, text_bytes;
    uint64_t identity;
    enum shard_split split;
};

/* Where the bytes of shards come from: a directory, or one block for all. */
struct source {
    const char *directory;
    const void *bytes;
    size_t size;
};

const char *shard_split_name(enum shard_split split) {
    static const char *const names[SHARD_SPLITS] = {"train", "heldout"};
    return names[split];
}

static fathom_status parse_tokenizer(struct shard_tokenizer *tokenizer, const json_node *meta,
                                     struct error *err) {
    const char *what = "meta.json: tokenizer";
    const json_node *node = json_member(meta, "tokenizer");
    if (!json_is_object(node)) RAISE(FATHOM_BAD_INPUT, "%s is not an object", what);
    int64_t vocab_size = 0, eos = 0, bos = -1;
    TRY(hex_need(node, "hash", &tokenizer->hash, what, err));
    TRY(json_need_i64(node, "vocab_size", &vocab_size, what, err));
    TRY(json_need_i64(node, "eos", &eos, what, err));
    TRY(json_get_i64(node, "bos", &bos, what, err));
    if (vocab_size < 1 || vocab_size > INT32_MAX || eos < 0 || eos >= vocab_size || bos < -1 ||
        bos >= vocab_size)
        RAISE(FATHOM_BAD_INPUT,
              "%s: vocab_size %" PRId64 ", eos %" PRId64 ", bos %" PRId64 " cannot be", what,
              vocab_size, eos, bos);
    tokenizer->vocab_size = (int32_t)vocab_size;
    tokenizer->eos = (int32_t)eos;
    tokenizer->bos = (int32_t)bos;
    return FATHOM_OK;
}

/* What meta.json says of one shard must be what the shard says. */
static fathom_status check_record(const struct shard *shard, const json_node *record,
                                  const struct shard_set *set, struct error *err) {
    const struct shard_header *header = &shard->file.header;
    int64_t tokens = 0, documents = 0, text_bytes = 0;
    uint64_t hash = 0;
    TRY(json_need_i64(record, "tokens", &tokens, shard->name, err));
    TRY(json_need_i64(record, "documents", &documents, shard->name, err));
    TRY(json_need_i64(record, "text_bytes", &text_bytes, shard->name, err));
    TRY(hex_need(record, "hash", &hash, shard->name, err));
    if (header->vocab_size != (uint64_t)set->tokenizer.vocab_size)
        RAISE(FATHOM_BAD_INPUT, "%s: vocabulary of %" PRIu64 ", but meta.json says %d", shard->name,
              header->vocab_size, set->tokenizer.vocab_size);
    if (header->tokens != (uint64_t)tokens || header->documents != (uint64_t)documents ||
        header->text_bytes != (uint64_t)text_bytes || header->payload_hash != hash)
        RAISE(FATHOM_BAD_INPUT,
              "%s: is not the shard that meta.json lists (counts or checksum differ)", shard->name);
    return FATHOM_OK;
}

static fathom_status map_shard(struct shard *shard, const struct source *source,
                               struct error *err) {
    const void *bytes = source->bytes;
    size_t size = source->size;
    if (source->directory) {
        char *path = NULL;
        TRY(path_join(&path, source->directory, shard->name, err));
        fathom_status status = file_map_open(&shard->map, path, err);
        mem_free(path);
        TRY(status);
        bytes = shard->map.data;
        size = shard->map.size;
    }
    return shard_file_parse(&shard->file, bytes, size, shard->name, err);
}

static fathom_status open_shard(struct shard_set *set, size_t i, const json_node *record,
                                const struct source *source, struct error *err) {
    struct shard *shard = &set->shards[i];
    snprintf(shard->name, sizeof shard->name, "%s-%05zu.tok", shard_split_name(set->split), i);
    const char *name = NULL;
    TRY(json_need_string(record, "file", &name, "meta.json: shard", err));
    if (strcmp(name, shard->name) != 0)
        RAISE(FATHOM_BAD_INPUT, "meta.json: shard %zu is named \"%s\", not %s", i, name,
              shard->name);
    TRY(map_shard(shard, source, err));
    TRY(check_record(shard, record, set, err));
    const struct shard_header *header = &shard->file.header;
    shard->first_token = set->tokens;
    shard->first_document = set->documents;
    if (__builtin_add_overflow(set->tokens, header->tokens, &set->tokens) ||
        __builtin_add_overflow(set->documents, header->documents, &set->documents) ||
        __builtin_add_overflow(set->text_bytes, header->text_bytes, &set->text_bytes))
        RAISE(FATHOM_BAD_INPUT, "%s: the counts overflow", shard->name);
    set->identity =
        hash_bytes_seeded(&header->payload_hash, sizeof header->payload_hash, set->identity);
    return FATHOM_OK;
}

static fathom_status open_shards(struct shard_set *set, const json_node *meta,
                                 const struct source *source, struct error *err) {
    const char *name = shard_split_name(set->split);
    const json_node *split = json_member(json_member(meta, "splits"), name);
    const json_node *records = json_member(split, "shards");
    if (!json_is_array(records))
        RAISE(FATHOM_BAD_INPUT, "meta.json: split %s has no list of shards", name);
    TRY(MEM_NEW(&set->shards, json_count(records), "shards", err));
    set->count = json_count(records);
    for (size_t i = 0; i < set->count; i++)
        TRY(open_shard(set, i, json_element(records, i), source, err));
    int64_t tokens = 0, documents = 0, text_bytes = 0;
    TRY(json_need_i64(split, "tokens", &tokens, name, err));
    TRY(json_need_i64(split, "documents", &documents, name, err));
    TRY(json_need_i64(split, "text_bytes", &text_bytes, name, err));
    if (tokens != set->tokens || documents != set->documents || text_bytes != set->text_bytes)
        RAISE(FATHOM_BAD_INPUT, "meta.json: the counts of split %s are not those of its shards",
              name);
    return FATHOM_OK;
}

static fathom_status parse_meta(struct shard_set *set, const json_node *meta,
                                const struct source *source, struct error *err) {
    const char *format = NULL;
    int64_t version = 0;
    TRY(json_need_string(meta, "format", &format, "meta.json", err));
    if (strcmp(format, "fathom tokens") != 0)
        RAISE(FATHOM_BAD_INPUT, "meta.json: format is \"%s\", not \"fathom tokens\"", format);
    TRY(json_need_i64(meta, "version", &version, "meta.json", err));
    if (version != SHARD_VERSION)
        RAISE(FATHOM_UNSUPPORTED, "meta.json: version %" PRId64 "; this program reads version %d",
              version, SHARD_VERSION);
    TRY(parse_tokenizer(&set->tokenizer, meta, err));
    set->identity = set->tokenizer.hash;
    return open_shards(set, meta, source, err);
}

static fathom_status open_set(struct shard_set **out, enum shard_split split, const json_node *meta,
                              const struct source *source, struct error *err) {
    struct shard_set *set = NULL;
    TRY(MEM_NEW(&set, 1, "shard set", err));
    set->split = split;
    fathom_status status = parse_meta(set, meta, source, err);
    if (status == FATHOM_OK)
        *out = set;
    else
        shard_set_close(set);
    return status;
}

fathom_status shard_set_open(struct shard_set **out, const char *directory, enum shard_split split,
                             struct error *err) {
    *out = NULL;
    char *path = NULL;
    json_node *meta = NULL;
    struct source source = {.directory = directory};
    fathom_status status = path_join(&path, directory, "meta.json", err);
    if (status == FATHOM_OK) status = json_read_file(&meta, path, META_MAX_SIZE, err);
    mem_free(path);
    TRY(status);
    status = open_set(out, split, meta, &source, err);
    if (status != FATHOM_OK) error_prefix(err, "%s", directory);
    json_free(meta);
    return status;
}

fathom_status shard_set_open_memory(struct shard_set **out, enum shard_split split,
                                    const void *meta, size_t meta_size, const void *file,
                                    size_t file_size, struct error *err) {
    *out = NULL;
    json_node *root = NULL;
    struct source source = {.bytes = file, .size = file_size};
    TRY(json_parse(&root, meta, meta_size, "meta.json", err));
    fathom_status status = open_set(out, split, root, &source, err);
    json_free(root);
    return status;
}

void shard_set_close(struct shard_set *set) {
    if (!set) return;
    for (size_t i = 0; i < set->count; i++) file_map_close(&set->shards[i].map);
    mem_free(set->shards);
    mem_free(set);
}

struct shard_tokenizer shard_set_tokenizer(const struct shard_set *set) {
    return set->tokenizer;
}

fathom_status shard_set_check_vocab(const struct shard_set *set, int64_t vocab, const char *path,
                                    struct error *err) {
    int32_t own = shard_set_tokenizer(set).vocab_size;
    if (own <= vocab) return FATHOM_OK;
    RAISE(FATHOM_BAD_INPUT,
          "%s: made with a vocabulary of %d, but the model's has %" PRId64
          " tokens: they do not belong together",
          path, own, vocab);
}
int64_t shard_set_tokens(const struct shard_set *set) { return set->tokens; }
int64_t shard_set_documents(const struct shard_set *set) { return set->documents; }
int64_t shard_set_text_bytes(const struct shard_set *set) { return set->text_bytes; }
uint64_t shard_set_identity(const struct shard_set *set) { return set->identity; }
size_t shard_set_files(const struct shard_set *set) { return set->count; }

/* The last shard that begins at or before a token (or document) of the stream. */
static const struct shard *shard_of_token(const struct shard_set *set, int64_t token) {
    size_t low = 0, high = set->count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (set->shards[middle].first_token <= token)
            low = middle;
        else
            high = middle;
    }
    return &set->shards[low];
}

static const struct shard *shard_of_document(const struct shard_set *set, int64_t document) {
    size_t low = 0, high = set->count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (set->shards[middle].first_document <= document)
            low = middle;
        else
            high = middle;
    }
    return &set->shards[low];
}

fathom_status shard_set_read(const struct shard_set *set, int64_t begin, int64_t count,
                             int32_t *tokens, struct error *err) {
    if (begin < 0 || count < 0 || begin > set->tokens || count > set->tokens - begin)
        RAISE(FATHOM_USAGE, "tokens [%" PRId64 ", +%" PRId64 ") of a stream of %" PRId64, begin,
              count, set->tokens);
    if (count == 0) return FATHOM_OK;
    for (const struct shard *shard = shard_of_token(set, begin); count > 0; shard++) {
        int64_t at = begin - shard->first_token;
        int64_t left = (int64_t)shard->file.header.tokens - at;
        int64_t n = count < left ? count : left;
        TRY(shard_file_read(&shard->file, at, n, tokens, err));
        tokens += n;
        begin += n;
        count -= n;
    }
    return FATHOM_OK;
}

fathom_status shard_set_document(const struct shard_set *set, int64_t i,
                                 struct shard_document *document, struct error *err) {
    if (i < 0 || i >= set->documents)
        RAISE(FATHOM_USAGE, "document %" PRId64 " of %" PRId64, i, set->documents);
    const struct shard *shard = shard_of_document(set, i);
    TRY(shard_file_document(&shard->file, i - shard->first_document, document, err));
    document->begin += shard->first_token;
    document->end += shard->first_token;
    return FATHOM_OK;
}

int64_t shard_set_samples(const struct shard_set *set, int64_t T) {
    return set->tokens > 0 ? (set->tokens - 1) / T : 0;
}

fathom_status shard_set_sample(const struct shard_set *set, int64_t i, int64_t T, int32_t *tokens,
                               struct error *err) {
    if (T < 1 || i < 0 || i >= shard_set_samples(set, T))
        RAISE(FATHOM_USAGE,
              "sample %" PRId64 " of length %" PRId64 " of a stream of %" PRId64 " tokens", i, T,
              set->tokens);
    return shard_set_read(set, i * T, T + 1, tokens, err);
}

fathom_status shard_set_verify(const struct shard_set *set, struct error *err) {
    for (size_t i = 0; i < set->count; i++)
        TRY(shard_file_verify(&set->shards[i].file, set->tokenizer.eos, err));
    return FATHOM_OK;
}
