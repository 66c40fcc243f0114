#include "cpu/cpu.h"

#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "cpu/peak.h"
#include "cpu/ref/ref_table.h"
#include "cpu/scratch.h"

/* ---- tables ---- */

#define CPU_DECLARE(name)                                                                          \
    void name##_avx2(struct stream *stream, const struct op_##name *op);                           \
    void name##_avx512(struct stream *stream, const struct op_##name *op);
OPS(CPU_DECLARE)
#undef CPU_DECLARE
#define CPU_DECLARE_BF16(name)                                                                     \
    void name##_avx512bf16(struct stream *stream, const struct op_##name *op);
OPS_PRODUCTS(CPU_DECLARE_BF16)
#undef CPU_DECLARE_BF16

#define CPU_MEMBER_AVX2(name) .name = name##_avx2,
#define CPU_MEMBER_AVX512(name) .name = name##_avx512,
#define CPU_MEMBER_AVX512BF16(name) .name = name##_avx512bf16,
static const struct op_table tables[CPU_ISA_COUNT] = {
    [CPU_ISA_AVX2] = {OPS(CPU_MEMBER_AVX2)},
    [CPU_ISA_AVX512] = {OPS(CPU_MEMBER_AVX512)},
    /* AVX-512's, but for the products */
    [CPU_ISA_AVX512BF16] = {OPS_PRODUCTS(CPU_MEMBER_AVX512BF16) OPS_OTHERS(CPU_MEMBER_AVX512)},
};

const struct op_table *cpu_ops(enum cpu_isa isa) { return &tables[isa]; }
const struct op_table *cpu_ops_ref_f32(void) { return &ref_ops_f32; }
const struct op_table *cpu_ops_ref_f64(void) { return &ref_ops_f64; }

/* ---- the choice of kernels ---- */

/* Where a name leads: a table, its compute dtype, and its own name ("auto" has none). */
struct choice {
    const struct op_table *ops;
    enum dtype compute;
    const char *name;
};

static struct choice choice_of_isa(enum cpu_isa isa) {
    return (struct choice){&tables[isa], DTYPE_F32, cpu_isa_name(isa)};
}

/* The best that the machine has; ref on one without AVX2. */
static struct choice choice_auto(void) {
    for (int isa = CPU_ISA_COUNT - 1; isa >= 0; isa--)
        if (cpu_isa_available((enum cpu_isa)isa)) return choice_of_isa((enum cpu_isa)isa);
    return (struct choice){&ref_ops_f32, DTYPE_F32, "ref"};
}

static fathom_status raise_unavailable(const char *name, struct error *err) {
    struct text known = {0};
    for (int isa = CPU_ISA_COUNT - 1; isa >= 0; isa--)
        if (cpu_isa_available((enum cpu_isa)isa))
            text_printf(&known, "%s, ", cpu_isa_name((enum cpu_isa)isa));
    error_set(err, FATHOM_USAGE,
              "instruction set \"%s\" is not available on this machine, which has: "
              "auto, %sref, ref64",
              name, text_data(&known));
    text_free(&known);
    return FATHOM_USAGE;
}

static fathom_status choose(struct choice *out, const char *name, struct error *err) {
    if (strcmp(name, "auto") == 0) {
        *out = choice_auto();
        return FATHOM_OK;
    }
    if (strcmp(name, "ref") == 0) {
        *out = (struct choice){&ref_ops_f32, DTYPE_F32, "ref"};
        return FATHOM_OK;
    }
    if (strcmp(name, "ref64") == 0) {
        *out = (struct choice){&ref_ops_f64, DTYPE_F64, "ref64"};
        return FATHOM_OK;
    }
    for (int isa = 0; isa < CPU_ISA_COUNT; isa++) {
        if (strcmp(name, cpu_isa_name((enum cpu_isa)isa)) != 0) continue;
        if (!cpu_isa_available((enum cpu_isa)isa)) break;
        *out = choice_of_isa((enum cpu_isa)isa);
        return FATHOM_OK;
    }
    return raise_unavailable(name, err);
}

/* ---- the driver ---- */

static fathom_status cpu_open(struct device *device, const char *isa, struct error *err) {
    struct choice choice = {0};
    struct cpu_state *state = NULL;
    TRY(choose(&choice, isa, err));
    TRY(cpu_state_new(&state, device, err));
    device->ops = choice.ops;
    device->compute = choice.compute;
    strncpy(device->isa, choice.name, sizeof device->isa - 1);
    device->state = state;
    return FATHOM_OK;
}

static void cpu_close(struct device *device) { cpu_state_free(device->state); }

static fathom_status cpu_allocate(struct device *device, void **out, size_t bytes, const char *what,
                                  struct error *err) {
    (void)device;
    return mem_new_raw(out, bytes, 1, what, err);
}

static void cpu_release(struct device *device, void *block) {
    (void)device;
    mem_free(block);
}

static void cpu_upload(struct stream *stream, void *to, const void *from_host, size_t bytes) {
    (void)stream;
    if (bytes > 0) memcpy(to, from_host, bytes);
}

static void cpu_download(struct stream *stream, void *to_host, const void *from, size_t bytes) {
    (void)stream;
    if (bytes > 0) memcpy(to_host, from, bytes);
}

static void cpu_copy(struct stream *stream, void *to, const void *from, size_t bytes) {
    (void)stream;
    if (bytes > 0) memmove(to, from, bytes);
}

static void cpu_zero(struct stream *stream, void *to, size_t bytes) {
    (void)stream;
    if (bytes > 0) memset(to, 0, bytes);
}

/* Operations are done when they return. */
static void cpu_wait(struct stream *stream) { (void)stream; }

const struct device_driver cpu_driver = {
    .name = "cpu",
    .open = cpu_open,
    .close = cpu_close,
    .allocate = cpu_allocate,
    .release = cpu_release,
    .upload = cpu_upload,
    .download = cpu_download,
    .copy = cpu_copy,
    .zero = cpu_zero,
    .wait = cpu_wait,
    .peak_flops = cpu_peak_flops,
    .measure = cpu_measure,
};
