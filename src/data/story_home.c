/* Plots at home, in town and at school. A plot binds what must agree (the thing that is lost, why
 * it lay where it lay) before it tells. */
#include "data/story_rules.h"

static const char *const rules[] = {
    /* ---- something is lost and found ---- */
    "@plot_lost [!thing:[lost_adjective] [small_thing]][lost_place]"
    "[opening][lost_notice] [lost_look] [was_sad]\n\n[lost_meet] [offer_help] [lost_search]\n\n"
    "[lost_find] [was_glad] [thank_friend] [ending]",
    "@lost_adjective [color]|[color]|[look]|[size]",
    "@lost_notice {hero} wanted to play with {his} {thing}, but it was gone.",
    "@lost_notice {hero} could not find {his} {thing}.|{hero} noticed that {his} {thing} was "
    "missing.",
    "@lost_notice {hero} reached for {his} {thing}, but the place on the shelf was empty.",
    "@lost_notice {hero} woke up and saw at once that {his} {thing} was not there.",
    "@lost_look {^he} looked [search_place] and [search_place], but it was not there.",
    "@lost_look {^he} looked everywhere, even [search_place], but found only [lost_junk].",
    "@lost_look First {he} looked [search_place]. Then {he} looked [search_place]. Nothing!",
    "@lost_look \"Where can it be?\" {he} asked. {^he} searched the whole [room] without any luck.",
    "@lost_junk an old [small_thing]|some dust|a [color] [small_thing]|two coins and a "
    "[small_thing]",
    "@search_place under the [furniture]|behind the [furniture]|in the [room]|on the [furniture]",
    "@search_place next to the stove|under the carpet|behind the curtains|in every drawer",
    "@search_place in all {his} pockets|in the school bag|outside by the door",
    "@lost_place [!spot:in the dog's basket][!why:The dog had carried it there because it smelled "
    "of home]",
    "@lost_place [!spot:in the pocket of {his} old coat][!why:{^he} had put it there when it began "
    "to rain]",
    "@lost_place [!spot:under a pile of leaves in the garden][!why:The wind had blown the leaves "
    "over it during the night]",
    "@lost_place [!spot:on the roof of the shed][!why:A magpie had taken it, because magpies love "
    "everything that shines]",
    "@lost_place [!spot:between two cushions of the sofa][!why:It had slipped down there while "
    "{he} "
    "was reading]",
    "@lost_place [!spot:in the bread basket][!why:{^he} had been so sleepy at breakfast that {he} "
    "had laid it down with the bread]",
    "@lost_place [!spot:under the big bush by the gate][!why:It had fallen out of {his} bag on the "
    "way home]",
    "@lost_place [!spot:on the window sill of the school][!why:{^he} had left it there when the "
    "bell "
    "rang]",
    "@lost_place [!spot:in the cat's favorite chair][!why:The cat had been sleeping on it all "
    "along]",
    "@lost_place [!spot:behind the flower pots][!why:It had rolled there when {he} dropped it]",
    "@lost_place [!spot:in the laundry][!why:It had been wrapped in a towel by mistake]",
    "@lost_meet {friend} came by and saw {him}. [ask_what] \"My {thing} is gone,\" said {hero}.",
    "@lost_meet {hero} went to {friend} and told {fhim} about the {thing}.",
    "@lost_meet Then {friend} knocked at the door. [ask_what] {hero} told {fhim} the whole story.",
    "@lost_search \"Where did you have it last?\" {fhe} asked. {hero} thought hard. \"Yesterday, "
    "after "
    "supper,\" {he} said.",
    "@lost_search They made a list of all the places where {hero} had been the day before.",
    "@lost_search They went back the same way, step by step, and looked at every stone.",
    "@lost_search \"Let us think,\" said {friend}. \"A {thing} cannot walk. Somebody must have "
    "moved it.\"",
    "@lost_search They asked the [whom=person], but the {whom} had not seen it either.",
    "@lost_find [later] {friend} called, \"Here it is!\" The {thing} lay {spot}. {why}.",
    "@lost_find Then {hero} had an idea. {^he} looked {spot}, and there was the {thing}! {why}.",
    "@lost_find They found it {spot}. {why}.",
    "@lost_find And what did they see {spot}? The {thing}! {why}.",

    /* ---- something breaks and the truth is told ---- */
    "@plot_truth [!thing:[color] [fragile]][truth_how]"
    "[opening]{hero} was playing in the [room]. {how} The {thing} fell to the floor and broke.\n\n"
    "[was_sad] [truth_tempt] [truth_think]\n\n[truth_tell] [truth_forgive] [truth_mend] "
    "[!lesson:[truth_lesson]][learned]",
    "@fragile vase|bowl|plate|lamp|jug|mirror|teapot|flower pot|cup|picture frame",
    "@truth_how [!how:{^he} threw {his} ball a little too high.]",
    "@truth_how [!how:{^he} jumped from the [furniture] like a frog, and the shelf shook.]",
    "@truth_how [!how:{^he} ran around the table and did not look where {he} was going.]",
    "@truth_how [!how:{^he} wanted to reach the cookies on the top shelf and climbed on a stool.]",
    "@truth_how [!how:{^he} danced with a broom and turned around too fast.]",
    "@truth_tempt \"Nobody has seen it,\" {he} thought. \"I could say that the cat did it.\"",
    "@truth_tempt {^he} pushed the pieces under the [furniture] and went outside.",
    "@truth_tempt For a moment {he} wanted to run away and hide.",
    "@truth_think But {he} could not think of anything else. {^his} stomach hurt.",
    "@truth_think But the cat looked at {him} with big round eyes. It had done nothing wrong.",
    "@truth_think But then {he} remembered how it feels when somebody tells a lie.",
    "@truth_think All afternoon {he} could not enjoy {his} games, because {he} thought of the "
    "{thing}.",
    "@truth_tell In the evening {hero} went to {his} {elder}. \"I broke the {thing},\" {he} said. "
    "\"I am sorry.\"",
    "@truth_tell When {his} {elder} came home, {hero} took a deep breath. \"It was me,\" {he} "
    "said. \"I broke the {thing}.\"",
    "@truth_tell \"{Elder},\" said {hero} in a small voice, \"I must tell you something. The "
    "{thing} is broken, and it is my fault.\"",
    "@truth_forgive {^his} {elder} looked at the pieces and then at {him}. \"Thank you for telling "
    "me,\" {ehe} said. \"A {thing} can be mended. Trust is harder to mend.\"",
    "@truth_forgive \"I was fond of that {thing},\" said {Elder}, \"but I am fonder of you.\"",
    "@truth_forgive {Elder} was quiet for a moment. Then {ehe} took {him} in {ehis} arms. \"It "
    "takes courage to say that,\" {ehe} said.",
    "@truth_mend Together they glued the pieces, and it took the whole evening.",
    "@truth_mend [next_day] they mended it with glue. You could see the cracks, but it held.",
    "@truth_mend {hero} saved {his} coins for [few] weeks and bought a new one at the market.",
    "@truth_lesson the truth is lighter to carry than a lie|telling the truth feels better than "
    "hiding",
    "@truth_lesson a mistake is not so bad when you admit it|it is brave to say sorry",

    /* ---- two friends quarrel and make up ---- */
    "@plot_quarrel [quarrel_cause][opening]{hero} and {friend} {doing}. {cause}\n\n[quarrel_words] "
    "[quarrel_part] [aside]\n\n[quarrel_alone] [quarrel_talk]\n\n[quarrel_peace] "
    "[!lesson:[quarrel_lesson]][learned]",
    "@quarrel_cause [!doing:were playing with a [color] [toy]][!cause:Both of them wanted to have "
    "it "
    "at the same time.][!fix:\"You have it until noon, and I have it until evening,\" said "
    "{friend}.]",
    "@quarrel_cause [!doing:were building a tower of blocks][!cause:{friend} pulled out a block at "
    "the bottom, and the whole tower came down.][!fix:They built a new tower, and this time it was "
    "even taller than {hero}.]",
    "@quarrel_cause [!doing:had one [taste] [sweet] for the two of them][!cause:{hero} took the "
    "bigger "
    "piece without asking.][!fix:\"Next time one of us cuts and the other one chooses,\" said "
    "{hero}.]",
    "@quarrel_cause [!doing:were running a race to the [tree]][!cause:\"I was first!\" cried "
    "{hero}. "
    "\"No, I was!\" cried {friend}.][!fix:They ran again, hand in hand, so that both of them were "
    "first.]",
    "@quarrel_cause [!doing:were painting a picture together][!cause:{hero} painted the sky green, "
    "and {friend} wanted it blue.][!fix:They painted a sunset, with every color that they had.]",
    "@quarrel_cause [!doing:wanted to play a game][!cause:{hero} wanted to play hide and seek, but "
    "{friend} wanted to play ball.][!fix:They played hide and seek first and then they played "
    "ball.]",
    "@quarrel_words \"You are not my friend any more!\" said {hero}.|\"That is not fair!\" cried "
    "{friend}.",
    "@quarrel_words They shouted at each other until they were both red in the face.",
    "@quarrel_words {hero} stamped {his} foot, and {friend} turned away.",
    "@quarrel_part {friend} went home without a word.|{hero} ran home and shut the door behind "
    "{him}.",
    "@quarrel_part They sat at two ends of the bench and did not look at each other.",
    "@quarrel_alone {hero} tried to play alone, but it was no fun.|Alone, everything was boring.",
    "@quarrel_alone In the [room] it was very quiet. {hero} missed {friend}.",
    "@quarrel_talk \"Why are you not playing with {friend}?\" asked {Elder}. {hero} told {ehim} "
    "what had happened. \"What would you like {friend} to do?\" {ehe} asked. \"Say sorry,\" said "
    "{hero}. \"Then you can do it first,\" said {Elder}.",
    "@quarrel_talk {^he} thought about what {friend} had said, and {he} saw that they had both "
    "been wrong.",
    "@quarrel_talk \"A friend is worth more than a [toy],\" said {Elder}. {hero} thought about "
    "that for a long time.",
    "@quarrel_peace So {hero} went to {friend}. \"I am sorry,\" {he} said. \"I am sorry too,\" "
    "said {friend}. {fix}",
    "@quarrel_peace {hero} opened the door to go to {friend}, and there {fhe} stood already. Both "
    "said sorry at the same time and had to laugh. {fix}",
    "@quarrel_peace {hero} drew a picture of two friends and put it under {friend}'s door. A "
    "minute later {friend} came out. {fix}",
    "@quarrel_lesson saying sorry is not hard once you begin|sharing is more fun than winning",
    "@quarrel_lesson two friends can want different things|a quarrel ends when one of the two "
    "stops",

    /* ---- learning something hard ---- */
    "@plot_learn [skill][opening]{hero} saw how {friend} could {skill}. \"I want to learn that "
    "too,\" "
    "said {hero}.\n\n[learn_fail] {fail} [was_sad] [learn_quit]\n\n[learn_advice] [learn_practice]"
    "\n\n[learn_win] {win} [was_glad] [!lesson:[learn_lesson]][learned]",
    "@skill [!skill:swim][!fail:{^he} swallowed a lot of water and held on to the edge.]"
    "[!win:{^he} swam from one side of the pond to the other.]",
    "@skill [!skill:ride a bicycle][!fail:{^he} fell into the grass and scratched {his} knee.]"
    "[!win:{^he} rode down the street and around the corner, and {he} did not fall once.]",
    "@skill [!skill:whistle][!fail:Only air came out between {his} lips.][!win:It was a clear, "
    "high "
    "sound, and the dog came running.]",
    "@skill [!skill:play the [!tune=instrument]{tune}][!fail:The {tune} made a terrible noise, and "
    "the "
    "cat ran away.][!win:{^he} played a whole song, and {his} {elder} began to dance.]",
    "@skill [!skill:tie a good knot][!fail:The knot came undone as soon as {he} let go.]"
    "[!win:The knot held, even when they both pulled at the rope.]",
    "@skill [!skill:skate on the ice][!fail:{^his} feet went one way and the rest of {him} went "
    "the "
    "other way.][!win:{^he} made a big circle on the frozen pond.]",
    "@skill [!skill:bake bread][!fail:The bread was as hard as a stone.][!win:The bread was soft "
    "and "
    "brown, and the whole house smelled of it.]",
    "@skill [!skill:read long words][!fail:{^he} stopped in the middle and forgot how the word "
    "began.]"
    "[!win:{^he} read a whole page aloud, and nobody had to help {him}.]",
    "@skill [!skill:climb the [!wood=tree]{wood}][!fail:{^he} got up to the first branch and slid "
    "down again.][!win:{^he} sat at the very top of the {wood} and could see the whole town.]",
    "@skill [!skill:juggle with three [!balls=fruits]{balls}][!fail:The {balls} rolled all over "
    "the "
    "floor.][!win:The {balls} flew in a circle, and not one of them fell down.]",
    "@learn_fail The first try went wrong.|It looked so easy, but it was not.|{^he} tried at once.",
    "@learn_fail \"Show me,\" {he} said, and {friend} showed {him}. Then it was {his} turn.",
    "@learn_quit \"I will never learn it,\" {he} said.|\"It is too hard for me,\" said {hero}.",
    "@learn_quit {hero} wanted to give up.|\"I can't do it,\" {he} said, and {he} went home.",
    "@learn_advice \"Do you think I could do it on the first day?\" asked {friend}. \"I needed "
    "[few] weeks.\"",
    "@learn_advice \"You cannot do it yet,\" said {Elder}. \"Yet is a very important word.\"",
    "@learn_advice \"Go slowly,\" said {friend}. \"One small step, and then another one.\"",
    "@learn_advice \"When you were little, you could not walk,\" said {Elder}. \"You fell down a "
    "hundred times. And now?\"",
    "@learn_practice So {hero} practiced every day after school, a little longer each time.",
    "@learn_practice On Monday it went badly. On Tuesday it went a bit better. On Wednesday {he} "
    "almost did it.",
    "@learn_practice {hero} tried again and again. Each time {he} found out one thing that {he} "
    "could do better.",
    "@learn_practice Every [daytime] they met behind the [place] and practiced together for an "
    "hour.",
    "@learn_win After [few] days it worked at last.|And then, one [weekday], it was suddenly easy.",
    "@learn_win At the end of the month came the big moment.|\"Look!\" {he} called one [daytime].",
    "@learn_lesson practice makes hard things easy|you must not give up too soon|every master was "
    "once a beginner",
    "@learn_lesson a mistake shows you what to do better|small steps also lead up the hill",

    /* ---- a present, a party, a surprise ---- */
    "@plot_gift [gift_kind][opening]{hero} remembered that {his} {elder} had {ehis} birthday "
    "[gift_day]. "
    "[gift_poor]\n\n[gift_plan] {steps} [gift_trouble]\n\n[gift_give] {joy} [ending]",
    "@gift_day tomorrow|on [weekday]|in two days|in a week",
    "@gift_poor But {hero} had only [few] coins, and that was not enough for anything in the shop.",
    "@gift_poor {^he} looked into {his} money box. It was empty.|\"What can I give?\" {he} "
    "thought.",
    "@gift_poor \"The best presents are not bought, they are made,\" said {friend}.",
    "@gift_kind [!gift:a [fruit] cake][!steps:They mixed flour, eggs, milk and honey, and put "
    "the cake in the oven.][!joy:The cake was a little flat, but it tasted wonderful.]",
    "@gift_kind [!gift:a warm scarf][!steps:{friend}'s mother showed them how to knit. The scarf "
    "grew "
    "every day, row by row.][!joy:\"How warm it is!\" said {Elder}, and {ehe} wore it the whole "
    "winter.]",
    "@gift_kind [!gift:a house for the birds][!steps:They sawed the wood, hammered in the nails "
    "and "
    "painted the roof [color].][!joy:In spring two robins moved into it.]",
    "@gift_kind [!gift:a song][!steps:{hero} wrote the words, and {friend} found the melody on "
    "{fhis} "
    "[instrument].][!joy:{Elder} listened with wet eyes and asked to hear it [few] times.]",
    "@gift_kind [!gift:a big picture of the [outdoors]][!steps:They painted with [color] and "
    "[color] "
    "paint until their fingers were full of it.][!joy:{Elder} hung the picture over the "
    "[furniture].]",
    "@gift_kind [!gift:a basket of [!pick=fruits]{pick}][!steps:They climbed up the ladder and "
    "picked "
    "only the ripe ones.][!joy:{Elder} made jam of the {pick}, and everybody got a jar.]",
    "@gift_kind [!gift:a pot of [!grow=flowers]{grow}][!steps:They put the seeds into dark earth, "
    "gave "
    "them water and set the pot in the sun.][!joy:\"{^grow}!\" said {Elder}. \"My favorite "
    "flowers!\"]",
    "@gift_plan \"I know what we can do,\" said {hero}. \"We will make {gift}.\"",
    "@gift_plan After a long time {he} had an idea: {gift}! [agree]",
    "@gift_plan {hero} and {friend} talked about it the whole [daytime]. In the end they chose "
    "{gift}.",
    "@gift_trouble {Elder} came in once, and they had to hide everything under the [furniture].",
    "@gift_trouble It was more work than they had thought, but they did not stop.",
    "@gift_trouble The [pet] wanted to help too and made a great mess. They had to laugh.",
    "@gift_give On the birthday {hero} said, \"Close your eyes!\" Then {he} gave {Elder} {gift}.",
    "@gift_give When the day came, {hero} was so excited that {he} could hardly eat. \"Happy "
    "birthday!\" {he} called and brought {gift}.",

    /* ---- noises in the night ---- */
    "@plot_night [night_noise][meet_hero] One night {hero} woke up. {noise}\n\n[night_fear] "
    "[night_brave]\n\n[night_look] {cause} [night_laugh] [!lesson:[night_lesson]][learned]",
    "@night_noise [!noise:Something was knocking at the window.][!cause:It was only a branch of "
    "the "
    "[tree] that the wind moved against the glass.]",
    "@night_noise [!noise:There were steps on the roof.][!cause:Two [color] cats were walking "
    "along the "
    "roof in the light of the moon.]",
    "@night_noise [!noise:A strange sound came from the kitchen: drip, drop, drip, "
    "drop.][!cause:The tap "
    "was not quite closed, and the water dripped into a bowl.]",
    "@night_noise [!noise:Something was scratching behind the [furniture].][!cause:A tiny mouse "
    "was "
    "rolling a nut along the wall.]",
    "@night_noise [!noise:A big dark shape stood in the corner of the room.][!cause:It was {his} "
    "own "
    "coat, which hung over a chair.]",
    "@night_noise [!noise:Somebody said \"Hoo, hoo\" in the dark.][!cause:On the [tree] sat an owl "
    "and "
    "looked at {him} with round yellow eyes.]",
    "@night_fear {hero} pulled the blanket over {his} head.|{^his} heart beat like a drum.",
    "@night_fear \"Who is there?\" {he} whispered. Nobody answered.|{hero} did not dare to move.",
    "@night_brave But then {he} thought, \"If I don't look, I will never know.\" {^he} took {his} "
    "lamp.",
    "@night_brave {^he} called {his} {elder}. \"Let us go and see,\" {ehe} said and took {his} "
    "hand.",
    "@night_brave {^he} held {his} teddy bear tight and put one foot on the floor.",
    "@night_look Step by step they came nearer.|{^he} lit a candle and looked.|{^he} went closer.",
    "@night_laugh {hero} had to laugh at {himself}.|\"So that was all!\" said {hero}, and {he} "
    "went back to bed.",
    "@night_laugh {hero} waved good night and slept until the morning.",
    "@night_lesson most things are only scary in the dark|it helps to look at what you fear",
    "@night_lesson a noise always has a cause",

    /* ---- the market: coins that add up ---- */
    "@plot_market [market_need][coin_sum][opening]{hero}'s {elder} wanted to make {meal}. "
    "\"Please buy {need} at the market,\" {ehe} said and gave {him} {paid} coins.\n\n[market_walk] "
    "[market_buy]\n\n[market_meet] [market_end]",
    "@market_need [!need:some [fruits]][!meal:a pie]|[!need:some [vegetables]][!meal:a pot of "
    "soup]",
    "@market_need [!need:milk and eggs][!meal:pancakes]|[!need:flour and honey][!meal:a cake]",
    "@market_need [!need:cheese and bread][!meal:supper for the guests]",
    "@coin_sum [!paid:five][!price:three][!rest:two]|[!paid:ten][!price:seven][!rest:three]",
    "@coin_sum [!paid:six][!price:two][!rest:four]|[!paid:eight][!price:five][!rest:three]",
    "@coin_sum [!paid:nine][!price:four][!rest:five]|[!paid:ten][!price:four][!rest:six]",
    "@coin_sum [!paid:seven][!price:five][!rest:two]|[!paid:twelve][!price:nine][!rest:three]",
    "@market_walk The market was full of people. There were [fruits], [vegetables] and [flowers].",
    "@market_walk On the way {he} met {friend} with a [size] basket, and they went on together.",
    "@market_walk {hero} walked past the [place] and over the bridge. {^he} said the list aloud, "
    "so that {he} would not forget it.",
    "@market_walk {^he} took the [color] basket and went down the hill. [aside]",
    "@market_buy \"That makes {price} coins,\" said the [person]. {hero} gave all {paid} coins and "
    "got {rest} back, because {paid} minus {price} is {rest}.",
    "@market_buy \"How much is it?\" {he} asked. \"{^price} coins,\" said the [person]. So {hero} "
    "had {rest} coins left of {his} {paid}.",
    "@market_buy {^he} paid {price} coins and counted the rest: {rest}. \"{^price} and {rest} make "
    "{paid},\" {he} said. \"That is right.\"",
    "@market_meet In front of the gate sat a small {kid} who was crying, because a [sweet] had "
    "fallen into the mud. {hero} bought another one with one of the coins.",
    "@market_meet At the corner a [person] was playing the [instrument]. {hero} listened to three "
    "songs and put a coin into the hat.",
    "@market_meet On the way back it began to rain. {hero} hid the basket under {his} coat, and "
    "everything stayed dry.",
    "@market_meet Next to the well {he} saw a coin in the dust. {^he} asked around until {he} "
    "found the [person] who had lost it.",
    "@market_end {Elder} was pleased. Soon there was {meal}, and {friend} was allowed to stay for "
    "it.",
    "@market_end \"You can count, and you have a good heart,\" said {Elder}. And the {kid} helped "
    "to make {meal}.",
    "@market_end At home {hero} put everything on the table and told {his} {elder} about it. "
    "[elder_praise]",
};

const struct grammar_source story_home = {rules, sizeof rules / sizeof rules[0]};
