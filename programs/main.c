/* fathom COMMAND [options]: the list of commands, help, exit status. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "command.h"

static const struct subcommand commands[] = {
    {"tokenizer", "train a tokenizer, encode and decode", command_tokenizer},
    {"data", "make, build and look at training data", command_data},
    {"init", "make a model with random weights", command_init},
    {"pretrain", "train a model on token shards", command_pretrain},
    {"extend", "lengthen a model's context", command_extend},
    {"watch", "follow training runs in the terminal", command_watch},
    {"report", "write a page about training runs", command_report},
    {"generate", "continue a text", command_generate},
    {"logits", "write a model's raw logits and hidden states", command_logits},
    {"eval", "measure a model: perplexity, finding facts", command_eval},
    {"inspect", "show what a model, checkpoint, dataset or file holds", command_inspect},
    {"bench", "measure the machine, the operations and training", command_bench},
};
enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

static void print_usage(FILE *out) {
    fputs("fathom " FATHOM_VERSION ": the DeepSeek-V3 family, from raw text to a served model\n\n"
          "usage: fathom COMMAND [options]\n\n",
          out);
    for (int i = 0; i < COMMAND_COUNT; i++)
        fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
    fputs("\n`fathom help COMMAND` lists a command's options, `fathom help --man COMMAND` is its "
          "man page,\n"
          "`fathom help --words COMMAND` is what a shell may complete. Exit status: 0 done, 1 "
          "failed,\n"
          "2 wrong usage.\n",
          out);
}

static void print_words(FILE *out) {
    for (int i = 0; i < COMMAND_COUNT; i++) fprintf(out, "%s\n", commands[i].name);
    fputs("help\n", out);
}

/* "help [--man|--words] COMMAND..." is "COMMAND... --help", in that form. */
static fathom_status run_help(struct command *command) {
    static char help_option[] = "--help";
    char *argv[3] = {NULL, NULL, NULL};
    int argc = 0;
    const char *form = command->argc > 0 ? command->argv[0] : "";
    if (strcmp(form, "--man") == 0) command->help = HELP_MAN;
    if (strcmp(form, "--words") == 0) command->help = HELP_WORDS;
    if (command->help != HELP_TEXT) {
        command->argc--;
        command->argv++;
    }
    if (command->argc == 0) {
        if (command->help == HELP_MAN)
            return error_set(command->err, FATHOM_USAGE, "help --man needs a command");
        if (command->help == HELP_WORDS)
            print_words(command->out);
        else
            print_usage(command->out);
        return FATHOM_OK;
    }
    for (int i = 0; i < command->argc && i < 2; i++) argv[argc++] = command->argv[i];
    argv[argc++] = help_option;
    struct command inner = *command;
    inner.argc = argc;
    inner.argv = argv;
    return command_dispatch(&inner, "fathom", commands, COMMAND_COUNT);
}

static fathom_status run(struct command *command) {
    const char *word = command->argc > 0 ? command->argv[0] : NULL;
    if (!word) {
        print_usage(stderr);
        return error_set(command->err, FATHOM_USAGE, "no command given; `fathom help` lists them");
    }
    if (strcmp(word, "--version") == 0) {
        fprintf(command->out, "fathom %s\n", FATHOM_VERSION);
        return FATHOM_OK;
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        print_usage(command->out);
        return FATHOM_OK;
    }
    if (strcmp(word, "help") == 0) {
        command->argc--;
        command->argv++;
        return run_help(command);
    }
    return command_dispatch(command, "fathom", commands, COMMAND_COUNT);
}

int main(int argc, char **argv) {
    struct log log;
    struct error err = {0};
    log_init(&log, stderr, LOG_INFO);
    interrupt_install();
    /* A closed reader and a file at its size limit are write errors with a message, not deaths. */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    struct command command = {
        .argc = argc - 1, .argv = argv + 1, .log = &log, .err = &err, .out = stdout};
    fathom_status status = run(&command);
    bool is_written = fflush(stdout) == 0 && !ferror(stdout);
    if (status == FATHOM_OK && !is_written)
        status = error_set_errno(&err, errno, "standard output cannot be written");
    if (status != FATHOM_OK && status != FATHOM_INTERRUPTED)
        fprintf(stderr, "fathom: %s\n", err.text);
    else if (status == FATHOM_INTERRUPTED && err.text[0])
        fprintf(stderr, "%s\n", err.text);
    return status_exit_code(status);
}
