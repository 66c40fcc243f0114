/* Plots outside: animals, weather, gardens, journeys, races. */
#include "data/story_rules.h"

static const char *const rules[] = {
    /* ---- an animal needs help ---- */
    "@plot_animal [!animal=small_animal][animal_need][opening]{hero} was walking "
    "[walk_place] when {he} heard a soft sound. [animal_see] {trouble}\n\n[animal_talk] "
    "[animal_care] {care}\n\n[animal_end]",
    "@animal_see Under the [tree] sat a [size_small] {animal}.|There was a {animal} in the grass.",
    "@animal_see It was a young {animal}.|Between the stones {he} saw a {animal}.",
    "@size_small tiny|small|little|young|thin|very small",
    "@animal_need [!trouble:It had hurt its leg and could not walk.][!care:They put a soft bandage "
    "around "
    "the leg and gave it water.][!done:the leg was healed]",
    "@animal_need [!trouble:It was hungry and cold, because it had lost its mother.][!care:They "
    "wrapped "
    "it in a warm scarf and fed it every few hours.][!done:it was strong again]",
    "@animal_need [!trouble:Its foot was caught in an old net.][!care:{friend} held it still while "
    "{hero} cut the net, thread by thread.][!done:it was free]",
    "@animal_need [!trouble:It was wet and shivering after the storm.][!care:They dried it with a "
    "towel "
    "and made a bed for it in a box near the stove.][!done:it was warm and dry]",
    "@animal_need [!trouble:It had fallen into a deep hole and could not get out.][!care:{hero} "
    "lay down "
    "on the ground and let a basket down on a rope.][!done:it was out of the hole]",
    "@animal_talk \"Poor thing,\" said {hero}. \"I will not leave you alone.\" {^he} ran to "
    "{friend}.",
    "@animal_talk \"Don't be afraid,\" {he} whispered. {friend} came to see. [offer_help]",
    "@animal_talk {^he} called {friend}. \"What shall we do?\" {fhe} asked. \"Help it, of "
    "course,\" said {hero}.",
    "@animal_care They were very careful, because the {animal} was afraid.|{hero} spoke [softly] "
    "to it.",
    "@animal_care \"Be gentle,\" said {Elder}. \"It does not know yet that you are its friend.\"",
    "@animal_end After [few] days {done}. {hero} carried the {animal} back to the [outdoors]. It "
    "looked around once more, and then it was gone. [animal_back]",
    "@animal_end When {done}, the {animal} did not want to go away. It followed {hero} home. \"It "
    "has chosen you,\" said {Elder}. They called it [pet_name], and it stayed with them.",
    "@animal_end Soon {done}. \"Now it must go home,\" said {friend}. {hero} was sad and glad at "
    "the same time. [animal_back]",
    "@animal_back Every [season] it came back to visit.|Sometimes they still see it near the "
    "[tree].",
    "@animal_back The next [daytime] a [fruit] lay in front of the door. \"That is its thank "
    "you,\" said {friend}.",
    "@pet_name Pip|Biscuit|Pepper|Button|Snowflake|Cocoa|Patches|Muffin|Whiskers|Pebble|Ginger|Dot",

    /* ---- caught by the weather ---- */
    "@plot_weather [storm_kind][meet_hero] [when_fine], {hero} and {friend} set out for the "
    "[outdoors]. "
    "They had [picnic], [fruits] and a bottle of [drink] with them. [aside]\n\n{start} "
    "[storm_worry] "
    "{shelter}\n\n[storm_wait] {after} [storm_home]",
    "@storm_kind [!start:Suddenly the sky turned dark, and the first drops fell. Then the thunder "
    "rolled.][!shelter:They found a small hut and crept inside.][!after:At last the rain stopped, "
    "and "
    "a rainbow stood over the hills.]",
    "@storm_kind [!start:Thick fog came up from the river, and they could not see the path any "
    "more.]"
    "[!shelter:They stopped under a tall [tree], because it is not wise to walk when you cannot "
    "see.]"
    "[!after:When the fog lifted, they saw that home was just behind the next hill.]",
    "@storm_kind [!start:It began to snow. First there were a few flakes, and then the whole air "
    "was "
    "white.][!shelter:They crawled under the branches of a big pine, where the ground was "
    "dry.][!after:"
    "When it was over, the world was new and white, and they built a snowman with a [color] hat.]",
    "@storm_kind [!start:The wind grew stronger and stronger, until it blew {friend}'s hat away.]"
    "[!shelter:They sat down behind a stone wall, and there the wind could not reach them.][!after:"
    "Later the wind grew tired, and they found the hat in a [tree].]",
    "@storm_kind [!start:The sun burned down on them, and their bottle was soon "
    "empty.][!shelter:They "
    "rested in the shade of a [tree] and listened. Not far away there was water!][!after:They "
    "drank "
    "from the clear stream and cooled their feet in it.]",
    "@storm_worry \"What shall we do?\" asked {friend}.|\"I want to go home,\" said {friend}.",
    "@storm_worry {hero} was a little afraid, but {he} did not show it.|\"Stay close to me,\" said "
    "{hero}.",
    "@storm_wait To pass the time they told each other stories and sang songs.",
    "@storm_wait They shared their food and counted slowly to a hundred.",
    "@storm_wait {friend} was cold, so {hero} gave {fhim} {his} [clothes].",
    "@storm_wait \"Are you afraid?\" asked {hero}. \"Not when we are two,\" said {friend}.",
    "@storm_home At home {Elder} stood at the door and was glad to see them. [ending]",
    "@storm_home They ran home through the [outdoors] and laughed all the way. [ending]",
    "@storm_home \"Next time we will look at the clouds first,\" said {friend}. [ending]",

    /* ---- a garden grows ---- */
    "@plot_garden [garden_plant][opening]{hero}'s {elder} gave {him} a handful of seeds. \"Put "
    "them into the earth "
    "and be patient,\" {ehe} said.\n\n[garden_sow] [garden_wait] [garden_doubt]\n\n{trouble} "
    "[garden_grow] [garden_end]",
    "@garden_plant [!crop=vegetables][!trouble:Then snails came and ate the first leaves. {hero} "
    "carried them away to the meadow, one by one.]",
    "@garden_plant [!crop=flowers][!trouble:It did not rain for weeks, so {hero} brought water "
    "from the "
    "well every evening.]",
    "@garden_plant [!crop:sunflowers][!trouble:A storm bent the young plants down. {hero} tied "
    "each of "
    "them to a stick.]",
    "@garden_plant [!crop:pumpkins][!trouble:Weeds grew faster than anything else, and {hero} "
    "pulled "
    "them out every [weekday].]",
    "@garden_plant [!crop=vegetables][!trouble:Birds picked at the seeds, so {friend} and {hero} "
    "built a "
    "scarecrow with a [color] hat.]",
    "@garden_sow {hero} dug a bed behind the house and made little holes with {his} finger. In "
    "each hole {he} put one seed.",
    "@garden_sow {friend} helped {him} to dig. They took out the stones and made three straight "
    "rows.",
    "@garden_wait The next morning {he} ran outside. There was nothing to see, only brown earth.",
    "@garden_wait A week went by. {hero} looked every day, but nothing happened.",
    "@garden_doubt \"Perhaps the seeds are asleep,\" {he} said. \"They are working under the "
    "ground,\" said {Elder}.",
    "@garden_doubt \"Why does it take so long?\" {he} asked. \"Good things need time,\" answered "
    "{Elder}.",
    "@garden_doubt Then, after [few] days, there was a tiny green point. \"They are coming!\" "
    "cried {hero}.",
    "@garden_grow The sun and the water did their work, and the plants grew taller every day.",
    "@garden_grow In [month] the whole garden was full of {crop}.",
    "@garden_end {hero} gave some {crop} to {friend} and some to the [person]. \"Now you are a "
    "real gardener,\" said {Elder}.",
    "@garden_end In autumn {hero} kept a handful of seeds for the next year. [!lesson:waiting is a "
    "part of growing][learned]",
    "@garden_end There were so many {crop} that the whole street got some of them. [ending]",

    /* ---- a journey to somebody ---- */
    "@plot_journey [journey_kin][journey_way][opening]{hero} packed a [color] bag, because {he} "
    "was going "
    "to visit {his} {kin}, who lived {far}.\n\n[journey_start] {way} "
    "[journey_meet]\n\n[journey_lost] [journey_arrive] [journey_end]",
    "@journey_kin [!kin:aunt][!khe:she]|[!kin:uncle][!khe:he]|[!kin:godmother][!khe:she]",
    "@journey_way [!far:in a village behind the mountains][!way:The train went through [few] "
    "tunnels and "
    "over a high bridge.]|[!far:in a house by the sea][!way:The ship rocked on the waves, and "
    "seagulls "
    "flew beside it.]|[!far:in the next town][!way:The bus was full, and {he} stood next to the "
    "driver.]",
    "@journey_way [!far:in the big city][!way:From the window {he} saw fields, then houses, then "
    "more and "
    "more houses.]|[!far:on a farm at the end of the valley][!way:{^he} walked along the river, "
    "and a "
    "[color] butterfly flew ahead of {him}.]",
    "@journey_start \"Write down the name of the place,\" said {friend}, \"so that you can ask the "
    "way.\"",
    "@journey_start {friend} came along to say goodbye and gave {him} a [sweet] for the road.",
    "@journey_start {^he} had a map, a bottle of [drink] and a piece of [picnic].",
    "@journey_meet Next to {him} sat a [person] with a [size] [small_thing]. They talked about "
    "[outdoor_talk] and the time passed quickly.",
    "@journey_meet A [person] asked {him} where {he} was going. \"To visit my {kin}, all alone,\" "
    "{he} said proudly.",
    "@journey_meet On the way {he} helped a [person] to carry a heavy [load].",
    "@outdoor_talk ships|the weather|bees|faraway countries|dogs|the stars|trains|old songs",
    "@journey_lost Then {he} took a wrong turn. {^he} stopped, looked at the map and went back to "
    "the last [tree].",
    "@journey_lost At the last corner there was no sign. {^he} asked a [person], who pointed to "
    "the left.",
    "@journey_lost {^he} almost missed the right stop, because {he} had been dreaming.",
    "@journey_arrive {^his} {kin} was already waiting at the gate with open arms. \"How tall you "
    "are!\" {khe} said.",
    "@journey_arrive From far away {he} saw the [color] door and {his} {kin} in front of it. {^he} "
    "ran the last few steps.",

    "@journey_end They drank [drink] under the [tree], and {hero} stayed for a whole week.",
    "@journey_end In the evening {hero} wrote a letter to {friend}. \"I found the way,\" {he} "
    "wrote.",
    "@journey_end That night {hero} slept in a room that smelled of [fruits] and dreamed of the "
    "[outdoors].",

    /* ---- a race, a contest ---- */
    "@plot_contest [contest_kind][opening]there was a {contest} in {town}. {hero} and {friend} "
    "both took part. "
    "[contest_before]\n\n{middle} [contest_choice]\n\n[contest_end] "
    "[!lesson:[contest_lesson]][learned]",
    "@contest_kind [!contest:race around the pond][!middle:At the last turn {friend} slipped and "
    "fell. "
    "{hero} was far ahead and could see the finish.]",
    "@contest_kind [!contest:boat race on the river][!middle:Halfway {friend}'s boat got stuck on "
    "a "
    "stone. {hero}'s boat was the fastest of all.]",
    "@contest_kind [!contest:kite contest on the hill][!middle:{hero}'s kite stood high in the "
    "sky, but "
    "the string of {friend}'s kite was tangled.]",
    "@contest_kind [!contest:baking contest at the school][!middle:{hero}'s cake was in the oven, "
    "but "
    "{friend} had dropped {fhis} last egg.]",
    "@contest_kind [!contest:sled race in the snow][!middle:{hero} was in front when {friend}'s "
    "sled "
    "turned over with a crash.]",
    "@contest_before \"May the best one win,\" said {friend}. They shook hands.",
    "@contest_before The whole town had come to watch. A band was playing, and there was [drink] "
    "for all.",
    "@contest_before {hero} had practiced for [few] weeks and wanted to win the golden cup.",
    "@contest_choice {hero} wanted so much to win! But {he} turned around and went back to help.",
    "@contest_choice For a moment {hero} did not know what to do. Then {he} stopped. \"Are you all "
    "right?\" {he} asked.",
    "@contest_choice \"Go on!\" called {friend}. But {hero} shook {his} head. \"Not without you,\" "
    "{he} said.",
    "@contest_end They came in last, but the people clapped louder for them than for the winner.",
    "@contest_end Somebody else won the cup. But the mayor gave the two friends a medal for "
    "fairness.",
    "@contest_end In the end they did not win, but it was the best day of the [season].",
    "@contest_lesson helping a friend is worth more than a cup|there are many ways to win",
    "@contest_lesson a friend by your side is better than a prize in your hand",
};

const struct grammar_source story_outdoors = {rules, sizeof rules / sizeof rules[0]};
