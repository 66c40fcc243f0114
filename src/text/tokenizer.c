#include "text/tokenizer.h"

#include <string.h>

#include "base/checksum.h"
#include "base/file.h"
#include "base/memory.h"
#include "text/tokenizer_data.h"

/* ---- building ---- */

fathom_status tokenizer_new(struct tokenizer **out, int32_t vocab_size, struct error *err) {
    struct tokenizer *t = NULL;
    *out = NULL;
    TRY(MEM_NEW(&t, 1, "the tokenizer", err));
    t->vocab_size = vocab_size;
    t->bos = t->eos = -1;
    fathom_status status = MEM_NEW(&t->offset, vocab_size, "the tokenizer", err);
    if (status == FATHOM_OK) status = MEM_NEW(&t->length, vocab_size, "the tokenizer", err);
    if (status == FATHOM_OK) status = MEM_NEW(&t->flags, vocab_size, "the tokenizer", err);
    if (status != FATHOM_OK)
        tokenizer_free(t);
    else
        *out = t;
    return status;
}

void tokenizer_free(struct tokenizer *t) {
    if (!t) return;
    text_free(&t->bytes);
    mem_free(t->offset);
    mem_free(t->length);
    mem_free(t->flags);
    mem_free(t->merges);
    mem_free(t->pairs);
    mem_free(t->pair_filter);
    mem_free(t->characters);
    mem_free(t->token_slots);
    added_list_free(&t->added[0]);
    added_list_free(&t->added[1]);
    pretokenizer_free(t->pretokenizer);
    normalizer_free(t->normalizer);
    mem_free(t->post_processor);
    mem_free(t->decoder);
    mem_free(t->affixes);
    mem_free(t->chat_template);
    mem_free(t);
}

fathom_status tokenizer_set_token(struct tokenizer *t, int32_t id, const void *bytes, size_t size,
                                  unsigned flags, const char *what, struct error *err) {
    if (id < 0 || id >= t->vocab_size)
        RAISE(FATHOM_BAD_INPUT, "%s: token id %d is outside [0, %d)", what, id, t->vocab_size);
    if (size == 0 || size > TOKEN_MAX_BYTES)
        RAISE(FATHOM_BAD_INPUT, "%s: token %d has %zu bytes, but must have 1 to %d", what, id, size,
              TOKEN_MAX_BYTES);
    bool is_again = t->flags[id] & TOKEN_EXISTS;
    bool is_same = is_again && t->length[id] == size &&
                   memcmp(text_data(&t->bytes) + t->offset[id], bytes, size) == 0;
    if (is_again && !is_same)
        RAISE(FATHOM_BAD_INPUT, "%s: token id %d stands for two texts", what, id);
    if (!is_again) {
        t->offset[id] = t->bytes.size;
        t->length[id] = (uint32_t)size;
        text_append(&t->bytes, bytes, size);
    }
    t->flags[id] |= (uint8_t)(flags | TOKEN_EXISTS);
    return text_check(&t->bytes, err);
}

const char *tokenizer_token_bytes(const struct tokenizer *t, int32_t id, size_t *size) {
    if (id < 0 || id >= t->vocab_size || !(t->flags[id] & TOKEN_EXISTS)) {
        *size = 0;
        return "";
    }
    *size = t->length[id];
    return text_data(&t->bytes) + t->offset[id];
}

/* ---- tables ---- */

/* A power of two of at least twice the count. */
static size_t table_size(size_t count) {
    size_t size = 16;
    while (size < 2 * count) size *= 2;
    return size;
}

static uint64_t pair_hash(uint64_t pair) {
    uint64_t h = pair * 0x9e3779b97f4a7c15u;
    return h ^ h >> 32;
}

/* Another part of the hash than the table's. */
static size_t filter_bit(const struct tokenizer *t, uint64_t hash) {
    return (size_t)(hash >> 24) & t->filter_mask;
}

static fathom_status make_pairs(struct tokenizer *t, struct error *err) {
    enum { FILTER_BITS = 8 /* a pair, at least */, WORD_BITS = 64 };
    size_t size = table_size(t->merge_count), bits = WORD_BITS;
    while (bits < FILTER_BITS * t->merge_count) bits *= 2;
    TRY(mem_new_raw((void **)&t->pairs, size, sizeof *t->pairs, "the merges", err));
    TRY(MEM_NEW(&t->pair_filter, bits / WORD_BITS, "the merges", err));
    memset(t->pairs, 0xff, size * sizeof *t->pairs);
    t->pair_mask = size - 1;
    t->filter_mask = bits - 1;
    for (size_t rank = 0; rank < t->merge_count; rank++) {
        const struct merge *m = &t->merges[rank];
        const uint64_t pair = (uint64_t)(uint32_t)m->left << 32 | (uint32_t)m->right;
        const uint64_t hash = pair_hash(pair);
        const size_t bit = filter_bit(t, hash);
        size_t at = (size_t)hash & t->pair_mask;
        t->pair_filter[bit / WORD_BITS] |= (uint64_t)1 << bit % WORD_BITS;
        while (t->pairs[at].pair != UINT64_MAX && t->pairs[at].pair != pair)
            at = (at + 1) & t->pair_mask;
        /* said twice: the last rank counts, as with Hugging Face */
        t->pairs[at] = (struct merge_slot){pair, (int32_t)rank, m->result};
    }
    return FATHOM_OK;
}

int32_t tokenizer_merge_rank(const struct tokenizer *t, int32_t left, int32_t right,
                             int32_t *result) {
    const uint64_t pair = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    const uint64_t hash = pair_hash(pair);
    const size_t bit = filter_bit(t, hash);
    if (!(t->pair_filter[bit / 64] >> bit % 64 & 1)) return -1;
    size_t at = (size_t)hash & t->pair_mask;
    while (t->pairs[at].pair != pair) {
        if (t->pairs[at].pair == UINT64_MAX) return -1;
        at = (at + 1) & t->pair_mask;
    }
    *result = t->pairs[at].result;
    return t->pairs[at].rank;
}

/* Added tokens are found by their own lists; an ordinary token with the same bytes stays. */
static bool is_ordinary(const struct tokenizer *t, int32_t id) {
    return (t->flags[id] & (TOKEN_EXISTS | TOKEN_ADDED)) == TOKEN_EXISTS;
}

fathom_status tokenizer_index(struct tokenizer *t, const char *what, struct error *err) {
    size_t size = table_size((size_t)t->vocab_size);
    TRY(mem_new_raw((void **)&t->token_slots, size, sizeof *t->token_slots, "the tokens", err));
    memset(t->token_slots, 0xff, size * sizeof *t->token_slots);
    t->token_mask = size - 1;
    for (int32_t id = 0; id < t->vocab_size; id++) {
        size_t length = 0;
        if (!is_ordinary(t, id)) continue;
        const char *bytes = tokenizer_token_bytes(t, id, &length);
        int32_t other = tokenizer_ordinary(t, bytes, length);
        if (other >= 0)
            RAISE(FATHOM_BAD_INPUT, "%s: tokens %d and %d stand for the same bytes", what, other,
                  id);
        size_t at = (size_t)hash_bytes(bytes, length) & t->token_mask;
        while (t->token_slots[at] >= 0) at = (at + 1) & t->token_mask;
        t->token_slots[at] = id;
    }
    return FATHOM_OK;
}

int32_t tokenizer_ordinary(const struct tokenizer *t, const void *bytes, size_t size) {
    size_t at = (size_t)hash_bytes(bytes, size) & t->token_mask;
    for (; t->token_slots[at] >= 0; at = (at + 1) & t->token_mask) {
        size_t length = 0;
        const char *own = tokenizer_token_bytes(t, t->token_slots[at], &length);
        if (length == size && memcmp(own, bytes, size) == 0) return t->token_slots[at];
    }
    return -1;
}

fathom_status tokenizer_make_merge(const struct tokenizer *t, struct merge_texts *texts,
                                   struct merge *merge, struct error *err) {
    struct text *left = &texts->left, *right = &texts->right;
    merge->left = tokenizer_ordinary(t, text_data(left), left->size);
    merge->right = tokenizer_ordinary(t, text_data(right), right->size);
    text_append(left, text_data(right), right->size);
    TRY(text_check(left, err));
    merge->result = tokenizer_ordinary(t, text_data(left), left->size);
    if (merge->left < 0 || merge->right < 0) merge->result = -1;
    return FATHOM_OK;
}

/* Everything that decides how a text is encoded. */
static fathom_status make_hash(struct tokenizer *t, struct error *err) {
    struct checksum *sum = NULL;
    TRY(checksum_new(&sum, err));
    const char *name = pretokenizer_identity(t->pretokenizer);
    checksum_add(sum, name, strlen(name));
    if (t->normalizer) {
        const char *json = normalizer_json(t->normalizer);
        checksum_add(sum, json, strlen(json));
    }
    if (t->ignore_merges) checksum_add(sum, "ignore_merges", strlen("ignore_merges"));
    for (int32_t id = 0; id < t->vocab_size; id++) {
        size_t length = 0;
        const char *bytes = tokenizer_token_bytes(t, id, &length);
        uint32_t head[] = {t->flags[id], (uint32_t)length};
        checksum_add(sum, head, sizeof head);
        checksum_add(sum, bytes, length);
    }
    checksum_add(sum, t->merges, t->merge_count * sizeof *t->merges);
    t->hash = checksum_value(sum);
    checksum_free(sum);
    return FATHOM_OK;
}

fathom_status tokenizer_finish(struct tokenizer *t, const char *what, struct error *err) {
    TRY(make_pairs(t, err));
    if (!text_reserve(&t->bytes, TOKEN_SLACK)) return text_check(&t->bytes, err);
    memset(t->bytes.data + t->bytes.size, 0, TOKEN_SLACK);
    for (int byte = 0; byte < 256; byte++) {
        unsigned char c = (unsigned char)byte;
        t->byte_id[byte] = tokenizer_ordinary(t, &c, 1);
        if (t->byte_id[byte] < 0)
            RAISE(FATHOM_BAD_INPUT,
                  "%s: no token for byte 0x%02x, so not every text can be encoded", what, byte);
    }
    TRY(characters_first_make(t, err));
    TRY(added_list_make(&t->added[0], t, false, what, err));
    TRY(added_list_make(&t->added[1], t, true, what, err));
    return make_hash(t, err);
}

/* ---- what is known of it ---- */

int32_t tokenizer_vocab_size(const struct tokenizer *t) { return t->vocab_size; }
int32_t tokenizer_bos(const struct tokenizer *t) { return t->bos; }
int32_t tokenizer_eos(const struct tokenizer *t) { return t->eos; }

const int32_t *tokenizer_prefix(const struct tokenizer *t, size_t *count) {
    *count = t->prefix_count;
    return t->affixes;
}
const int32_t *tokenizer_suffix(const struct tokenizer *t, size_t *count) {
    *count = t->suffix_count;
    return t->affixes ? t->affixes + t->prefix_count : NULL;
}

const char *tokenizer_chat_template(const struct tokenizer *t) { return t->chat_template; }
uint64_t tokenizer_hash(const struct tokenizer *t) { return t->hash; }

size_t tokenizer_cut(const struct tokenizer *t, const void *text, size_t size, size_t at) {
    return t->normalizer ? size : pretokenizer_cut(t->pretokenizer, text, size, at);
}

bool tokenizer_is_special(const struct tokenizer *t, int32_t id) {
    return id >= 0 && id < t->vocab_size && (t->flags[id] & TOKEN_SPECIAL);
}

int32_t tokenizer_find(const struct tokenizer *t, const char *bytes, size_t size) {
    for (int pass = 0; pass < 2; pass++) {
        size_t length = 0;
        int32_t id = added_list_match(&t->added[pass], (const unsigned char *)bytes, size, &length);
        if (id >= 0 && length == size) return id;
    }
    return tokenizer_ordinary(t, bytes, size);
}
