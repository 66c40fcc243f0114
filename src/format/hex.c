#include "format/hex.h"

#include <string.h>

bool hex_parse(const char *bytes, uint64_t *value) {
    *value = 0;
    for (int i = 0; i < HEX_DIGITS; i++) {
        char c = bytes[i];
        bool is_decimal = c >= '0' && c <= '9';
        if (!is_decimal && !(c >= 'a' && c <= 'f')) return false;
        *value = *value << 4 | (uint64_t)(is_decimal ? c - '0' : c - 'a' + 10);
    }
    return true;
}

fathom_status hex_need(const json_node *object, const char *key, uint64_t *value, const char *what,
                       struct error *err) {
    const char *digits = NULL;
    TRY(json_need_string(object, key, &digits, what, err));
    if (strlen(digits) != HEX_DIGITS || !hex_parse(digits, value))
        RAISE(FATHOM_BAD_INPUT, "%s: %s is \"%s\", not %d hexadecimal digits", what, key, digits,
              HEX_DIGITS);
    return FATHOM_OK;
}
