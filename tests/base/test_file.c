/* Files, paths and directories: nothing half-written ever stands in the final place. */
#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <dirent.h>
#include <signal.h>

#include "base/checksum.h"
#include "base/memory.h"
#include "harness.h"

static struct error err;

/* A path in the test's directory; two calls' results may be in use at once. */
static const char *in_directory(const char *name) {
    static char paths[4][1024];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", harness_directory(), name);
    return path;
}

static void put_file(const char *path, const char *text) {
    struct file_writer *writer = NULL;
    CHECK_OK(file_writer_open(&writer, path, &err), &err);
    file_writer_put(writer, text, strlen(text));
    CHECK_OK(file_writer_commit(writer, &err), &err);
}

static void check_content(const char *path, const char *expected) {
    char *text = NULL;
    size_t size = 0;
    CHECK_OK(file_read(path, 1 << 20, &text, &size, &err), &err);
    CHECK_EQ(size, strlen(expected));
    CHECK_STR(text, expected);
    mem_free(text);
}

/* Entries of a directory, "." and ".." not counted. */
static int count_entries(const char *path) {
    int count = 0;
    DIR *directory = opendir(path);
    CHECK(directory);
    while (readdir(directory)) count++;
    closedir(directory);
    return count - 2;
}

/* A refusal by permission cannot be seen by root, whom nothing refuses. */
static void leave_root(void) {
    if (geteuid() != 0) return;
    CHECK_EQ(chmod(harness_directory(), 0777), 0);
    CHECK_EQ(setegid(65534), 0);
    CHECK_EQ(seteuid(65534), 0);
}

static void return_to_root(void) {
    if (getuid() != 0) return;
    CHECK_EQ(seteuid(0), 0);
    CHECK_EQ(setegid(0), 0);
}

/* ---- reading ---- */

static void a_map_holds_the_file(void) {
    struct file_map map;
    const char *path = in_directory("a");
    put_file(path, "hello");
    CHECK_OK(file_map_open(&map, path, &err), &err);
    CHECK_EQ(map.size, 5);
    CHECK(memcmp(map.data, "hello", 5) == 0);
    file_map_close(&map);
    file_map_close(&map);
    put_file(path, "");
    CHECK_OK(file_map_open(&map, path, &err), &err);
    CHECK(map.size == 0 && map.data != NULL);
    file_map_close(&map);
}

static void what_cannot_be_read_is_named(void) {
    struct file_map map;
    struct file_reader *reader = NULL;
    char *text = NULL;
    size_t size = 0;
    const char *path = in_directory("missing");
    CHECK_STATUS(file_map_open(&map, path, &err), FATHOM_IO);
    CHECK_HAS(err.text, path);
    CHECK_HAS(err.text, "No such file");
    CHECK_STATUS(file_read(path, 10, &text, &size, &err), FATHOM_IO);
    CHECK_STATUS(file_reader_open(&reader, path, &err), FATHOM_IO);
    CHECK(!reader && !text);
    CHECK_STATUS(file_map_open(&map, harness_directory(), &err), FATHOM_IO);
    CHECK_HAS(err.text, "not a regular file");
    CHECK_STATUS(file_read(harness_directory(), 10, &text, &size, &err), FATHOM_IO);
    CHECK_HAS(err.text, "Is a directory");
}

static void reading_is_bounded(void) {
    char *text = NULL;
    size_t size = 0;
    const char *path = in_directory("a");
    put_file(path, "0123456789");
    CHECK_OK(file_read(path, 10, &text, &size, &err), &err);
    CHECK_STR(text, "0123456789");
    mem_free(text);
    CHECK_STATUS(file_read(path, 9, &text, &size, &err), FATHOM_BAD_INPUT);
    CHECK_HAS(err.text, "longer than the 9 bytes");
    CHECK(!text);
    CHECK_STATUS(file_read("/dev/zero", 100000, &text, &size, &err), FATHOM_BAD_INPUT);
}

static void every_size_is_read_whole(void) {
    static const size_t sizes[] = {0, 1, 4095, 4096, 4097, 8192, 8193, 300000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char *text = NULL, *again = NULL;
        size_t size = 0, got = 0;
        struct file_writer *writer = NULL;
        struct file_reader *reader = NULL;
        const char *path = in_directory("a");
        harness_context("size %zu", sizes[i]);
        CHECK_OK(file_writer_open(&writer, path, &err), &err);
        for (size_t k = 0; k < sizes[i]; k++) file_writer_put(writer, &"abcdefg"[k % 7], 1);
        CHECK_OK(file_writer_commit(writer, &err), &err);
        CHECK_OK(file_read(path, sizes[i], &text, &size, &err), &err);
        CHECK_EQ(size, sizes[i]);
        for (size_t k = 0; k < size; k++) CHECK_EQ(text[k], "abcdefg"[k % 7]);
        CHECK_EQ(text[size], 0);
        CHECK_OK(file_reader_open(&reader, path, &err), &err);
        CHECK_OK(mem_new((void **)&again, size + 10, 1, "a copy", &err), &err);
        CHECK_OK(file_reader_get(reader, again, size / 2, &got, &err), &err);
        CHECK_EQ(got, size / 2);
        CHECK_OK(file_reader_get(reader, again + got, size + 10 - got, &got, &err), &err);
        CHECK_EQ(got, size - size / 2);
        CHECK(memcmp(text, again, size) == 0);
        file_reader_close(reader);
        mem_free(text);
        mem_free(again);
    }
    file_reader_close(NULL);
}

/* ---- the writer ---- */

static void the_final_place_is_untouched_until_commit(void) {
    struct file_writer *writer = NULL;
    const char *path = in_directory("a");
    put_file(path, "old");
    CHECK_OK(file_writer_open(&writer, path, &err), &err);
    file_writer_printf(writer, "%s %d", "new", 1);
    CHECK_EQ(file_writer_size(writer), 5);
    check_content(path, "old");
    CHECK_OK(file_writer_commit(writer, &err), &err);
    check_content(path, "new 1");
    CHECK_EQ(count_entries(harness_directory()), 1);
}

static void an_aborted_file_leaves_nothing(void) {
    struct file_writer *writer = NULL;
    CHECK_OK(file_writer_open(&writer, in_directory("a"), &err), &err);
    file_writer_put(writer, "text", 4);
    file_writer_abort(writer);
    file_writer_abort(NULL);
    CHECK_EQ(count_entries(harness_directory()), 0);
}

static void bytes_can_be_overwritten_wherever_they_are(void) {
    enum { SIZE = (1 << 18) + 1000 };
    struct file_writer *writer = NULL;
    const char *path = in_directory("a");
    char *text = NULL;
    size_t size = 0;
    CHECK_OK(file_writer_open(&writer, path, &err), &err);
    file_writer_put(writer, "header--", 8);
    file_writer_put_at(writer, 2, "AD", 2); /* still in the buffer */
    for (int i = 8; i < SIZE; i++) file_writer_put(writer, "x", 1);
    file_writer_put_at(writer, 0, "HE", 2); /* long written */
    file_writer_put_at(writer, SIZE - 3, "end", 3);
    file_writer_put(writer, "!", 1); /* goes on at the end */
    CHECK_EQ(file_writer_size(writer), SIZE + 1);
    CHECK_OK(file_writer_commit(writer, &err), &err);
    CHECK_OK(file_read(path, SIZE + 1, &text, &size, &err), &err);
    CHECK_EQ(size, SIZE + 1);
    CHECK(memcmp(text, "HEADer--xx", 10) == 0);
    CHECK_STR(text + SIZE - 5, "xxend!");
    mem_free(text);
}

static void a_large_piece_keeps_its_place(void) {
    enum { SIZE = 1 << 19 };
    static char piece[SIZE];
    struct file_writer *writer = NULL;
    struct file_map map;
    const char *path = in_directory("a");
    memset(piece, 'p', sizeof piece);
    CHECK_OK(file_writer_open(&writer, path, &err), &err);
    file_writer_put(writer, "a", 1);
    file_writer_put(writer, piece, SIZE);
    file_writer_put(writer, "z", 1);
    CHECK_OK(file_writer_commit(writer, &err), &err);
    CHECK_OK(file_map_open(&map, path, &err), &err);
    CHECK_EQ(map.size, SIZE + 2);
    CHECK(map.data[0] == 'a' && map.data[1] == 'p' && map.data[SIZE] == 'p');
    CHECK(map.data[SIZE + 1] == 'z');
    file_map_close(&map);
}

static void an_unwritable_place_is_refused(void) {
    struct file_writer *writer = NULL;
    CHECK_STATUS(file_writer_open(&writer, in_directory("no/such/a"), &err), FATHOM_IO);
    CHECK_HAS(err.text, "cannot be created");
    CHECK(!writer);
    const char *locked = in_directory("locked");
    CHECK_OK(path_make_directory(locked, &err), &err);
    leave_root();
    chmod(locked, 0555);
    fathom_status status = file_writer_open(&writer, in_directory("locked/a"), &err);
    return_to_root();
    CHECK_STATUS(status, FATHOM_IO);
    CHECK_HAS(err.text, "Permission denied");
}

static void a_directory_in_the_place_is_not_overwritten(void) {
    struct file_writer *writer = NULL;
    const char *path = in_directory("a");
    CHECK_OK(path_make_directory(path, &err), &err);
    CHECK_OK(file_writer_open(&writer, path, &err), &err);
    file_writer_put(writer, "text", 4);
    CHECK(file_writer_commit(writer, &err) != FATHOM_OK);
    CHECK_HAS(err.text, "cannot be written");
    CHECK(path_is_directory(path));
    CHECK_EQ(count_entries(harness_directory()), 1);
}

/* A limit on the file's size fails as a full disk does: in the middle of a write. */
static void a_full_disk_is_reported_by_commit(void) {
    struct rlimit limit = {.rlim_cur = 10000, .rlim_max = 10000};
    struct file_writer *writer = NULL;
    const char *path = in_directory("a");
    put_file(path, "old");
    signal(SIGXFSZ, SIG_IGN);
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
    CHECK_OK(file_writer_open(&writer, path, &err), &err);
    for (int i = 0; i < 100000; i++) file_writer_put(writer, "0123456789", 10);
    file_writer_put_at(writer, 0, "9", 1);
    CHECK_STATUS(file_writer_commit(writer, &err), FATHOM_IO);
    CHECK_HAS(err.text, "File too large");
    check_content(path, "old");
    CHECK_EQ(count_entries(harness_directory()), 1);
}

static void a_line_too_long_for_printf_is_an_error(void) {
    struct file_writer *writer = NULL;
    CHECK_OK(file_writer_open(&writer, in_directory("a"), &err), &err);
    file_writer_printf(writer, "%*d", 5000, 1);
    CHECK_STATUS(file_writer_commit(writer, &err), FATHOM_IO);
    CHECK_EQ(count_entries(harness_directory()), 0);
}

/* ---- paths ---- */

static void paths_join(void) {
    static const char *const cases[][3] = {{"a", "b", "a/b"},
                                           {"a/", "b", "a/b"},
                                           {"/", "b", "/b"},
                                           {"", "b", "b"},
                                           {"a/b", "c/d", "a/b/c/d"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *path = NULL;
        CHECK_OK(path_join(&path, cases[i][0], cases[i][1], &err), &err);
        CHECK_STR(path, cases[i][2]);
        mem_free(path);
    }
}

static void directories_are_made_with_their_parents(void) {
    CHECK_OK(path_make_directory(in_directory("a/b//c/"), &err), &err);
    CHECK(path_is_directory(in_directory("a/b/c")));
    CHECK_OK(path_make_directory(in_directory("a/b/c"), &err), &err);
    put_file(in_directory("a/file"), "text");
    CHECK(path_make_directory(in_directory("a/file"), &err) != FATHOM_OK);
    CHECK_HAS(err.text, "cannot be made");
    CHECK(path_make_directory(in_directory("a/file/x"), &err) != FATHOM_OK);
    CHECK(!path_is_directory(in_directory("a/file")) && path_exists(in_directory("a/file")));
}

static void removal_does_not_follow_links(void) {
    CHECK_OK(path_make_directory(in_directory("keep"), &err), &err);
    put_file(in_directory("keep/file"), "text");
    CHECK_OK(path_make_directory(in_directory("gone/deep"), &err), &err);
    put_file(in_directory("gone/deep/file"), "text");
    CHECK_EQ(symlink(in_directory("keep"), in_directory("gone/link")), 0);
    CHECK_EQ(symlink("nowhere", in_directory("gone/dangling")), 0);
    CHECK(path_exists(in_directory("gone/dangling")));
    CHECK_OK(path_remove(in_directory("gone"), &err), &err);
    CHECK(!path_exists(in_directory("gone")));
    check_content(in_directory("keep/file"), "text");
    CHECK_OK(path_remove(in_directory("gone"), &err), &err);
    CHECK_OK(path_remove(in_directory("keep/file"), &err), &err);
    CHECK_EQ(count_entries(in_directory("keep")), 0);
}

static void free_space_is_known_of_places_not_made_yet(void) {
    uint64_t here = 0, there = 0;
    CHECK_OK(path_free_bytes(harness_directory(), &here, &err), &err);
    CHECK_OK(path_free_bytes(in_directory("not/yet/made"), &there, &err), &err);
    CHECK(here > 0 && there > 0);
    CHECK_OK(path_free_bytes("no-such-thing-here", &there, &err), &err);
    CHECK_OK(path_free_bytes("/no-such-thing-here", &there, &err), &err);
}

/* ---- whole directories ---- */

/* Begins a directory for `path` and puts a file "a" into it. */
static char *begin_with_file(const char *path, bool replace, const char *text) {
    char *temporary = NULL, *file = NULL;
    CHECK_OK(directory_begin(&temporary, path, replace, &err), &err);
    CHECK(strcmp(temporary, path) != 0);
    CHECK_OK(path_join(&file, temporary, "a", &err), &err);
    put_file(file, text);
    mem_free(file);
    return temporary;
}

static void a_directory_appears_in_one_step(void) {
    const char *path = in_directory("model");
    char *temporary = begin_with_file(path, false, "one");
    CHECK(!path_exists(path));
    CHECK_OK(directory_commit(temporary, path, false, &err), &err);
    check_content(in_directory("model/a"), "one");
    CHECK_EQ(count_entries(harness_directory()), 1);
}

static void a_slash_at_the_end_changes_nothing(void) {
    char *temporary = begin_with_file(in_directory("model//"), false, "one");
    CHECK_OK(directory_commit(temporary, in_directory("model//"), false, &err), &err);
    check_content(in_directory("model/a"), "one");
    temporary = begin_with_file(in_directory("model/"), true, "two");
    CHECK_OK(directory_commit(temporary, in_directory("model/"), true, &err), &err);
    check_content(in_directory("model/a"), "two");
    CHECK_EQ(count_entries(harness_directory()), 1);
}

static void an_existing_directory_is_replaced_only_when_allowed(void) {
    const char *path = in_directory("model");
    char *temporary = begin_with_file(path, false, "one");
    CHECK_OK(directory_commit(temporary, path, false, &err), &err);
    CHECK_STATUS(directory_begin(&temporary, path, false, &err), FATHOM_EXISTS);
    CHECK_HAS(err.text, path);
    CHECK(!temporary);
    temporary = begin_with_file(path, true, "two");
    check_content(in_directory("model/a"), "one");
    CHECK_OK(directory_commit(temporary, path, true, &err), &err);
    check_content(in_directory("model/a"), "two");
    CHECK_EQ(count_entries(harness_directory()), 1);
}

static void what_appeared_meanwhile_is_not_overwritten(void) {
    const char *path = in_directory("model");
    char *temporary = begin_with_file(path, false, "mine");
    CHECK_OK(path_make_directory(path, &err), &err);
    put_file(in_directory("model/a"), "theirs");
    CHECK_STATUS(directory_commit(temporary, path, false, &err), FATHOM_EXISTS);
    check_content(in_directory("model/a"), "theirs");
    CHECK_EQ(count_entries(harness_directory()), 1);
}

static void an_aborted_directory_leaves_nothing(void) {
    directory_abort(begin_with_file(in_directory("model"), false, "one"));
    directory_abort(NULL);
    CHECK_EQ(count_entries(harness_directory()), 0);
}

static void a_crashed_run_s_leftovers_are_cleared(void) {
    const char *path = in_directory("model");
    char *temporary = begin_with_file(path, false, "half"), *name = NULL;
    CHECK_OK(path_join(&name, temporary, "stale", &err), &err);
    put_file(name, "stale");
    mem_free(name);
    mem_free(temporary); /* as if the process had died here and its number came again */
    temporary = begin_with_file(path, false, "whole");
    CHECK_EQ(count_entries(temporary), 1);
    CHECK_OK(directory_commit(temporary, path, false, &err), &err);
    check_content(in_directory("model/a"), "whole");
}

static void a_directory_in_an_unwritable_place_is_refused(void) {
    char *temporary = NULL;
    put_file(in_directory("file"), "text");
    CHECK(directory_begin(&temporary, in_directory("file/model"), false, &err) != FATHOM_OK);
    CHECK(!temporary);
    const char *locked = in_directory("locked");
    CHECK_OK(path_make_directory(locked, &err), &err);
    leave_root();
    chmod(locked, 0555);
    fathom_status status = directory_begin(&temporary, in_directory("locked/model"), false, &err);
    return_to_root();
    CHECK_STATUS(status, FATHOM_IO);
    CHECK_HAS(err.text, "Permission denied");
    CHECK(!temporary);
}

/* ---- hashes ---- */

static void hashes_are_those_of_xxh3_in_one_piece_or_many(void) {
    enum { SIZE = 5000 };
    unsigned char bytes[SIZE];
    struct checksum *checksum = NULL;
    for (int i = 0; i < SIZE; i++) bytes[i] = (unsigned char)(i * 31 % 251);
    CHECK(hash_bytes("", 0) == 0x2d06800538d394c2u); /* the published value of XXH3 of nothing */
    CHECK(hash_bytes(bytes, SIZE) == hash_bytes_seeded(bytes, SIZE, 0));
    CHECK(hash_bytes(bytes, SIZE) != hash_bytes_seeded(bytes, SIZE, 1));
    CHECK_OK(checksum_new(&checksum, &err), &err);
    CHECK(checksum_value(checksum) == hash_bytes("", 0));
    for (size_t step = 1; step < 3000; step = step * 3 + 1) {
        checksum_reset(checksum);
        for (size_t at = 0; at < SIZE; at += step) {
            size_t size = SIZE - at < step ? SIZE - at : step;
            checksum_add(checksum, bytes + at, size);
            CHECK(checksum_value(checksum) == hash_bytes(bytes, at + size));
        }
    }
    checksum_free(checksum);
    checksum_free(NULL);
}

static void a_directory_is_locked_once(void) {
    int first, second;
    CHECK_OK(directory_lock(&first, harness_directory(), &err), &err);
    CHECK_EQ(directory_lock(&second, harness_directory(), &err), FATHOM_EXISTS);
    CHECK_EQ(second, -1);
    CHECK_HAS(err.text, "another process is writing there");
    directory_unlock(first);
    CHECK_OK(directory_lock(&second, harness_directory(), &err), &err);
    directory_unlock(second);
    CHECK_EQ(directory_lock(&first, "/nothing/there", &err), FATHOM_IO);
}

static void leftovers_of_killed_writers_are_removed(void) {
    const char *kept[] = {"run/a", "run/b.tmp-", "run/c.tmp-1x", "run/tmp-7"};
    CHECK_OK(path_make_directory(in_directory("run/step.tmp-31/state"), &err), &err);
    put_file(in_directory("run/step.tmp-31/state/x"), "half");
    put_file(in_directory("run/model.tmp-4"), "half");
    for (int i = 0; i < 4; i++) put_file(in_directory(kept[i]), "whole");
    CHECK_OK(directory_remove_leftovers(in_directory("run"), &err), &err);
    CHECK_EQ(count_entries(in_directory("run")), 4);
    for (int i = 0; i < 4; i++) check_content(in_directory(kept[i]), "whole");
}

static const struct test tests[] = {
    TEST(a_map_holds_the_file),
    TEST(what_cannot_be_read_is_named),
    TEST(reading_is_bounded),
    TEST(every_size_is_read_whole),
    TEST(the_final_place_is_untouched_until_commit),
    TEST(an_aborted_file_leaves_nothing),
    TEST(bytes_can_be_overwritten_wherever_they_are),
    TEST(a_large_piece_keeps_its_place),
    TEST(an_unwritable_place_is_refused),
    TEST(a_directory_in_the_place_is_not_overwritten),
    TEST(a_full_disk_is_reported_by_commit),
    TEST(a_line_too_long_for_printf_is_an_error),
    TEST(paths_join),
    TEST(directories_are_made_with_their_parents),
    TEST(removal_does_not_follow_links),
    TEST(free_space_is_known_of_places_not_made_yet),
    TEST(a_directory_appears_in_one_step),
    TEST(a_slash_at_the_end_changes_nothing),
    TEST(an_existing_directory_is_replaced_only_when_allowed),
    TEST(what_appeared_meanwhile_is_not_overwritten),
    TEST(an_aborted_directory_leaves_nothing),
    TEST(a_crashed_run_s_leftovers_are_cleared),
    TEST(a_directory_in_an_unwritable_place_is_refused),
    TEST(a_directory_is_locked_once),
    TEST(leftovers_of_killed_writers_are_removed),
    TEST(hashes_are_those_of_xxh3_in_one_piece_or_many),
};
HARNESS_MAIN(tests)
