/* How the corpus words questions, worked reasoning and answers: rules over the variables that
 * task_explain sets. The rules are ask_KIND, explain_KIND, frame_*; none is a task's own question.
 */
#ifndef DATA_TASK_WORDING_H
#define DATA_TASK_WORDING_H

#include "data/grammar.h"

extern const struct grammar_source task_wording;

#endif
