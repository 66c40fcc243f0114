/* What stands beside the shards of a dataset, for the files of data/ only: build.json, the
 * documents' origins and dropped.jsonl; and, while it is built, how far it has come, so that
 * another process can go on. */
#ifndef DATA_BUILD_RECORD_H
#define DATA_BUILD_RECORD_H

#include "data/build.h"

/* How far the building has come. */
struct build_progress {
    uint64_t read;              /* documents */
    struct origin last;         /* where the last of them stood */
    int64_t checkpoints;        /* so far */
    struct build_result result; /* of all inputs together */
};

struct build_record;
/* The reader, whose paths are named, stays the caller's. checkpoints: 0 for a new building. */
fathom_status build_record_new(struct build_record **out, const char *directory,
                               const struct doc_reader *reader, int64_t checkpoints,
                               struct error *err);
void build_record_free(struct build_record *record); /* accepts NULL */
/* An input's counts, for the builder to add to. */
struct build_result *build_record_of(struct build_record *record, uint32_t file);
/* What deduplication remembers. */
struct part_log *build_record_seen(struct build_record *record);
/* A document that stays. */
fathom_status build_record_keep(struct build_record *record, enum shard_split split,
                                struct origin origin, enum document_form form, struct error *err);
/* A line of dropped.jsonl; fault: of a malformed line. */
fathom_status build_record_drop(struct build_record *record, struct origin origin,
                                const struct judgement *judgement, const char *fault,
                                struct error *err);

/* Notes the inputs' sizes and times as they are before reading, for the checkpoints. */
fathom_status build_record_stamp(struct build_record *record, struct error *err);
/* Writes state.json, from which build_record_restore goes on: all so far is on the disk, the
 * writer's shards cut. Counts the checkpoint. */
fathom_status build_record_checkpoint(struct build_record *record, struct build_progress *progress,
                                      const struct shard_writer *writer, const char *settings,
                                      struct error *err);
/* From build_unfinished's object. The inputs must be as they were. */
fathom_status build_record_restore(struct build_record *record, const json_node *state,
                                   struct build_progress *progress, struct shard_writer *writer,
                                   struct error *err);
/* Writes what stays, and removes what does not. */
fathom_status build_record_commit(struct build_record *record, const char *settings,
                                  struct error *err);

#endif
