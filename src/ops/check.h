/* What an operation checks of its operands before a kernel sees them.
 *
 * Every check latches a failure on the stream, with the operation's name and the actual values, and
 * returns nothing; an operation states all its checks and then asks once whether the stream has
 * failed. The first failure is the one that is reported. */
#ifndef OPS_CHECK_H
#define OPS_CHECK_H

#include "backend/device.h"

enum { ANY = -1 }; /* a number of rows or columns that the check leaves open */

struct check {
    struct stream *stream;
    const char *op; /* begins the message */
};

/* x is given, of the device's compute dtype, row-major, [rows, cols], with a stride that holds its
 * columns. */
void check_tensor(const struct check *check, const char *name, struct tensor x, int64_t rows,
                  int64_t cols);
/* The same where x is not absent. */
void check_optional(const struct check *check, const char *name, struct tensor x, int64_t rows,
                    int64_t cols);
/* check_tensor for a tensor whose dtype is fixed. */
void check_tensor_of(const struct check *check, const char *name, struct tensor x, int64_t rows,
                     int64_t cols, enum dtype dtype);
/* x is [>= rows, >= cols]. */
void check_at_least(const struct check *check, const char *name, struct tensor x, int64_t rows,
                    int64_t cols);
/* Rows lie without gaps. */
void check_contiguous(const struct check *check, const char *name, struct tensor x);
/* The array is given, unless it has no elements. */
void check_array(const struct check *check, const char *name, const void *array, int64_t count);
/* low <= value <= high. */
void check_range(const struct check *check, const char *name, int64_t value, int64_t low,
                 int64_t high);

/* A named operand, and lists of them: CHECK_LIST(OPERAND(x), OPERAND(w)) within a function whose
 * parameter is `op`. */
struct operand {
    const char *name;
    struct tensor x;
};
#define OPERAND(field)                                                                             \
    { #field, op->field }
#define CHECK_LIST(...)                                                                            \
    (const struct operand[]){__VA_ARGS__},                                                         \
        sizeof((const struct operand[]){__VA_ARGS__}) / sizeof(struct operand)

/* What is written overlaps neither another written operand nor one that is read. Column ranges of
 * one matrix do not overlap. */
void check_apart(const struct check *check, const struct operand *written, size_t written_count,
                 const struct operand *read, size_t read_count);
/* `written` is exactly the view `read`, or apart from it. */
void check_alias(const struct check *check, struct operand written, struct operand read);

/* Whether two views share an element. Either may be absent. */
bool tensors_overlap(struct tensor a, struct tensor b);

/* Spans ascend without overlap within `rows` rows, and their positions are not negative. */
void check_spans(const struct check *check, const struct span *spans, int64_t count, int64_t rows);

#endif
