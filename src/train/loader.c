#include "train/loader.h"

#include "base/rng.h"

static fathom_status check_samples(const struct loader *loader, struct error *err) {
    if (loader->samples > 0) return FATHOM_OK;
    RAISE(
        FATHOM_BAD_INPUT,
        "the training data hold %lld tokens, not one sample of %lld: build them from more text or "
        "shorten --sequence-length",
        (long long)shard_set_tokens(loader->set), (long long)loader->length);
}

fathom_status loader_init(struct loader *loader, const struct shard_set *set, int64_t length,
                          uint64_t seed, struct error *err) {
    *loader = (struct loader){
        .set = set, .length = length, .samples = shard_set_samples(set, length), .seed = seed};
    return check_samples(loader, err);
}

fathom_status loader_keep_documents(struct loader *loader, struct error *err) {
    TRY(document_samples_new(&loader->documents, loader->set, loader->length, err));
    loader->samples = loader->documents.count;
    return check_samples(loader, err);
}

void loader_free(struct loader *loader) { document_samples_free(&loader->documents); }

fathom_status loader_read(const struct loader *loader, int64_t g, int32_t *tokens,
                          struct error *err) {
    uint64_t n = (uint64_t)loader->samples;
    const struct rng_key key = {loader->seed, RNG_SHUFFLE, (uint64_t)g / n};
    uint64_t i = rng_permute(key, (uint64_t)g % n, n);
    if (loader->documents.begins)
        return shard_set_read(loader->set, loader->documents.begins[i], loader->length + 1, tokens,
                              err);
    return shard_set_sample(loader->set, (int64_t)i, loader->length, tokens, err);
}
