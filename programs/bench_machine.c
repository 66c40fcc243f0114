/* fathom bench machine: the limits that speeds are quoted against */
#include "device_options.h"

struct machine_options {
    char *isa;
    int64_t threads;
    bool json;
};
static const struct option rows[] = {
    {"json", OPTION_FLAG, offsetof(struct machine_options, json), 0, 0, NULL, NULL, NULL,
     "print one JSON object", false, false},
    OPTION_THREADS(struct machine_options),
    OPTION_ISA(struct machine_options),
};
static const struct option_table table = {
    "bench machine",
    "Measure the machine: F32 multiply-adds, and memory bandwidth. Medians of seven.",
    NULL,
    NULL,
    rows,
    sizeof rows / sizeof rows[0]};

static void print_limits(FILE *out, const struct device *device, const struct device_limits *l,
                         bool as_json) {
    int threads = pool_threads(device->engine->pool);
    if (as_json)
        fprintf(out,
                "{\"isa\": \"%s\", \"threads\": %d, \"gflops_1\": %.2f, \"gflops\": %.2f, "
                "\"gflops_bf16\": %.2f, \"read_gbs\": %.2f, \"copy_gbs\": %.2f}\n",
                device->isa, threads, l->flops_one_thread * 1e-9, l->flops * 1e-9,
                l->flops_bf16 * 1e-9, l->read_bytes * 1e-9, l->copy_bytes * 1e-9);
    else {
        fprintf(out,
                "instruction set   %s\nthreads           %d\n"
                "multiply-add      %.1f GFLOP/s on one thread, %.1f on all (F32)\n",
                device->isa, threads, l->flops_one_thread * 1e-9, l->flops * 1e-9);
        if (l->flops_bf16 > 0)
            fprintf(out, "bf16 dot product  %.1f GFLOP/s on all threads\n", l->flops_bf16 * 1e-9);
        fprintf(out, "memory            %.1f GB/s read, %.1f GB/s copied\n", l->read_bytes * 1e-9,
                l->copy_bytes * 1e-9);
    }
}

fathom_status command_bench_machine(struct command *command) {
    struct machine_options o = {0};
    struct option_given given = {0};
    struct opened_device opened = {0};
    struct device_limits limits;
    bool is_done = false;
    fathom_status status = command_options(command, &table, &o, &given, NULL, &is_done);
    if (status == FATHOM_OK && !is_done) {
        status = opened_device_open(&opened, command, o.threads, o.isa);
        if (status == FATHOM_OK) status = device_measure(opened.device, &limits, command->err);
        if (status == FATHOM_OK) print_limits(command->out, opened.device, &limits, o.json);
    }
    opened_device_close(&opened);
    options_free(&table, &o);
    return status;
}
