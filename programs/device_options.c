#include "device_options.h"

fathom_status opened_device_open(struct opened_device *opened, struct command *command,
                                 int64_t threads, const char *isa) {
    struct error *err = command->err;
    *opened = (struct opened_device){0};
    TRY(engine_new(&opened->engine, (int)threads, err));
    opened->engine->log = *command->log;
    return device_open(&opened->device, opened->engine, "cpu", isa, err);
}

void opened_device_close(struct opened_device *opened) {
    device_close(opened->device);
    engine_free(opened->engine);
    *opened = (struct opened_device){0};
}
