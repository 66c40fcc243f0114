/* Option tables: arguments, recipes, records and everything printed, from one small table. */
#include "base/options.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/memory.h"
#include "harness.h"

enum dtype { DTYPE_F32, DTYPE_BF16, DTYPE_FP8 };

struct train_options {
    bool resume, recompute;
    int64_t steps, seed;
    double rate;
    char *out;
    char *name;
    int dtype;
    uint64_t cache;
};

#define FIELD(name) offsetof(struct train_options, name)
static const struct option rows[] = {
    {.name = "resume", .type = OPTION_FLAG, .offset = FIELD(resume), .help = "go on"},
    {.name = "recompute",
     .type = OPTION_FLAG,
     .offset = FIELD(recompute),
     .default_text = "yes",
     .help = "save memory"},
    {.name = "steps",
     .type = OPTION_INT,
     .offset = FIELD(steps),
     .low = 1,
     .high = 1e9,
     .default_text = "1K",
     .value_name = "N",
     .help = "optimizer steps",
     .is_recorded = true},
    {.name = "seed",
     .type = OPTION_INT,
     .offset = FIELD(seed),
     .value_name = "N",
     .help = "of every draw",
     .is_recorded = true},
    {.name = "learning-rate",
     .type = OPTION_FLOAT,
     .offset = FIELD(rate),
     .high = 1,
     .default_text = "0.001",
     .value_name = "X",
     .help = "at the peak",
     .is_recorded = true},
    {.name = "out",
     .type = OPTION_STRING,
     .offset = FIELD(out),
     .value_name = "DIR",
     .help = "where the model goes",
     .is_required = true},
    {.name = "name",
     .type = OPTION_STRING,
     .offset = FIELD(name),
     .default_text = "run",
     .value_name = "NAME",
     .help = "of the run",
     .is_recorded = true},
    {.name = "dtype",
     .type = OPTION_CHOICE,
     .offset = FIELD(dtype),
     .choices = "f32|bf16|fp8",
     .default_text = "bf16",
     .help = "of the weights",
     .is_recorded = true},
    {.name = "cache",
     .type = OPTION_BYTES,
     .offset = FIELD(cache),
     .default_text = "1M",
     .value_name = "SIZE",
     .help = "bytes of cache"},
};
static const struct option_table table = {
    .command = "pretrain",
    .summary = "Trains a model",
    .positionals = "FILE...",
    .notes = "Example:\n  .dots and -dashes",
    .options = rows,
    .count = sizeof rows / sizeof rows[0],
};

static struct error err;
static struct train_options values;
static struct option_given given;
static char *words[16];
static int positionals;
static bool help;

/* Defaults, then a line of arguments split at spaces. */
static fathom_status parse_line(const char *line) {
    static char copy[512];
    int count = 0;
    options_free(&table, &values);
    memset(&values, 0, sizeof values);
    memset(&given, 0, sizeof given);
    CHECK_OK(options_default(&table, &values, &err), &err);
    snprintf(copy, sizeof copy, "%s", line);
    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " ")) words[count++] = word;
    harness_context("%s", line);
    return options_parse(&table, &values, &given, count, words, &positionals, &help, &err);
}

static fathom_status read_recipe(const char *text) {
    char path[1024];
    struct file_writer *writer = NULL;
    struct error fault;
    snprintf(path, sizeof path, "%s/recipe.ini", harness_directory());
    CHECK_OK(file_writer_open(&writer, path, &fault), &fault);
    file_writer_put(writer, text, strlen(text));
    CHECK_OK(file_writer_commit(writer, &fault), &fault);
    return options_read_recipe(&table, &values, &given, path, &err);
}

/* ---- arguments ---- */

static void defaults_fill_every_type(void) {
    CHECK_OK(parse_line(""), &err);
    CHECK(!values.resume && values.recompute);
    CHECK_EQ(values.steps, 1000);
    CHECK(values.rate == 0.001);
    CHECK(values.out == NULL);
    CHECK_STR(values.name, "run");
    CHECK_EQ(values.dtype, DTYPE_BF16);
    CHECK_EQ(values.cache, 1 << 20);
    CHECK(!option_was_given(&table, &given, "steps"));
    options_free(&table, &values);
    CHECK(values.name == NULL);
}

static void every_type_is_parsed_in_both_spellings(void) {
    CHECK_OK(parse_line("--resume --no-recompute --steps 3.5M --seed=-7 --learning-rate 1e-4"
                        " --out=a=b --name  x --dtype fp8 --cache 4GiB"),
             &err);
    CHECK(values.resume && !values.recompute);
    CHECK_EQ(values.steps, 3500000);
    CHECK_EQ(values.seed, -7);
    CHECK(values.rate == 1e-4);
    CHECK_STR(values.out, "a=b");
    CHECK_STR(values.name, "x");
    CHECK_EQ(values.dtype, DTYPE_FP8);
    CHECK(values.cache == (uint64_t)4 << 30);
    CHECK(option_was_given(&table, &given, "steps") && option_was_given(&table, &given, "cache"));
    CHECK(!option_was_given(&table, &given, "no-such"));
    CHECK_OK(parse_line("--resume=no --recompute=yes --learning_rate=0.5"), &err);
    CHECK(!values.resume && values.recompute && values.rate == 0.5);
}

static void the_last_of_two_wins(void) {
    CHECK_OK(parse_line("--name a --steps 5 --name b --steps 6"), &err);
    CHECK_STR(values.name, "b");
    CHECK_EQ(values.steps, 6);
}

static void positionals_move_to_the_front(void) {
    CHECK_OK(parse_line("a --steps 5 b - --resume -- --steps -x"), &err);
    static const char *const expected[] = {"a", "b", "-", "--steps", "-x"};
    CHECK_EQ(positionals, 5);
    for (int i = 0; i < 5; i++) CHECK_STR(words[i], expected[i]);
    CHECK(values.resume);
}

static void positionals_are_refused_where_none_belong(void) {
    struct option_table bare = table;
    bare.positionals = NULL;
    char word[] = "file";
    char *list[] = {word};
    CHECK_STATUS(options_parse(&bare, &values, &given, 1, list, &positionals, &help, &err),
                 FATHOM_USAGE);
    CHECK_HAS(err.text, "pretrain takes no argument \"file\"");
}

static void help_is_seen_before_anything_else(void) {
    CHECK_OK(parse_line("--no-such --help"), &err);
    CHECK(help);
    CHECK_OK(parse_line("-h"), &err);
    CHECK(help);
    CHECK_OK(parse_line("--resume -- --help"), &err);
    CHECK(!help);
}

static void wrong_arguments_are_explained(void) {
    static const struct {
        const char *line, *words;
    } cases[] = {
        {"--stpes 5", "did you mean --steps?"},
        {"--learning-rte 5", "did you mean --learning-rate?"},
        {"--quantum 5", "`fathom pretrain --help` lists them"},
        {"--no-steps", "has no option --no-steps"},
        {"-x", "options begin with two dashes"},
        {"--steps", "--steps needs a value: N"},
        {"--steps 0", "--steps is 0, but must lie in [1, 1000000000]"},
        {"--steps 2G", "must lie in"},
        {"--steps five", "--steps is \"five\", but must be"},
        {"--steps 1.5", "--steps is \"1.5\""},
        {"--steps 1.0001K", "--steps is \"1.0001K\""},
        {"--steps 99999999999999999999", "--steps is"},
        {"--steps=", "--steps is \"\""},
        {"--learning-rate nan", "--learning-rate is \"nan\""},
        {"--learning-rate 1.5", "must lie in [0, 1]"},
        {"--dtype f64", "--dtype is \"f64\", but must be one of f32|bf16|fp8"},
        {"--dtype f32|bf16", "must be one of"},
        {"--dtype=", "must be one of"},
        {"--cache lots", "a size in bytes such as"},
        {"--cache -1", "a size in bytes such as"},
        {"--resume=maybe", "--resume is \"maybe\""},
        {"--no-resume=yes", "--no-resume takes no value"},
        {"--=5", "has no option --"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK_STATUS(parse_line(cases[i].line), FATHOM_USAGE);
        CHECK_HAS(err.text, cases[i].words);
    }
    char line[400] = "--";
    memset(line + 2, 'n', 300);
    CHECK_STATUS(parse_line(line), FATHOM_USAGE);
}

/* As decimals most of these are not whole after the product of two doubles. */
static void decimal_suffixes_give_whole_numbers(void) {
    static const struct {
        const char *line;
        int64_t value;
    } cases[] = {{"--seed 2.3M", 2300000},
                 {"--seed 1.001K", 1001},
                 {"--seed 4.35G", 4350000000},
                 {"--seed -0.007K", -7},
                 {"--seed 8.9T", 8900000000000}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK_OK(parse_line(cases[i].line), &err);
        CHECK_EQ(values.seed, cases[i].value);
    }
    CHECK_STATUS(parse_line("--seed 9007T"), FATHOM_USAGE);
}

/* A forgotten value must not swallow the next option. */
static void a_value_with_two_dashes_needs_the_equals_sign(void) {
    CHECK_STATUS(parse_line("--out --resume"), FATHOM_USAGE);
    CHECK_HAS(err.text, "--out needs a value: DIR");
    CHECK_OK(parse_line("--out=--resume --seed -5"), &err);
    CHECK_STR(values.out, "--resume");
    CHECK_EQ(values.seed, -5);
}

static void required_options_are_asked_for(void) {
    CHECK_OK(parse_line(""), &err);
    CHECK_STATUS(options_check_required(&table, &values, &given, &err), FATHOM_USAGE);
    CHECK_STR(err.text, "pretrain needs --out DIR: where the model goes");
    CHECK_OK(parse_line("--out d"), &err);
    CHECK_OK(options_check_required(&table, &values, &given, &err), &err);
}

static void an_assignment_sets_one_value(void) {
    CHECK_OK(parse_line(""), &err);
    CHECK_OK(options_set(&table, &values, &given, "learning_rate", "0.25", &err), &err);
    CHECK(values.rate == 0.25 && option_was_given(&table, &given, "learning-rate"));
    CHECK_STATUS(options_set(&table, &values, &given, "step", "1", &err), FATHOM_USAGE);
    CHECK_HAS(err.text, "did you mean --steps?");
    CHECK_STATUS(options_set(&table, &values, &given, "steps", "x", &err), FATHOM_USAGE);
    CHECK_EQ(values.steps, 1000);
}

/* ---- recipes ---- */

static void a_recipe_fills_what_arguments_left(void) {
    CHECK_OK(parse_line("--steps 7 --no-recompute"), &err);
    CHECK_OK(read_recipe("# a comment\n; another\n\n[training]\nsteps = 9\nlearning_rate=0.5\n"
                         "recompute = yes\nresume = true\n[model]\ndtype: f32\nname = two words\n"
                         "out = d\n"),
             &err);
    CHECK_EQ(values.steps, 7);
    CHECK(!values.recompute && values.resume);
    CHECK(values.rate == 0.5);
    CHECK_EQ(values.dtype, DTYPE_F32);
    CHECK_STR(values.name, "two words");
    CHECK_OK(options_check_required(&table, &values, &given, &err), &err);
    CHECK_OK(options_set(&table, &values, &given, "steps", "8", &err), &err);
    CHECK_EQ(values.steps, 8);
}

static void recipe_errors_name_file_and_line(void) {
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"steps = 5\nstesp = 6\n", "recipe.ini:2: pretrain has no option --stesp; did you mean"},
        {"\n\nsteps = many\n", "recipe.ini:3: --steps is \"many\""},
        {"steps = 5\nwhat is this\nseed = 1\n", "recipe.ini:2: neither"},
        {"[open\nsteps = 5\n", "recipe.ini:1: neither"},
        {"steps = 5\nnot this\nseed = x\n", "recipe.ini:2: neither"},
        {"learning-rate = 1\n[later]\nlearning_rate = 0\n",
         "recipe.ini:3: learning-rate is given a second time"},
        {"seed = 1\nname = \x01\ncache = 16E\n", "recipe.ini:3: --cache is \"16E\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK_OK(parse_line(""), &err);
        CHECK(read_recipe(cases[i].text) != FATHOM_OK);
        CHECK_HAS(err.text, cases[i].words);
    }
    CHECK_STATUS(options_read_recipe(&table, &values, &given, "/no/such.ini", &err), FATHOM_IO);
}

static void an_indented_line_is_an_assignment_like_any_other(void) {
    CHECK_OK(parse_line(""), &err);
    CHECK_OK(read_recipe("[training]\n  steps = 9\n  seed = 4\n\tname = x\n"), &err);
    CHECK_EQ(values.steps, 9);
    CHECK_EQ(values.seed, 4);
    CHECK_STR(values.name, "x");
}

/* Whole up to the limit, refused beyond it, never cut. */
static void a_long_value_is_whole_or_refused(void) {
    char recipe[1200], name[1000];
    for (size_t size = 150; size < sizeof name; size += size < 250 ? 1 : 83) {
        memset(name, 'n', size);
        name[size] = 0;
        snprintf(recipe, sizeof recipe, "seed = 4\n  name = %s\nsteps = 9\n", name);
        CHECK_OK(parse_line(""), &err);
        harness_context("a value of %zu bytes", size);
        if (read_recipe(recipe) == FATHOM_OK) {
            CHECK_STR(values.name, name);
            CHECK_EQ(values.steps, 9);
        } else {
            CHECK(strlen("name = ") + size > 198);
            CHECK_HAS(err.text, "recipe.ini:2: a line of ");
        }
    }
}

static void lines_may_end_as_on_other_systems(void) {
    CHECK_OK(parse_line(""), &err);
    CHECK_OK(read_recipe("\xef\xbb\xbfsteps = 9\r\nname = x\r\nseed = 4"), &err);
    CHECK_EQ(values.steps, 9);
    CHECK_STR(values.name, "x");
    CHECK_EQ(values.seed, 4);
}

static void a_recipe_cut_anywhere_never_crashes(void) {
    static const char recipe[] = "[training]\nsteps = 9\n# comment\nname = \"x\" ; y\nseed = 4\n";
    for (size_t size = 0; size < sizeof recipe; size++) {
        char cut[sizeof recipe] = "";
        memcpy(cut, recipe, size);
        CHECK_OK(parse_line(""), &err);
        fathom_status status = read_recipe(cut);
        CHECK(status == FATHOM_OK || err.text[0]);
    }
}

/* ---- what is printed ---- */

static void help_shows_every_option(void) {
    struct text out = {0};
    options_help(&table, &out);
    CHECK_HAS(text_data(&out), "usage: fathom pretrain [options] FILE...\n");
    for (size_t i = 0; i < table.count; i++) {
        CHECK_HAS(text_data(&out), rows[i].name);
        CHECK_HAS(text_data(&out), rows[i].help);
    }
    CHECK_HAS(text_data(&out), "  --steps N                     optimizer steps (default 1K)\n");
    CHECK_HAS(text_data(&out), "where the model goes (required)");
    CHECK_HAS(text_data(&out), "--dtype f32|bf16|fp8");
    CHECK_HAS(text_data(&out), "Example:");
    text_free(&out);
}

static json_node *record(bool recorded_only) {
    struct text out = {0};
    json_node *root = NULL;
    options_to_json(&table, &values, recorded_only, &out);
    CHECK_OK(json_parse(&root, text_data(&out), out.size, "the record", &err), &err);
    text_free(&out);
    return root;
}

static void a_record_holds_what_changes_the_result(void) {
    CHECK_OK(parse_line("--name a\"b --dtype fp8 --seed -3"), &err);
    json_node *all = record(false), *some = record(true);
    CHECK_EQ(json_count(all), table.count);
    CHECK_EQ(json_count(some), 5);
    CHECK_STR(json_string(json_member(some, "name"), NULL), "a\"b");
    CHECK_STR(json_string(json_member(some, "dtype"), NULL), "fp8");
    CHECK_EQ(json_integer(json_member(some, "seed")), -3);
    CHECK(json_is_null(json_member(all, "out")) && json_bool(json_member(all, "recompute")));
    json_free(all);
    json_free(some);
}

static void differences_from_a_record_are_listed(void) {
    struct text differences = {0};
    CHECK_OK(parse_line("--steps 5"), &err);
    json_node *root = record(true);
    CHECK_OK(options_compare_json(&table, &values, root, &differences, &err), &err);
    CHECK_STR(text_data(&differences), "");
    CHECK_OK(parse_line("--steps 6 --dtype f32 --cache 5 --resume"), &err);
    CHECK_OK(options_compare_json(&table, &values, root, &differences, &err), &err);
    CHECK_STR(text_data(&differences), "steps: was 5, is 6; dtype: was \"bf16\", is \"f32\"");
    json_free(root);
    text_clear(&differences);
    CHECK_OK(json_parse(&root, "{\"steps\": \"6\", \"learning-rate\": 1}", 34, "r", &err), &err);
    CHECK_OK(parse_line("--steps 6 --learning-rate 1"), &err);
    CHECK_OK(options_compare_json(&table, &values, root, &differences, &err), &err);
    CHECK_STR(text_data(&differences), "steps: was \"6\", is 6");
    json_free(root);
    text_free(&differences);
}

/* A run of before there was an option goes on, as long as the option is at its default. */
static void what_a_record_lacks_was_at_its_default(void) {
    struct text differences = {0};
    json_node *root = NULL;
    CHECK_OK(json_parse(&root, "{\"steps\": 6, \"learning-rate\": 1}", 32, "r", &err), &err);
    CHECK_OK(parse_line("--steps 6 --learning-rate 1"), &err);
    CHECK_OK(options_compare_json(&table, &values, root, &differences, &err), &err);
    CHECK_STR(text_data(&differences), "");
    CHECK_OK(parse_line("--steps 6 --learning-rate 1 --seed 7 --dtype f32"), &err);
    CHECK_OK(options_compare_json(&table, &values, root, &differences, &err), &err);
    CHECK_STR(text_data(&differences), "seed: was 0, is 7; dtype: was \"bf16\", is \"f32\"");
    json_free(root);
    text_free(&differences);
}

static void completion_lists_words_and_negations(void) {
    struct text out = {0};
    options_completion(&table, &out);
    CHECK_HAS(text_data(&out), "--resume\n--no-resume\n");
    CHECK_HAS(text_data(&out), "--steps\n--seed\n");
    CHECK_HAS(text_data(&out), "--help\n");
    CHECK(!strstr(text_data(&out), "--no-steps"));
    text_free(&out);
}

static void the_man_page_escapes_what_roff_would_eat(void) {
    struct text out = {0};
    options_man(&table, &out);
    CHECK_OK(text_check(&out, &err), &err);
    CHECK_HAS(text_data(&out), ".TH \"FATHOM pretrain\" 1\n");
    CHECK_HAS(text_data(&out), "\\-\\-learning\\-rate X\n");
    CHECK_HAS(text_data(&out), "  .dots and \\-dashes");
    text_free(&out);
}

static const struct test tests[] = {
    TEST(defaults_fill_every_type),
    TEST(every_type_is_parsed_in_both_spellings),
    TEST(the_last_of_two_wins),
    TEST(positionals_move_to_the_front),
    TEST(positionals_are_refused_where_none_belong),
    TEST(help_is_seen_before_anything_else),
    TEST(wrong_arguments_are_explained),
    TEST(decimal_suffixes_give_whole_numbers),
    TEST(a_value_with_two_dashes_needs_the_equals_sign),
    TEST(required_options_are_asked_for),
    TEST(an_assignment_sets_one_value),
    TEST(a_recipe_fills_what_arguments_left),
    TEST(recipe_errors_name_file_and_line),
    TEST(an_indented_line_is_an_assignment_like_any_other),
    TEST(a_long_value_is_whole_or_refused),
    TEST(lines_may_end_as_on_other_systems),
    TEST(a_recipe_cut_anywhere_never_crashes),
    TEST(help_shows_every_option),
    TEST(a_record_holds_what_changes_the_result),
    TEST(differences_from_a_record_are_listed),
    TEST(what_a_record_lacks_was_at_its_default),
    TEST(completion_lists_words_and_negations),
    TEST(the_man_page_escapes_what_roff_would_eat),
};
HARNESS_MAIN(tests)
