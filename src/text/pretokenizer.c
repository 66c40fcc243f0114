#include "text/pretokenizer.h"

#include <string.h>

#include "base/memory.h"
#include "text/character.h"
#include "text/pretokenizer_data.h"

/* A step's way through a range, with the range's text where it is not part of what was given. */
struct level {
    struct split_range range;
    struct text prefixed, prefixed_valid;
};

struct cutter {
    const struct pretokenizer *p;
    struct regex_search *search; /* where a step needs it */
    struct level *levels;        /* [level_count] */
    int level_count;             /* p->count: p may be gone when the cutter is freed */
    int depth;                   /* levels that are begun */
    struct text valid;           /* the text with bytes that are not UTF-8 replaced */
};

fathom_status cutter_new(struct cutter **out, const struct pretokenizer *p, struct error *err) {
    struct cutter *c = NULL;
    *out = NULL;
    TRY(MEM_NEW(&c, 1, "cutting a text", err));
    c->p = p;
    fathom_status status = MEM_NEW(&c->levels, p->count + 1, "cutting a text", err);
    if (status == FATHOM_OK) c->level_count = p->count;
    if (status == FATHOM_OK && p->has_regex) status = regex_search_new(&c->search, err);
    if (status != FATHOM_OK)
        cutter_free(c);
    else
        *out = c;
    return status;
}

void cutter_free(struct cutter *c) {
    if (!c) return;
    for (int i = 0; i < c->level_count; i++) {
        text_free(&c->levels[i].prefixed);
        text_free(&c->levels[i].prefixed_valid);
    }
    regex_search_free(c->search);
    text_free(&c->valid);
    mem_free(c->levels);
    mem_free(c);
}

/* Every byte that is not part of valid UTF-8 becomes a control character: of no class too. *valid
 * is the text itself where it has none. */
static fathom_status make_valid(struct text *scratch, const unsigned char *text, size_t size,
                                const unsigned char **valid, struct error *err) {
    uint32_t code = 0;
    *valid = text;
    for (size_t at = 0; at < size;) {
        int length = utf8_decode(text + at, size - at, &code);
        if (length == 0) {
            if (*valid == text) {
                text_clear(scratch);
                text_append(scratch, text, size);
                TRY(text_check(scratch, err));
                *valid = (const unsigned char *)scratch->data;
            }
            scratch->data[at] = '\1';
            length = 1;
        }
        at += (size_t)length;
    }
    return FATHOM_OK;
}

/* Begins the level below with a range; a step that puts a space before it gets a copy. */
static fathom_status begin_level(struct cutter *c, const unsigned char *text,
                                 const unsigned char *valid, size_t size, struct error *err) {
    struct level *level = &c->levels[c->depth];
    const struct split_step *step = &c->p->steps[c->depth++];
    if (step->kind == STEP_PREFIX && size > 0 && text[0] != ' ') {
        text_clear(&level->prefixed);
        text_append_char(&level->prefixed, ' ');
        text_append(&level->prefixed, text, size);
        TRY(text_check(&level->prefixed, err));
        if (valid != text) {
            text_clear(&level->prefixed_valid);
            text_append_char(&level->prefixed_valid, ' ');
            text_append(&level->prefixed_valid, valid, size);
            TRY(text_check(&level->prefixed_valid, err));
        }
        valid = (const unsigned char *)(valid != text ? &level->prefixed_valid : &level->prefixed)
                    ->data;
        text = (const unsigned char *)level->prefixed.data;
        size++;
    }
    split_range_start(&level->range, text, valid, size);
    return FATHOM_OK;
}

fathom_status cutter_start(struct cutter *c, const void *text, size_t size, struct error *err) {
    const unsigned char *valid = text;
    c->depth = 0;
    if (c->p->has_regex) TRY(make_valid(&c->valid, text, size, &valid, err));
    return begin_level(c, text, valid, size, err);
}

fathom_status cutter_next(struct cutter *c, struct piece *piece, struct error *err) {
    struct split_range *first = &c->levels[0].range;
    *piece = (struct piece){0};
    if (c->p->steps[0].kind == STEP_SPLIT_V3) { /* the one step, without further ado */
        if (first->at == first->size) return FATHOM_OK;
        size_t end = v3_next(first->text, first->size, first->at);
        *piece = (struct piece){first->text + first->at, end - first->at};
        first->at = end;
        return FATHOM_OK;
    }
    while (c->depth > 0) {
        struct split_range *range = &c->levels[c->depth - 1].range;
        size_t begin = 0, end = 0;
        bool is_more = false;
        TRY(split_next(&c->p->steps[c->depth - 1], range, c->search, &begin, &end, &is_more, err));
        if (!is_more) {
            c->depth--;
            continue;
        }
        if (c->depth == c->p->count) {
            *piece = (struct piece){range->text + begin, end - begin};
            return FATHOM_OK;
        }
        TRY(begin_level(c, range->text + begin, range->valid + begin, end - begin, err));
    }
    return FATHOM_OK;
}

size_t pretokenizer_cut(const struct pretokenizer *p, const void *text, size_t size, size_t at) {
    const unsigned char *bytes = text;
    while (p->can_cut && at < size) {
        const unsigned char *newline = memchr(bytes + at, '\n', size - at);
        if (!newline) return size;
        at = (size_t)(newline - bytes);
        if (at > 0 && is_ascii_letter(character_at(bytes, size, at - 1))) return at;
        at++;
    }
    return size;
}
