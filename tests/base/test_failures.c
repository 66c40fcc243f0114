/* Every allocation of the layer fails once: each function then says so, leaves nothing behind (the
 * address sanitizer looks for leaks) and works when it is asked again. */
#include <dirent.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/options.h"
#include "base/pool.h"
#include "harness.h"

static struct error err;

/* Lets the first, second, ... allocation of `run` fail until it succeeds. At least `least` of them
 * must have failed: a sweep that never failed would prove nothing. */
static void sweep(fathom_status (*run)(void), int least) {
    int n = 1;
    for (; n < 1000; n++) {
        err = (struct error){0};
        mem_fail_after(n);
        fathom_status status = run();
        mem_fail_after(0);
        if (status == FATHOM_OK) break;
        harness_context("allocation %d", n);
        CHECK_STATUS(status, FATHOM_NO_MEMORY);
        CHECK_EQ(err.status, FATHOM_NO_MEMORY);
        CHECK(err.text[0]);
    }
    harness_context("%s", "");
    CHECK(n > least && n < 1000);
}

static const char *path_of(const char *name) {
    static char path[1024];
    snprintf(path, sizeof path, "%s/%s", harness_directory(), name);
    return path;
}

/* Names in the test's directory but for "." and "..". */
static int files_there(void) {
    int count = 0;
    DIR *directory = opendir(harness_directory());
    CHECK(directory);
    while (readdir(directory)) count++;
    closedir(directory);
    return count - 2;
}

static fathom_status write_file(const char *name, const char *text) {
    struct file_writer *writer = NULL;
    TRY(file_writer_open(&writer, path_of(name), &err));
    file_writer_put(writer, text, strlen(text));
    return file_writer_commit(writer, &err);
}

/* ---- texts, paths, files ---- */

static fathom_status grow_text(void) {
    struct text text = {0};
    for (int i = 0; i < 100; i++) text_printf(&text, "%d and ", i);
    fathom_status status = text_check(&text, &err);
    text_free(&text);
    return status;
}

static fathom_status copy_and_join(void) {
    char *copy = NULL, *joined = NULL;
    fathom_status status = string_copy(&copy, "directory", &err);
    if (status == FATHOM_OK) status = path_join(&joined, copy, "name", &err);
    mem_free(copy);
    mem_free(joined);
    return status;
}

static fathom_status write_and_read(void) {
    char *text = NULL;
    size_t size = 0;
    TRY(write_file("file", "some text"));
    TRY(file_read(path_of("file"), 100, &text, &size, &err));
    CHECK_STR(text, "some text");
    mem_free(text);
    return FATHOM_OK;
}

static fathom_status read_long_file(void) {
    char *text = NULL;
    size_t size = 0;
    TRY(file_read(path_of("long"), 1 << 20, &text, &size, &err));
    CHECK_EQ(size, 20000);
    mem_free(text);
    return FATHOM_OK;
}

static fathom_status make_directory(void) {
    char *temporary = NULL;
    uint64_t bytes = 0;
    TRY(path_free_bytes(path_of("not/there"), &bytes, &err));
    TRY(directory_begin(&temporary, path_of("whole"), true, &err));
    return directory_commit(temporary, path_of("whole"), true, &err);
}

static void texts_and_paths_survive(void) {
    sweep(grow_text, 3);
    sweep(copy_and_join, 2);
}

static void files_survive(void) {
    static char text[20001];
    sweep(write_and_read, 5);
    CHECK_EQ(files_there(), 1);
    memset(text, 'x', sizeof text - 1);
    CHECK_OK(write_file("long", text), &err);
    sweep(read_long_file, 3);
}

static void directories_survive(void) {
    sweep(make_directory, 3);
    CHECK(path_is_directory(path_of("whole")));
    CHECK_EQ(files_there(), 1);
}

/* ---- JSON and options ---- */

static fathom_status read_json(void) {
    json_node *root = NULL;
    struct text text = {0};
    TRY(json_read_file(&root, path_of("file"), 100, &err));
    json_write_string(&text,
                      "a\x01"
                      "b",
                      3);
    fathom_status status = text_check(&text, &err);
    text_free(&text);
    json_free(root);
    return status;
}

struct values {
    char *first, *second;
};
static const struct option rows[] = {
    {.name = "first",
     .type = OPTION_STRING,
     .offset = offsetof(struct values, first),
     .default_text = "one",
     .is_recorded = true},
    {.name = "second",
     .type = OPTION_STRING,
     .offset = offsetof(struct values, second),
     .default_text = "two"},
};
static const struct option_table table = {.command = "test", .options = rows, .count = 2};

static fathom_status fill(struct values *values) {
    struct option_given given = {0};
    char name[] = "--second", value[] = "three";
    char *argv[] = {name, value};
    int positionals = 0;
    bool help = false;
    TRY(options_default(&table, values, &err));
    TRY(options_parse(&table, values, &given, 2, argv, &positionals, &help, &err));
    TRY(options_read_recipe(&table, values, &given, path_of("recipe"), &err));
    CHECK_STR(values->first, "four");
    CHECK_STR(values->second, "three");
    return FATHOM_OK;
}

static fathom_status read_options(void) {
    struct values values = {0};
    fathom_status status = fill(&values);
    options_free(&table, &values);
    return status;
}

static void json_survives(void) {
    CHECK_OK(write_file("file", "{\"a\": 1}"), &err);
    sweep(read_json, 2);
}

static void options_survive(void) {
    CHECK_OK(write_file("recipe", "first = four\nsecond = five\n"), &err);
    sweep(read_options, 4);
}

/* ---- threads and arenas ---- */

static fathom_status start_and_stop(void) {
    struct pool *pool = NULL;
    struct arena arena = {0};
    fathom_status status = pool_new(&pool, 3, &err);
    if (status == FATHOM_OK) status = arena_new(&arena, 1000, "a step", &err);
    arena_free(&arena);
    pool_free(pool);
    return status;
}

static void pools_and_arenas_survive(void) { sweep(start_and_stop, 3); }

static const struct test tests[] = {
    TEST(texts_and_paths_survive), TEST(files_survive),   TEST(directories_survive),
    TEST(json_survives),           TEST(options_survive), TEST(pools_and_arenas_survive),
};
HARNESS_MAIN(tests)
