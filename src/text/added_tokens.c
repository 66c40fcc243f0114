/* Finding added tokens in a text: lists sorted by bytes, so that matching narrows a range byte by
 * byte and the longest match is found in one walk. What is around a match decides, as Hugging
 * Face's tokenizers have it, whether and how far it reaches. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "text/character.h"
#include "text/tokenizer_data.h"

/* ---- making a list ---- */

static int compare_tokens(const void *a, const void *b) {
    const struct added_token *x = a, *y = b;
    int order = memcmp(x->bytes, y->bytes, x->size < y->size ? x->size : y->size);
    return order ? order : (x->size > y->size) - (x->size < y->size);
}

/* Each token's bytes are looked for once: in this list, and in the one before it. */
static fathom_status check_once(const struct added_list *list, const struct added_list *before,
                                const char *what, struct error *err) {
    for (size_t i = 0; i < list->count; i++) {
        const struct added_token *token = &list->tokens[i];
        size_t length = 0;
        bool is_again = i > 0 && compare_tokens(token - 1, token) == 0;
        if (before && added_list_match(before, token->bytes, token->size, &length) >= 0)
            is_again |= length == token->size;
        if (is_again)
            RAISE(FATHOM_BAD_INPUT, "%s: added token \"%.*s\" is there twice", what,
                  (int)token->size, (const char *)token->bytes);
    }
    return FATHOM_OK;
}

static bool is_of_pass(const struct tokenizer *t, int32_t id, bool is_normalized) {
    unsigned flags = t->flags[id];
    return (flags & TOKEN_ADDED) && !(flags & TOKEN_NORMALIZED) == !is_normalized;
}

/* The bytes of every token through the normalizer, one after the other; sizes into the tokens. */
static fathom_status normalize_tokens(struct added_list *list, const struct tokenizer *t,
                                      struct error *err) {
    struct normalizer_scratch scratch = {0};
    fathom_status status = FATHOM_OK;
    for (size_t i = 0; i < list->count && status == FATHOM_OK; i++) {
        struct added_token *token = &list->tokens[i];
        const unsigned char *bytes = NULL;
        status = normalizer_apply(t->normalizer, &scratch, token->bytes, token->size, &bytes,
                                  &token->size, err);
        if (status == FATHOM_OK) text_append(&list->normalized, bytes, token->size);
    }
    normalizer_scratch_free(&scratch);
    if (status == FATHOM_OK) status = text_check(&list->normalized, err);
    const unsigned char *at = (const unsigned char *)text_data(&list->normalized);
    for (size_t i = 0; i < list->count && status == FATHOM_OK; at += list->tokens[i++].size)
        list->tokens[i].bytes = at;
    return status;
}

fathom_status added_list_make(struct added_list *list, const struct tokenizer *t,
                              bool is_normalized, const char *what, struct error *err) {
    size_t count = 0;
    for (int32_t id = 0; id < t->vocab_size; id++) count += is_of_pass(t, id, is_normalized);
    TRY(MEM_NEW(&list->tokens, count, "the added tokens", err));
    for (int32_t id = 0; id < t->vocab_size; id++) {
        if (!is_of_pass(t, id, is_normalized)) continue;
        struct added_token *token = &list->tokens[list->count++];
        token->id = id;
        token->bytes = (const unsigned char *)tokenizer_token_bytes(t, id, &token->size);
    }
    if (is_normalized && t->normalizer) TRY(normalize_tokens(list, t, err));
    for (size_t i = 0; i < list->count; i++) {
        if (list->tokens[i].size == 0)
            RAISE(FATHOM_BAD_INPUT, "%s: nothing is left of added token %d when it is normalized",
                  what, list->tokens[i].id);
        unsigned char first = list->tokens[i].bytes[0];
        list->first[first / 8] |= (uint8_t)(1 << first % 8);
    }
    qsort(list->tokens, list->count, sizeof *list->tokens, compare_tokens);
    return check_once(list, is_normalized ? &t->added[0] : NULL, what, err);
}

void added_list_free(struct added_list *list) {
    mem_free(list->tokens);
    text_free(&list->normalized);
    *list = (struct added_list){0};
}

/* ---- matching ---- */

/* Byte `at` of the i-th token of the list, or -1 where it has ended. */
static int added_byte(const struct added_list *list, size_t i, size_t at) {
    const struct added_token *token = &list->tokens[i];
    return at < token->size ? token->bytes[at] : -1;
}

/* First index in [low, high) whose byte `at` is >= value. */
static size_t added_bound(const struct added_list *list, size_t low, size_t high, size_t at,
                          int value) {
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (added_byte(list, middle, at) < value)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool may_begin(const struct added_list *list, unsigned char byte) {
    return list->first[byte / 8] >> byte % 8 & 1;
}

int32_t added_list_match(const struct added_list *list, const unsigned char *text, size_t size,
                         size_t *length) {
    int32_t best = -1;
    size_t low = 0, high = list->count;
    if (size == 0 || !may_begin(list, text[0])) return -1;
    for (size_t at = 0; low < high; at++) {
        if (added_byte(list, low, at) < 0) { /* sorted: the one that ends here stands first */
            best = list->tokens[low++].id;
            *length = at;
        }
        if (at == size) break;
        low = added_bound(list, low, high, at, text[at]);
        high = added_bound(list, low, high, at, text[at] + 1);
    }
    return best;
}

/* ---- what is around a match ---- */

/* The character that ends at `at`; length 0 at the beginning. */
static struct character character_before(const unsigned char *text, size_t at) {
    for (size_t length = 2; length <= 4 && length <= at; length++) {
        struct character c = character_at(text, at, at - length);
        if (c.length == length) return c;
    }
    return at > 0 ? character_at(text, at, at - 1) : (struct character){0}; /* or a stray byte */
}

static bool is_word_character(struct character c) {
    return c.length > 0 && unicode_is_word(c.code);
}

static bool is_within_word(const unsigned char *text, size_t size, size_t begin, size_t end) {
    return is_word_character(character_before(text, begin)) ||
           is_word_character(character_at(text, size, end));
}

static size_t space_begin(const unsigned char *text, size_t at, size_t least) {
    while (at > least) {
        struct character c = character_before(text, at);
        if (!is_space(c)) break;
        at -= c.length;
    }
    return at > least ? at : least;
}

struct added_match added_list_next(const struct added_list *list, const struct tokenizer *t,
                                   const unsigned char *text, size_t size, size_t *from,
                                   size_t done) {
    for (size_t at = *from, length = 0; list->count > 0 && at < size; at += length) {
        int32_t id = added_list_match(list, text + at, size - at, &length);
        if (id < 0) {
            length = 1;
            continue;
        }
        struct added_match match = {id, at, at + length};
        unsigned flags = t->flags[id];
        if ((flags & TOKEN_SINGLE_WORD) && is_within_word(text, size, match.begin, match.end))
            continue;
        *from = match.end;
        if (flags & TOKEN_LSTRIP) match.begin = space_begin(text, match.begin, done);
        if (flags & TOKEN_RSTRIP) match.end = run_end(text, size, match.end, is_space);
        return match;
    }
    *from = size;
    return (struct added_match){-1, size, size};
}
