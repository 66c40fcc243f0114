/* Checksums as 16 lower-case hexadecimal digits in JSON, which has no 64-bit unsigned integers. */
#ifndef FORMAT_HEX_H
#define FORMAT_HEX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"

enum { HEX_DIGITS = 16 };
/* True when bytes[0..16) are such digits; upper case is refused, so that a value has one spelling.
 */
bool hex_parse(const char *bytes, uint64_t *value);
/* A member that is a string of exactly such digits; otherwise an error that names key and `what`.
 */
fathom_status hex_need(const json_node *object, const char *key, uint64_t *value, const char *what,
                       struct error *err);

#endif
