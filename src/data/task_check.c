/* Judging answers (tasks.h). Answers come from a model: anything may stand in them. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "data/countdown.h"
#include "data/tasks.h"

/* ---- the answer's text ---- */

static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

static void trim(const char **text, size_t *size) {
    while (*size > 0 && is_space((*text)[0])) {
        ++*text;
        --*size;
    }
    while (*size > 0 && is_space((*text)[*size - 1])) --*size;
}

/* Copies the trimmed answer without a full stop; false when it is empty or longer than any gold. */
static bool copy_answer(const char *answer, size_t size, char out[TASK_TEXT_MAX]) {
    trim(&answer, &size);
    if (size > 0 && answer[size - 1] == '.') size--;
    trim(&answer, &size);
    if (size == 0 || size >= TASK_TEXT_MAX || memchr(answer, 0, size)) return false;
    memcpy(out, answer, size);
    out[size] = 0;
    return true;
}

/* Digits, with up to two decimals: its value in hundredths. */
static bool read_hundredths(const char *text, int64_t *value) {
    enum { MAX_DIGITS = 15 };
    const char *point = strchr(text, '.');
    size_t digits = point ? (size_t)(point - text) : strlen(text);
    size_t decimals = point ? strlen(point + 1) : 0;
    if (digits == 0 || digits > MAX_DIGITS || decimals > 2 || (point && decimals == 0))
        return false;
    *value = 0;
    for (const char *p = text; *p; p++) {
        if (p == point) continue;
        if (!isdigit((unsigned char)*p)) return false;
        *value = *value * 10 + (*p - '0');
    }
    for (size_t i = decimals; i < 2; i++) *value *= 10;
    return true;
}

static enum task_verdict check_number(int64_t expected_hundredths, const char *answer) {
    int64_t value;
    if (!read_hundredths(answer, &value)) return TASK_UNPARSEABLE;
    return value == expected_hundredths ? TASK_RIGHT : TASK_WRONG;
}

/* Takes the next item of a list off *rest; false at the end. */
static bool next_item(const char **rest, const char *separators, char item[TASK_TEXT_MAX]) {
    *rest += strspn(*rest, separators);
    size_t size = strcspn(*rest, separators);
    memcpy(item, *rest, size);
    item[size] = 0;
    *rest += size;
    return size > 0;
}

static enum task_verdict check_list(const struct task_problem *problem, const char *answer,
                                    bool is_numeric) {
    char given[TASK_TEXT_MAX], wanted[TASK_TEXT_MAX];
    const char *gold = problem->gold, *separators = is_numeric ? ", \t\n" : ", \t\n-";
    enum task_verdict verdict = TASK_RIGHT;
    int items = 0;
    for (; next_item(&answer, separators, given); items++) {
        int64_t value, expected;
        bool is_item = is_numeric ? read_hundredths(given, &value)
                                  : given[1] == 0 && isalpha((unsigned char)given[0]);
        if (!is_item) return TASK_UNPARSEABLE;
        if (!next_item(&gold, separators, wanted)) verdict = TASK_WRONG;
        if (verdict != TASK_RIGHT) continue;
        bool is_equal = is_numeric ? read_hundredths(wanted, &expected) && expected == value
                                   : strcasecmp(given, wanted) == 0;
        if (!is_equal) verdict = TASK_WRONG;
    }
    if (items == 0) return TASK_UNPARSEABLE;
    return next_item(&gold, separators, wanted) ? TASK_WRONG : verdict;
}

static enum task_verdict check_countdown(const struct task_problem *problem, const char *answer) {
    int64_t value;
    bool is_whole;
    enum countdown_reading reading =
        countdown_read(answer, strlen(answer), problem->numbers, problem->count, &value, &is_whole);
    if (reading == COUNTDOWN_UNREADABLE) return TASK_UNPARSEABLE;
    bool is_right = reading == COUNTDOWN_VALID && is_whole && value == problem->target;
    return is_right ? TASK_RIGHT : TASK_WRONG;
}

static enum task_verdict check_word(const struct task_problem *problem, const char *answer) {
    for (const char *p = answer; *p; p++)
        if (!isalpha((unsigned char)*p)) return TASK_UNPARSEABLE;
    return strcasecmp(answer, problem->gold) == 0 ? TASK_RIGHT : TASK_WRONG;
}

enum task_verdict task_check(const struct task_problem *problem, const char *answer, size_t size) {
    char text[TASK_TEXT_MAX];
    if (!copy_answer(answer, size, text)) return TASK_UNPARSEABLE;
    switch (problem->kind) {
    case TASK_LETTERS:
    case TASK_SUMS:
    case TASK_LENGTH: return check_number(100 * problem->target, text);
    case TASK_COMPARE: {
        int64_t a = problem->numbers[0], b = problem->numbers[1];
        return check_number((a > b) != problem->is_reversed ? a : b, text);
    }
    case TASK_COUNTDOWN: return check_countdown(problem, text);
    case TASK_SORT: return check_list(problem, text, true);
    case TASK_SPELL: return check_list(problem, text, false);
    default: return check_word(problem, text);
    }
}

/* ---- the template ---- */

/* Moves *at behind `tag`, which must come next but for spaces. */
static bool expect(const char **at, const char *end, const char *tag) {
    size_t size = strlen(tag);
    while (*at < end && is_space(**at)) ++*at;
    if ((size_t)(end - *at) < size || memcmp(*at, tag, size) != 0) return false;
    *at += size;
    return true;
}

static bool has_tag(const char *from, const char *to) {
    static const char *const tags[] = {"<think>", "</think>", "<answer>", "</answer>"};
    for (size_t i = 0; i < sizeof tags / sizeof tags[0]; i++)
        if (memmem(from, (size_t)(to - from), tags[i], strlen(tags[i]))) return true;
    return false;
}

/* The text up to `tag`, which holds no other tag. */
static bool take_until(const char **at, const char *end, const char *tag, const char **text,
                       size_t *size) {
    const char *stop = memmem(*at, (size_t)(end - *at), tag, strlen(tag));
    if (!stop || has_tag(*at, stop)) return false;
    *text = *at;
    *size = (size_t)(stop - *at);
    *at = stop + strlen(tag);
    return true;
}

bool task_template_parse(const char *text, size_t size, const char **answer, size_t *answer_size) {
    const char *at = text, *end = text + size, *thought;
    size_t thought_size;
    if (!expect(&at, end, "<think>") ||
        !take_until(&at, end, "</think>", &thought, &thought_size) ||
        !expect(&at, end, "<answer>") || !take_until(&at, end, "</answer>", answer, answer_size))
        return false;
    while (at < end && is_space(*at)) at++;
    return at == end;
}
