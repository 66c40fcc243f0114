/* fathom init: a new model with random weights */
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "device_options.h"
#include "model/files.h"
#include "model/sizes.h"
#include "named_config.h"
#include "text/tokenizer.h"

struct init_options {
    char *config, *tokenizer, *out, *isa;
    int64_t seed, threads;
    double std;
    bool force;
};
static const struct option rows[] = {
    {"config", OPTION_STRING, offsetof(struct init_options, config), 0, 0, NULL, NULL, "NAME|FILE",
     "shape: nano, quickstart, small, v2-lite, v2, v3, or a config.json", true, true},
    {"tokenizer", OPTION_STRING, offsetof(struct init_options, tokenizer), 0, 0, NULL, NULL, "DIR",
     "directory with the model's tokenizer.json", true, false},
    {"out", OPTION_STRING, offsetof(struct init_options, out), 0, 0, NULL, NULL, "DIR",
     "the new model", true, false},
    {"seed", OPTION_INT, offsetof(struct init_options, seed), 0, 9e15, "1", NULL, "N",
     "of the random weights", false, true},
    {"init-std", OPTION_FLOAT, offsetof(struct init_options, std), 0, 10, "0", NULL, "X",
     "deviation of the weights; 0: the config's initializer_range (V3's report: 0.006)", false,
     true},
    {"force", OPTION_FLAG, offsetof(struct init_options, force), 0, 0, NULL, NULL, NULL,
     "replace what is in the output directory", false, false},
    OPTION_THREADS(struct init_options),
    OPTION_ISA(struct init_options),
};
static const struct option_table table = {
    "init",
    "Make a model directory with random weights.",
    NULL,
    "A vocabulary_size of the config that is larger than the tokenizer's is kept; a smaller one "
    "is\n"
    "refused. bos and eos come from the tokenizer.\n"
    "Example: fathom init --config quickstart --tokenizer tok --out init",
    rows,
    sizeof rows / sizeof rows[0]};

static fathom_status fit_tokenizer(struct model_config *config, const struct tokenizer *t,
                                   const struct init_options *o, struct error *err) {
    int32_t vocab = tokenizer_vocab_size(t);
    if (config->vocab < vocab)
        RAISE(FATHOM_BAD_INPUT, "%s: vocab_size %lld is smaller than the %d tokens of %s",
              o->config, (long long)config->vocab, vocab, o->tokenizer);
    config->bos = tokenizer_bos(t);
    config->eos = tokenizer_eos(t);
    return FATHOM_OK;
}

static fathom_status save_generation_config(const struct model_config *c, const char *directory,
                                            struct error *err) {
    char *path = NULL;
    struct file_writer *file = NULL;
    TRY(path_join(&path, directory, "generation_config.json", err));
    fathom_status status = file_writer_open(&file, path, err);
    mem_free(path);
    TRY(status);
    file_writer_printf(file, "{\n  \"bos_token_id\": %lld,\n  \"eos_token_id\": %lld,\n",
                       (long long)c->bos, (long long)c->eos);
    file_writer_printf(file,
                       "  \"do_sample\": true,\n  \"temperature\": 1.0,\n  \"top_p\": 1.0\n}\n");
    return file_writer_commit(file, err);
}

static fathom_status fill_directory(const struct model *model, const struct tokenizer *t,
                                    const char *directory, struct error *err) {
    TRY(model_save(model, directory, 0, err));
    TRY(tokenizer_save(t, directory, err));
    return save_generation_config(&model->config, directory, err);
}

static fathom_status save_model(const struct model *model, const struct tokenizer *t,
                                const struct init_options *o, struct error *err) {
    char *temporary = NULL;
    TRY(directory_begin(&temporary, o->out, o->force, err));
    fathom_status status = fill_directory(model, t, temporary, err);
    if (status == FATHOM_OK) return directory_commit(temporary, o->out, o->force, err);
    directory_abort(temporary);
    return status;
}

static fathom_status make_model(struct command *command, const struct init_options *o,
                                struct device *device) {
    struct error *err = command->err;
    struct model_config config;
    struct tokenizer *t = NULL;
    struct model *model = NULL;
    struct model_sizes sizes;
    char total[32], active[32];
    TRY(config_named(&config, o->config, err));
    TRY(tokenizer_open(&t, o->tokenizer, err));
    fathom_status status = fit_tokenizer(&config, t, o, err);
    if (status == FATHOM_OK) status = model_new(&model, device, &config, 0, err);
    if (status == FATHOM_OK) status = model_init(model, (uint64_t)o->seed, o->std, err);
    if (status == FATHOM_OK) status = save_model(model, t, o, err);
    if (status == FATHOM_OK) {
        model_sizes(&model->params, &config, &sizes);
        log_line(command->log, LOG_INFO, "%s: %s parameters, %s active per token", o->out,
                 format_count(total, (double)(sizes.total + sizes.mtp_total)),
                 format_count(active, (double)sizes.active));
    }
    model_free(model);
    tokenizer_free(t);
    return status;
}

fathom_status command_init(struct command *command) {
    struct error *err = command->err;
    struct init_options o = {0};
    struct option_given given = {0};
    struct opened_device opened = {0};
    bool is_done = false;
    fathom_status status = command_options(command, &table, &o, &given, NULL, &is_done);
    if (status != FATHOM_OK || is_done) goto out;
    status = options_check_required(&table, &o, &given, err);
    if (status == FATHOM_OK && !o.force && path_exists(o.out))
        status = error_set(err, FATHOM_EXISTS, "%s exists already; --force replaces it", o.out);
    if (status == FATHOM_OK) status = opened_device_open(&opened, command, o.threads, o.isa);
    if (status == FATHOM_OK) status = make_model(command, &o, opened.device);
out:
    opened_device_close(&opened);
    options_free(&table, &o);
    return status;
}
