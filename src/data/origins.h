/* Where the documents of a dataset came from: a file SPLIT-origins.bin beside the shards, with a
 * record for every document of the split, in its order, and the inputs' names in build.json.
 *
 * The file is a header of 32 bytes (the magic "FATHORIG", then u64 version, u64 records, u64 XXH3
 * of the records), then records of u64 line and u32 file, u32 form; little-endian. */
#ifndef DATA_ORIGINS_H
#define DATA_ORIGINS_H

#include "data/clean.h"
#include "data/fim.h"
#include "format/shard.h"

/* Puts a record into a split's log, origins_log_name(split). */
const char *origins_log_name(enum shard_split split);
fathom_status origins_put(struct part_log *log, struct origin origin, enum document_form form,
                          struct error *err);
/* Makes the file of what the log holds. */
fathom_status origins_write(const struct part_log *log, const char *directory,
                            enum shard_split split, struct error *err);

struct origins;
/* FATHOM_BAD_INPUT when it is damaged, or has not the `documents` of the split. *out is NULL where
 * the dataset has no such file. */
fathom_status origins_open(struct origins **out, const char *directory, enum shard_split split,
                           int64_t documents, struct error *err);
void origins_close(struct origins *origins); /* accepts NULL */
/* document < documents. */
struct origin origins_of(const struct origins *origins, int64_t document, enum document_form *form);

#endif
