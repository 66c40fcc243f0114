/* Documents to token shards: the held-out split, parallel encoding, counts. */
#ifndef DATA_BUILD_H
#define DATA_BUILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "base/pool.h"
#include "base/status.h"
#include "format/shard.h"
#include "text/tokenizer.h"

struct build_options {
    const char *const *paths; /* [path_count], as doc_reader_open takes them */
    size_t path_count;
    const char *field; /* of JSONL lines; NULL: "text" */
    const struct tokenizer *tokenizer;
    const char *out; /* the dataset's directory */
    bool replace;    /* a dataset that stands there gives way at the end, else FATHOM_EXISTS */
    /* The share of documents that the held-out split gets, [0, 1): those whose hash, seeded, lies
     * below it. Equal documents have equal hashes, so none stands in both splits. */
    double heldout;
    uint64_t seed;
    int64_t tokens_per_shard; /* 0: shard.h's default */
    struct pool *pool;
    struct log *log;              /* progress; NULL: none */
    bool (*is_interrupted)(void); /* polled between batches; NULL: never */
};

struct build_counts {
    struct {
        int64_t documents, tokens, text_bytes; /* tokens with an eos for each document */
    } splits[SHARD_SPLITS];
};

/* Builds the dataset, the same bytes for any number of threads. Without a document for training it
 * is FATHOM_BAD_INPUT, with a tokenizer that has no eos FATHOM_USAGE; interrupted, it is
 * FATHOM_INTERRUPTED. Whatever fails, the final place is as it was before. */
fathom_status data_build(const struct build_options *options, struct build_counts *counts,
                         struct error *err);

/* What shards record of a tokenizer. */
struct shard_tokenizer build_shard_tokenizer(const struct tokenizer *tokenizer);
/* FATHOM_BAD_INPUT, saying what differs, unless the shards were made with this tokenizer. `what`
 * names the dataset. */
fathom_status build_check_tokenizer(struct shard_tokenizer made_with,
                                    const struct tokenizer *tokenizer, const char *what,
                                    struct error *err);

#endif
