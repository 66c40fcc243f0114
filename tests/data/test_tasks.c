#include "data_test.h"

#include <ctype.h>

#include "data/countdown.h"
#include "data/story_rules.h"
#include "data/task_explain.h"
#include "data/task_wording.h"
#include "data/tasks.h"

static struct error err;

static struct word_list *words_of(const char *path, size_t count) {
    struct word_list *words;
    CHECK_OK(word_list_new(&words, path, count, &err), &err);
    return words;
}

/* ---- words ---- */

static void the_famous_words_are_held_out_everywhere(void) {
    static const char *const held[] = {"strawberry",   "raspberry",   "deepseek",
                                       "strawberries", "raspberries", "deepseeks"};
    struct word_list *words = words_of("", 0);
    for (size_t i = 0; i < sizeof held / sizeof held[0]; i++)
        CHECK(word_list_is_heldout(words, held[i]));
    int found = 0;
    for (size_t i = 0; i < word_list_count(words, TASK_HELDOUT); i++)
        for (int k = 0; k < 3; k++)
            found += strcmp(word_list_get(words, TASK_HELDOUT, i), held[k]) == 0;
    CHECK_EQ(found, 3);
    word_list_free(words);
}

static void the_built_in_list_is_large_and_both_splits_have_every_count(void) {
    struct word_list *words = words_of("", 0);
    size_t train = word_list_count(words, TASK_TRAIN), held = word_list_count(words, TASK_HELDOUT);
    CHECK(train + held >= 1500);
    CHECK(held * 30 > train); /* words of the stories are never held out, so less than a tenth */
    for (int split = 0; split < TASK_SPLITS; split++) {
        for (int gold = 0; gold < WORD_GOLDS; gold++) {
            struct rng rng = {{1, RNG_TEST, 0}, 0};
            char letter;
            const char *word =
                word_list_draw_letter(words, (enum task_split)split, gold, &rng, &letter);
            CHECK_EQ(word_letter_count(word, letter), gold);
            CHECK_EQ(word_list_is_heldout(words, word), split == TASK_HELDOUT);
        }
    }
    word_list_free(words);
}

static void a_word_is_in_one_split_and_fits(void) {
    struct word_list *words = words_of("", 0);
    for (int split = 0; split < TASK_SPLITS; split++) {
        for (size_t i = 0; i < word_list_count(words, (enum task_split)split); i++) {
            const char *word = word_list_get(words, (enum task_split)split, i);
            CHECK(strlen(word) >= WORD_MIN && strlen(word) <= WORD_MAX);
            CHECK_EQ(word_list_is_heldout(words, word), split == TASK_HELDOUT);
            for (const char *p = word; *p; p++) CHECK(islower((unsigned char)*p));
        }
    }
    word_list_free(words);
}

static void a_word_file_is_read_and_what_does_not_fit_is_left_out(void) {
    const char *path = store_text("words", "Apple\nbanana\nit's\nxy\nkiwi\r\n\nwordthatistoolong\n"
                                           "banana\nbeeeeep\n");
    struct word_list *words = words_of(path, 0), *none;
    CHECK_EQ(word_list_count(words, TASK_TRAIN) + word_list_count(words, TASK_HELDOUT), 2 + 3);
    CHECK_STR(word_list_source(words), path);
    CHECK_STATUS(word_list_new(&none, store_text("none", "A\nB\n"), 0, &err), FATHOM_BAD_INPUT);
    CHECK_HAS(err.text, "none");
    CHECK_STATUS(word_list_new(&none, test_path("absent"), 0, &err), FATHOM_IO);
    word_list_free(words);
}

static void the_number_of_words_is_bounded(void) {
    struct word_list *words = words_of("", 500);
    size_t count = word_list_count(words, TASK_TRAIN) + word_list_count(words, TASK_HELDOUT);
    CHECK(count >= 500 && count <= 503);
    word_list_free(words);
}

/* ---- problems ---- */

static void golds_of_letters_are_even(void) {
    enum { N = 10000 };
    struct word_list *words = words_of("", 0);
    for (int split = 0; split < TASK_SPLITS; split++) {
        int counts[WORD_GOLDS] = {0};
        for (uint64_t i = 0; i < N; i++) {
            struct task_problem p;
            task_generate(words, NULL, TASK_LETTERS, (enum task_split)split, 3, i, &p);
            CHECK(p.target >= 0 && p.target < WORD_GOLDS);
            counts[p.target]++;
        }
        for (int g = 0; g < WORD_GOLDS; g++) {
            harness_context("%s, %d: %d", task_split_name((enum task_split)split), g, counts[g]);
            CHECK(counts[g] > N / 5 - N / 50 && counts[g] < N / 5 + N / 50);
        }
    }
    word_list_free(words);
}

/* The gold again, from the parts of the problem and nothing else. */
static void check_gold(const struct task_problem *p) {
    char expected[TASK_TEXT_MAX] = "";
    int64_t sorted[TASK_NUMBERS];
    int64_t value;
    bool is_whole;
    size_t length = strlen(p->word), n = 0;
    switch (p->kind) {
    case TASK_LETTERS:
        for (size_t i = 0; i < length; i++) n += p->word[i] == p->letter;
        snprintf(expected, sizeof expected, "%zu", n);
        break;
    case TASK_SUMS:
        snprintf(expected, sizeof expected, "%lld", atoll(p->items[0]) + atoll(p->items[1]));
        break;
    case TASK_COMPARE: {
        double a = atof(p->items[0]), b = atof(p->items[1]);
        CHECK(a != b);
        snprintf(expected, sizeof expected, "%s", p->items[(a < b) != p->is_reversed]);
        break;
    }
    case TASK_COUNTDOWN:
        CHECK_EQ(countdown_read(p->gold, strlen(p->gold), p->numbers, p->count, &value, &is_whole),
                 COUNTDOWN_VALID);
        CHECK(is_whole && value == p->target);
        return;
    case TASK_SORT:
        memcpy(sorted, p->numbers, sizeof sorted);
        for (int i = 0; i < p->count; i++) {
            for (int j = i + 1; j < p->count; j++) {
                bool is_wrong = p->is_reversed ? sorted[i] < sorted[j] : sorted[i] > sorted[j];
                int64_t a = sorted[i], b = sorted[j];
                sorted[i] = is_wrong ? b : a;
                sorted[j] = is_wrong ? a : b;
            }
            n += (size_t)snprintf(expected + n, sizeof expected - n, "%s%lld", i ? ", " : "",
                                  (long long)sorted[i]);
        }
        break;
    case TASK_SPELL:
        for (size_t i = 0; i < length; i++)
            n += (size_t)snprintf(expected + n, sizeof expected - n, "%s%c", i ? ", " : "",
                                  p->word[i]);
        break;
    case TASK_LENGTH: snprintf(expected, sizeof expected, "%zu", length); break;
    case TASK_POSITION:
        snprintf(expected, sizeof expected, "%c",
                 p->word[p->target < 0 ? length - 1 : (size_t)p->target - 1]);
        break;
    default: {
        static const char days[] = "MonTueWedThuFriSatSun";
        const char *at = strstr(days, (char[4]){p->items[0][0], p->items[0][1], p->items[0][2], 0});
        size_t day = ((size_t)(at - days) / 3 + (size_t)atoi(p->items[1])) % 7;
        CHECK(strncmp(p->gold, days + 3 * day, 3) == 0);
        return;
    }
    }
    CHECK_STR(p->gold, expected);
}

static void golds_are_right_and_pass_the_checker(void) {
    struct word_list *words = words_of("", 0);
    const struct task_options hard = {.sum_digits = 6, .sort_count = 8, .countdown_numbers = 4};
    for (int kind = 0; kind < TASK_KINDS; kind++) {
        for (uint64_t i = 0; i < 800; i++) {
            struct task_problem p;
            enum task_split split = i % 2 ? TASK_HELDOUT : TASK_TRAIN;
            harness_context("%s %d", task_kind_name((enum task_kind)kind), (int)i);
            task_generate(words, i % 4 < 2 ? NULL : &hard, (enum task_kind)kind, split, 11, i, &p);
            check_gold(&p);
            CHECK_EQ(task_check(&p, p.gold, strlen(p.gold)), TASK_RIGHT);
            CHECK(p.question[0] != 0);
        }
    }
    word_list_free(words);
}

static void problems_are_a_function_of_seed_and_number(void) {
    struct word_list *words = words_of("", 0);
    struct task_problem a, b;
    for (int kind = 0; kind < TASK_KINDS; kind++) {
        int equal = 0;
        for (uint64_t i = 0; i < 50; i++) {
            task_generate(words, NULL, (enum task_kind)kind, TASK_TRAIN, 1, i, &a);
            task_generate(words, NULL, (enum task_kind)kind, TASK_TRAIN, 1, i, &b);
            CHECK_STR(a.question, b.question);
            CHECK_STR(a.gold, b.gold);
            task_generate(words, NULL, (enum task_kind)kind, TASK_TRAIN, 2, i, &b);
            equal += strcmp(a.question, b.question) == 0;
        }
        CHECK(equal < 10);
    }
    word_list_free(words);
}

/* What a hold-out rule sees of a number problem, written down again. */
static void range_key(const struct task_problem *p, int64_t *low, int64_t *high) {
    int64_t a = p->numbers[0], b = p->numbers[1];
    if (p->kind == TASK_COUNTDOWN || p->kind == TASK_SORT) {
        for (int i = 0; i < p->count; i++) {
            if (p->numbers[i] < a) a = p->numbers[i];
            if (i == 0 || p->numbers[i] > b) b = p->numbers[i];
        }
        if (p->kind == TASK_COUNTDOWN) a = p->target;
    }
    *low = (a < b ? a : b) / 10;
    *high = (a < b ? b : a) / 10;
}

/* No pair of ranges is in both splits, and of all pairs about a tenth is held out. */
static void ranges_of_numbers_are_held_out(void) {
    enum { SIDE = 240 };
    static signed char seen[TASK_KINDS][SIDE][SIDE];
    static const enum task_kind kinds[] = {TASK_SUMS, TASK_COMPARE, TASK_COUNTDOWN, TASK_SORT};
    struct word_list *words = words_of("", 0);
    for (size_t k = 0; k < 4; k++) {
        int counts[TASK_SPLITS] = {0};
        for (uint64_t i = 0; i < 20000; i++) {
            enum task_split split = i % 10 ? TASK_TRAIN : TASK_HELDOUT;
            struct task_problem p;
            int64_t low, high;
            task_generate(words, NULL, kinds[k], split, 5, i, &p);
            CHECK_EQ(task_is_heldout(words, &p), split == TASK_HELDOUT);
            range_key(&p, &low, &high);
            if (split == TASK_HELDOUT) CHECK(high > 0);
            if (low >= SIDE || high >= SIDE) continue;
            signed char *mark = &seen[kinds[k]][low][high];
            signed char name = (signed char)(1 + split);
            CHECK(*mark == 0 || *mark == name);
            counts[split] += *mark == 0;
            *mark = name;
        }
        harness_context("%s: %d and %d", task_kind_name(kinds[k]), counts[0], counts[1]);
        CHECK(counts[TASK_HELDOUT] >= 2);
        if (kinds[k] == TASK_SORT) CHECK(counts[TASK_HELDOUT] * 4 < counts[TASK_TRAIN]);
    }
    word_list_free(words);
}

/* ---- the checker ---- */

static enum task_verdict judge(enum task_kind kind, const char *answer) {
    struct task_problem p = {.kind = kind};
    switch (kind) {
    case TASK_LETTERS: p.target = 3; break;
    case TASK_COMPARE:
        p.numbers[0] = 911;
        p.numbers[1] = 980;
        break;
    case TASK_COUNTDOWN:
        p.count = 3;
        p.numbers[0] = 3, p.numbers[1] = 5, p.numbers[2] = 4;
        p.target = 32;
        break;
    case TASK_SORT: snprintf(p.gold, sizeof p.gold, "3, 17, 42"); break;
    case TASK_SPELL: snprintf(p.gold, sizeof p.gold, "c, a, t"); break;
    default: snprintf(p.gold, sizeof p.gold, "Monday"); break;
    }
    return task_check(&p, answer, strlen(answer));
}

static void answers_are_judged(void) {
    const struct {
        enum task_kind kind;
        const char *answer;
        enum task_verdict verdict;
    } cases[] = {
        {TASK_LETTERS, "3", TASK_RIGHT},
        {TASK_LETTERS, " 3.\n", TASK_RIGHT},
        {TASK_LETTERS, "2", TASK_WRONG},
        {TASK_LETTERS, "33", TASK_WRONG},
        {TASK_LETTERS, "", TASK_UNPARSEABLE},
        {TASK_LETTERS, ".", TASK_UNPARSEABLE},
        {TASK_LETTERS, "three", TASK_UNPARSEABLE},
        {TASK_LETTERS, "3 2", TASK_UNPARSEABLE},
        {TASK_LETTERS, "-3", TASK_UNPARSEABLE},
        {TASK_LETTERS, "99999999999999999999999", TASK_UNPARSEABLE},
        {TASK_COMPARE, "9.8", TASK_RIGHT},
        {TASK_COMPARE, "9.80", TASK_RIGHT},
        {TASK_COMPARE, "9.11", TASK_WRONG},
        {TASK_COMPARE, "9.", TASK_WRONG},
        {TASK_COMPARE, "9.8 9.11", TASK_UNPARSEABLE},
        {TASK_COUNTDOWN, "(3 + 5) * 4", TASK_RIGHT},
        {TASK_COUNTDOWN, "4*(5+3)", TASK_RIGHT},
        {TASK_COUNTDOWN, "3 + 5 * 4", TASK_WRONG},
        {TASK_COUNTDOWN, "32", TASK_WRONG},
        {TASK_COUNTDOWN, "4 * 8", TASK_WRONG},
        {TASK_COUNTDOWN, "(3 + 5) * 4 * 4 / 4", TASK_WRONG},
        {TASK_COUNTDOWN, "(3 + 5) * 4 = 32", TASK_UNPARSEABLE},
        {TASK_COUNTDOWN, "(3 + 5 * 4", TASK_UNPARSEABLE},
        {TASK_COUNTDOWN, "3 / (5 - 5) * 4", TASK_UNPARSEABLE},
        {TASK_COUNTDOWN, "((((((((((((((((((((((((((((((((((((((((((3", TASK_UNPARSEABLE},
        {TASK_SORT, "3, 17, 42", TASK_RIGHT},
        {TASK_SORT, "3 17 42", TASK_RIGHT},
        {TASK_SORT, "3, 42, 17", TASK_WRONG},
        {TASK_SORT, "3, 17", TASK_WRONG},
        {TASK_SORT, "3, 17, 42, 42", TASK_WRONG},
        {TASK_SORT, "3, 17, and 42", TASK_UNPARSEABLE},
        {TASK_SORT, ", ,", TASK_UNPARSEABLE},
        {TASK_SPELL, "c-a-t", TASK_RIGHT},
        {TASK_SPELL, "C A T", TASK_RIGHT},
        {TASK_SPELL, "c, a", TASK_WRONG},
        {TASK_SPELL, "cat", TASK_UNPARSEABLE},
        {TASK_WEEKDAY, "monday.", TASK_RIGHT},
        {TASK_WEEKDAY, "Tuesday", TASK_WRONG},
        {TASK_WEEKDAY, "on Monday", TASK_UNPARSEABLE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        harness_context("%s: \"%s\"", task_kind_name(cases[i].kind), cases[i].answer);
        CHECK_EQ(judge(cases[i].kind, cases[i].answer), cases[i].verdict);
    }
}

static void giant_answers_are_unparseable(void) {
    static char giant[1 << 20];
    memset(giant, '1', sizeof giant - 1);
    for (int kind = 0; kind < TASK_KINDS; kind++) {
        struct task_problem p = {.kind = (enum task_kind)kind, .count = 2};
        CHECK_EQ(task_check(&p, giant, sizeof giant - 1), TASK_UNPARSEABLE);
    }
}

static void the_solver_finds_what_there_is(void) {
    struct countdown_solution s;
    CHECK(countdown_solve((const int64_t[]){3, 5, 4}, 3, 32, &s));
    CHECK_STR(s.expression, "4 * (3 + 5)");
    CHECK_EQ(s.steps[1].result, 32);
    CHECK(countdown_solve((const int64_t[]){8, 2, 3, 4}, 4, 1, &s));
    CHECK(!countdown_solve((const int64_t[]){1, 1}, 2, 100, &s));
    CHECK(countdown_solve((const int64_t[]){20, 4, 2}, 3, 10, &s)); /* 20 / (4 / 2) */
    int64_t value;
    bool is_whole;
    CHECK_EQ(countdown_read(s.expression, strlen(s.expression), (const int64_t[]){20, 4, 2}, 3,
                            &value, &is_whole),
             COUNTDOWN_VALID);
    CHECK(is_whole && value == 10);
    /* Fractions on the way are exact. */
    CHECK_EQ(countdown_read("(1 / 3) * 6", 11, (const int64_t[]){1, 3, 6}, 3, &value, &is_whole),
             COUNTDOWN_VALID);
    CHECK(is_whole && value == 2);
    CHECK_EQ(countdown_read("7 / 2", 5, (const int64_t[]){7, 2}, 2, &value, &is_whole),
             COUNTDOWN_VALID);
    CHECK(!is_whole);
}

static void the_template_is_exact(void) {
    const struct {
        const char *text, *answer; /* NULL: refused */
    } cases[] = {
        {" <think> a b </think> <answer> 3 </answer>", " 3 "},
        {"<think></think>\n<answer>3</answer>\n", "3"},
        {"<think> a </think> so <answer> 3 </answer>", NULL},
        {"<think> a </think> <answer> 3 </answer> and", NULL},
        {"<think> a <think> b </think> <answer> 3 </answer>", NULL},
        {"<think> a </think> <answer> 3 </answer> <answer> 4 </answer>", NULL},
        {"<think> <answer> 4 </answer> </think> <answer> 3 </answer>", NULL},
        {"<answer> 3 </answer>", NULL},
        {"<think> a </think> <answer> 3", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *answer;
        size_t size;
        harness_context("%s", cases[i].text);
        bool is_template =
            task_template_parse(cases[i].text, strlen(cases[i].text), &answer, &size);
        CHECK_EQ(is_template, cases[i].answer != NULL);
        if (is_template)
            CHECK(size == strlen(cases[i].answer) && !memcmp(answer, cases[i].answer, size));
    }
    struct text prompt = {0};
    task_prompt("What is 1 + 2?", &prompt);
    CHECK_STR(text_data(&prompt), "User: What is 1 + 2?\nAssistant:");
    text_free(&prompt);
}

/* ---- worked reasoning ---- */

/* Every "a + b = c" in the text, with any number of terms, holds. */
static void check_equations(const char *text) {
    for (const char *p = text; (p = strstr(p, " = ")); p += 3) {
        const char *start = p;
        while (start > text && strchr("0123456789 +-*/()", start[-1])) start--;
        /* Spaces and a full stop before belong to the sentence. */
        while (start < p && !isdigit((unsigned char)*start) && *start != '(') start++;
        if (start == p || !isdigit((unsigned char)p[3])) continue;
        int64_t numbers[COUNTDOWN_MAX_NUMBERS] = {0}, value;
        int count = 0;
        bool is_whole;
        for (const char *q = start; q < p && count < COUNTDOWN_MAX_NUMBERS;) {
            if (!isdigit((unsigned char)*q)) {
                q++;
                continue;
            }
            char *end;
            numbers[count++] = strtoll(q, &end, 10);
            q = end;
        }
        harness_context("%.*s in %s", (int)(p + 8 - start), start, text);
        CHECK_EQ(countdown_read(start, (size_t)(p - start), numbers, count, &value, &is_whole),
                 COUNTDOWN_VALID);
        CHECK(is_whole);
        CHECK_EQ(value, atoll(p + 3));
    }
    harness_context("%s", "");
}

/* The last run of characters of a set in the text, without a full stop at its end. */
static const char *last_run(const char *text, const char *set) {
    static char run[64];
    size_t end = strlen(text), start;
    while (end > 0 && (!strchr(set, text[end - 1]) || text[end - 1] == '.')) end--;
    for (start = end; start > 0 && strchr(set, text[start - 1]); start--) {
    }
    snprintf(run, sizeof run, "%.*s", (int)(end - start), text + start);
    return run;
}

/* If the text has the beginning of a list, it has the whole. */
static void check_list(const char *thought, const char *beginning, const char *whole) {
    if (strstr(thought, beginning)) CHECK_HAS(thought, whole);
}

/* The three ways of going through a word, written down again. */
static void check_walks(const struct task_problem *p, const char *thought) {
    char running[256] = "", yesno[256] = "", numbered[256] = "", beginning[32];
    size_t r = 0, y = 0, n = 0;
    int count = 0;
    for (int i = 0; p->word[i]; i++) {
        char c = p->word[i];
        const char *separator = p->word[i + 1] ? ", " : "";
        count += c == p->letter;
        r += (size_t)snprintf(running + r, sizeof running - r, "%c %d%s", c, count, separator);
        y += (size_t)snprintf(yesno + y, sizeof yesno - y, "%c %s%s", c,
                              c == p->letter ? "yes" : "no", separator);
        n += (size_t)snprintf(numbered + n, sizeof numbered - n, "%d %c%s", i + 1, c, separator);
    }
    for (int digit = 0; digit < 2; digit++) {
        snprintf(beginning, sizeof beginning, ": %c %d,", p->word[0], digit);
        check_list(thought, beginning, running);
        snprintf(beginning, sizeof beginning, " %c %s,", p->word[0], digit ? "yes" : "no");
        if (strstr(thought, ": ") && strstr(thought, " no,")) check_list(thought, beginning, yesno);
    }
    snprintf(beginning, sizeof beginning, "1 %c, 2 ", p->word[0]);
    check_list(thought, beginning, numbered);
}

/* The digits that the columns write, from the ones upwards, make the sum. */
static void check_columns(const struct task_problem *p, const char *thought) {
    int64_t total = 0, place = 1;
    const char *at = strstr(thought, "Ones: ");
    if (!at) return;
    while (at) {
        const char *equals = strstr(at, " = "), *next = strstr(equals, "s: ");
        int64_t result = atoll(equals + 3);
        total += place * (next ? result % 10 : result);
        place *= 10;
        at = next;
    }
    CHECK_EQ(total, p->target);
}

/* A sum in parts goes on from where it was. */
static void check_parts(const struct task_problem *p, const char *thought) {
    char expected[256] = "", beginning[32];
    int64_t so_far = p->numbers[0], place = 100000;
    size_t n = 0;
    for (; place > 0; place /= 10) {
        int64_t part = p->numbers[1] / place % 10 * place;
        if (part == 0) continue;
        int64_t before = so_far;
        so_far += part;
        n += (size_t)snprintf(expected + n, sizeof expected - n, "%s%lld + %lld = %lld",
                              n ? ", " : "", (long long)before, (long long)part, (long long)so_far);
    }
    CHECK_EQ(so_far, p->target);
    snprintf(beginning, sizeof beginning, "%.*s", (int)strcspn(expected, "="), expected);
    if (n > 0 && strstr(thought, ", ") && !strstr(thought, "Ones"))
        check_list(thought, beginning, expected);
}

/* Reads "3, 17, 42" up to what is no list; returns how many. */
static int read_list(const char *at, int64_t numbers[TASK_NUMBERS]) {
    int count = 0;
    while (count < TASK_NUMBERS && isdigit((unsigned char)*at)) {
        char *end;
        numbers[count++] = strtoll(at, &end, 10);
        at = strncmp(end, ", ", 2) == 0 ? end + 2 : end;
    }
    return count;
}

static void check_sorting(const struct task_problem *p, const char *thought) {
    int64_t list[TASK_NUMBERS];
    int expected = p->count, size = 1;
    for (const char *at = thought; (at = strstr(at, "st of ")); at += 6) {
        int count = read_list(at + 6, list);
        int64_t pick = atoll(strstr(at, " is ") + 4);
        bool is_member = false;
        CHECK_EQ(count, expected--);
        for (int i = 0; i < count; i++) {
            CHECK(p->is_reversed ? list[i] <= pick : list[i] >= pick);
            is_member = is_member || list[i] == pick;
        }
        CHECK(is_member);
    }
    for (const char *at = thought; (at = strstr(at, "Put in ")); at += 7) {
        int count = read_list(strstr(at, ": ") + 2, list);
        CHECK_EQ(count, ++size);
        for (int i = 1; i < count; i++)
            CHECK(p->is_reversed ? list[i - 1] > list[i] : list[i - 1] < list[i]);
        bool is_member = false;
        for (int i = 0; i < count; i++) is_member = is_member || list[i] == atoll(at + 7);
        CHECK(is_member);
    }
    CHECK(expected == 1 || size == p->count);
}

/* The answer that the reasoning arrives at. */
static void check_conclusion(const struct task_problem *p, const char *thought) {
    static const char digits[] = "0123456789.", letters[] = "abcdefghijklmnopqrstuvwxyz";
    static const char any[] = "MTWFSabcdefghijklmnopqrstuvwxyz";
    harness_context("%s: %s", p->question, thought);
    if (p->kind == TASK_LETTERS) check_walks(p, thought);
    if (p->kind == TASK_SUMS) check_columns(p, thought);
    if (p->kind == TASK_SUMS) check_parts(p, thought);
    if (p->kind == TASK_SORT) check_sorting(p, thought);
    switch (p->kind) {
    case TASK_LETTERS:
    case TASK_LENGTH:
    case TASK_COMPARE: CHECK_STR(last_run(thought, digits), p->gold); break;
    case TASK_SUMS: {
        const char *check = strstr(thought, "heck");
        if (!check) CHECK_STR(last_run(thought, digits), p->gold);
        CHECK_HAS(thought, p->gold);
        break;
    }
    case TASK_POSITION: CHECK_STR(last_run(thought, letters), p->gold); break;
    case TASK_WEEKDAY: CHECK_STR(last_run(thought, any), p->gold); break;
    case TASK_SORT:
    case TASK_COUNTDOWN: CHECK_HAS(thought, p->gold); break;
    default: {
        char spaced[2 * WORD_MAX + 2] = "", numbered[8 * WORD_MAX] = "";
        size_t s = 0, n = 0;
        for (int i = 0; p->word[i]; i++) {
            s += (size_t)snprintf(spaced + s, sizeof spaced - s, "%s%c", i ? " " : "", p->word[i]);
            n += (size_t)snprintf(numbered + n, sizeof numbered - n, "%s%d %c", i ? ", " : "",
                                  i + 1, p->word[i]);
        }
        CHECK(strstr(thought, spaced) || strstr(thought, numbered));
    }
    }
    harness_context("%s", "");
}

static void worked_reasoning_arrives_at_the_gold(void) {
    const struct grammar_source sources[] = {task_wording, story_words};
    const struct task_options hard = {.sum_digits = 6, .sort_count = 8, .countdown_numbers = 4};
    struct word_list *words = words_of("", 0);
    struct grammar *grammar;
    struct grammar_memory memory = {0};
    struct text thought = {0};
    CHECK_OK(grammar_new(&grammar, sources, 2, &err), &err);
    for (int kind = 0; kind < TASK_KINDS; kind++) {
        for (uint64_t i = 0; i < 3000; i++) {
            struct task_problem p;
            struct rng rng = {{9, RNG_TEST, i}, 0};
            task_draw(words, i % 2 ? &hard : NULL, (enum task_kind)kind, TASK_TRAIN, &rng, &p);
            grammar_memory_clear(&memory);
            task_explain(&p, &rng, &memory);
            text_clear(&thought);
            grammar_expand(grammar, task_explain_rule(&p, &rng), &rng, &memory, &thought);
            CHECK(!strchr(text_data(&thought), '{'));
            check_conclusion(&p, text_data(&thought));
            check_equations(text_data(&thought));
        }
    }
    word_list_free(words);
    grammar_free(grammar);
    grammar_memory_free(&memory);
    text_free(&thought);
}

/* "The question in the one wording that the corpus never uses", and every question names its parts.
 */
static void the_corpus_words_questions_differently(void) {
    static const char *const asks[TASK_KINDS] = {
        "ask_letters", "ask_sums",   "ask_compare",  "ask_countdown", "ask_sort",
        "ask_spell",   "ask_length", "ask_position", "ask_weekday",
    };
    const struct grammar_source sources[] = {task_wording, story_words};
    struct word_list *words = words_of("", 0);
    struct grammar *grammar;
    struct grammar_memory memory = {0};
    struct text question = {0};
    CHECK_OK(grammar_new(&grammar, sources, 2, &err), &err);
    for (int kind = 0; kind < TASK_KINDS; kind++) {
        for (uint64_t i = 0; i < 1000; i++) {
            struct task_problem p;
            struct rng rng = {{10, RNG_TEST, i}, 0};
            task_draw(words, NULL, (enum task_kind)kind, TASK_TRAIN, &rng, &p);
            grammar_memory_clear(&memory);
            task_explain(&p, &rng, &memory);
            text_clear(&question);
            grammar_expand(grammar, asks[kind], &rng, &memory, &question);
            CHECK(!strchr(text_data(&question), '{'));
            CHECK(!strstr(text_data(&question), p.question));
            if (p.word[0]) CHECK_HAS(text_data(&question), p.word);
            for (int k = 0; k < p.count; k++) CHECK_HAS(text_data(&question), p.items[k]);
        }
    }
    word_list_free(words);
    grammar_free(grammar);
    grammar_memory_free(&memory);
    text_free(&question);
}

static const struct test tests[] = {
    TEST(the_famous_words_are_held_out_everywhere),
    TEST(the_built_in_list_is_large_and_both_splits_have_every_count),
    TEST(a_word_is_in_one_split_and_fits),
    TEST(a_word_file_is_read_and_what_does_not_fit_is_left_out),
    TEST(the_number_of_words_is_bounded),
    TEST(golds_of_letters_are_even),
    TEST(golds_are_right_and_pass_the_checker),
    TEST(problems_are_a_function_of_seed_and_number),
    TEST(ranges_of_numbers_are_held_out),
    TEST(answers_are_judged),
    TEST(giant_answers_are_unparseable),
    TEST(the_solver_finds_what_there_is),
    TEST(the_template_is_exact),
    TEST(worked_reasoning_arrives_at_the_gold),
    TEST(the_corpus_words_questions_differently),
};
HARNESS_MAIN(tests)
