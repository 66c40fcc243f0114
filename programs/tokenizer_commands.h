/* Members of `fathom tokenizer`. */
#ifndef PROGRAMS_TOKENIZER_COMMANDS_H
#define PROGRAMS_TOKENIZER_COMMANDS_H

#include "command.h"

fathom_status command_tokenizer_train(struct command *command);
fathom_status command_tokenizer_show(struct command *command);
fathom_status command_tokenizer_compare(struct command *command);

#endif
