/* The matrix products of every instruction set against the oracle: equal in every bit, because each
 * result is one chain of fused multiply-adds whatever the shape, the blocking and the threads. And
 * those of bf16 pairs against a plain model of the instruction that multiplies pairs. */
#include <math.h>

#include "backend/device.h"
#include "base/memory.h"
#include "cpu/cpu.h"
#include "cpu/scratch.h"
#include "harness.h"

typedef void matmul_fn(struct stream *stream, const struct op_matmul *op);
typedef void grouped_fn(struct stream *stream, const struct op_matmul_grouped *op);

matmul_fn matmul_emu512, matmul_emu512bf16;
grouped_fn matmul_grouped_emu512, matmul_grouped_emu512bf16;

/* What is under test: kernels, and devices of one, two and three threads to run them on. */
struct subject {
    const char *name;
    matmul_fn *matmul;
    grouped_fn *grouped;
};
enum { SUBJECTS_MAX = 3, THREADS_MAX = 3 };
struct stand {
    struct engine *engines[THREADS_MAX];
    struct device devices[THREADS_MAX];
    struct subject subjects[SUBJECTS_MAX];
    int count;
    struct subject oracle;
    enum rounding rounding; /* of operands, in every product */
};

static void add_subject(struct stand *stand, enum cpu_isa isa) {
    const struct op_table *ops = cpu_ops(isa);
    stand->subjects[stand->count++] =
        (struct subject){cpu_isa_name(isa), ops->matmul, ops->matmul_grouped};
}

static void add_subjects(struct stand *stand) {
    const struct op_table *ref = cpu_ops_ref_f32();
    stand->oracle = (struct subject){"ref", ref->matmul, ref->matmul_grouped};
    add_subject(stand, CPU_ISA_AVX2);
    stand->subjects[stand->count++] =
        (struct subject){"emu512", matmul_emu512, matmul_grouped_emu512};
    if (cpu_isa_available(CPU_ISA_AVX512)) add_subject(stand, CPU_ISA_AVX512);
}

static matmul_fn matmul_of_pairs;
static grouped_fn matmul_grouped_of_pairs;

/* The instruction sets that multiply pairs of bf16. */
static void add_pair_subjects(struct stand *stand) {
    stand->oracle = (struct subject){"model", matmul_of_pairs, matmul_grouped_of_pairs};
    stand->rounding = ROUND_BF16;
    stand->subjects[stand->count++] =
        (struct subject){"emu512bf16", matmul_emu512bf16, matmul_grouped_emu512bf16};
    if (cpu_isa_available(CPU_ISA_AVX512BF16)) add_subject(stand, CPU_ISA_AVX512BF16);
}

static void stand_open(struct stand *stand, bool has_pairs) {
    struct error err;
    if (!cpu_isa_available(CPU_ISA_AVX2)) harness_skip("this processor lacks AVX2");
    *stand = (struct stand){0};
    if (has_pairs)
        add_pair_subjects(stand);
    else
        add_subjects(stand);
    for (int i = 0; i < THREADS_MAX; i++) {
        struct device *device = &stand->devices[i];
        struct cpu_state *state = NULL;
        CHECK_OK(engine_new(&stand->engines[i], i + 1, &err), &err);
        device->engine = stand->engines[i];
        device->compute = DTYPE_F32;
        CHECK_OK(cpu_state_new(&state, device, &err), &err);
        device->state = state;
    }
}

static void stand_close(struct stand *stand) {
    for (int i = 0; i < THREADS_MAX; i++) {
        cpu_state_free(stand->devices[i].state);
        engine_free(stand->engines[i]);
    }
}

typedef void stand_test(const struct stand *stand);

static void run_on_stand(stand_test *test, bool has_pairs) {
    struct stand stand;
    stand_open(&stand, has_pairs);
    test(&stand);
    stand_close(&stand);
}

/* ---- the model of pairs ---- */

/* Numbers below the normal ones are zeros of their sign. */
static float normal(float x) { return fabsf(x) < 0x1p-126f ? copysignf(0, x) : x; }

static float to_bf16(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u;
    memcpy(&x, &bits, sizeof bits);
    return normal(x);
}

/* VDPBF16PS, as Intel's SDM has it: the odd element of a pair first. */
static float dot_pair(const float a[2], const float b[2], float sum) {
    sum = normal(fmaf(a[1], b[1], normal(sum)));
    return normal(fmaf(a[0], b[0], sum));
}

/* One product of the forms of op_matmul, on operands that the caller has rounded. */
struct plain {
    enum matmul_form form;
    struct tensor a, b, c;
    const int32_t *gather_a, *gather_b; /* of rows in memory; NULL: as they lie */
    int64_t m, n, k;
    const float *bias;
    bool accumulate;
};

static const float *row_of(struct tensor x, const int32_t *gather, int64_t r) {
    return (const float *)x.data + (gather ? gather[r] : r) * x.stride;
}

static float plain_a(const struct plain *x, int64_t i, int64_t p) {
    if (p >= x->k) return 0;
    return x->form == MATMUL_TN ? row_of(x->a, x->gather_a, p)[i] : row_of(x->a, x->gather_a, i)[p];
}
static float plain_b(const struct plain *x, int64_t p, int64_t j) {
    if (p >= x->k) return 0;
    return x->form == MATMUL_NT ? row_of(x->b, x->gather_b, j)[p] : row_of(x->b, x->gather_b, p)[j];
}

static void multiply_plain(const struct plain *x) {
    for (int64_t i = 0; i < x->m; i++) {
        float *c = (float *)x->c.data + i * x->c.stride;
        for (int64_t j = 0; j < x->n; j++) {
            float sum = x->accumulate ? c[j] : 0;
            for (int64_t p = 0; p < x->k; p += 2)
                sum = dot_pair((float[]){plain_a(x, i, p), plain_a(x, i, p + 1)},
                               (float[]){plain_b(x, p, j), plain_b(x, p + 1, j)}, sum);
            c[j] = x->bias ? sum + x->bias[j] : sum;
        }
    }
}

/* A matrix of the same shape with every number rounded; mem_free its data. */
static struct tensor rounded_copy(struct tensor x) {
    struct error err;
    void *data = NULL;
    CHECK_OK(mem_new_raw(&data, (size_t)(x.rows * x.cols), sizeof(float), "an operand", &err),
             &err);
    struct tensor copy = tensor_of(data, DTYPE_F32, x.rows, x.cols);
    for (int64_t i = 0; i < x.rows; i++)
        for (int64_t j = 0; j < x.cols; j++)
            ((float *)data)[i * x.cols + j] = to_bf16(((const float *)x.data)[i * x.stride + j]);
    return copy;
}

static void matmul_of_pairs(struct stream *stream, const struct op_matmul *op) {
    struct plain x = {.form = op->form,
                      .a = rounded_copy(op->a),
                      .b = rounded_copy(op->b),
                      .c = op->c,
                      .m = op->c.rows,
                      .n = op->c.cols,
                      .k = op->form == MATMUL_TN ? op->a.rows : op->a.cols,
                      .bias = op->bias.data,
                      .accumulate = op->accumulate};
    (void)stream;
    multiply_plain(&x);
    mem_free(x.a.data);
    mem_free(x.b.data);
}

static void matmul_grouped_of_pairs(struct stream *stream, const struct op_matmul_grouped *op) {
    struct tensor a = rounded_copy(op->a), b = rounded_copy(op->b);
    const bool is_tn = op->form == MATMUL_TN;
    (void)stream;
    for (int64_t e = 0; e < op->experts; e++) {
        const int64_t first = op->offsets[e], rows = op->offsets[e + 1] - first;
        const int64_t of_weights = e * (op->b.rows / op->experts);
        struct plain x = {.form = op->form, .n = op->c.cols, .accumulate = op->accumulate};
        x.a = tensor_rows(a, op->gather_a ? 0 : first, 0);
        x.gather_a = op->gather_a ? op->gather_a + first : NULL;
        x.gather_b = op->gather_b ? op->gather_b + first : NULL;
        x.m = is_tn ? op->a.cols : rows;
        x.k = is_tn ? rows : op->a.cols;
        x.b = tensor_rows(b, !is_tn ? of_weights : op->gather_b ? 0 : first, 0);
        x.c = tensor_rows(op->c, is_tn ? e * op->a.cols : first, 0);
        multiply_plain(&x);
    }
    mem_free(a.data);
    mem_free(b.data);
}

/* ---- operands ---- */

/* A matrix in the middle of a block of its own, so that what is written beyond its rows and columns
 * is seen when blocks are compared. */
struct operand {
    float *block;
    size_t count;
    struct tensor tensor;
};
enum { MARGIN = 32 };

static struct operand operand_new(uint64_t seed, int64_t rows, int64_t cols, int64_t pad) {
    struct operand x = {0};
    struct error err;
    x.count = (size_t)(rows * (cols + pad)) + 2 * MARGIN;
    CHECK_OK(mem_new_raw((void **)&x.block, x.count, sizeof(float), "an operand", &err), &err);
    uint64_t state = seed * 2 + 1;
    for (size_t i = 0; i < x.count; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        x.block[i] = (float)((double)(state >> 40) / 8388608.0 - 1.0);
    }
    x.tensor = tensor_of(x.block + MARGIN, DTYPE_F32, rows, cols);
    x.tensor.stride = cols + pad;
    return x;
}

static struct operand operand_copy(const struct operand *from) {
    struct operand x = *from;
    struct error err;
    CHECK_OK(mem_new_raw((void **)&x.block, x.count, sizeof(float), "an operand", &err), &err);
    memcpy(x.block, from->block, x.count * sizeof(float));
    x.tensor.data = x.block + MARGIN;
    return x;
}

static void check_equal(const struct operand *actual, const struct operand *expected) {
    if (memcmp(actual->block, expected->block, actual->count * sizeof(float)) == 0) return;
    for (size_t i = 0; i < actual->count; i++) {
        if (memcmp(&actual->block[i], &expected->block[i], sizeof(float)) == 0) continue;
        const long at = (long)i - MARGIN, stride = (long)actual->tensor.stride;
        harness_fail(__FILE__, __LINE__, "row %ld column %ld is %.9g, expected %.9g", at / stride,
                     at % stride, (double)actual->block[i], (double)expected->block[i]);
    }
}

/* ---- matmul ---- */

struct shape {
    int64_t m, n, k;
    bool accumulate, has_bias;
};
static const char *const form_names[] = {"NT", "NN", "TN"};

/* Every subject and thread count gives the oracle's bits. */
static void check_matmul(const struct stand *stand, enum matmul_form form, struct shape x) {
    const bool is_tn = form == MATMUL_TN, is_nt = form == MATMUL_NT;
    struct operand a = operand_new(1, is_tn ? x.k : x.m, is_tn ? x.m : x.k, x.m % 4);
    struct operand b = operand_new(2, is_nt ? x.n : x.k, is_nt ? x.k : x.n, x.n % 3);
    struct operand bias = operand_new(3, 1, x.n, 0);
    struct operand c = operand_new(4, x.m, x.n, x.k % 5), expected = operand_copy(&c);
    struct op_matmul op = {
        .form = form,
        .c = expected.tensor,
        .a = a.tensor,
        .b = b.tensor,
        .bias = x.has_bias ? bias.tensor : (struct tensor){0},
        .accumulate = x.accumulate,
        .round_a = stand->rounding,
        .round_b = stand->rounding,
    };
    struct stream stream = {0};
    stand->oracle.matmul(&stream, &op);
    for (int s = 0; s < stand->count; s++) {
        for (int t = 0; t < THREADS_MAX; t++) {
            struct device device = stand->devices[t];
            struct operand actual = operand_copy(&c);
            harness_context("%s %s m=%d n=%d k=%d accumulate=%d bias=%d threads=%d",
                            stand->subjects[s].name, form_names[form], (int)x.m, (int)x.n, (int)x.k,
                            x.accumulate, x.has_bias, t + 1);
            op.c = actual.tensor;
            stream_init(&stream, &device);
            stand->subjects[s].matmul(&stream, &op);
            check_equal(&actual, &expected);
            mem_free(actual.block);
        }
    }
    mem_free(a.block);
    mem_free(b.block);
    mem_free(bias.block);
    mem_free(c.block);
    mem_free(expected.block);
}

static void check_forms(const struct stand *stand, struct shape x) {
    for (int form = MATMUL_NT; form <= MATMUL_TN; form++)
        check_matmul(stand, (enum matmul_form)form, x);
}

/* Around the rows of micro-kernels (6, 14), of tiles (48, 112) and of the streamed products (8). */
static const int rows_tried[] = {1,  2,  3,  4,  5,  6,  7,  8,  11,  12,  13,  14, 15,
                                 20, 27, 28, 29, 47, 48, 49, 97, 111, 112, 113, 115};
/* Around one and two vectors of 8 and 16 lanes, and several panels. */
static const int columns_tried[] = {1,  2,  3,  7,  8,  9,  15, 16, 17, 23,
                                    24, 25, 31, 32, 33, 47, 48, 49, 65, 130};
/* Around the unrolled steps (4), transpositions (8) and blocks of K (256, 384). */
static const int steps_tried[] = {1,  2,  3,  4,   5,   6,   7,   8,   9,
                                  17, 31, 32, 255, 256, 257, 383, 385, 515};
#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

static void check_every_tail_of_rows_and_columns_has_the_oracles_bits(const struct stand *stand) {
    int turn = 0;
    for (int i = 0; i < COUNT(rows_tried); i++)
        for (int j = 0; j < COUNT(columns_tried); j++, turn++)
            check_forms(stand, (struct shape){rows_tried[i], columns_tried[j],
                                              steps_tried[turn % (COUNT(steps_tried) - 6)],
                                              turn % 2 == 1, turn % 3 == 1});
}
static void every_tail_of_rows_and_columns_has_the_oracles_bits(void) {
    run_on_stand(check_every_tail_of_rows_and_columns_has_the_oracles_bits, false);
}

static void check_every_number_of_steps_has_the_oracles_bits(const struct stand *stand) {
    const int rows[] = {1, 3, 8, 9, 50, 115};
    for (int p = 0; p < COUNT(steps_tried); p++)
        for (int i = 0; i < COUNT(rows); i++)
            check_forms(stand,
                        (struct shape){rows[i], 37 + p, steps_tried[p], i % 2 == 0, p % 2 == 0});
}
static void every_number_of_steps_has_the_oracles_bits(void) {
    run_on_stand(check_every_number_of_steps_has_the_oracles_bits, false);
}

/* Products whose B does not fit the packing buffer: cut along N, along K, and along both. */
static void check_products_beyond_the_packing_buffer_have_the_oracles_bits(
    const struct stand *stand) {
    check_forms(stand, (struct shape){113, 2100, 1030, false, true});
    check_matmul(stand, MATMUL_TN, (struct shape){113, 33, 44000, true, true});
    check_matmul(stand, MATMUL_NN, (struct shape){115, 1100, 2100, true, false});
}
static void products_beyond_the_packing_buffer_have_the_oracles_bits(void) {
    run_on_stand(check_products_beyond_the_packing_buffer_have_the_oracles_bits, false);
}

/* Weight gradients whose tiles pack A for themselves: few steps, and many columns. */
static void check_rows_that_tiles_pack_for_themselves_have_the_oracles_bits(
    const struct stand *stand) {
    check_matmul(stand, MATMUL_TN, (struct shape){905, 33, 512, true, false});
    check_matmul(stand, MATMUL_TN, (struct shape){385, 50, 768, false, true});
    check_matmul(stand, MATMUL_TN, (struct shape){399, 530, 800, true, true});
}
static void rows_that_tiles_pack_for_themselves_have_the_oracles_bits(void) {
    run_on_stand(check_rows_that_tiles_pack_for_themselves_have_the_oracles_bits, false);
}

static void check_products_without_steps_give_zero_or_keep(const struct stand *stand) {
    check_forms(stand, (struct shape){5, 9, 0, false, false});
    check_forms(stand, (struct shape){5, 9, 0, true, true});
    check_forms(stand, (struct shape){0, 9, 7, false, false});
}
static void products_without_steps_give_zero_or_keep(void) {
    run_on_stand(check_products_without_steps_give_zero_or_keep, false);
}

/* ---- grouped ---- */

struct groups {
    int64_t n, k; /* NT, NN: C[rows, n], K = k;  TN: C_e[k, n] */
    const int32_t *loads;
    int experts;
    bool has_gather_a, has_gather_b, accumulate;
};
enum { GATHERED_ROWS = 40, GROUPS_MAX = 300 };

static void check_grouped(const struct stand *stand, enum matmul_form form, struct groups x) {
    int32_t offsets[GROUPS_MAX + 1] = {0};
    for (int e = 0; e < x.experts; e++) offsets[e + 1] = offsets[e] + x.loads[e];
    const int32_t rows = offsets[x.experts];
    const int64_t E = x.experts;
    int32_t *gathers[2] = {0};
    struct error err;
    for (int i = 0; i < 2; i++) {
        CHECK_OK(MEM_NEW(&gathers[i], rows, "a gather", &err), &err);
        for (int32_t r = 0; r < rows; r++) gathers[i][r] = (r * 7 + i * 3) % GATHERED_ROWS;
    }
    const bool is_tn = form == MATMUL_TN, is_nt = form == MATMUL_NT;
    struct operand a = operand_new(5, x.has_gather_a ? GATHERED_ROWS : rows, x.k, 3);
    struct operand b =
        operand_new(6, is_tn ? (x.has_gather_b ? GATHERED_ROWS : rows) : E * (is_nt ? x.n : x.k),
                    is_nt ? x.k : x.n, 1);
    struct operand c = operand_new(7, is_tn ? E * x.k : rows, x.n, 2), expected = operand_copy(&c);
    struct op_matmul_grouped op = {
        .form = form,
        .c = expected.tensor,
        .a = a.tensor,
        .b = b.tensor,
        .offsets = offsets,
        .gather_a = x.has_gather_a ? gathers[0] : NULL,
        .gather_b = is_tn && x.has_gather_b ? gathers[1] : NULL,
        .experts = E,
        .rows = rows + 5,
        .accumulate = is_tn && x.accumulate,
        .round_a = stand->rounding,
        .round_b = stand->rounding,
    };
    struct stream stream = {0};
    stand->oracle.grouped(&stream, &op);
    for (int s = 0; s < stand->count; s++) {
        for (int t = 0; t < THREADS_MAX; t++) {
            struct device device = stand->devices[t];
            struct operand actual = operand_copy(&c);
            harness_context("%s grouped %s n=%d k=%d rows=%d experts=%d gathers=%d%d "
                            "accumulate=%d threads=%d",
                            stand->subjects[s].name, form_names[form], (int)x.n, (int)x.k,
                            (int)rows, x.experts, x.has_gather_a, x.has_gather_b, x.accumulate,
                            t + 1);
            op.c = actual.tensor;
            stream_init(&stream, &device);
            stand->subjects[s].grouped(&stream, &op);
            check_equal(&actual, &expected);
            mem_free(actual.block);
        }
    }
    mem_free(gathers[0]);
    mem_free(gathers[1]);
    mem_free(a.block);
    mem_free(b.block);
    mem_free(c.block);
    mem_free(expected.block);
}

/* All forms, with and without gathers and accumulation. */
static void check_groups(const struct stand *stand, struct groups x) {
    for (int form = MATMUL_NT; form <= MATMUL_TN; form++) {
        for (int variant = 0; variant < 4; variant++) {
            x.has_gather_a = variant % 2 == 1;
            x.has_gather_b = variant >= 2;
            x.accumulate = variant == 1 || variant == 2;
            check_grouped(stand, (enum matmul_form)form, x);
        }
    }
}

static void check_experts_of_every_load_have_the_oracles_bits(const struct stand *stand) {
    const int32_t loads[] = {0, 1, 130, 4, 0, 0, 5, 49, 3, 300, 2, 113, 0};
    const struct { int64_t n, k; } sizes[] = {{32, 16}, {33, 7}, {1, 1}, {17, 257}, {70, 50}};
    for (int i = 0; i < COUNT(sizes); i++)
        check_groups(
            stand, (struct groups){
                       .n = sizes[i].n, .k = sizes[i].k, .loads = loads, .experts = COUNT(loads)});
}
static void experts_of_every_load_have_the_oracles_bits(void) {
    run_on_stand(check_experts_of_every_load_have_the_oracles_bits, false);
}

static void check_all_rows_at_one_expert_have_the_oracles_bits(const struct stand *stand) {
    for (int busy = 0; busy < 4; busy++) {
        int32_t loads[4] = {0};
        loads[busy] = 500;
        check_groups(stand, (struct groups){.n = 40, .k = 129, .loads = loads, .experts = 4});
    }
}
static void all_rows_at_one_expert_have_the_oracles_bits(void) {
    run_on_stand(check_all_rows_at_one_expert_have_the_oracles_bits, false);
}

static void check_groups_without_rows_write_nothing_but_zeros(const struct stand *stand) {
    const int32_t loads[3] = {0};
    check_groups(stand, (struct groups){.n = 8, .k = 5, .loads = loads, .experts = 3});
}
static void groups_without_rows_write_nothing_but_zeros(void) {
    run_on_stand(check_groups_without_rows_write_nothing_but_zeros, false);
}

static void check_more_experts_than_one_region_holds_have_the_oracles_bits(
    const struct stand *stand) {
    int32_t loads[GROUPS_MAX];
    for (int e = 0; e < GROUPS_MAX; e++) loads[e] = e % 7 == 6 ? 120 : e % 7;
    check_groups(stand, (struct groups){.n = 18, .k = 12, .loads = loads, .experts = GROUPS_MAX});
}
static void more_experts_than_one_region_holds_have_the_oracles_bits(void) {
    run_on_stand(check_more_experts_than_one_region_holds_have_the_oracles_bits, false);
}

/* Experts whose packed operands overflow the buffer together, and one alone (TN, along K). */
static void check_groups_beyond_the_packing_buffer_have_the_oracles_bits(
    const struct stand *stand) {
    const int32_t loads[] = {120, 0, 130, 140};
    const struct groups weights = {.n = 1000, .k = 700, .loads = loads, .experts = COUNT(loads)};
    check_grouped(stand, MATMUL_NT, weights);
    check_grouped(stand, MATMUL_NN, weights);
    const int32_t long_loads[] = {300, 6000, 0, 2500};
    check_grouped(stand, MATMUL_TN,
                  (struct groups){.n = 450,
                                  .k = 115,
                                  .loads = long_loads,
                                  .experts = 4,
                                  .has_gather_a = true,
                                  .accumulate = true});
    const int32_t short_loads[] = {300, 0, 767, 5};
    check_grouped(stand, MATMUL_TN,
                  (struct groups){.n = 33,
                                  .k = 930,
                                  .loads = short_loads,
                                  .experts = 4,
                                  .has_gather_a = true,
                                  .has_gather_b = true,
                                  .accumulate = true});
}
static void groups_beyond_the_packing_buffer_have_the_oracles_bits(void) {
    run_on_stand(check_groups_beyond_the_packing_buffer_have_the_oracles_bits, false);
}

/* The shapes of some of the tests above, as pairs. */
static void pairs_of_bf16_have_the_models_bits(void) {
    run_on_stand(check_every_tail_of_rows_and_columns_has_the_oracles_bits, true);
    run_on_stand(check_every_number_of_steps_has_the_oracles_bits, true);
    run_on_stand(check_rows_that_tiles_pack_for_themselves_have_the_oracles_bits, true);
    run_on_stand(check_products_without_steps_give_zero_or_keep, true);
}
static void experts_in_pairs_of_bf16_have_the_models_bits(void) {
    run_on_stand(check_experts_of_every_load_have_the_oracles_bits, true);
    run_on_stand(check_groups_without_rows_write_nothing_but_zeros, true);
    run_on_stand(check_more_experts_than_one_region_holds_have_the_oracles_bits, true);
}

/* Operands and sums that are not normal count as zeros, and infinities and NaN go through. */
static void pairs_of_numbers_at_the_ends_of_the_range(void) {
    static const float values[] = {0x1p-130f, 0x1p-126f, -0x1p-70f, 0x1p-60f,  INFINITY,
                                   -0x1p100f, 0x1p120f,  NAN,       -0x1p-65f, 3e38f};
    enum { N = sizeof values / sizeof values[0] };
    struct stand stand;
    stand_open(&stand, true);
    float a[N * N], b[N * N], expected[N * N], actual[N * N];
    for (int i = 0; i < N * N; i++) {
        a[i] = values[i % N] * (float)(1 + i / N % 3);
        b[i] = values[(i * 7 + i / N) % N];
    }
    for (int s = 0; s < stand.count; s++) {
        struct op_matmul op = {.form = MATMUL_NT,
                               .c = tensor_of(expected, DTYPE_F32, N, N),
                               .a = tensor_of(a, DTYPE_F32, N, N),
                               .b = tensor_of(b, DTYPE_F32, N, N),
                               .round_a = ROUND_BF16,
                               .round_b = ROUND_BF16};
        struct stream stream;
        for (int k = 1; k <= N; k++) {
            op.a.cols = op.b.cols = k;
            stream_init(&stream, &stand.devices[0]);
            op.c.data = expected;
            matmul_of_pairs(&stream, &op);
            op.c.data = actual;
            stand.subjects[s].matmul(&stream, &op);
            for (int i = 0; i < N * N; i++) {
                harness_context("%s k=%d result %d", stand.subjects[s].name, k, i);
                CHECK(isnan(actual[i]) == isnan(expected[i]));
                CHECK(isnan(actual[i]) || memcmp(&actual[i], &expected[i], sizeof(float)) == 0);
            }
        }
    }
    stand_close(&stand);
}

static void avx512_runs_where_the_processor_has_it(void) {
    if (!cpu_isa_available(CPU_ISA_AVX512))
        harness_skip("this processor lacks AVX-512: its lane logic was tested as emu512 only");
}
static void avx512bf16_runs_where_the_processor_has_it(void) {
    if (!cpu_isa_available(CPU_ISA_AVX512BF16))
        harness_skip("this processor lacks AVX512_BF16: pairs were tested as emu512bf16 only");
}

static const struct test tests[] = {
    TEST(every_tail_of_rows_and_columns_has_the_oracles_bits),
    TEST(every_number_of_steps_has_the_oracles_bits),
    TEST(products_beyond_the_packing_buffer_have_the_oracles_bits),
    TEST(rows_that_tiles_pack_for_themselves_have_the_oracles_bits),
    TEST(products_without_steps_give_zero_or_keep),
    TEST(experts_of_every_load_have_the_oracles_bits),
    TEST(all_rows_at_one_expert_have_the_oracles_bits),
    TEST(groups_without_rows_write_nothing_but_zeros),
    TEST(more_experts_than_one_region_holds_have_the_oracles_bits),
    TEST(groups_beyond_the_packing_buffer_have_the_oracles_bits),
    TEST(pairs_of_bf16_have_the_models_bits),
    TEST(experts_in_pairs_of_bf16_have_the_models_bits),
    TEST(pairs_of_numbers_at_the_ends_of_the_range),
    TEST(avx512_runs_where_the_processor_has_it),
    TEST(avx512bf16_runs_where_the_processor_has_it),
};
HARNESS_MAIN(tests)
