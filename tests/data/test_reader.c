#include "data_test.h"

#include <unistd.h>

#include "data/byte_source.h"
#include "data/reader.h"

static struct error err;

/* Every document of a reader as "[line:text]"; stops at the first failure and says so by status. */
static fathom_status read_documents(struct doc_reader *reader, struct text *all) {
    for (;;) {
        struct document document;
        bool is_end;
        TRY(doc_reader_next(reader, &document, &is_end, &err));
        if (is_end) return FATHOM_OK;
        CHECK(document.size > 0 && document.path != NULL);
        text_printf(all, "[%d:%.*s]", (int)document.line, (int)document.size, document.bytes);
    }
}

static fathom_status read_paths(const char *const *paths, size_t count, const char *field,
                                struct text *all) {
    struct doc_reader *reader;
    TRY(doc_reader_open(&reader, paths, count, field, &err));
    fathom_status status = read_documents(reader, all);
    doc_reader_close(reader);
    return status;
}

static fathom_status read_bytes(const char *name, const void *bytes, size_t size,
                                struct text *all) {
    struct doc_reader *reader;
    /* A copy of exactly this size, so that a sanitizer sees a read past it. */
    char *exact = malloc(size ? size : 1);
    CHECK(exact != NULL);
    memcpy(exact, bytes, size);
    fathom_status status = doc_reader_open_memory(&reader, name, exact, size, NULL, &err);
    if (status == FATHOM_OK) status = read_documents(reader, all);
    doc_reader_close(reader);
    free(exact);
    return status;
}

static void check_reads(const char *path, const char *expected) {
    struct text all = {0};
    CHECK_OK(read_paths(&path, 1, NULL, &all), &err);
    CHECK_STR(text_data(&all), expected);
    text_free(&all);
}

static void check_fails(const char *name, const char *content, const char *words) {
    struct text all = {0};
    CHECK_STATUS(read_bytes(name, content, strlen(content), &all), FATHOM_BAD_INPUT);
    CHECK_HAS(err.text, words);
    text_free(&all);
}

static const char lines[] = "{\"text\": \"one\"}\n\n{\"id\": 7, \"text\": \"two \\u00e9\\n\"}\n"
                            "{\"text\": \"\"}\r\n  \t\n{\"text\":\"last\"}";
static const char lines_read[] = "[1:one][3:two \xc3\xa9\n][6:last]";

static void a_text_file_is_one_document(void) {
    check_reads(store_text("a.txt", "Hello.\n\nWorld.\n"), "[0:Hello.\n\nWorld.\n]");
    check_reads(store_text("noname", "{\"text\": 1}"), "[0:{\"text\": 1}]");
    check_reads(store_text("empty.txt", ""), "");
    check_reads(store_text("bom.txt", "\xef\xbb\xbfHi"), "[0:Hi]");
}

static void a_jsonl_line_is_a_document(void) {
    check_reads(store_text("a.jsonl", lines), lines_read);
    check_reads(store_text("a.ndjson", lines), lines_read);
    check_reads(store_text("bom.jsonl", "\xef\xbb\xbf{\"text\":\"x\"}\n"), "[1:x]");
    check_reads(store_text("empty.jsonl", "\n\n"), "");
}

static void another_field_is_read_by_name(void) {
    struct text all = {0};
    const char *path = store_text("a.jsonl", "{\"body\": \"b\", \"text\": 4}\n");
    CHECK_OK(read_paths(&path, 1, "body", &all), &err);
    CHECK_STR(text_data(&all), "[1:b]");
    text_free(&all);
}

static void packing_is_told_by_content(void) {
    struct packed gzip = pack_gzip(lines, strlen(lines)),
                  zstd = pack_zstd(lines, strlen(lines), 20);
    check_reads(store("a.jsonl.gz", gzip.bytes, gzip.size), lines_read);
    check_reads(store("a.jsonl.zst", zstd.bytes, zstd.size), lines_read);
    check_reads(store("b.jsonl", zstd.bytes, zstd.size), lines_read);
    check_reads(store("c.jsonl.zst", gzip.bytes, gzip.size), lines_read);
    struct packed text = pack_gzip("plain", 5);
    check_reads(store("d.txt.gz", text.bytes, text.size), "[0:plain]");
}

static void members_one_after_the_other_are_one_stream(void) {
    struct text file = {0};
    struct packed a = pack_gzip("one ", 4), b = pack_gzip("two", 3);
    text_append(&file, a.bytes, a.size);
    text_append(&file, b.bytes, b.size);
    check_reads(store("a.txt", file.data, file.size), "[0:one two]");
    text_clear(&file);
    a = pack_zstd("one ", 4, 20);
    b = pack_zstd("two", 3, 20);
    text_append(&file,
                "\x51\x2a\x4d\x18\x02\0\0\0"
                "ab",
                10); /* a skippable frame */
    text_append(&file, a.bytes, a.size);
    text_append(&file, b.bytes, b.size);
    check_reads(store("a.txt", file.data, file.size), "[0:one two]");
    text_free(&file);
}

static void several_files_keep_their_order(void) {
    const char *paths[] = {store_text("a.txt", "first"), store_text("b.jsonl", "{\"text\":\"2\"}"),
                           store_text("c.txt", "third")};
    struct text all = {0};
    CHECK_OK(read_paths(paths, 3, NULL, &all), &err);
    CHECK_STR(text_data(&all), "[0:first][1:2][0:third]");
    text_free(&all);
}

static void standard_input_tells_jsonl_by_its_first_byte(void) {
    CHECK(freopen(store_text("in", "{\"text\":\"x\"}\n"), "r", stdin) != NULL);
    check_reads("-", "[1:x]");
    CHECK(freopen(store_text("in", "plain"), "r", stdin) != NULL);
    check_reads("-", "[0:plain]");
}

static void bad_lines_are_named(void) {
    check_fails("a.jsonl", "{\"text\":\"x\"}\n{\"text\":\n", "a.jsonl, line 2");
    check_fails("a.jsonl", "\n\n[\"x\"]\n", "a.jsonl, line 3: not a JSON object");
    check_fails("a.jsonl", "{\"body\":\"x\"}", "line 1: \"text\" is missing");
    check_fails("a.jsonl", "{\"text\":12}", "line 1: \"text\" is not a string");
    check_fails("a.jsonl", "{\"text\":\"x\"} tail\n", "line 1");
    check_fails("a.jsonl", "{\"text\":\"\xff\"}\n", "line 1");
    check_fails("a.jsonl", "{\"text\":\"a\",\"text\":\"b\"}\n", "line 1");
}

static void bad_lines_can_be_passed_over(void) {
    const char *path = store_text("a.jsonl", "{\"text\": \"one\"}\nnot JSON\n\n{\"txt\": 1}\n"
                                             "{\"text\": \"caf\xff\"}\n{\"text\": \"two\"}\n");
    struct doc_reader *reader;
    struct document document;
    bool is_end;
    static const struct {
        int64_t line;
        const char *fault, *bytes;
    } expected[] = {{1, NULL, "one"},
                    {2, "line 2: not valid JSON", "not JSON"},
                    {4, "line 4: \"text\" is missing", "{\"txt\": 1}"},
                    {5, NULL, "caf\xef\xbf\xbd"},
                    {6, NULL, "two"}};
    CHECK_OK(doc_reader_open(&reader, &path, 1, NULL, &err), &err);
    doc_reader_keep_faults(reader);
    doc_reader_replace_invalid(reader);
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        CHECK_OK(doc_reader_next(reader, &document, &is_end, &err), &err);
        CHECK(!is_end);
        CHECK_EQ(document.line, expected[i].line);
        CHECK_EQ(document.size, strlen(expected[i].bytes));
        CHECK(memcmp(document.bytes, expected[i].bytes, document.size) == 0);
        CHECK_EQ(document.fault != NULL, expected[i].fault != NULL);
        if (document.fault) CHECK_HAS(document.fault, expected[i].fault);
        CHECK_EQ(document.replaced, expected[i].line == 5);
    }
    CHECK_OK(doc_reader_next(reader, &document, &is_end, &err), &err);
    CHECK(is_end);
    doc_reader_close(reader);
}

static void reading_goes_on_behind_a_line(void) {
    const char *paths[] = {
        store_text("a.jsonl", "{\"text\": \"a1\"}\n\nnot JSON\n{\"text\": \"a4\"}\n"),
        store_text("b.txt", "b"), store_text("c.jsonl", "{\"text\": \"c1\"}\n")};
    static const struct {
        size_t file;
        int64_t line;
        const char *next;
    } cases[] = {{0, 1, NULL}, {0, 3, "a4"}, {0, 4, "b"}, {1, 0, "c1"}, {2, 1, ""}, {2, 0, ""}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct doc_reader *reader;
        struct document document;
        bool is_end;
        harness_context("case %zu", i);
        CHECK_OK(doc_reader_open(&reader, paths, 3, NULL, &err), &err);
        CHECK_OK(doc_reader_skip(reader, cases[i].file, cases[i].line, &err), &err);
        fathom_status status = doc_reader_next(reader, &document, &is_end, &err);
        CHECK_EQ(status == FATHOM_OK, cases[i].next != NULL); /* the bad line comes next */
        if (cases[i].next) {
            CHECK_EQ(is_end, !*cases[i].next);
            CHECK_EQ(document.size, strlen(cases[i].next));
            CHECK(memcmp(document.bytes ? document.bytes : "", cases[i].next, document.size) == 0);
        }
        doc_reader_close(reader);
    }
    struct doc_reader *reader;
    CHECK_OK(doc_reader_open(&reader, paths, 3, NULL, &err), &err);
    CHECK_STATUS(doc_reader_skip(reader, 0, 9, &err), FATHOM_BAD_INPUT);
    CHECK_HAS(err.text, "has no line 9");
    doc_reader_close(reader);
}

static void all_strings_of_an_object_are_taken(void) {
    static const char expected[] = "q\0a\0b\0";
    struct doc_reader *reader;
    struct document document;
    bool is_end;
    const char *path =
        store_text("a.jsonl", "{\"x\": \"q\", \"n\": 3, \"y\": [\"a\", {\"z\": \"b\"}]}\n");
    CHECK_OK(doc_reader_open(&reader, &path, 1, NULL, &err), &err);
    doc_reader_take_all_strings(reader);
    CHECK_OK(doc_reader_next(reader, &document, &is_end, &err), &err);
    CHECK_EQ(document.size, sizeof expected - 1);
    CHECK(memcmp(document.bytes, expected, document.size) == 0);
    doc_reader_close(reader);
}

/* A file that grows between its first and its last read. */
static void a_file_that_changes_is_an_error(void) {
    enum { SIZE = 300000 };
    char *content = harness_keep(malloc(SIZE));
    memset(content, 'x', SIZE);
    for (int i = 99; i < SIZE; i += 100) content[i] = '\n';
    const char *path = store("a.jsonl", content, SIZE);
    struct doc_reader *reader;
    struct document document;
    bool is_end = false;
    CHECK_OK(doc_reader_open(&reader, &path, 1, NULL, &err), &err);
    doc_reader_keep_faults(reader);
    CHECK_OK(doc_reader_next(reader, &document, &is_end, &err), &err);
    FILE *file = fopen(path, "ab");
    fputs("more\n", file);
    CHECK_EQ(fclose(file), 0);
    fathom_status status = FATHOM_OK;
    while (status == FATHOM_OK && !is_end)
        status = doc_reader_next(reader, &document, &is_end, &err);
    CHECK_STATUS(status, FATHOM_BAD_INPUT);
    CHECK_HAS(err.text, "a.jsonl: changed while it was read");
    doc_reader_close(reader);
}

static void missing_files_and_directories_are_errors(void) {
    struct text all = {0};
    const char *path = test_path("none.txt");
    CHECK_STATUS(read_paths(&path, 1, NULL, &all), FATHOM_IO);
    CHECK_HAS(err.text, "none.txt");
    path = harness_directory();
    CHECK_STATUS(read_paths(&path, 1, NULL, &all), FATHOM_IO);
    CHECK_STATUS(read_paths(&path, 0, NULL, &all), FATHOM_USAGE);
    text_free(&all);
}

static void a_document_over_the_limit_is_refused(void) {
    const char *names[] = {"a.txt", "a.jsonl"};
    for (int i = 0; i < 2; i++) {
        struct doc_reader *reader;
        struct document document;
        bool is_end;
        const char content[] = "{\"text\":\"0123456789\"}";
        CHECK_OK(doc_reader_open_memory(&reader, names[i], content, strlen(content), NULL, &err),
                 &err);
        doc_reader_set_max_size(reader, strlen(content) - 1);
        CHECK_STATUS(doc_reader_next(reader, &document, &is_end, &err), FATHOM_BAD_INPUT);
        CHECK_HAS(err.text, "longer than the 20 bytes");
        doc_reader_close(reader);
    }
}

/* Truncated anywhere, a file gives an error or the documents before the cut, and never less than a
 * prefix of what the whole gives. */
static void check_truncations(const char *name, const void *bytes, size_t size, size_t *failures) {
    struct text whole = {0};
    CHECK_OK(read_bytes(name, bytes, size, &whole), &err);
    *failures = 0;
    for (size_t cut = 0; cut < size; cut++) {
        harness_context("%s cut to %zu bytes", name, cut);
        struct text all = {0};
        if (read_bytes(name, bytes, cut, &all) != FATHOM_OK) {
            ++*failures;
            CHECK_HAS(err.text, name);
        }
        if (all.size > 0 && strstr(name, "jsonl"))
            CHECK(strncmp(text_data(&whole), text_data(&all), all.size) == 0);
        text_free(&all);
    }
    harness_context("%s", "");
    text_free(&whole);
}

static void truncation_at_every_byte_fails_cleanly(void) {
    size_t failures;
    struct packed gzip = pack_gzip(lines, strlen(lines)),
                  zstd = pack_zstd(lines, strlen(lines), 20);
    check_truncations("a.txt", lines, strlen(lines), &failures);
    CHECK_EQ(failures, 0);
    check_truncations("a.jsonl", lines, strlen(lines), &failures);
    CHECK(failures > 20);
    check_truncations("a.jsonl.gz", gzip.bytes, gzip.size, &failures);
    CHECK_EQ(failures, gzip.size - 1); /* all but the empty file */
    check_truncations("a.jsonl.zst", zstd.bytes, zstd.size, &failures);
    CHECK_EQ(failures, zstd.size - 1);
}

static void truncated_packing_says_so(void) {
    struct packed gzip = pack_gzip(lines, strlen(lines)),
                  zstd = pack_zstd(lines, strlen(lines), 20);
    struct text all = {0};
    CHECK_STATUS(read_bytes("a.gz", gzip.bytes, gzip.size / 2, &all), FATHOM_BAD_INPUT);
    CHECK_HAS(err.text, "a.gz: the gzip data is truncated");
    CHECK_STATUS(read_bytes("a.zst", zstd.bytes, zstd.size / 2, &all), FATHOM_BAD_INPUT);
    CHECK_HAS(err.text, "a.zst: the zstd data is truncated");
    text_free(&all);
}

static void damaged_packing_is_noticed(void) {
    struct packed gzip = pack_gzip(lines, strlen(lines)),
                  zstd = pack_zstd(lines, strlen(lines), 20);
    gzip.bytes[gzip.size - 6] ^= 1; /* its CRC */
    zstd.bytes[zstd.size - 1] ^= 1; /* its checksum */
    struct text all = {0};
    CHECK_STATUS(read_bytes("a.gz", gzip.bytes, gzip.size, &all), FATHOM_BAD_INPUT);
    CHECK_HAS(err.text, "damaged");
    CHECK_STATUS(read_bytes("a.zst", zstd.bytes, zstd.size, &all), FATHOM_BAD_INPUT);
    CHECK_HAS(err.text, "damaged");
    text_free(&all);
}

/* --long=27 repeats a block that lies 100 MB back; a larger window is refused with advice. */
static void long_zstd_windows_are_read(void) {
    const size_t size = (size_t)100 << 20;
    unsigned char *bytes = harness_keep(calloc(size, 1));
    for (size_t i = 0; i < 4096; i++)
        bytes[i] = bytes[size - 4096 + i] = (unsigned char)(i * i >> 3);
    struct packed zstd = pack_zstd(bytes, size, 27);
    struct byte_source *source;
    CHECK_OK(byte_source_open_memory(&source, "long.zst", zstd.bytes, zstd.size, &err), &err);
    static unsigned char buffer[1 << 20];
    size_t at = 0, got = 1;
    for (; got > 0; at += got) {
        CHECK_OK(byte_source_read(source, buffer, sizeof buffer, &got, &err), &err);
        CHECK(memcmp(buffer, bytes + at, got) == 0);
    }
    CHECK_EQ(at, size);
    byte_source_close(source);
    zstd = pack_zstd(bytes, size, 28);
    CHECK_OK(byte_source_open_memory(&source, "long.zst", zstd.bytes, zstd.size, &err), &err);
    CHECK_STATUS(byte_source_read(source, buffer, sizeof buffer, &got, &err), FATHOM_UNSUPPORTED);
    CHECK_HAS(err.text, "--long=31");
    byte_source_close(source);
}

/* With any one allocation failing, all documents are read or the failure is told. jansson's own
 * allocations are not among them. */
static void failed_allocations_are_told(void) {
    struct packed zstd = pack_zstd(lines, strlen(lines), 20);
    const char *paths[] = {store("a.jsonl.zst", zstd.bytes, zstd.size), store_text("b.txt", "b")};
    int64_t n = 1;
    for (fathom_status status = FATHOM_NO_MEMORY; status != FATHOM_OK; n++) {
        struct doc_reader *reader = NULL;
        struct document document;
        bool is_end = false;
        int count = 0;
        harness_context("allocation %d", (int)n);
        mem_fail_after(n);
        status = doc_reader_open(&reader, paths, 2, NULL, &err);
        while (status == FATHOM_OK && !is_end) {
            status = doc_reader_next(reader, &document, &is_end, &err);
            count += status == FATHOM_OK && !is_end;
        }
        mem_fail_after(0);
        doc_reader_close(reader);
        if (status == FATHOM_OK)
            CHECK_EQ(count, 4);
        else
            CHECK_EQ(status, FATHOM_NO_MEMORY);
    }
    CHECK(n > 8);
}

/* Lines that end exactly at, before and behind the reader's chunk of 65536 bytes. */
static void lines_across_chunks_are_whole(void) {
    for (int extra = -2; extra <= 2; extra++) {
        struct text file = {0}, all = {0}, expected = {0};
        text_append_string(&file, "{\"text\":\"");
        text_append_string(&expected, "[1:");
        for (int i = 0; i < 65536 - 12 + extra; i++) {
            text_append_char(&file, 'a');
            text_append_char(&expected, 'a');
        }
        text_append_string(&file, "\"}\n{\"text\":\"b\"}\n");
        text_append_string(&expected, "][2:b]");
        CHECK_OK(read_bytes("a.jsonl", file.data, file.size, &all), &err);
        CHECK_STR(text_data(&all), text_data(&expected));
        text_free(&file);
        text_free(&all);
        text_free(&expected);
    }
}

static const struct test tests[] = {
    TEST(a_text_file_is_one_document),
    TEST(a_jsonl_line_is_a_document),
    TEST(another_field_is_read_by_name),
    TEST(packing_is_told_by_content),
    TEST(members_one_after_the_other_are_one_stream),
    TEST(several_files_keep_their_order),
    TEST(standard_input_tells_jsonl_by_its_first_byte),
    TEST(bad_lines_are_named),
    TEST(bad_lines_can_be_passed_over),
    TEST(reading_goes_on_behind_a_line),
    TEST(all_strings_of_an_object_are_taken),
    TEST(a_file_that_changes_is_an_error),
    TEST(missing_files_and_directories_are_errors),
    TEST(a_document_over_the_limit_is_refused),
    TEST(truncation_at_every_byte_fails_cleanly),
    TEST(truncated_packing_says_so),
    TEST(damaged_packing_is_noticed),
    TEST(long_zstd_windows_are_read),
    TEST(failed_allocations_are_told),
    TEST(lines_across_chunks_are_whole),
};
HARNESS_MAIN(tests)
