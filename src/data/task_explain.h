/* What a problem's wording needs: the variables of task_wording, worked out step by step. */
#ifndef DATA_TASK_EXPLAIN_H
#define DATA_TASK_EXPLAIN_H

#include "data/grammar.h"
#include "data/tasks.h"

/* Remembers the problem's parts and every form of its worked reasoning. rng picks wrong first
 * guesses and tries. */
void task_explain(const struct task_problem *problem, struct rng *rng,
                  struct grammar_memory *memory);
/* The rule of a worked reasoning for this problem, by shares (now and then one that checks itself,
 * or corrects a slip). */
const char *task_explain_rule(const struct task_problem *problem, struct rng *rng);

#endif
