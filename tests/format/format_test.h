/* Files of a test: paths in its directory, whole files in and out, and safetensors by hand. */
#ifndef FORMAT_TEST_H
#define FORMAT_TEST_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "harness.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"

/* DIR/name in the test's directory; a test is a process, so nothing here is freed. */
static inline const char *test_path(const char *name) {
    struct error err;
    char *path = NULL;
    CHECK_OK(path_join(&path, harness_directory(), name, &err), &err);
    return path;
}

static inline char *load(const char *path, size_t *size) {
    struct error err;
    char *bytes = NULL;
    CHECK_OK(file_read(path, (size_t)1 << 30, &bytes, size, &err), &err);
    return bytes;
}

static inline void store(const char *path, const void *bytes, size_t size) {
    FILE *file = fopen(path, "wb");
    CHECK(file != NULL);
    CHECK_EQ(fwrite(bytes, 1, size, file), size);
    CHECK_EQ(fclose(file), 0);
}

static inline void store_text(const char *path, const char *text) {
    store(path, text, strlen(text));
}

/* A copy of exactly `size` bytes, so that a sanitizer sees a read past them. */
static inline char *copy_exact(const void *bytes, size_t size) {
    char *copy = malloc(size ? size : 1);
    CHECK(copy != NULL);
    memcpy(copy, bytes, size);
    return copy;
}

#endif
