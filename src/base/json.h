/* JSON, on jansson. Reading: a tree of borrowed nodes under one owned root, with bounds on size and
 * depth; getters that say in words what is wrong and where. Writing: straight into a struct text.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "base/text.h"

/* A node; NULL is "absent" and accepted by every getter. Borrowed from the root. */
typedef struct json_t json_node;

/* Parses one JSON value that fills text[0..size) (whitespace around it allowed). *root must be
 * given to json_free. Duplicate keys: refused. Depth is bounded (jansson's 2048), integers outside
 * int64 and invalid UTF-8 are refused; the message has line and column. `what` names the source. */
fathom_status json_parse(json_node **root, const char *text, size_t size, const char *what,
                         struct error *err);
fathom_status json_read_file(json_node **root, const char *path, size_t max_size,
                             struct error *err);
void json_free(json_node *root); /* accepts NULL */

bool json_is_object(const json_node *node);
bool json_is_array(const json_node *node);
bool json_is_string(const json_node *node);
bool json_is_number(const json_node *node); /* integer or real */
bool json_is_integer(const json_node *node);
bool json_is_bool(const json_node *node);
bool json_is_null(const json_node *node); /* JSON null, or absent */

/* Members and elements; NULL when absent or when node is of another kind. */
json_node *json_member(const json_node *object, const char *key);
size_t json_count(const json_node *node); /* members or elements; 0 for other kinds */
json_node *json_element(const json_node *array, size_t index);
/* Walks an object in file order: start with *iterator NULL; false at the end. */
bool json_next_member(const json_node *object, void **iterator, const char **key,
                      json_node **value);

/* Values without a check: zero value for other kinds. */
int64_t json_integer(const json_node *node);
double json_real(const json_node *node); /* integers too */
bool json_bool(const json_node *node);
const char *json_string(const json_node *node,
                        size_t *size); /* "" for other kinds; size may be NULL */

/* Typed members of an object. `need` forms fail when the key is absent or null; the others then
 * leave *out as it was. A member of the wrong kind always fails, naming key, kind and `what`. */
fathom_status json_need_i64(const json_node *object, const char *key, int64_t *out,
                            const char *what, struct error *err);
fathom_status json_get_i64(const json_node *object, const char *key, int64_t *out, const char *what,
                           struct error *err);
fathom_status json_get_f64(const json_node *object, const char *key, double *out, const char *what,
                           struct error *err);
fathom_status json_get_bool(const json_node *object, const char *key, bool *out, const char *what,
                            struct error *err);
/* Borrowed string; must hold no NUL byte. */
fathom_status json_get_string(const json_node *object, const char *key, const char **out,
                              const char *what, struct error *err);
fathom_status json_need_string(const json_node *object, const char *key, const char **out,
                               const char *what, struct error *err);

/* Writing. json_write_string quotes and escapes (UTF-8 passes through; invalid bytes become
 * U+FFFD). json_write_f64 prints the shortest form that reads back equal (17 digits at most); a
 * non-finite number is written as null, which is what JSON has. */
void json_write_string(struct text *out, const char *bytes, size_t size);
void json_write_node(struct text *out, const json_node *node); /* one line; NULL is null */
void json_write_f64(struct text *out, double value);
void json_write_f32(struct text *out, float value);

#endif
