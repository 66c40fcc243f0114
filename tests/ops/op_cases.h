/* One table of cases for every operation: how to make its inputs from the rng, and how to run it on
 * any device. Correctness (test_op_oracle.c), determinism (test_op_determinism.c) and speed use the
 * same cases.
 *
 * A case is made once (case_make) as host values that a float holds exactly, so that every compute
 * dtype sees the same numbers. case_run executes it, or a slice of its rows or sequences, on one
 * device and brings the outputs back as doubles. */
#ifndef OP_CASES_H
#define OP_CASES_H

#include "backend/device.h"

enum case_flag {
    CASE_ALIASED = 1 << 0,    /* the output takes an input's place where the op allows it */
    CASE_OPTIONAL = 1 << 1,   /* optional operands are given */
    CASE_ACCUMULATE = 1 << 2, /* += */
    CASE_BIAS = 1 << 3,
    CASE_GATHER = 1 << 4,
    CASE_WEIGHTED = 1 << 5,
    CASE_SLOTS = 1 << 6,
    CASE_HALF = 1 << 7, /* rope layout */
    CASE_INVERSE = 1 << 8,
    CASE_SOFTMAX = 1 << 9, /* gate scoring */
    CASE_NORMALISED = 1 << 10,
    CASE_GIVEN = 1 << 11, /* routing comes from outside */
    CASE_GRADIENT = 1 << 12,
    CASE_DROPPED = 1 << 13, /* some slots have no row */
};

/* Fields that an operation does not have stay zero. */
struct op_case {
    const struct op_kind *kind;
    int64_t T, C;              /* rows and columns; tokens and their width */
    int64_t N, K;              /* of a product: C[T, N], inner K */
    int64_t H, Hk, Dn, Dr, Dv; /* heads */
    int64_t E, A, G, Gk;       /* experts, active, groups, best groups */
    int form;                  /* enum matmul_form, or enum gate_method */
    int rounding;              /* of a product's A, and of op_round */
    int rounding_b;
    int spans; /* which of the lists of spans; T follows from it */
    unsigned flags;
};

/* case_kind_NAME for every operation. */
#define CASE_KIND(name) extern const struct op_kind case_kind_##name;
OPS(CASE_KIND)
#undef CASE_KIND

extern const struct op_case op_cases[];
extern const int64_t op_cases_count;

enum { CASE_ARRAYS_MAX = 16, CASE_SPANS_MAX = 6 };
enum case_type { CASE_REAL, CASE_I32, CASE_F32, CASE_F64 }; /* CASE_REAL: the compute dtype */
enum case_role { CASE_IN, CASE_OUT, CASE_INOUT, CASE_WORK };
/* What a slice of the case takes of an array: all of it, the rows, the spans' rows; or all of it
 * with row numbers moved (offsets of a grouped product). */
enum case_axis { CASE_WHOLE, CASE_ROWS, CASE_SPANS, CASE_OFFSETS };

/* Which part of a case can be computed on its own, with the same bits. */
enum case_slicing { SLICE_NONE, SLICE_SPANS, SLICE_ROWS };

struct case_array {
    const char *name;
    enum case_type type;
    enum case_role role;
    enum case_axis axis;
    int64_t rows, cols;
    bool is_dense;  /* never padded */
    double *values; /* [rows, cols] */
    /* While the case runs: */
    int64_t stride;
    void *data;
};
struct case_data {
    const struct op_case *op_case;
    struct case_array arrays[CASE_ARRAYS_MAX];
    int array_count;
    struct span spans[CASE_SPANS_MAX];
    int64_t span_count;
    int64_t rows;      /* T */
    double *frequency; /* [Dr/2] of rope_table */
    enum case_slicing slicing;
    enum dtype compute; /* of the device, while the case runs */
};

struct op_kind {
    const char *op;                       /* as in OPS */
    void (*make)(struct case_data *data); /* puts the arrays */
    void (*call)(struct stream *stream, const struct case_data *data);
    bool needs_whole_sequences; /* slices are spans only */
    bool is_exact;    /* the reduction order is fixed: every ISA has the bits of ref in f32 */
    double tolerance; /* of f32 against the oracle in f64, relative to the output's largest value */
};

void case_make(struct case_data *data, const struct op_case *op_case);
void case_free(struct case_data *data);
/* "matmul T=5 N=17 K=33 flags=0x4": into the buffer, returned. */
const char *case_name(const struct op_case *op_case, char buffer[160]);

/* Rows [row, row + rows) and, where the case slices by spans, spans [span, span + spans). */
struct case_slice {
    int64_t row, rows;
    int64_t span, spans;
};
struct case_slice case_whole(const struct case_data *data);
/* The rows of one span. */
struct case_slice case_span(const struct case_data *data, int64_t span);

/* Puts the slice's arrays on the device, `padding` elements between rows, outputs filled with NaN;
 * after any number of case_call on a copy so prepared, case_finish checks that nothing beside the
 * outputs was written, brings the outputs' values into `out`'s arrays and gives the memory back.
 * `out` is freed with case_free. A failure of the stream ends the test. */
struct case_data case_prepare(const struct case_data *data, struct device *device,
                              struct case_slice slice, int64_t padding);
void case_call(const struct case_data *prepared, struct stream *stream);
void case_finish(struct case_data *prepared, struct device *device);

/* The three steps together: values of the outputs. */
struct case_data case_run(const struct case_data *data, struct device *device,
                          struct case_slice slice, int64_t padding);

/* For the kinds' functions. */
struct tensor case_tensor(const struct case_data *data, const char *name); /* or absent */
void *case_pointer(const struct case_data *data, const char *name);        /* or NULL */
struct case_array *case_put(struct case_data *data, const char *name, enum case_role role,
                            enum case_axis axis, int64_t rows, int64_t cols);
struct case_array *case_find(struct case_data *data, const char *name);
double case_uniform(const struct case_array *array, int64_t i);
int64_t case_below(const struct case_array *array, int64_t i, int64_t n);

#endif
