#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/memory.h"
#include "base/text.h"

/* ---- system calls that retry EINTR ---- */

static int open_retry(const char *path, int flags, mode_t mode) {
    int fd;
    do fd = open(path, flags | O_CLOEXEC, mode);
    while (fd < 0 && errno == EINTR);
    return fd;
}

static ssize_t read_retry(int fd, void *to, size_t size) {
    ssize_t got;
    do got = read(fd, to, size);
    while (got < 0 && errno == EINTR);
    return got;
}

/* Everything, or false with errno set. */
static bool write_all(int fd, const void *bytes, size_t size) {
    const char *from = bytes;
    while (size > 0) {
        ssize_t put = write(fd, from, size);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return false;
        from += put;
        size -= (size_t)put;
    }
    return true;
}

/* ---- reading ---- */

static const unsigned char empty_file[1];

static fathom_status map_descriptor(struct file_map *map, int fd, const char *path,
                                    struct error *err) {
    struct stat info;
    if (fstat(fd, &info) != 0) return error_set_errno(err, errno, "%s: cannot be read", path);
    if (!S_ISREG(info.st_mode)) RAISE(FATHOM_IO, "%s: not a regular file", path);
    *map = (struct file_map){.data = empty_file, .size = (size_t)info.st_size};
    if (map->size == 0) return FATHOM_OK;
    void *base = mmap(NULL, map->size, PROT_READ, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED) {
        *map = (struct file_map){0};
        return error_set_errno(err, errno, "%s: cannot be mapped", path);
    }
    map->base = base;
    map->data = base;
    return FATHOM_OK;
}

fathom_status file_map_open(struct file_map *map, const char *path, struct error *err) {
    *map = (struct file_map){0};
    int fd = open_retry(path, O_RDONLY, 0);
    if (fd < 0) return error_set_errno(err, errno, "%s: cannot be opened", path);
    fathom_status status = map_descriptor(map, fd, path, err);
    close(fd);
    return status;
}

void file_map_close(struct file_map *map) {
    if (map->base) munmap(map->base, map->size);
    *map = (struct file_map){0};
}

static fathom_status read_descriptor(int fd, const char *path, size_t max_size, char **text,
                                     size_t *size, struct error *err) {
    size_t capacity = 4096, used = 0;
    void *block = NULL;
    TRY(mem_new_raw(&block, capacity + 1, 1, path, err));
    for (;;) {
        ssize_t got = read_retry(fd, (char *)block + used, capacity - used);
        if (got < 0) {
            mem_free(block);
            return error_set_errno(err, errno, "%s: cannot be read", path);
        }
        if (got == 0) break;
        used += (size_t)got;
        if (used > max_size) {
            mem_free(block);
            RAISE(FATHOM_BAD_INPUT, "%s: longer than the %zu bytes expected of such a file", path,
                  max_size);
        }
        if (used < capacity) continue;
        fathom_status status = mem_grow(&block, used, 2 * capacity + 1, 1, path, err);
        if (status != FATHOM_OK) {
            mem_free(block);
            return status;
        }
        capacity *= 2;
    }
    ((char *)block)[used] = 0;
    *text = block;
    *size = used;
    return FATHOM_OK;
}

fathom_status file_read(const char *path, size_t max_size, char **text, size_t *size,
                        struct error *err) {
    *text = NULL;
    *size = 0;
    int fd = open_retry(path, O_RDONLY, 0);
    if (fd < 0) return error_set_errno(err, errno, "%s: cannot be opened", path);
    fathom_status status = read_descriptor(fd, path, max_size, text, size, err);
    close(fd);
    return status;
}

struct file_reader {
    int fd;
    char *path;
    struct stat opened; /* as it was then */
};

fathom_status file_reader_open(struct file_reader **out, const char *path, struct error *err) {
    struct file_reader *reader = NULL;
    *out = NULL;
    TRY(MEM_NEW(&reader, 1, path, err));
    bool is_stdin = strcmp(path, "-") == 0;
    fathom_status status = string_copy(&reader->path, is_stdin ? "standard input" : path, err);
    reader->fd = -1;
    if (status == FATHOM_OK) {
        reader->fd = is_stdin ? dup(STDIN_FILENO) : open_retry(path, O_RDONLY, 0);
        if (reader->fd < 0)
            status = error_set_errno(err, errno, "%s: cannot be opened", reader->path);
        else if (fstat(reader->fd, &reader->opened) != 0)
            status = error_set_errno(err, errno, "%s: cannot be looked at", reader->path);
    }
    if (status != FATHOM_OK)
        file_reader_close(reader);
    else
        *out = reader;
    return status;
}

static fathom_status check_unchanged(const struct file_reader *reader, struct error *err) {
    struct stat now;
    const struct stat *then = &reader->opened;
    if (!S_ISREG(then->st_mode)) return FATHOM_OK;
    if (fstat(reader->fd, &now) != 0)
        return error_set_errno(err, errno, "%s: cannot be looked at", reader->path);
    if (now.st_size == then->st_size && now.st_mtim.tv_sec == then->st_mtim.tv_sec &&
        now.st_mtim.tv_nsec == then->st_mtim.tv_nsec)
        return FATHOM_OK;
    RAISE(FATHOM_BAD_INPUT, "%s: changed while it was read", reader->path);
}

fathom_status file_reader_get(struct file_reader *reader, void *to, size_t size, size_t *got,
                              struct error *err) {
    *got = 0;
    while (*got < size) {
        ssize_t part = read_retry(reader->fd, (char *)to + *got, size - *got);
        if (part < 0) return error_set_errno(err, errno, "%s: cannot be read", reader->path);
        if (part == 0) break;
        *got += (size_t)part;
    }
    return *got < size ? check_unchanged(reader, err) : FATHOM_OK;
}

void file_reader_close(struct file_reader *reader) {
    if (!reader) return;
    if (reader->fd >= 0) close(reader->fd);
    mem_free(reader->path);
    mem_free(reader);
}

/* ---- writing ---- */

enum { WRITER_BUFFER = 1 << 18 };

struct file_writer {
    int fd;
    char *path, *temporary;
    unsigned char *buffer; /* [WRITER_BUFFER] */
    size_t buffered;
    uint64_t flushed; /* bytes in the file; size = flushed + buffered */
    int failure;      /* errno of the first failed write; 0: none */
};

static void writer_close(struct file_writer *w, bool remove_temporary) {
    if (w->fd >= 0) close(w->fd);
    if (remove_temporary && w->temporary) unlink(w->temporary);
    mem_free(w->path);
    mem_free(w->temporary);
    mem_free(w->buffer);
    mem_free(w);
}

static fathom_status writer_fill(struct file_writer *w, const char *path, struct error *err) {
    size_t size = strlen(path) + 32;
    TRY(mem_new_raw((void **)&w->path, size, 1, path, err));
    TRY(mem_new_raw((void **)&w->temporary, size, 1, path, err));
    TRY(mem_new_raw((void **)&w->buffer, WRITER_BUFFER, 1, path, err));
    snprintf(w->path, size, "%s", path);
    snprintf(w->temporary, size, "%s.tmp-%ld", path, (long)getpid());
    w->fd = open_retry(w->temporary, O_RDWR | O_CREAT | O_TRUNC, 0666);
    if (w->fd < 0) return error_set_errno(err, errno, "%s: cannot be created", w->temporary);
    return FATHOM_OK;
}

fathom_status file_writer_open(struct file_writer **out, const char *path, struct error *err) {
    struct file_writer *w = NULL;
    *out = NULL;
    TRY(MEM_NEW(&w, 1, path, err));
    w->fd = -1;
    fathom_status status = writer_fill(w, path, err);
    if (status != FATHOM_OK)
        writer_close(w, false);
    else
        *out = w;
    return status;
}

static void writer_flush(struct file_writer *w) {
    if (w->failure == 0 && !write_all(w->fd, w->buffer, w->buffered)) w->failure = errno;
    w->flushed += w->buffered;
    w->buffered = 0;
}

void file_writer_put(struct file_writer *w, const void *bytes, size_t size) {
    if (size >= WRITER_BUFFER) {
        writer_flush(w);
        if (w->failure == 0 && !write_all(w->fd, bytes, size)) w->failure = errno;
        w->flushed += size;
        return;
    }
    if (w->buffered + size > WRITER_BUFFER) writer_flush(w);
    if (size > 0) memcpy(w->buffer + w->buffered, bytes, size);
    w->buffered += size;
}

void file_writer_printf(struct file_writer *w, const char *format, ...) {
    char line[4096];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (size < 0 || (size_t)size >= sizeof line)
        w->failure = w->failure ? w->failure : EOVERFLOW;
    else
        file_writer_put(w, line, (size_t)size);
}

void file_writer_put_at(struct file_writer *w, uint64_t offset, const void *bytes, size_t size) {
    writer_flush(w);
    const char *from = bytes;
    while (w->failure == 0 && size > 0) {
        ssize_t put = pwrite(w->fd, from, size, (off_t)offset);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) {
            w->failure = errno;
            return;
        }
        from += put;
        offset += (uint64_t)put;
        size -= (size_t)put;
    }
}

uint64_t file_writer_size(const struct file_writer *w) { return w->flushed + w->buffered; }

/* Syncs the directory that holds `path`, so that a rename in it survives a power cut. Some file
 * systems refuse this for directories (EINVAL); they have nothing to sync then. */
static int sync_parent(const char *path) {
    char parent[4096];
    const char *slash = strrchr(path, '/');
    size_t size = slash ? (size_t)(slash - path) : 0;
    if (size >= sizeof parent) return ENAMETOOLONG;
    memcpy(parent, path, size);
    parent[size] = 0;
    const char *name = !slash ? "." : size == 0 ? "/" : parent;
    int fd = open_retry(name, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0) return errno;
    int failure = fsync(fd) != 0 && errno != EINVAL ? errno : 0;
    close(fd);
    return failure;
}

fathom_status file_writer_commit(struct file_writer *w, struct error *err) {
    fathom_status status = FATHOM_OK;
    writer_flush(w);
    if (w->failure == 0 && fsync(w->fd) != 0) w->failure = errno;
    int code = close(w->fd);
    w->fd = -1;
    if (w->failure == 0 && code != 0) w->failure = errno;
    if (w->failure == 0 && rename(w->temporary, w->path) != 0) w->failure = errno;
    bool is_in_place = w->failure == 0;
    if (w->failure == 0) w->failure = sync_parent(w->path);
    if (w->failure != 0)
        status = error_set_errno(err, w->failure, "%s: cannot be written", w->path);
    writer_close(w, !is_in_place);
    return status;
}

void file_writer_abort(struct file_writer *w) {
    if (w) writer_close(w, true);
}

/* ---- hashes ---- */

uint64_t hash_bytes(const void *bytes, size_t size) { return XXH3_64bits(bytes, size); }

uint64_t hash_bytes_seeded(const void *bytes, size_t size, uint64_t seed) {
    return XXH3_64bits_withSeed(bytes, size, seed);
}
