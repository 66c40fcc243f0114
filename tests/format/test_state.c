#include "format_test.h"

#include "format/state.h"

static struct error err;

static const struct state_info info = {
    .step = 7,
    .tokens_seen = 14336,
    .samples_seen = 56,
    .seed = UINT64_MAX - 5,
    .data_identity = 0xfedcba9876543210,
};
static const char options[] = "{\"learning-rate\": 0.0003, \"steps\": 100}";

enum { ROWS = 6, COLS = 5, COUNT = ROWS * COLS };

static struct state_writer *new_writer(void) {
    struct state_writer *writer;
    const int64_t matrix[] = {ROWS, COLS}, empty[] = {0, 3};
    CHECK_OK(state_writer_new(&writer, &err), &err);
    CHECK_OK(state_writer_declare(writer, "master.a", DTYPE_F32, 2, matrix, &err), &err);
    CHECK_OK(state_writer_declare(writer, "none", DTYPE_F32, 2, empty, &err), &err);
    CHECK_OK(state_writer_declare(writer, "moment.a", DTYPE_BF16, 2, matrix, &err), &err);
    CHECK_OK(state_writer_declare(writer, "scalar", DTYPE_I64, 0, NULL, &err), &err);
    CHECK_OK(state_writer_begin(writer, harness_directory(), &info, options, &err), &err);
    return writer;
}

/* Chunks of `step` elements. */
static void write_state(int64_t step) {
    struct state_writer *writer = new_writer();
    float a[COUNT];
    uint16_t m[COUNT];
    const int64_t scalar = -3;
    for (int i = 0; i < COUNT; i++) {
        a[i] = (float)i / 4;
        m[i] = (uint16_t)(i * 77);
    }
    for (int64_t at = 0; at < COUNT; at += step) {
        int64_t n = COUNT - at < step ? COUNT - at : step;
        CHECK_OK(state_writer_put(writer, "master.a", at, a + at, n, &err), &err);
    }
    for (int64_t at = 0; at < COUNT; at += step) {
        int64_t n = COUNT - at < step ? COUNT - at : step;
        CHECK_OK(state_writer_put(writer, "moment.a", at, m + at, n, &err), &err);
    }
    CHECK_OK(state_writer_put(writer, "scalar", 0, &scalar, 1, &err), &err);
    CHECK_OK(state_writer_commit(writer, &err), &err);
}

static void state_reads_back_by_tensor_and_offset(void) {
    for (int64_t step = 1; step <= COUNT; step += 4) {
        harness_context("chunks of %lld", (long long)step);
        write_state(step);
        struct state *state;
        CHECK_OK(state_open(&state, harness_directory(), &err), &err);
        CHECK_OK(state_verify(state, &err), &err);
        CHECK_OK(state_verify_tensor(state, "none", &err), &err);
        CHECK(memcmp(state_get_info(state), &info, sizeof info) == 0);
        int64_t steps = 0, scalar = 0;
        CHECK_OK(json_need_i64(state_options(state), "steps", &steps, "options", &err), &err);
        CHECK_EQ(steps, 100);
        CHECK_EQ(safetensors_count(state_tensors(state)), 4);
        for (int64_t at = 0; at < COUNT; at++) {
            float a;
            uint16_t m;
            CHECK_OK(state_read(state, "master.a", DTYPE_F32, at, 1, &a, &err), &err);
            CHECK_OK(state_read(state, "moment.a", DTYPE_BF16, at, 1, &m, &err), &err);
            CHECK(a == (float)at / 4);
            CHECK_EQ(m, at * 77);
        }
        CHECK_OK(state_read(state, "scalar", DTYPE_I64, 0, 1, &scalar, &err), &err);
        CHECK_EQ(scalar, -3);
        CHECK_OK(state_read(state, "none", DTYPE_F32, 0, 0, NULL, &err), &err);
        state_close(state);
    }
}

static void reads_outside_a_tensor_are_refused(void) {
    write_state(COUNT);
    struct state *state;
    float a[COUNT + 1];
    CHECK_OK(state_open(&state, harness_directory(), &err), &err);
    const struct {
        int64_t offset, count;
    } ranges[] = {{0, COUNT + 1}, {COUNT, 1}, {-1, 1}, {0, -1}, {1, INT64_MAX}};
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        CHECK_STATUS(
            state_read(state, "master.a", DTYPE_F32, ranges[i].offset, ranges[i].count, a, &err),
            FATHOM_BAD_INPUT);
    CHECK_HAS(err.text, "master.a");
    CHECK_STATUS(state_read(state, "master.a", DTYPE_BF16, 0, 1, a, &err), FATHOM_BAD_INPUT);
    CHECK_HAS(err.text, "is f32, not bf16");
    CHECK_STATUS(state_read(state, "master.b", DTYPE_F32, 0, 1, a, &err), FATHOM_BAD_INPUT);
    CHECK_HAS(err.text, "master.b");
    state_close(state);
}

static void chunks_out_of_order_are_refused(void) {
    struct state_writer *writer = new_writer();
    const float a[COUNT + 1] = {0};
    CHECK_STATUS(state_writer_put(writer, "moment.a", 0, a, 1, &err), FATHOM_USAGE);
    CHECK_STATUS(state_writer_put(writer, "master.a", 1, a, 1, &err), FATHOM_USAGE);
    CHECK_OK(state_writer_put(writer, "master.a", 0, a, 4, &err), &err);
    CHECK_STATUS(state_writer_put(writer, "master.a", 0, a, 4, &err), FATHOM_USAGE);
    CHECK_STATUS(state_writer_put(writer, "master.a", 4, a, COUNT - 3, &err), FATHOM_USAGE);
    CHECK_OK(state_writer_put(writer, "master.a", 4, a, COUNT - 4, &err), &err);
    CHECK_STATUS(state_writer_put(writer, "scalar", 0, a, 1, &err), FATHOM_USAGE);
    CHECK_HAS(err.text, "scalar is written where moment.a comes next");
    CHECK_STATUS(state_writer_commit(writer, &err), FATHOM_USAGE);
    CHECK_HAS(err.text, "moment.a is not complete");
    CHECK(!path_exists(test_path("state.json")));
    CHECK(!path_exists(test_path("state.safetensors")));
}

static void options_that_are_no_object_are_refused(void) {
    struct state_writer *writer;
    static const char *const bad[] = {"[]", "3", "{", "{} {}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK_OK(state_writer_new(&writer, &err), &err);
        CHECK(state_writer_begin(writer, harness_directory(), &info, bad[i], &err) != FATHOM_OK);
        state_writer_abort(writer);
    }
    CHECK_OK(state_writer_new(&writer, &err), &err);
    CHECK_OK(state_writer_begin(writer, harness_directory(), &info, NULL, &err), &err);
    CHECK_OK(state_writer_commit(writer, &err), &err);
    struct state *state;
    CHECK_OK(state_open(&state, harness_directory(), &err), &err);
    CHECK_EQ(json_count(state_options(state)), 0);
    state_close(state);
}

/* The bytes of both files. */
struct pair {
    char *json, *tensors;
    size_t json_size, tensors_size;
};

static struct pair load_pair(void) {
    struct pair pair;
    write_state(COUNT);
    pair.json = load(test_path("state.json"), &pair.json_size);
    pair.tensors = load(test_path("state.safetensors"), &pair.tensors_size);
    return pair;
}

static fathom_status open_pair(const struct pair *pair) {
    struct state *state;
    char *json = copy_exact(pair->json, pair->json_size);
    char *tensors = copy_exact(pair->tensors, pair->tensors_size);
    fathom_status status =
        state_open_memory(&state, json, pair->json_size, tensors, pair->tensors_size, &err);
    if (status == FATHOM_OK) status = state_verify(state, &err);
    state_close(state);
    free(json);
    free(tensors);
    return status;
}

static void truncation_at_every_byte_is_refused(void) {
    struct pair pair = load_pair();
    CHECK_OK(open_pair(&pair), &err);
    size_t whole = pair.json_size;
    for (pair.json_size = 0; pair.json_size < whole; pair.json_size++) {
        harness_context("state.json of %zu bytes", pair.json_size);
        CHECK_STATUS(open_pair(&pair), FATHOM_BAD_INPUT);
        CHECK_HAS(err.text, "state.json");
    }
    pair.json_size = whole;
    for (whole = pair.tensors_size, pair.tensors_size = 0; pair.tensors_size < whole;
         pair.tensors_size++) {
        harness_context("state.safetensors of %zu bytes", pair.tensors_size);
        CHECK_STATUS(open_pair(&pair), FATHOM_BAD_INPUT);
        CHECK_HAS(err.text, "state.safetensors");
    }
}

static void every_flipped_bit_is_found(void) {
    struct pair pair = load_pair();
    struct {
        char *bytes;
        size_t size;
        const char *name;
    } files[] = {{pair.json, pair.json_size, "state.json"},
                 {pair.tensors, pair.tensors_size, "state.safetensors"}};
    for (int f = 0; f < 2; f++) {
        for (size_t bit = 0; bit < files[f].size * 8; bit++) {
            char *byte = &files[f].bytes[bit / 8], was = *byte;
            harness_context("%s bit=%zu", files[f].name, bit);
            *byte = (char)(was ^ (1 << bit % 8));
            CHECK(open_pair(&pair) != FATHOM_OK);
            CHECK_HAS(err.text, "state");
            *byte = was;
        }
    }
}

static void another_version_is_refused_by_name(void) {
    struct pair pair = load_pair();
    char *place = strstr(pair.json, "\"version\": 1");
    CHECK(place != NULL);
    place[strlen("\"version\": ")] = '2';
    CHECK_STATUS(open_pair(&pair), FATHOM_UNSUPPORTED);
    CHECK_HAS(err.text, "version 2; this program reads version 1");
}

static void a_damaged_tensor_is_named(void) {
    struct pair pair = load_pair();
    pair.tensors[pair.tensors_size - 1] ^= 1;
    CHECK_STATUS(open_pair(&pair), FATHOM_BAD_INPUT);
    CHECK_HAS(err.text, "tensor scalar is damaged");
}

static void missing_files_are_named(void) {
    struct state *state;
    CHECK_STATUS(state_open(&state, harness_directory(), &err), FATHOM_IO);
    CHECK_HAS(err.text, "state.json");
    write_state(COUNT);
    CHECK_OK(path_remove(test_path("state.safetensors"), &err), &err);
    CHECK_STATUS(state_open(&state, harness_directory(), &err), FATHOM_IO);
    CHECK_HAS(err.text, "state.safetensors");
}

static void files_of_different_states_do_not_mix(void) {
    struct pair pair = load_pair();
    struct safetensors_writer *writer;
    const int64_t one[] = {1};
    const char *path = test_path("other");
    CHECK_OK(safetensors_writer_new(&writer, &err), &err);
    CHECK_OK(safetensors_writer_declare(writer, "master.a", DTYPE_F32, 1, one, &err), &err);
    CHECK_OK(safetensors_writer_begin_file(writer, path, &err), &err);
    CHECK_OK(safetensors_writer_put(writer, "master.a", "0123", 4, &err), &err);
    CHECK_OK(safetensors_writer_commit(writer, &err), &err);
    pair.tensors = load(path, &pair.tensors_size);
    CHECK_STATUS(open_pair(&pair), FATHOM_BAD_INPUT);
    CHECK_HAS(err.text, "lists 4 tensors, but state.safetensors holds 1");
}

static const struct test tests[] = {
    TEST(state_reads_back_by_tensor_and_offset),
    TEST(reads_outside_a_tensor_are_refused),
    TEST(chunks_out_of_order_are_refused),
    TEST(options_that_are_no_object_are_refused),
    TEST(truncation_at_every_byte_is_refused),
    TEST(every_flipped_bit_is_found),
    TEST(another_version_is_refused_by_name),
    TEST(a_damaged_tensor_is_named),
    TEST(missing_files_are_named),
    TEST(files_of_different_states_do_not_mix),
};
HARNESS_MAIN(tests)
