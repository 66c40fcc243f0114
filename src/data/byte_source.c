#include "data/byte_source.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"

/* Windows up to zstd --long=27 (128 MiB), which is also what the zstd tool accepts unasked. */
enum { INPUT_SIZE = 1 << 17, ZSTD_WINDOW_LOG = 27, GZIP_WINDOW_BITS = 15 + 16 };

enum packing { PACKING_UNKNOWN, PACKING_PLAIN, PACKING_GZIP, PACKING_ZSTD };

struct byte_source {
    char *name;
    struct file_reader *file; /* NULL: over memory */
    unsigned char *buffer;    /* [INPUT_SIZE] of a file */
    const unsigned char *in;  /* packed bytes not yet used: in[0..in_size) */
    size_t in_size;
    bool in_end; /* nothing follows in[] */
    enum packing packing;
    bool is_inside; /* a gzip member or zstd frame has begun and not ended */
    z_stream gzip;
    ZSTD_DCtx *zstd;
};

static fathom_status source_new(struct byte_source **out, const char *name, struct error *err) {
    struct byte_source *source = NULL;
    *out = NULL;
    TRY(MEM_NEW(&source, 1, "a reader", err));
    fathom_status status = string_copy(&source->name, name, err);
    if (status != FATHOM_OK)
        byte_source_close(source);
    else
        *out = source;
    return status;
}

fathom_status byte_source_open(struct byte_source **out, const char *path, struct error *err) {
    struct byte_source *source = NULL;
    *out = NULL;
    TRY(source_new(&source, strcmp(path, "-") == 0 ? "standard input" : path, err));
    fathom_status status = mem_new_raw((void **)&source->buffer, INPUT_SIZE, 1, "a reader", err);
    if (status == FATHOM_OK) status = file_reader_open(&source->file, path, err);
    if (status != FATHOM_OK)
        byte_source_close(source);
    else
        *out = source;
    return status;
}

fathom_status byte_source_open_memory(struct byte_source **out, const char *name, const void *bytes,
                                      size_t size, struct error *err) {
    TRY(source_new(out, name, err));
    (*out)->in = bytes;
    (*out)->in_size = size;
    (*out)->in_end = true;
    return FATHOM_OK;
}

void byte_source_close(struct byte_source *source) {
    if (!source) return;
    if (source->packing == PACKING_GZIP) inflateEnd(&source->gzip);
    ZSTD_freeDCtx(source->zstd);
    file_reader_close(source->file);
    mem_free(source->buffer);
    mem_free(source->name);
    mem_free(source);
}

const char *byte_source_name(const struct byte_source *source) { return source->name; }

/* More packed bytes when none are left. */
static fathom_status refill(struct byte_source *source, struct error *err) {
    if (source->in_size > 0 || source->in_end) return FATHOM_OK;
    TRY(file_reader_get(source->file, source->buffer, INPUT_SIZE, &source->in_size, err));
    source->in = source->buffer;
    source->in_end = source->in_size < INPUT_SIZE;
    return FATHOM_OK;
}

/* ---- the three packings; each gives at least a byte, or 0 at its end ---- */

static fathom_status read_plain(struct byte_source *source, void *to, size_t capacity, size_t *got,
                                struct error *err) {
    TRY(refill(source, err));
    *got = source->in_size < capacity ? source->in_size : capacity;
    if (*got > 0) memcpy(to, source->in, *got);
    source->in += *got;
    source->in_size -= *got;
    return FATHOM_OK;
}

static fathom_status truncated(const struct byte_source *source, const char *kind,
                               struct error *err) {
    RAISE(FATHOM_BAD_INPUT, "%s: the %s data is truncated: it ends in the middle", source->name,
          kind);
}

static fathom_status read_gzip(struct byte_source *source, void *to, size_t capacity, size_t *got,
                               struct error *err) {
    z_stream *gzip = &source->gzip;
    if (capacity > UINT_MAX) capacity = UINT_MAX;
    gzip->next_out = to;
    gzip->avail_out = (uInt)capacity;
    while (gzip->avail_out == capacity) {
        TRY(refill(source, err));
        if (source->in_size == 0) {
            if (source->is_inside) return truncated(source, "gzip", err);
            break;
        }
        if (!source->is_inside) inflateReset(gzip);
        source->is_inside = true;
        size_t offered = source->in_size < UINT_MAX ? source->in_size : UINT_MAX;
        gzip->next_in = (unsigned char *)(uintptr_t)source->in; /* zlib's type lacks const */
        gzip->avail_in = (uInt)offered;
        int code = inflate(gzip, Z_NO_FLUSH);
        size_t used = offered - gzip->avail_in;
        source->in += used;
        source->in_size -= used;
        if (code == Z_MEM_ERROR) RAISE(FATHOM_NO_MEMORY, "%s: no memory for zlib", source->name);
        if (code == Z_STREAM_END) source->is_inside = false;
        if (code != Z_STREAM_END && code != Z_OK && code != Z_BUF_ERROR)
            RAISE(FATHOM_BAD_INPUT, "%s: the gzip data is damaged: %s", source->name,
                  gzip->msg ? gzip->msg : "it cannot be unpacked");
    }
    *got = capacity - gzip->avail_out;
    return FATHOM_OK;
}

static fathom_status zstd_failure(const struct byte_source *source, size_t code,
                                  struct error *err) {
    const char *reason = ZSTD_getErrorName(code);
    if (strstr(reason, "too much memory"))
        RAISE(
            FATHOM_UNSUPPORTED,
            "%s: its zstd window is larger than 128 MiB; unpack it with `zstd -d --long=31` first",
            source->name);
    RAISE(FATHOM_BAD_INPUT, "%s: the zstd data is damaged: %s", source->name, reason);
}

static fathom_status read_zstd(struct byte_source *source, void *to, size_t capacity, size_t *got,
                               struct error *err) {
    ZSTD_outBuffer out = {.dst = to, .size = capacity};
    while (out.pos == 0) {
        TRY(refill(source, err));
        /* Even without new input the decoder may hold output. */
        ZSTD_inBuffer in = {.src = source->in, .size = source->in_size};
        if (source->in_size == 0 && !source->is_inside) break;
        size_t code = ZSTD_decompressStream(source->zstd, &out, &in);
        source->in += in.pos;
        source->in_size -= in.pos;
        if (ZSTD_isError(code)) return zstd_failure(source, code, err);
        source->is_inside = code != 0;
        if (source->is_inside && out.pos == 0 && source->in_size == 0 && source->in_end)
            return truncated(source, "zstd", err);
    }
    *got = out.pos;
    return FATHOM_OK;
}

/* ---- telling them apart ---- */

static enum packing packing_of(const unsigned char *bytes, size_t size) {
    static const unsigned char gzip[2] = {0x1f, 0x8b}, zstd[4] = {0x28, 0xb5, 0x2f, 0xfd};
    if (size >= sizeof gzip && memcmp(bytes, gzip, sizeof gzip) == 0) return PACKING_GZIP;
    if (size >= sizeof zstd && memcmp(bytes, zstd, sizeof zstd) == 0) return PACKING_ZSTD;
    /* 0x184D2A5x: a skippable frame before the data, as pzstd writes. */
    if (size >= 4 && bytes[0] >> 4 == 5 && bytes[1] == 0x2a && bytes[2] == 0x4d && bytes[3] == 0x18)
        return PACKING_ZSTD;
    return PACKING_PLAIN;
}

static fathom_status start(struct byte_source *source, struct error *err) {
    TRY(refill(source, err));
    enum packing packing = packing_of(source->in, source->in_size);
    if (packing == PACKING_GZIP && inflateInit2(&source->gzip, GZIP_WINDOW_BITS) != Z_OK)
        RAISE(FATHOM_NO_MEMORY, "%s: no memory for zlib", source->name);
    if (packing == PACKING_ZSTD) {
        source->zstd = ZSTD_createDCtx();
        if (!source->zstd) RAISE(FATHOM_NO_MEMORY, "%s: no memory for zstd", source->name);
        ZSTD_DCtx_setParameter(source->zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG);
    }
    source->packing = packing;
    return FATHOM_OK;
}

fathom_status byte_source_read(struct byte_source *source, void *to, size_t capacity, size_t *got,
                               struct error *err) {
    *got = 0;
    if (source->packing == PACKING_UNKNOWN) TRY(start(source, err));
    if (source->packing == PACKING_GZIP) return read_gzip(source, to, capacity, got, err);
    if (source->packing == PACKING_ZSTD) return read_zstd(source, to, capacity, got, err);
    return read_plain(source, to, capacity, got, err);
}
