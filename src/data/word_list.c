#include "data/word_list.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "data/story_rules.h"
#include "data/task_wording.h"

/* HELDOUT_SEED is the hold-out rule: another value would be another split. */
enum { HELDOUT_SHARE = 10, HELDOUT_SEED = 0x5eed, ORDER_SEED = 0x0bde, FAMOUS_COUNT = 3 };
enum { MAX_LIST_BYTES = 1 << 28 };

static const char system_words[] = "/usr/share/dict/words";
static const char *const famous_words[FAMOUS_COUNT] = {"strawberry", "raspberry", "deepseek"};
/* What their forms contain: strawberries too. */
static const char *const famous_stems[FAMOUS_COUNT] = {"strawberr", "raspberr", "deepseek"};
/* Words of the system's list that do not belong into a text for everybody. */
static const char *const unfit_stems[] = {
    "fuck",   "shit",  "cunt",   "nigg",  "fagg",  "bitch", "whor",  "pussy",  "cocks",  "turd",
    "arseh",  "assho", "mastur", "porn",  "penis", "vagin", "slut",  "wank",   "dildo",  "orgas",
    "rapist", "rapes", "kike",   "spick", "dyke",  "boner", "titti", "pecker", "hooker",
};

struct word {
    char text[WORD_MAX + 2];
    uint64_t order;
    int most; /* of the counts of its letters */
};

struct word_array {
    struct word *words;
    size_t count, capacity;
};

struct word_list {
    struct word_array splits[TASK_SPLITS];     /* sorted by `most`, then order */
    size_t first[TASK_SPLITS][WORD_GOLDS + 1]; /* where the words with `most` == g begin */
    struct word_array common;                  /* what texts use, sorted */
    char *source;
};

const char *task_split_name(enum task_split split) {
    return split == TASK_TRAIN ? "train" : "heldout";
}

int word_letter_count(const char *word, char letter) {
    int count = 0;
    for (; *word; word++) count += *word == letter;
    return count;
}

static int most_letters(const char *word) {
    int most = 0;
    for (const char *p = word; *p; p++) {
        int count = word_letter_count(word, *p);
        if (count > most) most = count;
    }
    return most;
}

/* ---- arrays of words ---- */

static bool contains_any(const char *word, const char *const *stems, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (strstr(word, stems[i])) return true;
    return false;
}

static fathom_status array_add(struct word_array *array, const char *text, size_t size,
                               struct error *err) {
    if (array->count == array->capacity) {
        size_t capacity = array->capacity * 2 + 1024;
        TRY(mem_grow((void **)&array->words, array->capacity, capacity, sizeof *array->words,
                     "words", err));
        array->capacity = capacity;
    }
    struct word *word = &array->words[array->count++];
    *word = (struct word){.order = hash_bytes_seeded(text, size, ORDER_SEED)};
    memcpy(word->text, text, size);
    word->most = most_letters(word->text);
    return FATHOM_OK;
}

static int by_text(const void *a, const void *b) {
    return strcmp(((const struct word *)a)->text, ((const struct word *)b)->text);
}

/* Words with a letter that stands four times, then the rest by their hash. */
static int by_choice(const void *a, const void *b) {
    const struct word *x = a, *y = b;
    bool x_rare = x->most == WORD_GOLDS - 1, y_rare = y->most == WORD_GOLDS - 1;
    if (x_rare != y_rare) return x_rare ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

static int by_most(const void *a, const void *b) {
    const struct word *x = a, *y = b;
    if (x->most != y->most) return x->most - y->most;
    return (x->order > y->order) - (x->order < y->order);
}

static void array_sort(struct word_array *array, int (*order)(const void *, const void *)) {
    if (array->count > 0) qsort(array->words, array->count, sizeof *array->words, order);
}

static void drop_repeats(struct word_array *array) {
    size_t kept = 0;
    array_sort(array, by_text);
    for (size_t i = 0; i < array->count; i++)
        if (kept == 0 || by_text(&array->words[kept - 1], &array->words[i]) != 0)
            array->words[kept++] = array->words[i];
    array->count = kept;
}

/* ---- reading ---- */

static bool is_fit(const char *text, size_t size) {
    char word[WORD_MAX + 1];
    if (size < WORD_MIN || size > WORD_MAX) return false;
    for (size_t i = 0; i < size; i++)
        if (text[i] < 'a' || text[i] > 'z') return false;
    memcpy(word, text, size);
    word[size] = 0;
    return most_letters(word) < WORD_GOLDS &&
           !contains_any(word, unfit_stems, sizeof unfit_stems / sizeof unfit_stems[0]);
}

/* Adds what is fit of a text whose words are separated by spaces or newlines. */
static fathom_status add_words(struct word_array *array, const char *text, size_t size,
                               struct error *err) {
    size_t start = 0;
    for (size_t i = 0; i <= size; i++) {
        if (i < size && !strchr(" \t\r\n", text[i])) continue;
        if (is_fit(text + start, i - start)) TRY(array_add(array, text + start, i - start, err));
        start = i + 1;
    }
    return FATHOM_OK;
}

static fathom_status add_file(struct word_array *array, const char *path, struct error *err) {
    char *text = NULL;
    size_t size = 0;
    TRY(file_read(path, MAX_LIST_BYTES, &text, &size, err));
    fathom_status status = add_words(array, text, size, err);
    mem_free(text);
    if (status == FATHOM_OK && array->count == 0)
        status = error_set(err, FATHOM_BAD_INPUT,
                           "%s: holds no word of %d to %d small letters, one a line", path,
                           WORD_MIN, WORD_MAX);
    return status;
}

static fathom_status read_words(struct word_list *list, struct word_array *array, const char *path,
                                struct error *err) {
    if (!path) path = path_exists(system_words) ? system_words : "";
    TRY(string_copy(&list->source, *path ? path : "the built-in words", err));
    if (*path) return add_file(array, path, err);
    for (size_t i = 0; i < word_rows_builtin.count; i++)
        TRY(add_words(array, word_rows_builtin.rows[i], strlen(word_rows_builtin.rows[i]), err));
    return FATHOM_OK;
}

/* ---- the words that texts use ---- */

struct collector {
    struct word_array *array;
    fathom_status status;
    struct error *err;
};

static void collect_word(void *arg, const char *word, size_t size) {
    struct collector *collector = arg;
    if (collector->status == FATHOM_OK && size >= WORD_MIN && size <= WORD_MAX)
        collector->status = array_add(collector->array, word, size, collector->err);
}

static fathom_status collect_common(struct word_list *list, struct error *err) {
    const struct grammar_source sources[] = {story_words,  story_phrases,  story_home,
                                             task_wording, story_outdoors, story_fables,
                                             story_short};
    struct grammar *grammar = NULL;
    TRY(grammar_new(&grammar, sources, sizeof sources / sizeof sources[0], err));
    struct collector collector = {&list->common, FATHOM_OK, err};
    grammar_each_word(grammar, collect_word, &collector);
    grammar_free(grammar);
    if (collector.status == FATHOM_OK) drop_repeats(&list->common);
    return collector.status;
}

bool word_list_is_heldout(const struct word_list *list, const char *word) {
    struct word key = {0};
    size_t size = strlen(word);
    if (contains_any(word, famous_stems, FAMOUS_COUNT)) return true;
    if (hash_bytes_seeded(word, size, HELDOUT_SEED) % HELDOUT_SHARE != 0) return false;
    if (size > WORD_MAX) return true;
    memcpy(key.text, word, size);
    return !bsearch(&key, list->common.words, list->common.count, sizeof key, by_text);
}

/* ---- the list ---- */

static void index_split(struct word_list *list, enum task_split split) {
    struct word_array *array = &list->splits[split];
    array_sort(array, by_most);
    size_t at = 0;
    for (int most = 0; most <= WORD_GOLDS; most++) {
        while (at < array->count && array->words[at].most < most) at++;
        list->first[split][most] = at;
    }
}

static fathom_status fill_list(struct word_list *list, struct word_array *all, const char *path,
                               size_t count, struct error *err) {
    TRY(collect_common(list, err));
    TRY(read_words(list, all, path, err));
    for (int i = 0; i < FAMOUS_COUNT; i++)
        TRY(array_add(&list->splits[TASK_HELDOUT], famous_words[i], strlen(famous_words[i]), err));
    drop_repeats(all);
    array_sort(all, by_choice);
    for (size_t i = 0; i < all->count && i < count; i++) {
        const char *text = all->words[i].text;
        enum task_split split = word_list_is_heldout(list, text) ? TASK_HELDOUT : TASK_TRAIN;
        TRY(array_add(&list->splits[split], text, strlen(text), err));
    }
    drop_repeats(&list->splits[TASK_HELDOUT]);
    index_split(list, TASK_TRAIN);
    index_split(list, TASK_HELDOUT);
    return FATHOM_OK;
}

fathom_status word_list_new(struct word_list **out, const char *path, size_t count,
                            struct error *err) {
    struct word_list *list = NULL;
    struct word_array all = {0};
    *out = NULL;
    TRY(MEM_NEW(&list, 1, "a word list", err));
    fathom_status status = fill_list(list, &all, path, count ? count : WORD_DEFAULT_COUNT, err);
    mem_free(all.words);
    if (status != FATHOM_OK)
        word_list_free(list);
    else
        *out = list;
    return status;
}

void word_list_free(struct word_list *list) {
    if (!list) return;
    for (int i = 0; i < TASK_SPLITS; i++) mem_free(list->splits[i].words);
    mem_free(list->common.words);
    mem_free(list->source);
    mem_free(list);
}

size_t word_list_count(const struct word_list *list, enum task_split split) {
    return list->splits[split].count;
}

const char *word_list_get(const struct word_list *list, enum task_split split, size_t i) {
    return list->splits[split].words[i].text;
}

const char *word_list_source(const struct word_list *list) { return list->source; }

/* ---- drawing ---- */

const char *word_list_draw(const struct word_list *list, enum task_split split, struct rng *rng) {
    return word_list_get(list, split, rng_next_below(rng, word_list_count(list, split)));
}

/* The letters that stand `gold` times in the word; returns how many. */
static int letters_with(const char *word, int gold, char letters[WORD_MAX]) {
    int count = 0;
    for (const char *p = word; *p; p++)
        if (word_letter_count(word, *p) == gold && !memchr(letters, *p, (size_t)count))
            letters[count++] = *p;
    return count;
}

/* A word whose most frequent letter stands `most` times; NULL: there is none. */
static const char *draw_of_class(const struct word_list *list, enum task_split split, int most,
                                 struct rng *rng) {
    size_t first = list->first[split][most], count = list->first[split][most + 1] - first;
    if (count == 0) return NULL;
    return word_list_get(list, split, first + rng_next_below(rng, count));
}

/* A letter that is not in the word, as frequent as letters are in words. */
static char draw_absent(const struct word_list *list, enum task_split split, const char *word,
                        struct rng *rng) {
    for (;;) {
        const char *other = word_list_draw(list, split, rng);
        char letter = other[rng_next_below(rng, strlen(other))];
        if (!strchr(word, letter)) return letter;
        letter = (char)('a' + rng_next_below(rng, 26));
        if (!strchr(word, letter)) return letter;
    }
}

const char *word_list_draw_letter(const struct word_list *list, enum task_split split, int gold,
                                  struct rng *rng, char *letter) {
    enum { TRIES = 200 };
    for (int tries = 0;; tries++) {
        if (tries == TRIES && gold > 0) {
            gold--;
            tries = 0;
        }
        int low = gold > 1 ? gold : 1;
        int most = low + (int)rng_next_below(rng, (uint64_t)(WORD_GOLDS - low));
        const char *word = draw_of_class(list, split, most, rng);
        if (!word) continue;
        if (gold == 0) {
            *letter = draw_absent(list, split, word, rng);
            return word;
        }
        char letters[WORD_MAX];
        int count = letters_with(word, gold, letters);
        if (count == 0) continue;
        *letter = letters[rng_next_below(rng, (uint64_t)count)];
        return word;
    }
}
