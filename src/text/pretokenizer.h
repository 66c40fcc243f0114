/* Pre-tokenizers: how a text is cut into pieces before BPE merges within each.
 *
 * A family is recognised by the exact regular expressions of its tokenizer.json and matched by
 * hand, in one forward scan: linear in the text, no allocation. Texts are bytes; a byte that is not
 * part of valid UTF-8 counts as one character of no class (UNICODE_OTHER), so any input passes
 * unchanged. */
#ifndef TEXT_PRETOKENIZER_H
#define TEXT_PRETOKENIZER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/json.h"
#include "base/status.h"

enum pretokenizer_kind { PRETOKENIZER_DEEPSEEK_V3, PRETOKENIZER_COUNT };

const char *pretokenizer_name(enum pretokenizer_kind kind);
/* The tokenizer.json text of the "pre_tokenizer" object. */
const char *pretokenizer_json(enum pretokenizer_kind kind);
/* Recognises a "pre_tokenizer" object; another one is FATHOM_UNSUPPORTED and its pattern named. */
fathom_status pretokenizer_recognise(const json_node *object, const char *what,
                                     enum pretokenizer_kind *kind, struct error *err);

struct pretokenizer {
    enum pretokenizer_kind kind;
    const unsigned char *text;
    size_t size;
    size_t at;
    size_t number_end; /* end of the region without numbers around `at` */
    size_t script_end; /* end of the region wholly in or out of Han and kana */
};
void pretokenizer_start(struct pretokenizer *p, enum pretokenizer_kind kind, const void *text,
                        size_t size);
/* The next piece, [*begin, *end); pieces cover the text without gaps. False at the end. */
bool pretokenizer_next(struct pretokenizer *p, size_t *begin, size_t *end);

/* The first place from `at` on, between a newline and an ASCII letter, or `size`. Pieces part there
 * whatever stands before and after, so the texts on its two sides may be cut apart from each
 * other. */
size_t pretokenizer_cut(const void *text, size_t size, size_t at);

#endif
