#include "data/synth.h"

#include <string.h>

#include "base/memory.h"
#include "data/facts.h"
#include "data/story_rules.h"
#include "data/synth_story.h"
#include "data/task_explain.h"
#include "data/task_wording.h"

/* A document is a story, a long text of stories, something to look up, or a text of one of the
 * tasks. */
enum { SOURCE_STORIES = TASK_KINDS, SOURCE_LONG, SOURCE_LISTS, SOURCE_FACTS, SOURCES };

static const char *const source_names[SOURCES] = {[SOURCE_STORIES] = "stories",
                                                  [SOURCE_LONG] = "long",
                                                  [SOURCE_LISTS] = "lists",
                                                  [SOURCE_FACTS] = "facts"};

/* Bytes that a document of each source has on average, measured over 4,000 documents with their
 * worked reasoning: shares are of bytes, but what is drawn is a document. Long ones have the mean
 * of their range. */
static const double mean_bytes[SOURCES] = {
    [TASK_LETTERS] = 211, [TASK_SUMS] = 161,      [TASK_COMPARE] = 203, [TASK_COUNTDOWN] = 171,
    [TASK_SORT] = 243,    [TASK_SPELL] = 205,     [TASK_LENGTH] = 164,  [TASK_POSITION] = 139,
    [TASK_WEEKDAY] = 171, [SOURCE_STORIES] = 484, [SOURCE_LISTS] = 199, [SOURCE_FACTS] = 665,
};

struct synth {
    struct synth_options options;
    double weights[SOURCES]; /* of documents; they sum to total_weight */
    double total_weight;
    struct word_list *words;
    struct story_maker stories;
    struct haystack haystack; /* of the stories */
    struct grammar *wording;
    struct grammar_memory memory;
    struct text block; /* scratch */
};

/* ---- the mix ---- */

static bool find_source(const char *name, size_t size, int *source) {
    char copy[32];
    enum task_kind kind;
    if (size >= sizeof copy) return false;
    memcpy(copy, name, size);
    copy[size] = 0;
    for (*source = SOURCE_STORIES; *source < SOURCES; (*source)++)
        if (strcmp(copy, source_names[*source]) == 0) return true;
    if (!task_kind_parse(copy, &kind)) return false;
    *source = (int)kind;
    return true;
}

/* One "name=share" of the mix. */
static fathom_status read_share(struct synth *synth, const char *item, size_t size,
                                struct error *err) {
    char number[32] = {0};
    int source;
    double share;
    const char *equals = memchr(item, '=', size);
    size_t name_size = equals ? (size_t)(equals - item) : size;
    if (!find_source(item, name_size, &source))
        RAISE(FATHOM_USAGE,
              "mix: there is no \"%.*s\"; known are stories, letters, sums, compare, countdown, "
              "sort, spell, length, position, weekday, long, lists, facts",
              (int)name_size, item);
    if (equals && size - name_size - 1 < sizeof number)
        memcpy(number, equals + 1, size - name_size - 1);
    if (!string_to_f64(number, &share) || share < 0)
        RAISE(FATHOM_USAGE, "mix: \"%.*s\" is not name=share with a share of 0 or more", (int)size,
              item);
    double mean =
        source == SOURCE_LONG ? synth_long_mean(&synth->options.long_texts) : mean_bytes[source];
    synth->weights[source] = share / mean;
    return FATHOM_OK;
}

static fathom_status read_mix(struct synth *synth, const char *mix, struct error *err) {
    static const char separators[] = " ,\t\n";
    for (const char *at = mix + strspn(mix, separators); *at; at += strspn(at, separators)) {
        size_t size = strcspn(at, separators);
        TRY(read_share(synth, at, size, err));
        at += size;
    }
    for (int i = 0; i < SOURCES; i++) synth->total_weight += synth->weights[i];
    if (!(synth->total_weight > 0)) RAISE(FATHOM_USAGE, "mix: \"%s\" has no share above 0", mix);
    return FATHOM_OK;
}

static fathom_status check_words(const struct synth *synth, struct error *err) {
    bool needs_words = synth->weights[TASK_LETTERS] > 0 || synth->weights[TASK_SPELL] > 0 ||
                       synth->weights[TASK_LENGTH] > 0 || synth->weights[TASK_POSITION] > 0;
    if (needs_words && word_list_count(synth->words, TASK_TRAIN) == 0)
        RAISE(FATHOM_USAGE, "%s: every word in it is held out from training; give a longer list",
              word_list_source(synth->words));
    return FATHOM_OK;
}

static fathom_status fill_synth(struct synth *synth, struct error *err) {
    const struct synth_options *options = &synth->options;
    const struct grammar_source wording[] = {task_wording, story_words};
    if (!(options->template_share >= 0 && options->template_share <= 1))
        RAISE(FATHOM_USAGE, "the share of the template is %g, not in [0, 1]",
              options->template_share);
    TRY(synth_long_check(&options->long_texts, err));
    TRY(read_mix(synth, options->mix ? options->mix : SYNTH_DEFAULT_MIX, err));
    TRY(word_list_new(&synth->words, options->words, options->word_count, err));
    TRY(check_words(synth, err));
    TRY(story_maker_new(&synth->stories, err));
    return grammar_new(&synth->wording, wording, sizeof wording / sizeof wording[0], err);
}

fathom_status synth_new(struct synth **out, const struct synth_options *options,
                        struct error *err) {
    struct synth *synth = NULL;
    *out = NULL;
    TRY(MEM_NEW(&synth, 1, "a text generator", err));
    synth->options = *options;
    synth->haystack.stories = &synth->stories;
    fathom_status status = fill_synth(synth, err);
    synth->options.words = synth->options.mix = NULL; /* the caller's, not kept */
    if (status != FATHOM_OK)
        synth_free(synth);
    else
        *out = synth;
    return status;
}

void synth_free(struct synth *synth) {
    if (!synth) return;
    word_list_free(synth->words);
    haystack_free(&synth->haystack);
    story_maker_free(&synth->stories);
    grammar_free(synth->wording);
    grammar_memory_free(&synth->memory);
    text_free(&synth->block);
    mem_free(synth);
}

const struct word_list *synth_words(const struct synth *synth) { return synth->words; }

/* ---- documents ---- */

static void remember_expansion(struct synth *synth, const char *variable, const char *rule,
                               struct rng *rng) {
    text_clear(&synth->block);
    grammar_expand(synth->wording, rule, rng, &synth->memory, &synth->block);
    grammar_remember(&synth->memory, variable, text_data(&synth->block));
    if (synth->block.failed) synth->memory.values.failed = true;
}

static void write_question(struct synth *synth, enum task_kind kind, struct rng *rng,
                           struct text *out) {
    static const char *const asks[TASK_KINDS] = {
        "ask_letters", "ask_sums",   "ask_compare",  "ask_countdown", "ask_sort",
        "ask_spell",   "ask_length", "ask_position", "ask_weekday",
    };
    struct task_problem problem;
    bool has_work = !synth->options.leave_out_work;
    task_draw(synth->words, &synth->options.tasks, kind, TASK_TRAIN, rng, &problem);
    task_explain(&problem, rng, &synth->memory);
    remember_expansion(synth, "question", asks[kind], rng);
    remember_expansion(synth, "thought",
                       has_work ? task_explain_rule(&problem, rng) : "idle_thought", rng);
    const char *frame = has_work ? "frame_prose" : "frame_bare";
    if (rng_next_uniform(rng) < synth->options.template_share) {
        remember_expansion(synth, "block", "block", rng);
        frame = "frame_template";
    }
    grammar_expand(synth->wording, frame, rng, &synth->memory, out);
}

/* Several words, each spelled on a line. */
static void write_spellings(struct synth *synth, struct rng *rng, struct text *out) {
    int lines = 3 + (int)rng_next_below(rng, 8);
    for (int i = 0; i < lines; i++) {
        struct task_problem problem;
        task_draw(synth->words, &synth->options.tasks, TASK_SPELL, TASK_TRAIN, rng, &problem);
        task_explain(&problem, rng, &synth->memory);
        if (i > 0) text_append_char(out, '\n');
        grammar_expand(synth->wording, "spell_line", rng, &synth->memory, out);
    }
}

static int draw_source(const struct synth *synth, struct rng *rng) {
    double at = rng_next_uniform(rng) * synth->total_weight;
    int last = 0;
    for (int i = 0; i < SOURCES; i++) {
        if (synth->weights[i] == 0) continue;
        last = i;
        if (at < synth->weights[i]) break;
        at -= synth->weights[i];
    }
    return last;
}

void synth_document(struct synth *synth, uint64_t i, struct text *out) {
    struct rng rng = {{synth->options.seed, RNG_SYNTH, i}, 0};
    int source = draw_source(synth, &rng);
    if (source == SOURCE_STORIES) {
        story_write(&synth->stories, &rng, out);
        return;
    }
    if (source == SOURCE_LONG) {
        synth_long_write(&synth->haystack, &synth->options.long_texts, &rng, out);
        return;
    }
    if (source == SOURCE_LISTS || source == SOURCE_FACTS) {
        (source == SOURCE_LISTS ? facts_write_list : facts_write_lookup)(&rng, out);
        return;
    }
    grammar_memory_clear(&synth->memory);
    bool is_list = source == TASK_SPELL && rng_next_below(&rng, 2) == 1;
    if (is_list)
        write_spellings(synth, &rng, out);
    else
        write_question(synth, (enum task_kind)source, &rng, out);
    if (synth->memory.values.failed) out->failed = true;
}
