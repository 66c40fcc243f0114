/* Token shards: meta.json and one .tok file. Every token that is given out is in the vocabulary.
 * The header's checksum is made right first, so that what lies behind it is reached. */
#include <stdlib.h>

#include "fuzz_pair.h"

#include "base/file.h"
#include "format/shard_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_all(const struct shard_set *set) {
    struct error err;
    int64_t tokens = shard_set_tokens(set), documents = shard_set_documents(set);
    for (int64_t at = 0; at < tokens && at < 1000; at++) {
        int32_t two[2] = {0, 0};
        fathom_status status = shard_set_read(set, at, at + 2 <= tokens ? 2 : 1, two, &err);
        if (status == FATHOM_OK && (two[0] < 0 || two[0] >= shard_set_tokenizer(set).vocab_size))
            abort();
    }
    for (int64_t i = 0; i < documents && i < 1000; i++) {
        struct shard_document document;
        fathom_status status = shard_set_document(set, i, &document, &err);
        if (status == FATHOM_OK && (document.begin >= document.end || document.end > tokens))
            abort();
    }
    shard_set_verify(set, &err);
}

static void read_pair(const struct fuzz_pair *pair, const uint8_t *bytes) {
    struct shard_set *set;
    struct shard_file file;
    struct error err;
    if (shard_file_parse(&file, bytes, pair->second_size, "fuzz", &err) == FATHOM_OK)
        shard_file_verify(&file, 1, &err);
    if (shard_set_open_memory(&set, SHARD_TRAIN, pair->first, pair->first_size, bytes,
                              pair->second_size, &err) != FATHOM_OK)
        return;
    read_all(set);
    shard_set_close(set);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fuzz_pair pair;
    if (!fuzz_pair_split(&pair, data, size)) return 0;
    uint8_t *bytes = malloc(pair.second_size + 1);
    if (!bytes) return 0;
    memcpy(bytes, pair.second, pair.second_size);
    if (pair.second_size >= SHARD_HEADER_SIZE) {
        uint64_t hash = hash_bytes(bytes, 56);
        memcpy(bytes + 56, &hash, sizeof hash);
    }
    read_pair(&pair, bytes);
    free(bytes);
    return 0;
}
