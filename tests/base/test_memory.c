/* Allocation and arenas: alignment, checked sizes, failures that leave things as they were. */
#include "base/arena.h"
#include "base/memory.h"
#include "harness.h"

static struct error err;

static bool is_aligned(const void *block) { return (uintptr_t)block % MEM_ALIGNMENT == 0; }

static void blocks_are_aligned_and_zeroed(void) {
    static const size_t sizes[] = {0, 1, 63, 64, 65, 4096, 1000003};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        unsigned char *block = NULL;
        harness_context("size %zu", sizes[i]);
        CHECK_OK(MEM_NEW(&block, sizes[i], "a test", &err), &err);
        CHECK(block && is_aligned(block));
        for (size_t k = 0; k < sizes[i]; k++) CHECK_EQ(block[k], 0);
        mem_free(block);
    }
    mem_free(NULL);
}

static void sizes_that_overflow_are_refused(void) {
    static const size_t cases[][2] = {{SIZE_MAX, 1},      {SIZE_MAX, 2},
                                      {SIZE_MAX / 2, 3},  {(size_t)1 << 63, 1},
                                      {SIZE_MAX - 62, 1}, {(size_t)1 << 32, (size_t)1 << 32}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        void *block = &err;
        harness_context("%zu times %zu", cases[i][0], cases[i][1]);
        CHECK_STATUS(mem_new(&block, cases[i][0], cases[i][1], "the matrix", &err),
                     FATHOM_NO_MEMORY);
        CHECK(block == NULL);
        CHECK_HAS(err.text, "the matrix: ");
        CHECK_HAS(err.text, "iB of memory cannot be had");
    }
}

static void growing_keeps_what_was_there(void) {
    int32_t *block = NULL;
    size_t count = 0;
    for (size_t grown = 1; grown < 5000; grown = grown * 2 + 1) {
        CHECK_OK(mem_grow((void **)&block, count, grown, sizeof *block, "a list", &err), &err);
        CHECK(is_aligned(block));
        for (size_t i = 0; i < count; i++) CHECK_EQ(block[i], i);
        for (size_t i = count; i < grown; i++) block[i] = (int32_t)i;
        count = grown;
    }
    CHECK_OK(mem_grow((void **)&block, count, 3, sizeof *block, "a list", &err), &err);
    CHECK_EQ(block[2], 2);
    int32_t *before = block;
    CHECK_STATUS(mem_grow((void **)&block, 3, SIZE_MAX, sizeof *block, "a list", &err),
                 FATHOM_NO_MEMORY);
    CHECK(block == before);
    CHECK_EQ(block[2], 2);
    mem_free(block);
}

static void the_allocation_that_is_asked_to_fail_fails_once(void) {
    void *block = NULL;
    mem_fail_after(2);
    CHECK_OK(mem_new(&block, 1, 8, "the first", &err), &err);
    CHECK_STATUS(mem_grow(&block, 1, 2, 8, "the second", &err), FATHOM_NO_MEMORY);
    CHECK_HAS(err.text, "the second: 16 B of memory cannot be had");
    CHECK(block);
    CHECK_OK(mem_grow(&block, 1, 2, 8, "the third", &err), &err);
    mem_fail_after(1);
    mem_fail_after(0);
    CHECK_OK(mem_grow(&block, 2, 3, 8, "the fourth", &err), &err);
    mem_free(block);
}

static void checked_arithmetic_says_what_fits(void) {
    size_t out = 0;
    CHECK(size_mul(SIZE_MAX, 1, &out) && out == SIZE_MAX);
    CHECK(size_mul(0, SIZE_MAX, &out) && out == 0);
    CHECK(!size_mul(SIZE_MAX, 2, &out));
    CHECK(size_add(SIZE_MAX, 0, &out) && out == SIZE_MAX);
    CHECK(!size_add(SIZE_MAX, 1, &out));
}

static void resident_and_physical_memory_are_known(void) {
    size_t before = mem_peak_resident(), size = (size_t)32 << 20;
    unsigned char *block = NULL;
    CHECK(before > 0);
    CHECK_OK(mem_new_raw((void **)&block, size, 1, "a block", &err), &err);
    for (size_t i = 0; i < size; i += 1024) block[i] = 1;
    CHECK(mem_peak_resident() >= before + size / 2);
    CHECK(mem_physical() > mem_peak_resident());
    mem_free(block);
}

/* ---- arenas ---- */

/* A layout as model code has it; sums the offsets so that two runs can be compared. */
static size_t lay_out(struct arena *arena) {
    static const size_t counts[] = {1, 16, 17, 0, 1000, 3};
    size_t taken = 0;
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        float *block = ARENA_TAKE(arena, float, counts[i]);
        if (arena->base) {
            CHECK(block && is_aligned(block));
            for (size_t k = 0; k < counts[i]; k++) block[k] = (float)k;
        } else {
            CHECK(block == NULL);
        }
        taken += arena->used;
    }
    return taken;
}

static void measuring_gives_exactly_the_size_that_is_needed(void) {
    struct arena measure, arena;
    arena_measure(&measure);
    size_t expected = lay_out(&measure);
    CHECK_OK(arena_check(&measure, "layout", &err), &err);
    CHECK_OK(arena_new(&arena, measure.used, "layout", &err), &err);
    CHECK_EQ(lay_out(&arena), expected);
    CHECK_EQ(arena.used, arena.capacity);
    CHECK_OK(arena_check(&arena, "layout", &err), &err);
    arena_free(&arena);

    CHECK_OK(arena_new(&arena, measure.used - 64, "layout", &err), &err);
    size_t mark = arena_mark(&arena);
    CHECK(arena_take(&arena, measure.used, 1) == NULL);
    CHECK_STATUS(arena_check(&arena, "layout", &err), FATHOM_NO_MEMORY);
    CHECK_HAS(err.text, "layout: 4.25 KiB needed in an arena of 4.19 KiB");
    arena_reset(&arena, mark);
    CHECK(arena.failed);
    arena_free(&arena);
    arena_free(&arena);
}

static void blocks_do_not_overlap_and_come_back(void) {
    struct arena arena;
    CHECK_OK(arena_new(&arena, 256, "a step", &err), &err);
    unsigned char *first = ARENA_TAKE(&arena, unsigned char, 1);
    size_t mark = arena_mark(&arena);
    unsigned char *second = ARENA_TAKE(&arena, unsigned char, 65);
    CHECK_EQ(second - first, 64);
    CHECK_EQ(arena.used, 192);
    arena_reset(&arena, mark);
    CHECK(ARENA_TAKE(&arena, unsigned char, 64) == second);
    CHECK_EQ(arena.peak, 192);
    CHECK(!arena.failed);
    arena_free(&arena);
}

static void sizes_that_overflow_latch(void) {
    static const size_t cases[][2] = {{SIZE_MAX, 2}, {SIZE_MAX, 1}, {(size_t)1 << 62, 4}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct arena arena;
        arena_measure(&arena);
        CHECK(arena_take(&arena, 100, 4) == NULL && !arena.failed);
        CHECK(arena_take(&arena, cases[i][0], cases[i][1]) == NULL);
        CHECK(arena.failed);
        CHECK_STATUS(arena_check(&arena, "huge", &err), FATHOM_NO_MEMORY);
    }
}

static const struct test tests[] = {
    TEST(blocks_are_aligned_and_zeroed),
    TEST(sizes_that_overflow_are_refused),
    TEST(growing_keeps_what_was_there),
    TEST(the_allocation_that_is_asked_to_fail_fails_once),
    TEST(checked_arithmetic_says_what_fits),
    TEST(resident_and_physical_memory_are_known),
    TEST(measuring_gives_exactly_the_size_that_is_needed),
    TEST(blocks_do_not_overlap_and_come_back),
    TEST(sizes_that_overflow_latch),
};
HARNESS_MAIN(tests)
