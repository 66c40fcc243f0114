/* Members of `fathom data`. */
#ifndef PROGRAMS_DATA_COMMANDS_H
#define PROGRAMS_DATA_COMMANDS_H

#include "command.h"

fathom_status command_data_synth(struct command *command);
fathom_status command_data_build(struct command *command);
fathom_status command_data_show(struct command *command);

#endif
