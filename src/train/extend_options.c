/* The options of an extension: pretrain's and its own. */
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "train/extend.h"

/* What an extension sets itself: the length and the schedule of a phase. */
static const char *const left_out[] = {
    "steps",        "sequence-length", "batch-from",   "ramp-tokens", "constant-until",
    "cosine-until", "last-from",       "final-ratio",  "last-ratio",  "mtp-weight-last",
    "mtp-until",    "bias-until",      "skip-batches",
};

/* Rows with another default or help; NULL: as they are. */
static const struct {
    const char *name, *default_text, *help;
} changed[] = {
    {"model", NULL, "model to start from, with its tokenizer (see fathom pretrain)"},
    {"data", NULL, "token shards with long documents; one for all phases or one each: D1,D2"},
    {"out", NULL, "a run for every phase, and the extended model"},
    {"resume", NULL, "continue in --out, bit for bit"},
    {"batch", "8", "sequences in a step of the first phase; the others have as many tokens"},
    {"micro-batch", "2", "the same, that are computed at once"},
    {"heldout-sequences", NULL, "the same, that the held-out loss is measured on"},
    {"learning-rate", "6.6e-5", "constant after the warm-up"},
    {"warmup", "0", NULL},
    {"mtp-weight", "0.1", NULL},
    {"bias-speed", "0", NULL},
    {"whole-documents", "yes", NULL},
};

#define AT(field) offsetof(struct extend_options, field)
static const struct option own_rows[] = {
    {"lengths", OPTION_STRING, AT(lengths), 0, 0, NULL, NULL, "LIST",
     "tokens in a sequence of each phase, such as 2048,8192", true, true},
    {"steps", OPTION_STRING, AT(steps), 0, 0, "1000", NULL, "LIST",
     "optimizer steps of each phase, or one number for all", false, true},
    {"original", OPTION_INT, AT(original), 0, 1 << 24, "0", NULL, "T",
     "tokens that the model was trained with; 0: as its run recorded, else its positions", false,
     true},
};
enum { OWN_ROWS = sizeof own_rows / sizeof own_rows[0] };
_Static_assert(offsetof(struct extend_options, train) == 0, "pretrain's rows point into train");

static bool is_left_out(const char *name) {
    for (size_t i = 0; i < sizeof left_out / sizeof left_out[0]; i++)
        if (strcmp(left_out[i], name) == 0) return true;
    return false;
}

static void change(struct option *row) {
    for (size_t i = 0; i < sizeof changed / sizeof changed[0]; i++) {
        if (strcmp(changed[i].name, row->name) != 0) continue;
        if (changed[i].default_text) row->default_text = changed[i].default_text;
        if (changed[i].help) row->help = changed[i].help;
    }
}

void extend_table_make(struct extend_table *t) {
    size_t count = 0;
    for (size_t i = 0; i < OWN_ROWS; i++) t->rows[count++] = own_rows[i];
    for (size_t i = 0; i < pretrain_table.count && count < EXTEND_ROWS; i++) {
        if (is_left_out(pretrain_table.options[i].name)) continue;
        t->rows[count] = pretrain_table.options[i];
        change(&t->rows[count++]);
    }
    t->table = (struct option_table){
        .command = "extend",
        .summary = "Lengthen the context of a model with YaRN, in phases.",
        .notes =
            "Example: fathom extend --model run --data long --out extended --lengths 2048,8192\n"
            "An interrupt (Ctrl-C) saves; `fathom extend --resume --out extended` continues.",
        .options = t->rows,
        .count = count,
    };
}

/* ---- recall ---- */

enum { RECORD_MAX_BYTES = 1 << 20 };

fathom_status extend_recall(const struct option_table *table, struct extend_options *options,
                            struct option_given *given, struct error *err) {
    const char *out = options->train.out;
    char *path = NULL, *text = NULL;
    size_t size = 0;
    json_node *recorded = NULL;
    if (!out) RAISE(FATHOM_USAGE, "--resume needs --out DIR: the extension to continue");
    TRY(path_join(&path, out, "extend.json", err));
    fathom_status status = file_read(path, RECORD_MAX_BYTES, &text, &size, err);
    if (status == FATHOM_OK) status = json_parse(&recorded, text, size, path, err);
    if (status == FATHOM_OK && !json_is_object(recorded))
        status = error_set(err, FATHOM_BAD_INPUT, "%s: not an object", path);
    if (status == FATHOM_OK) status = options_recall(table, options, given, recorded, out, err);
    options->train.resume = true;
    json_free(recorded);
    mem_free(text);
    mem_free(path);
    return status;
}
