/* Files of a test: paths in its directory and whole files read. What is returned lives until the
 * test ends. */
#ifndef HARNESS_FILES_H
#define HARNESS_FILES_H

#include "base/file.h"
#include "harness.h"

/* DIR/name in the test's directory. */
static inline const char *test_path(const char *name) {
    struct error err;
    char *path = NULL;
    CHECK_OK(path_join(&path, harness_directory(), name, &err), &err);
    return harness_keep(path);
}

static inline char *load(const char *path, size_t *size) {
    struct error err;
    char *bytes = NULL;
    CHECK_OK(file_read(path, (size_t)1 << 30, &bytes, size, &err), &err);
    return harness_keep(bytes);
}

#endif
