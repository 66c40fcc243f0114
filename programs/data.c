/* fathom data synth|build|show */
#include "data_commands.h"

fathom_status command_data(struct command *command) {
    static const struct subcommand members[] = {
        {"synth", "make the embedded corpus", command_data_synth},
        {"build", "text to token shards", command_data_build},
        {"show", "what token shards hold", command_data_show},
    };
    return command_dispatch(command, "data", members, sizeof members / sizeof members[0]);
}
