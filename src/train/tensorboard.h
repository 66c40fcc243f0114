/* TensorBoard event files: TFRecord framing (length, masked CRC-32C, payload, masked CRC-32C)
 * around Event protocol buffers with scalar summaries. Source:
 * tensorflow/core/lib/io/record_writer.h and core/util/event.proto. */
#ifndef TRAIN_TENSORBOARD_H
#define TRAIN_TENSORBOARD_H

#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

struct tensorboard_scalar {
    const char *tag;
    float value;
};
/* The record that begins every event file. */
void tensorboard_begin(struct text *out, double wall_time);
/* One event with any number of scalars. */
void tensorboard_scalars(struct text *out, double wall_time, int64_t step,
                         const struct tensorboard_scalar *scalars, size_t count);

/* CRC-32C (Castagnoli), exposed for its test. */
uint32_t crc32c(const void *bytes, size_t size);

#endif
