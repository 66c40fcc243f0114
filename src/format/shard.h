/* Token shards: a directory with meta.json and files SPLIT-NNNNN.tok.
 *
 * meta.json holds the format version, the tokenizer (hash, vocabulary size, eos, bos) and per split
 * its counts and shards. A .tok file is a 64-byte header (struct shard_header in shard_file.h), the
 * tokens as u16 (vocabulary up to 65536) or u32, zeros up to a multiple of 8, and the document
 * index: per document u64 first token and u64 bytes of the text behind it. The header carries an
 * XXH3 of all that follows it and one of itself.
 *
 * The stream of a split is its documents one after the other, each ended by eos, across shards.
 * Training samples are cut from the stream without regard to documents ("packing without
 * cross-sample masking", DeepSeek-V3 report, section 4.1). A document never spans shards. */
#ifndef FORMAT_SHARD_H
#define FORMAT_SHARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json.h"

enum shard_split { SHARD_TRAIN, SHARD_HELDOUT, SHARD_SPLITS };
const char *shard_split_name(enum shard_split split); /* "train", "heldout" */

struct shard_tokenizer {
    uint64_t hash;      /* of the tokenizer.json that made the tokens */
    int32_t vocab_size; /* every token is in [0, vocab_size) */
    int32_t eos;        /* ends every document */
    int32_t bos;        /* -1: none */
};

/* One split of a dataset, open for reading. Immutable, so threads may share it. */
struct shard_set;
/* Checks meta.json, sizes and headers; not the checksums of the tokens (shard_set_verify). A split
 * without documents opens and has no tokens. */
fathom_status shard_set_open(struct shard_set **out, const char *directory, enum shard_split split,
                             struct error *err);
void shard_set_close(struct shard_set *set); /* accepts NULL */

struct shard_tokenizer shard_set_tokenizer(const struct shard_set *set);
/* FATHOM_BAD_INPUT when the tokens may lie outside a model's vocabulary of `vocab`; `path` names
 * the data. */
fathom_status shard_set_check_vocab(const struct shard_set *set, int64_t vocab, const char *path,
                                    struct error *err);
int64_t shard_set_tokens(const struct shard_set *set); /* eos tokens included */
int64_t shard_set_documents(const struct shard_set *set);
int64_t shard_set_text_bytes(const struct shard_set *set); /* of the text behind the tokens */
/* Changes when any token of the split does: a resumed run compares it. */
uint64_t shard_set_identity(const struct shard_set *set);
size_t shard_set_files(const struct shard_set *set);

/* Tokens [begin, begin + count) of the stream. A range outside the stream is FATHOM_USAGE; a token
 * outside the vocabulary is FATHOM_BAD_INPUT and names the shard and the place. */
fathom_status shard_set_read(const struct shard_set *set, int64_t begin, int64_t count,
                             int32_t *tokens, struct error *err);
/* Document i < documents: its range of the stream, the ending eos included. */
struct shard_document {
    int64_t begin, end; /* tokens of the stream */
    int64_t text_bytes;
};
fathom_status shard_set_document(const struct shard_set *set, int64_t i,
                                 struct shard_document *document, struct error *err);

/* Samples of length T: sample i is T inputs and, shifted by one, T targets: tokens [i*T, i*T + T]
 * of the stream. samples = (tokens - 1) / T. */
int64_t shard_set_samples(const struct shard_set *set, int64_t T);
fathom_status shard_set_sample(const struct shard_set *set, int64_t i, int64_t T,
                               int32_t *tokens /* [T + 1] */, struct error *err);

/* Reads everything: checksums, every token in the vocabulary, every document ended by eos. Names
 * the first bad shard. */
fathom_status shard_set_verify(const struct shard_set *set, struct error *err);

/* Writing. The dataset is built beside its place and moved there by commit: in a temporary
 * directory, or in one of the caller's, which survives the writer and can be gone on with. */
struct shard_writer;
struct shard_writer_options {
    struct shard_tokenizer tokenizer;
    int64_t tokens_per_shard; /* 0: 100 million. A longer document gets a shard of its own */
    bool replace;             /* an existing dataset gives way at commit, else FATHOM_EXISTS */
    const char *workplace;    /* the caller's directory, which exists; NULL: a temporary one */
};
fathom_status shard_writer_open(struct shard_writer **out, const char *directory,
                                const struct shard_writer_options *options, struct error *err);
/* Adds one document and the eos after it. Tokens outside the vocabulary are FATHOM_BAD_INPUT. */
fathom_status shard_writer_append(struct shard_writer *writer, enum shard_split split,
                                  const int32_t *tokens, int64_t count, int64_t text_bytes,
                                  struct error *err);
/* Tokens of the training shard that is open, and how many are finished: when it pays to cut. */
int64_t shard_writer_open_tokens(const struct shard_writer *writer);
size_t shard_writer_finished(const struct shard_writer *writer);
int64_t shard_writer_tokens_per_shard(const struct shard_writer *writer);
/* Finishes the open shards of both splits, so that shard_writer_describe has all so far. */
fathom_status shard_writer_cut(struct shard_writer *writer, struct error *err);
/* Appends what is finished, as JSON; and goes on from there in another process. A description that
 * does not fit the tokenizer is FATHOM_BAD_INPUT; `what` names it. */
void shard_writer_describe(const struct shard_writer *writer, struct text *out);
fathom_status shard_writer_restore(struct shard_writer *writer, const json_node *description,
                                   const char *what, struct error *err);
/* Where other files of the dataset (statistics) may be written before commit. */
const char *shard_writer_directory(const struct shard_writer *writer);
/* Finishes and frees the writer, whatever happens. */
fathom_status shard_writer_commit(struct shard_writer *writer, struct error *err);
void shard_writer_abort(struct shard_writer *writer); /* accepts NULL */

#endif
