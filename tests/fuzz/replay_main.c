/* The main of a fuzz target in ordinary builds: gives every file named on the command line, or in a
 * directory named there, to the target once. A crash is the failure. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static fathom_status replay_file(const char *path, struct error *err) {
    char *bytes = NULL;
    size_t size = 0;
    TRY(file_read(path, (size_t)1 << 30, &bytes, &size, err));
    /* A copy of exactly this size, so that a sanitizer sees a read past it. */
    uint8_t *exact = malloc(size ? size : 1);
    if (!exact) {
        mem_free(bytes);
        RAISE(FATHOM_NO_MEMORY, "%s: no memory for %zu bytes", path, size);
    }
    for (size_t i = 0; i < size; i++) exact[i] = (uint8_t)bytes[i];
    mem_free(bytes);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    return FATHOM_OK;
}

static fathom_status replay_directory(const char *path, int *count, struct error *err) {
    DIR *directory = opendir(path);
    if (!directory) RAISE(FATHOM_IO, "%s: cannot be listed", path);
    fathom_status status = FATHOM_OK;
    for (struct dirent *entry; status == FATHOM_OK && (entry = readdir(directory));) {
        char *name = NULL;
        if (entry->d_name[0] == '.') continue;
        status = path_join(&name, path, entry->d_name, err);
        if (status == FATHOM_OK) status = replay_file(name, err);
        mem_free(name);
        (*count)++;
    }
    closedir(directory);
    return status;
}

int main(int argc, char **argv) {
    struct error err;
    int count = 0;
    for (int i = 1; i < argc; i++) {
        fathom_status status;
        if (path_is_directory(argv[i])) {
            status = replay_directory(argv[i], &count, &err);
        } else {
            status = replay_file(argv[i], &err);
            count++;
        }
        if (status != FATHOM_OK) {
            fprintf(stderr, "%s\n", err.text);
            return 1;
        }
    }
    printf("%d passed, 0 failed, 0 skipped\n", count);
    return 0;
}
