/* fathom pretrain */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "device_options.h"
#include "train/pretrain.h"

/* "--set key=value" is another spelling of "--key=value". The new words live in `words`. */
static fathom_status rewrite_set(struct command *command, struct text *words) {
    struct error *err = command->err;
    int to = 0;
    size_t room = 0;
    for (int i = 0; i < command->argc; i++) room += strlen(command->argv[i]) + 3;
    TRY(mem_grow((void **)&words->data, 0, room + 1, 1, "arguments", err));
    words->capacity = room + 1;
    for (int i = 0; i < command->argc; i++) {
        char *word = command->argv[i];
        if (strcmp(word, "--set") != 0) {
            command->argv[to++] = word;
            continue;
        }
        if (i + 1 == command->argc || !strchr(command->argv[i + 1], '='))
            RAISE(FATHOM_USAGE, "--set needs key=value");
        char *copy = words->data + words->size;
        words->size += (size_t)sprintf(copy, "--%s", command->argv[++i]) + 1;
        command->argv[to++] = copy;
    }
    command->argc = to;
    return FATHOM_OK;
}

static fathom_status read_sources(struct command *command, struct pretrain_options *o,
                                  struct option_given *given) {
    struct error *err = command->err;
    if (o->recipe) TRY(options_read_recipe(&pretrain_table, o, given, o->recipe, err));
    if (o->resume) TRY(pretrain_recall(o, given, err));
    TRY(options_check_required(&pretrain_table, o, given, err));
    return pretrain_check(o, err);
}

fathom_status command_pretrain(struct command *command) {
    struct pretrain_options o = {0};
    struct option_given given = {0};
    struct opened_device opened = {0};
    struct text words = {0};
    bool is_done = false;
    fathom_status status = rewrite_set(command, &words);
    if (status == FATHOM_OK)
        status = command_options(command, &pretrain_table, &o, &given, NULL, &is_done);
    if (status != FATHOM_OK || is_done) goto out;
    status = read_sources(command, &o, &given);
    if (status == FATHOM_OK) status = opened_device_open(&opened, command, o.threads, o.isa);
    if (status == FATHOM_OK && o.dry_run)
        status = pretrain_plan(&o, opened.device, command->out, command->err);
    else if (status == FATHOM_OK)
        status = pretrain_run(&o, opened.device, command->err);
out:
    opened_device_close(&opened);
    options_free(&pretrain_table, &o);
    text_free(&words);
    return status;
}
