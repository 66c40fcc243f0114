/* fathom bench ops: operations on the shapes of real steps, each beside the multiply-add peak
 * measured between its runs */
#include <string.h>

#include "base/clock.h"
#include "base/median.h"
#include "base/memory.h"
#include "base/rng.h"
#include "device_options.h"
#include "ops/attention.h"
#include "ops/product.h"

struct ops_options {
    char *isa;
    int64_t threads, runs;
    int precision;
    bool json;
};
static const struct option rows[] = {
    {"runs", OPTION_INT, offsetof(struct ops_options, runs), 1, 10000, "9", NULL, "N",
     "timed runs of each; the median counts", false, false},
    {"precision", OPTION_CHOICE, offsetof(struct ops_options, precision), 0, 0, "f32", "f32|bf16",
     NULL, "what the operands of products are rounded to", false, false},
    {"json", OPTION_FLAG, offsetof(struct ops_options, json), 0, 0, NULL, NULL, NULL,
     "print one JSON object per operation", false, false},
    OPTION_THREADS(struct ops_options),
    OPTION_ISA(struct ops_options),
};
static const struct option_table table = {
    "bench ops", "Time matrix products and attention as a share of the multiply-add peak.",
    NULL,        NULL,
    rows,        sizeof rows / sizeof rows[0]};

enum bench_kind { BENCH_PRODUCT, BENCH_GROUPED, BENCH_ATTENTION };

/* M N K of a product (grouped: M routed rows in all); attention: M tokens in sequences of N. */
struct bench_case {
    const char *name;
    enum bench_kind kind;
    enum matmul_form form;
    int64_t M, N, K, experts;
    int64_t nope, rope, value, heads;
    bool is_backward;
};
static const struct bench_case cases[] = {
    {.name = "product 1024^3", .M = 1024, .N = 1024, .K = 1024},
    {.name = "latents forward", .M = 2048, .N = 176, .K = 256},
    {.name = "query up forward", .M = 2048, .N = 384, .K = 96},
    {.name = "output forward", .M = 2048, .N = 256, .K = 256},
    {.name = "dense gate+up forward", .M = 2048, .N = 1408, .K = 256},
    {.name = "dense gate+up input gradient", .form = MATMUL_NN, .M = 2048, .N = 256, .K = 1408},
    {.name = "dense gate+up weight gradient", .form = MATMUL_TN, .M = 1408, .N = 256, .K = 2048},
    {.name = "head forward", .M = 256, .N = 4096, .K = 256},
    {.name = "head weight gradient", .form = MATMUL_TN, .M = 4096, .N = 256, .K = 256},
    {.name = "experts gate+up forward",
     .kind = BENCH_GROUPED,
     .M = 8192,
     .N = 256,
     .K = 256,
     .experts = 16},
    {.name = "experts input gradient",
     .kind = BENCH_GROUPED,
     .form = MATMUL_NN,
     .M = 8192,
     .N = 256,
     .K = 256,
     .experts = 16},
    {.name = "experts weight gradient",
     .kind = BENCH_GROUPED,
     .form = MATMUL_TN,
     .M = 256,
     .N = 256,
     .K = 8192,
     .experts = 16},
    {.name = "attention forward 8 x 256",
     .kind = BENCH_ATTENTION,
     .M = 2048,
     .N = 256,
     .heads = 8,
     .nope = 32,
     .rope = 16,
     .value = 32},
    {.name = "attention backward 8 x 256",
     .kind = BENCH_ATTENTION,
     .M = 2048,
     .N = 256,
     .heads = 8,
     .nope = 32,
     .rope = 16,
     .value = 32,
     .is_backward = true},
    {.name = "attention forward 1 x 4096",
     .kind = BENCH_ATTENTION,
     .M = 4096,
     .N = 4096,
     .heads = 8,
     .nope = 64,
     .rope = 32,
     .value = 64},
    {.name = "attention backward 1 x 4096",
     .kind = BENCH_ATTENTION,
     .M = 4096,
     .N = 4096,
     .heads = 8,
     .nope = 64,
     .rope = 32,
     .value = 64,
     .is_backward = true},
};
enum { CASE_COUNT = sizeof cases / sizeof cases[0], TENSORS = 16 };

struct bench_work {
    const struct bench_case *c;
    struct device *device;
    struct stream stream;
    enum rounding rounding; /* of a product's operands */
    struct tensor tensors[TENSORS];
    int taken;
    int32_t *offsets;
    struct span *spans;
    int64_t span_count;
    double *seconds, *peaks;
};

/* ---- operands ---- */

static fathom_status take(struct bench_work *w, int64_t m, int64_t n, struct tensor *out,
                          struct error *err) {
    enum dtype dtype = w->device->compute;
    void *data = NULL;
    TRY(mem_new(&data, (size_t)(m * n), dtype_size(dtype), "a benchmark", err));
    *out = w->tensors[w->taken++] = tensor_of(data, dtype, m, n);
    const struct rng_key key = {1, RNG_TEST, (uint64_t)w->taken};
    for (int64_t i = 0; i < m * n; i++) {
        double value = rng_uniform(key, (uint64_t)(i % 65536)) - 0.5;
        if (dtype == DTYPE_F64)
            ((double *)data)[i] = value;
        else
            ((float *)data)[i] = (float)value;
    }
    return FATHOM_OK;
}

/* Skewed loads: expert e gets a share proportional to 1 + e % 4. */
static fathom_status take_offsets(struct bench_work *w, int64_t total, struct error *err) {
    int64_t E = w->c->experts, shares = 0, at = 0;
    TRY(MEM_NEW(&w->offsets, E + 1, "a benchmark", err));
    for (int64_t e = 0; e < E; e++) shares += 1 + e % 4;
    for (int64_t e = 0; e < E; e++) {
        w->offsets[e] = (int32_t)(total * at / shares);
        at += 1 + e % 4;
    }
    w->offsets[E] = (int32_t)total;
    return FATHOM_OK;
}

/* ---- the operations ---- */

static void run_product(struct bench_work *w) {
    const struct bench_case *c = w->c;
    const struct tensor *t = w->tensors;
    if (c->kind == BENCH_PRODUCT)
        ops_matmul(&w->stream, &(struct op_matmul){.form = c->form,
                                                   .c = t[0],
                                                   .a = t[1],
                                                   .b = t[2],
                                                   .accumulate = c->form == MATMUL_TN,
                                                   .round_a = w->rounding,
                                                   .round_b = w->rounding});
    else
        ops_matmul_grouped(&w->stream,
                           &(struct op_matmul_grouped){.form = c->form,
                                                       .c = t[0],
                                                       .a = t[1],
                                                       .b = t[2],
                                                       .offsets = w->offsets,
                                                       .experts = c->experts,
                                                       .rows = w->offsets[c->experts],
                                                       .accumulate = c->form == MATMUL_TN,
                                                       .round_a = w->rounding,
                                                       .round_b = w->rounding});
}

static void run_attention(struct bench_work *w) {
    const struct bench_case *c = w->c;
    const struct tensor *t = w->tensors;
    const struct attention_shape shape = {.heads = c->heads,
                                          .kv_heads = c->heads,
                                          .dim_nope = c->nope,
                                          .dim_rope = c->rope,
                                          .dim_value = c->value,
                                          .q_stride = c->nope + c->rope,
                                          .k_stride = c->nope,
                                          .v_stride = c->value,
                                          .o_stride = c->value,
                                          .scale = 0.1};
    if (!c->is_backward) {
        ops_attention_fwd(&w->stream, &(struct op_attention_fwd){.shape = shape,
                                                                 .q = t[0],
                                                                 .k = t[1],
                                                                 .k_rope = t[2],
                                                                 .v = t[3],
                                                                 .o = t[4],
                                                                 .lse = t[5],
                                                                 .spans = w->spans,
                                                                 .span_count = w->span_count});
        return;
    }
    ops_attention_bwd(&w->stream, &(struct op_attention_bwd){.shape = shape,
                                                             .q = t[0],
                                                             .k = t[1],
                                                             .k_rope = t[2],
                                                             .v = t[3],
                                                             .o = t[4],
                                                             .lse = t[5],
                                                             .dout = t[6],
                                                             .dq = t[7],
                                                             .dk = t[8],
                                                             .dk_rope = t[9],
                                                             .dv = t[10],
                                                             .rope_heads = t[11],
                                                             .delta = t[12],
                                                             .spans = w->spans,
                                                             .span_count = w->span_count});
}

static double flops_of(const struct bench_case *c) {
    if (c->kind != BENCH_ATTENTION) return 2.0 * (double)c->M * (double)c->N * (double)c->K;
    /* causal: (T + 1) / 2 keys a query; the backward has q k, do v, dq, dk and dv */
    double pairs = (double)(c->M * c->heads) * ((double)c->N + 1) / 2;
    double qk = (double)(c->nope + c->rope), v = (double)c->value;
    return 2 * pairs * (c->is_backward ? 3 * qk + 2 * v : qk + v);
}

/* ---- a case ---- */

static fathom_status prepare_product(struct bench_work *w, struct error *err) {
    const struct bench_case *c = w->c;
    int64_t E = c->kind == BENCH_GROUPED ? c->experts : 1;
    bool is_weight = c->form == MATMUL_TN;
    struct tensor ignored;
    TRY(take(w, is_weight ? E * c->M : c->M, c->N, &ignored, err));
    TRY(take(w, is_weight ? c->K : c->M, is_weight ? c->M : c->K, &ignored, err));
    if (c->form == MATMUL_NT)
        TRY(take(w, E * c->N, c->K, &ignored, err));
    else
        TRY(take(w, is_weight ? c->K : E * c->K, c->N, &ignored, err));
    return c->kind == BENCH_GROUPED ? take_offsets(w, is_weight ? c->K : c->M, err) : FATHOM_OK;
}

static fathom_status prepare_attention(struct bench_work *w, struct error *err) {
    const struct bench_case *c = w->c;
    const int64_t H = c->heads, qk = c->nope + c->rope;
    const int64_t columns[] = {
        H * qk, H * c->nope, c->rope, H * c->value, H * c->value, H, H * c->value,
        H * qk, H * c->nope, c->rope, H * c->value, H * c->rope,  H};
    struct tensor ignored;
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++)
        TRY(take(w, c->M, columns[i], &ignored, err));
    w->span_count = c->M / c->N;
    TRY(MEM_NEW(&w->spans, w->span_count, "a benchmark", err));
    for (int64_t i = 0; i < w->span_count; i++)
        w->spans[i] = (struct span){.row = i * c->N, .count = c->N, .kv_row = i * c->N};
    return FATHOM_OK;
}

/* Small operations are repeated so that a run takes milliseconds. */
static int64_t repeats_for(const struct bench_case *c) {
    int64_t repeats = (int64_t)(5e8 / flops_of(c));
    return repeats < 1 ? 1 : repeats;
}

static fathom_status time_case(struct bench_work *w, int64_t runs, struct error *err) {
    int64_t repeats = repeats_for(w->c);
    TRY(MEM_NEW(&w->seconds, runs, "a benchmark", err));
    TRY(MEM_NEW(&w->peaks, runs, "a benchmark", err));
    for (int64_t run = -1; run < runs; run++) {
        if (run >= 0)
            w->peaks[run] =
                device_peak_flops(w->device, w->rounding == ROUND_BF16 ? DTYPE_BF16 : DTYPE_F32);
        double begin = clock_seconds();
        for (int64_t i = 0; i < repeats; i++) {
            if (w->c->kind == BENCH_ATTENTION)
                run_attention(w);
            else
                run_product(w);
        }
        TRY(stream_check(&w->stream, err));
        if (run >= 0) w->seconds[run] = (clock_seconds() - begin) / (double)repeats;
    }
    return FATHOM_OK;
}

static void print_case(struct bench_work *w, const struct ops_options *o, FILE *out) {
    double rate = flops_of(w->c) / median_of(w->seconds, (size_t)o->runs);
    double peak = median_of(w->peaks, (size_t)o->runs), share = peak > 0 ? rate / peak : 0;
    if (o->json)
        fprintf(out,
                "{\"op\": \"%s\", \"precision\": \"%s\", \"isa\": \"%s\", \"gflops\": %.2f, "
                "\"share\": %.4f}\n",
                w->c->name, w->rounding == ROUND_BF16 ? "bf16" : "f32", w->device->isa, rate * 1e-9,
                share);
    else
        fprintf(out, "%-32s %8.1f GFLOP/s  %5.1f%%\n", w->c->name, rate * 1e-9, 100 * share);
    fflush(out);
}

static fathom_status bench_case(const struct bench_case *c, const struct ops_options *o,
                                struct device *device, FILE *out, struct error *err) {
    const bool is_rounded = c->kind != BENCH_ATTENTION && o->precision == PRECISION_BF16;
    struct bench_work w = {
        .c = c, .device = device, .rounding = is_rounded ? ROUND_BF16 : ROUND_NONE};
    stream_init(&w.stream, device);
    fathom_status status =
        c->kind == BENCH_ATTENTION ? prepare_attention(&w, err) : prepare_product(&w, err);
    if (status == FATHOM_OK) status = time_case(&w, o->runs, err);
    if (status == FATHOM_OK) print_case(&w, o, out);
    for (int i = 0; i < w.taken; i++) mem_free(w.tensors[i].data);
    mem_free(w.offsets);
    mem_free(w.spans);
    mem_free(w.seconds);
    mem_free(w.peaks);
    return status;
}

fathom_status command_bench_ops(struct command *command) {
    struct ops_options o = {0};
    struct option_given given = {0};
    struct opened_device opened = {0};
    bool is_done = false;
    fathom_status status = command_options(command, &table, &o, &given, NULL, &is_done);
    if (status != FATHOM_OK || is_done) goto out;
    status = opened_device_open(&opened, command, o.threads, o.isa);
    for (int i = 0; i < CASE_COUNT && status == FATHOM_OK && !interrupt_requested(); i++)
        status = bench_case(&cases[i], &o, opened.device, command->out, command->err);
out:
    opened_device_close(&opened);
    options_free(&table, &o);
    return status;
}
