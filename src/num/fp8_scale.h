/* Block scaling of E4M3 (DeepSeek-V3 report, section 3.3; published inference kernels): activations
 * per row in tiles of 1x128, weights in blocks of 128x128 with ragged edges. A stored "scale_inv"
 * is what the code is multiplied with to give the value. No scale is below 1e-10, so a
 * block of zeros has zero codes. */
#ifndef NUM_FP8_SCALE_H
#define NUM_FP8_SCALE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FP8_BLOCK = 128 };

static inline int64_t fp8_blocks(int64_t n) { return (n + FP8_BLOCK - 1) / FP8_BLOCK; }

/* codes [N, C] e4m3 and scale [N, blocks(C)] f32 from x [N, C]: s = max(amax / 448, 1e-10), or the
 * next power of two when is_power_of_two (UE8M0). */
void fp8_quantize_rows(uint8_t *codes, float *scale, const float *x, int64_t N, int64_t C,
                       bool is_power_of_two);
/* codes [N, C], scale [blocks(N), blocks(C)] from w [N, C]. */
void fp8_quantize_blocks(uint8_t *codes, float *scale, const float *w, int64_t N, int64_t C,
                         bool is_power_of_two);
/* w [N, C] = codes * scale of their block. */
void fp8_dequantize_blocks(float *w, const uint8_t *codes, const float *scale, int64_t N,
                           int64_t C);
void fp8_dequantize_rows(float *x, const uint8_t *codes, const float *scale, int64_t N, int64_t C);

#endif
