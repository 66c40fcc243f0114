/* The CPU backend: its driver, the instruction sets, and what `bench` asks of them. */
#ifndef CPU_CPU_H
#define CPU_CPU_H

#include <stdbool.h>

#include "backend/device.h"

extern const struct device_driver cpu_driver;

/* Instruction sets in ascending order of preference. AVX512BF16 is AVX512 with the dot product of
 * bf16 pairs (VDPBF16PS), which multiplies where both operands of a product are rounded to bf16. */
enum cpu_isa { CPU_ISA_AVX2, CPU_ISA_AVX512, CPU_ISA_AVX512BF16, CPU_ISA_COUNT };
const char *cpu_isa_name(enum cpu_isa isa);
/* Whether this processor and its operating system can run it. */
bool cpu_isa_available(enum cpu_isa isa);

/* The table of one instruction set, and the oracles' (never NULL; calling an unavailable ISA's
 * operations is an illegal instruction). */
const struct op_table *cpu_ops(enum cpu_isa isa);
const struct op_table *cpu_ops_ref_f32(void);
const struct op_table *cpu_ops_ref_f64(void);

#endif
