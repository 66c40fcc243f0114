/* Documents to token shards: read, judged (data/clean.h), encoded, written.
 *
 * A document is held out when the hash of its bytes (with the seed) falls into the share: its place
 * does not depend on the other documents or their order, and equal documents never stand in both
 * splits. Documents are read in batches, encoded in parallel, and written in the order in which
 * they were read, so the shards do not depend on the threads.
 *
 * Beside the shards stand build.json (the settings, and what each input gave), SPLIT-origins.bin
 * (data/origins.h) and, where documents were dropped, dropped.jsonl, which names each with the
 * reason. */
#ifndef DATA_BUILD_H
#define DATA_BUILD_H

#include "base/log.h"
#include "base/pool.h"
#include "data/clean.h"
#include "data/fim.h"
#include "format/shard.h"
#include "text/tokenizer.h"

struct build_options {
    double heldout_share; /* [0, 1) of the documents */
    uint64_t seed;
    int64_t tokens_per_shard; /* 0: the format's default */
    bool replace;             /* an existing dataset gives way */
    struct clean_options clean;
    bool skips_malformed;  /* lines of JSONL files; else the first one stops the building */
    const struct fim *fim; /* of documents for training; NULL: none */
    double split_rate;     /* data/token_split.h, of documents for training; 0: none */
    const char *settings;  /* a JSON object for build.json; NULL: {} */
    /* Checkpoints are kept in build_workplace(directory), for which all inputs must be regular
     * files: a killed building can be gone on with. */
    bool is_resumable;
    const json_node *unfinished; /* build_unfinished's, to go on from; NULL: begin */
    struct log *log;             /* progress; NULL: none */
};
/* Counts of all documents, or of an input's. */
struct build_result {
    int64_t documents[SHARD_SPLITS], tokens[SHARD_SPLITS], text_bytes[SHARD_SPLITS];
    int64_t forms[FORMS]; /* documents for training */
    int64_t verdicts[VERDICTS];
    int64_t broken[MEASURES]; /* documents that were dropped by the rule */
    int64_t mended;           /* documents in which bytes were replaced */
};
/* Whether a document goes into the held-out split. */
bool build_is_heldout(const char *bytes, size_t size, double share, uint64_t seed);

/* "DIRECTORY.building": where a dataset is built that can be gone on with (mem_free). */
fathom_status build_workplace(char **out, const char *directory, struct error *err);
/* Whether a building can be gone on with there. */
bool build_has_state(const char *workplace);
/* What an unfinished building has recorded there, for json_free: among others "settings" and
 * "inputs", a list of objects with "file". FATHOM_IO where there is none. */
fathom_status build_unfinished(json_node **state, const char *workplace, struct error *err);

/* FATHOM_BAD_INPUT when there is no document for training; FATHOM_INTERRUPTED on a signal. Whatever
 * fails, what stood at `directory` stands there still. A resumable building that has a checkpoint
 * leaves its workplace when it was interrupted or the machine failed it, any other leaves nothing.
 * Another one begun at a workplace that is there is FATHOM_EXISTS, unless options->replace. What is
 * gone on with ends with the bits of the undisturbed one, whatever the threads. */
fathom_status build_shards(const char *directory, struct doc_reader *reader,
                           const struct tokenizer *tokenizer, struct pool *pool,
                           const struct build_options *options, struct build_result *result,
                           struct error *err);

/* What shards record of a tokenizer. */
struct shard_tokenizer build_shard_tokenizer(const struct tokenizer *tokenizer);
/* FATHOM_BAD_INPUT, saying what differs, unless the shards were made with this tokenizer. `what`
 * names the dataset. */
fathom_status build_check_tokenizer(struct shard_tokenizer made_with,
                                    const struct tokenizer *tokenizer, const char *what,
                                    struct error *err);

#endif
