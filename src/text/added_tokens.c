/* Finding added tokens in a text: lists sorted by bytes, so that matching narrows a range byte by
 * byte and the longest match is found in one walk. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "text/tokenizer_data.h"

static int compare_bytes(const char *a, size_t a_size, const char *b, size_t b_size) {
    int order = memcmp(a, b, a_size < b_size ? a_size : b_size);
    return order ? order : (a_size > b_size) - (a_size < b_size);
}

/* For qsort_r. */
static int compare_tokens(const void *a, const void *b, void *arg) {
    const struct tokenizer *t = arg;
    size_t a_size = 0, b_size = 0;
    const char *a_bytes = tokenizer_token_bytes(t, *(const int32_t *)a, &a_size);
    const char *b_bytes = tokenizer_token_bytes(t, *(const int32_t *)b, &b_size);
    return compare_bytes(a_bytes, a_size, b_bytes, b_size);
}

/* No two added tokens have the same bytes: neighbours in the order, and those matched before. */
static fathom_status check_once(const struct added_list *list, const struct tokenizer *t,
                                bool is_normalized, const char *what, struct error *err) {
    for (size_t i = 0; i < list->count; i++) {
        size_t size = 0, before_size = 0, length = 0;
        const char *bytes = tokenizer_token_bytes(t, list->ids[i], &size);
        const char *before = tokenizer_token_bytes(t, list->ids[i ? i - 1 : 0], &before_size);
        bool is_again = i > 0 && compare_bytes(before, before_size, bytes, size) == 0;
        if (is_normalized &&
            added_list_match(&t->added[0], t, (const unsigned char *)bytes, size, &length) >= 0)
            is_again |= length == size;
        if (is_again)
            RAISE(FATHOM_BAD_INPUT, "%s: added token \"%.*s\" is there twice", what, (int)size,
                  bytes);
    }
    return FATHOM_OK;
}

static bool is_of_pass(const struct tokenizer *t, int32_t id, bool is_normalized) {
    unsigned flags = t->flags[id];
    return (flags & TOKEN_ADDED) && !(flags & TOKEN_NORMALIZED) == !is_normalized;
}

fathom_status added_list_make(struct added_list *list, const struct tokenizer *t,
                              bool is_normalized, const char *what, struct error *err) {
    size_t count = 0;
    for (int32_t id = 0; id < t->vocab_size; id++) count += is_of_pass(t, id, is_normalized);
    TRY(MEM_NEW(&list->ids, count, "the added tokens", err));
    for (int32_t id = 0; id < t->vocab_size; id++) {
        if (!is_of_pass(t, id, is_normalized)) continue;
        unsigned char first = (unsigned char)text_data(&t->bytes)[t->offset[id]];
        list->first[first / 8] |= (uint8_t)(1 << first % 8);
        list->ids[list->count++] = id;
    }
    qsort_r(list->ids, list->count, sizeof *list->ids, compare_tokens, (void *)(uintptr_t)t);
    return check_once(list, t, is_normalized, what, err);
}

/* Byte `at` of the i-th token of the list, or -1 where it has ended. */
static int added_byte(const struct added_list *list, const struct tokenizer *t, size_t i,
                      size_t at) {
    size_t size = 0;
    const char *bytes = tokenizer_token_bytes(t, list->ids[i], &size);
    return at < size ? (unsigned char)bytes[at] : -1;
}

/* First index in [low, high) whose byte `at` is >= value. */
static size_t added_bound(const struct added_list *list, const struct tokenizer *t, size_t low,
                          size_t high, size_t at, int value) {
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (added_byte(list, t, middle, at) < value)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int32_t added_list_match(const struct added_list *list, const struct tokenizer *t,
                         const unsigned char *text, size_t size, size_t *length) {
    int32_t best = -1;
    size_t low = 0, high = list->count;
    if (size == 0 || !(list->first[text[0] / 8] >> text[0] % 8 & 1)) return -1;
    for (size_t at = 0; low < high; at++) {
        if (added_byte(list, t, low, at) < 0) { /* sorted: the one that ends here stands first */
            best = list->ids[low++];
            *length = at;
        }
        if (at == size) break;
        low = added_bound(list, t, low, high, at, text[at]);
        high = added_bound(list, t, low, high, at, text[at] + 1);
    }
    return best;
}
