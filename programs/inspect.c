/* fathom inspect: what a model, checkpoint, dataset, safetensors file or training state holds */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "command.h"
#include "format/safetensors.h"
#include "format/shard.h"
#include "format/state.h"
#include "model/sizes.h"

struct inspect_options {
    bool tensors, check;
};
static const struct option rows[] = {
    {"tensors", OPTION_FLAG, offsetof(struct inspect_options, tensors), 0, 0, NULL, NULL, NULL,
     "list every tensor", false, false},
    {"check", OPTION_FLAG, offsetof(struct inspect_options, check), 0, 0, NULL, NULL, NULL,
     "read everything: checksums, numbers that are not finite", false, false},
};
static const struct option_table table = {
    "inspect", "Show what a model, checkpoint, dataset, safetensors file or training state holds.",
    "PATH...", NULL,
    rows,      sizeof rows / sizeof rows[0]};

/* ---- tensors ---- */

static fathom_status check_finite(const struct safetensors_entry *entry, struct error *err) {
    enum { CHUNK = 4096 };
    float values[CHUNK];
    int64_t count = safetensors_elements(entry);
    if (!dtype_is_float(entry->dtype)) return FATHOM_OK;
    for (int64_t at = 0; at < count; at += CHUNK) {
        int64_t part = count - at < CHUNK ? count - at : CHUNK;
        dtype_to_f32(values, (const char *)entry->data + (size_t)at * dtype_size(entry->dtype),
                     entry->dtype, (size_t)part);
        for (int64_t i = 0; i < part; i++)
            if (!isfinite(values[i]))
                RAISE(FATHOM_NOT_FINITE, "%s: %s holds %g at element %lld", entry->file,
                      entry->name, (double)values[i], (long long)(at + i));
    }
    return FATHOM_OK;
}

static fathom_status show_tensors(const char *path, const struct inspect_options *o, FILE *out,
                                  struct error *err) {
    struct safetensors *st = NULL;
    char shape[SAFETENSORS_SHAPE_TEXT], total[32];
    uint64_t bytes = 0;
    fathom_status status = FATHOM_OK;
    TRY(safetensors_open(&st, path, err));
    for (size_t i = 0; i < safetensors_count(st) && status == FATHOM_OK; i++) {
        const struct safetensors_entry *entry = safetensors_at(st, i);
        bytes += entry->size;
        if (o->tensors)
            fprintf(out, "  %-8s %-18s %s\n", entry->dtype_name,
                    safetensors_shape_text(entry, shape), entry->name);
        if (o->check) status = check_finite(entry, err);
    }
    fprintf(out, "tensors       %zu, %s%s\n", safetensors_count(st),
            format_bytes(total, (double)bytes),
            o->check && status == FATHOM_OK ? ", all finite" : "");
    safetensors_close(st);
    return status;
}

/* ---- kinds of path ---- */

static fathom_status show_config(const char *path, FILE *out, struct error *err) {
    struct model_config c;
    struct param_list list;
    struct model_sizes sizes;
    char total[32], active[32], mtp[32];
    TRY(config_read(&c, path, err));
    TRY(param_list_new(&list, &c, err));
    model_sizes(&list, &c, &sizes);
    param_list_free(&list);
    fprintf(out, "model         %s: %lld layers of width %lld, %lld heads, vocabulary %lld\n",
            family_name(c.family), (long long)c.layers, (long long)c.dim, (long long)c.heads,
            (long long)c.vocab);
    if (c.is_mla)
        fprintf(out,
                "attention     MLA, latents q %lld kv %lld, head %lld + %lld rope, value %lld\n",
                (long long)c.q_rank, (long long)c.kv_rank, (long long)c.dim_nope,
                (long long)c.dim_rope, (long long)c.dim_value);
    else
        fprintf(out, "attention     GQA, %lld key heads of %lld\n", (long long)c.kv_heads,
                (long long)c.dim_nope);
    if (c.experts > 0)
        fprintf(out, "experts       %lld of %lld and %lld shared, %lld of width %lld\n",
                (long long)c.active_experts, (long long)c.experts, (long long)c.shared_experts,
                (long long)c.experts, (long long)c.expert_dim);
    fprintf(out, "parameters    %s total, %s active per token",
            format_count(total, (double)sizes.total), format_count(active, (double)sizes.active));
    if (c.mtp_modules > 0)
        fprintf(out, ", %lld MTP module(s) with %s", (long long)c.mtp_modules,
                format_count(mtp, (double)sizes.mtp_total));
    fputc('\n', out);
    return FATHOM_OK;
}

static fathom_status show_split(const char *path, enum shard_split split, bool check, FILE *out,
                                struct error *err) {
    struct shard_set *set = NULL;
    char tokens[32], bytes[32];
    TRY(shard_set_open(&set, path, split, err));
    fathom_status status = check ? shard_set_verify(set, err) : FATHOM_OK;
    fprintf(out, "%-13s %s tokens, %lld documents, %s of text, %zu files%s\n",
            shard_split_name(split), format_count(tokens, (double)shard_set_tokens(set)),
            (long long)shard_set_documents(set),
            format_bytes(bytes, (double)shard_set_text_bytes(set)), shard_set_files(set),
            check && status == FATHOM_OK ? ", checksums right" : "");
    shard_set_close(set);
    return status;
}

static fathom_status show_dataset(const char *path, bool check, FILE *out, struct error *err) {
    for (int split = 0; split < SHARD_SPLITS; split++)
        TRY(show_split(path, (enum shard_split)split, check, out, err));
    return FATHOM_OK;
}

static fathom_status show_state(const char *path, bool check, FILE *out, struct error *err) {
    struct state *state = NULL;
    TRY(state_open(&state, path, err));
    const struct state_info *info = state_get_info(state);
    fprintf(out, "training      step %lld, %lld tokens, seed %llu\n", (long long)info->step,
            (long long)info->tokens_seen, (unsigned long long)info->seed);
    fathom_status status = check ? state_verify(state, err) : FATHOM_OK;
    if (check && status == FATHOM_OK) fputs("state         checksums right\n", out);
    state_close(state);
    return status;
}

static bool holds(const char *directory, const char *name) {
    char *path = NULL;
    if (path_join(&path, directory, name, NULL) != FATHOM_OK) return false;
    bool is_there = path_exists(path);
    mem_free(path);
    return is_there;
}

static fathom_status show_member_state(const char *path, bool check, FILE *out, struct error *err) {
    char *state = NULL;
    if (!holds(path, "state")) return FATHOM_OK;
    TRY(path_join(&state, path, "state", err));
    fathom_status status = show_state(state, check, out, err);
    mem_free(state);
    return status;
}

static fathom_status inspect_path(const char *path, const struct inspect_options *o, FILE *out,
                                  struct error *err) {
    fprintf(out, "%s\n", path);
    if (!path_exists(path)) RAISE(FATHOM_IO, "%s: there is no such file or directory", path);
    if (!path_is_directory(path)) return show_tensors(path, o, out, err);
    if (holds(path, "meta.json")) return show_dataset(path, o->check, out, err);
    if (holds(path, "state.json")) return show_state(path, o->check, out, err);
    if (!holds(path, "config.json"))
        RAISE(
            FATHOM_BAD_INPUT,
            "%s: no config.json (a model), meta.json (token shards) or state.json (training state)",
            path);
    TRY(show_config(path, out, err));
    if (holds(path, "model.safetensors") || holds(path, "model.safetensors.index.json"))
        TRY(show_tensors(path, o, out, err));
    return show_member_state(path, o->check, out, err);
}

fathom_status command_inspect(struct command *command) {
    struct error *err = command->err;
    struct inspect_options o = {0};
    struct option_given given = {0};
    int paths = 0;
    bool is_done = false;
    fathom_status status = command_options(command, &table, &o, &given, &paths, &is_done);
    if (status != FATHOM_OK || is_done) goto out;
    if (paths == 0) status = error_set(err, FATHOM_USAGE, "inspect needs a PATH");
    for (int i = 0; i < paths && status == FATHOM_OK; i++)
        status = inspect_path(command->argv[i], &o, command->out, err);
out:
    options_free(&table, &o);
    return status;
}
