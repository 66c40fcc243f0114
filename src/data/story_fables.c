/* Fables: two animals, {beast} and {other}, with the pronouns of hero and friend. */
#include "data/story_rules.h"

static const char *const rules[] = {
    "@fable_when Long ago|Once upon a time|In a dry summer|One cold winter|One [nice_weather] "
    "[daytime]",
    "@fable_when In the old days|On a [weather] [daytime] in [month]|When the world was young",
    "@fable_once Long ago|Once upon a time|In the old days|When the world was young|Many years ago",
    "@fable_where in a [fable_size] forest|at the edge of a [fable_size] meadow|near a "
    "[fable_size] river",
    "@fable_where by a [fable_size] lake|on a [fable_size] hill|in a [fable_size] valley",
    "@fable_size green|quiet|beautiful|lonely|sunny|faraway|wild|peaceful",
    "@strong lion|bear|wolf|bull|tiger|elephant|eagle|horse|buffalo|crocodile",
    "@weak mouse|ant|hare|frog|sparrow|bee|snail|hedgehog|squirrel|lamb|mole",
    "@sly fox|crow|monkey|weasel|cat|magpie|raccoon|jackal",
    "@proud_animal peacock|rooster|swan|stag|parrot|butterfly|camel|goose",
    "@lazy grasshopper|cricket|cuckoo|butterfly|bear cub",
    "@busy_animal ant|bee|squirrel|beaver|mole|hamster",
    "@moral And so it is to this day: {moral}.|The animals still say: {moral}.",
    "@moral Remember: {moral}.|That is why we say that {moral}.|Whoever hears this story learns "
    "that "
    "{moral}.",

    /* the strong one and the weak one */
    "@fable_strong [!beast=strong][!other=weak][strong_trap][^fable_when], a {beast} and a {other} "
    "lived "
    "[fable_where]. [strong_scorn]\n\n{trap} [strong_roar] [strong_help] {free}\n\n[strong_thanks] "
    "[!moral:[strong_moral]][moral]",
    "@strong_trap [!trap:One day the {beast} ran into a hunter's net and could not get "
    "out.][!free:All "
    "night the {other} worked at the ropes, and in the morning the net fell open.]",
    "@strong_trap [!trap:Then a thorn got into the {beast}'s foot, so deep that {he} could not "
    "walk.]"
    "[!free:With great care the {other} pulled it out.]",
    "@strong_trap [!trap:In the autumn the {beast} got lost in the fog and came near a deep gorge.]"
    "[!free:The {other} went ahead and called at every step, until they were on safe ground.]",
    "@strong_trap [!trap:One evening the {beast} fell asleep while the dry grass behind {him} "
    "began to "
    "burn.][!free:The {other} shouted into {his} ear until {he} woke up, and they both escaped.]",
    "@strong_scorn \"What use are you?\" the {beast} asked. \"You are so small that I hardly see "
    "you.\"",
    "@strong_scorn The {beast} laughed at the {other}. \"If I had your size, I would hide all "
    "day,\" {he} said.",
    "@strong_scorn One day the {beast} caught the {other}. \"Let me go,\" begged the {other}, "
    "\"and one day I will help you.\" The {beast} laughed, but {he} let {fhim} go.",
    "@strong_roar \"Help!\" {he} cried, and the hills echoed with it.|No other animal dared to "
    "come near.",
    "@strong_roar {^he} pulled and struggled, but it only got worse.|The big animals all ran away.",
    "@strong_help The {other} heard it and came at once. \"Hold still,\" {fhe} said.",
    "@strong_help \"I am small,\" said the {other}, \"but I can help you.\"",
    "@strong_thanks \"I was wrong about you,\" said the {beast}. From then on nobody was allowed "
    "to laugh at the {other}.",
    "@strong_thanks \"Forgive me,\" said the {beast}, and {he} bowed {his} head to the {other}.",
    "@strong_moral nobody is too small to help|a kind deed is never wasted|size is not the same as "
    "strength",

    /* the busy one and the lazy one */
    "@fable_lazy [!beast=lazy][!other=busy_animal][^fable_once], a {beast} and a {other} were "
    "neighbors "
    "[fable_where]. All summer the {other} gathered [lazy_food] and carried it home. The {beast} "
    "[lazy_fun]."
    "\n\n[lazy_ask] [lazy_answer]\n\nThen winter came. [lazy_cold] [lazy_knock] [lazy_end] "
    "[!moral:[lazy_moral]][moral]",
    "@lazy_food seeds|nuts|grain|dry berries|roots|grass and leaves",
    "@lazy_fun sang from morning to night|danced in the grass|lay in the sun and looked at the "
    "clouds",
    "@lazy_fun played the fiddle and slept",
    "@lazy_ask \"Why do you work so hard?\" asked the {beast}. \"Come and sing with me!\"",
    "@lazy_ask \"It is far too hot to work,\" said the {beast}. \"Winter is a long way off.\"",
    "@lazy_answer \"I work now, so that I have enough later,\" said the {other}.",
    "@lazy_answer The {other} only shook {fhis} head and went on working.",
    "@lazy_cold Snow covered the ground, and there was nothing left to eat.",
    "@lazy_cold The wind was icy, and the {beast} was hungry and cold.",
    "@lazy_knock The {beast} knocked at the {other}'s door. \"Please give me a little food,\" {he} "
    "said.",
    "@lazy_knock With the last of {his} strength {he} came to the {other}'s house.",
    "@lazy_end The {other} let {him} in and shared {fhis} food. \"But next summer,\" {fhe} said, "
    "\"we will work together, and you will sing while we do it.\"",
    "@lazy_end \"I can give you half,\" said the {other}, \"and you can give me your songs.\" So "
    "both of them had a good winter.",
    "@lazy_moral the time to work is before you are hungry|there is a time to work and a time to "
    "play",
    "@lazy_moral those who think of tomorrow sleep well today",

    /* the sly one and the proud one */
    "@fable_proud [!beast=proud_animal][!other=sly][!prize=sly_prize][^fable_when], [fable_where], "
    "a {beast} had found {prize}. A {other} saw it and was hungry.\n\n[proud_flatter] "
    "[proud_listen] [proud_lose]\n\n[proud_end] [!moral:[proud_moral]][moral]",
    "@sly_prize a piece of cheese|a fat [fruit]|a whole loaf of bread|a honey cake|a sweet nut",
    "@proud_flatter \"How beautiful you are!\" said the {other}. \"If only I could hear your "
    "voice! It must be the loveliest in the land.\"",
    "@proud_flatter \"Everybody says that nobody can dance as you do,\" said the {other}. \"I "
    "would so much like to see it.\"",
    "@proud_flatter \"Is it true,\" asked the {other}, \"that you can stand on one leg and sing at "
    "the same time?\"",
    "@proud_listen The {beast} was flattered and forgot everything else.|That pleased the {beast} "
    "very much.",
    "@proud_listen The {beast} stood up tall, shut {his} eyes and began.",
    "@proud_lose {^he} let go of {prize}, and the {other} took it and ran.",
    "@proud_lose When {he} looked around again, {prize} was gone, and so was the {other}.",
    "@proud_end \"Your voice is fine,\" called the {other} from far away, \"but you should think "
    "before you use it.\"",
    "@proud_end The {beast} was ashamed. \"That will not happen to me twice,\" {he} said, and it "
    "did not.",
    "@proud_moral sweet words can have a bitter end|whoever listens to flattery pays for it",
    "@proud_moral you should think twice when somebody praises you too much",

    /* slow and fast */
    "@fable_race [!beast=fast][!other=slow][^fable_when], a {beast} met a {other} [fable_where]. "
    "\"You are so slow,\" said the {beast}. \"Do you ever arrive anywhere?\" \"Let us have a race "
    "to the [goal=tree],\" said the {other}.\n\n[race_start] [race_rest] [race_on]\n\n[race_win] "
    "[!moral:[race_moral]][moral]",
    "@fast hare|deer|fox|horse|ostrich|greyhound",
    "@slow turtle|snail|hedgehog|mole|duck|caterpillar",
    "@race_start The owl gave the sign. The {beast} shot away like an arrow, and the {other} began "
    "to walk.",
    "@race_start All the animals came to watch. In a moment the {beast} was out of sight.",
    "@race_rest Halfway the {beast} looked back. \"I have so much time,\" {he} thought. {^he} lay "
    "down in the shade and fell asleep.",
    "@race_rest The {beast} saw a field of fresh clover and stopped to eat. Then {he} met a friend "
    "and talked.",
    "@race_on The {other} did not stop. Step by step {fhe} went on, past the stones and over the "
    "roots.",
    "@race_on The {other} was tired and hot, but {fhe} never stood still.",
    "@race_win When the {beast} remembered the race, {he} ran as fast as {he} could. But the "
    "{other} was already sitting under the {goal} and smiled.",
    "@race_win The animals cheered. The {other} had won, and the {beast} could not believe it.",
    "@race_moral slow and steady wins the race|it does not help to be fast if you do not go on",

    /* why something is as it is */
    "@fable_why [why_tale][^fable_once], {before}. [why_wish]\n\n{event} [why_so] {after}.",
    "@why_tale [!before:the owl flew by day like all the other birds][!event:One day the owl "
    "promised to "
    "watch over the eggs, but she fell asleep in the sun, and a snake ate one of them. The birds "
    "were "
    "so angry that the owl hid in a hollow tree.][!after:the owl comes out only at night]",
    "@why_tale [!before:the rabbit had short round ears][!event:One day he wanted to hear what the "
    "birds "
    "were saying. He stretched his ears a little every morning, and they grew longer and longer.]"
    "[!after:rabbits have long ears and hear everything]",
    "@why_tale [!before:the sea was not salty][!event:A sailor had a magic mill that made salt. He "
    "started it on his ship, but he did not know the word to stop it. The ship grew heavy and "
    "sank, "
    "and the mill lies at the bottom.][!after:the sea is salty, because the mill is still turning]",
    "@why_tale [!before:the bear had a long and bushy tail][!event:The fox told him to fish with "
    "his tail "
    "through a hole in the ice. The bear sat there all night, and his tail froze in the ice. When "
    "he "
    "stood up, it broke off.][!after:bears have only a short tail]",
    "@why_tale [!before:the moon and the sun lived in the same house][!event:They quarreled about "
    "who "
    "should light the world. In the end the wind decided that they should take turns.][!after:the "
    "sun "
    "shines by day, and the moon shines by night]",
    "@why_tale [!before:the turtle had a smooth shell][!event:He wanted to see the world from "
    "above, and "
    "two geese carried him on a stick that he held in his mouth. When he began to talk, he fell "
    "down, "
    "and his shell cracked.][!after:there are lines on the shell of every turtle]",
    "@why_wish Nobody knew that this would change.|All the animals thought that this was right.",
    "@why_wish So it had always been.|That was long before your grandmother's grandmother was "
    "born.",
    "@why_so And that is why|Since that day|This is the reason why|So it happened that",
};

const struct grammar_source story_fables = {rules, sizeof rules / sizeof rules[0]};
