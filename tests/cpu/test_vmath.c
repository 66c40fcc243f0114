/* The vector exponentials and logarithm against double precision, over every float in steps of a
 * prime number of codes, and at the ends of their domains. Compiled for AVX2: the functions have
 * the same bits lane by lane on every instruction set. */
#include <stdio.h>

#include "cpu/vec/vmath.h"
#include "harness.h"

enum { STEP = 127 }; /* codes between two tested floats */

static float float_of(uint32_t code) {
    float x;
    memcpy(&x, &code, sizeof x);
    return x;
}

static void require_avx2(void) {
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
        harness_skip("this machine lacks AVX2: the vector functions were not run");
}

/* |actual - exact| in units of the last place of the float nearest to exact. */
static double ulps(float actual, double exact) {
    if (isnan(exact)) return isnan(actual) ? 0 : INFINITY;
    if (isinf((float)exact)) return actual == (float)exact ? 0 : INFINITY;
    if (!isfinite(actual)) return INFINITY;
    int exponent;
    frexp(exact, &exponent);
    return fabs((double)actual - exact) / ldexp(1, exponent - 24 < -149 ? -149 : exponent - 24);
}

/* A function, its exact form, and where its promise holds. */
struct function {
    const char *name;
    vf (*vector)(vf);
    double (*exact)(double);
    float low, high;
    double zero_below; /* exact values below this may be 0 */
    double bound;      /* ulps */
};

static double sigmoid(double z) { return 1 / (1 + exp(-z)); }
static vf vector_exp(vf x) { return vf_exp(x); }
static vf vector_exp_flush(vf x) { return vf_exp_flush(x); }
static vf vector_exp2_flush(vf x) { return vf_exp2_flush(x); }
static vf vector_sigmoid(vf x) { return vf_sigmoid(x); }
static vf vector_log(vf x) { return vf_log(x); }

static void check_vector(const struct function *f, const float *x, double *worst, float *where) {
    float y[VEC_LANES];
    vf_store(y, f->vector(vf_load(x)));
    for (int i = 0; i < VEC_LANES; i++) {
        if (!(x[i] >= f->low && x[i] <= f->high)) continue;
        const double exact = f->exact((double)x[i]);
        if (y[i] == 0 && exact < f->zero_below && exact >= 0) continue;
        const double error = ulps(y[i], exact);
        if (error <= *worst) continue;
        *worst = error;
        *where = x[i];
    }
}

static void check_function(const struct function *f) {
    require_avx2();
    double worst = 0;
    float where = 0, x[VEC_LANES];
    int lanes = 0;
    for (uint64_t code = 0; code <= UINT32_MAX; code += STEP) {
        x[lanes++] = float_of((uint32_t)code);
        if (lanes < VEC_LANES) continue;
        check_vector(f, x, &worst, &where);
        lanes = 0;
    }
    if (worst > f->bound)
        harness_fail(__FILE__, __LINE__, "%s(%a) is off by %.3f ulp, bound %.3f", f->name,
                     (double)where, worst, f->bound);
    printf("%s: at most %.3f ulp, at %.9g\n", f->name, worst, (double)where);
}

#define FLUSHED 0x1.7p-127 /* a little above 2^-126.5 */

static void exp_is_within_two_ulp(void) {
    check_function(&(struct function){"exp", vector_exp, exp, -INFINITY, INFINITY, 0, 2.0});
}
static void flushed_exp_is_within_two_ulp(void) {
    check_function(
        &(struct function){"exp_flush", vector_exp_flush, exp, -INFINITY, 88.37f, FLUSHED, 2.0});
}
static void flushed_exp2_is_within_two_ulp(void) {
    check_function(
        &(struct function){"exp2_flush", vector_exp2_flush, exp2, -INFINITY, 127.0f, FLUSHED, 2.0});
}
static void sigmoid_is_within_two_ulp(void) {
    check_function(&(struct function){"sigmoid", vector_sigmoid, sigmoid, -INFINITY, INFINITY,
                                      FLUSHED / 2, 2.0});
}
static void log_is_within_two_ulp(void) {
    check_function(&(struct function){"log", vector_log, log, 0, INFINITY, 0, 2.0});
}

static float at(vf (*function)(vf), float x) {
    float y[VEC_LANES];
    vf_store(y, function(vf_set1(x)));
    for (int i = 1; i < VEC_LANES; i++) CHECK(memcmp(&y[i], &y[0], sizeof y[0]) == 0);
    return y[0];
}

static void ends_of_the_domains_are_exact(void) {
    require_avx2();
    CHECK(at(vector_exp, 0) == 1 && at(vector_exp_flush, 0) == 1 && at(vector_exp2_flush, 0) == 1);
    CHECK(at(vector_exp, -0.0f) == 1 && at(vector_sigmoid, 0) == 0.5f);
    CHECK(at(vector_exp, -INFINITY) == 0 && at(vector_exp_flush, -INFINITY) == 0);
    CHECK(at(vector_exp2_flush, -INFINITY) == 0 && at(vector_sigmoid, -INFINITY) == 0);
    CHECK(at(vector_exp, -1e30f) == 0 && at(vector_exp_flush, -1e30f) == 0);
    CHECK(at(vector_exp2_flush, -1e30f) == 0 && at(vector_sigmoid, -1e30f) == 0);
    CHECK(at(vector_exp, INFINITY) == INFINITY && at(vector_exp, 1e30f) == INFINITY);
    CHECK(at(vector_sigmoid, INFINITY) == 1 && at(vector_sigmoid, 1e30f) == 1);
    CHECK(at(vector_log, 0) == -INFINITY && at(vector_log, -0.0f) == -INFINITY);
    CHECK(at(vector_log, INFINITY) == INFINITY && isnan(at(vector_log, -1)));
    CHECK(at(vector_log, 1) == 0);
}

static void nan_stays_nan(void) {
    require_avx2();
    vf (*const functions[])(vf) = {vector_exp, vector_exp_flush, vector_exp2_flush, vector_sigmoid,
                                   vector_log};
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        CHECK(isnan(at(functions[i], NAN)));
        CHECK(isnan(at(functions[i], -NAN)));
    }
}

static const struct test tests[] = {
    TEST(exp_is_within_two_ulp),
    TEST(flushed_exp_is_within_two_ulp),
    TEST(flushed_exp2_is_within_two_ulp),
    TEST(sigmoid_is_within_two_ulp),
    TEST(log_is_within_two_ulp),
    TEST(ends_of_the_domains_are_exact),
    TEST(nan_stays_nan),
};
HARNESS_MAIN(tests)
