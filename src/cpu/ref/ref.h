/* The oracle: every operation as plain loops, in the order that backend/ops.h documents, on one
 * thread and without buffers. Never optimized. The files of this directory are compiled twice, with
 * REAL = float (symbols NAME_ref_f32) and REAL = double (NAME_ref_f64). */
#ifndef CPU_REF_REF_H
#define CPU_REF_REF_H

#include <math.h>

#include "backend/ops.h"

#define REF_JOIN2(name, tag) name##_ref_##tag
#define REF_JOIN(name, tag) REF_JOIN2(name, tag)
#define REF(name) REF_JOIN(name, REF_TAG)

typedef REAL real;

#define REF_DECLARE(name) void REF(name)(struct stream * stream, const struct op_##name *op);
OPS(REF_DECLARE)
#undef REF_DECLARE

#if REAL_IS_FLOAT
static inline real real_fma(real a, real b, real c) { return fmaf(a, b, c); }
static inline real real_exp(real x) { return expf(x); }
static inline real real_log(real x) { return logf(x); }
static inline real real_sqrt(real x) { return sqrtf(x); }
#else
static inline real real_fma(real a, real b, real c) { return fma(a, b, c); }
static inline real real_exp(real x) { return exp(x); }
static inline real real_log(real x) { return log(x); }
static inline real real_sqrt(real x) { return sqrt(x); }
#endif
static inline real real_sigmoid(real z) { return 1 / (1 + real_exp(-z)); }

/* Row r of x. */
static inline real *ref_row(struct tensor x, int64_t r) { return (real *)x.data + r * x.stride; }

#endif
