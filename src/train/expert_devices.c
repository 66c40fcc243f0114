#include "train/expert_devices.h"

#include "base/rng.h"

/* Whether the gate picks groups before experts. */
static bool has_groups(const struct gate_shape *gate) {
    return gate->groups > 1 && gate->method != GATE_GREEDY;
}

static bool wants_devices(const struct pretrain_options *o) {
    return o->expert_devices > 0 || o->device_balance_alpha > 0 ||
           o->communication_balance_alpha > 0 || o->capacity_factor > 0;
}

static fathom_status check_count(const struct pretrain_options *o, const struct model_config *c,
                                 struct error *err) {
    const int64_t groups = has_groups(&c->gate) ? c->gate.groups : 0;
    if (c->experts == 0)
        RAISE(FATHOM_USAGE,
              "--expert-devices %lld, --device-balance-alpha %g, --communication-balance-alpha %g, "
              "--capacity-factor %g: the model has no routed experts",
              (long long)o->expert_devices, o->device_balance_alpha, o->communication_balance_alpha,
              o->capacity_factor);
    if (groups > 0 && o->expert_devices > 0 && o->expert_devices != groups)
        RAISE(FATHOM_USAGE,
              "--expert-devices %lld: the model routes to %lld of %lld groups of experts, which "
              "are its devices; leave the option out",
              (long long)o->expert_devices, (long long)c->gate.topk_groups, (long long)groups);
    if (groups == 0 && o->expert_devices == 0)
        RAISE(FATHOM_USAGE,
              "the model has no groups of experts that could be its devices: say with "
              "--expert-devices among how many its %lld experts are divided",
              (long long)c->experts);
    if (groups == 0 && c->experts % o->expert_devices != 0)
        RAISE(FATHOM_USAGE, "--expert-devices %lld does not divide the model's %lld experts",
              (long long)o->expert_devices, (long long)c->experts);
    return FATHOM_OK;
}

fathom_status expert_devices_of(struct expert_devices *devices, const struct pretrain_options *o,
                                const struct model_config *c, struct error *err) {
    const struct gate_shape *gate = &c->gate;
    *devices = (struct expert_devices){0};
    if (o->balance_counts == 1 && c->experts == 0)
        RAISE(FATHOM_USAGE, "--balance-counts routed: the model has no routed experts");
    if (!wants_devices(o)) return FATHOM_OK;
    TRY(check_count(o, c, err));
    if (o->capacity_factor > 0 && gate->method == GATE_NOAUX_TC && o->bias_speed > 0)
        RAISE(FATHOM_USAGE,
              "--capacity-factor %g hides from the router bias what is dropped; choose one of the "
              "two: --bias-speed 0, or no --capacity-factor",
              o->capacity_factor);
    const int64_t count = has_groups(gate) ? gate->groups : o->expert_devices;
    const int64_t most = gate->active < count ? gate->active : count;
    *devices = (struct expert_devices){
        .count = count,
        .reach = has_groups(gate) && gate->topk_groups < most ? gate->topk_groups : most,
        .balance_coef = o->device_balance_alpha,
        .communication_coef = o->communication_balance_alpha,
        .capacity_factor = o->capacity_factor,
    };
    return FATHOM_OK;
}

bool sample_keeps_all_slots(const struct pretrain_options *o, int64_t sample) {
    const struct rng_key key = {(uint64_t)o->seed, RNG_KEEP_SLOTS, (uint64_t)sample};
    return o->capacity_factor > 0 && rng_uniform(key, 0) < o->never_dropped;
}
