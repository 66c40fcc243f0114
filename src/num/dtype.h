/* Number formats: names, sizes, and exact conversions of every one to and from float.
 *
 * Encoding rounds to nearest, ties to even. e4m3 is the OCP "fn" form that published checkpoints
 * use: no infinity, NaN is 0x7f/0xff, largest finite 448; encoding saturates (values beyond 448,
 * infinities included, become +-448; NaN stays NaN). e5m6 is the 12-bit activation format of the
 * DeepSeek-V3 report (section 3.3.3): 1 sign, 5 exponent, 6 mantissa bits, bias 15, largest finite
 * 65024. ue8m0 is a power-of-two scale: code c is 2^(c-127), 255 is NaN. */
#ifndef NUM_DTYPE_H
#define NUM_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Values are written to training state: append, never renumber. */
enum dtype {
    DTYPE_F32 = 0,
    DTYPE_F64 = 1, /* the oracle's and the finite differences' */
    DTYPE_BF16 = 2,
    DTYPE_F16 = 3,
    DTYPE_E4M3 = 4,
    DTYPE_E5M2 = 5, /* read only: in goldens and foreign files */
    DTYPE_E5M6 = 6, /* 16-bit containers here; packing to 12 bits is the user's */
    DTYPE_UE8M0 = 7,
    DTYPE_I8 = 8,
    DTYPE_U8 = 9,
    DTYPE_I16 = 10,
    DTYPE_U16 = 11,
    DTYPE_I32 = 12,
    DTYPE_U32 = 13,
    DTYPE_I64 = 14,
    DTYPE_U64 = 15,
    DTYPE_BOOL = 16,
    DTYPE_COUNT
};

size_t dtype_size(enum dtype dtype);      /* bytes of one element */
const char *dtype_name(enum dtype dtype); /* "f32", "bf16", "e4m3" */
bool dtype_is_float(enum dtype dtype);

float bf16_to_f32(uint16_t code);
uint16_t f32_to_bf16(float value); /* NaN stays a (quiet) NaN */
float f16_to_f32(uint16_t code);
uint16_t f32_to_f16(float value); /* overflow becomes infinity */
float e4m3_to_f32(uint8_t code);
uint8_t f32_to_e4m3(float value);
float e5m2_to_f32(uint8_t code);
float e5m6_to_f32(uint16_t code);  /* the low 12 bits */
uint16_t f32_to_e5m6(float value); /* saturates at 65024 */
float ue8m0_to_f32(uint8_t code);
uint8_t f32_to_ue8m0_ceil(
    float value); /* the smallest power of two >= value > 0, clamped to the range */

/* Whole arrays, any float dtype on either side (UE8M0 as a source too). `to` and `from` may not
 * overlap unless equal dtypes and addresses. The side that is not float * need not be aligned. */
void dtype_to_f32(float *to, const void *from, enum dtype dtype, size_t count);
void dtype_from_f32(void *to, enum dtype dtype, const float *from, size_t count);
void dtype_to_f64(double *to, const void *from, enum dtype dtype, size_t count);

#endif
