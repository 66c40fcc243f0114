/* Gradients against finite differences, in double on the oracle, through the checked front of the
 * operations. */
#ifndef GRADIENT_H
#define GRADIENT_H

#include "backend/device.h"

/* A ref64 device, a stream on it, and memory that lives as long. */
struct oracle {
    struct device *device;
    struct stream stream;
    void *blocks[64];
    int block_count;
    uint64_t draws; /* arrays drawn so far */
};
void oracle_open(struct oracle *oracle);
/* Fails the test if the stream has failed. */
void oracle_close(struct oracle *oracle);
void *oracle_block(struct oracle *oracle, size_t bytes); /* zeroed */
struct tensor oracle_zero(struct oracle *oracle, int64_t rows, int64_t cols);
struct tensor oracle_normal(struct oracle *oracle, int64_t rows, int64_t cols);
int32_t *oracle_below(struct oracle *oracle, int64_t count, int64_t n);

static inline double *at(struct tensor x, int64_t row) { return (double *)tensor_at(x, row, 0); }
/* sum of x * y */
double tensor_dot(struct tensor x, struct tensor y);

/* dx is the gradient of loss(context) with respect to every element of x, within 1e-8 of its
 * largest element (five-point differences; the loss is evaluated four times an element). The loss
 * runs the forward again and reads x where it lies. */
typedef double loss_fn(void *context);
void check_gradient(const char *name, struct tensor x, struct tensor dx, loss_fn *loss,
                    void *context);
void check_close(const char *name, struct tensor actual, struct tensor expected, double tolerance);

#endif
