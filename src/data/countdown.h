/* Countdown: reach a target with the four operations and every given number exactly once. */
#ifndef DATA_COUNTDOWN_H
#define DATA_COUNTDOWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { COUNTDOWN_MAX_NUMBERS = 4, COUNTDOWN_TEXT_MAX = 64 };

/* One operation between two numbers that are whole and positive, with a whole positive result. */
struct countdown_step {
    int64_t left, right, result;
    char operation; /* + - * / */
};

struct countdown_solution {
    struct countdown_step steps[COUNTDOWN_MAX_NUMBERS - 1]; /* count - 1 of them */
    char expression[COUNTDOWN_TEXT_MAX];                    /* "(3 + 5) * 2" */
};

/* The first solution whose intermediate results are whole and positive, in a fixed order of search;
 * false when there is none. 1 <= count <= COUNTDOWN_MAX_NUMBERS, numbers in [1, 10^6]. */
bool countdown_solve(const int64_t *numbers, int count, int64_t target,
                     struct countdown_solution *solution);

enum countdown_reading {
    COUNTDOWN_VALID,         /* an expression with these numbers; *value is it */
    COUNTDOWN_OTHER_NUMBERS, /* an expression with other numbers */
    COUNTDOWN_UNREADABLE,    /* no expression, or one that divides by zero or grows too large */
};
/* Reads an expression of digits, + - * / and parentheses. Its value is exact: *value is set only
 * when it is whole, else *is_whole is false. */
enum countdown_reading countdown_read(const char *text, size_t size, const int64_t *numbers,
                                      int count, int64_t *value, bool *is_whole);

#endif
