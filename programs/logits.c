/* fathom logits: raw logits and hidden states, for comparing engines */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "device_options.h"
#include "format/safetensors.h"
#include "model/files.h"
#include "model/run.h"
#include "text/tokenizer.h"

struct logits_options {
    char *model, *tokens, *out, *isa;
    int64_t threads;
    bool force;
};
static const struct option rows[] = {
    {"model", OPTION_STRING, offsetof(struct logits_options, model), 0, 0, NULL, NULL, "DIR",
     "model directory", true, false},
    {"tokens", OPTION_STRING, offsetof(struct logits_options, tokens), 0, 0, NULL, NULL, "1,2,3",
     "token ids, separated by commas", true, false},
    {"out", OPTION_STRING, offsetof(struct logits_options, out), 0, 0, NULL, NULL, "FILE",
     "safetensors file to write", true, false},
    {"force", OPTION_FLAG, offsetof(struct logits_options, force), 0, 0, NULL, NULL, NULL,
     "replace the file if it exists", false, false},
    OPTION_THREADS(struct logits_options),
    OPTION_ISA(struct logits_options),
};
static const struct option_table table = {
    "logits",
    "Write `tokens` [T], `logits` [T, V] and `hidden.i` [T, D] (the residual stream after layer "
    "i).",
    NULL,
    "Example: fathom logits --model run --tokens 1,2,3 --out logits.safetensors",
    rows,
    sizeof rows / sizeof rows[0]};

static fathom_status parse_tokens(char *text, struct token_list *list, struct error *err) {
    char *rest = NULL;
    for (char *word = strtok_r(text, ", ", &rest); word; word = strtok_r(NULL, ", ", &rest)) {
        int64_t id = 0;
        if (!string_to_i64(word, &id) || id < 0 || id > INT32_MAX)
            RAISE(FATHOM_USAGE, "--tokens: \"%s\" is not a token id", word);
        TRY(token_list_add(list, (int32_t)id, err));
    }
    if (list->count == 0) RAISE(FATHOM_USAGE, "--tokens is empty");
    return token_list_add(list, list->ids[list->count - 1], err); /* a target for the last */
}

struct pass_memory {
    struct run *run;
    struct stream stream;
    struct arena host, device, kept, scratch;
    struct tensor logits;
};

static fathom_status run_pass(struct pass_memory *m, const struct model *model,
                              const struct token_list *list, struct error *err) {
    const struct run_options run_options = {.only_measures = true};
    const struct train_batch_options options = {.vocab = model->config.vocab};
    int64_t T = (int64_t)list->count - 1;
    const struct sequence sequence = {.tokens = list->ids, .count = T};
    struct train_batch batch;
    struct run_bytes bytes;
    stream_init(&m->stream, model->device);
    TRY(run_measure(&bytes, model, 1, T, &run_options, err));
    TRY(run_new(&m->run, model, err));
    TRY(arena_new(&m->host, bytes.host, "a pass", err));
    TRY(arena_new(&m->device, bytes.device, "a pass", err));
    TRY(arena_new(&m->kept, bytes.kept, "a pass", err));
    TRY(arena_new(&m->scratch, bytes.scratch, "a pass", err));
    TRY(train_batch_build(&batch, &sequence, 1, &options, &m->host, &m->device, &m->stream, err));
    run_forward(m->run, &batch, &run_options, &m->stream, &m->kept, &m->scratch);

    m->logits = tensor_of(NULL, model->device->compute, T, model->config.vocab);
    TRY(mem_new(&m->logits.data, (size_t)tensor_count(m->logits), dtype_size(m->logits.dtype),
                "logits", err));
    model_logits(model, &m->stream, m->logits, m->run->hidden);
    return stream_check(&m->stream, err);
}

static fathom_status put_tensor(struct safetensors_writer *writer, const char *name,
                                struct tensor x, struct error *err) {
    return safetensors_writer_put(writer, name, x.data,
                                  (size_t)tensor_count(x) * dtype_size(x.dtype), err);
}

static fathom_status declare_all(struct safetensors_writer *writer, const struct pass_memory *m,
                                 const struct model_config *c, struct error *err) {
    const int64_t T = m->logits.rows;
    const int64_t wide[] = {T, c->vocab}, hidden[] = {T, c->dim};
    char name[32];
    TRY(safetensors_writer_declare(writer, "tokens", DTYPE_I32, 1, &T, err));
    TRY(safetensors_writer_declare(writer, "logits", m->logits.dtype, 2, wide, err));
    for (int64_t i = 0; i <= c->layers; i++) {
        snprintf(name, sizeof name, "hidden.%lld", (long long)i);
        TRY(safetensors_writer_declare(writer, name, m->logits.dtype, 2, hidden, err));
    }
    return FATHOM_OK;
}

static fathom_status put_all(struct safetensors_writer *writer, const struct pass_memory *m,
                             const struct model_config *c, const struct token_list *list,
                             const char *path, struct error *err) {
    char name[32];
    TRY(declare_all(writer, m, c, err));
    TRY(safetensors_writer_begin_file(writer, path, err));
    TRY(safetensors_writer_put(writer, "tokens", list->ids,
                               (size_t)m->logits.rows * sizeof *list->ids, err));
    TRY(put_tensor(writer, "logits", m->logits, err));
    for (int64_t i = 0; i <= c->layers; i++) {
        snprintf(name, sizeof name, "hidden.%lld", (long long)i);
        TRY(put_tensor(writer, name, m->run->x[i], err));
    }
    return FATHOM_OK;
}

static fathom_status write_pass(const struct pass_memory *m, const struct model *model,
                                const struct token_list *list, const char *path,
                                struct error *err) {
    struct safetensors_writer *writer = NULL;
    TRY(safetensors_writer_new(&writer, err));
    fathom_status status = put_all(writer, m, &model->config, list, path, err);
    if (status == FATHOM_OK) return safetensors_writer_commit(writer, err);
    safetensors_writer_abort(writer);
    return status;
}

fathom_status command_logits(struct command *command) {
    struct error *err = command->err;
    struct logits_options o = {0};
    struct option_given given = {0};
    struct opened_device opened = {0};
    struct token_list list = {0};
    struct pass_memory memory = {0};
    struct model *model = NULL;
    bool is_done = false;
    fathom_status status = command_options(command, &table, &o, &given, NULL, &is_done);
    if (status != FATHOM_OK || is_done) goto out;
    status = options_check_required(&table, &o, &given, err);
    if (status == FATHOM_OK && !o.force && path_exists(o.out))
        status = error_set(err, FATHOM_EXISTS, "%s exists already; --force replaces it", o.out);
    if (status == FATHOM_OK) status = parse_tokens(o.tokens, &list, err);
    if (status == FATHOM_OK) status = opened_device_open(&opened, command, o.threads, o.isa);
    if (status == FATHOM_OK) status = model_open(&model, opened.device, o.model, 0, err);
    if (status == FATHOM_OK) status = run_pass(&memory, model, &list, err);
    if (status == FATHOM_OK) status = write_pass(&memory, model, &list, o.out, err);
out:
    run_free(memory.run);
    arena_free(&memory.host);
    arena_free(&memory.device);
    arena_free(&memory.kept);
    arena_free(&memory.scratch);
    mem_free(memory.logits.data);
    model_free(model);
    token_list_free(&list);
    opened_device_close(&opened);
    options_free(&table, &o);
    return status;
}
