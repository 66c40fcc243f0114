/* fathom report: a page about training runs */
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "command.h"
#include "train/report.h"

struct report_options {
    char *out;
    bool force;
};
static const struct option rows[] = {
    {"out", OPTION_STRING, offsetof(struct report_options, out), 0, 0, NULL, NULL, "FILE",
     "the page; - is standard output; default: report.html in the first DIR", false, false},
    {"force", OPTION_FLAG, offsetof(struct report_options, force), 0, 0, NULL, NULL, NULL,
     "replace the file given with --out", false, false},
};
static const struct option_table table = {
    "report",
    "Write one HTML file about training runs: curves, balance of the experts, options.",
    "DIR...",
    "A DIR is what pretrain --out made; several are drawn together. The page needs nothing else.\n"
    "Example: fathom report run",
    rows,
    sizeof rows / sizeof rows[0]};

static fathom_status write_page(struct command *command, const struct report_options *o,
                                const char *path, const struct text *page) {
    struct error *err = command->err;
    struct file_writer *file = NULL;
    if (strcmp(path, "-") == 0) {
        fwrite(text_data(page), 1, page->size, command->out);
        return FATHOM_OK;
    }
    if (o->out && !o->force && path_exists(path))
        RAISE(FATHOM_EXISTS, "%s exists already; --force replaces it", path);
    TRY(file_writer_open(&file, path, err));
    file_writer_put(file, text_data(page), page->size);
    TRY(file_writer_commit(file, err));
    log_line(command->log, LOG_INFO, "%s", path);
    return FATHOM_OK;
}

static fathom_status report(struct command *command, const struct report_options *o,
                            const char *const *directories, int count) {
    struct error *err = command->err;
    struct text page = {0};
    char *path = NULL;
    if (count == 0) RAISE(FATHOM_USAGE, "report needs the directory of a run");
    fathom_status status = report_html(directories, (size_t)count, &page, err);
    if (status == FATHOM_OK)
        status = o->out ? string_copy(&path, o->out, err)
                        : path_join(&path, directories[0], "report.html", err);
    if (status == FATHOM_OK) status = write_page(command, o, path, &page);
    mem_free(path);
    text_free(&page);
    return status;
}

fathom_status command_report(struct command *command) {
    struct report_options o = {0};
    struct option_given given = {0};
    int count = 0;
    bool is_done = false;
    fathom_status status = command_options(command, &table, &o, &given, &count, &is_done);
    if (status == FATHOM_OK && !is_done)
        status = report(command, &o, (const char *const *)command->argv, count);
    options_free(&table, &o);
    return status;
}
