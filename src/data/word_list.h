/* The words of the spelling and letter tasks, in two splits.
 *
 * A word is held out when it is strawberry, raspberry or deepseek (or one of their forms), or when
 * its hash falls into one tenth and no story or task text uses it: a word that is common in stories
 * becomes a token of its own, and a token that was never spelled cannot be spelled. The rule is a
 * function of the word alone, so every list keeps to the same split. */
#ifndef DATA_WORD_LIST_H
#define DATA_WORD_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/rng.h"
#include "base/status.h"

enum task_split { TASK_TRAIN, TASK_HELDOUT, TASK_SPLITS };
const char *task_split_name(enum task_split split); /* "train", "heldout" */

/* Words have 3 to 14 letters, a to z; WORD_GOLDS - 1 is the most often that a letter stands in one.
 */
enum { WORD_MIN = 3, WORD_MAX = 14, WORD_GOLDS = 5, WORD_DEFAULT_COUNT = 12000 };

/* Text rows of words separated by spaces. */
struct word_rows {
    const char *const *rows;
    size_t count;
};
extern const struct word_rows word_rows_builtin;

struct word_list;

/* `count` words (0: WORD_DEFAULT_COUNT), chosen by hash, words with a letter that stands four times
 * first, as they are few. path NULL: /usr/share/dict/words where present, else the built-in words;
 * "": the built-in ones. The three famous words are in every list. */
fathom_status word_list_new(struct word_list **out, const char *path, size_t count,
                            struct error *err);
void word_list_free(struct word_list *list); /* accepts NULL */

/* `word` is NUL-terminated, of small letters. */
bool word_list_is_heldout(const struct word_list *list, const char *word);
/* TASK_TRAIN may be empty (a file whose words are all held out); TASK_HELDOUT never is. */
size_t word_list_count(const struct word_list *list, enum task_split split);
const char *word_list_get(const struct word_list *list, enum task_split split, size_t i);
/* Where the words came from, for messages. */
const char *word_list_source(const struct word_list *list);

/* Drawing needs a split with a word in it. */
const char *word_list_draw(const struct word_list *list, enum task_split split, struct rng *rng);
/* A word and a letter that stands in it `gold` times, gold < WORD_GOLDS; where the split has no
 * such word, the next smaller gold is taken. Words whose most frequent letter stands more often
 * than `gold` are as likely as others, so that a word does not give its answer away. */
const char *word_list_draw_letter(const struct word_list *list, enum task_split split, int gold,
                                  struct rng *rng, char *letter);
/* How often the letter stands in the word. */
int word_letter_count(const char *word, char letter);

#endif
