#include "data/task_wording.h"

static const char *const rules[] = {
    /* ---- how often a letter stands in a word ---- */
    "@ask_letters How many {letter}'s are in {word}?|How many times does {letter} occur in {word}?",
    "@ask_letters Count the letter {letter} in the word {word}.|How often is {letter} used in "
    "{word}?",
    "@ask_letters What is the number of {letter}'s in {word}?|Tell me how often {letter} stands in "
    "{word}.",
    "@ask_letters In the word {word}, how many letters are {letter}?|Count the {letter}'s in "
    "{word}.",
    "@ask_letters How many of the letters of {word} are {letter}?|How many {letter} are there in "
    "{word}?",
    "@ask_letters How often do you find the letter {letter} in {word}?|{word}: how many {letter}?",
    "@ask_letters Look at the word {word}. How many times is {letter} in it?",
    "@letters_spell The word {word} is spelled {commas}.|The letters of {word} are {commas}.",
    "@letters_spell {word}: {spaces}.|Spelled out, {word} is {spaces}.|Let me spell {word}: "
    "{commas}.",
    "@letters_spell First I spell the word: {spaces}.|I write the letters down: {commas}.",
    "@letters_spell {word} has the letters {commas}.|The word is {word}, that is {spaces}.",
    "@letters_walk Now I count {letter}: {running}.|I go through them one by one: {running}.",
    "@letters_walk Is it {letter}? {yesno}.|Looking for {letter}: {yesno}.|Counting {letter}: "
    "{running}.",
    "@letters_some [letters_walk]|[letters_walk]|With numbers: {numbered}. The letter {letter} has "
    "{positions}.",
    "@letters_some The letter {letter} is at position {positions}.|The ones that are {letter}: "
    "{hits}.",
    "@letters_none [letters_walk]|[letters_walk]|None of them is {letter}.|There is no {letter} "
    "among them.",
    "@letters_so So there {are} {count}.|That makes {count}.|So {letter} is there {times}.",
    "@letters_so I count {count}.|The count is {count}.|So the letter {letter} is in it {times}.",
    "@letters_check  Let me check: {running}. Yes, {count}.| I check it again: {yesno}. It is "
    "{count}.",
    "@letters_check  Wait, let me count again: {numbered}. The result is the same, {count}.",
    "@letters_slip I think that makes {wrong}. Wait, let me check: {running}. No, it is {count}.",
    "@letters_slip At first sight it is {wrong}. But I must count carefully: {running}. It is "
    "{count}.",
    "@explain_letters_some [letters_spell] [letters_some] [letters_so]",
    "@explain_letters_none [letters_spell] [letters_none] [letters_so]",
    "@explain_letters_check [letters_spell] [letters_walk] [letters_so][letters_check]",
    "@explain_letters_slip [letters_spell] [letters_slip]",

    /* ---- spelling, length, position ---- */
    "@ask_spell Spell {word}.|Spell the word {word}.|How do you spell {word}?|Write the letters of "
    "{word}.",
    "@ask_spell Which letters make the word {word}?|Give the letters of {word} one by one.",
    "@explain_spell The word is {word}. [spell_slow]|[spell_slow]|I say it slowly: {word}. "
    "[spell_slow]",
    "@spell_slow The letters are {spaces}.|One letter after the other: {spaces}.|With numbers: "
    "{numbered}.",
    "@spell_slow It begins with {first} and ends with {last}: {spaces}.",
    "@spell_line {word}: {commas}.|{word} is spelled {commas}.|The word {word} is spelled "
    "{spaces}.",
    "@spell_line {word}, {spaces}.|The letters of {word} are {commas}.|{word} has the letters "
    "{spaces}.",
    "@ask_length How long is the word {word}?|Count the letters of {word}.|How many letters are in "
    "{word}?",
    "@ask_length What is the number of letters in {word}?|{word}: how many letters is that?",
    "@explain_length I number the letters: {numbered}. The last number is {length}.",
    "@explain_length The letters are {commas}. I count them: {counting}. That makes {length}.",
    "@explain_length {word} is {spaces}. With numbers that is {numbered}, so there are {length}.",
    "@ask_position Which letter is the {place} one in {word}?|Name the {place} letter of {word}.",
    "@ask_position Look at {word}. Which letter comes {place}?|Give me the {place} letter in "
    "{word}.",
    "@explain_position The word {word} is {spaces}. The {place} letter is {answer}.",
    "@explain_position I spell it: {commas}. The {place} one is {answer}.",
    "@explain_position With numbers: {numbered}. So the {place} letter is {answer}.",

    /* ---- sums ---- */
    "@ask_sums {a} + {b} = ?|How much is {a} + {b}?|Add {a} and {b}.|Calculate {a} + {b}.",
    "@ask_sums What is the sum of {a} and {b}?|What do {a} and {b} make together?|What is {a} plus "
    "{b}?",
    "@ask_sums There are {a} [counted] in one box and {b} in another one. How many are there in "
    "all?",
    "@ask_sums [girl_name] has {a} [counted], and [boy_name] has {b}. How many do they have "
    "together?",
    "@ask_sums A [person] sold {a} [fruits] yesterday and {b} today. How many is that?",
    "@counted apples|nuts|stamps|coins|marbles|books|shells|buttons|stones|pencils|eggs|cards",
    "@explain_sums [sums_work] [sums_so]|[sums_work] [sums_so]|[sums_work] [sums_so][sums_check]",
    "@sums_work I add column by column. {columns}|{columns}|From right to left: {columns}",
    "@sums_work I add {b} in parts: {parts}.|Step by step: {parts}.|{parts}.",
    "@sums_so So {a} + {b} = {sum}.|Together that is {sum}.|The sum is {sum}.|That makes {sum}.",
    "@sums_check  Check: {sum} - {b} = {a}.| I check it: {sum} - {a} = {b}, which is right.",

    /* ---- comparisons ---- */
    "@ask_compare Which is {larger}: {a} or {b}?|Is {a} or {b} {larger}?|Compare {a} and {b}. "
    "Which is {larger}?",
    "@ask_compare Of {a} and {b}, which one is {larger}?|Which of the numbers {a} and {b} is "
    "{larger}?",
    "@ask_compare Find the {larger} number: {a}, {b}.|Choose the {larger} one of {a} and {b}.",
    "@explain_compare {reason} [compare_so]|I compare {a} and {b}. {reason} [compare_so]",
    "@explain_compare The numbers are {a} and {b}. {reason} [compare_so]",
    "@compare_so So {big} is larger than {small}. The {larger} number is {answer}.",
    "@compare_so So {small} is smaller than {big}, and the {larger} one is {answer}.",
    "@compare_so That means {big} > {small}. The {larger} one is {answer}.",

    /* ---- sorting ---- */
    "@ask_sort Put these numbers in order from {from} to {to}: {list}.|Order {list} from {from} to "
    "{to}.",
    "@ask_sort Arrange the numbers {list}. Begin with the {firstly}.|Sort these, {from} first: "
    "{list}.",
    "@ask_sort Write {list} in {way} order.|Here are some numbers: {list}. Sort them from {from} "
    "to {to}.",
    "@explain_sort {select} [sort_so]|{insert} [sort_so]|I always take the {firstly}. {select} "
    "[sort_so]",
    "@explain_sort I put in one number after the other. {insert} [sort_so]",
    "@sort_so The order is {answer}.|So the sorted list is {answer}.|That gives {answer}.",

    /* ---- countdown ---- */
    "@ask_countdown Make {target} from {list}. Use every number once.|With {list}, how can you "
    "make {target}?",
    "@ask_countdown Reach {target} with the numbers {list}. You may use + - * / and each number "
    "once.",
    "@ask_countdown Find an expression for {target} that uses each of {list} once.",
    "@explain_countdown {tries}[countdown_try] {steps}. [countdown_so]|{tries}{steps}. "
    "[countdown_so]",
    "@countdown_try I try|Let me try|What about this:|I could take",
    "@countdown_so That is {target}. So {answer} = {target}.|That works: {answer} = {target}.",
    "@countdown_so This is the target, so the expression is {answer}.",

    /* ---- weekdays ---- */
    "@ask_weekday Today is {a}. What day is it in {days}?|It is {a}. Which day will it be after "
    "{days}?",
    "@ask_weekday What day comes {days} after {a}?|If today is {a}, what day is it {days} later?",
    "@explain_weekday {weeks}{walk} [weekday_so]",
    "@weekday_so So it is {answer}.|That is a {answer}.|The day is {answer}.",

    /* ---- frames ---- */
    "@frame_template User: {question}\nAssistant: {block}|User: {question}\nAssistant: {block}",
    "@frame_template User: {question}\nAssistant: {block}|User: {question} Assistant: {block}",
    "@frame_template Question: {question}\n{block}|Q: {question}\nA: {block}|{question}\n{block}",
    "@frame_template {question} {block}|Problem: {question}\nSolution: {block}",
    "@block <think> {thought} </think> <answer> {answer} </answer>",
    "@frame_prose {question} {thought} [answer_is]|Question: {question}\nAnswer: {thought} "
    "[answer_is]",
    "@frame_prose {question}\n{thought} [answer_is]|\"{question}\" \"{thought}\"",
    "@frame_prose \"{question}\" asked [girl_name]. \"{thought}\" said [boy_name].",
    "@frame_prose [boy_name] asked, \"{question}\" [girl_name] answered, \"{thought}\"",
    "@answer_is The answer is {answer}.|So the answer is {answer}.|Answer: {answer}",
    "@frame_bare {question} {answer}|Question: {question}\nAnswer: {answer}|{question} [answer_is]",
    "@frame_bare \"{question}\" asked [girl_name]. \"{answer}\" said [boy_name].",
    "@idle_thought I have to answer this.|Let me think about it.|Let me see.|I think I know it.",
    "@idle_thought This is not hard.|I must look at it closely.|That is a good question.|One "
    "moment.",
};

const struct grammar_source task_wording = {rules, sizeof rules / sizeof rules[0]};
