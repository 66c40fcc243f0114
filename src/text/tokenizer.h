/* Byte-level BPE tokenizers, as Hugging Face's tokenizer.json describes them.
 *
 * A tokenizer is immutable after load or training, so threads may share it; an encoder is one
 * thread's working memory and word cache. Texts are bytes: any input encodes, and decoding gives
 * the same bytes back, valid UTF-8 or not. */
#ifndef TEXT_TOKENIZER_H
#define TEXT_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "base/text.h"

struct tokenizer;

/* DIRECTORY/tokenizer.json and, where present, tokenizer_config.json (bos, eos, chat template). */
fathom_status tokenizer_open(struct tokenizer **out, const char *directory, struct error *err);
/* From the texts of the two files; config may be NULL. `what` names the source in messages. */
fathom_status tokenizer_parse(struct tokenizer **out, const char *json, size_t json_size,
                              const char *config, size_t config_size, const char *what,
                              struct error *err);
/* From plain arrays, as GGUF files have them (tokenizer.ggml.*). All is the caller's. */
struct tokenizer_arrays {
    int32_t count;             /* ids */
    const char *const *tokens; /* [count], of sizes[i] bytes: tokenizer.ggml.tokens */
    const size_t *sizes;
    const int32_t *types; /* [count]: enum gguf_token_type; NULL: all are normal */
    size_t merge_count;
    const char *const *merges; /* [merge_count]: "left right" */
    const char *pre;           /* tokenizer.ggml.pre: deepseek-v3, qwen2, llama-bpe, ... */
    int32_t bos, eos;          /* -1: none */
    bool adds_bos, adds_eos;   /* around a text, for those who ask for special tokens */
    const char *chat_template; /* NULL: none */
};
enum gguf_token_type {
    GGUF_TOKEN_NORMAL = 1, /* in the byte-level spelling */
    GGUF_TOKEN_UNKNOWN,
    GGUF_TOKEN_CONTROL,      /* special, spelled as it is */
    GGUF_TOKEN_USER_DEFINED, /* added, spelled as it is */
    GGUF_TOKEN_UNUSED,       /* a hole: no text has it */
    GGUF_TOKEN_BYTE,
};
/* Besides the names of pretokenizer_named (text/pretokenizer.h), other names of the same are known:
 * llama3, llama-v3, deepseek-r1-qwen, gpt2. Llama 3's tokenizer ignores merges where a piece is a
 * token, and Qwen2's text is normalized (NFC), as in their published files: GGUF does not say.
 * FATHOM_UNSUPPORTED names another pre-tokenizer, or a type that byte-level BPE has not. */
fathom_status tokenizer_from_arrays(struct tokenizer **out, const struct tokenizer_arrays *arrays,
                                    const char *what, struct error *err);
void tokenizer_free(struct tokenizer *tokenizer); /* accepts NULL */
/* Writes tokenizer.json and tokenizer_config.json into a directory that exists, in the form that
 * Hugging Face's libraries load. */
fathom_status tokenizer_save(const struct tokenizer *tokenizer, const char *directory,
                             struct error *err);

/* One more than the largest token id. */
int32_t tokenizer_vocab_size(const struct tokenizer *tokenizer);
int32_t tokenizer_bos(const struct tokenizer *tokenizer); /* -1: none */
int32_t tokenizer_eos(const struct tokenizer *tokenizer); /* -1: none */
/* What the post-processor puts before a text and after it, for those who ask for special tokens:
 * ids[*count], borrowed. */
const int32_t *tokenizer_prefix(const struct tokenizer *tokenizer, size_t *count);
const int32_t *tokenizer_suffix(const struct tokenizer *tokenizer, size_t *count);
/* Verbatim, or NULL. */
const char *tokenizer_chat_template(const struct tokenizer *tokenizer);
/* XXH3 of what encoding depends on (tokens, merges, added tokens, normalizer, pre-tokenizer), the
 * same for equal tokenizers whatever their files' spelling. */
uint64_t tokenizer_hash(const struct tokenizer *tokenizer);
/* The bytes that a token stands for; *size 0 for an id without a token. Borrowed. */
const char *tokenizer_token_bytes(const struct tokenizer *tokenizer, int32_t id, size_t *size);
/* Whether decoding with skip_special leaves it out. */
bool tokenizer_is_special(const struct tokenizer *tokenizer, int32_t id);
/* The id of an added token by its content, else of an ordinary token by its bytes; -1: none. */
int32_t tokenizer_find(const struct tokenizer *tokenizer, const char *bytes, size_t size);

/* ---- encoding ---- */

/* A growing list of ids. Zero-initialise; token_list_free when done. */
struct token_list {
    int32_t *ids;
    size_t count, capacity;
};
fathom_status token_list_add(struct token_list *list, int32_t id, struct error *err);
void token_list_free(struct token_list *list);

struct encoder;
fathom_status encoder_new(struct encoder **out, const struct tokenizer *tokenizer,
                          struct error *err);
void encoder_free(struct encoder *encoder); /* accepts NULL */
/* Appends the ids of text[0..size). With parse_added, added tokens that are typed in the text
 * become their ids; user text has it off. No bos or eos is added. FATHOM_UNSUPPORTED where a
 * pattern that is not matched by hand takes too long. */
fathom_status encoder_encode(struct encoder *encoder, const char *text, size_t size,
                             bool parse_added, struct token_list *out, struct error *err);

/* The first place from `at` on where a text may be cut so that, without added tokens, the ids of
 * the two parts are those of the whole; `size` where none is known. */
size_t tokenizer_cut(const struct tokenizer *tokenizer, const void *text, size_t size, size_t at);

/* ---- decoding ---- */

/* Appends the bytes of ids[0..count). An id outside the vocabulary or without a token is
 * FATHOM_BAD_INPUT. */
fathom_status tokenizer_decode(const struct tokenizer *tokenizer, const int32_t *ids, size_t count,
                               bool skip_special, struct text *out, struct error *err);

/* Token by token, never half a character: bytes that may be the beginning of one wait for the next
 * token. Zero-initialise. */
struct stream_decoder {
    unsigned char held[4];
    size_t held_count;
};
fathom_status stream_decoder_put(struct stream_decoder *decoder, const struct tokenizer *tokenizer,
                                 int32_t id, bool skip_special, struct text *out,
                                 struct error *err);
/* What is still held, at the end of the stream. */
void stream_decoder_end(struct stream_decoder *decoder, struct text *out);

#endif
