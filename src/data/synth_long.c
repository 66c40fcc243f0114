#include "data/synth_long.h"

#include "data/facts.h"

/* LONG_LEAST: room for a fact, its question and a sentence; QUESTION_BYTES: of one, about. */
enum { LONG_LEAST = 512, LONG_MOST = 1 << 28, LAST_QUESTIONS = 4, QUESTION_BYTES = 92 };

static struct synth_long_options with_defaults(const struct synth_long_options *options) {
    struct synth_long_options o = *options;
    if (o.from == 0 && o.to == 0) {
        o.from = SYNTH_LONG_FROM;
        o.to = SYNTH_LONG_TO;
    }
    return o;
}

fathom_status synth_long_check(const struct synth_long_options *options, struct error *err) {
    const struct synth_long_options o = with_defaults(options);
    if (o.from < LONG_LEAST || o.to > LONG_MOST || o.from > o.to)
        RAISE(
            FATHOM_USAGE,
            "long documents of %llu to %llu bytes: the range must lie in [%d, %d] and not descend",
            (unsigned long long)o.from, (unsigned long long)o.to, LONG_LEAST, LONG_MOST);
    if (!(o.fact_share >= 0 && o.list_share >= 0 && o.fact_share + o.list_share <= 1))
        RAISE(FATHOM_USAGE, "the shares of facts and lists are %g and %g, not in [0, 1] together",
              o.fact_share, o.list_share);
    return FATHOM_OK;
}

double synth_long_mean(const struct synth_long_options *options) {
    const struct synth_long_options o = with_defaults(options);
    return ((double)o.from + (double)o.to) / 2;
}

/* A document in the making. */
struct long_text {
    struct haystack *haystack;
    struct rng *rng;
    struct text *out;
    size_t begin; /* in out */
    struct fact facts[FACT_MOST];
    size_t count, told; /* facts [0, told) stand in the text */
};

static size_t size_of(const struct long_text *t) { return t->out->size - t->begin; }

/* Takes the sentence. */
static void put_sentence(struct long_text *t, struct text *sentence) {
    haystack_put(t->out, t->begin, text_data(sentence));
    if (sentence->failed) t->out->failed = true;
    text_free(sentence);
}

static void put_fact(struct long_text *t) {
    struct text sentence = {0};
    fact_write(&t->facts[t->told++], &sentence);
    put_sentence(t, &sentence);
}

static void put_question(struct long_text *t, const struct fact *fact) {
    struct text sentence = {0};
    fact_write_question(fact, &sentence);
    fact_write_answer(fact, &sentence);
    put_sentence(t, &sentence);
}

static void put_list(struct long_text *t) {
    struct text sentence = {0};
    facts_write_list(t->rng, &sentence);
    put_sentence(t, &sentence);
}

/* A fact or a question, where there is one to tell or ask. */
static bool put_about_facts(struct long_text *t) {
    bool can_tell = t->told<t->count, can_ask = t->told> 0;
    bool tells = rng_next_below(t->rng, 2) == 0;
    if (can_tell && (tells || !can_ask))
        put_fact(t);
    else if (can_ask)
        put_question(t, &t->facts[rng_next_below(t->rng, t->told)]);
    return can_tell || can_ask;
}

/* Each once, in random order. */
static void put_last_questions(struct long_text *t) {
    size_t asked = t->told < LAST_QUESTIONS ? t->told : LAST_QUESTIONS;
    haystack_end_paragraph(t->out, t->begin);
    for (size_t i = 0; i < asked; i++) {
        size_t j = i + rng_next_below(t->rng, t->told - i);
        struct fact fact = t->facts[j];
        t->facts[j] = t->facts[i];
        put_question(t, &fact);
        haystack_end_paragraph(t->out, t->begin);
    }
}

static void trim_end(struct text *out) {
    while (out->size > 0 && out->data[out->size - 1] == '\n') out->data[--out->size] = 0;
}

void synth_long_write(struct haystack *haystack, const struct synth_long_options *options,
                      struct rng *rng, struct text *out) {
    const struct synth_long_options o = with_defaults(options);
    struct long_text t = {.haystack = haystack, .rng = rng, .out = out, .begin = out->size};
    size_t size = o.from + rng_next_below(rng, o.to - o.from + 1);
    double share = o.fact_share * rng_next_uniform(rng);
    double lists = o.list_share * rng_next_uniform(rng);
    size -= LAST_QUESTIONS * QUESTION_BYTES;
    size_t first = rng_next_below(rng, size);
    t.count = facts_draw(t.facts, FACT_MOST, TASK_TRAIN, rng);
    haystack_restart(haystack);
    while (size_of(&t) < size && !out->failed) {
        double kind = rng_next_uniform(rng);
        if (t.told == 0 && size_of(&t) >= first)
            put_fact(&t);
        else if (kind < lists)
            put_list(&t);
        else if (kind >= lists + share || !put_about_facts(&t))
            haystack_next(haystack, rng, out);
    }
    if (t.told == 0) put_fact(&t);
    put_last_questions(&t);
    trim_end(out);
}
