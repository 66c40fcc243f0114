/* JSON: every node is walked; what the writers make of strings and numbers reads back equal. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static json_node *read_back(const struct text *text) {
    json_node *root = NULL;
    if (text->failed) return NULL;
    if (json_parse(&root, text->data, text->size, "written", NULL) != FATHOM_OK) abort();
    return root;
}

static void check_string(const char *bytes, size_t size) {
    struct text text = {0};
    size_t back_size = 0;
    json_write_string(&text, bytes, size);
    json_node *root = read_back(&text);
    const char *back = json_string(root, &back_size);
    if (root && (back_size != size || memcmp(back, bytes, size) != 0)) abort();
    json_free(root);
    text_free(&text);
}

static void check_number(double value) {
    struct text text = {0};
    json_write_f64(&text, value);
    json_node *root = read_back(&text);
    if (root && json_real(root) != value) abort();
    json_free(root);
    text_free(&text);
}

/* Depth is bounded by the reader. */
static void walk(const json_node *node) {
    const char *string = NULL, *key = NULL;
    json_node *value = NULL;
    void *iterator = NULL;
    size_t size = 0;
    if (json_is_string(node)) {
        string = json_string(node, &size);
        check_string(string, size);
    }
    if (json_is_number(node) && isfinite(json_real(node))) check_number(json_real(node));
    while (json_next_member(node, &iterator, &key, &value)) {
        if (json_member(node, key) != value) abort();
        walk(value);
    }
    for (size_t i = 0; json_is_array(node) && i < json_count(node); i++)
        walk(json_element(node, i));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    json_node *root = NULL;
    struct error err;
    if (json_parse(&root, (const char *)data, size, "fuzz", &err) == FATHOM_OK) walk(root);
    json_free(root);
    return 0;
}
