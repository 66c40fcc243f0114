/* Option tables: one table per command gives argument parsing, --help, recipe files (INI),
 * --set key=value, the record inside a checkpoint, shell completion and the man page. */
#ifndef BASE_OPTIONS_H
#define BASE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json.h"
#include "base/status.h"
#include "base/text.h"

enum option_type {
    OPTION_FLAG,   /* bool; --name, --no-name; yes/no/true/false/1/0 in recipes */
    OPTION_INT,    /* int64_t in [low, high]; accepts K, M, G, T suffixes (powers of 1000) */
    OPTION_FLOAT,  /* double in [low, high], finite */
    OPTION_STRING, /* char *, owned by the options block (options_free) */
    OPTION_CHOICE, /* int: index into `choices`, "a|b|c" */
    OPTION_BYTES,  /* uint64_t, "4G"; powers of 1024 */
};

struct option {
    const char *name; /* "learning-rate": --learning-rate X; learning-rate = X in a recipe */
    enum option_type type;
    size_t offset;            /* of the field in the command's options struct */
    double low, high;         /* inclusive range for INT and FLOAT; both 0: any */
    const char *default_text; /* parsed like an argument; NULL: zero / not given */
    const char *choices;      /* OPTION_CHOICE only */
    const char *value_name;   /* "N", "FILE", "DIR": for --help */
    const char *help;         /* one sentence, no full stop */
    bool is_required;
    bool is_recorded; /* changes the result: written to checkpoints and compared on resume */
};

struct option_table {
    const char *command;     /* "tokenizer train" */
    const char *summary;     /* one line */
    const char *positionals; /* "FILE..." for the usage line; NULL: none are accepted */
    const char *notes;       /* free text after the options in --help: examples; may be NULL */
    const struct option *options;
    size_t count;
};

/* Every option of every table also accepts --help. A struct of options starts zeroed; the parser
 * keeps which options were given in a bit set that the caller holds. */
struct option_given {
    uint64_t bits[4]; /* option i of the table was given explicitly; tables have at most 256 rows */
};
bool option_was_given(const struct option_table *table, const struct option_given *given,
                      const char *name);

/* Fills the defaults. */
fathom_status options_default(const struct option_table *table, void *values, struct error *err);
/* Parses argv[0..argc): "--name value", "--name=value", "--" ends options; a value that begins with
 * two dashes needs the "=" form. Positionals are moved to the front of argv and counted in
 * *positionals. *help is set on --help or -h (nothing else then matters). Unknown options name the
 * nearest known one. Call options_default first. */
fathom_status options_parse(const struct option_table *table, void *values,
                            struct option_given *given, int argc, char **argv, int *positionals,
                            bool *help, struct error *err);
/* One assignment, as from --set key=value. */
fathom_status options_set(const struct option_table *table, void *values,
                          struct option_given *given, const char *key, const char *value,
                          struct error *err);
/* A recipe: "key = value" lines of at most 198 bytes, indented or not, '#' or ';' comments,
 * sections in brackets are headings that do not change the key; a key stands once. Options that
 * were given on the command line already keep their value. Errors name the file and line. */
fathom_status options_read_recipe(const struct option_table *table, void *values,
                                  struct option_given *given, const char *path, struct error *err);
/* The same for a text in memory; `name` stands for the file in messages. */
fathom_status options_read_recipe_text(const struct option_table *table, void *values,
                                       struct option_given *given, const char *text, size_t size,
                                       const char *name, struct error *err);
/* After all sources: a missing required option is FATHOM_USAGE. */
fathom_status options_check_required(const struct option_table *table, const void *values,
                                     const struct option_given *given, struct error *err);
void options_free(const struct option_table *table, void *values);

/* "usage: fathom COMMAND [options] FILE...", summary, options with defaults, notes. */
void options_help(const struct option_table *table, struct text *out);
/* {"learning-rate": 0.001, ...}; recorded_only leaves out what does not change the result. */
void options_to_json(const struct option_table *table, const void *values, bool recorded_only,
                     struct text *out);
/* Names in a recorded object whose value differs from `values`, "name: was X, is Y" joined by "; ".
 * Empty when equal. An option that the record does not name is newer than it: it was at its
 * default, which leaves a run as it was before there was the option. */
fathom_status options_compare_json(const struct option_table *table, const void *values,
                                   const json_node *recorded, struct text *differences,
                                   struct error *err);
/* Takes every option that was not given from a recorded object. A given one that differs from what
 * was recorded and changes the result is FATHOM_USAGE: "WHAT: resuming would change the run" and
 * the differences. */
fathom_status options_recall(const struct option_table *table, void *values,
                             struct option_given *given, const json_node *recorded,
                             const char *what, struct error *err);
/* Man page (roff) and bash completion words. */
void options_man(const struct option_table *table, struct text *out);
void options_completion(const struct option_table *table, struct text *out);

#endif
