#include "text/split.h"

#include <string.h>

#include "base/memory.h"
#include "text/character.h"

void split_step_free(struct split_step *step) {
    regex_free(step->regex);
    mem_free(step->literal);
    *step = (struct split_step){0};
}

void split_range_start(struct split_range *r, const unsigned char *text, const unsigned char *valid,
                       size_t size) {
    *r = (struct split_range){
        .text = text, .valid = valid, .size = size, .last_match_end = SIZE_MAX};
}

/* ---- matches ---- */

static bool find_known(const struct known_pattern *p, const struct split_range *r, size_t from,
                       size_t *begin, size_t *end) {
    if (p->find) return p->find(r->text, r->size, from, begin, end);
    while (from < r->size) {
        *end = p->match(r->text, r->size, from);
        *begin = from;
        if (*end > from) return true;
        from += character_at(r->text, r->size, from).length;
    }
    return false;
}

static bool find_literal(const struct split_step *s, const struct split_range *r, size_t from,
                         size_t *begin, size_t *end) {
    if (s->literal_size == 0 || from >= r->size) return false;
    const unsigned char *at = memmem(r->text + from, r->size - from, s->literal, s->literal_size);
    if (!at) return false;
    *begin = (size_t)(at - r->text);
    *end = *begin + s->literal_size;
    return true;
}

/* As the iterator over Oniguruma's matches that Hugging Face uses: an empty match directly behind
 * the last one is passed over. */
static fathom_status find_regex(const struct split_step *s, struct split_range *r,
                                struct regex_search *search, bool *found, size_t *begin,
                                size_t *end, struct error *err) {
    *found = false;
    while (r->search_from <= r->size) {
        TRY(regex_find(s->regex, search, r->valid, r->size, r->search_from, found, begin, end,
                       err));
        if (!*found || *begin < *end || *begin != r->last_match_end) break;
        struct character c = character_at(r->valid, r->size, r->search_from);
        r->search_from += c.length > 0 ? c.length : 1;
        *found = false;
    }
    return FATHOM_OK;
}

static fathom_status find_match(const struct split_step *s, struct split_range *r,
                                struct regex_search *search, struct error *err) {
    size_t begin = 0, end = 0;
    bool found = false;
    if (r->has_no_more) return FATHOM_OK;
    if (s->known)
        found = find_known(s->known, r, r->at, &begin, &end);
    else if (s->regex)
        TRY(find_regex(s, r, search, &found, &begin, &end, err));
    else
        found = find_literal(s, r, r->at, &begin, &end);
    r->has_match = found;
    r->has_no_more = !found;
    r->match = (struct split_item){begin, end, true};
    if (found) r->search_from = r->last_match_end = end;
    return FATHOM_OK;
}

/* ---- pieces ---- */

/* The next gap or match, as the step's `invert` calls them; an empty match too. */
static fathom_status next_item(const struct split_step *s, struct split_range *r,
                               struct regex_search *search, struct split_item *item, bool *is_more,
                               struct error *err) {
    *is_more = true;
    if (r->has_ahead) {
        *item = r->ahead;
        r->has_ahead = false;
        return FATHOM_OK;
    }
    *is_more = r->at < r->size;
    if (!*is_more) return FATHOM_OK;
    if (!r->has_match) TRY(find_match(s, r, search, err));
    size_t gap_end = r->has_match ? r->match.begin : r->size;
    if (gap_end > r->at) {
        *item = (struct split_item){r->at, gap_end, s->invert};
        r->at = gap_end;
        return FATHOM_OK;
    }
    *item = r->match;
    item->is_match = !s->invert;
    r->has_match = false;
    r->at = r->match.end;
    return FATHOM_OK;
}

static bool joins(enum split_behavior behavior, const struct split_item *item,
                  const struct split_item *next) {
    switch (behavior) {
    case SPLIT_MERGED_WITH_PREVIOUS: return !item->is_match && next->is_match;
    case SPLIT_MERGED_WITH_NEXT: return item->is_match && !next->is_match;
    case SPLIT_CONTIGUOUS: return item->is_match == next->is_match;
    case SPLIT_ISOLATED:
    case SPLIT_REMOVED: break;
    }
    return false;
}

/* An item with what joins it. */
static fathom_status next_joined(const struct split_step *s, struct split_range *r,
                                 struct regex_search *search, struct split_item *item,
                                 bool *is_more, struct error *err) {
    TRY(next_item(s, r, search, item, is_more, err));
    if (!*is_more || s->behavior <= SPLIT_REMOVED) return FATHOM_OK;
    for (bool is_joined = true; is_joined;) {
        struct split_item next = {0};
        bool has_next = false;
        TRY(next_item(s, r, search, &next, &has_next, err));
        if (!has_next) break;
        is_joined = joins(s->behavior, item, &next);
        if (!is_joined) {
            r->ahead = next;
            r->has_ahead = true;
            break;
        }
        item->end = next.end;
        if (s->behavior != SPLIT_CONTIGUOUS) break;
    }
    return FATHOM_OK;
}

fathom_status split_next(const struct split_step *s, struct split_range *r,
                         struct regex_search *search, size_t *begin, size_t *end, bool *is_more,
                         struct error *err) {
    if (s->kind == STEP_SPLIT_V3) {
        *is_more = r->at < r->size;
        *begin = r->at;
        if (*is_more) *end = r->at = v3_next(r->text, r->size, r->at);
        return FATHOM_OK;
    }
    for (;;) {
        struct split_item item = {0};
        TRY(next_joined(s, r, search, &item, is_more, err));
        if (!*is_more) return FATHOM_OK;
        if (item.begin == item.end || (item.is_match && s->behavior == SPLIT_REMOVED)) continue;
        *begin = item.begin;
        *end = item.end;
        return FATHOM_OK;
    }
}
