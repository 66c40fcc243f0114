/* Choosing the largest of a row, for the gate and the balance loss. */
#ifndef CPU_VEC_GATE_H
#define CPU_VEC_GATE_H

#include <float.h>
#include <math.h>

#include "cpu/vec/rows.h"

/* Candidates are at least -FLT_MAX (NaN and -infinity are put there); what was picked or masked is
 * -infinity. So picks are distinct and in range whatever the scores are. */
VEC_INLINE vf pick_candidate(vf x) { return vf_max(x, vf_set1(-FLT_MAX)); }

/* Index of the largest of x[0, n), the lowest on ties; n < 2^24. */
static inline int64_t pick_largest(const float *x, int64_t n) {
    vf best = vf_set1(-INFINITY);
    vi index = vi_zero(), at = vi_iota();
    for (int64_t i = 0; i < n; i += VEC_LANES) {
        vf s = row_load(x, i, n);
        if (n - i < VEC_LANES) s = vf_select(vm_first(row_lanes(i, n)), s, vf_set1(-INFINITY));
        const vm is_larger = vf_gt(s, best);
        best = vf_select(is_larger, s, best);
        index = vi_select(is_larger, at, index);
        at = vi_add(at, vi_set1(VEC_LANES));
    }
    const vm is_best = vf_eq(best, vf_set1(vf_hmax(best)));
    return (int64_t)vf_hmin(vf_select(is_best, vf_from_vi(index), vf_set1((float)n)));
}

#endif
