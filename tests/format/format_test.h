/* Files written for a test, and exact copies. */
#ifndef FORMAT_TEST_H
#define FORMAT_TEST_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "files.h"
#include "harness.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"

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
