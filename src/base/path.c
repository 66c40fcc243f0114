/* Paths and directories (base/file.h). */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"

enum { MAX_DEPTH = 64 };

bool path_exists(const char *path) {
    struct stat info;
    return lstat(path, &info) == 0;
}

bool path_is_directory(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

fathom_status path_join(char **out, const char *directory, const char *name, struct error *err) {
    size_t size = strlen(directory) + strlen(name) + 2;
    *out = NULL;
    TRY(mem_new_raw((void **)out, size, 1, "a path", err));
    const char *slash = *directory && !string_ends_with(directory, "/") ? "/" : "";
    snprintf(*out, size, "%s%s%s", directory, slash, name);
    return FATHOM_OK;
}

/* ---- making ---- */

static fathom_status make_one(const char *path, struct error *err) {
    if (mkdir(path, 0777) == 0 || (errno == EEXIST && path_is_directory(path))) return FATHOM_OK;
    int code = errno == EEXIST ? ENOTDIR : errno;
    return error_set_errno(err, code, "%s: the directory cannot be made", path);
}

fathom_status path_make_directory(const char *path, struct error *err) {
    char *copy = NULL;
    TRY(string_copy(&copy, path, err));
    fathom_status status = FATHOM_OK;
    for (char *p = copy + 1; *copy && *p && status == FATHOM_OK; p++) {
        if (*p != '/') continue;
        *p = 0;
        status = make_one(copy, err);
        *p = '/';
    }
    if (status == FATHOM_OK) status = make_one(path, err);
    mem_free(copy);
    return status;
}

/* ---- removing ---- */

static fathom_status remove_tree(const char *path, int depth, struct error *err);

static bool is_content(const char *name) {
    return strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static bool is_leftover(const char *name) {
    const char *mark = strstr(name, ".tmp-");
    return mark && mark[5] && strspn(mark + 5, "0123456789") == strlen(mark + 5);
}

/* Those entries of a directory for which `is_wanted` holds. */
static fathom_status remove_entries(const char *path, bool (*is_wanted)(const char *name),
                                    int depth, struct error *err) {
    fathom_status status = FATHOM_OK;
    const struct dirent *entry = NULL;
    DIR *directory = opendir(path);
    if (!directory) return error_set_errno(err, errno, "%s: cannot be listed", path);
    while (status == FATHOM_OK && (entry = readdir(directory))) {
        if (!is_wanted(entry->d_name)) continue;
        char *child = NULL;
        status = path_join(&child, path, entry->d_name, err);
        if (status == FATHOM_OK) status = remove_tree(child, depth + 1, err);
        mem_free(child);
    }
    closedir(directory);
    return status;
}

static fathom_status remove_tree(const char *path, int depth, struct error *err) {
    struct stat info;
    if (depth > MAX_DEPTH) RAISE(FATHOM_IO, "%s: nested too deeply to be removed", path);
    if (lstat(path, &info) != 0)
        return errno == ENOENT || errno == ENOTDIR
                   ? FATHOM_OK
                   : error_set_errno(err, errno, "%s: cannot be removed", path);
    if (S_ISDIR(info.st_mode)) {
        TRY(remove_entries(path, is_content, depth, err));
        if (rmdir(path) != 0) return error_set_errno(err, errno, "%s: cannot be removed", path);
    } else if (unlink(path) != 0 && errno != ENOENT) {
        return error_set_errno(err, errno, "%s: cannot be removed", path);
    }
    return FATHOM_OK;
}

fathom_status path_remove(const char *path, struct error *err) { return remove_tree(path, 0, err); }

fathom_status directory_remove_leftovers(const char *path, struct error *err) {
    return remove_entries(path, is_leftover, 0, err);
}

/* ---- space ---- */

fathom_status path_free_bytes(const char *path, uint64_t *bytes, struct error *err) {
    struct statvfs info;
    struct text at = {0};
    text_append_string(&at, path);
    fathom_status status = text_check(&at, err);
    while (status == FATHOM_OK && statvfs(text_data(&at), &info) != 0) {
        char *slash = at.data ? strrchr(at.data, '/') : NULL;
        if (errno != ENOENT || strcmp(text_data(&at), ".") == 0) {
            status = error_set_errno(err, errno, "%s: its file system cannot be asked", path);
        } else if (!slash) {
            text_clear(&at);
            text_append_char(&at, '.');
        } else {
            slash[slash == at.data] = 0; /* keep the root's slash */
        }
    }
    if (status == FATHOM_OK) *bytes = (uint64_t)info.f_bavail * info.f_frsize;
    text_free(&at);
    return status;
}

/* ---- whole directories ---- */

static fathom_status refuse_existing(const char *path, struct error *err) {
    RAISE(FATHOM_EXISTS, "%s: there is something already; choose another place or remove it", path);
}

/* Without the slashes that a person may put at the end. */
static size_t trimmed_length(const char *path) {
    size_t size = strlen(path);
    while (size > 1 && path[size - 1] == '/') size--;
    return size;
}

fathom_status directory_begin(char **temporary, const char *path, bool replace, struct error *err) {
    struct text name = {0};
    *temporary = NULL;
    if (!replace && path_exists(path)) return refuse_existing(path, err);
    text_printf(&name, "%.*s.tmp-%ld", (int)trimmed_length(path), path, (long)getpid());
    fathom_status status = text_check(&name, err);
    if (status == FATHOM_OK) status = path_remove(text_data(&name), err);
    if (status == FATHOM_OK) status = string_copy(temporary, text_data(&name), err);
    if (status == FATHOM_OK) status = path_make_directory(text_data(&name), err);
    if (status != FATHOM_OK) {
        mem_free(*temporary);
        *temporary = NULL;
    }
    text_free(&name);
    return status;
}

fathom_status directory_sync(const char *path, struct error *err) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return error_set_errno(err, errno, "%s: cannot be opened", path);
    int code = fsync(fd) != 0 && errno != EINVAL ? errno : 0;
    close(fd);
    return code ? error_set_errno(err, code, "%s: cannot be synced", path) : FATHOM_OK;
}

/* Puts `temporary` in the place of an existing `path`; the old one is then under `temporary`. */
static int exchange(const char *temporary, const char *path) {
    if (syscall(SYS_renameat2, AT_FDCWD, temporary, AT_FDCWD, path, RENAME_EXCHANGE) == 0) return 0;
    if (errno != EINVAL && errno != ENOSYS) return errno;
    struct text aside = {0};
    text_printf(&aside, "%s.old", temporary);
    int code = aside.failed ? ENOMEM : 0;
    if (code == 0 && rename(path, text_data(&aside)) != 0) code = errno;
    if (code == 0 && rename(temporary, path) != 0) {
        code = errno;
        rename(text_data(&aside), path);
    }
    if (code == 0 && rename(text_data(&aside), temporary) != 0) code = errno;
    text_free(&aside);
    return code;
}

/* `parent` is written before: what is in place is not to fail for want of memory. */
static fathom_status move_into_place(const char *temporary, const char *path, const char *parent,
                                     bool replace, struct error *err) {
    TRY(directory_sync(temporary, err));
    if (path_exists(path)) {
        if (!replace) return refuse_existing(path, err);
        int code = exchange(temporary, path);
        if (code != 0) return error_set_errno(err, code, "%s: cannot be replaced", path);
        TRY(directory_sync(parent, err));
        return path_remove(temporary, err);
    }
    if (syscall(SYS_renameat2, AT_FDCWD, temporary, AT_FDCWD, path, RENAME_NOREPLACE) != 0 &&
        ((errno != EINVAL && errno != ENOSYS) || rename(temporary, path) != 0))
        return error_set_errno(err, errno, "%s: cannot be put in place", path);
    return directory_sync(parent, err);
}

fathom_status directory_commit(char *temporary, const char *path, bool replace, struct error *err) {
    struct text parent = {0};
    text_printf(&parent, "%.*s/..", (int)trimmed_length(path), path);
    fathom_status status = text_check(&parent, err);
    if (status == FATHOM_OK)
        status = move_into_place(temporary, path, text_data(&parent), replace, err);
    if (status != FATHOM_OK) path_remove(temporary, NULL);
    text_free(&parent);
    mem_free(temporary);
    return status;
}

void directory_abort(char *temporary) {
    if (!temporary) return;
    path_remove(temporary, NULL);
    mem_free(temporary);
}

/* ---- locks ---- */

fathom_status directory_lock(int *lock, const char *path, struct error *err) {
    *lock = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*lock < 0) return error_set_errno(err, errno, "%s: cannot be opened", path);
    int result;
    do result = flock(*lock, LOCK_EX | LOCK_NB);
    while (result != 0 && errno == EINTR);
    if (result == 0) return FATHOM_OK;
    fathom_status status =
        errno == EWOULDBLOCK
            ? error_set(err, FATHOM_EXISTS, "%s: another process is writing there", path)
            : error_set_errno(err, errno, "%s: cannot be locked", path);
    close(*lock);
    *lock = -1;
    return status;
}

void directory_unlock(int lock) {
    if (lock >= 0) close(lock);
}

fathom_status path_stamp_of(struct path_stamp *stamp, const char *path, struct error *err) {
    struct stat found;
    if (stat(path, &found) != 0)
        return error_set_errno(err, errno, "%s: cannot be looked at", path);
    if (!S_ISREG(found.st_mode)) RAISE(FATHOM_UNSUPPORTED, "%s: not a regular file", path);
    stamp->size = found.st_size;
    stamp->changed = (int64_t)found.st_mtim.tv_sec * 1000000000 + found.st_mtim.tv_nsec;
    return FATHOM_OK;
}
