/* jansson's constructors and kind macros share names with our getters. Its constructors are renamed
 * while its header is read and its macros dropped after: nothing here needs them, and our symbols
 * are hidden, so the library keeps its own. */
#define json_string jansson_make_string
#define json_integer jansson_make_integer
#define json_real jansson_make_real
#include <jansson.h>
#undef json_string
#undef json_integer
#undef json_real
#undef json_is_object
#undef json_is_array
#undef json_is_string
#undef json_is_integer
#undef json_is_number
#undef json_is_null

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"

fathom_status json_parse(json_node **root, const char *text, size_t size, const char *what,
                         struct error *err) {
    json_error_t fault;
    *root =
        json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &fault);
    if (*root) return FATHOM_OK;
    if (json_error_code(&fault) == json_error_out_of_memory)
        RAISE(FATHOM_NO_MEMORY, "%s: out of memory while reading JSON", what);
    RAISE(FATHOM_BAD_INPUT, "%s: not valid JSON at line %d, column %d: %s", what, fault.line,
          fault.column, fault.text);
}

fathom_status json_read_file(json_node **root, const char *path, size_t max_size,
                             struct error *err) {
    char *text = NULL;
    size_t size = 0;
    *root = NULL;
    TRY(file_read(path, max_size, &text, &size, err));
    fathom_status status = json_parse(root, text, size, path, err);
    mem_free(text);
    return status;
}

void json_free(json_node *root) { json_decref(root); }

/* ---- kinds, members, elements ---- */

static bool is_kind(const json_node *node, json_type kind) {
    return node && json_typeof(node) == kind;
}

bool json_is_object(const json_node *node) { return is_kind(node, JSON_OBJECT); }
bool json_is_array(const json_node *node) { return is_kind(node, JSON_ARRAY); }
bool json_is_string(const json_node *node) { return is_kind(node, JSON_STRING); }
bool json_is_integer(const json_node *node) { return is_kind(node, JSON_INTEGER); }
bool json_is_number(const json_node *node) {
    return json_is_integer(node) || is_kind(node, JSON_REAL);
}
bool json_is_bool(const json_node *node) {
    return is_kind(node, JSON_TRUE) || is_kind(node, JSON_FALSE);
}
bool json_is_null(const json_node *node) { return !node || is_kind(node, JSON_NULL); }

json_node *json_member(const json_node *object, const char *key) {
    return json_is_object(object) ? json_object_get(object, key) : NULL;
}

size_t json_count(const json_node *node) {
    if (json_is_array(node)) return json_array_size(node);
    return json_is_object(node) ? json_object_size(node) : 0;
}

json_node *json_element(const json_node *array, size_t index) {
    return json_is_array(array) ? json_array_get(array, index) : NULL;
}

bool json_next_member(const json_node *object, void **iterator, const char **key,
                      json_node **value) {
    if (!json_is_object(object)) return false;
    json_t *writable = (json_t *)(uintptr_t)object; /* jansson's iterators do not write */
    *iterator = *iterator ? json_object_iter_next(writable, *iterator) : json_object_iter(writable);
    if (!*iterator) return false;
    *key = json_object_iter_key(*iterator);
    *value = json_object_iter_value(*iterator);
    return true;
}

int64_t json_integer(const json_node *node) { return json_integer_value(node); }
double json_real(const json_node *node) { return json_number_value(node); }
bool json_bool(const json_node *node) { return is_kind(node, JSON_TRUE); }

const char *json_string(const json_node *node, size_t *size) {
    bool is_text = json_is_string(node);
    if (size) *size = is_text ? json_string_length(node) : 0;
    return is_text ? json_string_value(node) : "";
}

/* ---- typed members ---- */

static const char *kind_name(const json_node *node) {
    static const char *const names[] = {
        [JSON_OBJECT] = "an object",   [JSON_ARRAY] = "an array",     [JSON_STRING] = "a string",
        [JSON_INTEGER] = "an integer", [JSON_REAL] = "a real number", [JSON_TRUE] = "true",
        [JSON_FALSE] = "false",        [JSON_NULL] = "null"};
    return node ? names[json_typeof(node)] : "absent";
}

static fathom_status wrong_kind(const json_node *node, const char *key, const char *wanted,
                                const char *what, struct error *err) {
    RAISE(FATHOM_BAD_INPUT, "%s: \"%s\" is %s, but must be %s", what, key, kind_name(node), wanted);
}

static fathom_status need(const json_node *object, const char *key, const char *what,
                          struct error *err) {
    if (!json_is_null(json_member(object, key))) return FATHOM_OK;
    RAISE(FATHOM_BAD_INPUT, "%s: \"%s\" is missing", what, key);
}

fathom_status json_get_i64(const json_node *object, const char *key, int64_t *out, const char *what,
                           struct error *err) {
    const json_node *node = json_member(object, key);
    if (json_is_null(node)) return FATHOM_OK;
    if (!json_is_integer(node)) return wrong_kind(node, key, "an integer", what, err);
    *out = json_integer(node);
    return FATHOM_OK;
}

fathom_status json_need_i64(const json_node *object, const char *key, int64_t *out,
                            const char *what, struct error *err) {
    TRY(need(object, key, what, err));
    return json_get_i64(object, key, out, what, err);
}

fathom_status json_get_f64(const json_node *object, const char *key, double *out, const char *what,
                           struct error *err) {
    const json_node *node = json_member(object, key);
    if (json_is_null(node)) return FATHOM_OK;
    if (!json_is_number(node)) return wrong_kind(node, key, "a number", what, err);
    *out = json_real(node);
    return FATHOM_OK;
}

fathom_status json_get_bool(const json_node *object, const char *key, bool *out, const char *what,
                            struct error *err) {
    const json_node *node = json_member(object, key);
    if (json_is_null(node)) return FATHOM_OK;
    if (!json_is_bool(node)) return wrong_kind(node, key, "true or false", what, err);
    *out = json_bool(node);
    return FATHOM_OK;
}

fathom_status json_get_string(const json_node *object, const char *key, const char **out,
                              const char *what, struct error *err) {
    const json_node *node = json_member(object, key);
    size_t size = 0;
    if (json_is_null(node)) return FATHOM_OK;
    if (!json_is_string(node)) return wrong_kind(node, key, "a string", what, err);
    const char *string = json_string(node, &size);
    if (strlen(string) != size)
        RAISE(FATHOM_BAD_INPUT, "%s: \"%s\" holds a NUL character", what, key);
    *out = string;
    return FATHOM_OK;
}

fathom_status json_need_string(const json_node *object, const char *key, const char **out,
                               const char *what, struct error *err) {
    TRY(need(object, key, what, err));
    return json_get_string(object, key, out, what, err);
}

/* ---- writing ---- */

static void write_escaped(struct text *out, unsigned char c) {
    switch (c) {
    case '"': text_append_string(out, "\\\""); break;
    case '\\': text_append_string(out, "\\\\"); break;
    case '\n': text_append_string(out, "\\n"); break;
    case '\r': text_append_string(out, "\\r"); break;
    case '\t': text_append_string(out, "\\t"); break;
    default: text_printf(out, "\\u%04x", c);
    }
}

void json_write_string(struct text *out, const char *bytes, size_t size) {
    const unsigned char *at = (const unsigned char *)bytes, *end = at + size;
    text_append_char(out, '"');
    while (at < end) {
        uint32_t code = 0;
        int length = utf8_decode(at, (size_t)(end - at), &code);
        if (length == 0)
            text_append_string(out, "\xef\xbf\xbd");
        else if (*at < 0x20 || *at == '"' || *at == '\\' || *at == 0x7f)
            write_escaped(out, *at);
        else
            text_append(out, at, (size_t)length);
        at += length ? length : 1;
    }
    text_append_char(out, '"');
}

/* The fewest digits that read back as the same number. */
static void write_shortest(struct text *out, double value, int least, int most, bool is_single) {
    char buffer[40];
    for (int digits = least; digits <= most; digits++) {
        snprintf(buffer, sizeof buffer, "%.*g", digits, value);
        bool is_same =
            is_single ? strtof(buffer, NULL) == (float)value : strtod(buffer, NULL) == value;
        if (is_same) break;
    }
    text_append_string(out, buffer);
}

void json_write_f64(struct text *out, double value) {
    if (!isfinite(value))
        text_append_string(out, "null");
    else
        write_shortest(out, value, 1, 17, false);
}

void json_write_f32(struct text *out, float value) {
    if (!isfinite(value))
        text_append_string(out, "null");
    else
        write_shortest(out, (double)value, 1, 9, true);
}

static int append_dumped(const char *bytes, size_t size, void *arg) {
    struct text *out = arg;
    text_append(out, bytes, size);
    return out->failed ? -1 : 0;
}

void json_write_node(struct text *out, const json_node *node) {
    if (!node)
        text_append_string(out, "null");
    else if (json_dump_callback(node, append_dumped, out, JSON_ENCODE_ANY) != 0)
        out->failed = true;
}
