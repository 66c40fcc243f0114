/* Pre-tokenizers: how a text is cut into pieces before BPE merges within each.
 *
 * A pre-tokenizer is the sequence of steps of a tokenizer.json's "pre_tokenizer": Split, Digits and
 * ByteLevel. Patterns of published models are matched by hand, in one forward scan (patterns.h);
 * any other runs through Oniguruma (regex.h). Texts are bytes; a byte that is not part of valid
 * UTF-8 counts as one character of no class, so any input passes unchanged. */
#ifndef TEXT_PRETOKENIZER_H
#define TEXT_PRETOKENIZER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/json.h"
#include "base/status.h"

struct pretokenizer; /* immutable: threads may share it */

/* From the "pre_tokenizer" object. A step that is not known is FATHOM_UNSUPPORTED and named, as is
 * a sequence without ByteLevel; `what` names the file. */
fathom_status pretokenizer_parse(struct pretokenizer **out, const json_node *object,
                                 const char *what, struct error *err);
/* A published one by its name in GGUF files: deepseek-v3, deepseek-llm (also V2's), deepseek-coder,
 * qwen2, llama-bpe, gpt-2, smollm. FATHOM_UNSUPPORTED, with the names, for another. */
fathom_status pretokenizer_named(struct pretokenizer **out, const char *name, struct error *err);
void pretokenizer_free(struct pretokenizer *p); /* accepts NULL */

/* The object as tokenizer.json has it, in a spelling that is the same for equal sequences. */
const char *pretokenizer_json(const struct pretokenizer *p);
/* What tells two pre-tokenizers apart: the name of a published one, else its JSON. */
const char *pretokenizer_identity(const struct pretokenizer *p);
/* The i-th published name, NULL at the end. */
const char *pretokenizer_name(int i);

/* The first place from `at` on where a text may be cut into two whose pieces are those of the
 * whole: before a newline that follows an ASCII letter. `size` where there is none, and always for
 * patterns of which that is not known. */
size_t pretokenizer_cut(const struct pretokenizer *p, const void *text, size_t size, size_t at);

/* ---- cutting ---- */

struct piece {
    const unsigned char *bytes; /* borrowed until the next call; not always part of the text: a
                                   step may put a space before it */
    size_t size;
};

struct cutter; /* one thread's walk through a text */
fathom_status cutter_new(struct cutter **out, const struct pretokenizer *p, struct error *err);
void cutter_free(struct cutter *cutter); /* accepts NULL; p may be gone */
/* The text stays the caller's, unchanged until the last piece. */
fathom_status cutter_start(struct cutter *cutter, const void *text, size_t size, struct error *err);
/* The next piece, which is not empty; size 0 at the end. Pieces cover the text without gaps but for
 * what a step removes. FATHOM_UNSUPPORTED where a pattern takes too long. */
fathom_status cutter_next(struct cutter *cutter, struct piece *piece, struct error *err);

#endif
