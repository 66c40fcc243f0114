/* The oracle's tables, in float and in double. */
#ifndef CPU_REF_REF_TABLE_H
#define CPU_REF_REF_TABLE_H

#include "backend/ops.h"

extern const struct op_table ref_ops_f32;
extern const struct op_table ref_ops_f64;

#endif
