/* What every subcommand receives. One thin file per subcommand; programs/main.c has the list. */
#ifndef PROGRAMS_COMMAND_H
#define PROGRAMS_COMMAND_H

#include <stdio.h>

#include "base/log.h"
#include "base/options.h"
#include "base/status.h"

/* What --help prints: text for people, a man page, or the words that may follow, for a shell. */
enum help_form { HELP_TEXT, HELP_MAN, HELP_WORDS };

struct command {
    int argc;    /* arguments after the command's word(s) */
    char **argv; /* may be permuted by options_parse */
    struct log *log;
    struct error *err;
    FILE *out; /* results; everything else goes to the log */
    enum help_form help;
};

fathom_status command_bench(struct command *command);
fathom_status command_data(struct command *command);
fathom_status command_eval(struct command *command);
fathom_status command_extend(struct command *command);
fathom_status command_generate(struct command *command);
fathom_status command_init(struct command *command);
fathom_status command_inspect(struct command *command);
fathom_status command_logits(struct command *command);
fathom_status command_pretrain(struct command *command);
fathom_status command_report(struct command *command);
fathom_status command_tokenizer(struct command *command);
fathom_status command_watch(struct command *command);

/* Members of command_bench. */
fathom_status command_bench_machine(struct command *command);
fathom_status command_bench_ops(struct command *command);
fathom_status command_bench_train(struct command *command);
fathom_status command_bench_text(struct command *command);

/* Defaults, arguments, required options. *is_done is set when help was printed to command->out.
 * Call options_free afterwards, whatever the outcome. */
fathom_status command_options(struct command *command, const struct option_table *table,
                              void *values, struct option_given *given, int *positionals,
                              bool *is_done);

/* "--set key=value" becomes "--key=value", for commands with recipes. The new words live in
 * `words`, which outlives argv. */
fathom_status command_rewrite_set(struct command *command, struct text *words);

/* A member of a command with sub-words: the word argv[0] picks. */
struct subcommand {
    const char *name;
    const char *summary;
    fathom_status (*run)(struct command *command);
};
/* Runs the member named by argv[0] with the arguments behind it; without one, or with --help, lists
 * them. `name` is the command's own. */
fathom_status command_dispatch(struct command *command, const char *name,
                               const struct subcommand *members, size_t count);

#endif
