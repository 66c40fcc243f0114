/* fathom extend */
#include "device_options.h"
#include "train/extend.h"

static fathom_status read_sources(const struct option_table *table, struct command *command,
                                  struct extend_options *o, struct option_given *given) {
    struct error *err = command->err;
    if (o->train.recipe) TRY(options_read_recipe(table, o, given, o->train.recipe, err));
    if (o->train.resume) TRY(extend_recall(table, o, given, err));
    return options_check_required(table, o, given, err);
}

fathom_status command_extend(struct command *command) {
    struct extend_table t;
    struct extend_options o = {0};
    struct option_given given = {0};
    struct opened_device opened = {0};
    struct text words = {0};
    bool is_done = false;
    extend_table_make(&t);
    fathom_status status = command_rewrite_set(command, &words);
    if (status == FATHOM_OK)
        status = command_options(command, &t.table, &o, &given, NULL, &is_done);
    if (status != FATHOM_OK || is_done) goto out;
    status = read_sources(&t.table, command, &o, &given);
    if (status == FATHOM_OK)
        status = opened_device_open(&opened, command, o.train.threads, o.train.isa);
    if (status == FATHOM_OK && o.train.dry_run)
        status = extend_plan(&o, opened.device, command->out, command->err);
    else if (status == FATHOM_OK)
        status = extend_run(&t.table, &o, opened.device, command->err);
out:
    opened_device_close(&opened);
    options_free(&t.table, &o);
    text_free(&words);
    return status;
}
