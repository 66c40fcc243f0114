#include "data/contamination.h"

#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "data/reader.h"
#include "data/seen.h"

enum { RUN_MOST = 64 };

struct contamination {
    char **paths; /* [path_count] */
    size_t path_count;
    size_t run;
    /* of_size[n]: hashes of n words, with the path that has them first. Only the longest is common;
     * those from half of it on are texts of their own. */
    struct seen of_size[RUN_MOST + 1];
    int64_t too_short;
};

static fathom_status add_text(struct contamination *c, const char *text, size_t size, uint32_t path,
                              struct word_array *words, struct error *err) {
    TRY(word_array_read(words, text, size, err));
    size_t n = words->count < c->run ? words->count : c->run;
    if (n == 0 || 2 * n < c->run) {
        c->too_short++;
        return FATHOM_OK;
    }
    for (size_t i = 0; i + n <= words->count; i++)
        TRY(seen_add(&c->of_size[n], words_hash(words->words + i, n), path, err));
    return FATHOM_OK;
}

static fathom_status add_file(struct contamination *c, uint32_t number, struct word_array *words,
                              struct error *err) {
    const char *path = c->paths[number];
    struct doc_reader *reader = NULL;
    struct document document;
    bool is_end = false;
    TRY(doc_reader_open(&reader, &path, 1, NULL, err));
    doc_reader_take_all_strings(reader);
    fathom_status status = FATHOM_OK;
    while (status == FATHOM_OK) {
        status = doc_reader_next(reader, &document, &is_end, err);
        if (status != FATHOM_OK || is_end) break;
        /* The strings of an object are texts of their own. */
        for (const char *at = document.bytes, *end = at + document.size; at < end;) {
            const char *stop = document.line > 0 ? memchr(at, 0, (size_t)(end - at)) : NULL;
            size_t size = (size_t)((stop ? stop : end) - at);
            if (status == FATHOM_OK && size > 0) status = add_text(c, at, size, number, words, err);
            at += size + 1;
        }
        if (status == FATHOM_OK && interrupt_requested())
            status = error_set(err, FATHOM_INTERRUPTED, "stopped");
    }
    doc_reader_close(reader);
    return status;
}

static fathom_status fill(struct contamination *c, const char *const *paths, size_t count,
                          struct error *err) {
    struct word_array words = {0};
    TRY(MEM_NEW(&c->paths, count, "paths", err));
    for (; c->path_count < count; c->path_count++)
        TRY(string_copy(&c->paths[c->path_count], paths[c->path_count], err));
    fathom_status status = FATHOM_OK;
    for (size_t i = 0; i < count && status == FATHOM_OK; i++)
        status = add_file(c, (uint32_t)i, &words, err);
    word_array_free(&words);
    return status;
}

fathom_status contamination_new(struct contamination **out, const char *const *paths, size_t count,
                                int64_t run_words, struct error *err) {
    struct contamination *c = NULL;
    *out = NULL;
    if (run_words < 2 || run_words > RUN_MOST)
        RAISE(FATHOM_USAGE, "contamination: runs of %lld words are not in [2, %d]",
              (long long)run_words, RUN_MOST);
    TRY(MEM_NEW(&c, 1, "texts not to train on", err));
    c->run = (size_t)run_words;
    fathom_status status = fill(c, paths, count, err);
    if (status == FATHOM_OK)
        *out = c;
    else
        contamination_free(c);
    return status;
}

void contamination_free(struct contamination *c) {
    if (!c) return;
    for (size_t n = 0; n <= RUN_MOST; n++) seen_free(&c->of_size[n]);
    for (size_t i = 0; i < c->path_count; i++) mem_free(c->paths[i]);
    mem_free(c->paths);
    mem_free(c);
}

int64_t contamination_runs(const struct contamination *c) {
    int64_t runs = 0;
    for (size_t n = 0; n <= RUN_MOST; n++) runs += (int64_t)c->of_size[n].count;
    return runs;
}
int64_t contamination_too_short(const struct contamination *c) { return c->too_short; }

bool contamination_find(const struct contamination *c, const struct word *words, size_t count,
                        const char **path) {
    for (size_t n = c->run; n > 0; n--) {
        uint32_t number = 0;
        if (c->of_size[n].count == 0) continue;
        for (size_t i = 0; i + n <= count; i++) {
            if (!seen_find(&c->of_size[n], words_hash(words + i, n), &number)) continue;
            *path = c->paths[number];
            return true;
        }
    }
    return false;
}
