#include "format_test.h"

#include <unistd.h>

#include "format/safetensors.h"

static struct error err;

/* A file by hand: the header's size, the header, and `data_size` bytes 0, 1, 2, ... */
struct raw {
    char bytes[4096];
    size_t size;
};

static struct raw raw_file(const char *header, size_t data_size) {
    struct raw raw = {.size = 8 + strlen(header) + data_size};
    uint64_t header_size = strlen(header);
    CHECK(raw.size <= sizeof raw.bytes);
    memcpy(raw.bytes, &header_size, sizeof header_size);
    memcpy(raw.bytes + 8, header, header_size);
    for (size_t i = 0; i < data_size; i++) raw.bytes[8 + header_size + i] = (char)i;
    return raw;
}

static fathom_status open_raw(struct safetensors **st, const char *header, size_t data_size) {
    struct raw raw = raw_file(header, data_size);
    return safetensors_open_memory(st, harness_keep(copy_exact(raw.bytes, raw.size)), raw.size,
                                   "x.safetensors", &err);
}

static void refuses(const char *header, size_t data_size, fathom_status expected,
                    const char *words) {
    struct safetensors *st;
    harness_context("%s", header);
    CHECK_STATUS(open_raw(&st, header, data_size), expected);
    CHECK(st == NULL);
    CHECK_HAS(err.text, "x.safetensors");
    CHECK_HAS(err.text, words);
    harness_context("%s", "");
}

static void reads_names_shapes_and_data(void) {
    struct safetensors *st;
    CHECK_OK(open_raw(&st,
                      "{\"__metadata__\":{\"format\":\"pt\",\"k\":\"v\"},"
                      "\"b\":{\"dtype\":\"BF16\",\"shape\":[2,1],\"data_offsets\":[3,7]},"
                      "\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]},"
                      "\"s\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[7,11]}}  ",
                      11),
             &err);
    CHECK_EQ(safetensors_count(st), 3);
    CHECK_STR(safetensors_at(st, 0)->name, "a");
    CHECK_STR(safetensors_at(st, 1)->name, "b");
    CHECK_STR(safetensors_at(st, 2)->name, "s");
    const struct safetensors_entry *b = safetensors_find(st, "b");
    CHECK(b == safetensors_at(st, 1));
    CHECK_EQ(b->ndim, 2);
    CHECK_EQ(b->shape[0], 2);
    CHECK_EQ(b->dtype, DTYPE_BF16);
    CHECK_EQ(b->size, 4);
    CHECK_EQ(((const char *)b->data)[0], 3);
    CHECK_EQ(safetensors_elements(safetensors_find(st, "s")), 1);
    CHECK(safetensors_find(st, "c") == NULL);
    CHECK(safetensors_find(st, "__metadata__") == NULL);
    CHECK_STR(safetensors_metadata(st, "k"), "v");
    CHECK(safetensors_metadata(st, "l") == NULL);
    char shape[SAFETENSORS_SHAPE_TEXT];
    CHECK_STR(safetensors_shape_text(b, shape), "[2, 1]");
    const struct safetensors_entry *entry;
    CHECK_STATUS(safetensors_need(st, "c", &entry, &err), FATHOM_BAD_INPUT);
    CHECK_HAS(err.text, "c");
    safetensors_close(st);
}

static void an_empty_header_and_zero_length_tensors_are_fine(void) {
    struct safetensors *st;
    CHECK_OK(open_raw(&st, "{}", 0), &err);
    CHECK_EQ(safetensors_count(st), 0);
    CHECK(safetensors_find(st, "a") == NULL);
    safetensors_close(st);
    CHECK_OK(open_raw(&st,
                      "{\"a\":{\"dtype\":\"F32\",\"shape\":[4,0],\"data_offsets\":[0,0]},"
                      "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
                      "\"c\":{\"dtype\":\"F64\",\"shape\":[0],\"data_offsets\":[2,2]}}",
                      2),
             &err);
    CHECK_EQ(safetensors_count(st), 3);
    CHECK_EQ(safetensors_find(st, "a")->size, 0);
    safetensors_close(st);
}

static void an_unknown_dtype_opens_but_is_not_given_out(void) {
    struct safetensors *st;
    const struct safetensors_entry *entry;
    CHECK_OK(open_raw(&st,
                      "{\"q\":{\"dtype\":\"F4\",\"shape\":[6],\"data_offsets\":[0,3]},"
                      "\"u\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[3,4]}}",
                      4),
             &err);
    CHECK_EQ(safetensors_find(st, "q")->dtype, DTYPE_COUNT);
    CHECK_STATUS(safetensors_need(st, "q", &entry, &err), FATHOM_UNSUPPORTED);
    CHECK_HAS(err.text, "tensor q");
    CHECK_HAS(err.text, "F4");
    CHECK_OK(safetensors_need(st, "u", &entry, &err), &err);
    safetensors_close(st);
}

static void lying_headers_are_refused_with_the_reason(void) {
    const fathom_status bad = FATHOM_BAD_INPUT;
    refuses("{\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[1,4]}}", 4, bad, "hole");
    refuses("{\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]}}", 4, bad,
            "1 bytes after");
    refuses("{\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]},"
            "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[2,4]}}",
            4, bad, "overlap");
    refuses("{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
            "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}",
            4, bad, "overlap");
    refuses("{\"a\":{\"dtype\":\"U8\",\"shape\":[5],\"data_offsets\":[0,5]}}", 4, bad, "outside");
    refuses("{\"a\":{\"dtype\":\"U8\",\"shape\":[5],\"data_offsets\":[-1,4]}}", 4, bad, "outside");
    refuses("{\"a\":{\"dtype\":\"U8\",\"shape\":[5],\"data_offsets\":[4,0]}}", 4, bad, "outside");
    refuses("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4, bad,
            "[2] has 4");
    refuses("{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],\"data_offsets\":[0,0]}}",
            0, bad, "2^63");
    refuses("{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904],\"data_offsets\":[0,0]}}", 0,
            bad, "0 bytes");
    refuses("{\"a\":{\"dtype\":\"U8\",\"shape\":[-1],\"data_offsets\":[0,0]}}", 0, bad, "shape[0]");
    refuses("{\"a\":{\"dtype\":\"U8\",\"shape\":[1.0],\"data_offsets\":[0,1]}}", 1, bad,
            "shape[0]");
    refuses("{\"a\":{\"dtype\":\"U8\",\"shape\":3,\"data_offsets\":[0,3]}}", 3, bad, "shape");
    refuses("{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,1]}}", 1,
            FATHOM_UNSUPPORTED, "9 dimensions");
    refuses("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1,1]}}", 1, bad, "offsets");
    refuses("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0]}}", 1, bad, "offsets");
    refuses("{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}", 1, bad, "offsets");
    refuses("{\"a\":{\"dtype\":7,\"shape\":[1],\"data_offsets\":[0,1]}}", 1, bad, "dtype");
    refuses("{\"a\":{\"shape\":[1],\"data_offsets\":[0,1]}}", 1, bad, "dtype");
    refuses("{\"a\":5}", 0, bad, "tensor a");
    refuses("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
            "\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}",
            2, bad, "");
    refuses("{\"__metadata__\":{\"a\":1}}", 0, bad, "__metadata__");
    refuses("{\"__metadata__\":[]}", 0, bad, "__metadata__");
    refuses(" {}", 0, bad, "begin with {");
    refuses("[]", 0, bad, "begin with {");
    refuses("{", 0, bad, "");
    refuses("{} x", 0, bad, "");
    refuses("", 0, bad, "begin with {");
}

static void a_header_larger_than_the_file_or_the_limit_is_refused(void) {
    struct safetensors *st;
    struct raw raw = raw_file("{}", 0);
    static const uint64_t sizes[] = {3, 1000, 100000001, UINT64_MAX, UINT64_MAX - 7};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        memcpy(raw.bytes, &sizes[i], sizeof sizes[i]);
        CHECK_STATUS(safetensors_open_memory(&st, raw.bytes, raw.size, "x", &err),
                     FATHOM_BAD_INPUT);
        CHECK_HAS(err.text, "header of");
    }
}

static const char two_tensors[] =
    "{\"__metadata__\":{\"format\":\"pt\"},"
    "\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]},"
    "\"b\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[3,11]}}";

static void truncation_at_every_byte_is_refused(void) {
    struct raw raw = raw_file(two_tensors, 11);
    struct safetensors *st;
    for (size_t size = 0; size < raw.size; size++) {
        harness_context("size=%zu", size);
        char *bytes = copy_exact(raw.bytes, size);
        CHECK_STATUS(safetensors_open_memory(&st, bytes, size, "x", &err), FATHOM_BAD_INPUT);
        free(bytes);
    }
}

/* What a caller does with an entry: every byte it spans is read. */
static unsigned touch(const struct safetensors *st) {
    unsigned sum = 0;
    for (size_t i = 0; i < safetensors_count(st); i++) {
        const struct safetensors_entry *entry = safetensors_at(st, i);
        for (size_t b = 0; b < entry->size; b++) sum += ((const unsigned char *)entry->data)[b];
        CHECK(safetensors_find(st, entry->name) == entry);
    }
    return sum;
}

static void any_flipped_bit_is_survived(void) {
    struct raw raw = raw_file(two_tensors, 11);
    for (size_t bit = 0; bit < raw.size * 8; bit++) {
        harness_context("bit=%zu", bit);
        char *bytes = copy_exact(raw.bytes, raw.size);
        bytes[bit / 8] = (char)(bytes[bit / 8] ^ (1 << bit % 8));
        struct safetensors *st;
        if (safetensors_open_memory(&st, bytes, raw.size, "x", &err) == FATHOM_OK) touch(st);
        safetensors_close(st);
        free(bytes);
    }
}

static void a_missing_file_and_an_empty_directory_are_named(void) {
    struct safetensors *st;
    CHECK_STATUS(safetensors_open(&st, test_path("no.safetensors"), &err), FATHOM_IO);
    CHECK_HAS(err.text, "no.safetensors");
    CHECK_STATUS(safetensors_open(&st, harness_directory(), &err), FATHOM_IO);
    CHECK_HAS(err.text, "model.safetensors.index.json");
    store_text(test_path("model.safetensors"), "");
    CHECK_STATUS(safetensors_open(&st, harness_directory(), &err), FATHOM_BAD_INPUT);
    CHECK_HAS(err.text, "model.safetensors");
}

/* Tensor i of a written model: its name and what its element e holds. */
static const char *tensor_name(int i) {
    static char name[32];
    snprintf(name, sizeof name, "layer.%d.weight", i);
    return name;
}
static float element(int i, int64_t e) { return (float)(i * 1000 + e); }

enum { TENSORS = 7, ROWS = 5 };

/* Tensors [ROWS, i], so that tensor 0 is empty, written in pieces of three elements. */
static fathom_status write_tensors(struct safetensors_writer *writer) {
    for (int i = 0; i < TENSORS; i++) {
        for (int64_t at = 0; at < ROWS * i; at += 3) {
            float piece[3];
            int64_t n = ROWS * i - at < 3 ? ROWS * i - at : 3;
            for (int64_t e = 0; e < n; e++) piece[e] = element(i, at + e);
            TRY(safetensors_writer_put(writer, tensor_name(i), piece, (size_t)n * 4, &err));
        }
    }
    return safetensors_writer_commit(writer, &err);
}

static struct safetensors_writer *declare_tensors(void) {
    struct safetensors_writer *writer = NULL;
    CHECK_OK(safetensors_writer_new(&writer, &err), &err);
    for (int i = 0; i < TENSORS; i++) {
        const int64_t shape[] = {ROWS, i};
        CHECK_OK(safetensors_writer_declare(writer, tensor_name(i), DTYPE_F32, 2, shape, &err),
                 &err);
    }
    return writer;
}

static void check_tensors(const struct safetensors *st) {
    CHECK_EQ(safetensors_count(st), TENSORS);
    for (int i = 0; i < TENSORS; i++) {
        const struct safetensors_entry *entry = safetensors_find(st, tensor_name(i));
        CHECK(entry != NULL);
        CHECK_EQ(entry->shape[0], ROWS);
        CHECK_EQ(entry->shape[1], i);
        for (int64_t e = 0; e < ROWS * i; e++) {
            float value;
            memcpy(&value, (const char *)entry->data + e * 4, 4);
            CHECK(value == element(i, e));
        }
    }
}

static void what_is_written_to_a_file_reads_back(void) {
    struct safetensors_writer *writer = declare_tensors();
    const char *path = test_path("out.safetensors");
    CHECK_EQ(safetensors_writer_total(writer), ROWS * 4 * (TENSORS * (TENSORS - 1) / 2));
    CHECK_OK(safetensors_writer_metadata(writer, "note", "a \"b\"", &err), &err);
    CHECK_OK(safetensors_writer_begin_file(writer, path, &err), &err);
    CHECK_OK(write_tensors(writer), &err);
    struct safetensors *st;
    CHECK_OK(safetensors_open(&st, path, &err), &err);
    check_tensors(st);
    CHECK_STR(safetensors_metadata(st, "format"), "pt");
    CHECK_STR(safetensors_metadata(st, "note"), "a \"b\"");
    for (int i = 0; i < TENSORS; i++) CHECK_STR(safetensors_at(st, i)->name, tensor_name(i));
    size_t size;
    uint64_t header_size;
    memcpy(&header_size, load(path, &size), sizeof header_size);
    CHECK_EQ((header_size + 8) % 64, 0);
    safetensors_close(st);
}

static void what_fits_one_shard_is_one_file(void) {
    struct safetensors_writer *writer = declare_tensors();
    CHECK_OK(safetensors_writer_begin_directory(writer, harness_directory(), 0, &err), &err);
    CHECK_OK(write_tensors(writer), &err);
    CHECK(path_exists(test_path("model.safetensors")));
    CHECK(!path_exists(test_path("model.safetensors.index.json")));
    struct safetensors *st;
    CHECK_OK(safetensors_open(&st, harness_directory(), &err), &err);
    check_tensors(st);
    safetensors_close(st);
}

static void write_shards(uint64_t max_bytes) {
    struct safetensors_writer *writer = declare_tensors();
    CHECK_OK(safetensors_writer_begin_directory(writer, harness_directory(), max_bytes, &err),
             &err);
    CHECK_OK(write_tensors(writer), &err);
}

static void shards_and_their_index_read_back(void) {
    /* Tensors of 0, 20, 40, 60, 80, 100, 120 bytes in files of 0+20+40+60, 80, 100, 120. */
    write_shards(120);
    CHECK(path_exists(test_path("model-00004-of-00004.safetensors")));
    CHECK(!path_exists(test_path("model.safetensors")));
    size_t size;
    CHECK_HAS(load(test_path("model.safetensors.index.json"), &size), "\"total_size\": 420");
    struct safetensors *st;
    CHECK_OK(safetensors_open(&st, harness_directory(), &err), &err);
    check_tensors(st);
    CHECK_STR(safetensors_find(st, tensor_name(6))->file,
              test_path("model-00004-of-00004.safetensors"));
    safetensors_close(st);
}

static void a_tensor_larger_than_a_shard_gets_its_own(void) {
    write_shards(1);
    struct safetensors *st;
    CHECK(path_exists(test_path("model-00006-of-00006.safetensors")));
    CHECK_OK(safetensors_open(&st, harness_directory(), &err), &err);
    check_tensors(st);
    safetensors_close(st);
}

/* Writes the index and expects the model not to open, with these words. */
static void index_refused(const char *text, fathom_status expected, const char *words) {
    struct safetensors *st;
    harness_context("%s", text);
    store_text(test_path("model.safetensors.index.json"), text);
    CHECK_STATUS(safetensors_open(&st, harness_directory(), &err), expected);
    CHECK_HAS(err.text, "index.json");
    CHECK_HAS(err.text, words);
}

static void a_lying_index_is_refused(void) {
    struct raw raw = raw_file(two_tensors, 11);
    const fathom_status bad = FATHOM_BAD_INPUT;
    store(test_path("one.safetensors"), raw.bytes, raw.size);
    index_refused("{\"weight_map\":{\"a\":\"one.safetensors\",\"c\":\"one.safetensors\"}}", bad,
                  "tensor c is placed in one.safetensors");
    index_refused("{\"weight_map\":{\"a\":\"one.safetensors\",\"b\":\"two.safetensors\"}}",
                  FATHOM_IO, "two.safetensors");
    index_refused("{\"weight_map\":{\"a\":\"../one.safetensors\"}}", bad, "../one.safetensors");
    index_refused("{\"weight_map\":{\"a\":\"/etc/passwd\"}}", bad, "passwd");
    index_refused("{\"weight_map\":{\"a\":3}}", bad, "tensor a");
    index_refused("{\"weight_map\":{}}", bad, "weight_map");
    index_refused("{\"weight_map\":[]}", bad, "weight_map");
    index_refused("{}", bad, "weight_map");
    index_refused("[", bad, "");
    struct safetensors *st;
    store_text(test_path("model.safetensors.index.json"),
               "{\"weight_map\":{\"a\":\"one.safetensors\"}}");
    CHECK_OK(safetensors_open(&st, harness_directory(), &err), &err);
    CHECK_EQ(safetensors_count(st), 1); /* the index decides */
    safetensors_close(st);
}

static void an_index_truncated_at_any_byte_is_refused(void) {
    write_shards(120);
    size_t size;
    char *index = load(test_path("model.safetensors.index.json"), &size);
    while (index[size - 1] == '\n') size--;
    for (size_t cut = 0; cut < size; cut++) {
        struct safetensors *st;
        harness_context("size=%zu", cut);
        store(test_path("model.safetensors.index.json"), index, cut);
        CHECK_STATUS(safetensors_open(&st, harness_directory(), &err), FATHOM_BAD_INPUT);
    }
}

static void writing_out_of_order_or_too_much_is_refused(void) {
    const float x[64] = {0};
    struct safetensors_writer *writer = declare_tensors();
    CHECK_STATUS(safetensors_writer_put(writer, tensor_name(1), x, 4, &err), FATHOM_USAGE);
    CHECK_OK(safetensors_writer_begin_file(writer, test_path("o"), &err), &err);
    CHECK_STATUS(safetensors_writer_put(writer, tensor_name(2), x, 4, &err), FATHOM_USAGE);
    CHECK_HAS(err.text, "layer.1.weight comes next");
    CHECK_STATUS(safetensors_writer_put(writer, tensor_name(1), x, 24, &err), FATHOM_USAGE);
    CHECK_OK(safetensors_writer_put(writer, tensor_name(1), x, 20, &err), &err);
    CHECK_STATUS(safetensors_writer_declare(writer, "late", DTYPE_F32, 0, NULL, &err),
                 FATHOM_USAGE);
    CHECK_STATUS(safetensors_writer_commit(writer, &err), FATHOM_USAGE);
    CHECK_HAS(err.text, "layer.2.weight is not complete");
    CHECK(!path_exists(test_path("o")));
}

static void bad_declarations_are_refused(void) {
    struct safetensors_writer *writer = NULL;
    const int64_t one[] = {1}, negative[] = {-1}, huge[] = {INT64_MAX, 4};
    CHECK_OK(safetensors_writer_new(&writer, &err), &err);
    CHECK_STATUS(safetensors_writer_declare(writer, "x", DTYPE_E5M6, 1, one, &err),
                 FATHOM_UNSUPPORTED);
    CHECK_STATUS(safetensors_writer_declare(writer, "\xff", DTYPE_F32, 1, one, &err), FATHOM_USAGE);
    CHECK_STATUS(safetensors_writer_declare(writer, "__metadata__", DTYPE_F32, 1, one, &err),
                 FATHOM_USAGE);
    CHECK_STATUS(safetensors_writer_declare(writer, "x", DTYPE_F32, 9, one, &err), FATHOM_USAGE);
    CHECK_STATUS(safetensors_writer_declare(writer, "y", DTYPE_F32, 1, negative, &err),
                 FATHOM_USAGE);
    CHECK_STATUS(safetensors_writer_declare(writer, "z", DTYPE_F32, 2, huge, &err), FATHOM_USAGE);
    safetensors_writer_abort(writer);
    CHECK_OK(safetensors_writer_new(&writer, &err), &err);
    CHECK_OK(safetensors_writer_declare(writer, "x", DTYPE_F32, 1, one, &err), &err);
    CHECK_OK(safetensors_writer_declare(writer, "x", DTYPE_F32, 1, one, &err), &err);
    CHECK_STATUS(safetensors_writer_begin_file(writer, test_path("o"), &err), FATHOM_USAGE);
    CHECK_HAS(err.text, "x is declared twice");
    safetensors_writer_abort(writer);
}

static void a_directory_with_weights_is_not_written_over(void) {
    write_shards(120);
    struct safetensors_writer *writer = declare_tensors();
    CHECK_STATUS(safetensors_writer_begin_directory(writer, harness_directory(), 0, &err),
                 FATHOM_EXISTS);
    safetensors_writer_abort(writer);
}

static void an_aborted_file_leaves_nothing(void) {
    struct safetensors_writer *writer = declare_tensors();
    const char *directory = test_path("d");
    CHECK_OK(path_make_directory(directory, &err), &err);
    CHECK_OK(safetensors_writer_begin_directory(writer, directory, 0, &err), &err);
    const float x[5] = {0};
    CHECK_OK(safetensors_writer_put(writer, tensor_name(1), x, 20, &err), &err);
    safetensors_writer_abort(writer);
    CHECK_EQ(rmdir(directory), 0); /* it is empty */
}

static void a_model_without_tensors_is_written(void) {
    struct safetensors_writer *writer = NULL;
    struct safetensors *st;
    CHECK_OK(safetensors_writer_new(&writer, &err), &err);
    CHECK_OK(safetensors_writer_begin_file(writer, test_path("e"), &err), &err);
    CHECK_OK(safetensors_writer_commit(writer, &err), &err);
    CHECK_OK(safetensors_open(&st, test_path("e"), &err), &err);
    CHECK_EQ(safetensors_count(st), 0);
    safetensors_close(st);
}

static void every_dtype_with_a_spelling_round_trips(void) {
    struct safetensors_writer *writer = NULL;
    const char bytes[8] = "01234567";
    const int64_t one[] = {1};
    CHECK_OK(safetensors_writer_new(&writer, &err), &err);
    for (int d = 0; d < DTYPE_COUNT; d++)
        if (safetensors_dtype_name((enum dtype)d))
            CHECK_OK(safetensors_writer_declare(writer, dtype_name((enum dtype)d), (enum dtype)d, 1,
                                                one, &err),
                     &err);
    CHECK_OK(safetensors_writer_begin_file(writer, test_path("o"), &err), &err);
    for (int d = 0; d < DTYPE_COUNT; d++)
        if (safetensors_dtype_name((enum dtype)d))
            CHECK_OK(safetensors_writer_put(writer, dtype_name((enum dtype)d), bytes,
                                            dtype_size((enum dtype)d), &err),
                     &err);
    CHECK_OK(safetensors_writer_commit(writer, &err), &err);
    struct safetensors *st;
    CHECK_OK(safetensors_open(&st, test_path("o"), &err), &err);
    CHECK_EQ(safetensors_count(st), DTYPE_COUNT - 1);
    for (size_t i = 0; i < safetensors_count(st); i++)
        CHECK_STR(dtype_name(safetensors_at(st, i)->dtype), safetensors_at(st, i)->name);
    safetensors_close(st);
}

static void published_style_directories_open(void) {
    static const char *const variants[] = {"v3", "v3-fp8", "v3-bf16", "llama3"};
    for (size_t i = 0; i < sizeof variants / sizeof variants[0]; i++) {
        struct safetensors *st;
        char path[64];
        snprintf(path, sizeof path, "goldens/%s", variants[i]);
        CHECK_OK(safetensors_open(&st, harness_shared(path), &err), &err);
        CHECK(safetensors_find(st, "model.embed_tokens.weight") != NULL);
        CHECK(safetensors_count(st) > 10);
        touch(st);
        safetensors_close(st);
    }
}

static const struct test tests[] = {
    TEST(reads_names_shapes_and_data),
    TEST(an_empty_header_and_zero_length_tensors_are_fine),
    TEST(an_unknown_dtype_opens_but_is_not_given_out),
    TEST(lying_headers_are_refused_with_the_reason),
    TEST(a_header_larger_than_the_file_or_the_limit_is_refused),
    TEST(truncation_at_every_byte_is_refused),
    TEST(any_flipped_bit_is_survived),
    TEST(a_missing_file_and_an_empty_directory_are_named),
    TEST(what_is_written_to_a_file_reads_back),
    TEST(what_fits_one_shard_is_one_file),
    TEST(shards_and_their_index_read_back),
    TEST(a_tensor_larger_than_a_shard_gets_its_own),
    TEST(a_lying_index_is_refused),
    TEST(an_index_truncated_at_any_byte_is_refused),
    TEST(writing_out_of_order_or_too_much_is_refused),
    TEST(bad_declarations_are_refused),
    TEST(a_directory_with_weights_is_not_written_over),
    TEST(an_aborted_file_leaves_nothing),
    TEST(a_model_without_tensors_is_written),
    TEST(every_dtype_with_a_spelling_round_trips),
    TEST(published_style_directories_open),
};
HARNESS_MAIN(tests)
