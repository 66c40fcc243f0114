/* fathom pretrain */
#include "base/memory.h"
#include "device_options.h"
#include "text_sampler.h"
#include "train/pretrain.h"

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
    struct text_sampler sampler = {0};
    struct text words = {0};
    bool is_done = false;
    fathom_status status = command_rewrite_set(command, &words);
    if (status == FATHOM_OK)
        status = command_options(command, &pretrain_table, &o, &given, NULL, &is_done);
    if (status != FATHOM_OK || is_done) goto out;
    status = read_sources(command, &o, &given);
    if (status == FATHOM_OK) status = opened_device_open(&opened, command, o.threads, o.isa);
    if (status == FATHOM_OK && o.dry_run)
        status = pretrain_plan(&o, opened.device, command->out, command->err);
    else if (status == FATHOM_OK && o.sample_prompt)
        status = text_sampler_open(&sampler, &o, command->err);
    o.sampler = o.sample_prompt ? &sampler.base : NULL;
    if (status == FATHOM_OK && !o.dry_run) status = pretrain_run(&o, opened.device, command->err);
out:
    text_sampler_close(&sampler);
    opened_device_close(&opened);
    options_free(&pretrain_table, &o);
    text_free(&words);
    return status;
}
