/* Characters whose bytes may be merged before anything else.
 *
 * BPE begins with bytes. In a vocabulary as training makes it, where every token comes of one merge
 * and of tokens that were made before it, applying all merges of lowest rank first is applying the
 * rules one after the other. Rules that work within a character then commute with all others, and
 * its bytes may be merged first, unless some rule joins a part of the character with what stands
 * outside of it (such as a space with the first byte of a Cyrillic letter). Whether there is such a
 * rule is asked of the two bytes that meet at each border: 371 of DeepSeek-V3's 127,741 merges are
 * of this kind, and make 160 of the 65,536 pairs of bytes risky. */
#include <string.h>

#include "base/memory.h"
#include "text/tokenizer_data.h"

static bool is_continuation(unsigned char byte) { return (byte & 0xc0) == 0x80; }

/* Bytes of a character that begins with this one. */
static size_t character_size(unsigned char lead) {
    return lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

/* Whether every token comes of one merge, of tokens that were there before. */
static fathom_status check_order(const struct tokenizer *t, bool *is_regular, struct error *err) {
    uint8_t *made = NULL;
    *is_regular = true;
    TRY(MEM_NEW(&made, t->vocab_size, "the merges", err));
    for (int byte = 0; byte < 256; byte++) made[t->byte_id[byte]] = 1;
    for (size_t i = 0; i < t->merge_count && *is_regular; i++) {
        const struct merge *m = &t->merges[i];
        *is_regular = made[m->left] && made[m->right] && !made[m->result];
        made[m->result] = 1;
    }
    mem_free(made);
    return FATHOM_OK;
}

static void mark_risky(struct characters_first *c, const struct tokenizer *t) {
    for (size_t i = 0; i < t->merge_count; i++) {
        size_t left_size = 0, right_size = 0;
        const unsigned char *left =
            (const unsigned char *)tokenizer_token_bytes(t, t->merges[i].left, &left_size);
        const unsigned char *right =
            (const unsigned char *)tokenizer_token_bytes(t, t->merges[i].right, &right_size);
        if (is_continuation(right[0])) continue; /* they meet within a character */
        if (!is_continuation(left[0]) && right_size >= character_size(right[0])) continue;
        const unsigned char last = left[left_size - 1];
        c->risky[last][right[0] >> 3] |= (uint8_t)(1 << (right[0] & 7));
    }
}

/* The token that a character's bytes make by themselves; -1: more than one. */
static int32_t alone(const struct tokenizer *t, uint32_t code) {
    unsigned char bytes[4];
    int32_t ids[4];
    const size_t size = (size_t)utf8_encode(code, bytes);
    for (size_t i = 0; i < size; i++) ids[i] = t->byte_id[bytes[i]];
    return bpe_merge_scan(t, ids, size) == 1 ? ids[0] : -1;
}

fathom_status characters_first_make(struct tokenizer *t, struct error *err) {
    enum { SURROGATES = 0xd800, AFTER_SURROGATES = 0xe000 };
    bool is_regular = false;
    TRY(check_order(t, &is_regular, err));
    if (!is_regular) return FATHOM_OK;
    TRY(MEM_NEW(&t->characters, 1, "the characters", err));
    mark_risky(t->characters, t);
    for (uint32_t code = 0x80; code < CHARACTERS_FIRST; code++)
        t->characters->tokens[code] =
            code >= SURROGATES && code < AFTER_SURROGATES ? -1 : alone(t, code);
    return FATHOM_OK;
}

static bool is_risky(const struct characters_first *c, unsigned char last, unsigned char first) {
    return c->risky[last][first >> 3] >> (first & 7) & 1;
}

size_t characters_first_begin(const struct tokenizer *t, const unsigned char *bytes, size_t size,
                              int32_t *ids) {
    const struct characters_first *c = t->characters;
    size_t count = 0;
    for (size_t at = 0; at < size;) {
        uint32_t code = 0;
        int length = c && bytes[at] >= 0x80 ? utf8_decode(bytes + at, size - at, &code) : 0;
        const size_t end = at + (size_t)(length > 0 ? length : 1);
        const bool is_free = length > 0 && !(at > 0 && is_risky(c, bytes[at - 1], bytes[at])) &&
                             !(end < size && is_risky(c, bytes[end - 1], bytes[end]));
        if (is_free && code < CHARACTERS_FIRST && c->tokens[code] >= 0) {
            ids[count++] = c->tokens[code];
        } else {
            const size_t first = count;
            for (size_t i = at; i < end; i++) ids[count++] = t->byte_id[bytes[i]];
            if (is_free) count = first + bpe_merge_scan(t, ids + first, count - first);
        }
        at = end;
    }
    return count;
}
