#include "eval/needle_text.h"

#include "base/memory.h"
#include "data/facts.h"
#include "data/haystack.h"

/* SLACK: tokens that a joint between sentences may cost beyond those of the sentences alone. */
enum { SLACK = 2 };

/* Where a piece of the haystack ends. */
struct piece_end {
    size_t bytes;
    int64_t tokens;
};

struct needle_text {
    struct encoder *encoder;
    struct story_maker stories;
    struct haystack haystack;
    struct text hay;        /* the pieces, joined */
    struct piece_end *ends; /* [count] */
    size_t count, capacity;
    struct fact facts[FACT_MOST]; /* the first is asked about */
    size_t places[FACT_MOST];     /* the piece that each stands before */
    size_t fact_count;
    struct text sentence, whole, answer;
    struct token_list scratch;
};

fathom_status needle_text_new(struct needle_text **out, const struct tokenizer *tokenizer,
                              struct error *err) {
    struct needle_text *t = NULL;
    *out = NULL;
    TRY(MEM_NEW(&t, 1, "texts to search", err));
    t->haystack.stories = &t->stories;
    fathom_status status = encoder_new(&t->encoder, tokenizer, err);
    if (status == FATHOM_OK) status = story_maker_new(&t->stories, err);
    if (status != FATHOM_OK)
        needle_text_free(t);
    else
        *out = t;
    return status;
}

void needle_text_free(struct needle_text *t) {
    if (!t) return;
    encoder_free(t->encoder);
    haystack_free(&t->haystack);
    story_maker_free(&t->stories);
    text_free(&t->hay);
    text_free(&t->sentence);
    text_free(&t->whole);
    text_free(&t->answer);
    token_list_free(&t->scratch);
    mem_free(t->ends);
    mem_free(t);
}

const char *needle_text_answer(const struct needle_text *t) { return text_data(&t->answer); }

/* ---- counting ---- */

/* The tokens of a text from byte `from` on. */
static fathom_status count_tokens(struct needle_text *t, const struct text *text, size_t from,
                                  int64_t *count, struct error *err) {
    TRY(text_check(text, err));
    t->scratch.count = 0;
    TRY(encoder_encode(t->encoder, text_data(text) + from, text->size - from, false, &t->scratch,
                       err));
    *count = (int64_t)t->scratch.count;
    return FATHOM_OK;
}

/* Tokens of the facts and of the question with its answer. */
static fathom_status count_asked(struct needle_text *t, int64_t *count, struct error *err) {
    int64_t one = 0;
    text_clear(&t->answer);
    fact_write_answer(&t->facts[0], &t->answer);
    text_clear(&t->sentence);
    fact_write_question(&t->facts[0], &t->sentence);
    text_append_string(&t->sentence, text_data(&t->answer));
    TRY(text_check(&t->answer, err));
    TRY(count_tokens(t, &t->sentence, 0, count, err));
    *count += SLACK;
    for (size_t i = 0; i < t->fact_count; i++) {
        text_clear(&t->sentence);
        fact_write(&t->facts[i], &t->sentence);
        TRY(count_tokens(t, &t->sentence, 0, &one, err));
        *count += one + SLACK;
    }
    return FATHOM_OK;
}

/* ---- the haystack ---- */

static int64_t hay_tokens(const struct needle_text *t) {
    return t->count > 0 ? t->ends[t->count - 1].tokens : 0;
}

/* Adds a piece; *is_full when it would exceed `room` tokens and is left out. */
static fathom_status add_piece(struct needle_text *t, struct rng *rng, int64_t room, bool *is_full,
                               struct error *err) {
    size_t from = t->hay.size;
    int64_t tokens = 0;
    haystack_next(&t->haystack, rng, &t->hay);
    TRY(count_tokens(t, &t->hay, from, &tokens, err));
    *is_full = hay_tokens(t) + tokens > room;
    if (*is_full) {
        t->hay.data[t->hay.size = from] = 0;
        return FATHOM_OK;
    }
    if (t->count == t->capacity) {
        size_t capacity = 2 * t->capacity + 64;
        TRY(mem_grow((void **)&t->ends, t->count, capacity, sizeof *t->ends, "texts to search",
                     err));
        t->capacity = capacity;
    }
    t->ends[t->count] = (struct piece_end){t->hay.size, hay_tokens(t) + tokens};
    t->count++;
    return FATHOM_OK;
}

fathom_status needle_text_begin(struct needle_text *t, const struct needle_trial *trial,
                                struct error *err) {
    struct rng rng = {{trial->seed, RNG_EVAL, trial->number}, 0};
    int64_t asked = 0;
    bool is_full = false;
    t->fact_count = facts_draw(t->facts, (size_t)trial->others + 1, TASK_HELDOUT, &rng);
    /* The stories' draws do not depend on how many facts there are. */
    rng.position = 1 << 20;
    TRY(count_asked(t, &asked, err));
    if (asked >= trial->length)
        RAISE(FATHOM_USAGE, "%lld tokens have no room for a fact, %zu others and a question",
              (long long)trial->length, t->fact_count - 1);
    text_clear(&t->hay);
    haystack_restart(&t->haystack);
    t->count = 0;
    while (!is_full) TRY(add_piece(t, &rng, trial->length - asked, &is_full, err));
    rng.position = 1 << 19;
    for (size_t i = 1; i < t->fact_count; i++) t->places[i] = rng_next_below(&rng, t->count + 1);
    return FATHOM_OK;
}

/* ---- the text ---- */

/* The joint between pieces that is nearest to a depth. */
static size_t place_at(const struct needle_text *t, int64_t depth) {
    double wanted = (double)hay_tokens(t) * (double)depth / 100, before = 0;
    for (size_t i = 0; i < t->count; i++) {
        double end = (double)t->ends[i].tokens;
        if (wanted < (before + end) / 2) return i;
        before = end;
    }
    return t->count;
}

static void put_facts(struct needle_text *t, size_t place) {
    for (size_t i = 0; i < t->fact_count; i++) {
        if (t->places[i] != place) continue;
        text_clear(&t->sentence);
        fact_write(&t->facts[i], &t->sentence);
        haystack_put(&t->whole, 0, text_data(&t->sentence));
    }
}

fathom_status needle_text_tokens(struct needle_text *t, int64_t depth, struct token_list *tokens,
                                 struct error *err) {
    size_t at = 0;
    text_clear(&t->whole);
    t->places[0] = place_at(t, depth);
    for (size_t i = 0; i < t->count; i++) {
        put_facts(t, i);
        text_append(&t->whole, text_data(&t->hay) + at, t->ends[i].bytes - at);
        at = t->ends[i].bytes;
    }
    put_facts(t, t->count);
    haystack_end_paragraph(&t->whole, 0);
    fact_write_question(&t->facts[0], &t->whole);
    TRY(text_check(&t->sentence, err));
    TRY(text_check(&t->whole, err));
    tokens->count = 0;
    return encoder_encode(t->encoder, text_data(&t->whole), t->whole.size, false, tokens, err);
}
