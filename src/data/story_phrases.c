/* What many stories share: openings, introductions, short talk, endings. */
#include "data/story_rules.h"

static const char *const rules[] = {
    /* when and where */
    "@when One [weather] [daytime]|One [daytime] in [season]|On a [weather] [weekday]",
    "@when One [weekday] [daytime]|Early one [weekday]|Late one [weather] afternoon",
    "@when On the first [weekday] of [month]|Last [season]|On a [weather] day in [month]",
    "@when_fine One [nice_weather] [daytime]|On a [nice_weather] [weekday]|One [nice_weather] "
    "[weekday]",
    "@when_fine On a [nice_weather] [daytime] in [month]|One [nice_weather] day in [season]",
    "@later A little later|After a while|Some minutes later|Soon|Before long|After lunch",
    "@next_day The next day|The next morning|A day later|On the following [weekday]",

    /* who: every introduction says the hero's name and what {he} is */
    "@meet_hero {hero} was a [kind_person] {kid} who lived in {town}.",
    "@meet_hero In {town} there lived a {kid} named {hero}, who loved [fun].",
    "@meet_hero {hero} lived in a [house_size] house near the [outdoors] with {his} {elder}.",
    "@meet_hero There was once a [kind_person] {kid} called {hero}. {^he} liked [fun] more than "
    "anything.",
    "@meet_hero {hero} was [few_years] years old, and {he} had a best friend called {friend}.",
    "@meet_hero In a [house_size] house by the [outdoors] lived {hero}, a {kid} with a [color] "
    "[clothes].",
    "@meet_hero Everybody in {town} knew {hero}, the {kid} with the [color] [clothes].",
    "@meet_hero {hero} and {friend} lived in the same street in {town}.",
    "@few_years five|six|seven|eight|nine|ten",
    "@opening [meet_hero] [when], ",

    /* the way home, meals, the sky: a sentence that fits anywhere in the past */
    "@aside The air smelled of [flowers] and fresh [food].|The wind moved the leaves of the "
    "[tree].",
    "@aside A [bird] sang in the [tree].|Somewhere a [pet] was making a noise.",
    "@aside The sun was shining on the roofs of {town}.|The sky was [color_sky].",
    "@aside The street was quiet.|It was so quiet that {hero} could hear a [bug].",
    "@aside There was a smell of [food] in the air.|A [size] cloud hung over the [outdoors].",
    "@aside Far away a bell rang [few] times.|The grass was still wet from the rain.",
    "@color_sky blue|grey|clear and blue|full of clouds|pink and gold|dark",

    /* talk */
    "@ask_what \"What is the matter?\" asked {friend}.|\"Why are you so [feeling_face]?\" asked "
    "{friend}.",
    "@ask_what {friend} saw {his} face. \"What happened?\" {fhe} asked.",
    "@ask_what \"You look [feeling_face],\" said {friend}. \"Tell me what happened.\"",
    "@offer_help \"I will help you,\" said {friend}.|\"Let us do it together,\" said {friend}.",
    "@offer_help \"Two can do it better than one,\" said {friend}. \"Come on!\"",
    "@offer_help \"Don't worry,\" said {friend}. \"We will find a way.\"",
    "@offer_help {friend} took {his} hand. \"Come, we will try it together,\" {fhe} said.",
    "@thank_friend \"Thank you,\" said {hero}. \"You are a real friend.\"",
    "@thank_friend {hero} hugged {friend}. \"I could not have done it without you,\" {he} said.",
    "@thank_friend \"Thank you for your help,\" said {hero}, and {he} gave {friend} [a_gift].",
    "@thank_friend \"How can I thank you?\" asked {hero}. \"You just did,\" said {friend}.",
    "@a_gift a piece of [sweet]|half of {his} [sweet]|a [taste] [fruit]|a [color] ribbon|a big "
    "smile",
    "@elder_praise \"I am proud of you,\" said {Elder}.|\"Well done,\" said {his} {elder}.",
    "@elder_praise {^his} {elder} smiled. \"You did the right thing,\" {ehe} said.",
    "@elder_praise \"That was [kind_deed] of you,\" said {Elder}, and {ehe} kissed {him} on the "
    "forehead.",
    "@kind_deed kind|brave|clever|honest|good|very thoughtful",
    "@agree \"Yes!\" said {friend}.|\"That is a good idea,\" said {friend}.|{friend} nodded.",
    "@agree \"All right,\" said {friend}, \"let us try.\"|\"Of course,\" answered {friend}.",

    /* moods */
    "@was_glad {hero} was [very] [feeling_good].|{hero} felt [feeling_good].|{hero} [smiled].",
    "@was_glad A smile came over {hero}'s face.|{hero} jumped for joy.|{hero}'s heart grew light.",
    "@was_sad {hero} was [very] [feeling_bad].|{hero} felt [feeling_bad].",
    "@was_sad Tears came into {hero}'s eyes.|{hero} did not know what to do.",
    "@was_sad {hero} sat down and sighed.|{hero}'s heart grew heavy.",

    /* endings */
    "@ending From that day on, {hero} and {friend} were the best of friends.",
    "@ending That night {hero} fell asleep with a smile.|It was the best [weekday] of the whole "
    "year.",
    "@ending In the evening {hero} told {his} {elder} everything, and they laughed together.",
    "@ending And when {hero} is asked about it today, {he} still laughs.",
    "@ending {hero} never forgot that day.|They were tired, but very happy.",
    "@ending At home there was hot [food] for everyone, and {hero} ate two bowls of it.",
    "@ending \"Tomorrow we will do it again,\" said {friend}, and {hero} agreed.",
    "@ending Then they sat under the [tree] and ate [fruits] until the sun went down.",
    "@learned {hero} had learned that {lesson}.|So {hero} found out that {lesson}.",
    "@learned Since then {hero} knows that {lesson}.|\"Now I know that {lesson},\" said {hero}.",
};

const struct grammar_source story_phrases = {rules, sizeof rules / sizeof rules[0]};
