/* Making and running the cases of op_cases.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "harness.h"
#include "op_cases.h"

/* ---- lists of spans ---- */

static const struct {
    int count;
    struct span spans[CASE_SPANS_MAX];
} span_lists[] = {
    {1, {{0, 7, 0, 0}}},
    {4, {{0, 1, 0, 0}, {1, 70, 0, 1}, {71, 3, 0, 71}, {74, 131, 0, 74}}},
    {3, {{0, 16, 0, 0}, {16, 17, 0, 16}, {33, 33, 0, 33}}},
    /* Continued from a cache: other first positions, key rows elsewhere. */
    {4, {{0, 1, 150, 0}, {1, 20, 37, 200}, {21, 1, 0, 160}, {22, 65, 63, 270}}},
    {1, {{0, 40, 0, 0}}},
};

/* ---- arrays ---- */

static struct rng_key array_key(const struct case_array *array) {
    uint64_t hash = 1469598103934665603u; /* FNV-1a of the name */
    for (const char *c = array->name; *c; c++) hash = (hash ^ (uint64_t)*c) * 1099511628211u;
    return (struct rng_key){.seed = 7, .purpose = RNG_TEST, .stream = hash};
}

double case_uniform(const struct case_array *array, int64_t i) {
    return (float)rng_uniform(array_key(array), (uint64_t)i);
}

int64_t case_below(const struct case_array *array, int64_t i, int64_t n) {
    return (int64_t)rng_below(array_key(array), (uint64_t)i, (uint64_t)n);
}

/* A new array of normal values, to be overwritten where the kind wants others. */
struct case_array *case_put(struct case_data *data, const char *name, enum case_role role,
                            enum case_axis axis, int64_t rows, int64_t cols) {
    CHECK(data->array_count < CASE_ARRAYS_MAX);
    struct case_array *array = &data->arrays[data->array_count++];
    *array =
        (struct case_array){.name = name, .role = role, .axis = axis, .rows = rows, .cols = cols};
    array->values = calloc((size_t)(rows * cols + 1), sizeof(double));
    CHECK(array->values);
    if (role == CASE_OUT || role == CASE_WORK) return array;
    for (int64_t i = 0; i < rows * cols; i++)
        array->values[i] = (float)rng_normal(array_key(array), (uint64_t)i);
    return array;
}

struct case_array *case_find(struct case_data *data, const char *name) {
    for (int i = 0; i < data->array_count; i++)
        if (strcmp(data->arrays[i].name, name) == 0) return &data->arrays[i];
    return NULL;
}

static const struct case_array *find(const struct case_data *data, const char *name) {
    for (int i = 0; i < data->array_count; i++)
        if (strcmp(data->arrays[i].name, name) == 0) return &data->arrays[i];
    return NULL;
}

static enum dtype array_dtype(const struct case_array *array, enum dtype compute) {
    switch (array->type) {
    case CASE_I32: return DTYPE_I32;
    case CASE_F32: return DTYPE_F32;
    case CASE_F64: return DTYPE_F64;
    case CASE_REAL: break;
    }
    return compute;
}

/* ---- making ---- */

void case_make(struct case_data *data, const struct op_case *op_case) {
    *data = (struct case_data){.op_case = op_case, .rows = op_case->T};
    if (op_case->spans > 0) {
        data->span_count = span_lists[op_case->spans - 1].count;
        memcpy(data->spans, span_lists[op_case->spans - 1].spans, sizeof data->spans);
        const struct span *last = &data->spans[data->span_count - 1];
        data->rows = last->row + last->count;
    }
    op_case->kind->make(data);

    bool has_rows = false, has_spans = op_case->kind->needs_whole_sequences;
    for (int i = 0; i < data->array_count; i++) {
        has_rows |= data->arrays[i].axis == CASE_ROWS;
        has_spans |= data->arrays[i].axis == CASE_SPANS;
    }
    data->slicing = has_spans ? SLICE_SPANS : has_rows ? SLICE_ROWS : SLICE_NONE;
}

void case_free(struct case_data *data) {
    for (int i = 0; i < data->array_count; i++) free(data->arrays[i].values);
    free(data->frequency);
    *data = (struct case_data){0};
}

const char *case_name(const struct op_case *c, char buffer[160]) {
    const struct {
        const char *letter;
        int64_t value;
    } fields[] = {
        {"T", c->T},
        {"C", c->C},
        {"N", c->N},
        {"K", c->K},
        {"H", c->H},
        {"Hk", c->Hk},
        {"Dn", c->Dn},
        {"Dr", c->Dr},
        {"Dv", c->Dv},
        {"E", c->E},
        {"A", c->A},
        {"G", c->G},
        {"Gk", c->Gk},
        {"form", c->form},
        {"spans", c->spans},
        {"rounding", c->rounding},
        {"rounding_b", c->rounding_b},
    };
    int used = snprintf(buffer, 160, "%s", c->kind->op);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (fields[i].value != 0)
            used += snprintf(buffer + used, (size_t)(160 - used), " %s=%lld", fields[i].letter,
                             (long long)fields[i].value);
    snprintf(buffer + used, (size_t)(160 - used), " flags=0x%x", c->flags);
    return buffer;
}

struct case_slice case_whole(const struct case_data *data) {
    return (struct case_slice){.rows = data->rows, .spans = data->span_count};
}

struct case_slice case_span(const struct case_data *data, int64_t span) {
    return (struct case_slice){
        .row = data->spans[span].row, .rows = data->spans[span].count, .span = span, .spans = 1};
}

/* ---- running ---- */

/* The parts of the spans that lie in the slice's rows. Where keys are the rows themselves (whole
 * sequences) they move with them. */
static void slice_spans(struct case_data *out, const struct case_data *data,
                        struct case_slice slice) {
    const bool keys_move = data->slicing == SLICE_SPANS;
    out->span_count = 0;
    for (int64_t i = slice.span; i < slice.span + slice.spans; i++) {
        const struct span *s = &data->spans[i];
        const int64_t begin = s->row > slice.row ? s->row : slice.row;
        const int64_t end =
            s->row + s->count < slice.row + slice.rows ? s->row + s->count : slice.row + slice.rows;
        if (begin >= end) continue;
        out->spans[out->span_count++] = (struct span){
            .row = begin - slice.row,
            .count = end - begin,
            .first = s->first + begin - s->row,
            .kv_row = keys_move ? s->kv_row - slice.row : s->kv_row,
        };
    }
}

static void slice_array(struct case_array *out, const struct case_array *array,
                        struct case_slice slice) {
    *out = *array;
    int64_t first = 0;
    if (array->axis == CASE_ROWS) {
        first = slice.row;
        out->rows = slice.rows;
    } else if (array->axis == CASE_SPANS) {
        first = slice.span;
        out->rows = slice.spans;
    }
    const size_t count = (size_t)(out->rows * out->cols);
    out->values = malloc((count + 1) * sizeof(double));
    CHECK(out->values);
    memcpy(out->values, array->values + first * out->cols, count * sizeof(double));
    for (size_t i = 0; array->axis == CASE_OFFSETS && i < count; i++) {
        const double moved = out->values[i] - (double)slice.row;
        out->values[i] = fmin(fmax(moved, 0), (double)slice.rows);
    }
}

static void store(void *to, enum dtype dtype, double value) {
    if (dtype == DTYPE_F64) *(double *)to = value;
    if (dtype == DTYPE_F32) *(float *)to = (float)value;
    if (dtype == DTYPE_I32) *(int32_t *)to = (int32_t)value;
}

static double load(const void *from, enum dtype dtype) {
    if (dtype == DTYPE_F64) return *(const double *)from;
    if (dtype == DTYPE_F32) return *(const float *)from;
    return *(const int32_t *)from;
}

enum { GUARD_BYTE = 0x5a, UNSET_BYTE = 0xff }; /* 0xff: NaN, or -1 */

/* Bytes of an array on the device: without padding exactly its elements, so that the address
 * sanitizer sees an access beyond them; with padding a guard stands after the last row too. */
static size_t array_bytes(const struct case_array *array, size_t size) {
    if (array->rows == 0 || array->cols == 0) return 1;
    return (size_t)((array->rows - 1) * array->stride + array->cols +
                    (array->stride - array->cols)) *
           size;
}

static void array_to_device(struct case_array *array, enum dtype dtype, int64_t padding) {
    const size_t size = dtype_size(dtype);
    array->stride = array->cols + (array->type == CASE_REAL && !array->is_dense ? padding : 0);
    const size_t bytes = array_bytes(array, size);
    array->data = malloc(bytes);
    CHECK(array->data);
    memset(array->data, GUARD_BYTE, bytes);
    for (int64_t r = 0; r < array->rows; r++) {
        char *row = (char *)array->data + (size_t)(r * array->stride) * size;
        if (array->role == CASE_OUT || array->role == CASE_WORK) {
            memset(row, UNSET_BYTE, (size_t)array->cols * size);
            continue;
        }
        for (int64_t i = 0; i < array->cols; i++)
            store(row + (size_t)i * size, dtype, array->values[r * array->cols + i]);
    }
}

/* Inputs must still hold their values, and what lies between rows must be untouched. */
static void array_from_device(struct case_array *array, enum dtype dtype) {
    const size_t size = dtype_size(dtype);
    for (int64_t r = 0; r < array->rows; r++) {
        const char *row = (const char *)array->data + (size_t)(r * array->stride) * size;
        for (int64_t i = 0; i < array->cols; i++) {
            const double value = load(row + (size_t)i * size, dtype);
            double *expected = &array->values[r * array->cols + i];
            if (array->role == CASE_IN && value != *expected)
                harness_fail(__FILE__, __LINE__, "input %s[%lld, %lld] was changed", array->name,
                             (long long)r, (long long)i);
            *expected = value;
        }
        for (size_t i = (size_t)array->cols * size; i < (size_t)array->stride * size; i++)
            if (row[i] != GUARD_BYTE)
                harness_fail(__FILE__, __LINE__, "written beyond row %lld of %s", (long long)r,
                             array->name);
    }
}

struct case_data case_prepare(const struct case_data *data, struct device *device,
                              struct case_slice slice, int64_t padding) {
    struct case_data out = {.op_case = data->op_case,
                            .rows = slice.rows,
                            .slicing = data->slicing,
                            .compute = device->compute};
    slice_spans(&out, data, slice);
    if (data->frequency) {
        const size_t bytes = (size_t)(data->op_case->Dr / 2) * sizeof(double);
        out.frequency = malloc(bytes);
        CHECK(out.frequency);
        memcpy(out.frequency, data->frequency, bytes);
    }
    out.array_count = data->array_count;
    for (int i = 0; i < out.array_count; i++) {
        slice_array(&out.arrays[i], &data->arrays[i], slice);
        array_to_device(&out.arrays[i], array_dtype(&out.arrays[i], device->compute), padding);
    }
    return out;
}

void case_call(const struct case_data *prepared, struct stream *stream) {
    prepared->op_case->kind->call(stream, prepared);
    struct error err = {0};
    CHECK_OK(stream_check(stream, &err), &err);
}

void case_finish(struct case_data *prepared, struct device *device) {
    for (int i = 0; i < prepared->array_count; i++) {
        struct case_array *array = &prepared->arrays[i];
        array_from_device(array, array_dtype(array, device->compute));
        free(array->data);
        array->data = NULL;
    }
}

struct case_data case_run(const struct case_data *data, struct device *device,
                          struct case_slice slice, int64_t padding) {
    struct stream stream;
    stream_init(&stream, device);
    struct case_data out = case_prepare(data, device, slice, padding);
    case_call(&out, &stream);
    case_finish(&out, device);
    return out;
}

struct tensor case_tensor(const struct case_data *data, const char *name) {
    const struct case_array *array = find(data, name);
    if (!array) return (struct tensor){0};
    return (struct tensor){.data = array->data,
                           .rows = array->rows,
                           .cols = array->cols,
                           .stride = array->stride,
                           .dtype = array_dtype(array, data->compute)};
}

void *case_pointer(const struct case_data *data, const char *name) {
    const struct case_array *array = find(data, name);
    return array ? array->data : NULL;
}
