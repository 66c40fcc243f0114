# The CPU backend: the same sources compiled once per ISA with that ISA's flags.
#   src/cpu/*.c      drivers, dispatch: baseline flags
#   src/cpu/ref/*.c  the oracle, twice: REAL=float and REAL=double
#   src/cpu/vec/*.c  kernels written once over simd.h: once per ISA; matmul*.c once more for
#                    avx512bf16, which shares the other kernels of avx512
#   src/cpu/avx2/, src/cpu/avx512/  kernels that exist for one ISA only
# fathom_cpu_emu512 is avx512's vec code with 16 lanes made of two AVX2 registers: it lets a machine
# without AVX-512 test that code's every branch; it is linked into tests only.
file(GLOB cpu_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/cpu/*.c)
file(GLOB ref_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/cpu/ref/*.c)
file(GLOB vec_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/cpu/vec/*.c)
file(GLOB avx2_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/cpu/avx2/*.c)
file(GLOB avx512_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/cpu/avx512/*.c)

set(cpu_objects)
function(cpu_variant name definitions flags)
  if(NOT ARGN)
    return()
  endif()
  add_library(fathom_cpu_${name} OBJECT ${ARGN})
  fathom_target(fathom_cpu_${name})
  target_compile_definitions(fathom_cpu_${name} PRIVATE ${definitions})
  target_compile_options(fathom_cpu_${name} PRIVATE ${flags})
  set(cpu_objects ${cpu_objects} $<TARGET_OBJECTS:fathom_cpu_${name}> PARENT_SCOPE)
endfunction()

set(avx2_flags -mavx2 -mfma -mf16c -mbmi2)
set(avx512_flags -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mavx2 -mf16c -mbmi2
                 -mprefer-vector-width=512)
cpu_variant(ref_f32 "REAL=float;REAL_IS_FLOAT=1;REF_TAG=f32" "" ${ref_sources})
cpu_variant(ref_f64 "REAL=double;REAL_IS_FLOAT=0;REF_TAG=f64" "" ${ref_sources})
cpu_variant(vec_avx2 "VEC_ISA=avx2;VEC_ISA_AVX2=1" "${avx2_flags}" ${vec_sources} ${avx2_sources})
file(GLOB matmul_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/cpu/vec/matmul*.c)
cpu_variant(vec_avx512bf16 "VEC_ISA=avx512bf16;VEC_ISA_AVX512=1;VEC_BF16_DOT=1"
            "${avx512_flags};-mavx512bf16" ${matmul_sources})
cpu_variant(vec_avx512 "VEC_ISA=avx512;VEC_ISA_AVX512=1" "${avx512_flags}" ${vec_sources} ${avx512_sources})

if(cpu_sources)
  add_library(fathom_cpu STATIC ${cpu_sources} ${cpu_objects})
  fathom_target(fathom_cpu)
  target_link_libraries(fathom_cpu PUBLIC fathom_backend)
else()
  add_library(fathom_cpu INTERFACE)
  target_link_libraries(fathom_cpu INTERFACE fathom_backend)
endif()

if(vec_sources)
  add_library(fathom_cpu_emu512bf16 OBJECT EXCLUDE_FROM_ALL ${matmul_sources})
  fathom_target(fathom_cpu_emu512bf16)
  target_compile_definitions(fathom_cpu_emu512bf16 PRIVATE
      VEC_ISA=emu512bf16 VEC_ISA_EMU512=1 VEC_BF16_DOT=1)
  target_compile_options(fathom_cpu_emu512bf16 PRIVATE ${avx2_flags})
  add_library(fathom_cpu_emu512 STATIC EXCLUDE_FROM_ALL ${vec_sources}
              $<TARGET_OBJECTS:fathom_cpu_emu512bf16>)
  fathom_target(fathom_cpu_emu512)
  target_compile_definitions(fathom_cpu_emu512 PRIVATE VEC_ISA=emu512 VEC_ISA_EMU512=1)
  target_compile_definitions(fathom_cpu_emu512 INTERFACE FATHOM_EMU512=1)
  target_compile_options(fathom_cpu_emu512 PRIVATE ${avx2_flags})
  target_link_libraries(fathom_cpu_emu512 PUBLIC fathom_cpu)
endif()
