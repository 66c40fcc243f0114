/* Attention against finite differences, and against a softmax written out. */
#include "gradient.h"
#include "harness.h"
#include "ops/attention.h"

/* q [T, H*(Dn+Dr)], kv [T, Hk*(Dn+Dv)] with keys and values interleaved by head, as MLA's
 * up-projection gives them, k_rope [T, Dr]. */
struct context {
    struct oracle oracle;
    struct attention_shape shape;
    struct tensor q, kv, k_rope, o, lse, g;
    const struct span *spans;
    int64_t span_count;
};

static struct tensor values(const struct context *c, struct tensor kv) {
    return tensor_cols(kv, c->shape.dim_nope, kv.cols - c->shape.dim_nope);
}

static double attention_loss(void *arg) {
    struct context *c = arg;
    ops_attention_fwd(&c->oracle.stream, &(struct op_attention_fwd){.shape = c->shape,
                                                                    .o = c->o,
                                                                    .lse = c->lse,
                                                                    .q = c->q,
                                                                    .k = c->kv,
                                                                    .k_rope = c->k_rope,
                                                                    .v = values(c, c->kv),
                                                                    .spans = c->spans,
                                                                    .span_count = c->span_count});
    return tensor_dot(c->o, c->g);
}

static void context_open(struct context *c, int64_t T) {
    const struct attention_shape *s = &c->shape;
    struct oracle *o = &c->oracle;
    oracle_open(o);
    c->shape.q_stride = s->dim_nope + s->dim_rope;
    c->shape.k_stride = c->shape.v_stride = s->dim_nope + s->dim_value;
    c->shape.o_stride = s->dim_value;
    c->shape.scale = 0.6;
    c->q = oracle_normal(o, T, s->heads * s->q_stride);
    c->kv = oracle_normal(o, T, s->kv_heads * s->k_stride);
    if (s->dim_rope > 0) c->k_rope = oracle_normal(o, T, s->dim_rope);
    c->o = oracle_zero(o, T, s->heads * s->dim_value);
    c->lse = oracle_zero(o, T, s->heads);
    c->g = oracle_normal(o, T, s->heads * s->dim_value);
}

static void check_attention(struct attention_shape shape) {
    static const struct span spans[] = {{0, 5, 0, 0}, {5, 1, 0, 5}, {6, 4, 0, 6}};
    const int64_t T = 10;
    struct context c = {.shape = shape, .spans = spans, .span_count = 3};
    context_open(&c, T);
    struct oracle *o = &c.oracle;
    attention_loss(&c);
    struct tensor dq = oracle_zero(o, T, c.q.cols), dkv = oracle_zero(o, T, c.kv.cols);
    struct tensor dk_rope = {0}, rope_heads = {0};
    if (shape.dim_rope > 0) {
        dk_rope = oracle_zero(o, T, shape.dim_rope);
        rope_heads = oracle_zero(o, T, shape.heads * shape.dim_rope);
    }
    ops_attention_bwd(&o->stream,
                      &(struct op_attention_bwd){.shape = c.shape,
                                                 .dq = dq,
                                                 .dk = dkv,
                                                 .dk_rope = dk_rope,
                                                 .dv = values(&c, dkv),
                                                 .rope_heads = rope_heads,
                                                 .delta = oracle_zero(o, T, shape.heads),
                                                 .dout = c.g,
                                                 .q = c.q,
                                                 .k = c.kv,
                                                 .k_rope = c.k_rope,
                                                 .v = values(&c, c.kv),
                                                 .o = c.o,
                                                 .lse = c.lse,
                                                 .spans = spans,
                                                 .span_count = 3});
    check_gradient("dq", c.q, dq, attention_loss, &c);
    check_gradient("dkv", c.kv, dkv, attention_loss, &c);
    if (shape.dim_rope > 0) check_gradient("dk_rope", c.k_rope, dk_rope, attention_loss, &c);
    oracle_close(o);
}

static void mla_gradients_match_differences(void) {
    check_attention((struct attention_shape){
        .heads = 3, .kv_heads = 3, .dim_nope = 4, .dim_rope = 2, .dim_value = 3});
}
static void gqa_gradients_match_differences(void) {
    check_attention((struct attention_shape){
        .heads = 4, .kv_heads = 2, .dim_nope = 3, .dim_rope = 0, .dim_value = 5});
}
static void one_key_head_gradients_match_differences(void) {
    check_attention((struct attention_shape){
        .heads = 3, .kv_heads = 1, .dim_nope = 2, .dim_rope = 2, .dim_value = 2});
}

/* o of query row 3, head 1 and its lse, from the definition. */
static void attention_is_softmax_of_scores(void) {
    static const struct span spans[] = {{0, 2, 0, 0}, {2, 4, 0, 2}};
    struct context c = {
        .shape = {.heads = 2, .kv_heads = 1, .dim_nope = 2, .dim_rope = 2, .dim_value = 2},
        .spans = spans,
        .span_count = 2};
    context_open(&c, 6);
    attention_loss(&c);
    const double *q = at(c.q, 3) + 4;
    double weight[2], sum = 0, o[2] = {0, 0};
    for (int j = 0; j < 2; j++) {
        const double *k = at(c.kv, 2 + j), *kr = at(c.k_rope, 2 + j);
        weight[j] = exp(0.6 * (q[0] * k[0] + q[1] * k[1] + q[2] * kr[0] + q[3] * kr[1]));
        sum += weight[j];
    }
    for (int j = 0; j < 2; j++)
        for (int d = 0; d < 2; d++) o[d] += weight[j] / sum * at(c.kv, 2 + j)[2 + d];
    CHECK_NEAR(at(c.o, 3)[2], o[0], 1e-14);
    CHECK_NEAR(at(c.o, 3)[3], o[1], 1e-14);
    CHECK_NEAR(at(c.lse, 3)[1], log(sum), 1e-14);
    oracle_close(&c.oracle);
}

/* A sequence continued after three positions reads the keys where they lie. */
static void continued_sequence_equals_the_whole(void) {
    static const struct span whole[] = {{0, 7, 0, 0}}, rest[] = {{0, 4, 3, 0}};
    struct context c = {
        .shape = {.heads = 2, .kv_heads = 2, .dim_nope = 3, .dim_rope = 2, .dim_value = 3},
        .spans = whole,
        .span_count = 1};
    context_open(&c, 7);
    attention_loss(&c);
    struct tensor expected = tensor_rows(c.o, 3, 4);
    c.q = tensor_rows(c.q, 3, 4);
    c.g = tensor_rows(c.g, 3, 4);
    c.lse = tensor_rows(c.lse, 3, 4);
    c.o = oracle_zero(&c.oracle, 4, expected.cols);
    c.spans = rest;
    attention_loss(&c);
    check_close("o", c.o, expected, 0);
    oracle_close(&c.oracle);
}

static const struct test tests[] = {
    TEST(mla_gradients_match_differences),          TEST(gqa_gradients_match_differences),
    TEST(one_key_head_gradients_match_differences), TEST(attention_is_softmax_of_scores),
    TEST(continued_sequence_equals_the_whole),
};
HARNESS_MAIN(tests)
