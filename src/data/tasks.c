#include "data/tasks.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "data/countdown.h"

/* Another seed would be another split. */
enum { HELDOUT_SHARE = 10, HELDOUT_SEED = 0x7a5c, RANGE = 10 };
/* Streams of task_generate lie above those of a corpus, which are document numbers. */
#define GENERATE_STREAM ((uint64_t)1 << 63)

static const char *const kind_names[TASK_KINDS] = {
    "letters", "sums", "compare", "countdown", "sort", "spell", "length", "position", "weekday",
};
static const char *const weekdays[7] = {"Monday", "Tuesday",  "Wednesday", "Thursday",
                                        "Friday", "Saturday", "Sunday"};

const char *task_kind_name(enum task_kind kind) { return kind_names[kind]; }

bool task_kind_parse(const char *name, enum task_kind *kind) {
    for (int i = 0; i < TASK_KINDS; i++) {
        if (strcmp(name, kind_names[i]) != 0) continue;
        *kind = (enum task_kind)i;
        return true;
    }
    return false;
}

/* ---- the hold-out rule ---- */

static bool hash_is_heldout(enum task_kind kind, int64_t a, int64_t b) {
    const int64_t key[3] = {kind, a, b};
    return hash_bytes_seeded(key, sizeof key, HELDOUT_SEED) % HELDOUT_SHARE == 0;
}

/* Of the ranges of ten that the smaller and the larger number lie in. */
static bool ranges_are_heldout(enum task_kind kind, int64_t a, int64_t b) {
    int64_t low = (a < b ? a : b) / RANGE, high = (a < b ? b : a) / RANGE;
    return high > 0 && hash_is_heldout(kind, low, high);
}

static int64_t smallest(const struct task_problem *p) {
    int64_t least = p->numbers[0];
    for (int i = 1; i < p->count; i++)
        if (p->numbers[i] < least) least = p->numbers[i];
    return least;
}

static int64_t largest(const struct task_problem *p) {
    int64_t most = p->numbers[0];
    for (int i = 1; i < p->count; i++)
        if (p->numbers[i] > most) most = p->numbers[i];
    return most;
}

bool task_is_heldout(const struct word_list *words, const struct task_problem *p) {
    switch (p->kind) {
    case TASK_SUMS:
    case TASK_COMPARE: return ranges_are_heldout(p->kind, p->numbers[0], p->numbers[1]);
    case TASK_COUNTDOWN: return ranges_are_heldout(p->kind, largest(p), p->target);
    case TASK_SORT: return ranges_are_heldout(p->kind, smallest(p), largest(p));
    case TASK_WEEKDAY: return hash_is_heldout(p->kind, p->numbers[0], p->numbers[1]);
    default: return word_list_is_heldout(words, p->word);
    }
}

/* ---- numbers ---- */

static int64_t power_of_ten(int digits) {
    int64_t power = 1;
    while (digits-- > 0) power *= 10;
    return power;
}

/* 1 to `digits` digits, each number of digits as likely as another. */
static int64_t draw_number(struct rng *rng, int digits) {
    int d = 1 + (int)rng_next_below(rng, (uint64_t)digits);
    int64_t low = d == 1 ? 0 : power_of_ten(d - 1);
    return low + (int64_t)rng_next_below(rng, (uint64_t)(power_of_ten(d) - low));
}

static void write_whole(struct task_problem *p, int i) {
    snprintf(p->items[i], sizeof p->items[i], "%" PRId64, p->numbers[i]);
}

static void draw_sum(struct task_problem *p, const struct task_options *options, struct rng *rng) {
    p->count = 2;
    for (int i = 0; i < 2; i++) {
        p->numbers[i] = draw_number(rng, options->sum_digits);
        write_whole(p, i);
    }
    p->target = p->numbers[0] + p->numbers[1];
    snprintf(p->gold, sizeof p->gold, "%" PRId64, p->target);
    snprintf(p->question, sizeof p->question, "What is %s + %s?", p->items[0], p->items[1]);
}

/* A number below 20 with one or two decimals, in hundredths; the smaller number of decimals is as
 * frequent as the larger, so that "9.11 or 9.8" is asked often. */
static int64_t draw_decimal(struct rng *rng, int64_t whole, char text[16]) {
    int64_t tenths = (int64_t)rng_next_below(rng, 10), hundredths = 0;
    if (rng_next_below(rng, 2) == 1) {
        hundredths = 1 + (int64_t)rng_next_below(rng, 9);
        snprintf(text, 16, "%" PRId64 ".%d%d", whole, (int)tenths, (int)hundredths);
    } else {
        snprintf(text, 16, "%" PRId64 ".%d", whole, (int)tenths);
    }
    return 100 * whole + 10 * tenths + hundredths;
}

static void draw_whole_pair(struct task_problem *p, struct rng *rng) {
    int digits = 2 + (int)rng_next_below(rng, 4);
    for (int i = 0; i < 2; i++) p->numbers[i] = draw_number(rng, digits);
    /* Half of the pairs begin alike: they are the hard ones. */
    if (rng_next_below(rng, 2) == 1) {
        int64_t step = power_of_ten(1 + (int)rng_next_below(rng, (uint64_t)digits - 1));
        p->numbers[1] = p->numbers[0] / step * step + (int64_t)rng_next_below(rng, (uint64_t)step);
    }
    for (int i = 0; i < 2; i++) {
        write_whole(p, i);
        p->numbers[i] *= 100;
    }
}

static void draw_comparison(struct task_problem *p, struct rng *rng) {
    p->count = 2;
    do {
        if (rng_next_below(rng, 2) == 1) {
            int64_t whole = (int64_t)rng_next_below(rng, 20);
            bool is_near = rng_next_below(rng, 3) > 0;
            p->numbers[0] = draw_decimal(rng, whole, p->items[0]);
            if (!is_near) whole = (int64_t)rng_next_below(rng, 20);
            p->numbers[1] = draw_decimal(rng, whole, p->items[1]);
        } else {
            draw_whole_pair(p, rng);
        }
    } while (p->numbers[0] == p->numbers[1]);
    p->is_reversed = rng_next_below(rng, 3) == 0;
    bool first = (p->numbers[0] > p->numbers[1]) != p->is_reversed;
    snprintf(p->gold, sizeof p->gold, "%s", p->items[first ? 0 : 1]);
    snprintf(p->question, sizeof p->question, "Which number is %s, %s or %s?",
             p->is_reversed ? "smaller" : "larger", p->items[0], p->items[1]);
}

/* "3, 17 and 42" */
static void write_list(const struct task_problem *p, const char *last, char *out, size_t size) {
    size_t at = 0;
    for (int i = 0; i < p->count && at < size; i++) {
        const char *separator = i == 0 ? "" : i == p->count - 1 ? last : ", ";
        at += (size_t)snprintf(out + at, size - at, "%s%s", separator, p->items[i]);
    }
}

static void draw_sorting(struct task_problem *p, const struct task_options *options,
                         struct rng *rng) {
    p->count = 3 + (int)rng_next_below(rng, (uint64_t)options->sort_count - 2);
    p->is_reversed = rng_next_below(rng, 3) == 0;
    for (int i = 0; i < p->count; i++) {
        bool is_new = false;
        while (!is_new) {
            p->numbers[i] = (int64_t)rng_next_below(rng, 100);
            is_new = true;
            for (int j = 0; j < i; j++) is_new = is_new && p->numbers[j] != p->numbers[i];
        }
        write_whole(p, i);
    }
    char list[TASK_TEXT_MAX / 2];
    write_list(p, " and ", list, sizeof list);
    snprintf(p->question, sizeof p->question, "Sort %s from the %s.", list,
             p->is_reversed ? "largest to the smallest" : "smallest to the largest");
    struct task_problem sorted = *p;
    for (int i = 1; i < p->count; i++) {
        for (int j = i; j > 0; j--) {
            int64_t a = sorted.numbers[j - 1], b = sorted.numbers[j];
            if ((a < b) != p->is_reversed) break;
            sorted.numbers[j - 1] = b;
            sorted.numbers[j] = a;
        }
    }
    for (int i = 0; i < p->count; i++) write_whole(&sorted, i);
    write_list(&sorted, ", ", p->gold, sizeof p->gold);
}

/* The target is what some order of random operations gives, so there always is a solution. */
static bool draw_target(struct task_problem *p, struct rng *rng) {
    enum { MAX_TARGET = 100 };
    int64_t left[COUNTDOWN_MAX_NUMBERS];
    int count = p->count;
    memcpy(left, p->numbers, sizeof left);
    while (count > 1) {
        int i = (int)rng_next_below(rng, (uint64_t)count);
        int64_t a = left[i];
        left[i] = left[--count];
        int j = (int)rng_next_below(rng, (uint64_t)count);
        int64_t b = left[j];
        uint64_t pick = rng_next_below(rng, 8); /* + three times in eight, - and * two, / one */
        if (pick < 3)
            left[j] = a + b;
        else if (pick < 5)
            left[j] = a - b;
        else if (pick < 7)
            left[j] = a * b;
        else
            left[j] = b > 0 && a % b == 0 ? a / b : 0;
        if (left[j] <= 0 || left[j] > 1000) return false;
    }
    p->target = left[0];
    return p->target <= MAX_TARGET;
}

static void draw_countdown(struct task_problem *p, const struct task_options *options,
                           struct rng *rng) {
    struct countdown_solution solution;
    p->count = 2 + (int)rng_next_below(rng, (uint64_t)options->countdown_numbers - 1);
    do {
        for (int i = 0; i < p->count; i++) p->numbers[i] = 1 + (int64_t)rng_next_below(rng, 15);
    } while (!draw_target(p, rng) || !countdown_solve(p->numbers, p->count, p->target, &solution));
    for (int i = 0; i < p->count; i++) write_whole(p, i);
    snprintf(p->gold, sizeof p->gold, "%s", solution.expression);
    char list[TASK_TEXT_MAX / 2];
    write_list(p, " and ", list, sizeof list);
    snprintf(p->question, sizeof p->question,
             "Use the numbers %s, each exactly once, with + - * / to make %" PRId64 ".", list,
             p->target);
}

/* ---- words ---- */

static void draw_letters(struct task_problem *p, const struct word_list *words,
                         enum task_split split, struct rng *rng) {
    int gold = (int)rng_next_below(rng, WORD_GOLDS);
    const char *word = word_list_draw_letter(words, split, gold, rng, &p->letter);
    snprintf(p->word, sizeof p->word, "%s", word);
    p->target = word_letter_count(word, p->letter);
    snprintf(p->gold, sizeof p->gold, "%" PRId64, p->target);
    snprintf(p->question, sizeof p->question,
             "How many times does the letter %c appear in the word %s?", p->letter, word);
}

static void draw_spelling(struct task_problem *p) {
    for (size_t i = 0; p->word[i]; i++)
        snprintf(p->gold + 3 * i, 4, "%c%s", p->word[i], p->word[i + 1] ? ", " : "");
    snprintf(p->question, sizeof p->question, "How is the word %s spelled?", p->word);
}

static void draw_length(struct task_problem *p) {
    p->target = (int64_t)strlen(p->word);
    snprintf(p->gold, sizeof p->gold, "%" PRId64, p->target);
    snprintf(p->question, sizeof p->question, "How many letters does the word %s have?", p->word);
}

static void draw_position(struct task_problem *p, struct rng *rng) {
    static const char *const places[] = {"last", "first", "second", "third", "fourth"};
    uint64_t place = rng_next_below(rng, strlen(p->word) > 3 ? 5 : 4);
    p->target = place == 0 ? -1 : (int64_t)place;
    snprintf(p->gold, sizeof p->gold, "%c", p->word[place == 0 ? strlen(p->word) - 1 : place - 1]);
    snprintf(p->question, sizeof p->question, "What is the %s letter of the word %s?",
             places[place], p->word);
}

static void draw_weekday(struct task_problem *p, struct rng *rng) {
    enum { MAX_DAYS = 30 };
    p->count = 2;
    p->numbers[0] = (int64_t)rng_next_below(rng, 7);
    p->numbers[1] = 1 + (int64_t)rng_next_below(rng, MAX_DAYS);
    p->target = (p->numbers[0] + p->numbers[1]) % 7;
    snprintf(p->items[0], sizeof p->items[0], "%s", weekdays[p->numbers[0]]);
    write_whole(p, 1);
    snprintf(p->gold, sizeof p->gold, "%s", weekdays[p->target]);
    snprintf(p->question, sizeof p->question, "Which weekday comes %s day%s after %s?", p->items[1],
             p->numbers[1] == 1 ? "" : "s", p->items[0]);
}

/* ---- problems ---- */

static struct task_options with_defaults(const struct task_options *options) {
    struct task_options o = options ? *options : (struct task_options){0};
    if (o.sum_digits == 0) o.sum_digits = 3;
    if (o.sort_count == 0) o.sort_count = 5;
    if (o.countdown_numbers == 0) o.countdown_numbers = 3;
    return o;
}

static void draw_any(const struct word_list *words, const struct task_options *options,
                     enum task_split split, struct rng *rng, struct task_problem *p) {
    bool has_word = p->kind == TASK_SPELL || p->kind == TASK_LENGTH || p->kind == TASK_POSITION;
    if (has_word) snprintf(p->word, sizeof p->word, "%s", word_list_draw(words, split, rng));
    switch (p->kind) {
    case TASK_LETTERS: draw_letters(p, words, split, rng); break;
    case TASK_SUMS: draw_sum(p, options, rng); break;
    case TASK_COMPARE: draw_comparison(p, rng); break;
    case TASK_COUNTDOWN: draw_countdown(p, options, rng); break;
    case TASK_SORT: draw_sorting(p, options, rng); break;
    case TASK_SPELL: draw_spelling(p); break;
    case TASK_LENGTH: draw_length(p); break;
    case TASK_POSITION: draw_position(p, rng); break;
    default: draw_weekday(p, rng); break;
    }
}

void task_draw(const struct word_list *words, const struct task_options *options,
               enum task_kind kind, enum task_split split, struct rng *rng,
               struct task_problem *problem) {
    const struct task_options o = with_defaults(options);
    do {
        *problem = (struct task_problem){.kind = kind};
        draw_any(words, &o, split, rng, problem);
    } while (task_is_heldout(words, problem) != (split == TASK_HELDOUT));
}

void task_generate(const struct word_list *words, const struct task_options *options,
                   enum task_kind kind, enum task_split split, uint64_t seed, uint64_t i,
                   struct task_problem *problem) {
    uint64_t number = (i * TASK_KINDS + kind) * TASK_SPLITS + split;
    struct rng rng = {{seed, RNG_SYNTH, GENERATE_STREAM | number}, 0};
    task_draw(words, options, kind, split, &rng, problem);
}

void task_prompt(const char *question, struct text *out) {
    text_printf(out, "User: %s\nAssistant:", question);
}
