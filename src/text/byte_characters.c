/* Bytes that are printable in Latin-1 stand for themselves; the others take 256, 257, ... in order
 * (GPT-2's encoder.py, bytes_to_unicode). */
#include "text/tokenizer_data.h"

static bool is_printable(unsigned byte) {
    return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
}

/* Place of a byte among those that are not printable. */
static unsigned rank_of(unsigned byte) {
    if (byte <= 32) return byte;
    return byte == 173 ? 67 : 33 + (byte - 127);
}

uint32_t byte_to_character(unsigned char byte) {
    return is_printable(byte) ? byte : 256 + rank_of(byte);
}

int character_to_byte(uint32_t code) {
    if (code < 256) return is_printable(code) ? (int)code : -1;
    if (code >= 256 + 68) return -1;
    unsigned rank = code - 256;
    if (rank <= 32) return (int)rank;
    return rank == 67 ? 173 : (int)(127 + rank - 33);
}

void token_spell(const char *bytes, size_t size, struct text *spelling) {
    for (size_t i = 0; i < size; i++) {
        unsigned char character[4];
        int length = utf8_encode(byte_to_character((unsigned char)bytes[i]), character);
        text_append(spelling, character, (size_t)length);
    }
}

bool token_unspell(const char *spelling, size_t size, struct text *bytes) {
    text_clear(bytes);
    for (size_t at = 0; at < size;) {
        uint32_t code = 0;
        int length = utf8_decode((const unsigned char *)spelling + at, size - at, &code);
        int byte = length > 0 ? character_to_byte(code) : -1;
        if (byte < 0) return false;
        text_append_char(bytes, (char)byte);
        at += (size_t)length;
    }
    return true;
}
