#include "data/clean.h"

#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "data/seen.h"

const char *verdict_name(enum verdict verdict) {
    static const char *const names[VERDICTS] = {
        [VERDICT_KEPT] = "kept",
        [VERDICT_MALFORMED] = "malformed",
        [VERDICT_NOT_UTF8] = "not-utf8",
        [VERDICT_FILTERED] = "filtered",
        [VERDICT_CONTAMINATED] = "contaminated",
        [VERDICT_DUPLICATE] = "duplicate",
        [VERDICT_NEAR_DUPLICATE] = "near-duplicate",
    };
    return names[verdict];
}

/* ---- a document alone ---- */

struct cleaner {
    const struct clean_options *options;
    struct measurer *measurer;
    struct word_array words;
    bool has_rules, needs_words;
};

fathom_status cleaner_new(struct cleaner **out, const struct clean_options *options,
                          struct error *err) {
    struct cleaner *c = NULL;
    *out = NULL;
    if (options->dedup == DEDUP_NEAR) TRY(minhash_check(&options->minhash, err));
    TRY(MEM_NEW(&c, 1, "cleaning", err));
    c->options = options;
    c->has_rules = measure_rules_any(&options->rules);
    c->needs_words = c->has_rules || options->contamination || options->dedup == DEDUP_NEAR;
    fathom_status status = measurer_new(&c->measurer, err);
    if (status == FATHOM_OK)
        *out = c;
    else
        cleaner_free(c);
    return status;
}

void cleaner_free(struct cleaner *c) {
    if (!c) return;
    measurer_free(c->measurer);
    word_array_free(&c->words);
    mem_free(c);
}

static fathom_status make_valid(const struct clean_options *o, const char **text, size_t *size,
                                struct text *valid, struct judgement *j, struct error *err) {
    if (o->utf8 == UTF8_KEEP || utf8_valid_size(*text, *size) == *size) return FATHOM_OK;
    if (o->utf8 == UTF8_DROP) {
        j->verdict = VERDICT_NOT_UTF8;
        return FATHOM_OK;
    }
    text_clear(valid);
    j->replaced = text_append_valid(valid, *text, *size);
    TRY(text_check(valid, err));
    *text = text_data(valid);
    *size = valid->size;
    return FATHOM_OK;
}

fathom_status clean_examine(struct cleaner *c, const char **text, size_t *size, struct text *valid,
                            struct judgement *j, uint64_t *bands, struct error *err) {
    const struct clean_options *o = c->options;
    *j = (struct judgement){.verdict = VERDICT_KEPT, .broken = MEASURES};
    TRY(make_valid(o, text, size, valid, j, err));
    if (j->verdict != VERDICT_KEPT) return FATHOM_OK;
    if (o->dedup != DEDUP_NONE) j->hash = hash_bytes(*text, *size);
    if (!c->needs_words) return FATHOM_OK;
    TRY(word_array_read(&c->words, *text, *size, err));
    if (c->has_rules)
        TRY(measurer_check(c->measurer, &o->rules, *text, *size, &c->words, &j->broken, &j->value,
                           err));
    if (j->broken != MEASURES)
        j->verdict = VERDICT_FILTERED;
    else if (o->contamination && contamination_find(o->contamination, c->words.words,
                                                    c->words.count, &j->contaminated_by))
        j->verdict = VERDICT_CONTAMINATED;
    else if (o->dedup == DEDUP_NEAR)
        j->has_bands = minhash_bands(c->words.words, c->words.count, &o->minhash, bands);
    return FATHOM_OK;
}

/* ---- among the others ---- */

struct clean_history {
    const struct clean_options *options;
    struct seen exact, bands;
    struct origin *origins; /* of the documents that the tables number */
    size_t count, capacity;
    struct part_log *log; /* NULL: none */
};

/* A remembered document in the log, which one machine writes and reads; its bands follow. */
struct remembered {
    uint64_t line, file, hash, bands;
};

fathom_status clean_history_new(struct clean_history **out, const struct clean_options *options,
                                struct error *err) {
    TRY(MEM_NEW(out, 1, "what was seen", err));
    (*out)->options = options;
    return FATHOM_OK;
}

void clean_history_free(struct clean_history *h) {
    if (!h) return;
    seen_free(&h->exact);
    seen_free(&h->bands);
    mem_free(h->origins);
    mem_free(h);
}

static fathom_status check_size(const struct clean_history *h, struct error *err) {
    const uint64_t limit = h->options->dedup_bytes;
    const uint64_t bytes =
        seen_bytes(&h->exact) + seen_bytes(&h->bands) + h->capacity * sizeof *h->origins;
    if (h->count >= UINT32_MAX)
        RAISE(FATHOM_UNSUPPORTED, "deduplication of more than %zu documents", h->count);
    if (limit > 0 && bytes > limit)
        RAISE(FATHOM_UNSUPPORTED,
              "deduplication takes %llu MiB after %zu documents, more than the %llu MiB allowed; "
              "allow more (--dedup-memory) or look for exact duplicates only",
              (unsigned long long)(bytes >> 20), h->count, (unsigned long long)(limit >> 20));
    return FATHOM_OK;
}

static fathom_status remember(struct clean_history *h, struct origin origin, uint64_t hash,
                              const uint64_t *bands, size_t band_count, struct error *err) {
    const uint32_t number = (uint32_t)h->count;
    if (h->count == h->capacity) {
        size_t capacity = h->capacity * 2 + 1024;
        TRY(mem_grow((void **)&h->origins, h->count, capacity, sizeof *h->origins, "what was seen",
                     err));
        h->capacity = capacity;
    }
    TRY(seen_add(&h->exact, hash, number, err));
    for (size_t i = 0; i < band_count; i++) TRY(seen_add(&h->bands, bands[i], number, err));
    h->origins[h->count++] = origin;
    return check_size(h, err);
}

static fathom_status recall(void *arg, const void *bytes, size_t size, struct error *err) {
    struct clean_history *h = arg;
    const unsigned char *at = bytes, *end = at + size;
    while (at < end) {
        struct remembered r;
        uint64_t bands[MINHASH_MOST_BINS];
        if ((size_t)(end - at) < sizeof r)
            RAISE(FATHOM_BAD_INPUT, "the list of what was seen ends within a document");
        memcpy(&r, at, sizeof r);
        at += sizeof r;
        if (r.bands > MINHASH_MOST_BINS || (size_t)(end - at) < r.bands * sizeof *bands)
            RAISE(FATHOM_BAD_INPUT, "the list of what was seen ends within a document");
        memcpy(bands, at, r.bands * sizeof *bands);
        at += r.bands * sizeof *bands;
        TRY(remember(h, (struct origin){r.line, (uint32_t)r.file}, r.hash, bands, r.bands, err));
    }
    return FATHOM_OK;
}

fathom_status clean_history_log(struct clean_history *h, struct part_log *log, struct error *err) {
    h->log = log;
    return part_log_read(log, recall, h, err);
}

static fathom_status log_remembered(struct clean_history *h, struct origin origin, uint64_t hash,
                                    const uint64_t *bands, size_t band_count, struct error *err) {
    const struct remembered r = {origin.line, origin.file, hash, band_count};
    if (!h->log) return FATHOM_OK;
    TRY(part_log_put(h->log, &r, sizeof r, err));
    return part_log_put(h->log, bands, band_count * sizeof *bands, err);
}

fathom_status clean_decide(struct clean_history *h, struct origin origin, struct judgement *j,
                           const uint64_t *bands, struct error *err) {
    uint32_t number = 0;
    if (h->options->dedup == DEDUP_NONE) return FATHOM_OK;
    if (seen_find(&h->exact, j->hash, &number)) j->verdict = VERDICT_DUPLICATE;
    for (int64_t i = 0; j->verdict == VERDICT_KEPT && j->has_bands && i < h->options->minhash.bands;
         i++)
        if (seen_find(&h->bands, bands[i], &number)) j->verdict = VERDICT_NEAR_DUPLICATE;
    if (j->verdict != VERDICT_KEPT) {
        j->first = h->origins[number];
        return FATHOM_OK;
    }
    const size_t band_count = j->has_bands ? (size_t)h->options->minhash.bands : 0;
    TRY(log_remembered(h, origin, j->hash, bands, band_count, err));
    return remember(h, origin, j->hash, bands, band_count, err);
}
