/* Growable byte strings and small string helpers. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* Bytes with a NUL kept after them. Zero-initialise; text_free when done. An allocation failure
 * latches `failed` and further appends do nothing, so that a long run of appends is checked once
 * with text_check. */
struct text {
    char *data; /* NULL while empty and never grown; use text_data() for a string */
    size_t size;
    size_t capacity;
    bool failed;
};
void text_free(struct text *text);
void text_clear(struct text *text); /* keeps the memory */
void text_append(struct text *text, const void *bytes, size_t size);
/* Room for `size` more bytes: text->data + text->size may be written that far, and text->size
 * raised by what was; a NUL belongs behind it. False where there is no memory. */
bool text_reserve(struct text *text, size_t size);
void text_append_string(struct text *text, const char *string);
void text_append_char(struct text *text, char c);
void text_printf(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* As a shell's word: as it is where nothing needs it, else in single quotes. */
void text_append_shell_word(struct text *text, const char *word);
const char *text_data(const struct text *text); /* never NULL */
fathom_status text_check(const struct text *text, struct error *err);

bool string_starts_with(const char *string, const char *prefix);
bool string_ends_with(const char *string, const char *suffix);
/* A copy (mem_free). */
fathom_status string_copy(char **out, const char *string, struct error *err);

/* Whole-string number parsing: no trailing bytes, no leading spaces, range-checked. */
bool string_to_i64(const char *string, int64_t *out);
bool string_to_u64(const char *string, uint64_t *out);
bool string_to_f64(const char *string, double *out); /* finite only */
/* "4096", "64K", "1.5G", "4GiB": bytes, powers of 1024. */
bool string_to_bytes(const char *string, uint64_t *out);

/* "12.1M", "671B"; "1.40 GiB"; "1h 02m": into the caller's buffer of at least 32 bytes, returned.
 */
char *format_count(char *buffer, double count);
char *format_bytes(char *buffer, double bytes);
char *format_duration(char *buffer, double seconds);

/* Length of the valid UTF-8 sequence that starts at bytes[0] (1..4; no overlong forms, surrogates
 * or values above U+10FFFF), or 0 where there is none within `size` bytes. *code gets its value. */
int utf8_decode(const unsigned char *bytes, size_t size, uint32_t *code);
/* Writes 1..4 bytes and returns how many. */
int utf8_encode(uint32_t code, unsigned char out[4]);
/* The first byte that is not part of valid UTF-8, or size. */
size_t utf8_valid_size(const char *bytes, size_t size);
/* Appends the text with U+FFFD in place of every byte that is not part of valid UTF-8; returns how
 * many there were. */
size_t text_append_valid(struct text *text, const char *bytes, size_t size);
/* Whether bytes[0..size) could be the beginning of a longer valid sequence (size 1..3). */
bool utf8_is_prefix(const unsigned char *bytes, size_t size);

#endif
