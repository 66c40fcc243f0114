/* What a tokenizer is made of; for the files of text/ only. */
#ifndef TEXT_TOKENIZER_DATA_H
#define TEXT_TOKENIZER_DATA_H

#include "text/normalizer.h"
#include "text/pretokenizer.h"
#include "text/tokenizer.h"

enum { TOKENIZER_MAX_VOCAB = 1 << 24, TOKEN_MAX_BYTES = 65535, TOKEN_SLACK = 16 };

/* Flags of a token id. */
enum {
    TOKEN_EXISTS = 1,
    TOKEN_ADDED = 2,
    TOKEN_SPECIAL = 4,
    TOKEN_NORMALIZED = 8,   /* an added token that is looked for after normalizing */
    TOKEN_LSTRIP = 16,      /* takes the whitespace before it */
    TOKEN_RSTRIP = 32,      /* and behind it */
    TOKEN_SINGLE_WORD = 64, /* not within a word */
};

struct merge {
    int32_t left, right, result; /* result is the token of left's bytes and then right's */
};

/* An open-addressing table from a pair of ids to a merge's rank. */
struct merge_slot {
    uint64_t pair; /* left << 32 | right; ~0: empty */
    int32_t rank, result;
};

/* Added tokens of one pass, sorted by bytes, so that matching narrows a range byte by byte. */
struct added_token {
    const unsigned char *bytes; /* what is looked for: of the tokenizer, or of the list's text */
    size_t size;
    int32_t id;
};
struct added_list {
    struct added_token *tokens;
    size_t count;
    uint8_t first[256 / 8]; /* bit set of first bytes */
    struct text normalized; /* of the tokens, where there is a normalizer */
};

/* characters_first.c: which characters may be merged before all else. */
enum { CHARACTERS_FIRST = 0x10000 };
struct characters_first {
    uint8_t risky[256][256 / 8];      /* bit set by the bytes before and behind a border */
    int32_t tokens[CHARACTERS_FIRST]; /* that a character becomes; -1: several */
};

struct tokenizer {
    struct pretokenizer *pretokenizer;
    struct normalizer *normalizer;  /* NULL: none */
    char *post_processor, *decoder; /* their JSON */
    bool ignore_merges;             /* a piece that is a token is that token */
    int32_t *affixes; /* the post-processor's tokens before a text, then those after */
    size_t prefix_count, suffix_count;
    int32_t vocab_size; /* largest id + 1 */
    struct text bytes;  /* every token's bytes, one after the other; TOKEN_SLACK more follow */
    size_t *offset;     /* [vocab_size] into bytes */
    uint32_t *length;   /* [vocab_size] */
    uint8_t *flags;     /* [vocab_size] */
    int32_t byte_id[256];
    struct merge *merges; /* by rank */
    size_t merge_count;
    struct merge_slot *pairs;
    size_t pair_mask;
    uint64_t
        *pair_filter; /* bits, one of which is set by each pair: small, so that it stays near */
    size_t filter_mask;
    struct characters_first *characters; /* NULL: none may */
    int32_t *token_slots; /* open addressing by token bytes; -1: empty; added tokens not in it */
    size_t token_mask;
    struct added_list added[2]; /* matched first: not normalized; then: normalized */
    int32_t bos, eos;
    char *chat_template;
    uint64_t hash;
};

/* Builds in order: new, add tokens and merges (ids ascending not required), finish. On failure the
 * caller frees. */
fathom_status tokenizer_new(struct tokenizer **out, int32_t vocab_size, struct error *err);
fathom_status tokenizer_set_token(struct tokenizer *t, int32_t id, const void *bytes, size_t size,
                                  unsigned flags, const char *what, struct error *err);
/* After the last token: lets tokenizer_ordinary find them. */
fathom_status tokenizer_index(struct tokenizer *t, const char *what, struct error *err);
/* After the merges, which the caller allocates with mem_new and the tokenizer then owns: makes the
 * other tables and the hash. Every byte must have a token. */
fathom_status tokenizer_finish(struct tokenizer *t, const char *what, struct error *err);

/* The post-processor's tokens around a text, and its JSON. After the tokens. */
fathom_status tokenizer_read_post_processor(struct tokenizer *t, const json_node *node,
                                            const char *what, struct error *err);
fathom_status tokenizer_read_decoder(struct tokenizer *t, const json_node *node, const char *what,
                                     struct error *err);
/* ByteLevel for both, for a tokenizer that comes from no file. */
fathom_status tokenizer_set_byte_level(struct tokenizer *t, struct error *err);

/* The merge of two tokens' bytes: joins right to left. result is -1 where one of the three is not
 * in the vocabulary. After tokenizer_index. */
struct merge_texts {
    struct text left, right;
};
fathom_status tokenizer_make_merge(const struct tokenizer *t, struct merge_texts *texts,
                                   struct merge *merge, struct error *err);
/* The same as a file's TemplateProcessing: these tokens around a text; -1: none. */
fathom_status tokenizer_set_affixes(struct tokenizer *t, int32_t before, int32_t after,
                                    const char *what, struct error *err);

/* rank of a pair, or -1; *result its token. */
int32_t tokenizer_merge_rank(const struct tokenizer *t, int32_t left, int32_t right,
                             int32_t *result);
/* Merges ids[0..count) in place, the merge of lowest rank first; returns the new count. For few:
 * the time is their square. count <= BPE_SCAN_LIMIT. */
enum { BPE_SCAN_LIMIT = 48 };
size_t bpe_merge_scan(const struct tokenizer *t, int32_t *ids, size_t count);
/* Makes t->characters where the merges allow it. After the merges and the tables. */
fathom_status characters_first_make(struct tokenizer *t, struct error *err);
/* The ids that merging begins with, ids[size]: of the bytes, or of characters that are merged
 * already; returns how many. */
size_t characters_first_begin(const struct tokenizer *t, const unsigned char *bytes, size_t size,
                              int32_t *ids);
/* Ordinary token of these bytes, or -1. */
int32_t tokenizer_ordinary(const struct tokenizer *t, const void *bytes, size_t size);
/* The added tokens without TOKEN_NORMALIZED, for t->added[0], and then those with it, as the
 * normalizer makes them; FATHOM_BAD_INPUT for two of the same bytes. */
fathom_status added_list_make(struct added_list *list, const struct tokenizer *t,
                              bool is_normalized, const char *what, struct error *err);
void added_list_free(struct added_list *list);
/* The longest added token at text[0..size), or -1; *length its bytes. */
int32_t added_list_match(const struct added_list *list, const unsigned char *text, size_t size,
                         size_t *length);

/* A walk through the added tokens that are typed in a text. */
struct added_match {
    int32_t id;        /* -1: none is left */
    size_t begin, end; /* with the whitespace that it takes; all before is ordinary text */
};
/* The next one; *from, at first 0, is where to look on, and `done` the end of the one before. */
struct added_match added_list_next(const struct added_list *list, const struct tokenizer *t,
                                   const unsigned char *text, size_t size, size_t *from,
                                   size_t done);

/* GPT-2's table of printable characters for bytes: the spelling of tokens in JSON. */
uint32_t byte_to_character(unsigned char byte);
int character_to_byte(uint32_t code); /* -1: none */
/* Bytes to that spelling (appended), and back: *bytes is replaced; false where a character stands
 * for no byte. */
void token_spell(const char *bytes, size_t size, struct text *spelling);
bool token_unspell(const char *spelling, size_t size, struct text *bytes);

#endif
