/* The cases of attention: inputs and calls. */
#include <math.h>

#include "cpu/cpu.h"
#include "harness.h"
#include "op_cases.h"
#include "ops/attention.h"

#define TENSOR(name) case_tensor(data, #name)
#define FLAGS(mask) ((data->op_case->flags & (mask)) != 0)

/* Heads are one column further apart than they are wide, so that nothing between them may be
 * touched. */
static struct attention_shape shape_of(const struct op_case *c) {
    return (struct attention_shape){.heads = c->H,
                                    .kv_heads = c->Hk,
                                    .dim_nope = c->Dn,
                                    .dim_rope = c->Dr,
                                    .dim_value = c->Dv,
                                    .q_stride = c->Dn + c->Dr + 1,
                                    .k_stride = c->Dn + 1,
                                    .v_stride = c->Dv + 1,
                                    .o_stride = c->Dv + 1,
                                    .scale = 1 / sqrt((double)(c->Dn + c->Dr))};
}

static struct case_array *put_heads(struct case_data *data, const char *name, enum case_role role,
                                    enum case_axis axis, int64_t rows, int64_t heads,
                                    int64_t width) {
    return case_put(data, name, role, axis, rows, heads * (width + 1));
}

static int64_t keys_of(const struct case_data *data) {
    int64_t keys = 0;
    for (int64_t i = 0; i < data->span_count; i++) {
        const struct span *s = &data->spans[i];
        if (s->kv_row + s->first + s->count > keys) keys = s->kv_row + s->first + s->count;
    }
    return keys;
}

static void make_attention_fwd(struct case_data *data) {
    const struct op_case *c = data->op_case;
    const int64_t T = data->rows, S = keys_of(data);
    put_heads(data, "q", CASE_IN, CASE_ROWS, T, c->H, c->Dn + c->Dr);
    put_heads(data, "k", CASE_IN, CASE_WHOLE, S, c->Hk, c->Dn);
    put_heads(data, "v", CASE_IN, CASE_WHOLE, S, c->Hk, c->Dv);
    if (c->Dr > 0) case_put(data, "k_rope", CASE_IN, CASE_WHOLE, S, c->Dr);
    put_heads(data, "o", CASE_OUT, CASE_ROWS, T, c->H, c->Dv);
    if (FLAGS(CASE_OPTIONAL)) case_put(data, "lse", CASE_OUT, CASE_ROWS, T, c->H);
}
static void call_attention_fwd(struct stream *stream, const struct case_data *data) {
    ops_attention_fwd(stream, &(struct op_attention_fwd){.shape = shape_of(data->op_case),
                                                         .o = TENSOR(o),
                                                         .lse = TENSOR(lse),
                                                         .q = TENSOR(q),
                                                         .k = TENSOR(k),
                                                         .k_rope = TENSOR(k_rope),
                                                         .v = TENSOR(v),
                                                         .spans = data->spans,
                                                         .span_count = data->span_count});
}
const struct op_kind case_kind_attention_fwd = {.op = "attention_fwd",
                                                .make = make_attention_fwd,
                                                .call = call_attention_fwd,
                                                .tolerance = 2e-6};

static struct tensor host_tensor(struct case_data *data, const char *name) {
    const struct case_array *array = case_find(data, name);
    if (!array) return (struct tensor){0};
    return tensor_of(array->values, DTYPE_F64, array->rows, array->cols);
}

/* o and lse are those of the inputs, from the oracle, rounded as a forward in f32 would. */
static void make_forward_results(struct case_data *data) {
    const struct op_case *c = data->op_case;
    struct case_array *o = put_heads(data, "o", CASE_IN, CASE_ROWS, data->rows, c->H, c->Dv);
    struct case_array *lse = case_put(data, "lse", CASE_IN, CASE_ROWS, data->rows, c->H);
    cpu_ops_ref_f64()->attention_fwd(
        NULL, &(struct op_attention_fwd){.shape = shape_of(c),
                                         .o = host_tensor(data, "o"),
                                         .lse = host_tensor(data, "lse"),
                                         .q = host_tensor(data, "q"),
                                         .k = host_tensor(data, "k"),
                                         .k_rope = host_tensor(data, "k_rope"),
                                         .v = host_tensor(data, "v"),
                                         .spans = data->spans,
                                         .span_count = data->span_count});
    for (int64_t i = 0; i < o->rows * o->cols; i++) o->values[i] = (float)o->values[i];
    for (int64_t i = 0; i < lse->rows * lse->cols; i++) lse->values[i] = (float)lse->values[i];
}
static void make_attention_bwd(struct case_data *data) {
    const struct op_case *c = data->op_case;
    const int64_t T = data->rows;
    put_heads(data, "q", CASE_IN, CASE_ROWS, T, c->H, c->Dn + c->Dr);
    put_heads(data, "k", CASE_IN, CASE_ROWS, T, c->Hk, c->Dn);
    put_heads(data, "v", CASE_IN, CASE_ROWS, T, c->Hk, c->Dv);
    if (c->Dr > 0) case_put(data, "k_rope", CASE_IN, CASE_ROWS, T, c->Dr);
    put_heads(data, "dout", CASE_IN, CASE_ROWS, T, c->H, c->Dv);
    make_forward_results(data);
    put_heads(data, "dq", CASE_OUT, CASE_ROWS, T, c->H, c->Dn + c->Dr);
    put_heads(data, "dk", CASE_OUT, CASE_ROWS, T, c->Hk, c->Dn);
    put_heads(data, "dv", CASE_OUT, CASE_ROWS, T, c->Hk, c->Dv);
    case_put(data, "delta", CASE_WORK, CASE_ROWS, T, c->H);
    if (c->Dr == 0) return;
    case_put(data, "dk_rope", CASE_OUT, CASE_ROWS, T, c->Dr);
    case_put(data, "rope_heads", CASE_WORK, CASE_ROWS, T, c->H * c->Dr);
}
static void call_attention_bwd(struct stream *stream, const struct case_data *data) {
    ops_attention_bwd(stream, &(struct op_attention_bwd){.shape = shape_of(data->op_case),
                                                         .dq = TENSOR(dq),
                                                         .dk = TENSOR(dk),
                                                         .dk_rope = TENSOR(dk_rope),
                                                         .dv = TENSOR(dv),
                                                         .rope_heads = TENSOR(rope_heads),
                                                         .delta = TENSOR(delta),
                                                         .dout = TENSOR(dout),
                                                         .q = TENSOR(q),
                                                         .k = TENSOR(k),
                                                         .k_rope = TENSOR(k_rope),
                                                         .v = TENSOR(v),
                                                         .o = TENSOR(o),
                                                         .lse = TENSOR(lse),
                                                         .spans = data->spans,
                                                         .span_count = data->span_count});
}
const struct op_kind case_kind_attention_bwd = {.op = "attention_bwd",
                                                .make = make_attention_bwd,
                                                .call = call_attention_bwd,
                                                .needs_whole_sequences = true,
                                                .tolerance = 6e-6};
