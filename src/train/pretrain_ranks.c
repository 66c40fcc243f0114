/* A run's ranks: one on the caller's device, or threads of this process with a device each. */
#include "comm/loopback.h"
#include "train/pretrain.h"

struct rank_arg {
    const struct pretrain_options *options;
    const struct device *like; /* the caller's, whose threads the ranks divide */
};

static fathom_status rank_main(void *arg, struct comm *comm, struct error *err) {
    const struct rank_arg *a = arg;
    struct engine *engine = NULL;
    struct device *device = NULL;
    const int all = pool_threads(a->like->engine->pool);
    const int threads = all / comm->size + (comm->rank < all % comm->size);
    TRY(engine_new(&engine, threads > 0 ? threads : 1, err));
    engine->log = a->like->engine->log;
    if (comm->rank > 0) engine->log.stream = NULL; /* rank 0 speaks for all */
    fathom_status status = device_open(&device, engine, a->like->driver->name, a->like->isa, err);
    if (status == FATHOM_OK) status = pretrain_run_rank(a->options, device, comm, err);
    device_close(device);
    engine_free(engine);
    return status;
}

fathom_status pretrain_run(const struct pretrain_options *options, struct device *device,
                           struct error *err) {
    struct rank_arg arg = {options, device};
    if (options->ranks == 1) return pretrain_run_rank(options, device, NULL, err);
    return comm_run_loopback((int)options->ranks, rank_main, &arg, err);
}
