#include "cpu/ref/ref_round.h"

#include "num/dtype.h"

static float largest_of(enum rounding rounding) {
    return rounding == ROUND_E5M6_POW2 ? 65024.0f : 448.0f;
}

static float scale_of(float amax, enum rounding rounding) {
    const float s = fmaxf(amax / largest_of(rounding), 1e-10f);
    const bool is_power_of_two = rounding == ROUND_E4M3_POW2 || rounding == ROUND_E5M6_POW2;
    return is_power_of_two && isfinite(s) ? ue8m0_to_f32(f32_to_ue8m0_ceil(s)) : s;
}

static float coded(float x, float s, enum rounding rounding) {
    if (rounding == ROUND_E5M6_POW2) return e5m6_to_f32(f32_to_e5m6(x / s)) * s;
    return e4m3_to_f32(f32_to_e4m3(x / s)) * s;
}

/* One scale for all of it. */
static void round_scaled(struct ref_grid g, enum rounding rounding) {
    float amax = 0;
    for (int64_t j = 0; j < g.across; j++)
        for (int64_t i = 0; i < g.along; i++)
            amax = fmaxf(amax, fabsf((float)g.at[j * g.pitch + i * g.step]));
    const float s = scale_of(amax, rounding);
    for (int64_t j = 0; j < g.across; j++) {
        for (int64_t i = 0; i < g.along; i++) {
            real *x = &g.at[j * g.pitch + i * g.step];
            *x = coded((float)*x, s, rounding);
        }
    }
}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

void REF(round_grid)(struct ref_grid g, enum rounding rounding) {
    const int64_t height = rounding == ROUND_E4M3_BLOCKS ? ROUND_TILE : 1;
    if (rounding == ROUND_NONE) return;
    if (rounding == ROUND_BF16) {
        for (int64_t j = 0; j < g.across; j++) {
            for (int64_t i = 0; i < g.along; i++) {
                real *x = &g.at[j * g.pitch + i * g.step];
                *x = bf16_to_f32(f32_to_bf16((float)*x));
            }
        }
        return;
    }
    for (int64_t j = 0; j < g.across; j += height) {
        for (int64_t i = 0; i < g.along; i += ROUND_TILE) {
            struct ref_grid part = g;
            part.at += j * g.pitch + i * g.step;
            part.across = least(height, g.across - j);
            part.along = least(ROUND_TILE, g.along - i);
            round_scaled(part, rounding);
        }
    }
}

void REF(round)(struct stream *stream, const struct op_round *op) {
    (void)stream;
    const int64_t C = op->y.cols;
    for (int64_t t = 0; t < op->y.rows; t++)
        for (int64_t i = 0; i < C; i++) ref_row(op->y, t)[i] = ref_row(op->x, t)[i];
    REF(round_grid)((struct ref_grid){op->y.data, C, 1, op->y.rows, op->y.stride}, op->rounding);
}
