/* Small questions with one right answer: unlimited, seeded, in two splits, with exact checkers. The
 * corpus is made of the training split; evaluation and reinforcement learning ask the held-out one.
 *
 * Hold-out rules. Words: word_list.h. Numbers: operands are seen in ranges of ten, and a pair of
 * ranges that a hash puts into one tenth is held out: of a sum its two operands; of a comparison
 * its two numbers (in hundredths); of a list to sort its smallest and largest; of countdown its
 * largest number and the target. Pairs with both in the first range (0 to 9) are training.
 * Weekdays: the day and the number of days, by hash. */
#ifndef DATA_TASKS_H
#define DATA_TASKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rng.h"
#include "base/text.h"
#include "data/word_list.h"

enum task_kind {
    TASK_LETTERS,   /* how often a letter stands in a word, 0 to 4 evenly */
    TASK_SUMS,      /* a + b */
    TASK_COMPARE,   /* the larger or smaller of two numbers, whole or decimal */
    TASK_COUNTDOWN, /* reach a target with + - * / and every given number once */
    TASK_SORT,      /* numbers, upwards or downwards */
    TASK_SPELL,     /* the letters of a word */
    TASK_LENGTH,    /* how many letters a word has */
    TASK_POSITION,  /* the first, second, ... or last letter of a word */
    TASK_WEEKDAY,   /* the day so many days after another */
    TASK_KINDS
};
const char *task_kind_name(enum task_kind kind); /* "letters", "sums", ... */
bool task_kind_parse(const char *name, enum task_kind *kind);

/* How hard; a field that is 0 takes its default. */
struct task_options {
    int sum_digits;        /* of each operand, at most: 1..6, default 3 */
    int sort_count;        /* numbers, at most: 3..8, default 5 */
    int countdown_numbers; /* at most: 2..4, default 3 */
};

enum { TASK_NUMBERS = 8, TASK_TEXT_MAX = 256 };

struct task_problem {
    enum task_kind kind;
    /* In the one wording that the corpus never uses. */
    char question[TASK_TEXT_MAX];
    char gold[TASK_TEXT_MAX];      /* countdown: one of the solutions */
    char word[WORD_MAX + 2];       /* letters, spell, length, position */
    char letter;                   /* letters */
    int count;                     /* of numbers */
    int64_t numbers[TASK_NUMBERS]; /* operands; compare: hundredths; weekday: day 0..6 and days */
    char items[TASK_NUMBERS][16];  /* the numbers, or weekdays, as written */
    int64_t target;   /* letters, sums, length: the answer; countdown; position: place, -1 last */
    bool is_reversed; /* compare: asks for the smaller; sort: from the largest down */
};

/* A problem of the split from the next draws of rng. The split needs words for the kinds that ask
 * about one. options NULL: the defaults. */
void task_draw(const struct word_list *words, const struct task_options *options,
               enum task_kind kind, enum task_split split, struct rng *rng,
               struct task_problem *problem);
/* Problem number i, a pure function of its arguments. Corpora draw from other streams. */
void task_generate(const struct word_list *words, const struct task_options *options,
                   enum task_kind kind, enum task_split split, uint64_t seed, uint64_t i,
                   struct task_problem *problem);
/* The hold-out rule. */
bool task_is_heldout(const struct word_list *words, const struct task_problem *problem);

enum task_verdict { TASK_RIGHT, TASK_WRONG, TASK_UNPARSEABLE };
/* Judges an answer, without the tags around it. Spaces around it and a full stop at its end do not
 * matter. Numbers are digits; lists are separated by commas or spaces; a countdown answer is an
 * expression that uses every number exactly once. */
enum task_verdict task_check(const struct task_problem *problem, const char *answer, size_t size);

/* "User: QUESTION\nAssistant:": the R1-Zero prompt (DeepSeek-R1, table 1) cut to its end. */
void task_prompt(const char *question, struct text *out);
/* Finds the answer in "<think> .. </think> <answer> .. </answer>": each tag once, in this order,
 * nothing but spaces between and around the two blocks. */
bool task_template_parse(const char *text, size_t size, const char **answer, size_t *answer_size);

#endif
