#include "backend/device.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"

fathom_status engine_new(struct engine **out, int threads, struct error *err) {
    *out = NULL;
    struct engine *engine = NULL;
    TRY(MEM_NEW(&engine, 1, "the engine", err));
    log_init(&engine->log, stderr, LOG_INFO);
    fathom_status status = pool_new(&engine->pool, threads, err);
    if (status != FATHOM_OK) {
        mem_free(engine);
        return status;
    }
    *out = engine;
    return FATHOM_OK;
}

void engine_free(struct engine *engine) {
    if (!engine) return;
    pool_free(engine->pool);
    mem_free(engine);
}

static const struct device_driver *driver_find(const char *name, struct error *err) {
    struct text known = {0};
    for (const struct device_driver *const *driver = device_drivers; *driver; driver++) {
        if (strcmp((*driver)->name, name) == 0) {
            text_free(&known);
            return *driver;
        }
        text_printf(&known, "%s%s", known.size ? ", " : "", (*driver)->name);
    }
    error_set(err, FATHOM_USAGE, "device \"%s\" is not in this build, which has: %s", name,
              text_data(&known));
    text_free(&known);
    return NULL;
}

fathom_status device_open(struct device **out, struct engine *engine, const char *name,
                          const char *isa, struct error *err) {
    *out = NULL;
    const struct device_driver *driver = driver_find(name, err);
    if (!driver) return FATHOM_USAGE;
    if (!isa) isa = getenv("FATHOM_ISA");
    if (!isa || !*isa) isa = "auto";

    struct device *device = NULL;
    TRY(MEM_NEW(&device, 1, "the device", err));
    device->driver = driver;
    device->engine = engine;
    fathom_status status = driver->open(device, isa, err);
    if (status != FATHOM_OK) {
        mem_free(device);
        return status;
    }
    *out = device;
    return FATHOM_OK;
}

void device_close(struct device *device) {
    if (!device) return;
    device->driver->close(device);
    mem_free(device);
}

fathom_status device_allocate(struct device *device, void **out, size_t bytes, const char *what,
                              struct error *err) {
    return device->driver->allocate(device, out, bytes, what, err);
}

void device_release(struct device *device, void *block) { device->driver->release(device, block); }

double device_peak_flops(struct device *device, enum dtype operands) {
    return device->driver->peak_flops ? device->driver->peak_flops(device, operands) : 0;
}

fathom_status device_measure(struct device *device, struct device_limits *limits,
                             struct error *err) {
    *limits = (struct device_limits){0};
    if (device->driver->measure) return device->driver->measure(device, limits, err);
    RAISE(FATHOM_UNSUPPORTED, "device \"%s\" has no measurement of its limits",
          device->driver->name);
}

void stream_init(struct stream *stream, struct device *device) {
    memset(stream, 0, sizeof *stream);
    stream->device = device;
}

void stream_init_dry(struct stream *stream, struct device *device) {
    stream_init(stream, device);
    error_set(&stream->error, FATHOM_INTERRUPTED, "dry run");
}

void stream_fail(struct stream *stream, fathom_status status, const char *format, ...) {
    if (stream_failed(stream)) return;
    char text[ERROR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    error_set(&stream->error, status, "%s", text);
}

fathom_status stream_check(struct stream *stream, struct error *err) {
    stream->device->driver->wait(stream);
    fathom_status status = stream->error.status;
    if (status != FATHOM_OK) error_set(err, status, "%s", stream->error.text);
    memset(&stream->error, 0, sizeof stream->error);
    return status;
}

void stream_upload(struct stream *stream, void *to, const void *from_host, size_t bytes) {
    if (!stream_failed(stream)) stream->device->driver->upload(stream, to, from_host, bytes);
}

void stream_download(struct stream *stream, void *to_host, const void *from, size_t bytes) {
    if (!stream_failed(stream)) stream->device->driver->download(stream, to_host, from, bytes);
}

void stream_copy(struct stream *stream, void *to, const void *from, size_t bytes) {
    if (!stream_failed(stream)) stream->device->driver->copy(stream, to, from, bytes);
}

void stream_zero(struct stream *stream, void *to, size_t bytes) {
    if (!stream_failed(stream)) stream->device->driver->zero(stream, to, bytes);
}
