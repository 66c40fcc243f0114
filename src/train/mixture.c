/* Of n samples that the sources before it leave, a source takes floor((n share + phase) / 2^32): it
 * gets the next one where that grows. What it does not take goes on to the next source; the last
 * one takes everything. The seed chooses the phases. */
#include "train/mixture.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "base/text.h"

static const char prefix[] = "mix:";
static const uint64_t one = (uint64_t)1 << 32; /* of shares */
enum { MOST_SOURCES = 256 };

/* ---- names and weights ---- */

static size_t count_sources(const char *list) {
    size_t count = 1;
    for (; *list; list++) count += *list == ',';
    return count;
}

/* "DIR=WEIGHT"; a directory may hold "=". */
static fathom_status parse_source(struct mixture_source *source, const char *text, size_t size,
                                  struct error *err) {
    TRY(mem_new((void **)&source->directory, size + 1, 1, "--data", err));
    memcpy(source->directory, text, size);
    char *sign = strrchr(source->directory, '=');
    if (sign) *sign = 0;
    if (!sign || !*source->directory || !string_to_f64(sign + 1, &source->weight) ||
        !(source->weight > 0 && source->weight <= 1e12))
        RAISE(FATHOM_USAGE, "--data: \"%.*s\" is not DIR=WEIGHT with a weight above 0", (int)size,
              text);
    return FATHOM_OK;
}

static fathom_status parse_list(struct mixture *m, const char *list, struct error *err) {
    const size_t count = count_sources(list);
    if (count > MOST_SOURCES)
        RAISE(FATHOM_USAGE, "--data: %zu datasets, more than %d", count, MOST_SOURCES);
    TRY(MEM_NEW(&m->sources, count, "--data", err));
    while (m->count < count) {
        const size_t size = strcspn(list, ",");
        TRY(parse_source(&m->sources[m->count++], list, size, err));
        list += size + 1;
    }
    return FATHOM_OK;
}

/* The heaviest first: what the others get is then within a sample or two, too. */
static void sort_sources(struct mixture *m) {
    for (size_t i = 1; i < m->count; i++) {
        const struct mixture_source source = m->sources[i];
        size_t at = i;
        for (; at > 0 && m->sources[at - 1].weight < source.weight; at--)
            m->sources[at] = m->sources[at - 1];
        m->sources[at] = source;
    }
}

/* Weights become shares, of all and of what is left. */
static void weigh(struct mixture *m) {
    double sum = 0;
    for (size_t i = m->count; i-- > 0;) {
        struct mixture_source *source = &m->sources[i];
        sum += source->weight;
        source->share = (uint64_t)((double)one * (source->weight / sum) + 0.5);
    }
    for (size_t i = 0; i < m->count; i++) m->sources[i].weight /= sum;
}

static fathom_status parse(struct mixture *m, const char *data, struct error *err) {
    if (string_starts_with(data, prefix)) {
        TRY(parse_list(m, data + strlen(prefix), err));
    } else {
        TRY(MEM_NEW(&m->sources, 1, "--data", err));
        m->count = 1;
        m->sources[0].weight = 1;
        TRY(string_copy(&m->sources[0].directory, data, err));
    }
    sort_sources(m);
    weigh(m);
    return FATHOM_OK;
}

fathom_status mixture_parse(struct mixture *mixture, const char *data, struct error *err) {
    *mixture = (struct mixture){0};
    fathom_status status = parse(mixture, data, err);
    if (status != FATHOM_OK) mixture_close(mixture);
    return status;
}

/* ---- opening ---- */

static fathom_status open_source(struct mixture_source *source, const struct mixture_options *o,
                                 struct error *err) {
    TRY(shard_set_open(&source->train, source->directory, SHARD_TRAIN, err));
    TRY(shard_set_open(&source->heldout, source->directory, SHARD_HELDOUT, err));
    TRY(shard_set_check_vocab(source->train, o->vocab, source->directory, err));
    fathom_status status = loader_init(&source->loader, source->train, o->length, o->seed, err);
    if (status == FATHOM_OK && o->has_whole_documents)
        status = loader_keep_documents(&source->loader, err);
    return status == FATHOM_OK ? FATHOM_OK : error_prefix(err, "%s", source->directory);
}

/* Epochs count up from 0 and never reach these streams. */
static void choose_phases(struct mixture *m, uint64_t seed) {
    for (size_t i = 0; i + 1 < m->count; i++)
        m->sources[i].phase =
            rng_below((struct rng_key){seed, RNG_SHUFFLE, UINT64_MAX - i}, 0, one);
}

static fathom_status check_tokenizers(const struct mixture *m, struct error *err) {
    for (size_t i = 1; i < m->count; i++)
        if (shard_set_tokenizer(m->sources[i].train).hash !=
            shard_set_tokenizer(m->sources[0].train).hash)
            RAISE(FATHOM_BAD_INPUT, "%s and %s were made with different tokenizers",
                  m->sources[0].directory, m->sources[i].directory);
    return FATHOM_OK;
}

fathom_status mixture_open(struct mixture *mixture, const struct mixture_options *options,
                           struct error *err) {
    TRY(mixture_parse(mixture, options->data, err));
    fathom_status status = FATHOM_OK;
    for (size_t i = 0; i < mixture->count && status == FATHOM_OK; i++)
        status = open_source(&mixture->sources[i], options, err);
    if (status == FATHOM_OK) status = check_tokenizers(mixture, err);
    choose_phases(mixture, options->seed);
    if (status != FATHOM_OK) mixture_close(mixture);
    return status;
}

void mixture_close(struct mixture *mixture) {
    for (size_t i = 0; i < mixture->count; i++) {
        loader_free(&mixture->sources[i].loader);
        shard_set_close(mixture->sources[i].train);
        shard_set_close(mixture->sources[i].heldout);
        mem_free(mixture->sources[i].directory);
    }
    mem_free(mixture->sources);
    *mixture = (struct mixture){0};
}

fathom_status mixture_verify(const struct mixture *mixture, struct error *err) {
    for (size_t i = 0; i < mixture->count; i++) {
        const struct mixture_source *source = &mixture->sources[i];
        fathom_status status = shard_set_verify(source->train, err);
        if (status == FATHOM_OK) status = shard_set_verify(source->heldout, err);
        if (status != FATHOM_OK) return error_prefix(err, "%s", source->directory);
    }
    return FATHOM_OK;
}

int64_t mixture_tokens(const struct mixture *m) {
    int64_t tokens = 0;
    for (size_t i = 0; i < m->count; i++)
        tokens += shard_set_tokens(m->sources[i].train) + shard_set_tokens(m->sources[i].heldout);
    return tokens;
}

/* ---- samples ---- */

/* floor((n share + phase) / 2^32), exactly: n < 2^63, share <= 2^32, phase < 2^32. */
static int64_t taken(const struct mixture_source *source, int64_t n) {
    const uint64_t high = (uint64_t)n >> 32, low = (uint64_t)n & (one - 1);
    return (int64_t)(high * source->share + ((low * source->share + source->phase) >> 32));
}

size_t mixture_source_of(const struct mixture *m, int64_t g, int64_t *number) {
    for (size_t i = 0;; i++) {
        *number = taken(&m->sources[i], g);
        if (i + 1 == m->count || taken(&m->sources[i], g + 1) > *number) return i;
        g -= *number;
    }
}

int64_t mixture_count(const struct mixture *m, size_t source, int64_t samples) {
    for (size_t i = 0; i < source; i++) samples -= taken(&m->sources[i], samples);
    return taken(&m->sources[source], samples);
}

fathom_status mixture_read(const struct mixture *m, int64_t g, int32_t *tokens, struct error *err) {
    int64_t number;
    const size_t source = mixture_source_of(m, g, &number);
    return loader_read(&m->sources[source].loader, number, tokens, err);
}

uint64_t mixture_identity(const struct mixture *m) {
    uint64_t identity = shard_set_identity(m->sources[0].train);
    if (m->count == 1) return identity;
    for (size_t i = 0; i < m->count; i++) {
        const uint64_t part[] = {shard_set_identity(m->sources[i].train), m->sources[i].share};
        identity = hash_bytes_seeded(part, sizeof part, identity);
    }
    return identity;
}
