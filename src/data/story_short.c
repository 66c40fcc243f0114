/* Short texts beside the stories: scenes, talks, letters, diaries, facts with their reasons,
 * recipes. */
#include "data/story_rules.h"

static const char *const rules[] = {
    /* ---- a scene in the present ---- */
    "@short_scene [scene_open] [scene_more] [scene_more] [scene_close]",
    "@scene_open It is a [weather] [daytime] in [town]. [scene_street]",
    "@scene_open {hero} is sitting in the [room] and looking out of the window. It is [weather] "
    "today.",
    "@scene_open There is a [size] [color] house at the end of the street. [scene_house]",
    "@scene_open The [pet] is lying on the [furniture], because it is warm there.",
    "@scene_open In the [place] it is never quiet. The [person] opens the door at seven o'clock.",
    "@scene_street The shops are open, and people are buying [food] and [fruits].",
    "@scene_street Nobody is outside, because it is too [cold_hot].|Children are playing near the "
    "[place].",
    "@cold_hot cold|hot|wet|late|early",
    "@scene_house It has [few] windows and a [color] door. A [kind_person] [person] lives in it.",
    "@scene_house Behind it is a garden with a [tree] and many [flowers].",
    "@scene_more A [color] [vehicle] goes by.|The [person] is carrying a [look] [small_thing].",
    "@scene_more On the [furniture] there is a [look] [small_thing] made of [material].",
    "@scene_more {friend} has a [pet] that likes [food].|A [bird] is sitting on the roof.",
    "@scene_more The [farm_animal] is standing in the field and eating grass.",
    "@scene_more {hero} is wearing a [color] [clothes], because it is [weather_cold] outside.",
    "@scene_more In the corner stands a [look] [instrument], but nobody plays it.",
    "@weather_cold cold|windy|wet|frosty|cool",
    "@scene_close Soon it will be [season].|In the evening everyone goes home.",
    "@scene_close \"What a [nice_weather] day,\" says {hero}.|Then the bell rings, and it is time "
    "for [food].",
    "@scene_close Slowly it is getting dark, and the lamps are lit.",

    /* ---- talk between two ---- */
    "@short_talk [talk_greet]\n[talk_topic]\n[talk_bye]",
    "@talk_greet \"Good morning, {friend}!\"\n\"Good morning, {hero}! How are you?\"\n\"I am "
    "[feeling_talk], thank you.\"",
    "@talk_greet \"Hello, {friend}. What are you doing?\"\n\"I am [talk_doing].\"",
    "@talk_greet \"Hi, {hero}! Where are you going?\"\n\"I am going to the [place].\"",
    "@feeling_talk very well|fine|a little tired|happy today|much better",
    "@talk_doing looking for my [small_thing]|feeding the [pet]|writing a letter|making "
    "[food]|waiting for the bus",
    "@talk_topic \"Do you like [season]?\"\n\"Yes, because [season_reason].\"",
    "@talk_topic \"Can you lend me your [tool]?\"\n\"Of course. Please bring it back on "
    "[weekday].\"\n\"I promise.\"",
    "@talk_topic \"What is your favorite food?\"\n\"[^food]. And yours?\"\n\"I like [fruits] "
    "best.\"",
    "@talk_topic \"Have you seen the [look] [small_thing] in the shop?\"\n\"Yes, but it is too "
    "[dear_cheap] for me.\"\n\"Then let us save our money together.\"",
    "@talk_topic \"Why is your [clothes] so wet?\"\n\"I fell into the [wet_place], because I was "
    "looking at a [bird].\"\n\"Come in and sit by the fire.\"",
    "@talk_topic \"How old is your [pet]?\"\n\"It is [few] years old. It sleeps in my room.\"\n\"I "
    "would like to have a [pet] too.\"",
    "@talk_topic \"Tell me, why is it so dark?\"\n\"Because the sun went down an hour "
    "ago.\"\n\"Then I must go home.\"",
    "@dear_cheap expensive|heavy|big|small",
    "@wet_place pond|river|well|lake|stream",
    "@season_reason there are flowers everywhere|we can swim in the lake|the leaves are red and "
    "gold",
    "@season_reason we can build a snowman|it is not too hot and not too cold|the days are long",
    "@season_reason there is so much fruit|I like the smell of it",
    "@talk_bye \"See you on [weekday]!\"\n\"Goodbye!\"|\"Goodbye, {hero}!\"\n\"Goodbye, "
    "{friend}!\"",
    "@talk_bye \"Thank you, {friend}.\"\n\"You are welcome.\"|\"Until tomorrow!\"\n\"Sleep well!\"",

    /* ---- a letter, a page of a diary ---- */
    "@short_letter Dear [letter_to],\n[letter_thanks] [letter_news] [letter_more] "
    "[letter_ask]\n[letter_bye]\n{hero}",
    "@letter_to {friend}|{Elder}|Aunt [girl_name]|Uncle [boy_name]|{friend} and [girl_name]",
    "@letter_thanks Thank you for your letter.|Thank you for the [look] [small_thing]. I like it "
    "very much.",
    "@letter_thanks How are you? I am fine.|I am writing to you from {town}.",
    "@letter_news Yesterday we went to the [place] and saw a [wild_animal].|It has been [weather] "
    "for [few] days.",
    "@letter_news We have a new [pet]. It is [color] and very [pet_mood].|At school we are "
    "learning about [birds_plural].",
    "@letter_news I am learning to play the [instrument]. The neighbors are very patient.",
    "@birds_plural birds|stars|rivers|trees|bees|old ships|the weather|mountains|castles",
    "@pet_mood funny|wild|shy|lazy|clever|friendly",
    "@letter_more {friend} says hello.|On [weekday] I helped the [person] to pick [fruits].",
    "@letter_more In the garden the [flowers] are in bloom.|I read a book about a [wild_animal] "
    "who could talk.",
    "@letter_ask When will you come to visit us?|Please write soon.|Do you still have your [pet]?",
    "@letter_ask Can you send me a picture of your house?|What is the weather like where you are?",
    "@letter_bye Yours,|With love,|Many greetings,|Best wishes,|Your friend,",
    "@short_diary [weekday], [month] [diary_day]. Today was a [diary_mood] day. [diary_first] "
    "[diary_then] [diary_last]",
    "@diary_day 1|2|3|4|5|6|7|8|9|10|11|12|13|14|15|16|17|18|19|20|21|22|23|24|25|26|27|28",
    "@diary_mood good|long|strange|beautiful|busy|quiet|wonderful|funny",
    "@diary_first In the morning I helped in the [room].|I got up early, because a [bird] was "
    "singing.",
    "@diary_first It was [weather], so we stayed inside.|I wore my [color] [clothes] for the first "
    "time.",
    "@diary_then After school I went to the [place] with [girl_name].|[boy_name] showed me his "
    "[toy].",
    "@diary_then Then we played in the [outdoors] until it got dark.|I lost my [small_thing] and "
    "found it again.",
    "@diary_then We made [food] with [vegetables], and I burned my finger a little.",
    "@diary_last Now I am tired and will go to sleep.|Tomorrow I want to see the [wild_animal] "
    "again.",
    "@diary_last I hope that the sun will shine tomorrow.|I think that I have never laughed so "
    "much.",

    /* ---- facts with their reasons ---- */
    "@short_facts [fact] [fact] [fact]",
    "@fact A [pet_fact] is a small animal that lives with people.|A bakery is a shop that sells "
    "bread and cakes.",
    "@pet_fact cat|hamster|guinea pig|canary",
    "@fact Bread is made of flour, water, salt and yeast.|Honey is made by bees.|Milk comes from "
    "cows.",
    "@fact Ice melts when it gets warm, because heat turns it into water.|Wood floats, because it "
    "is lighter than water.",
    "@fact A stone sinks, because it is heavier than water.|Plants need light, water and air.",
    "@fact In autumn many trees lose their leaves.|In winter the days are short and the nights are "
    "long.",
    "@fact A week has seven days.|A year has twelve months.|A day has twenty-four hours.",
    "@fact An hour has sixty minutes, and a minute has sixty seconds.|There are four seasons in a "
    "year.",
    "@fact A triangle has three sides.|A square has four equal sides.|A spider has eight legs, and "
    "a bee has six.",
    "@fact Birds have wings and lay eggs.|Fish breathe under water.|Bears sleep through most of "
    "the winter.",
    "@fact We wear coats in winter, because it is cold outside.|We use an umbrella when it rains.",
    "@fact The sun rises in the east and sets in the west.|The moon shines at night, because the "
    "sun lights it.",
    "@fact A [person_fact].|Rain falls from clouds.|Rivers flow down to the sea.|Snow is frozen "
    "water.",
    "@person_fact baker bakes bread|teacher works in a school|doctor helps people who are "
    "ill|farmer grows food",
    "@person_fact sailor works on a ship|tailor makes clothes|librarian takes care of books|pilot "
    "flies a plane",
    "@fact An apple is a fruit, and a carrot is a vegetable.|Red and yellow make orange.|Blue and "
    "yellow make green.",
    "@fact The opposite of hot is cold.|The opposite of big is small.|The opposite of early is "
    "late.",
    "@fact The opposite of empty is full.|The opposite of open is closed.|The opposite of slow is "
    "fast.",

    /* ---- how to make something ---- */
    "@short_recipe [recipe]",
    "@recipe How to make jam of [f=fruits]. First wash the {f} and cut them into small pieces. "
    "Then cook them with sugar for half an hour, and stir all the time. Put the hot jam into clean "
    "glasses. When it is cold, it is ready to eat.",
    "@recipe How to make soup with [!v=vegetables]{v}. First cut an onion and cook it in butter. "
    "Then add water, salt and the {v}. Wait until everything is soft. At the end put in some "
    "[herb]. Eat it with [bread_kind].",
    "@recipe How to make [a_kite]. You need two sticks, paper, glue and a long string. First tie "
    "the sticks together so that they make a cross. Then glue the paper on it. Tie the string to "
    "the middle, and wait for the wind.",
    "@recipe How to plant a [!t=tree]{t}. First dig a hole that is deeper than the roots. Put the "
    "{t} into it and hold it straight. Then fill the hole with earth and give it plenty of water. "
    "In [few] years it will be taller than you.",
    "@recipe How to make a paper boat. Take a sheet of [color] paper and fold it in the middle. "
    "Fold the two corners down and the edges up. Then open it and pull. Now it can sail on the "
    "[water_place].",
    "@recipe How to make [a_drink]. Heat the milk, but do not let it boil. Add two spoons of "
    "[drink_powder] and stir. Pour it into a [color] cup. Be careful, because it is hot.",
    "@herb parsley|pepper|cream|chives|basil|dill",
    "@bread_kind fresh bread|toast|a roll|dark bread",
    "@a_kite a [color] kite|a kite|a small kite|a big kite",
    "@water_place pond|lake|river|stream",
    "@a_drink cocoa|hot chocolate|honey milk",
    "@drink_powder cocoa|chocolate|honey",
};

const struct grammar_source story_short = {rules, sizeof rules / sizeof rules[0]};
