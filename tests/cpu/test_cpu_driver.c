/* Opening the CPU device by the name of an instruction set, and its memory. */
#include <stdlib.h>

#include "cpu/cpu.h"
#include "harness.h"

static struct engine *engine;

static struct device *open_isa(const char *isa) {
    struct error err = {0};
    struct device *device = NULL;
    if (!engine) CHECK_OK(engine_new(&engine, 1, &err), &err);
    CHECK_OK(device_open(&device, engine, "cpu", isa, &err), &err);
    return device;
}

static void close_all(struct device *device) {
    device_close(device);
    engine_free(engine);
    engine = NULL;
}

static void oracles_compute_in_their_own_precision(void) {
    struct device *device = open_isa("ref64");
    CHECK_STR(device->isa, "ref64");
    CHECK_EQ(device->compute, DTYPE_F64);
    CHECK(device->ops == cpu_ops_ref_f64());
    device_close(device);
    device = open_isa("ref");
    CHECK_STR(device->isa, "ref");
    CHECK_EQ(device->compute, DTYPE_F32);
    CHECK(device->ops == cpu_ops_ref_f32());
    close_all(device);
}

static void every_available_isa_opens_and_the_others_are_refused(void) {
    for (int i = 0; i < CPU_ISA_COUNT; i++) {
        const enum cpu_isa isa = (enum cpu_isa)i;
        struct error err = {0};
        struct device *device = open_isa("ref");
        device_close(device);
        if (cpu_isa_available(isa)) {
            device = open_isa(cpu_isa_name(isa));
            CHECK_STR(device->isa, cpu_isa_name(isa));
            CHECK(device->ops == cpu_ops(isa));
            device_close(device);
        } else {
            CHECK_STATUS(device_open(&device, engine, "cpu", cpu_isa_name(isa), &err),
                         FATHOM_USAGE);
            CHECK_HAS(err.text, cpu_isa_name(isa));
            CHECK_HAS(err.text, "ref, ref64");
        }
    }
    close_all(NULL);
}

static void auto_takes_the_best_that_the_machine_has(void) {
    unsetenv("FATHOM_ISA");
    const char *best = "ref";
    for (int i = 0; i < CPU_ISA_COUNT; i++)
        if (cpu_isa_available((enum cpu_isa)i)) best = cpu_isa_name((enum cpu_isa)i);
    struct device *device = open_isa("auto");
    CHECK_STR(device->isa, best);
    device_close(device);
    device = open_isa(NULL);
    CHECK_STR(device->isa, best);
    close_all(device);
}

static void environment_variable_stands_in_for_no_name(void) {
    setenv("FATHOM_ISA", "ref64", 1);
    struct device *device = open_isa(NULL);
    CHECK_STR(device->isa, "ref64");
    device_close(device);
    device = open_isa("ref"); /* a name wins */
    CHECK_STR(device->isa, "ref");
    close_all(device);
    unsetenv("FATHOM_ISA");
}

static void unknown_name_is_refused_with_those_that_exist(void) {
    struct error err = {0};
    struct device *device = open_isa("ref");
    device_close(device);
    CHECK_STATUS(device_open(&device, engine, "cpu", "neon", &err), FATHOM_USAGE);
    CHECK_HAS(err.text, "\"neon\"");
    CHECK_HAS(err.text, "auto, ");
    CHECK_HAS(err.text, "ref64");
    if (cpu_isa_available(CPU_ISA_AVX2)) CHECK_HAS(err.text, "avx2");
    CHECK(!device);
    close_all(NULL);
}

static void memory_is_aligned_and_copied_both_ways(void) {
    struct device *device = open_isa("ref");
    struct error err = {0};
    struct stream stream;
    stream_init(&stream, device);
    void *block = NULL, *nothing = NULL, *refused = NULL;
    CHECK_OK(device_allocate(device, &block, 100, "a block", &err), &err);
    CHECK_OK(device_allocate(device, &nothing, 0, "nothing", &err), &err);
    CHECK((uintptr_t)block % 64 == 0);
    const char text[8] = "abcdefg";
    char back[8] = {0};
    stream_upload(&stream, block, text, sizeof text);
    stream_copy(&stream, (char *)block + 2, block, sizeof text); /* overlapping */
    stream_download(&stream, back, (char *)block + 2, sizeof text);
    CHECK_STR(back, text);
    stream_zero(&stream, block, 4);
    stream_download(&stream, back, block, sizeof back);
    CHECK(back[3] == 0 && back[4] == 'c');
    CHECK_OK(stream_check(&stream, &err), &err);
    CHECK_STATUS(device_allocate(device, &refused, SIZE_MAX / 2, "too much", &err),
                 FATHOM_NO_MEMORY);
    device_release(device, block);
    device_release(device, nothing);
    close_all(device);
}

static const struct test tests[] = {
    TEST(oracles_compute_in_their_own_precision),
    TEST(every_available_isa_opens_and_the_others_are_refused),
    TEST(auto_takes_the_best_that_the_machine_has),
    TEST(environment_variable_stands_in_for_no_name),
    TEST(unknown_name_is_refused_with_those_that_exist),
    TEST(memory_is_aligned_and_copied_both_ways),
};
HARNESS_MAIN(tests)
