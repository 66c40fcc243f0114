#include "op_devices.h"

#include <stdio.h>
#include <string.h>

#include "cpu/cpu.h"
#include "harness.h"

#ifdef FATHOM_EMU512
#define EMU512_DECLARE(name) void name##_emu512(struct stream *stream, const struct op_##name *op);
OPS(EMU512_DECLARE)
#define EMU512_MEMBER(name) .name = name##_emu512,
static const struct op_table emu512_ops = {OPS(EMU512_MEMBER)};
#define EMU512BF16_DECLARE(name)                                                                   \
    void name##_emu512bf16(struct stream *stream, const struct op_##name *op);
OPS_PRODUCTS(EMU512BF16_DECLARE)
#define EMU512BF16_MEMBER(name) .name = name##_emu512bf16,
static const struct op_table emu512bf16_ops = {OPS_PRODUCTS(EMU512BF16_MEMBER)
                                                   OPS_OTHERS(EMU512_MEMBER)};
static const bool has_emulated = true;
#else
static const struct op_table emu512_ops, emu512bf16_ops;
static const bool has_emulated = false;
#endif

static bool is_emulated(const char *isa) { return strncmp(isa, "emu", 3) == 0; }

static bool is_available(const char *isa) {
    for (int i = 0; i < CPU_ISA_COUNT; i++)
        if (strcmp(isa, cpu_isa_name((enum cpu_isa)i)) == 0)
            return cpu_isa_available((enum cpu_isa)i);
    return !is_emulated(isa) || (has_emulated && cpu_isa_available(CPU_ISA_AVX2));
}

static struct device *open_on(struct engine *engine, const char *isa) {
    struct error err = {0};
    struct device *device = NULL;
    CHECK_OK(device_open(&device, engine, "cpu", is_emulated(isa) ? "avx2" : isa, &err), &err);
    if (is_emulated(isa)) {
        device->ops = strcmp(isa, "emu512") == 0 ? &emu512_ops : &emu512bf16_ops;
        (void)snprintf(device->isa, sizeof device->isa, "%s", isa);
    }
    return device;
}

void op_devices_open(struct op_devices *out, int threads) {
    static const char *const names[OP_DEVICES_MAX] = {"ref",        "avx2",   "avx512",
                                                      "avx512bf16", "emu512", "emu512bf16"};
    struct error err = {0};
    *out = (struct op_devices){0};
    CHECK_OK(engine_new(&out->engine, threads, &err), &err);
    for (int i = 0; i < OP_DEVICES_MAX; i++)
        if (is_available(names[i])) out->devices[out->count++] = open_on(out->engine, names[i]);
}

void op_devices_close(struct op_devices *devices) {
    for (int i = 0; i < devices->count; i++) device_close(devices->devices[i]);
    engine_free(devices->engine);
    *devices = (struct op_devices){0};
}

struct device *op_device_open(const char *isa, int threads) {
    struct error err = {0};
    struct engine *engine = NULL;
    CHECK_OK(engine_new(&engine, threads, &err), &err);
    return open_on(engine, isa);
}

void op_device_close(struct device *device) {
    struct engine *engine = device->engine;
    device_close(device);
    engine_free(engine);
}

void op_device_require(const char *isa) {
    if (!is_available(isa)) harness_skip("%s is not available: its kernels were not run", isa);
}
