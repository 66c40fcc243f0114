/* An exponential moving average of a model's trained weights, in memory of its own; it never takes
 * part in the training. Router biases are the model's. */
#ifndef TRAIN_EMA_H
#define TRAIN_EMA_H

#include "model/model.h"

struct ema {
    /* The model with the average's weights behind model_weight: for model_save and model_load. Its
     * tensors by layer are still the model's. */
    struct model view;
    double decay;
};
/* Begins with the model's present weights. The model stays the caller's and outlives the average.
 */
fathom_status ema_new(struct ema **out, const struct model *model, double decay, struct error *err);
void ema_free(struct ema *ema); /* accepts NULL */
/* average = decay * average + (1 - decay) * weights */
void ema_update(struct ema *ema, const struct model *model, struct stream *stream);
/* Bytes that ema_new takes on the device. */
size_t ema_bytes(const struct param_list *list, enum dtype compute);

#endif
