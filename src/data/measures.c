#include "data/measures.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "text/unicode.h"

static const char *const names[MEASURES] = {
    [MEASURE_BYTES] = "bytes",
    [MEASURE_WORDS] = "words",
    [MEASURE_WORD_LENGTH] = "word-length",
    [MEASURE_SYMBOLS] = "symbols",
    [MEASURE_BULLETS] = "bullets",
    [MEASURE_ELLIPSES] = "ellipses",
    [MEASURE_ALPHABETIC] = "alphabetic",
    [MEASURE_STOP_WORDS] = "stop-words",
    [MEASURE_LETTERS] = "letters",
    [MEASURE_LATIN] = "latin",
    [MEASURE_GREEK] = "greek",
    [MEASURE_CYRILLIC] = "cyrillic",
    [MEASURE_HEBREW] = "hebrew",
    [MEASURE_ARABIC] = "arabic",
    [MEASURE_DEVANAGARI] = "devanagari",
    [MEASURE_THAI] = "thai",
    [MEASURE_HANGUL] = "hangul",
    [MEASURE_KANA] = "kana",
    [MEASURE_HAN] = "han",
    [MEASURE_REPEATED_LINES] = "repeated-lines",
    [MEASURE_REPEATED_LINE_BYTES] = "repeated-line-bytes",
    [MEASURE_REPEATED_PARAGRAPHS] = "repeated-paragraphs",
    [MEASURE_REPEATED_PARAGRAPH_BYTES] = "repeated-paragraph-bytes",
    [MEASURE_TOP_2] = "top-2",
    [MEASURE_TOP_3] = "top-3",
    [MEASURE_TOP_4] = "top-4",
    [MEASURE_REPEATED_5] = "repeated-5",
    [MEASURE_REPEATED_6] = "repeated-6",
    [MEASURE_REPEATED_7] = "repeated-7",
    [MEASURE_REPEATED_8] = "repeated-8",
    [MEASURE_REPEATED_9] = "repeated-9",
    [MEASURE_REPEATED_10] = "repeated-10",
};
const char *measure_name(enum measure measure) { return names[measure]; }

/* ---- rules ---- */

static const struct {
    const char *name, *rules;
} sets[] = {
    /* Rae et al. 2021, appendix A.1.1 and table A1. */
    {"gopher",
     "words=50:100000 word-length=3:10 symbols=:0.1 bullets=:0.9 ellipses=:0.3 alphabetic=0.8: "
     "stop-words=2: repeated-lines=:0.3 repeated-paragraphs=:0.3 repeated-line-bytes=:0.2 "
     "repeated-paragraph-bytes=:0.2 top-2=:0.2 top-3=:0.18 top-4=:0.16 repeated-5=:0.15 "
     "repeated-6=:0.14 repeated-7=:0.13 repeated-8=:0.12 repeated-9=:0.11 repeated-10=:0.1"},
    {"english", "latin=0.9: stop-words=2:"},
};

static bool find_measure(const char *name, size_t size, enum measure *measure) {
    for (int m = 0; m < MEASURES; m++)
        if (strlen(names[m]) == size && memcmp(names[m], name, size) == 0) {
            *measure = (enum measure)m;
            return true;
        }
    return false;
}

/* A number, or nothing for the bound that excludes nothing. */
static bool read_bound(const char *text, size_t size, double *value) {
    char copy[32];
    if (size == 0) return true;
    if (size >= sizeof copy) return false;
    memcpy(copy, text, size);
    copy[size] = 0;
    return string_to_f64(copy, value);
}

static fathom_status parse_rule(struct measure_rules *rules, const char *item, size_t size,
                                struct error *err) {
    const char *equals = memchr(item, '=', size), *end = item + size;
    const size_t name_size = equals ? (size_t)(equals - item) : size;
    enum measure m;
    for (size_t i = 0; !equals && i < sizeof sets / sizeof sets[0]; i++)
        if (strlen(sets[i].name) == size && memcmp(sets[i].name, item, size) == 0)
            return measure_rules_parse(rules, sets[i].rules, err);
    if (!find_measure(item, name_size, &m)) {
        struct text known = {0};
        for (int i = 0; i < MEASURES; i++) text_printf(&known, " %s", names[i]);
        error_set(err, FATHOM_USAGE,
                  "filter: there is no \"%.*s\"; known are the sets gopher and english and the "
                  "measures%s",
                  (int)name_size, item, text_data(&known));
        text_free(&known);
        return FATHOM_USAGE;
    }
    double least = -INFINITY, most = INFINITY;
    const char *colon = equals ? memchr(equals, ':', (size_t)(end - equals)) : NULL;
    if (!colon || !read_bound(equals + 1, (size_t)(colon - equals - 1), &least) ||
        !read_bound(colon + 1, (size_t)(end - colon - 1), &most) || !(least <= most))
        RAISE(FATHOM_USAGE, "filter: \"%.*s\" is not %s=LEAST:MOST, either of which may be missing",
              (int)size, item, names[m]);
    rules->least[m] = least;
    rules->most[m] = most;
    rules->is_ruled[m] = isfinite(least) || isfinite(most);
    return FATHOM_OK;
}

fathom_status measure_rules_parse(struct measure_rules *rules, const char *text,
                                  struct error *err) {
    for (const char *at = text ? text : ""; *at;) {
        size_t size = strcspn(at, " ,\t\n");
        if (size > 0) TRY(parse_rule(rules, at, size, err));
        at += size + (at[size] != 0);
    }
    return FATHOM_OK;
}

bool measure_rules_any(const struct measure_rules *rules) {
    for (int m = 0; m < MEASURES; m++)
        if (rules->is_ruled[m]) return true;
    return false;
}

/* ---- how often ---- */

/* Counts of hashes; emptied by a new turn, so that its memory is cleared once. */
struct tally {
    struct tally_slot {
        uint64_t hash;
        uint32_t turn, times;
    } * slots;
    size_t slot_count; /* 0 or a power of two */
    uint32_t turn;
};

/* Room for `most` hashes, none of which is counted yet. */
static fathom_status tally_start(struct tally *tally, size_t most, struct error *err) {
    size_t wanted = 1024;
    while (wanted < 2 * most) wanted *= 2;
    if (wanted > tally->slot_count || tally->turn == UINT32_MAX) {
        if (wanted < tally->slot_count) wanted = tally->slot_count;
        mem_free(tally->slots);
        *tally = (struct tally){0};
        TRY(MEM_NEW(&tally->slots, wanted, "counts of a document's words", err));
        tally->slot_count = wanted;
    }
    tally->turn++;
    return FATHOM_OK;
}

/* How often it was counted before. */
static uint32_t tally_add(struct tally *tally, uint64_t hash) {
    size_t at = (size_t)(hash & (tally->slot_count - 1));
    for (;; at = (at + 1) & (tally->slot_count - 1)) {
        struct tally_slot *slot = &tally->slots[at];
        if (slot->turn != tally->turn)
            *slot = (struct tally_slot){.hash = hash, .turn = tally->turn};
        else if (slot->hash != hash)
            continue;
        return slot->times++;
    }
}

struct measurer {
    struct tally tally;
    uint64_t stop_words[8];
    double values[MEASURES];
};

fathom_status measurer_new(struct measurer **out, struct error *err) {
    static const char text[] = "the be to of and that have with";
    struct word word;
    size_t at = 0;
    TRY(MEM_NEW(out, 1, "a document's measures", err));
    for (int i = 0; word_next(text, strlen(text), &at, &word); i++)
        (*out)->stop_words[i] = word.hash;
    return FATHOM_OK;
}

void measurer_free(struct measurer *measurer) {
    if (!measurer) return;
    mem_free(measurer->tally.slots);
    mem_free(measurer);
}

static double share(double part, double whole) { return whole > 0 ? part / whole : 0; }

/* ---- characters ---- */

static enum measure script_of(uint32_t code) {
    static const struct {
        uint32_t from, to;
        enum measure script;
    } ranges[] = {
        {0x0041, 0x024f, MEASURE_LATIN},    {0x0370, 0x03ff, MEASURE_GREEK},
        {0x0400, 0x052f, MEASURE_CYRILLIC}, {0x0590, 0x05ff, MEASURE_HEBREW},
        {0x0600, 0x077f, MEASURE_ARABIC},   {0x0900, 0x097f, MEASURE_DEVANAGARI},
        {0x0e00, 0x0e7f, MEASURE_THAI},     {0x1100, 0x11ff, MEASURE_HANGUL},
        {0x1e00, 0x1eff, MEASURE_LATIN},    {0x1f00, 0x1fff, MEASURE_GREEK},
        {0x3040, 0x30ff, MEASURE_KANA},     {0x3130, 0x318f, MEASURE_HANGUL},
        {0x3400, 0x4dbf, MEASURE_HAN},      {0x4e00, 0x9fff, MEASURE_HAN},
        {0xac00, 0xd7af, MEASURE_HANGUL},   {0xf900, 0xfaff, MEASURE_HAN},
        {0x20000, 0x3ffff, MEASURE_HAN},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        if (code >= ranges[i].from && code <= ranges[i].to) return ranges[i].script;
    return MEASURES;
}

struct character_counts {
    double seen, letters, of_script[MEASURES + 1];
    double chunks, alphabetic_chunks; /* between white space */
    double hashes, ellipses;
};

static void count_characters(const char *text, size_t size, struct character_counts *c) {
    const unsigned char *bytes = (const unsigned char *)text;
    bool is_in_chunk = false, has_letter = false;
    *c = (struct character_counts){0};
    for (size_t i = 0; i < size;) {
        uint32_t code = bytes[i];
        int length = code < 0x80 ? 1 : utf8_decode(bytes + i, size - i, &code);
        enum unicode_class class = length == 0   ? UNICODE_OTHER
                                   : code < 0x80 ? unicode_ascii_class((unsigned char)code)
                                                 : unicode_class_of(code);
        if (class == UNICODE_SPACE) {
            c->chunks += is_in_chunk;
            c->alphabetic_chunks += has_letter;
            is_in_chunk = has_letter = false;
        } else {
            c->seen++;
            is_in_chunk = true;
        }
        if (class == UNICODE_LETTER) {
            c->letters++;
            c->of_script[script_of(code)]++;
            has_letter = true;
        }
        c->hashes += code == '#';
        c->ellipses += code == 0x2026;
        if (code == '.' && size - i >= 3 && bytes[i + 1] == '.' && bytes[i + 2] == '.') {
            c->ellipses++;
            c->seen += 2;
            length = 3;
        }
        i += length > 0 ? (size_t)length : 1;
    }
    c->chunks += is_in_chunk;
    c->alphabetic_chunks += has_letter;
}

static void measure_characters(struct measurer *m, const char *text, size_t size, double words) {
    struct character_counts c;
    double *v = m->values;
    count_characters(text, size, &c);
    v[MEASURE_SYMBOLS] = share(c.hashes > c.ellipses ? c.hashes : c.ellipses, words);
    v[MEASURE_ALPHABETIC] = share(c.alphabetic_chunks, c.chunks);
    v[MEASURE_LETTERS] = share(c.letters, c.seen);
    for (int s = MEASURE_LATIN; s <= MEASURE_HAN; s++) v[s] = share(c.of_script[s], c.letters);
}

/* ---- lines ---- */

static bool begins_with_bullet(const char *line, size_t size) {
    static const char *const bullets[] = {"-", "*", "\xe2\x80\xa2", "\xe2\x97\x8f", "\xe2\x96\xaa"};
    while (size > 0 && (*line == ' ' || *line == '\t')) {
        line++;
        size--;
    }
    for (size_t i = 0; i < sizeof bullets / sizeof bullets[0]; i++)
        if (size >= strlen(bullets[i]) && memcmp(line, bullets[i], strlen(bullets[i])) == 0)
            return true;
    return false;
}

static bool ends_with_ellipsis(const char *line, size_t size) {
    return size >= 3 && (memcmp(line + size - 3, "...", 3) == 0 ||
                         memcmp(line + size - 3, "\xe2\x80\xa6", 3) == 0);
}

/* Without the white space at both ends. */
static void trim(const char **text, size_t *size) {
    while (*size > 0 && strchr(" \t\r\n", **text) && **text) {
        ++*text;
        --*size;
    }
    while (*size > 0 && strchr(" \t\r\n", (*text)[*size - 1]) && (*text)[*size - 1]) --*size;
}

struct part_counts {
    double parts, bytes, repeated, repeated_bytes, bullets, ellipses;
};

/* A line, or a paragraph. */
static void count_part(struct measurer *m, const char *part, size_t size, struct part_counts *c) {
    trim(&part, &size);
    if (size == 0) return;
    c->parts++;
    c->bytes += (double)size;
    c->bullets += begins_with_bullet(part, size);
    c->ellipses += ends_with_ellipsis(part, size);
    struct word whole = {.hash = 0};
    for (size_t i = 0; i < size; i++)
        whole.hash = (whole.hash ^ (unsigned char)part[i]) * 0x100000001b3u;
    if (tally_add(&m->tally, words_hash(&whole, 1)) == 0) return;
    c->repeated++;
    c->repeated_bytes += (double)size;
}

/* Where the part that begins at `text` ends: before a newline, or before an empty line. */
static size_t part_size(const char *text, size_t size, bool is_paragraph) {
    for (size_t at = 0; at < size;) {
        const char *newline = memchr(text + at, '\n', size - at);
        if (!newline) break;
        size_t end = (size_t)(newline - text), next = end + 1;
        if (!is_paragraph) return end;
        while (next < size && (text[next] == ' ' || text[next] == '\t' || text[next] == '\r'))
            next++;
        if (next == size || text[next] == '\n') return end;
        at = end + 1;
    }
    return size;
}

static fathom_status count_parts(struct measurer *m, const char *text, size_t size,
                                 bool is_paragraph, struct part_counts *c, struct error *err) {
    size_t newlines = 1;
    for (const char *at = text; (at = memchr(at, '\n', size - (size_t)(at - text))); at++)
        newlines++;
    *c = (struct part_counts){0};
    TRY(tally_start(&m->tally, newlines, err));
    for (size_t at = 0; at < size;) {
        size_t part = part_size(text + at, size - at, is_paragraph);
        count_part(m, text + at, part, c);
        at += part + 1;
    }
    return FATHOM_OK;
}

static fathom_status measure_lines(struct measurer *m, const char *text, size_t size,
                                   struct error *err) {
    struct part_counts lines, paragraphs;
    double *v = m->values;
    TRY(count_parts(m, text, size, false, &lines, err));
    TRY(count_parts(m, text, size, true, &paragraphs, err));
    v[MEASURE_BULLETS] = share(lines.bullets, lines.parts);
    v[MEASURE_ELLIPSES] = share(lines.ellipses, lines.parts);
    v[MEASURE_REPEATED_LINES] = share(lines.repeated, lines.parts);
    v[MEASURE_REPEATED_LINE_BYTES] = share(lines.repeated_bytes, lines.bytes);
    v[MEASURE_REPEATED_PARAGRAPHS] = share(paragraphs.repeated, paragraphs.parts);
    v[MEASURE_REPEATED_PARAGRAPH_BYTES] = share(paragraphs.repeated_bytes, paragraphs.bytes);
    return FATHOM_OK;
}

/* ---- words ---- */

static void measure_words(struct measurer *m, const struct word_array *words) {
    double characters = 0;
    unsigned found = 0;
    for (size_t i = 0; i < words->count; i++) {
        characters += words->words[i].characters;
        for (size_t s = 0; s < sizeof m->stop_words / sizeof m->stop_words[0]; s++)
            found |= (unsigned)(words->words[i].hash == m->stop_words[s]) << s;
    }
    m->values[MEASURE_WORDS] = (double)words->count;
    m->values[MEASURE_WORD_LENGTH] = share(characters, (double)words->count);
    m->values[MEASURE_STOP_WORDS] = __builtin_popcount(found);
}

static double bytes_of(const struct word *words, size_t n) {
    double bytes = 0;
    for (size_t i = 0; i < n; i++) bytes += words[i].size;
    return bytes;
}

/* Of the runs that are the most frequent, the longest. */
static double top_bytes(struct measurer *m, const struct word_array *words, size_t n) {
    double most = 0;
    uint32_t times = 1; /* what occurs once is not repeated */
    for (size_t i = 0; i + n <= words->count; i++) {
        uint32_t now = tally_add(&m->tally, words_hash(words->words + i, n)) + 1;
        if (now < times || now == 1) continue;
        double bytes = now * bytes_of(words->words + i, n);
        if (now > times || bytes > most) most = bytes;
        times = now;
    }
    return most;
}

static double repeated_bytes(struct measurer *m, const struct word_array *words, size_t n) {
    double bytes = 0;
    for (size_t i = 0; i + n <= words->count;) {
        bool is_repeated = tally_add(&m->tally, words_hash(words->words + i, n)) > 0;
        if (is_repeated) bytes += bytes_of(words->words + i, n);
        i += is_repeated ? n : 1;
    }
    return bytes;
}

static fathom_status measure_runs(struct measurer *m, const struct measure_rules *rules,
                                  const struct word_array *words, struct error *err) {
    double all = bytes_of(words->words, words->count);
    for (int i = MEASURE_TOP_2; i <= MEASURE_REPEATED_10; i++) {
        if (!rules->is_ruled[i]) continue;
        TRY(tally_start(&m->tally, words->count, err));
        const bool is_top = i <= MEASURE_TOP_4;
        const int n = is_top ? i - MEASURE_TOP_2 + 2 : i - MEASURE_REPEATED_5 + 5;
        double bytes =
            is_top ? top_bytes(m, words, (size_t)n) : repeated_bytes(m, words, (size_t)n);
        m->values[i] = share(bytes, all);
    }
    return FATHOM_OK;
}

static bool any_ruled(const struct measure_rules *rules, enum measure from, enum measure to) {
    for (int m = (int)from; m <= (int)to; m++)
        if (rules->is_ruled[m]) return true;
    return false;
}

fathom_status measurer_check(struct measurer *measurer, const struct measure_rules *rules,
                             const char *text, size_t size, const struct word_array *words,
                             enum measure *broken, double *value, struct error *err) {
    *broken = MEASURES;
    measurer->values[MEASURE_BYTES] = (double)size;
    measure_words(measurer, words);
    if (any_ruled(rules, MEASURE_SYMBOLS, MEASURE_HAN))
        measure_characters(measurer, text, size, (double)words->count);
    if (any_ruled(rules, MEASURE_BULLETS, MEASURE_ELLIPSES) ||
        any_ruled(rules, MEASURE_REPEATED_LINES, MEASURE_REPEATED_PARAGRAPH_BYTES))
        TRY(measure_lines(measurer, text, size, err));
    TRY(measure_runs(measurer, rules, words, err));
    for (int m = 0; m < MEASURES; m++) {
        *value = measurer->values[m];
        if (!rules->is_ruled[m] || (*value >= rules->least[m] && *value <= rules->most[m]))
            continue;
        *broken = (enum measure)m;
        return FATHOM_OK;
    }
    return FATHOM_OK;
}
