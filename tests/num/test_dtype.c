#include "harness.h"

#include "base/memory.h"
#include "format/safetensors.h"
#include "num/dtype.h"
#include "num/fp8_scale.h"

static uint32_t bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* Equal bits, or both NaN. */
static bool is_same(float a, float b) { return bits_of(a) == bits_of(b) || (isnan(a) && isnan(b)); }

/* A narrow format behind one face: `finite` is the code of its largest finite value. */
struct format {
    const char *name;
    float (*decode)(uint32_t code);
    uint32_t (*encode)(float value);
    uint32_t codes, sign, finite;
    bool has_infinity; /* overflow becomes infinity, else it saturates */
};

static float decode_f16(uint32_t code) { return f16_to_f32((uint16_t)code); }
static uint32_t encode_f16(float value) { return f32_to_f16(value); }
static float decode_bf16(uint32_t code) { return bf16_to_f32((uint16_t)code); }
static uint32_t encode_bf16(float value) { return f32_to_bf16(value); }
static float decode_e4m3(uint32_t code) { return e4m3_to_f32((uint8_t)code); }
static uint32_t encode_e4m3(float value) { return f32_to_e4m3(value); }
static float decode_e5m6(uint32_t code) { return e5m6_to_f32((uint16_t)code); }
static uint32_t encode_e5m6(float value) { return f32_to_e5m6(value); }

static const struct format formats[] = {
    {"f16", decode_f16, encode_f16, 65536, 0x8000, 0x7bff, true},
    {"bf16", decode_bf16, encode_bf16, 65536, 0x8000, 0x7f7f, true},
    {"e4m3", decode_e4m3, encode_e4m3, 256, 0x80, 0x7e, false},
    {"e5m6", decode_e5m6, encode_e5m6, 4096, 0x800, 0x7bf, false},
};
enum { FORMATS = sizeof formats / sizeof formats[0] };

static void every_code_round_trips(void) {
    for (int f = 0; f < FORMATS; f++) {
        const struct format *format = &formats[f];
        for (uint32_t code = 0; code < format->codes; code++) {
            harness_context("%s code=%#x", format->name, code);
            float value = format->decode(code);
            uint32_t again = format->encode(value);
            if (isnan(value))
                CHECK(isnan(format->decode(again)));
            else if (isinf(value) && !format->has_infinity)
                CHECK_EQ(again, format->finite | (code & format->sign));
            else
                CHECK_EQ(again, code);
        }
    }
}

static void midpoints_round_to_even_and_their_neighbours_to_the_nearest(void) {
    for (int f = 0; f < FORMATS; f++) {
        const struct format *format = &formats[f];
        for (uint32_t code = 0; code < format->finite; code++) {
            harness_context("%s code=%#x", format->name, code);
            double low = format->decode(code), high = format->decode(code + 1);
            float middle = (float)((low + high) / 2);
            CHECK((double)middle == (low + high) / 2);
            uint32_t even = code & 1 ? code + 1 : code;
            CHECK_EQ(format->encode(middle), even);
            CHECK_EQ(format->encode(-middle), even | format->sign);
            CHECK_EQ(format->encode(nextafterf(middle, 0)), code);
            CHECK_EQ(format->encode(nextafterf(middle, INFINITY)), code + 1);
        }
    }
}

static void overflow_saturates_or_becomes_infinity(void) {
    for (int f = 0; f < FORMATS; f++) {
        const struct format *format = &formats[f];
        harness_context("%s", format->name);
        uint32_t most = format->finite + (format->has_infinity ? 1 : 0);
        CHECK_EQ(format->encode(INFINITY), most);
        CHECK_EQ(format->encode(-INFINITY), most | format->sign);
        CHECK_EQ(format->encode(3.4e38f), most);
        CHECK(isnan(format->decode(format->encode(NAN))));
        CHECK(isnan(format->decode(format->encode(-NAN))));
        CHECK_EQ(format->encode(-0.0f), format->sign);
        CHECK_EQ(format->encode(1e-45f), 0);
    }
    harness_context("%s", "");
    CHECK_EQ(f32_to_e4m3(1e30f), 0x7e);
    CHECK_EQ(f32_to_f16(65519.996f), 0x7bff);
    CHECK_EQ(f32_to_f16(65520.0f), 0x7c00);
    CHECK_EQ(f32_to_e5m6(65024.0f), 0x7bf);
    CHECK_EQ(f32_to_e5m6(1e9f), 0x7bf);
}

static void known_values_decode(void) {
    CHECK_NEAR(e4m3_to_f32(0x7e), 448, 0);
    CHECK_NEAR(e4m3_to_f32(0x01), 0x1p-9, 0);
    CHECK_NEAR(e5m2_to_f32(0x7b), 57344, 0);
    CHECK_NEAR(e5m6_to_f32(0x7bf), 65024, 0);
    CHECK_NEAR(e5m6_to_f32(0x3c0), 1, 0);
    CHECK_NEAR(e5m6_to_f32(0x001), 0x1p-20, 0);
    CHECK_NEAR(f16_to_f32(0x0001), 0x1p-24, 0);
    CHECK_NEAR(bf16_to_f32(0x3f80), 1, 0);
    CHECK_NEAR(ue8m0_to_f32(0), 0x1p-127, 0);
    CHECK_NEAR(ue8m0_to_f32(127), 1, 0);
    CHECK_NEAR(ue8m0_to_f32(254), 0x1p127, 0);
    CHECK(isnan(ue8m0_to_f32(255)));
}

static void ue8m0_is_the_next_power_of_two(void) {
    for (int code = 0; code < 255; code++) {
        harness_context("code=%d", code);
        float power = ue8m0_to_f32((uint8_t)code);
        CHECK_EQ(f32_to_ue8m0_ceil(power), code);
        CHECK_EQ(f32_to_ue8m0_ceil(nextafterf(power, 0)), code);
        CHECK_EQ(f32_to_ue8m0_ceil(nextafterf(power, INFINITY)), code < 254 ? code + 1 : 254);
    }
    CHECK_EQ(f32_to_ue8m0_ceil(1e-45f), 0);
    CHECK_EQ(f32_to_ue8m0_ceil(INFINITY), 254);
}

static void arrays_convert_at_any_address(void) {
    static const enum dtype dtypes[] = {DTYPE_F32, DTYPE_F64,  DTYPE_BF16,
                                        DTYPE_F16, DTYPE_E4M3, DTYPE_E5M6};
    enum { COUNT = 700 };
    unsigned char block[COUNT * 8 + 1];
    float values[COUNT], back[COUNT];
    double wide[COUNT];
    for (int i = 0; i < COUNT; i++) values[i] = (float)(i % 16 - 8) / 8; /* exact in all of them */
    for (size_t d = 0; d < sizeof dtypes / sizeof dtypes[0]; d++) {
        harness_context("%s", dtype_name(dtypes[d]));
        for (size_t count = 0; count <= COUNT; count += 7) {
            memset(back, 0, sizeof back);
            dtype_from_f32(block + 1, dtypes[d], values, count);
            dtype_to_f32(back, block + 1, dtypes[d], count);
            dtype_to_f64(wide, block + 1, dtypes[d], count);
            for (size_t i = 0; i < count; i++) {
                CHECK(back[i] == values[i]);
                CHECK(wide[i] == (double)values[i]);
            }
        }
    }
}

static void every_dtype_has_size_and_name(void) {
    for (int d = 0; d < DTYPE_COUNT; d++) {
        CHECK(dtype_size((enum dtype)d) > 0);
        CHECK(strlen(dtype_name((enum dtype)d)) > 0);
    }
    CHECK_EQ(dtype_size(DTYPE_BF16), 2);
    CHECK_EQ(dtype_size(DTYPE_F64), 8);
    CHECK(dtype_is_float(DTYPE_E5M6));
    CHECK(!dtype_is_float(DTYPE_I32));
    CHECK_STR(dtype_name(DTYPE_COUNT), "unknown");
}

static struct error failure;

static struct safetensors *numbers(void) {
    struct safetensors *st = NULL;
    CHECK_OK(safetensors_open(&st, harness_shared("goldens/number/fp8.safetensors"), &failure),
             &failure);
    return st;
}

/* The elements of a golden tensor, aligned; they stay until the test ends. */
static void *golden(const struct safetensors *st, const char *name, enum dtype dtype,
                    size_t *count) {
    const struct safetensors_entry *entry = NULL;
    void *copy = NULL;
    CHECK_OK(safetensors_need(st, name, &entry, &failure), &failure);
    CHECK_EQ(entry->dtype, dtype);
    CHECK_OK(mem_new(&copy, entry->size, 1, name, &failure), &failure);
    memcpy(copy, entry->data, entry->size);
    if (count) *count = (size_t)safetensors_elements(entry);
    return harness_keep(copy);
}

static float decode_e5m2(uint32_t code) { return e5m2_to_f32((uint8_t)code); }
static float decode_ue8m0(uint32_t code) { return ue8m0_to_f32((uint8_t)code); }

static void decode_tables_match_the_goldens(void) {
    static const struct {
        const char *name;
        float (*decode)(uint32_t code);
    } tables[] = {{"e4m3.decode", decode_e4m3},
                  {"e5m2.decode", decode_e5m2},
                  {"ue8m0.decode", decode_ue8m0},
                  {"f16.decode", decode_f16},
                  {"bf16.decode", decode_bf16}};
    struct safetensors *st = numbers();
    for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++) {
        size_t count;
        const float *table = golden(st, tables[t].name, DTYPE_F32, &count);
        CHECK(count == 256 || count == 65536);
        for (uint32_t code = 0; code < count; code++) {
            harness_context("%s[%#x]", tables[t].name, code);
            CHECK(is_same(tables[t].decode(code), table[code]));
        }
    }
    safetensors_close(st);
}

static void encodings_match_the_goldens(void) {
    struct safetensors *st = numbers();
    size_t count;
    const float *input = golden(st, "e4m3.encode_input", DTYPE_F32, &count);
    const uint8_t *e4m3 = golden(st, "e4m3.encode", DTYPE_U8, NULL);
    for (size_t i = 0; i < count; i++) {
        harness_context("e4m3 of %a", (double)input[i]);
        if (isnan(input[i]))
            CHECK_EQ(f32_to_e4m3(input[i]) & 0x7f, 0x7f);
        else
            CHECK_EQ(f32_to_e4m3(input[i]), e4m3[i]);
    }
    input = golden(st, "f16_bf16.encode_input", DTYPE_F32, &count);
    const uint16_t *f16 = golden(st, "f16.encode", DTYPE_U16, NULL);
    const uint16_t *bf16 = golden(st, "bf16.encode", DTYPE_U16, NULL);
    for (size_t i = 0; i < count; i++) {
        harness_context("f16 and bf16 of %a", (double)input[i]);
        if (isnan(input[i])) {
            CHECK(isnan(f16_to_f32(f32_to_f16(input[i]))));
            CHECK(isnan(bf16_to_f32(f32_to_bf16(input[i]))));
        } else {
            CHECK_EQ(f32_to_f16(input[i]), f16[i]);
            CHECK_EQ(f32_to_bf16(input[i]), bf16[i]);
        }
    }
    safetensors_close(st);
}

enum { GEMM_N = 37, GEMM_M = 200, GEMM_C = 384, GEMM_BLOCKS = 3 };

/* y[n, m] = sum over blocks of x_scale w_scale (sum inside the block of x_code w_code) */
static float scaled_product(const uint8_t *x, const float *x_scale, const uint8_t *w,
                            const float *w_scale) {
    float y = 0;
    for (int b = 0; b < GEMM_BLOCKS; b++) {
        float sum = 0;
        for (int c = b * FP8_BLOCK; c < (b + 1) * FP8_BLOCK; c++)
            sum += e4m3_to_f32(x[c]) * e4m3_to_f32(w[c]);
        y += sum * (x_scale[b] * w_scale[b]);
    }
    return y;
}

static void block_scaling_and_its_product_match_the_goldens(void) {
    struct safetensors *st = numbers();
    const float *x = golden(st, "gemm.x", DTYPE_F32, NULL);
    const float *w = golden(st, "gemm.w", DTYPE_F32, NULL);
    const float *y = golden(st, "gemm.y", DTYPE_F32, NULL);
    static uint8_t x_codes[GEMM_N * GEMM_C], w_codes[GEMM_M * GEMM_C];
    float x_scale[GEMM_N * GEMM_BLOCKS], w_scale[2 * GEMM_BLOCKS];
    fp8_quantize_rows(x_codes, x_scale, x, GEMM_N, GEMM_C, false);
    fp8_quantize_blocks(w_codes, w_scale, w, GEMM_M, GEMM_C, false);
    CHECK(memcmp(x_codes, golden(st, "gemm.x_codes", DTYPE_U8, NULL), sizeof x_codes) == 0);
    CHECK(memcmp(w_codes, golden(st, "gemm.w_codes", DTYPE_U8, NULL), sizeof w_codes) == 0);
    CHECK(memcmp(x_scale, golden(st, "gemm.x_scale", DTYPE_F32, NULL), sizeof x_scale) == 0);
    CHECK(memcmp(w_scale, golden(st, "gemm.w_scale_inv", DTYPE_F32, NULL), sizeof w_scale) == 0);
    double square = 0, worst = 0;
    for (int n = 0; n < GEMM_N; n++) {
        for (int m = 0; m < GEMM_M; m++) {
            float ours =
                scaled_product(x_codes + n * GEMM_C, x_scale + n * GEMM_BLOCKS,
                               w_codes + m * GEMM_C, w_scale + m / FP8_BLOCK * GEMM_BLOCKS);
            double golden_y = y[n * GEMM_M + m];
            square += golden_y * golden_y;
            worst = fmax(worst, fabs((double)ours - golden_y));
        }
    }
    double rms = sqrt(square / (GEMM_N * GEMM_M));
    CHECK(rms > 0);
    CHECK_NEAR(worst / rms, 0, 2e-6);
    safetensors_close(st);
}

static void dequantized_blocks_are_within_half_a_step(void) {
    enum { N = 130, C = 257, BLOCKS = 2 * 3 };
    static float w[N * C], back[N * C];
    static uint8_t codes[N * C];
    float scale[BLOCKS], row_scale[N * 3];
    for (int i = 0; i < N * C; i++) w[i] = sinf((float)i) * (i < 128 * C ? 1.0f : 100.0f);
    for (int power = 0; power < 2; power++) {
        harness_context("power of two: %d", power);
        fp8_quantize_blocks(codes, scale, w, N, C, power);
        fp8_dequantize_blocks(back, codes, scale, N, C);
        for (int i = 0; i < N * C; i++) {
            float s = scale[i / C / FP8_BLOCK * 3 + i % C / FP8_BLOCK];
            CHECK_NEAR(back[i], w[i], fabsf(w[i]) / 16 * 1.001f + s * 0x1p-10f);
        }
        int exponent;
        for (int i = 0; i < BLOCKS && power; i++) CHECK(frexpf(scale[i], &exponent) == 0.5f);
        fp8_quantize_rows(codes, row_scale, w, N, C, power);
        fp8_dequantize_rows(back, codes, row_scale, N, C);
        for (int i = 0; i < N * C; i++)
            CHECK_NEAR(back[i], w[i],
                       fabsf(w[i]) / 16 * 1.001f +
                           row_scale[i / C * 3 + i % C / FP8_BLOCK] * 0x1p-10f);
    }
    CHECK(scale[0] < scale[3] / 32);
}

static void a_block_of_zeros_has_zero_codes(void) {
    float x[200] = {[150] = 1e-45f}, scale[2];
    uint8_t codes[200];
    memset(codes, 1, sizeof codes);
    fp8_quantize_rows(codes, scale, x, 1, 200, false);
    for (int i = 0; i < 200; i++) CHECK_EQ(codes[i], 0);
    CHECK(scale[0] == 1e-10f && scale[1] == 1e-10f);
}

static const struct test tests[] = {
    TEST(every_code_round_trips),
    TEST(midpoints_round_to_even_and_their_neighbours_to_the_nearest),
    TEST(overflow_saturates_or_becomes_infinity),
    TEST(known_values_decode),
    TEST(ue8m0_is_the_next_power_of_two),
    TEST(arrays_convert_at_any_address),
    TEST(every_dtype_has_size_and_name),
    TEST(decode_tables_match_the_goldens),
    TEST(encodings_match_the_goldens),
    TEST(block_scaling_and_its_product_match_the_goldens),
    TEST(dequantized_blocks_are_within_half_a_step),
    TEST(a_block_of_zeros_has_zero_codes),
};
HARNESS_MAIN(tests)
