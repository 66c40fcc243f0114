#include "data/countdown.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- solving ---- */

struct term {
    int64_t value;
    char text[COUNTDOWN_TEXT_MAX];
    bool is_sum, is_product; /* the operation outermost in text */
};

static const char operations[] = "+-*/";

static bool apply(char operation, int64_t a, int64_t b, int64_t *result) {
    switch (operation) {
    case '+': *result = a + b; return true;
    case '-': *result = a - b; return a > b;
    case '*': *result = a * b; return true;
    default: *result = b ? a / b : 0; return b > 0 && a % b == 0;
    }
}

/* Parentheses only where the operation needs them. */
static void write_term(struct term *out, const struct term *a, char operation,
                       const struct term *b) {
    bool is_sum = operation == '+' || operation == '-';
    bool left = !is_sum && a->is_sum;
    bool right = (!is_sum && b->is_sum) || (operation == '-' && b->is_sum) ||
                 (operation == '/' && b->is_product);
    char text[2 * COUNTDOWN_TEXT_MAX + 16];
    snprintf(text, sizeof text, "%s%s%s %c %s%s%s", left ? "(" : "", a->text, left ? ")" : "",
             operation, right ? "(" : "", b->text, right ? ")" : "");
    snprintf(out->text, sizeof out->text, "%.*s", COUNTDOWN_TEXT_MAX - 1, text);
    out->is_sum = is_sum;
    out->is_product = !is_sum;
}

static bool search(const struct term *terms, int count, int64_t target, int step,
                   struct countdown_solution *solution);

/* Replaces terms i and j by their combination and goes on. */
static bool try_pair(const struct term *terms, int count, int64_t target, int step, int i, int j,
                     char operation, struct countdown_solution *solution) {
    struct term rest[COUNTDOWN_MAX_NUMBERS];
    int kept = 0;
    int64_t result;
    if (!apply(operation, terms[i].value, terms[j].value, &result)) return false;
    for (int k = 0; k < count; k++)
        if (k != i && k != j) rest[kept++] = terms[k];
    rest[kept].value = result;
    write_term(&rest[kept], &terms[i], operation, &terms[j]);
    solution->steps[step] =
        (struct countdown_step){terms[i].value, terms[j].value, result, operation};
    return search(rest, kept + 1, target, step + 1, solution);
}

static bool search(const struct term *terms, int count, int64_t target, int step,
                   struct countdown_solution *solution) {
    if (count == 1) {
        if (terms[0].value != target) return false;
        snprintf(solution->expression, sizeof solution->expression, "%s", terms[0].text);
        return true;
    }
    for (int i = 0; i < count; i++) {
        for (int j = 0; j < count; j++) {
            for (const char *o = operations; *o; o++) {
                bool is_twin = j < i && (*o == '+' || *o == '*'); /* the same as with i < j */
                if (i == j || is_twin) continue;
                if (try_pair(terms, count, target, step, i, j, *o, solution)) return true;
            }
        }
    }
    return false;
}

bool countdown_solve(const int64_t *numbers, int count, int64_t target,
                     struct countdown_solution *solution) {
    struct term terms[COUNTDOWN_MAX_NUMBERS] = {0};
    for (int i = 0; i < count; i++) {
        terms[i].value = numbers[i];
        snprintf(terms[i].text, sizeof terms[i].text, "%" PRId64, numbers[i]);
    }
    return search(terms, count, target, 0, solution);
}

/* ---- reading ---- */

enum { MAX_NESTING = 32, MAX_USED = 16 };

struct fraction {
    int64_t top, bottom; /* bottom > 0 */
};

struct reading {
    const char *at, *end;
    int64_t used[MAX_USED];
    int used_count;
    int nesting;
};

static bool read_sum(struct reading *r, struct fraction *out);

static void skip_spaces(struct reading *r) {
    while (r->at < r->end && strchr(" \t\n", *r->at)) r->at++;
}

/* The next character that is no space, or 0. */
static char peek(struct reading *r) {
    skip_spaces(r);
    return r->at < r->end ? *r->at : 0;
}

static bool read_number(struct reading *r, struct fraction *out) {
    int digits = 0;
    int64_t value = 0;
    for (; r->at < r->end && *r->at >= '0' && *r->at <= '9'; r->at++, digits++) {
        if (digits == 9) return false;
        value = value * 10 + (*r->at - '0');
    }
    if (digits == 0 || r->used_count == MAX_USED) return false;
    r->used[r->used_count++] = value;
    *out = (struct fraction){value, 1};
    return true;
}

static bool read_factor(struct reading *r, struct fraction *out) {
    if (peek(r) != '(') return read_number(r, out);
    if (r->nesting == MAX_NESTING) return false;
    r->nesting++;
    r->at++;
    if (!read_sum(r, out) || peek(r) != ')') return false;
    r->at++;
    r->nesting--;
    return true;
}

static int64_t common_divisor(int64_t a, int64_t b) {
    while (b) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a < 0 ? -a : a;
}

/* a = a operation b in lowest terms; false on overflow or division by zero. */
static bool combine(struct fraction *a, char operation, struct fraction b) {
    int64_t x = 0, y = 1;
    if (operation == '/') {
        if (b.top == 0) return false;
        b = b.top < 0 ? (struct fraction){-b.bottom, -b.top} : (struct fraction){b.bottom, b.top};
        operation = '*';
    }
    bool fits = !__builtin_mul_overflow(a->bottom, b.bottom, &y);
    if (operation == '*') {
        fits = fits && !__builtin_mul_overflow(a->top, b.top, &x);
    } else {
        int64_t left, right;
        fits = fits && !__builtin_mul_overflow(a->top, b.bottom, &left) &&
               !__builtin_mul_overflow(b.top, a->bottom, &right);
        fits = fits && !(operation == '+' ? __builtin_add_overflow(left, right, &x)
                                          : __builtin_sub_overflow(left, right, &x));
    }
    if (!fits || x == INT64_MIN) return false;
    int64_t divisor = common_divisor(x, y);
    *a = (struct fraction){x / divisor, y / divisor};
    return true;
}

static bool read_product(struct reading *r, struct fraction *out) {
    if (!read_factor(r, out)) return false;
    while (peek(r) == '*' || peek(r) == '/') {
        char operation = *r->at++;
        struct fraction next;
        if (!read_factor(r, &next) || !combine(out, operation, next)) return false;
    }
    return true;
}

static bool read_sum(struct reading *r, struct fraction *out) {
    if (!read_product(r, out)) return false;
    while (peek(r) == '+' || peek(r) == '-') {
        char operation = *r->at++;
        struct fraction next;
        if (!read_product(r, &next) || !combine(out, operation, next)) return false;
    }
    return true;
}

static bool uses_exactly(const struct reading *r, const int64_t *numbers, int count) {
    bool taken[COUNTDOWN_MAX_NUMBERS] = {false};
    if (r->used_count != count) return false;
    for (int i = 0; i < count; i++) {
        int j = 0;
        while (j < count && (taken[j] || numbers[j] != r->used[i])) j++;
        if (j == count) return false;
        taken[j] = true;
    }
    return true;
}

enum countdown_reading countdown_read(const char *text, size_t size, const int64_t *numbers,
                                      int count, int64_t *value, bool *is_whole) {
    struct reading r = {.at = text, .end = text + size};
    struct fraction result;
    *is_whole = false;
    *value = 0;
    if (!read_sum(&r, &result) || peek(&r) != 0 || r.at != r.end) return COUNTDOWN_UNREADABLE;
    if (!uses_exactly(&r, numbers, count)) return COUNTDOWN_OTHER_NUMBERS;
    *is_whole = result.bottom == 1;
    if (*is_whole) *value = result.top;
    return COUNTDOWN_VALID;
}
