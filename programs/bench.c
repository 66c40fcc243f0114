/* fathom bench machine|ops|train|text */
#include "command.h"

fathom_status command_bench(struct command *command) {
    static const struct subcommand members[] = {
        {"machine", "multiply-add peak, memory bandwidth", command_bench_machine},
        {"ops", "every operation against the machine's limit", command_bench_ops},
        {"train", "whole training steps against the machine's limit", command_bench_train},
        {"text", "a tokenizer's megabytes per second", command_bench_text},
    };
    return command_dispatch(command, "bench", members, sizeof members / sizeof members[0]);
}
