#include "data/task_explain.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "data/countdown.h"

static void set(struct grammar_memory *memory, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void set(struct grammar_memory *memory, const char *name, const char *format, ...) {
    char value[512];
    va_list args;
    va_start(args, format);
    vsnprintf(value, sizeof value, format, args);
    va_end(args);
    grammar_remember(memory, name, value);
}

static void set_text(struct grammar_memory *memory, const char *name, struct text *value) {
    grammar_remember(memory, name, text_data(value));
    if (value->failed) memory->values.failed = true;
    text_clear(value);
}

/* ", " before every item but the first of a list that started at `start`. */
static void separate(struct text *text) {
    if (text->size > 0) text_append_string(text, ", ");
}

/* ---- words ---- */

static void set_spellings(const char *word, struct grammar_memory *memory) {
    struct text commas = {0}, spaces = {0}, numbered = {0}, counting = {0};
    for (int i = 0; word[i]; i++) {
        separate(&commas);
        separate(&numbered);
        separate(&counting);
        if (i > 0) text_append_char(&spaces, ' ');
        text_append_char(&commas, word[i]);
        text_append_char(&spaces, word[i]);
        text_printf(&numbered, "%d %c", i + 1, word[i]);
        text_printf(&counting, "%d", i + 1);
    }
    set(memory, "word", "%s", word);
    set_text(memory, "commas", &commas);
    set_text(memory, "spaces", &spaces);
    set_text(memory, "numbered", &numbered);
    set_text(memory, "counting", &counting);
    set(memory, "length", "%zu", strlen(word));
    set(memory, "first", "%c", word[0]);
    set(memory, "last", "%c", word[strlen(word) - 1]);
    text_free(&commas);
    text_free(&spaces);
    text_free(&numbered);
    text_free(&counting);
}

static void set_letter_walk(const struct task_problem *p, struct grammar_memory *memory) {
    struct text running = {0}, yesno = {0}, hits = {0}, positions = {0};
    int64_t count = 0;
    for (int i = 0; p->word[i]; i++) {
        bool is_hit = p->word[i] == p->letter;
        count += is_hit;
        separate(&running);
        separate(&yesno);
        text_printf(&running, "%c %" PRId64, p->word[i], count);
        text_printf(&yesno, "%c %s", p->word[i], is_hit ? "yes" : "no");
        if (!is_hit) continue;
        text_printf(&hits, "%s%c", count > 1 ? " " : "", p->letter);
        text_printf(&positions, "%s%d",
                    count == 1           ? ""
                    : count == p->target ? " and "
                                         : ", ",
                    i + 1);
    }
    set_text(memory, "running", &running);
    set_text(memory, "yesno", &yesno);
    set_text(memory, "hits", &hits);
    set_text(memory, "positions", &positions);
    text_free(&running);
    text_free(&yesno);
    text_free(&hits);
    text_free(&positions);
}

static void explain_letters(const struct task_problem *p, struct rng *rng,
                            struct grammar_memory *memory) {
    bool is_less = p->target > 0 && rng_next_below(rng, 3) > 0;
    set(memory, "letter", "%c", p->letter);
    set(memory, "count", "%" PRId64, p->target);
    set(memory, "wrong", "%" PRId64, is_less ? p->target - 1 : p->target + 1);
    set(memory, "are", "%s", p->target == 1 ? "is" : "are");
    set(memory, "times", "%" PRId64 " time%s", p->target, p->target == 1 ? "" : "s");
    set_letter_walk(p, memory);
}

static void explain_position(const struct task_problem *p, struct grammar_memory *memory) {
    static const char *const places[] = {"first", "second", "third", "fourth"};
    set(memory, "place", "%s", p->target < 0 ? "last" : places[p->target - 1]);
}

/* ---- sums ---- */

static void explain_sums(const struct task_problem *p, struct grammar_memory *memory) {
    static const char *const names[] = {"Ones",      "Tens",          "Hundreds",
                                        "Thousands", "Ten thousands", "Hundred thousands"};
    struct text columns = {0}, parts = {0};
    int64_t a = p->numbers[0], b = p->numbers[1], carry = 0, so_far = a;
    for (int i = 0; a > 0 || b > 0 || i == 0; i++, a /= 10, b /= 10) {
        int64_t sum = a % 10 + b % 10 + carry;
        text_printf(&columns, "%s%s: %" PRId64 " + %" PRId64, i ? " " : "", names[i], a % 10,
                    b % 10);
        if (carry) text_printf(&columns, " + %" PRId64, carry);
        text_printf(&columns, " = %" PRId64, sum);
        carry = sum / 10;
        bool is_last = a / 10 == 0 && b / 10 == 0;
        if (carry && is_last)
            text_append_char(&columns, '.');
        else if (carry)
            text_printf(&columns, ", write %" PRId64 " and carry 1.", sum % 10);
        else
            text_printf(&columns, ", write %" PRId64 ".", sum);
    }
    int64_t place = 1;
    for (b = p->numbers[1]; place * 10 <= b;) place *= 10;
    for (; place > 0; place /= 10) {
        int64_t part = b / place % 10 * place;
        if (part == 0 && p->numbers[1] > 0) continue;
        separate(&parts);
        text_printf(&parts, "%" PRId64 " + %" PRId64 " = %" PRId64, so_far, part, so_far + part);
        so_far += part;
    }
    set_text(memory, "columns", &columns);
    set_text(memory, "parts", &parts);
    set(memory, "sum", "%" PRId64, p->target);
    text_free(&columns);
    text_free(&parts);
}

/* ---- comparisons ---- */

/* "12.5" as "12.50", so that the decimals stand below each other. */
static void write_padded(int64_t hundredths, char out[24]) {
    snprintf(out, 24, "%" PRId64 ".%02" PRId64, hundredths / 100, hundredths % 100);
}

static void reason_about_digits(const char *a, const char *b, struct text *reason) {
    for (int i = 0; a[i]; i++) {
        if (a[i] == '.') continue;
        if (a[i] == b[i]) {
            text_printf(reason, " %c and %c are equal.", a[i], b[i]);
            continue;
        }
        text_printf(reason, " %c and %c: %c is larger.", a[i], b[i], a[i] > b[i] ? a[i] : b[i]);
        return;
    }
}

static void reason_about_decimals(const struct task_problem *p, struct text *reason) {
    int64_t whole[2] = {p->numbers[0] / 100, p->numbers[1] / 100};
    if (whole[0] != whole[1]) {
        text_printf(reason,
                    "The whole parts are %" PRId64 " and %" PRId64 ", and %" PRId64 " is larger.",
                    whole[0], whole[1], whole[0] > whole[1] ? whole[0] : whole[1]);
        return;
    }
    char a[24], b[24];
    write_padded(p->numbers[0], a);
    write_padded(p->numbers[1], b);
    text_printf(reason, "With two decimals they are %s and %s. The whole parts are equal.", a, b);
    reason_about_digits(strchr(a, '.') + 1, strchr(b, '.') + 1, reason);
}

static void reason_about_wholes(const struct task_problem *p, struct text *reason) {
    const char *a = p->items[0], *b = p->items[1];
    size_t a_size = strlen(a), b_size = strlen(b);
    const char *ending = a_size == 1 ? "" : "s";
    if (a_size == b_size) {
        text_printf(reason, "Both have %zu digit%s.%s", a_size, ending,
                    a_size > 1 ? " From the left:" : "");
        reason_about_digits(a, b, reason);
        return;
    }
    text_printf(reason, "%s has %zu digit%s and %s has %zu digit%s.", a, a_size, ending, b, b_size,
                b_size == 1 ? "" : "s");
}

static void explain_compare(const struct task_problem *p, struct grammar_memory *memory) {
    struct text reason = {0};
    bool is_decimal = strchr(p->items[0], '.') || strchr(p->items[1], '.');
    int big = p->numbers[0] > p->numbers[1] ? 0 : 1;
    if (is_decimal)
        reason_about_decimals(p, &reason);
    else
        reason_about_wholes(p, &reason);
    set(memory, "larger", "%s", p->is_reversed ? "smaller" : "larger");
    set(memory, "big", "%s", p->items[big]);
    set(memory, "small", "%s", p->items[1 - big]);
    set_text(memory, "reason", &reason);
    text_free(&reason);
}

/* ---- sorting ---- */

static void write_numbers(const int64_t *numbers, int count, struct text *out) {
    for (int i = 0; i < count; i++) text_printf(out, "%s%" PRId64, i ? ", " : "", numbers[i]);
}

static bool comes_first(const struct task_problem *p, int64_t a, int64_t b) {
    return p->is_reversed ? a > b : a < b;
}

static void select_steps(const struct task_problem *p, struct text *out) {
    int64_t left[TASK_NUMBERS];
    int count = p->count;
    memcpy(left, p->numbers, sizeof left);
    for (; count > 1; count--) {
        int first = 0;
        for (int i = 1; i < count; i++)
            if (comes_first(p, left[i], left[first])) first = i;
        text_printf(out, "The %s of ", p->is_reversed ? "largest" : "smallest");
        write_numbers(left, count, out);
        text_printf(out, " is %" PRId64 ". ", left[first]);
        memmove(left + first, left + first + 1, (size_t)(count - first - 1) * sizeof left[0]);
    }
    text_printf(out, "Then %" PRId64 " is left.", left[0]);
}

static void insert_steps(const struct task_problem *p, struct text *out) {
    int64_t sorted[TASK_NUMBERS];
    for (int i = 0; i < p->count; i++) {
        int at = i;
        for (; at > 0 && comes_first(p, p->numbers[i], sorted[at - 1]); at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = p->numbers[i];
        text_printf(out, "%s%" PRId64 "%s", i ? " Put in " : "Start with ", p->numbers[i],
                    i ? ": " : ".");
        if (i == 0) continue;
        write_numbers(sorted, i + 1, out);
        text_append_char(out, '.');
    }
}

static void explain_sort(const struct task_problem *p, struct grammar_memory *memory) {
    struct text steps = {0};
    bool is_down = p->is_reversed;
    set(memory, "from", "%s", is_down ? "large" : "small");
    set(memory, "to", "%s", is_down ? "small" : "large");
    set(memory, "firstly", "%s", is_down ? "largest" : "smallest");
    set(memory, "way", "%s", is_down ? "falling" : "rising");
    select_steps(p, &steps);
    set_text(memory, "select", &steps);
    insert_steps(p, &steps);
    set_text(memory, "insert", &steps);
    text_free(&steps);
}

/* ---- countdown ---- */

static int64_t operate(char operation, int64_t a, int64_t b) {
    if (operation == '+') return a + b;
    return operation == '-' ? a - b : a * b;
}

/* Two tries at most that do not reach the target: "3 + 5 = 8, 8 * 2 = 16, not 20. " */
static void write_tries(const struct task_problem *p, struct rng *rng, struct text *out) {
    int tries = (int)rng_next_below(rng, 3);
    for (int t = 0; t < tries; t++) {
        struct text line = {0};
        int start = (int)rng_next_below(rng, (uint64_t)p->count);
        int64_t value = p->numbers[start];
        for (int i = 1; i < p->count; i++) {
            int64_t next = p->numbers[(start + i) % p->count];
            char operation = "+-*+"[rng_next_below(rng, 4)];
            if (operation == '-' && next >= value) operation = '+';
            int64_t result = operate(operation, value, next);
            separate(&line);
            text_printf(&line, "%" PRId64 " %c %" PRId64 " = %" PRId64, value, operation, next,
                        result);
            value = result;
        }
        if (value != p->target)
            text_printf(out, "%s, not %" PRId64 ". ", text_data(&line), p->target);
        if (line.failed) out->failed = true;
        text_free(&line);
    }
}

static void explain_countdown(const struct task_problem *p, struct rng *rng,
                              struct grammar_memory *memory) {
    struct text text = {0};
    struct countdown_solution solution;
    write_tries(p, rng, &text);
    set_text(memory, "tries", &text);
    set(memory, "target", "%" PRId64, p->target);
    if (!countdown_solve(p->numbers, p->count, p->target, &solution)) return;
    for (int i = 0; i < p->count - 1; i++) {
        const struct countdown_step *step = &solution.steps[i];
        separate(&text);
        text_printf(&text, "%" PRId64 " %c %" PRId64 " = %" PRId64, step->left, step->operation,
                    step->right, step->result);
    }
    set_text(memory, "steps", &text);
    text_free(&text);
}

/* ---- weekdays ---- */

static void explain_weekday(const struct task_problem *p, struct grammar_memory *memory) {
    static const char *const names[7] = {"Monday", "Tuesday",  "Wednesday", "Thursday",
                                         "Friday", "Saturday", "Sunday"};
    struct text weeks = {0}, walk = {0};
    int64_t days = p->numbers[1], rest = days % 7;
    if (days >= 7)
        text_printf(&weeks, "%" PRId64 " day%s later it is %s again. ", days - rest,
                    days - rest == 1 ? "" : "s", p->items[0]);
    if (days >= 7 && rest > 0)
        text_printf(&weeks, "%" PRId64 " - %" PRId64 " = %" PRId64 ". ", days, days - rest, rest);
    for (int64_t i = 1; i <= rest; i++) {
        separate(&walk);
        text_printf(&walk, "%" PRId64 " %s", i, names[(p->numbers[0] + i) % 7]);
    }
    if (rest > 0)
        text_append_char(&walk, '.');
    else
        text_append_string(&walk, "Nothing is left over.");
    set(memory, "days", "%" PRId64 " day%s", days, days == 1 ? "" : "s");
    set_text(memory, "weeks", &weeks);
    set_text(memory, "walk", &walk);
    text_free(&weeks);
    text_free(&walk);
}

/* ---- all ---- */

static void set_items(const struct task_problem *p, struct grammar_memory *memory) {
    struct text list = {0};
    if (p->count < 2) return;
    for (int i = 0; i < p->count; i++)
        text_printf(&list, "%s%s", i == 0 ? "" : i == p->count - 1 ? " and " : ", ", p->items[i]);
    set(memory, "a", "%s", p->items[0]);
    set(memory, "b", "%s", p->items[1]);
    set_text(memory, "list", &list);
    text_free(&list);
}

void task_explain(const struct task_problem *problem, struct rng *rng,
                  struct grammar_memory *memory) {
    set(memory, "answer", "%s", problem->gold);
    set_items(problem, memory);
    if (problem->word[0]) set_spellings(problem->word, memory);
    switch (problem->kind) {
    case TASK_LETTERS: explain_letters(problem, rng, memory); break;
    case TASK_SUMS: explain_sums(problem, memory); break;
    case TASK_COMPARE: explain_compare(problem, memory); break;
    case TASK_COUNTDOWN: explain_countdown(problem, rng, memory); break;
    case TASK_SORT: explain_sort(problem, memory); break;
    case TASK_POSITION: explain_position(problem, memory); break;
    case TASK_WEEKDAY: explain_weekday(problem, memory); break;
    default: break;
    }
}

const char *task_explain_rule(const struct task_problem *problem, struct rng *rng) {
    static const char *const rules[TASK_KINDS] = {
        NULL,
        "explain_sums",
        "explain_compare",
        "explain_countdown",
        "explain_sort",
        "explain_spell",
        "explain_length",
        "explain_position",
        "explain_weekday",
    };
    if (problem->kind != TASK_LETTERS) return rules[problem->kind];
    uint64_t share = rng_next_below(rng, 100);
    if (share < 10) return "explain_letters_check";
    if (share < 14) return "explain_letters_slip";
    return problem->target > 0 ? "explain_letters_some" : "explain_letters_none";
}
