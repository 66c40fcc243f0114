/* The measuring loops of each instruction set (src/cpu/vec/vec_peak.c). */
#ifndef CPU_PEAK_KERNELS_H
#define CPU_PEAK_KERNELS_H

#include <stdint.h>

#define PEAK_DECLARE(isa)                                                                          \
    float peak_fma_##isa(int64_t rounds);                                                          \
    double peak_fma_flops_##isa(int64_t rounds);                                                   \
    float peak_read_##isa(const float *from, int64_t count);
PEAK_DECLARE(avx2)
PEAK_DECLARE(avx512)
PEAK_DECLARE(emu512)
#undef PEAK_DECLARE

#endif
