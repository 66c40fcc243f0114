/* Keys and values of earlier positions, for inference in exact mode: what the attention reads, as
 * the trainer computes it, so that a row has the same bits with and without the cache. Rows are the
 * caller's to hand out; a sequence owns a range of rows, position p in row cache_row + p. */
#ifndef MODEL_KV_CACHE_H
#define MODEL_KV_CACHE_H

#include "model/model.h"

struct kv_cache {
    struct device *device;
    void *block;
    struct tensor *kv;     /* [all layers]: [rows, H*(Dn+Dv)] of MLA; [rows, Hk*(Dn+Dv)] of GQA */
    struct tensor *k_rope; /* [all layers]: [rows, Dr]; absent for GQA */
    int64_t rows;
};
fathom_status kv_cache_new(struct kv_cache **out, const struct model *model, int64_t rows,
                           struct error *err);
void kv_cache_free(struct kv_cache *cache); /* accepts NULL */
size_t kv_cache_bytes_per_row(const struct model *model);

/* to [T, C] = from [T, C], whatever the strides. */
void copy_rows(struct stream *stream, struct tensor to, struct tensor from);
/* Copies the spans' new rows from `from` [T, C] to their places in `to` [rows, C]. */
void kv_cache_append(struct stream *stream, struct tensor to, struct tensor from,
                     const struct span *spans, int64_t span_count);

#endif
