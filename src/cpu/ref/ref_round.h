/* Rounding of operands, element by element in single precision (backend/ops.h: enum rounding). */
#ifndef CPU_REF_REF_ROUND_H
#define CPU_REF_REF_ROUND_H

#include "cpu/ref/ref.h"

/* A rectangle of elements: `along` of them `step` apart, `across` times, `pitch` apart. */
struct ref_grid {
    real *at;
    int64_t along, step, across, pitch;
};
/* Rounds in place; tiles run along, from the first element on. */
void REF(round_grid)(struct ref_grid grid, enum rounding rounding);

#endif
