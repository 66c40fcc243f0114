#include "train/document_samples.h"

#include "base/memory.h"

/* A sample begins with a document, or T tokens behind the sample before it. */
static int64_t most_samples(const struct shard_set *set, int64_t T) {
    return shard_set_documents(set) + shard_set_tokens(set) / T + 1;
}

/* The samples that begin in a document which is not whole in those so far. The end of the stream
 * may be too short for one. */
static void add_samples(struct document_samples *s, const struct shard_document *document,
                        int64_t T, int64_t tokens) {
    for (int64_t at = document->begin; at == document->begin || at + 1 < document->end; at += T) {
        if (at + T + 1 > tokens) return;
        s->begins[s->count++] = at;
    }
}

static fathom_status fill(struct document_samples *s, const struct shard_set *set, int64_t T,
                          struct error *err) {
    int64_t documents = shard_set_documents(set), tokens = shard_set_tokens(set);
    TRY(MEM_NEW(&s->begins, most_samples(set, T), "samples", err));
    for (int64_t i = 0; i < documents; i++) {
        struct shard_document document;
        TRY(shard_set_document(set, i, &document, err));
        bool is_whole = s->count > 0 && document.end <= s->begins[s->count - 1] + T + 1;
        if (!is_whole) add_samples(s, &document, T, tokens);
    }
    return FATHOM_OK;
}

fathom_status document_samples_new(struct document_samples *s, const struct shard_set *set,
                                   int64_t T, struct error *err) {
    *s = (struct document_samples){0};
    fathom_status status = fill(s, set, T, err);
    if (status != FATHOM_OK) document_samples_free(s);
    return status;
}

void document_samples_free(struct document_samples *s) {
    mem_free(s->begins);
    *s = (struct document_samples){0};
}
