/* A model as a Hugging Face directory: config.json and model*.safetensors. The tokenizer's files
 * beside them are text/'s. */
#ifndef MODEL_FILES_H
#define MODEL_FILES_H

#include "model/model.h"

/* Reads every parameter from the directory's safetensors into the model's weights, converting F32,
 * F16 and BF16 to the compute dtype. A missing or misshapen tensor, or a dtype that cannot be read
 * here, is an error that names it. Tensors that the model does not have are ignored: shared copies
 * in MTP layers, rotary tables of old exports. */
fathom_status model_load(struct model *model, const char *directory, struct error *err);

/* model_new and model_load with the directory's own config. */
fathom_status model_open(struct model **out, struct device *device, const char *directory,
                         unsigned flags, struct error *err);

/* Where the weights of a whole model are read from, wherever they are. */
struct weight_source {
    const struct model_config *config;
    const struct param_list *params; /* of the whole model */
    enum dtype dtype;                /* of the weights but the state, which is F32 */
    /* Elements [first, first + count) of a parameter to host memory. */
    fathom_status (*read)(void *owner, const struct param *p, int64_t first, int64_t count,
                          void *to_host, struct error *err);
    void *owner;
};
/* Elements of a weight that is here; waits for the stream. */
fathom_status model_read(const struct model *model, struct stream *stream, const struct param *p,
                         int64_t first, int64_t count, void *to_host, struct error *err);

/* Writes config.json and the weights, F32, into a directory that exists and holds no weights yet.
 * MTP layers get their shared copies of embedding and head, as published checkpoints have them.
 * max_shard_bytes as in format/safetensors.h. */
fathom_status model_save(const struct model *model, const char *directory, uint64_t max_shard_bytes,
                         struct error *err);
fathom_status model_save_from(const struct weight_source *source, const char *directory,
                              uint64_t max_shard_bytes, struct error *err);

#endif
