/* Files: read-only maps, whole-file reads, and writers that never leave a half-written file in the
 * final place. Every system call retries EINTR here and nowhere else. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/status.h"

/* A read-only map of a regular file. An empty file maps to size 0 with a non-NULL data. */
struct file_map {
    const unsigned char *data;
    size_t size;
    void *base; /* for unmapping */
};
fathom_status file_map_open(struct file_map *map, const char *path, struct error *err);
void file_map_close(struct file_map *map); /* safe on a zeroed or closed map */

/* The whole of a file in memory with a NUL after it, for texts such as JSON. Refuses more than
 * max_size bytes. Free with mem_free. `path` may be a pipe. */
fathom_status file_read(const char *path, size_t max_size, char **text, size_t *size,
                        struct error *err);

/* A file (or pipe) read in pieces; the path "-" is standard input. *got is less than size only at
 * the end. A file whose size or time of change is another there than when it was opened is
 * FATHOM_BAD_INPUT. file_reader_close accepts NULL. */
struct file_reader;
fathom_status file_reader_open(struct file_reader **out, const char *path, struct error *err);
fathom_status file_reader_get(struct file_reader *reader, void *to, size_t size, size_t *got,
                              struct error *err);
void file_reader_close(struct file_reader *reader);

/* Size in bytes and time of the last change in nanoseconds of a regular file, to tell whether it is
 * still the same. FATHOM_UNSUPPORTED for what is no regular file. */
struct path_stamp {
    int64_t size, changed;
};
fathom_status path_stamp_of(struct path_stamp *stamp, const char *path, struct error *err);
bool path_exists(const char *path);
bool path_is_directory(const char *path);
/* "dir/name" into a new string (mem_free). */
fathom_status path_join(char **out, const char *directory, const char *name, struct error *err);
/* Makes the directory and its missing parents. */
fathom_status path_make_directory(const char *path, struct error *err);
/* Removes a file, or a directory with what is in it; nothing there is fine. Symbolic links are
 * removed, not followed. */
fathom_status path_remove(const char *path, struct error *err);
/* Free bytes on the file system that holds `path` (or its nearest existing parent). */
fathom_status path_free_bytes(const char *path, uint64_t *bytes, struct error *err);

/* A file written beside its final place ("PATH.tmp-PID"), synced, and renamed over it by commit.
 * Until then the final place is as it was. Errors latch: writes after a failure do nothing and
 * commit reports the first one. */
struct file_writer;
fathom_status file_writer_open(struct file_writer **out, const char *path, struct error *err);
void file_writer_put(struct file_writer *writer, const void *bytes, size_t size);
void file_writer_printf(struct file_writer *writer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Overwrites bytes already put, for headers that are known last. offset + size <= bytes so far. */
void file_writer_put_at(struct file_writer *writer, uint64_t offset, const void *bytes,
                        size_t size);
uint64_t file_writer_size(const struct file_writer *writer);
/* fsync, rename, fsync of the directory. Frees the writer whatever happens; on failure the
 * temporary file is gone and the final place untouched. */
fathom_status file_writer_commit(struct file_writer *writer, struct error *err);
void file_writer_abort(struct file_writer *writer); /* accepts NULL */

/* A whole directory written beside its final place and moved there in one step. begin makes
 * "PATH.tmp-PID" and returns its name (mem_free by commit or abort). commit syncs the directory and
 * renames it to PATH; when PATH exists, it must be allowed by `replace`, and is exchanged
 * atomically (renameat2 RENAME_EXCHANGE, or move-aside where the file system lacks it). */
fathom_status directory_begin(char **temporary, const char *path, bool replace, struct error *err);
fathom_status directory_commit(char *temporary, const char *path, bool replace, struct error *err);
void directory_abort(char *temporary); /* accepts NULL */

/* Makes the names in a directory survive a power cut. A file system that has no such thing for
 * directories (EINVAL) has nothing to sync. */
fathom_status directory_sync(const char *path, struct error *err);

/* Removes what writers that were killed have left in a directory: every "*.tmp-NUMBER". Only for
 * one that no other process writes to (directory_lock). */
fathom_status directory_remove_leftovers(const char *path, struct error *err);

/* Keeps a directory for one process until unlocked or the process ends: FATHOM_EXISTS when another
 * has it. Advisory (flock), nothing is written. */
fathom_status directory_lock(int *lock, const char *path, struct error *err);
void directory_unlock(int lock); /* -1: nothing to unlock */

/* XXH3 64-bit of a byte range. */
uint64_t hash_bytes(const void *bytes, size_t size);
uint64_t hash_bytes_seeded(const void *bytes, size_t size, uint64_t seed);

#endif
