/* The device that a command computes on. */
#ifndef PROGRAMS_DEVICE_OPTIONS_H
#define PROGRAMS_DEVICE_OPTIONS_H

#include "backend/device.h"
#include "command.h"

struct opened_device {
    struct engine *engine;
    struct device *device;
};
/* threads 0: all; isa NULL: the best. The engine's log is the command's. */
fathom_status opened_device_open(struct opened_device *opened, struct command *command,
                                 int64_t threads, const char *isa);
void opened_device_close(struct opened_device *opened);

/* Rows of an option table for both. */
#define OPTION_THREADS(type)                                                                       \
    {                                                                                              \
        "threads", OPTION_INT, offsetof(type, threads), 0, 1024, "0", NULL, "N",                   \
            "threads; 0: all processors", false, false                                             \
    }
#define OPTION_ISA(type)                                                                           \
    {                                                                                              \
        "isa", OPTION_STRING, offsetof(type, isa), 0, 0, NULL, NULL, "NAME",                       \
            "instruction set: auto, avx2, avx512, avx512bf16, ref, ref64", false, false            \
    }

#endif
