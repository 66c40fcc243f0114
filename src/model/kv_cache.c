#include "model/kv_cache.h"

#include "base/memory.h"

static int64_t kv_width(const struct model_config *c) {
    return c->kv_heads * (c->dim_nope + c->dim_value);
}

static int64_t k_rope_width(const struct model_config *c) { return c->is_mla ? c->dim_rope : 0; }

size_t kv_cache_bytes_per_row(const struct model *model) {
    const struct model_config *c = &model->config;
    return (size_t)(config_all_layers(c) * (kv_width(c) + k_rope_width(c))) *
           dtype_size(model->device->compute);
}

static void cache_place(struct kv_cache *cache, const struct model *model) {
    const struct model_config *c = &model->config;
    enum dtype dtype = model->device->compute;
    char *at = cache->block;
    for (int64_t layer = 0; layer < config_all_layers(c); layer++) {
        cache->kv[layer] = tensor_of(at, dtype, cache->rows, kv_width(c));
        at += (size_t)tensor_count(cache->kv[layer]) * dtype_size(dtype);
        if (!c->is_mla) continue;
        cache->k_rope[layer] = tensor_of(at, dtype, cache->rows, k_rope_width(c));
        at += (size_t)tensor_count(cache->k_rope[layer]) * dtype_size(dtype);
    }
}

static fathom_status cache_fill(struct kv_cache *cache, const struct model *model,
                                struct error *err) {
    int64_t layers = config_all_layers(&model->config);
    size_t bytes = 0;
    if (!size_mul((size_t)cache->rows, kv_cache_bytes_per_row(model), &bytes))
        RAISE(FATHOM_NO_MEMORY, "a cache of %lld positions does not fit the address space",
              (long long)cache->rows);
    TRY(MEM_NEW(&cache->kv, layers, "the KV cache", err));
    TRY(MEM_NEW(&cache->k_rope, layers, "the KV cache", err));
    TRY(device_allocate(cache->device, &cache->block, bytes, "the KV cache", err));
    cache_place(cache, model);
    return FATHOM_OK;
}

fathom_status kv_cache_new(struct kv_cache **out, const struct model *model, int64_t rows,
                           struct error *err) {
    struct kv_cache *cache = NULL;
    *out = NULL;
    TRY(MEM_NEW(&cache, 1, "the KV cache", err));
    cache->device = model->device;
    cache->rows = rows;
    fathom_status status = cache_fill(cache, model, err);
    if (status != FATHOM_OK)
        kv_cache_free(cache);
    else
        *out = cache;
    return status;
}

void kv_cache_free(struct kv_cache *cache) {
    if (!cache) return;
    device_release(cache->device, cache->block);
    mem_free(cache->kv);
    mem_free(cache->k_rope);
    mem_free(cache);
}

void copy_rows(struct stream *stream, struct tensor to, struct tensor from) {
    size_t size = dtype_size(to.dtype);
    if (from.stride == from.cols && to.stride == to.cols) {
        stream_copy(stream, to.data, from.data, (size_t)tensor_count(from) * size);
        return;
    }
    for (int64_t row = 0; row < from.rows; row++)
        stream_copy(stream, tensor_at(to, row, 0), tensor_at(from, row, 0),
                    (size_t)from.cols * size);
}

void kv_cache_append(struct stream *stream, struct tensor to, struct tensor from,
                     const struct span *spans, int64_t span_count) {
    for (int64_t i = 0; i < span_count; i++) {
        const struct span *s = &spans[i];
        copy_rows(stream, tensor_rows(to, s->kv_row + s->first, s->count),
                  tensor_rows(from, s->row, s->count));
    }
}
