#include "cpu/peak.h"

#include <string.h>

#include "base/clock.h"
#include "base/median.h"
#include "base/memory.h"
#include "cpu/cpu.h"
#include "cpu/peak_kernels.h"

static const int64_t max_rounds = (int64_t)1 << 36;
enum {
    SAMPLES = 7,
    TILES_PER_THREAD = 8,   /* a thread that is held up leaves tiles to the others */
    READ_BYTES = 256 << 20, /* larger than any cache here */
    READ_TILES = 64,
};
static const double probe_seconds = 4e-3;

/* A loop of multiply-adds, and how many FLOPs its rounds are. */
struct multiply_add {
    float (*run)(int64_t rounds);
    double (*flops)(int64_t rounds);
};
struct kernels {
    struct multiply_add f32, bf16; /* bf16 NULL: without an instruction of its own */
    float (*read)(const float *from, int64_t count);
};
static const struct kernels kernels_of[CPU_ISA_COUNT] = {
    [CPU_ISA_AVX2] = {.f32 = {peak_fma_avx2, peak_fma_flops_avx2}, .read = peak_read_avx2},
    [CPU_ISA_AVX512] = {.f32 = {peak_fma_avx512, peak_fma_flops_avx512}, .read = peak_read_avx512},
    [CPU_ISA_AVX512BF16] = {.f32 = {peak_fma_avx512, peak_fma_flops_avx512},
                            .bf16 = {peak_dot_avx512bf16, peak_dot_flops_avx512bf16},
                            .read = peak_read_avx512},
};

static const struct kernels *find_kernels(const struct device *device) {
    for (int isa = 0; isa < CPU_ISA_COUNT; isa++)
        if (strcmp(device->isa, cpu_isa_name((enum cpu_isa)isa)) == 0) return &kernels_of[isa];
    return NULL;
}

/* ---- multiply-adds ---- */

struct fma_work {
    const struct multiply_add *loop;
    int64_t rounds;
    _Atomic float sink; /* keeps the compiler from dropping the loops */
};

static void fma_tile(void *arg, int64_t tile, int worker) {
    struct fma_work *work = arg;
    (void)tile;
    (void)worker;
    work->sink = work->loop->run(work->rounds);
}

/* Rounds that take about the probe's time on one thread. */
static int64_t rounds_for(const struct multiply_add *loop, double seconds) {
    int64_t rounds = 1000;
    for (;;) {
        struct fma_work work = {.loop = loop, .rounds = rounds};
        double begin = clock_seconds();
        fma_tile(&work, 0, 0);
        double took = clock_since(begin);
        if (rounds > max_rounds) return rounds; /* the clock does not go on */
        if (took > seconds / 8) return (int64_t)((double)rounds * seconds / took) + 1;
        rounds *= 4;
    }
}

static double fma_rate(struct device *device, const struct multiply_add *loop, bool is_alone) {
    struct pool *pool = device->engine->pool;
    int64_t tiles = is_alone ? 1 : (int64_t)pool_threads(pool) * TILES_PER_THREAD;
    double seconds = is_alone ? probe_seconds : probe_seconds / TILES_PER_THREAD;
    struct fma_work work = {.loop = loop, .rounds = rounds_for(loop, seconds)};
    double begin = clock_seconds();
    pool_run(pool, tiles, fma_tile, &work);
    return clock_rate((double)tiles * loop->flops(work.rounds), clock_since(begin));
}

double cpu_peak_flops(struct device *device, enum dtype operands) {
    const struct kernels *kernels = find_kernels(device);
    double rates[3];
    if (!kernels) return 0;
    const bool is_bf16 = operands == DTYPE_BF16 && kernels->bf16.run;
    for (int i = 0; i < 3; i++)
        rates[i] = fma_rate(device, is_bf16 ? &kernels->bf16 : &kernels->f32, false);
    return median_of(rates, (size_t)3);
}

/* ---- memory ---- */

struct memory_work {
    const struct kernels *kernels;
    float *from, *to; /* READ_BYTES each; to: NULL when only reading */
    _Atomic float sink;
};

static void memory_tile(void *arg, int64_t tile, int worker) {
    struct memory_work *work = arg;
    const int64_t count = READ_BYTES / READ_TILES / (int64_t)sizeof(float);
    (void)worker;
    if (work->to)
        memcpy(work->to + tile * count, work->from + tile * count, (size_t)count * sizeof(float));
    else
        work->sink = work->kernels->read(work->from + tile * count, count);
}

static double memory_rate(struct pool *pool, struct memory_work *work) {
    double rates[SAMPLES];
    for (int i = 0; i < SAMPLES; i++) {
        double begin = clock_seconds();
        pool_run(pool, READ_TILES, memory_tile, work);
        rates[i] = clock_rate(READ_BYTES, clock_since(begin));
    }
    return median_of(rates, (size_t)SAMPLES);
}

static fathom_status measure_memory(struct device *device, const struct kernels *kernels,
                                    struct device_limits *limits, struct error *err) {
    void *from = NULL, *to = NULL;
    TRY(mem_new(&from, READ_BYTES, 1, "the memory measurement", err));
    fathom_status status = mem_new(&to, READ_BYTES, 1, "the memory measurement", err);
    if (status == FATHOM_OK) {
        struct memory_work work = {.kernels = kernels, .from = from};
        limits->read_bytes = memory_rate(device->engine->pool, &work);
        work.to = to;
        limits->copy_bytes = memory_rate(device->engine->pool, &work);
    }
    mem_free(from);
    mem_free(to);
    return status;
}

fathom_status cpu_measure(struct device *device, struct device_limits *limits, struct error *err) {
    const struct kernels *kernels = find_kernels(device);
    double one[SAMPLES], all[SAMPLES];
    if (!kernels)
        RAISE(FATHOM_UNSUPPORTED, "the instruction set \"%s\" has no measurement", device->isa);
    for (int i = 0; i < SAMPLES; i++) {
        one[i] = fma_rate(device, &kernels->f32, true);
        all[i] = fma_rate(device, &kernels->f32, false);
    }
    limits->flops_one_thread = median_of(one, (size_t)SAMPLES);
    limits->flops = median_of(all, (size_t)SAMPLES);
    for (int i = 0; i < SAMPLES && kernels->bf16.run; i++)
        all[i] = fma_rate(device, &kernels->bf16, false);
    limits->flops_bf16 = kernels->bf16.run ? median_of(all, (size_t)SAMPLES) : 0;
    return measure_memory(device, kernels, limits, err);
}
