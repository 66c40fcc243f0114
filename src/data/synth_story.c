#include "data/synth_story.h"

#include "base/memory.h"
#include "data/story_rules.h"

/* What a document may be; a line's share is its number of entries. */
static const char *const plots[] = {
    "plot_lost",   "plot_truth",  "plot_quarrel", "plot_learn",  "plot_gift",    "plot_night",
    "plot_market", "plot_animal", "plot_weather", "plot_garden", "plot_journey", "plot_contest",
    "plot_lost",   "plot_animal", "plot_learn",   "plot_gift",   "fable_strong", "fable_lazy",
    "fable_proud", "fable_race",  "fable_why",    "short_scene", "short_talk",   "short_letter",
    "short_diary", "short_facts", "short_recipe", "short_facts", "short_talk",
};

fathom_status story_maker_new(struct story_maker *maker, struct error *err) {
    const struct grammar_source sources[] = {story_words,    story_phrases, story_home,
                                             story_outdoors, story_fables,  story_short};
    *maker = (struct story_maker){0};
    return grammar_new(&maker->grammar, sources, sizeof sources / sizeof sources[0], err);
}

void story_maker_free(struct story_maker *maker) {
    grammar_free(maker->grammar);
    grammar_memory_free(&maker->memory);
    maker->grammar = NULL;
}

/* ---- who is in the story ---- */

struct pronouns {
    const char *he, *him, *his, *himself, *child;
};
static const struct pronouns female = {"she", "her", "her", "herself", "girl"};
static const struct pronouns male = {"he", "him", "his", "himself", "boy"};

static const struct {
    const char *relation, *address;
    const struct pronouns *pronouns;
} elders[] = {
    {"grandmother", "Grandma", &female},
    {"grandfather", "Grandpa", &male},
    {"mother", "Mom", &female},
    {"father", "Dad", &male},
};

/* A name that is not `other`, remembered as `variable`. */
static void choose_name(struct story_maker *maker, struct rng *rng, bool is_female,
                        const char *variable, struct text *other) {
    struct text name = {0};
    do {
        text_clear(&name);
        grammar_expand(maker->grammar, is_female ? "girl_name" : "boy_name", rng, &maker->memory,
                       &name);
    } while (name.size > 0 && name.size == other->size &&
             string_starts_with(text_data(&name), text_data(other)));
    grammar_remember(&maker->memory, variable, text_data(&name));
    if (name.failed) maker->memory.values.failed = true;
    text_clear(other);
    text_append(other, text_data(&name), name.size);
    text_free(&name);
}

static void choose_people(struct story_maker *maker, struct rng *rng) {
    struct grammar_memory *memory = &maker->memory;
    struct text name = {0};
    bool hero_is_female = rng_next_below(rng, 2) == 1,
         friend_is_female = rng_next_below(rng, 2) == 1;
    choose_name(maker, rng, hero_is_female, "hero", &name);
    choose_name(maker, rng, friend_is_female, "friend", &name);
    text_free(&name);
    const struct pronouns *p = hero_is_female ? &female : &male;
    grammar_remember(memory, "he", p->he);
    grammar_remember(memory, "him", p->him);
    grammar_remember(memory, "his", p->his);
    grammar_remember(memory, "himself", p->himself);
    grammar_remember(memory, "kid", p->child);
    p = friend_is_female ? &female : &male;
    grammar_remember(memory, "fhe", p->he);
    grammar_remember(memory, "fhim", p->him);
    grammar_remember(memory, "fhis", p->his);
    size_t elder = rng_next_below(rng, sizeof elders / sizeof elders[0]);
    p = elders[elder].pronouns;
    grammar_remember(memory, "elder", elders[elder].relation);
    grammar_remember(memory, "Elder", elders[elder].address);
    grammar_remember(memory, "ehe", p->he);
    grammar_remember(memory, "ehim", p->him);
    grammar_remember(memory, "ehis", p->his);
}

void story_write(struct story_maker *maker, struct rng *rng, struct text *out) {
    struct text town = {0};
    size_t start = out->size;
    grammar_memory_clear(&maker->memory);
    choose_people(maker, rng);
    grammar_expand(maker->grammar, "town", rng, &maker->memory, &town);
    grammar_remember(&maker->memory, "town", text_data(&town));
    if (town.failed) maker->memory.values.failed = true;
    text_free(&town);
    const char *plot = plots[rng_next_below(rng, sizeof plots / sizeof plots[0])];
    grammar_expand(maker->grammar, plot, rng, &maker->memory, out);
    grammar_fix_articles(out, start);
    if (maker->memory.values.failed) out->failed = true;
}
