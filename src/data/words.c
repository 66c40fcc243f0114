#include "data/words.h"

#include "base/memory.h"
#include "base/text.h"
#include "text/unicode.h"

static bool stands_alone(uint32_t code) {
    static const uint32_t ranges[][2] = {
        {0x0e00, 0x0eff},   /* Thai, Lao */
        {0x1000, 0x109f},   /* Burmese */
        {0x1780, 0x17ff},   /* Khmer */
        {0x3040, 0x30ff},   /* Hiragana, Katakana */
        {0x3400, 0x4dbf},   /* Han */
        {0x4e00, 0x9fff},   /* Han */
        {0xf900, 0xfaff},   /* Han */
        {0x20000, 0x3ffff}, /* Han */
    };
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        if (code >= ranges[i][0] && code <= ranges[i][1]) return true;
    return false;
}

static bool is_part(uint32_t code) {
    enum unicode_class class = unicode_class_of(code);
    return class == UNICODE_LETTER || class == UNICODE_MARK || class == UNICODE_NUMBER;
}
static bool is_ascii_part(unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* FNV-1a with 64 bits: words are short. */
#define HASH_BEGIN 0xcbf29ce484222325u
#define HASH_PRIME 0x100000001b3u

static void take(struct word *word, const unsigned char *bytes, size_t size) {
    for (size_t i = 0; i < size; i++) word->hash = (word->hash ^ bytes[i]) * HASH_PRIME;
    word->size += (uint32_t)size;
    word->characters++;
}

bool word_next(const char *text, size_t size, size_t *at, struct word *word) {
    const unsigned char *bytes = (const unsigned char *)text;
    size_t i = *at;
    *word = (struct word){.hash = HASH_BEGIN};
    while (i < size && word->size < UINT32_MAX - 4) {
        if (bytes[i] < 0x80) {
            if (is_ascii_part(bytes[i])) {
                const unsigned char small = bytes[i] >= 'A' && bytes[i] <= 'Z'
                                                ? (unsigned char)(bytes[i] + ('a' - 'A'))
                                                : bytes[i];
                take(word, &small, 1);
            } else if (word->size > 0) {
                break;
            }
            i++;
            continue;
        }
        uint32_t code = 0;
        int length = utf8_decode(bytes + i, size - i, &code);
        bool is_word = length > 0 && is_part(code), is_alone = is_word && stands_alone(code);
        if (word->size > 0 && (!is_word || is_alone)) break;
        if (is_word) take(word, bytes + i, (size_t)length);
        i += length > 0 ? (size_t)length : 1;
        if (is_alone) break;
    }
    *at = i;
    return word->size > 0;
}

fathom_status word_array_read(struct word_array *array, const char *text, size_t size,
                              struct error *err) {
    struct word word;
    array->count = 0;
    for (size_t at = 0; word_next(text, size, &at, &word);) {
        if (array->count == array->capacity) {
            size_t capacity = array->capacity * 2 + 1024;
            TRY(mem_grow((void **)&array->words, array->count, capacity, sizeof *array->words,
                         "a document's words", err));
            array->capacity = capacity;
        }
        array->words[array->count++] = word;
    }
    return FATHOM_OK;
}

void word_array_free(struct word_array *array) {
    mem_free(array->words);
    *array = (struct word_array){0};
}

/* The finalizer of MurmurHash3. */
static uint64_t mix(uint64_t h) {
    h = (h ^ (h >> 33)) * 0xff51afd7ed558ccdu;
    h = (h ^ (h >> 33)) * 0xc4ceb9fe1a85ec53u;
    return h ^ (h >> 33);
}

uint64_t words_hash(const struct word *words, size_t n) {
    uint64_t hash = n;
    for (size_t i = 0; i < n; i++) hash = (hash + words[i].hash) * 0x9e3779b97f4a7c15u;
    return mix(hash);
}
