#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/* ---- struct text ---- */

void text_free(struct text *text) {
    mem_free(text->data);
    memset(text, 0, sizeof *text);
}

void text_clear(struct text *text) {
    text->size = 0;
    text->failed = false;
    if (text->data) text->data[0] = 0;
}

/* Makes room for `size` more bytes and the NUL. */
bool text_reserve(struct text *text, size_t size) {
    size_t need = 0;
    if (text->failed) return false;
    bool fits = size_add(text->size, size, &need) && size_add(need, 1, &need);
    if (fits && need <= text->capacity) return true;
    size_t capacity = text->capacity < 64 ? 64 : text->capacity;
    while (fits && capacity < need) fits = size_mul(capacity, 2, &capacity);
    void *data = text->data;
    if (!fits || mem_grow(&data, text->size, capacity, 1, "a text", NULL) != FATHOM_OK) {
        text->failed = true;
        return false;
    }
    text->data = data;
    text->capacity = capacity;
    return true;
}

void text_append(struct text *text, const void *bytes, size_t size) {
    if (!text_reserve(text, size)) return;
    if (size > 0) memcpy(text->data + text->size, bytes, size);
    text->size += size;
    text->data[text->size] = 0;
}

void text_append_string(struct text *text, const char *string) {
    text_append(text, string, strlen(string));
}

void text_append_char(struct text *text, char c) { text_append(text, &c, 1); }

void text_append_shell_word(struct text *text, const char *word) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_./+-:,@%=";
    if (*word && strspn(word, plain) == strlen(word)) {
        text_append_string(text, word);
        return;
    }
    text_append_char(text, '\'');
    for (; *word; word++)
        if (*word == '\'')
            text_append_string(text, "'\\''");
        else
            text_append_char(text, *word);
    text_append_char(text, '\'');
}

void text_printf(struct text *text, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int size = vsnprintf(NULL, 0, format, args);
    if (size >= 0 && text_reserve(text, (size_t)size)) {
        vsnprintf(text->data + text->size, (size_t)size + 1, format, again);
        text->size += (size_t)size;
    } else {
        text->failed = true;
    }
    va_end(again);
    va_end(args);
}

const char *text_data(const struct text *text) { return text->data ? text->data : ""; }

fathom_status text_check(const struct text *text, struct error *err) {
    if (text->failed) RAISE(FATHOM_NO_MEMORY, "a text of %zu bytes cannot grow", text->size);
    return FATHOM_OK;
}

/* ---- strings ---- */

bool string_starts_with(const char *string, const char *prefix) {
    return strncmp(string, prefix, strlen(prefix)) == 0;
}

bool string_ends_with(const char *string, const char *suffix) {
    size_t size = strlen(string), tail = strlen(suffix);
    return size >= tail && memcmp(string + size - tail, suffix, tail) == 0;
}

fathom_status string_copy(char **out, const char *string, struct error *err) {
    size_t size = strlen(string) + 1;
    TRY(mem_new_raw((void **)out, size, 1, "a string", err));
    memcpy(*out, string, size);
    return FATHOM_OK;
}

/* ---- numbers ---- */

/* strtol and its kin skip spaces and take a plus sign and hexadecimal; we take none of these. */
static bool starts_number(const char *string) {
    const char *digits = string + (string[0] == '-');
    if (digits[0] == '0' && toupper((unsigned char)digits[1]) == 'X') return false;
    return isdigit((unsigned char)string[0]) ||
           (string[0] == '-' && (isdigit((unsigned char)string[1]) || string[1] == '.')) ||
           (string[0] == '.' && isdigit((unsigned char)string[1]));
}

bool string_to_i64(const char *string, int64_t *out) {
    char *end = NULL;
    if (!starts_number(string)) return false;
    errno = 0;
    long long value = strtoll(string, &end, 10);
    if (errno != 0 || *end != 0) return false;
    *out = value;
    return true;
}

bool string_to_u64(const char *string, uint64_t *out) {
    char *end = NULL;
    if (!isdigit((unsigned char)string[0])) return false;
    errno = 0;
    unsigned long long value = strtoull(string, &end, 10);
    if (errno != 0 || *end != 0) return false;
    *out = value;
    return true;
}

bool string_to_f64(const char *string, double *out) {
    char *end = NULL;
    if (!starts_number(string)) return false;
    double value = strtod(string, &end);
    if (*end != 0 || !isfinite(value)) return false;
    *out = value;
    return true;
}

bool string_to_bytes(const char *string, uint64_t *out) {
    static const char units[] = "KMGTP";
    char *end = NULL;
    if (!starts_number(string)) return false;
    double value = strtod(string, &end);
    const char *unit = *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
    if (unit) {
        value *= pow(1024, (double)(unit - units + 1));
        end++;
        if (strcmp(end, "iB") == 0) end += 2;
    }
    if (strcmp(end, "B") == 0) end++;
    if (*end != 0 || !(value >= 0) || value >= 18446744073709551616.0) return false;
    *out = (uint64_t)value;
    return true;
}

/* ---- formats ---- */

enum { FORMAT_BUFFER = 32 };

static char *format_scaled(char *buffer, double value, double base, const char *const *units,
                           int count) {
    int unit = 0;
    while (fabs(value) >= base * 0.9995 && unit + 1 < count) {
        value /= base;
        unit++;
    }
    int digits = unit == 0 && value == floor(value) ? 0 : fabs(value) < 9.995 ? 2 : 1;
    if (unit > 0 && fabs(value) >= 99.95) digits = 0;
    snprintf(buffer, FORMAT_BUFFER, "%.*f%s", digits, value, units[unit]);
    return buffer;
}

char *format_count(char *buffer, double count) {
    static const char *const units[] = {"", "K", "M", "B", "T", "P", "E"};
    return format_scaled(buffer, count, 1000, units, 7);
}

char *format_bytes(char *buffer, double bytes) {
    static const char *const units[] = {" B", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB"};
    return format_scaled(buffer, bytes, 1024, units, 7);
}

char *format_duration(char *buffer, double seconds) {
    if (!(seconds >= 0 && seconds < 1e12)) {
        snprintf(buffer, FORMAT_BUFFER, "?");
        return buffer;
    }
    long long whole = (long long)(seconds + 0.5);
    if (seconds < 9.95)
        snprintf(buffer, FORMAT_BUFFER, "%.1fs", seconds);
    else if (whole < 60)
        snprintf(buffer, FORMAT_BUFFER, "%llds", whole);
    else if (whole < 3600)
        snprintf(buffer, FORMAT_BUFFER, "%lldm %02llds", whole / 60, whole % 60);
    else if (whole < 100 * 3600)
        snprintf(buffer, FORMAT_BUFFER, "%lldh %02lldm", whole / 3600, whole % 3600 / 60);
    else
        snprintf(buffer, FORMAT_BUFFER, "%lldd %02lldh", whole / 86400, whole % 86400 / 3600);
    return buffer;
}

/* ---- UTF-8 ---- */

/* Length by the first byte and the range of the second, which excludes overlong forms, surrogates
 * and values above U+10FFFF (Unicode, table 3-7). 0: no sequence starts so. */
static int utf8_class(unsigned char first, unsigned char *low, unsigned char *high) {
    *low = 0x80;
    *high = 0xbf;
    if (first < 0x80) return 1;
    if (first < 0xc2 || first > 0xf4) return 0;
    if (first == 0xe0) *low = 0xa0;
    if (first == 0xed) *high = 0x9f;
    if (first == 0xf0) *low = 0x90;
    if (first == 0xf4) *high = 0x8f;
    return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/* How many of the bytes continue a sequence of `length` correctly, the first included. */
static int utf8_matching(const unsigned char *bytes, size_t size, int length, unsigned char low,
                         unsigned char high) {
    int i = 1;
    while (i < length && (size_t)i < size) {
        unsigned char least = i == 1 ? low : 0x80, most = i == 1 ? high : 0xbf;
        if (bytes[i] < least || bytes[i] > most) break;
        i++;
    }
    return i;
}

int utf8_decode(const unsigned char *bytes, size_t size, uint32_t *code) {
    static const unsigned char first_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    unsigned char low, high;
    if (size == 0) return 0;
    int length = utf8_class(bytes[0], &low, &high);
    if (length == 0 || utf8_matching(bytes, size, length, low, high) != length) return 0;
    uint32_t value = bytes[0] & first_bits[length];
    for (int i = 1; i < length; i++) value = value << 6 | (bytes[i] & 0x3f);
    *code = value;
    return length;
}

int utf8_encode(uint32_t code, unsigned char out[4]) {
    int length = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char marks[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (int i = length - 1; i > 0; i--) {
        out[i] = (unsigned char)(0x80 | (code & 0x3f));
        code >>= 6;
    }
    out[0] = (unsigned char)(marks[length] | code);
    return length;
}

bool utf8_is_prefix(const unsigned char *bytes, size_t size) {
    unsigned char low, high;
    if (size == 0) return false;
    int length = utf8_class(bytes[0], &low, &high);
    return length > 0 && (size_t)length > size &&
           (size_t)utf8_matching(bytes, size, length, low, high) == size;
}

size_t utf8_valid_size(const char *bytes, size_t size) {
    const unsigned char *at = (const unsigned char *)bytes, *end = at + size;
    while (at < end) {
        uint64_t eight;
        uint32_t code;
        while (end - at >= (ptrdiff_t)sizeof eight) {
            memcpy(&eight, at, sizeof eight);
            if (eight & 0x8080808080808080u) break;
            at += sizeof eight;
        }
        if (at == end) break;
        int length = utf8_decode(at, (size_t)(end - at), &code);
        if (length == 0) break;
        at += length;
    }
    return (size_t)(at - (const unsigned char *)bytes);
}

size_t text_append_valid(struct text *text, const char *bytes, size_t size) {
    size_t replaced = 0;
    for (size_t at = 0; at < size;) {
        size_t valid = utf8_valid_size(bytes + at, size - at);
        text_append(text, bytes + at, valid);
        at += valid;
        if (at == size) break;
        text_append_string(text, "\xef\xbf\xbd");
        replaced++;
        at++;
    }
    return replaced;
}
