/* Files written for a test, and packed bytes; what is returned lives until the test ends. */
#ifndef DATA_TEST_H
#define DATA_TEST_H

#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#include "files.h"
#include "harness.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"

static inline const char *store(const char *name, const void *bytes, size_t size) {
    const char *path = test_path(name);
    FILE *file = fopen(path, "wb");
    CHECK(file != NULL);
    CHECK_EQ(fwrite(bytes, 1, size, file), size);
    CHECK_EQ(fclose(file), 0);
    return path;
}

static inline const char *store_text(const char *name, const char *text) {
    return store(name, text, strlen(text));
}

struct packed {
    unsigned char *bytes;
    size_t size;
};

static inline struct packed pack_gzip(const void *bytes, size_t size) {
    enum { GZIP = 15 + 16 };
    struct packed packed = {harness_keep(malloc(size + 1000)), 0};
    z_stream stream = {.next_in = (unsigned char *)(uintptr_t)bytes,
                       .avail_in = (uInt)size,
                       .next_out = packed.bytes,
                       .avail_out = (uInt)size + 1000};
    CHECK_EQ(deflateInit2(&stream, 6, Z_DEFLATED, GZIP, 8, Z_DEFAULT_STRATEGY), Z_OK);
    CHECK_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
    packed.size = stream.total_out;
    deflateEnd(&stream);
    return packed;
}

static inline struct packed pack_zstd(const void *bytes, size_t size, int window_log) {
    size_t bound = ZSTD_compressBound(size);
    struct packed packed = {harness_keep(malloc(bound)), 0};
    ZSTD_CCtx *context = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
    ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
    ZSTD_CCtx_setParameter(context, ZSTD_c_enableLongDistanceMatching, 1);
    ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, window_log);
    /* In pieces: with the whole input at once the window would shrink to its size. */
    ZSTD_outBuffer out = {packed.bytes, bound, 0};
    ZSTD_inBuffer in = {bytes, size / 2, 0};
    while (in.pos < in.size) ZSTD_compressStream2(context, &out, &in, ZSTD_e_continue);
    in.size = size;
    CHECK_EQ(ZSTD_compressStream2(context, &out, &in, ZSTD_e_end), 0);
    packed.size = out.pos;
    ZSTD_freeCCtx(context);
    return packed;
}

#endif
