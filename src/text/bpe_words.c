#include "text/bpe_words.h"

#include "base/memory.h"
#include "text/tokenizer_data.h"

enum { SECTIONS_PER_TILE = 16 };
#define SECTION_BYTES ((size_t)64 << 10)
#define BATCH_BYTES ((size_t)8 << 20)

/* Part of a document in the batch. */
struct section {
    size_t begin, size;
};

/* What one thread has counted. */
struct counter {
    struct cutter *cutter;
    struct word_counts counts;
    fathom_status status;
    struct error err;
};

struct bpe_words {
    const struct pretokenizer *pretokenizer;
    struct pool *pool; /* NULL: the calling thread counts at once, and nothing waits */
    int threads;
    struct counter *counters; /* [threads] */
    struct text batch;
    struct section *sections;
    size_t section_count, section_capacity;
};

fathom_status bpe_words_new(struct bpe_words **out, const struct pretokenizer *pretokenizer,
                            struct pool *pool, struct error *err) {
    struct bpe_words *w = NULL;
    *out = NULL;
    TRY(MEM_NEW(&w, 1, "counting words", err));
    w->pretokenizer = pretokenizer;
    w->pool = pool && pool_threads(pool) > 1 ? pool : NULL;
    w->threads = w->pool ? pool_threads(pool) : 1;
    fathom_status status = MEM_NEW(&w->counters, w->threads, "counting words", err);
    for (int i = 0; i < w->threads && status == FATHOM_OK; i++)
        status = cutter_new(&w->counters[i].cutter, pretokenizer, err);
    if (status != FATHOM_OK)
        bpe_words_free(w);
    else
        *out = w;
    return status;
}

void bpe_words_free(struct bpe_words *w) {
    if (!w) return;
    for (int i = 0; w->counters && i < w->threads; i++) {
        cutter_free(w->counters[i].cutter);
        word_counts_free(&w->counters[i].counts);
    }
    mem_free(w->counters);
    text_free(&w->batch);
    mem_free(w->sections);
    mem_free(w);
}

static fathom_status count_text(struct counter *c, const char *text, size_t size,
                                struct error *err) {
    struct piece piece;
    TRY(cutter_start(c->cutter, text, size, err));
    for (;;) {
        TRY(cutter_next(c->cutter, &piece, err));
        if (piece.size == 0) return FATHOM_OK;
        for (size_t at = 0; at < piece.size; at += TOKEN_MAX_BYTES) {
            size_t left = piece.size - at, part = left < TOKEN_MAX_BYTES ? left : TOKEN_MAX_BYTES;
            TRY(word_counts_add(&c->counts, (const char *)piece.bytes + at, part, 1, err));
        }
    }
}

static void count_tile(void *arg, int64_t tile, int worker) {
    struct bpe_words *w = arg;
    struct counter *counter = &w->counters[worker];
    size_t first = (size_t)tile * SECTIONS_PER_TILE, end = first + SECTIONS_PER_TILE;
    for (size_t i = first; i < end && i < w->section_count; i++) {
        const struct section *s = &w->sections[i];
        if (counter->status != FATHOM_OK) return;
        counter->status = count_text(counter, w->batch.data + s->begin, s->size, &counter->err);
    }
}

static fathom_status count_batch(struct bpe_words *w, struct error *err) {
    size_t tiles = (w->section_count + SECTIONS_PER_TILE - 1) / SECTIONS_PER_TILE;
    if (w->pool) pool_run(w->pool, (int64_t)tiles, count_tile, w);
    w->section_count = 0;
    text_clear(&w->batch);
    for (int i = 0; i < w->threads; i++)
        if (w->counters[i].status != FATHOM_OK)
            RAISE(w->counters[i].status, "%s", w->counters[i].err.text);
    return FATHOM_OK;
}

static fathom_status add_section(struct bpe_words *w, const char *text, size_t size,
                                 struct error *err) {
    if (w->section_count == w->section_capacity) {
        size_t capacity = w->section_capacity ? 2 * w->section_capacity : 256;
        TRY(mem_grow((void **)&w->sections, w->section_count, capacity, sizeof *w->sections,
                     "counting words", err));
        w->section_capacity = capacity;
    }
    w->sections[w->section_count++] = (struct section){w->batch.size, size};
    text_append(&w->batch, text, size);
    TRY(text_check(&w->batch, err));
    return w->batch.size < BATCH_BYTES ? FATHOM_OK : count_batch(w, err);
}

fathom_status bpe_words_add(struct bpe_words *w, const char *text, size_t size, struct error *err) {
    if (!w->pool) return count_text(&w->counters[0], text, size, err);
    for (size_t at = 0, end; at < size; at = end) {
        end = size - at <= SECTION_BYTES
                  ? size
                  : pretokenizer_cut(w->pretokenizer, text, size, at + SECTION_BYTES);
        TRY(add_section(w, text + at, end - at, err));
    }
    return FATHOM_OK;
}

fathom_status bpe_words_finish(struct bpe_words *w, const struct word_counts **counts,
                               struct error *err) {
    TRY(count_batch(w, err));
    for (int i = 1; i < w->threads; i++) {
        TRY(word_counts_add_all(&w->counters[0].counts, &w->counters[i].counts, err));
        word_counts_free(&w->counters[i].counts);
    }
    *counts = &w->counters[0].counts;
    return FATHOM_OK;
}
