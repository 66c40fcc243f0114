/* What is written about the building of a dataset, for the files of data/ only: build.json and
 * dropped.jsonl. */
#ifndef DATA_BUILD_RECORD_H
#define DATA_BUILD_RECORD_H

#include "data/build.h"

struct build_record;
/* The reader, whose paths are named, stays the caller's. */
fathom_status build_record_new(struct build_record **out, const char *directory,
                               const struct doc_reader *reader, struct error *err);
void build_record_free(struct build_record *record); /* accepts NULL */
/* An input's counts, for the builder to add to. */
struct build_result *build_record_of(struct build_record *record, uint32_t file);
/* A line of dropped.jsonl; fault: of a malformed line. Failures to write show at commit. */
fathom_status build_record_drop(struct build_record *record, struct origin origin,
                                const struct judgement *judgement, const char *fault,
                                struct error *err);
fathom_status build_record_commit(struct build_record *record, const char *settings,
                                  struct error *err);

#endif
