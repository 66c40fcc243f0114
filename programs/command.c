#include "command.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"

fathom_status command_options(struct command *command, const struct option_table *table,
                              void *values, struct option_given *given, int *positionals,
                              bool *is_done) {
    struct error *err = command->err;
    int ignored = 0;
    *is_done = false;
    TRY(options_default(table, values, err));
    TRY(options_parse(table, values, given, command->argc, command->argv,
                      positionals ? positionals : &ignored, is_done, err));
    if (*is_done) {
        struct text help = {0};
        switch (command->help) {
        case HELP_TEXT: options_help(table, &help); break;
        case HELP_MAN: options_man(table, &help); break;
        case HELP_WORDS: options_completion(table, &help); break;
        }
        fathom_status status = text_check(&help, err);
        if (status == FATHOM_OK) fputs(text_data(&help), command->out);
        text_free(&help);
        return status;
    }
    return FATHOM_OK;
}

static void list_members(const struct command *command, const char *name,
                         const struct subcommand *members, size_t count) {
    FILE *out = command->out;
    if (command->help == HELP_WORDS) {
        for (size_t i = 0; i < count; i++) fprintf(out, "%s\n", members[i].name);
        return;
    }
    fprintf(out, "usage: fathom %s COMMAND [options]\n\n", name);
    for (size_t i = 0; i < count; i++)
        fprintf(out, "  %-10s %s\n", members[i].name, members[i].summary);
    fprintf(out, "\n`fathom %s COMMAND --help` lists the options of one.\n", name);
}

fathom_status command_rewrite_set(struct command *command, struct text *words) {
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

fathom_status command_dispatch(struct command *command, const char *name,
                               const struct subcommand *members, size_t count) {
    struct error *err = command->err;
    const char *word = command->argc > 0 ? command->argv[0] : "";
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        if (command->help == HELP_MAN)
            RAISE(FATHOM_USAGE, "%s is a group of commands; each has a man page of its own", name);
        list_members(command, name, members, count);
        return FATHOM_OK;
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(word, members[i].name) != 0) continue;
        struct command member = *command;
        member.argc--;
        member.argv++;
        return members[i].run(&member);
    }
    struct text known = {0};
    for (size_t i = 0; i < count; i++) text_printf(&known, "%s%s", i ? ", " : "", members[i].name);
    fathom_status status =
        *word ? error_set(err, FATHOM_USAGE, "%s has no command \"%s\"; it has: %s", name, word,
                          text_data(&known))
              : error_set(err, FATHOM_USAGE, "%s needs a command: %s", name, text_data(&known));
    text_free(&known);
    return status;
}
