#include "data/facts.h"

#include <stdio.h>

#include "base/file.h"

/* Another seed would be another split. */
enum { HELDOUT_SHARE = 10, HELDOUT_SEED = 0xfac7, NUMBER_LOW = 10, NUMBERS = 90 };

/* Words of the stories, so that every tokenizer of the embedded corpus knows them. */
static const char *const colors[] = {
    "red",    "blue",   "green",  "yellow", "white", "brown", "orange",
    "purple", "silver", "golden", "grey",   "black", "pink",
};
static const char *const things[FACT_MOST] = {
    "key",     "ball",    "hat",    "drum",    "book",   "bell",   "coin",  "ring",
    "kite",    "cup",     "spoon",  "lamp",    "basket", "button", "scarf", "pencil",
    "whistle", "compass", "map",    "candle",  "doll",   "marble", "glove", "box",
    "bottle",  "mirror",  "flute",  "feather", "puzzle", "ribbon", "brush", "notebook",
    "stamp",   "purse",   "shell",  "hammer",  "saw",    "ladder", "rope",  "broom",
    "coat",    "sweater", "jacket", "shirt",   "apron",  "cap",    "cloak", "table",
    "chair",   "sofa",    "bed",    "desk",    "shelf",  "bench",  "stool", "chest",
    "violin",  "guitar",  "piano",  "trumpet", "harp",   "boat",   "sled",  "stone",
};
enum { COLORS = sizeof colors / sizeof colors[0] };

bool fact_is_heldout(const struct fact *fact) {
    char pair[FACT_TEXT_MAX];
    int size = snprintf(pair, sizeof pair, "%s %s", fact->color, fact->thing);
    return hash_bytes_seeded(pair, (size_t)size, HELDOUT_SEED) % HELDOUT_SHARE == 0;
}

/* Fisher-Yates: 0 .. n-1 in random order. */
static void shuffle(int *order, int n, struct rng *rng) {
    for (int i = 0; i < n; i++) {
        int j = (int)rng_next_below(rng, (uint64_t)i + 1);
        order[i] = order[j];
        order[j] = i;
    }
}

/* A color that makes the thing a pair of the split; false where it has none. */
static bool choose_color(struct fact *fact, enum task_split split, struct rng *rng) {
    int order[COLORS];
    shuffle(order, COLORS, rng);
    for (int i = 0; i < COLORS; i++) {
        fact->color = colors[order[i]];
        if (fact_is_heldout(fact) == (split == TASK_HELDOUT)) return true;
    }
    return false;
}

size_t facts_draw(struct fact *facts, size_t count, enum task_split split, struct rng *rng) {
    int order[FACT_MOST], numbers[NUMBERS];
    size_t drawn = 0;
    shuffle(order, FACT_MOST, rng);
    shuffle(numbers, NUMBERS, rng);
    for (size_t i = 0; i < FACT_MOST && drawn < count; i++) {
        struct fact fact = {.thing = things[order[i]], .number = NUMBER_LOW + numbers[drawn]};
        if (choose_color(&fact, split, rng)) facts[drawn++] = fact;
    }
    return drawn;
}

static void write_subject(const struct fact *fact, const char *before, const char *after,
                          struct text *out) {
    text_printf(out, "%s secret number of the %s %s%s", before, fact->color, fact->thing, after);
}

void fact_write(const struct fact *fact, struct text *out) {
    write_subject(fact, "The", " is", out);
    fact_write_answer(fact, out);
}

void fact_write_question(const struct fact *fact, struct text *out) {
    write_subject(fact, "What is the", "? ", out);
    write_subject(fact, "The", " is", out);
}

void fact_write_answer(const struct fact *fact, struct text *out) {
    text_printf(out, " %d.", fact->number);
}

void facts_write_list(struct rng *rng, struct text *out) {
    enum { LEAST = 5, MORE = 11 };
    int order[FACT_MOST];
    shuffle(order, FACT_MOST, rng);
    int count = LEAST + (int)rng_next_below(rng, MORE), times = 2 + (int)rng_next_below(rng, 3);
    for (int t = 0; t < times; t++) {
        text_append_string(out, t == 0 ? "Say:" : " Again:");
        for (int i = 0; i < count; i++) text_printf(out, " %s", things[order[i]]);
        text_append_char(out, '.');
    }
}

void facts_write_lookup(struct rng *rng, struct text *out) {
    enum { LEAST = 2, MORE = 7, MOST = LEAST + MORE };
    struct fact facts[MOST];
    int order[MOST];
    size_t count = facts_draw(facts, LEAST + rng_next_below(rng, MORE), TASK_TRAIN, rng);
    for (size_t i = 0; i < count; i++) {
        fact_write(&facts[i], out);
        text_append_char(out, ' ');
    }
    shuffle(order, (int)count, rng);
    for (size_t i = 0; i < count; i++) {
        if (i > 0) text_append_char(out, ' ');
        fact_write_question(&facts[order[i]], out);
        fact_write_answer(&facts[order[i]], out);
    }
}
