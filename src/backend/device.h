/* Engines, devices and streams.
 *
 * An engine owns what a program would otherwise keep in globals: the thread pool and the log. A
 * device is one backend opened on an engine: a table of operations and a place for memory. A stream
 * is an ordered queue of operations on a device; the first failure latches on it, later operations
 * do nothing, and the step's end reads it with stream_check. Engines are independent of each other:
 * several ranks can live as threads of one process. */
#ifndef BACKEND_DEVICE_H
#define BACKEND_DEVICE_H

#include "backend/ops.h"
#include "base/log.h"
#include "base/pool.h"
#include "base/status.h"

struct engine {
    struct pool *pool;
    struct log log;
};
/* threads as in pool_new. Log lines go to stderr at LOG_INFO. */
fathom_status engine_new(struct engine **out, int threads, struct error *err);
void engine_free(struct engine *engine); /* accepts NULL; devices are closed first */

struct device {
    const struct device_driver *driver;
    struct engine *engine;
    const struct op_table *ops;
    enum dtype compute; /* dtype of weights and activations: F32, or F64 for the oracle */
    char isa[16];       /* "avx2", "avx512bf16", "ref64", ...: what the kernels were picked for */
    void *state;        /* the driver's */
};

/* What a machine can do at most, measured: speeds are quoted as shares of it. */
struct device_limits {
    double flops_one_thread, flops; /* F32 multiply-adds, FLOP/s, on one thread and on all */
    double flops_bf16;              /* of bf16 operands, on all; 0: no instruction of their own */
    double read_bytes, copy_bytes;  /* bytes per second from memory, and copied (counted once) */
};

/* A backend. `open` fills device->ops, compute, isa and state. */
struct device_driver {
    const char *name; /* "cpu" */
    fathom_status (*open)(struct device *device, const char *isa, struct error *err);
    void (*close)(struct device *device);
    /* Device memory, 64-byte aligned; the contents are undefined. */
    fathom_status (*allocate)(struct device *device, void **out, size_t bytes, const char *what,
                              struct error *err);
    void (*release)(struct device *device, void *block); /* accepts NULL */
    /* Ordered on the stream; host memory may be reused when the call returns. */
    void (*upload)(struct stream *stream, void *to, const void *from_host, size_t bytes);
    void (*download)(struct stream *stream, void *to_host, const void *from, size_t bytes);
    void (*copy)(struct stream *stream, void *to, const void *from, size_t bytes);
    void (*zero)(struct stream *stream, void *to, size_t bytes);
    /* Waits until everything queued is done. */
    void (*wait)(struct stream *stream);
    /* FLOP/s of the multiply-add units on all threads, measured for some milliseconds; may be NULL.
     */
    double (*peak_flops)(struct device *device, enum dtype operands);
    /* Every limit, with care: medians over a second or so; may be NULL. */
    fathom_status (*measure)(struct device *device, struct device_limits *limits,
                             struct error *err);
};

/* Every backend of this build, NULL at the end: defined in src/drivers.c, the one file that names
 * them all. */
extern const struct device_driver *const device_drivers[];

/* name: "cpu"; isa: NULL or "auto" for the best that the machine has, else the name of one
 * ("ref64", "ref", "avx2", "avx512"); the environment variable FATHOM_ISA stands in for NULL. A
 * name that the machine lacks is refused with a list of those it has. */
fathom_status device_open(struct device **out, struct engine *engine, const char *name,
                          const char *isa, struct error *err);
void device_close(struct device *device); /* accepts NULL */
fathom_status device_allocate(struct device *device, void **out, size_t bytes, const char *what,
                              struct error *err);
void device_release(struct device *device, void *block);

/* Floating-point operations per second that the device's units can do on all threads in the compute
 * dtype, measured now in some milliseconds; 0 where the driver cannot measure it. */
double device_peak_flops(struct device *device, enum dtype operands);
/* FATHOM_UNSUPPORTED where the driver cannot. */
fathom_status device_measure(struct device *device, struct device_limits *limits,
                             struct error *err);

struct stream {
    struct device *device;
    struct error error; /* error.status is FATHOM_OK until the first failure */
};
void stream_init(struct stream *stream, struct device *device);
/* A stream on which nothing happens: every operation returns at once, as after a failure. Running
 * real code on it with measuring arenas is how memory is planned (base/arena.h). */
void stream_init_dry(struct stream *stream, struct device *device);
/* Latches the first failure; later ones are dropped. */
void stream_fail(struct stream *stream, fathom_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static inline int stream_failed(const struct stream *stream) {
    return stream->error.status != FATHOM_OK;
}
/* Waits, then reports and clears the latched failure. */
fathom_status stream_check(struct stream *stream, struct error *err);

void stream_upload(struct stream *stream, void *to, const void *from_host, size_t bytes);
void stream_download(struct stream *stream, void *to_host, const void *from, size_t bytes);
void stream_copy(struct stream *stream, void *to, const void *from, size_t bytes);
void stream_zero(struct stream *stream, void *to, size_t bytes);

#endif
