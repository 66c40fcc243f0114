/* V2's devices of experts as options of a run: how many there are, how far a token reaches, and
 * whose slots are never dropped (V2 report 2.2.2 to 2.2.4). */
#ifndef TRAIN_EXPERT_DEVICES_H
#define TRAIN_EXPERT_DEVICES_H

#include "train/pretrain.h"

/* The devices of a model under these options, the balance coefficients being the options' alphas;
 * zeroed where no option asks for them. Where the gate limits tokens to expert groups the devices
 * are these groups, and M is topk_group; else --expert-devices says how many there are, and a token
 * may reach as many as it has experts. FATHOM_USAGE for what does not fit the model. */
fathom_status expert_devices_of(struct expert_devices *devices,
                                const struct pretrain_options *options,
                                const struct model_config *config, struct error *err);

/* Whether a run's sample keeps all its slots: a pure function of (seed, sample). */
bool sample_keeps_all_slots(const struct pretrain_options *options, int64_t sample);

#endif
