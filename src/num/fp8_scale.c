#include "num/fp8_scale.h"

#include <math.h>

#include "num/dtype.h"

static const float e4m3_max = 448.0f;
static const float scale_least = 1e-10f;

/* Columns [c0, c1) of rows [r0, r1) of a matrix with C columns. */
struct block {
    int64_t r0, r1, c0, c1, C;
};

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* s = max(amax / 448, 1e-10), or the next power of two; codes = e4m3(x / s) */
static float quantize_block(uint8_t *codes, const float *x, struct block b, bool is_power_of_two) {
    float amax = 0;
    for (int64_t r = b.r0; r < b.r1; r++)
        for (int64_t c = b.c0; c < b.c1; c++) amax = fmaxf(amax, fabsf(x[r * b.C + c]));
    float s = fmaxf(amax / e4m3_max, scale_least);
    if (is_power_of_two) s = ue8m0_to_f32(f32_to_ue8m0_ceil(s));
    for (int64_t r = b.r0; r < b.r1; r++)
        for (int64_t c = b.c0; c < b.c1; c++) codes[r * b.C + c] = f32_to_e4m3(x[r * b.C + c] / s);
    return s;
}

static void quantize(uint8_t *codes, float *scale, const float *x, int64_t N, int64_t C,
                     int64_t rows_per_block, bool is_power_of_two) {
    for (int64_t r = 0; r < N; r += rows_per_block) {
        for (int64_t c = 0; c < C; c += FP8_BLOCK) {
            struct block b = {r, least(r + rows_per_block, N), c, least(c + FP8_BLOCK, C), C};
            *scale++ = quantize_block(codes, x, b, is_power_of_two);
        }
    }
}

static void dequantize(float *x, const uint8_t *codes, const float *scale, int64_t N, int64_t C,
                       int64_t rows_per_block) {
    for (int64_t r = 0; r < N; r++) {
        const float *row_scale = scale + r / rows_per_block * fp8_blocks(C);
        for (int64_t c = 0; c < C; c++)
            x[r * C + c] = e4m3_to_f32(codes[r * C + c]) * row_scale[c / FP8_BLOCK];
    }
}

void fp8_quantize_rows(uint8_t *codes, float *scale, const float *x, int64_t N, int64_t C,
                       bool is_power_of_two) {
    quantize(codes, scale, x, N, C, 1, is_power_of_two);
}

void fp8_quantize_blocks(uint8_t *codes, float *scale, const float *w, int64_t N, int64_t C,
                         bool is_power_of_two) {
    quantize(codes, scale, w, N, C, FP8_BLOCK, is_power_of_two);
}

void fp8_dequantize_blocks(float *w, const uint8_t *codes, const float *scale, int64_t N,
                           int64_t C) {
    dequantize(w, codes, scale, N, C, FP8_BLOCK);
}

void fp8_dequantize_rows(float *x, const uint8_t *codes, const float *scale, int64_t N, int64_t C) {
    dequantize(x, codes, scale, N, C, 1);
}
