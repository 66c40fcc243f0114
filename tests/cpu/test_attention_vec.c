/* Attention on sequences that cross every block of the vector kernels: tiles of 288 rows and blocks
 * of 128 keys forward, 192 keys and 96 rows backward. The general cases are in tests/ops. */
#include <stdio.h>

#include "base/memory.h"
#include "cpu/cpu.h"
#include "cpu/scratch.h"
#include "harness.h"

void attention_fwd_emu512(struct stream *stream, const struct op_attention_fwd *op);
void attention_bwd_emu512(struct stream *stream, const struct op_attention_bwd *op);

/* ---- kernels and the devices that they run on ---- */

struct kernels {
    const char *name;
    void (*forward)(struct stream *stream, const struct op_attention_fwd *op);
    void (*backward)(struct stream *stream, const struct op_attention_bwd *op);
};
enum { KERNELS_MAX = 3, THREADS_MAX = 3 };
struct stand {
    struct engine *engines[THREADS_MAX];
    struct device devices[THREADS_MAX]; /* of 1, 2, 3 threads */
    struct kernels kernels[KERNELS_MAX];
    int count;
};

static struct kernels kernels_of(enum cpu_isa isa) {
    return (struct kernels){cpu_isa_name(isa), cpu_ops(isa)->attention_fwd,
                            cpu_ops(isa)->attention_bwd};
}

static void stand_open(struct stand *stand) {
    struct error err;
    if (!cpu_isa_available(CPU_ISA_AVX2)) harness_skip("this processor lacks AVX2");
    *stand = (struct stand){0};
    stand->kernels[stand->count++] = kernels_of(CPU_ISA_AVX2);
    stand->kernels[stand->count++] =
        (struct kernels){"emu512", attention_fwd_emu512, attention_bwd_emu512};
    if (cpu_isa_available(CPU_ISA_AVX512))
        stand->kernels[stand->count++] = kernels_of(CPU_ISA_AVX512);
    for (int i = 0; i < THREADS_MAX; i++) {
        struct cpu_state *state = NULL;
        CHECK_OK(engine_new(&stand->engines[i], i + 1, &err), &err);
        stand->devices[i] = (struct device){.engine = stand->engines[i], .compute = DTYPE_F32};
        CHECK_OK(cpu_state_new(&state, &stand->devices[i], &err), &err);
        stand->devices[i].state = state;
    }
}

static void stand_close(struct stand *stand) {
    for (int i = 0; i < THREADS_MAX; i++) {
        cpu_state_free(stand->devices[i].state);
        engine_free(stand->engines[i]);
    }
}

/* ---- one sequence, its attention and its gradients ---- */

enum { T = 401 };

struct dims {
    int64_t heads, kv_heads, nope, rope, value;
};
static const struct dims shapes[] = {
    {2, 2, 20, 6, 13}, {1, 1, 32, 16, 32}, {6, 2, 24, 0, 24}, {3, 1, 7, 1, 40}};
enum { SHAPES = sizeof shapes / sizeof shapes[0] };

struct problem {
    struct dims dims;
    struct span span;
    struct tensor q, kv, k_rope, dout; /* kv: a key head's nope keys, then its values */
    struct tensor o, lse, dq, dkv, dk_rope, rope_heads, delta;
};

static struct tensor tensor_new(int64_t rows, int64_t cols, uint64_t seed) {
    struct error err;
    float *x = NULL;
    CHECK_OK(MEM_NEW(&x, rows * cols, "a tensor", &err), &err);
    uint64_t state = seed * 2 + 1;
    for (int64_t i = 0; i < rows * cols; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        x[i] = (float)((double)(state >> 40) / 8388608.0 - 1.0);
    }
    return tensor_of(x, DTYPE_F32, rows, cols);
}

static struct problem problem_new(struct dims d) {
    return (struct problem){
        .dims = d,
        .span = {0, T, 0, 0},
        .q = tensor_new(T, d.heads * (d.nope + d.rope), 1),
        .kv = tensor_new(T, d.kv_heads * (d.nope + d.value), 2),
        .k_rope = tensor_new(T, d.rope, 3),
        .dout = tensor_new(T, d.heads * d.value, 4),
        .o = tensor_new(T, d.heads * d.value, 5),
        .lse = tensor_new(T, d.heads, 6),
        .dq = tensor_new(T, d.heads * (d.nope + d.rope), 7),
        .dkv = tensor_new(T, d.kv_heads * (d.nope + d.value), 8),
        .dk_rope = tensor_new(T, d.rope, 9),
        .rope_heads = tensor_new(T, d.heads * d.rope, 10),
        .delta = tensor_new(T, d.heads, 11),
    };
}

static void problem_free(struct problem *p) {
    struct tensor *tensors[] = {&p->q,  &p->kv,  &p->k_rope,  &p->dout,       &p->o,    &p->lse,
                                &p->dq, &p->dkv, &p->dk_rope, &p->rope_heads, &p->delta};
    for (size_t i = 0; i < sizeof tensors / sizeof tensors[0]; i++) mem_free(tensors[i]->data);
}

static struct attention_shape shape_of(struct dims d) {
    return (struct attention_shape){
        .heads = d.heads,
        .kv_heads = d.kv_heads,
        .dim_nope = d.nope,
        .dim_rope = d.rope,
        .dim_value = d.value,
        .q_stride = d.nope + d.rope,
        .k_stride = d.nope + d.value,
        .v_stride = d.nope + d.value,
        .o_stride = d.value,
        .scale = 3 / sqrt((double)(d.nope + d.rope)),
    };
}

static void forward(const struct kernels *kernels, struct device *device, struct problem *p,
                    struct span span) {
    struct stream stream;
    stream_init(&stream, device);
    kernels->forward(&stream, &(struct op_attention_fwd){
                                  .shape = shape_of(p->dims),
                                  .o = p->o,
                                  .lse = p->lse,
                                  .q = p->q,
                                  .k = p->kv,
                                  .k_rope = p->k_rope,
                                  .v = tensor_cols(p->kv, p->dims.nope, 1),
                                  .spans = &span,
                                  .span_count = 1,
                              });
    CHECK(!stream_failed(&stream));
}

static void backward(const struct kernels *kernels, struct device *device, struct problem *p) {
    struct stream stream;
    stream_init(&stream, device);
    kernels->backward(&stream, &(struct op_attention_bwd){
                                   .shape = shape_of(p->dims),
                                   .dq = p->dq,
                                   .dk = p->dkv,
                                   .dk_rope = p->dk_rope,
                                   .dv = tensor_cols(p->dkv, p->dims.nope, 1),
                                   .rope_heads = p->rope_heads,
                                   .delta = p->delta,
                                   .dout = p->dout,
                                   .q = p->q,
                                   .k = p->kv,
                                   .k_rope = p->k_rope,
                                   .v = tensor_cols(p->kv, p->dims.nope, 1),
                                   .o = p->o,
                                   .lse = p->lse,
                                   .spans = &p->span,
                                   .span_count = 1,
                               });
    CHECK(!stream_failed(&stream));
}

/* ---- comparisons ---- */

static void check_close(const char *what, struct tensor actual, struct tensor expected) {
    const float *a = actual.data, *e = expected.data;
    double largest = 0;
    for (int64_t i = 0; i < tensor_count(expected); i++)
        largest = fmax(largest, fabs((double)e[i]));
    for (int64_t i = 0; i < tensor_count(actual); i++)
        if (!(fabs((double)a[i] - (double)e[i]) <= 1e-5 * largest))
            harness_fail(__FILE__, __LINE__, "%s[%lld, %lld] is %.9g, expected %.9g", what,
                         (long long)(i / actual.cols), (long long)(i % actual.cols), (double)a[i],
                         (double)e[i]);
}

static void check_rows(const char *what, struct tensor actual, struct tensor expected,
                       struct span span) {
    for (int64_t t = span.row; t < span.row + span.count; t++)
        if (memcmp(tensor_at(actual, t, 0), tensor_at(expected, t, 0),
                   (size_t)actual.cols * sizeof(float)) != 0)
            harness_fail(__FILE__, __LINE__, "%s: the bits of row %lld differ", what, (long long)t);
}

static void check_gradients(const struct problem *a, const struct problem *b,
                            void (*check)(const char *, struct tensor, struct tensor)) {
    check("dq", a->dq, b->dq);
    check("dk and dv", a->dkv, b->dkv);
    if (a->dims.rope > 0) check("dk_rope", a->dk_rope, b->dk_rope);
}

static void check_same(const char *what, struct tensor actual, struct tensor expected) {
    check_rows(what, actual, expected, (struct span){.count = actual.rows});
}

/* ---- tests ---- */

static void each(void (*check)(struct stand *, const struct kernels *, struct dims)) {
    struct stand stand;
    stand_open(&stand);
    for (int k = 0; k < stand.count; k++) {
        for (int i = 0; i < SHAPES; i++) {
            harness_context("%s, heads of %d/%d/%d", stand.kernels[k].name, (int)shapes[i].nope,
                            (int)shapes[i].rope, (int)shapes[i].value);
            check(&stand, &stand.kernels[k], shapes[i]);
        }
    }
    harness_context("%s", "");
    stand_close(&stand);
}

static void compare_with_oracle(struct stand *stand, const struct kernels *kernels,
                                struct dims dims) {
    const struct op_table *ref = cpu_ops_ref_f32();
    const struct kernels oracle = {"ref", ref->attention_fwd, ref->attention_bwd};
    struct problem p = problem_new(dims), expected = problem_new(dims);
    forward(kernels, &stand->devices[1], &p, p.span);
    forward(&oracle, &stand->devices[1], &expected, p.span);
    check_close("o", p.o, expected.o);
    check_close("lse", p.lse, expected.lse);
    backward(kernels, &stand->devices[1], &p);
    backward(&oracle, &stand->devices[1], &expected);
    check_gradients(&p, &expected, check_close);
    problem_free(&p);
    problem_free(&expected);
}
static void long_sequences_match_the_oracle(void) { each(compare_with_oracle); }

static void compare_threads(struct stand *stand, const struct kernels *kernels, struct dims dims) {
    struct problem first = problem_new(dims);
    forward(kernels, &stand->devices[0], &first, first.span);
    backward(kernels, &stand->devices[0], &first);
    for (int i = 1; i < THREADS_MAX; i++) {
        struct problem p = problem_new(dims);
        forward(kernels, &stand->devices[i], &p, p.span);
        check_same("o", p.o, first.o);
        backward(kernels, &stand->devices[i], &p);
        check_gradients(&p, &first, check_same);
        problem_free(&p);
    }
    problem_free(&first);
}
static void any_number_of_threads_gives_the_same_bits(void) { each(compare_threads); }

/* Chunks of a sequence, every row of it in one of them; rows and keys stay where they are. */
static void compare_chunks(struct stand *stand, const struct kernels *kernels, struct dims dims) {
    static const int64_t sizes[] = {1, 5, 96, 127, 128, 129, 300};
    struct problem whole = problem_new(dims);
    forward(kernels, &stand->devices[1], &whole, whole.span);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct problem p = problem_new(dims);
        for (int64_t t = 0; t < T; t += sizes[i]) {
            const int64_t count = T - t < sizes[i] ? T - t : sizes[i];
            forward(kernels, &stand->devices[1], &p, (struct span){t, count, t, 0});
        }
        check_same("o", p.o, whole.o);
        check_same("lse", p.lse, whole.lse);
        problem_free(&p);
    }
    problem_free(&whole);
}
static void a_chunk_or_token_alone_has_the_bits_of_the_whole(void) { each(compare_chunks); }

/* Keys and values that rows before `cut` must not see become huge; these rows keep their bits. */
static void compare_hidden_keys(struct stand *stand, const struct kernels *kernels,
                                struct dims dims) {
    static const int64_t cuts[] = {1, 95, 127, 130, 288, 390};
    struct problem whole = problem_new(dims);
    forward(kernels, &stand->devices[1], &whole, whole.span);
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
        struct problem p = problem_new(dims);
        float *kv = p.kv.data;
        for (int64_t j = cuts[i] * p.kv.cols; j < tensor_count(p.kv); j++) kv[j] = 3e38f;
        forward(kernels, &stand->devices[1], &p, p.span);
        check_rows("o", p.o, whole.o, (struct span){.count = cuts[i]});
        check_rows("lse", p.lse, whole.lse, (struct span){.count = cuts[i]});
        problem_free(&p);
    }
    problem_free(&whole);
}
static void keys_not_seen_change_no_bit(void) { each(compare_hidden_keys); }

/* Scores of thousands: one key takes all the weight, and nothing overflows. */
static void compare_extremes(struct stand *stand, const struct kernels *kernels, struct dims dims) {
    const struct op_table *ref = cpu_ops_ref_f32();
    const struct kernels oracle = {"ref", ref->attention_fwd, ref->attention_bwd};
    struct problem p = problem_new(dims), expected = problem_new(dims);
    for (int64_t j = 0; j < tensor_count(p.q); j++) {
        ((float *)p.q.data)[j] *= 4096;
        ((float *)expected.q.data)[j] *= 4096;
    }
    forward(kernels, &stand->devices[1], &p, p.span);
    forward(&oracle, &stand->devices[1], &expected, p.span);
    check_close("lse", p.lse, expected.lse);
    for (int64_t j = 0; j < tensor_count(p.o); j++) CHECK(fabsf(((float *)p.o.data)[j]) <= 1.0001f);
    problem_free(&p);
    problem_free(&expected);
}
static void huge_scores_stay_finite(void) { each(compare_extremes); }

static void heads_too_large_for_scratch_fail_the_stream(void) {
    struct stand stand;
    stand_open(&stand);
    const struct dims dims = {1, 1, 100000, 0, 1};
    struct tensor wide = tensor_new(1, dims.nope + 1, 1), out = tensor_new(1, 1, 2);
    const struct span span = {0, 1, 0, 0};
    struct stream stream;
    stream_init(&stream, &stand.devices[0]);
    stand.kernels[0].forward(&stream, &(struct op_attention_fwd){.shape = shape_of(dims),
                                                                 .o = out,
                                                                 .q = wide,
                                                                 .k = wide,
                                                                 .v = out,
                                                                 .spans = &span,
                                                                 .span_count = 1});
    CHECK(stream_failed(&stream));
    CHECK_HAS(stream.error.text, "attention_fwd");
    mem_free(wide.data);
    mem_free(out.data);
    stand_close(&stand);
}

static const struct test tests[] = {
    TEST(long_sequences_match_the_oracle),
    TEST(any_number_of_threads_gives_the_same_bits),
    TEST(a_chunk_or_token_alone_has_the_bits_of_the_whole),
    TEST(keys_not_seen_change_no_bit),
    TEST(huge_scores_stay_finite),
    TEST(heads_too_large_for_scratch_fail_the_stream),
};
HARNESS_MAIN(tests)
