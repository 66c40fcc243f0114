/* Which instruction sets the processor has and the operating system saves. */
#include <cpuid.h>
#include <stdint.h>

#include "cpu/cpu.h"

const char *cpu_isa_name(enum cpu_isa isa) {
    static const char *const names[CPU_ISA_COUNT] = {"avx2", "avx512", "avx512bf16"};
    return names[isa];
}

/* Register states that the operating system saves on a context switch (XCR0). */
enum { XCR0_AVX = 0x06, XCR0_AVX512 = 0xe6 };

static uint64_t saved_states(void) {
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

bool cpu_isa_available(enum cpu_isa isa) {
    /* CPUID leaf 1 ECX and leaf 7 EBX: the flags that cmake/cpu.cmake compiles with. */
    const unsigned leaf1 = bit_OSXSAVE | bit_AVX | bit_FMA | bit_F16C;
    const unsigned avx2 = bit_AVX2 | bit_BMI2;
    const unsigned avx512 = avx2 | bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL;
    const unsigned leaf7 = isa == CPU_ISA_AVX2 ? avx2 : avx512;
    const uint64_t states = isa == CPU_ISA_AVX2 ? XCR0_AVX : XCR0_AVX512;

    unsigned eax, ebx, ecx, edx;
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || (ecx & leaf1) != leaf1) return false;
    if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) || (ebx & leaf7) != leaf7) return false;
    if ((saved_states() & states) != states) return false;
    if (isa != CPU_ISA_AVX512BF16) return true;
    return __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) && (eax & bit_AVX512BF16);
}
