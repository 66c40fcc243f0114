#include "data_test.h"

#include "data/part_log.h"

static struct error err;

static struct part_log *open_log(int64_t parts) {
    struct part_log *log;
    CHECK_OK(part_log_open(&log, harness_directory(), "log", parts, &err), &err);
    return log;
}

static void put(struct part_log *log, const char *text) {
    CHECK_OK(part_log_put(log, text, strlen(text), &err), &err);
}

/* Each part with a bar behind it. */
static fathom_status gather(void *arg, const void *bytes, size_t size, struct error *error) {
    (void)error;
    text_append(arg, bytes, size);
    text_append_char(arg, '|');
    return FATHOM_OK;
}

static const char *content(const struct part_log *log) {
    static struct text text;
    text_clear(&text);
    CHECK_OK(part_log_read(log, gather, &text, &err), &err);
    return text_data(&text);
}

static void what_was_cut_is_there_and_the_rest_is_not(void) {
    struct part_log *log = open_log(0);
    CHECK_STR(content(log), "");
    put(log, "one, ");
    put(log, "two");
    CHECK_STR(content(log), "");
    CHECK_OK(part_log_cut(log, &err), &err);
    CHECK_OK(part_log_cut(log, &err), &err);
    put(log, "three");
    CHECK_OK(part_log_cut(log, &err), &err);
    put(log, "lost");
    CHECK_STR(content(log), "one, two||three|");
    part_log_close(log);

    log = open_log(2); /* as a checkpoint knew it: the third part is written again */
    CHECK_STR(content(log), "one, two||");
    put(log, "another");
    CHECK_OK(part_log_cut(log, &err), &err);
    CHECK_STR(content(log), "one, two||another|");
    CHECK_OK(part_log_remove(log, &err), &err);
    CHECK_STR(content(log), "");
    for (int i = 0; i < 3; i++) {
        char name[32];
        snprintf(name, sizeof name, "log.part-0000%d", i);
        CHECK(!path_exists(test_path(name)));
    }
    part_log_close(log);
}

static void damage_is_noticed(void) {
    struct part_log *log = open_log(0);
    size_t size;
    put(log, "some bytes");
    CHECK_OK(part_log_cut(log, &err), &err);
    const char *bytes = load(test_path("log.part-00000"), &size);
    for (size_t i = 0; i < size; i++) {
        char *copy = harness_keep(malloc(size));
        memcpy(copy, bytes, size);
        copy[i] ^= 4;
        store("log.part-00000", copy, size);
        CHECK_STATUS(part_log_read(log, gather, &(struct text){0}, &err), FATHOM_BAD_INPUT);
        CHECK_HAS(err.text, "log.part-00000: the checksum does not fit");
        store("log.part-00000", bytes, i);
        CHECK_STATUS(part_log_read(log, gather, &(struct text){0}, &err), FATHOM_BAD_INPUT);
    }
    CHECK_OK(path_remove(test_path("log.part-00000"), &err), &err);
    CHECK_STATUS(part_log_read(log, gather, &(struct text){0}, &err), FATHOM_IO);
    part_log_close(log);
}

static const struct test tests[] = {
    TEST(what_was_cut_is_there_and_the_rest_is_not),
    TEST(damage_is_noticed),
};
HARNESS_MAIN(tests)
