#include "num/dtype.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static const struct {
    const char *name;
    size_t size;
    bool is_float;
} dtypes[DTYPE_COUNT] = {
    [DTYPE_F32] = {"f32", 4, true},    [DTYPE_F64] = {"f64", 8, true},
    [DTYPE_BF16] = {"bf16", 2, true},  [DTYPE_F16] = {"f16", 2, true},
    [DTYPE_E4M3] = {"e4m3", 1, true},  [DTYPE_E5M2] = {"e5m2", 1, true},
    [DTYPE_E5M6] = {"e5m6", 2, true},  [DTYPE_UE8M0] = {"ue8m0", 1, false},
    [DTYPE_I8] = {"i8", 1, false},     [DTYPE_U8] = {"u8", 1, false},
    [DTYPE_I16] = {"i16", 2, false},   [DTYPE_U16] = {"u16", 2, false},
    [DTYPE_I32] = {"i32", 4, false},   [DTYPE_U32] = {"u32", 4, false},
    [DTYPE_I64] = {"i64", 8, false},   [DTYPE_U64] = {"u64", 8, false},
    [DTYPE_BOOL] = {"bool", 1, false},
};

size_t dtype_size(enum dtype dtype) { return dtype < DTYPE_COUNT ? dtypes[dtype].size : 0; }

const char *dtype_name(enum dtype dtype) {
    return dtype < DTYPE_COUNT ? dtypes[dtype].name : "unknown";
}

bool dtype_is_float(enum dtype dtype) { return dtype < DTYPE_COUNT && dtypes[dtype].is_float; }

static inline uint32_t bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float float_of(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

enum { F32_INFINITY = 0x7f800000, F32_MAGNITUDE = 0x7fffffff, F32_MANTISSA = 0x7fffff };

/* value >> shift, rounded to nearest, ties to even; 1 <= shift <= 31. */
static inline uint32_t shift_round(uint32_t value, uint32_t shift) {
    uint32_t half_less_one = (1u << (shift - 1)) - 1;
    return (value + half_less_one + (value >> shift & 1)) >> shift;
}

/* Rounds a float's magnitude bits (not NaN) to a format of `mantissa` bits and exponent `bias`. The
 * result counts on past the format's largest finite code when the value is too large. */
static inline uint32_t encode_magnitude(uint32_t magnitude, uint32_t mantissa, uint32_t bias) {
    uint32_t exponent = magnitude >> 23;
    uint32_t least_normal = 128 - bias; /* exponent field of the format's least normal number */
    uint32_t drop = 23 - mantissa;
    if (exponent >= least_normal) return shift_round(magnitude - ((least_normal - 1) << 23), drop);
    uint32_t shift = drop + least_normal - exponent;
    /* A 24-bit significand shifted by 25 or more is below half. */
    return shift > 24 ? 0 : shift_round((magnitude & F32_MANTISSA) | 0x800000, shift);
}

/* The float of a finite code without its sign. */
static inline float decode_magnitude(uint32_t code, uint32_t mantissa, uint32_t bias) {
    if (code >> mantissa) return float_of((code << (23 - mantissa)) + ((127 - bias) << 23));
    float least = float_of((128 - bias - mantissa) << 23); /* value of code 1 */
    return (float)code * least;
}

static inline float with_sign(float magnitude, uint32_t is_negative) {
    return float_of(bits_of(magnitude) | is_negative << 31);
}

float bf16_to_f32(uint16_t code) { return float_of((uint32_t)code << 16); }

uint16_t f32_to_bf16(float value) {
    uint32_t bits = bits_of(value);
    if ((bits & F32_MAGNITUDE) > F32_INFINITY) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

float f16_to_f32(uint16_t code) {
    uint32_t magnitude = code & 0x7fffu;
    uint32_t sign = code >> 15;
    if (magnitude >= 0x7c00) return float_of(sign << 31 | F32_INFINITY | (magnitude & 0x3ff) << 13);
    return with_sign(decode_magnitude(magnitude, 10, 15), sign);
}

uint16_t f32_to_f16(float value) {
    uint32_t bits = bits_of(value);
    uint32_t magnitude = bits & F32_MAGNITUDE;
    uint32_t sign = bits >> 16 & 0x8000;
    if (magnitude > F32_INFINITY) return (uint16_t)(sign | 0x7e00 | (magnitude >> 13 & 0x3ff));
    uint32_t code = encode_magnitude(magnitude, 10, 15);
    return (uint16_t)(sign | (code < 0x7c00 ? code : 0x7c00));
}

/* e4m3: code 0sEEEEMMM: (8 + M) * 2^(E - 10), for E = 0 M * 2^-9; 0x7f is NaN. */
#define E4M3_FINITE(c)                                                                             \
    ((c) >> 3 & 15 ? (float)((8 + ((c)&7)) << ((c) >> 3 & 15)) / 1024.0f : (float)((c)&7) / 512.0f)
#define E4M3(c) (((c)&0x7f) == 0x7f ? NAN : (c)&0x80 ? -E4M3_FINITE(c) : E4M3_FINITE(c))
#define E4M3_4(c) E4M3(c), E4M3((c) + 1), E4M3((c) + 2), E4M3((c) + 3)
#define E4M3_16(c) E4M3_4(c), E4M3_4((c) + 4), E4M3_4((c) + 8), E4M3_4((c) + 12)
#define E4M3_64(c) E4M3_16(c), E4M3_16((c) + 16), E4M3_16((c) + 32), E4M3_16((c) + 48)
static const float e4m3_values[256] = {E4M3_64(0), E4M3_64(64), E4M3_64(128), E4M3_64(192)};

float e4m3_to_f32(uint8_t code) { return e4m3_values[code]; }

uint8_t f32_to_e4m3(float value) {
    uint32_t bits = bits_of(value);
    uint32_t magnitude = bits & F32_MAGNITUDE;
    uint32_t sign = bits >> 24 & 0x80;
    uint32_t code = encode_magnitude(magnitude, 3, 7);
    code = code < 0x7e ? code : 0x7e;
    return (uint8_t)(sign | (magnitude > F32_INFINITY ? 0x7f : code));
}

/* The upper byte of an f16. */
float e5m2_to_f32(uint8_t code) { return f16_to_f32((uint16_t)(code << 8)); }

/* The upper 12 bits of an f16. */
float e5m6_to_f32(uint16_t code) { return f16_to_f32((uint16_t)(code << 4)); }

uint16_t f32_to_e5m6(float value) {
    uint32_t bits = bits_of(value);
    uint32_t magnitude = bits & F32_MAGNITUDE;
    uint32_t sign = bits >> 20 & 0x800;
    uint32_t code = encode_magnitude(magnitude, 6, 15);
    code = code < 0x7bf ? code : 0x7bf;
    return (uint16_t)(sign | (magnitude > F32_INFINITY ? 0x7e0 : code));
}

float ue8m0_to_f32(uint8_t code) {
    if (code == 0) return float_of(0x400000);
    return code == 255 ? NAN : float_of((uint32_t)code << 23);
}

uint8_t f32_to_ue8m0_ceil(float value) {
    uint32_t bits = bits_of(value) & F32_MAGNITUDE;
    if (bits > F32_INFINITY) return 255;
    if (bits <= 0x400000) return 0; /* 2^-127 */
    uint32_t code = (bits + F32_MANTISSA) >> 23;
    return (uint8_t)(code < 254 ? code : 254);
}

/* Element i of a packed array at any address. */
static inline uint16_t load_u16(const void *from, size_t i) {
    uint16_t value;
    memcpy(&value, (const unsigned char *)from + 2 * i, sizeof value);
    return value;
}

static inline double load_f64(const void *from, size_t i) {
    double value;
    memcpy(&value, (const unsigned char *)from + 8 * i, sizeof value);
    return value;
}

static inline void store_u16(void *to, size_t i, uint16_t value) {
    memcpy((unsigned char *)to + 2 * i, &value, sizeof value);
}

void dtype_to_f32(float *to, const void *from, enum dtype dtype, size_t count) {
    const uint8_t *bytes = from;
    switch (dtype) {
    case DTYPE_F32: memmove(to, from, count * sizeof *to); return;
    case DTYPE_F64:
        for (size_t i = 0; i < count; i++) to[i] = (float)load_f64(from, i);
        return;
    case DTYPE_BF16:
        for (size_t i = 0; i < count; i++) to[i] = bf16_to_f32(load_u16(from, i));
        return;
    case DTYPE_F16:
        for (size_t i = 0; i < count; i++) to[i] = f16_to_f32(load_u16(from, i));
        return;
    case DTYPE_E4M3:
        for (size_t i = 0; i < count; i++) to[i] = e4m3_values[bytes[i]];
        return;
    case DTYPE_E5M2:
        for (size_t i = 0; i < count; i++) to[i] = e5m2_to_f32(bytes[i]);
        return;
    case DTYPE_E5M6:
        for (size_t i = 0; i < count; i++) to[i] = e5m6_to_f32(load_u16(from, i));
        return;
    case DTYPE_UE8M0:
        for (size_t i = 0; i < count; i++) to[i] = ue8m0_to_f32(bytes[i]);
        return;
    default: assert(false && "dtype_to_f32: not a float dtype");
    }
}

void dtype_from_f32(void *to, enum dtype dtype, const float *from, size_t count) {
    switch (dtype) {
    case DTYPE_F32: memmove(to, from, count * sizeof *from); return;
    case DTYPE_F64:
        for (size_t i = 0; i < count; i++) {
            double value = from[i];
            memcpy((unsigned char *)to + 8 * i, &value, sizeof value);
        }
        return;
    case DTYPE_BF16:
        for (size_t i = 0; i < count; i++) store_u16(to, i, f32_to_bf16(from[i]));
        return;
    case DTYPE_F16:
        for (size_t i = 0; i < count; i++) store_u16(to, i, f32_to_f16(from[i]));
        return;
    case DTYPE_E4M3:
        for (size_t i = 0; i < count; i++) ((uint8_t *)to)[i] = f32_to_e4m3(from[i]);
        return;
    case DTYPE_E5M6:
        for (size_t i = 0; i < count; i++) store_u16(to, i, f32_to_e5m6(from[i]));
        return;
    default: assert(false && "dtype_from_f32: not a dtype that is written from float");
    }
}

void dtype_to_f64(double *to, const void *from, enum dtype dtype, size_t count) {
    enum { CHUNK = 256 };
    float chunk[CHUNK];
    if (dtype == DTYPE_F64) {
        memmove(to, from, count * sizeof *to);
        return;
    }
    const unsigned char *bytes = from;
    for (size_t i = 0; i < count; i += CHUNK) {
        size_t n = count - i < CHUNK ? count - i : CHUNK;
        dtype_to_f32(chunk, bytes + i * dtype_size(dtype), dtype, n);
        for (size_t j = 0; j < n; j++) to[i + j] = chunk[j];
    }
}
