/* Every set of kernels that this machine can run, as devices to test. */
#ifndef OP_DEVICES_H
#define OP_DEVICES_H

#include "backend/device.h"

/* "ref", each instruction set of cpu_isa, and "emu512" and "emu512bf16": the code of avx512 and
 * avx512bf16 on two AVX2 registers. */
enum { OP_DEVICES_MAX = 6 };

struct op_devices {
    struct engine *engine;
    struct device *devices[OP_DEVICES_MAX];
    int count;
};
/* Ends the test as failed where something cannot be opened that the machine has. */
void op_devices_open(struct op_devices *out, int threads);
void op_devices_close(struct op_devices *devices);

/* One device by name; it and its engine are closed by op_device_close. */
struct device *op_device_open(const char *isa, int threads);
void op_device_close(struct device *device);

/* Ends the test as skipped where the instruction set is not available. */
void op_device_require(const char *isa);

#endif
