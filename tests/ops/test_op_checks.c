/* Operands that do not fit latch a message with the actual values on the stream, and no kernel
 * runs; what is empty is nothing to do. */
#include "harness.h"
#include "op_devices.h"
#include "ops/attention.h"
#include "ops/check.h"
#include "ops/loss.h"
#include "ops/loss_head.h"
#include "ops/moe.h"
#include "ops/optimizer.h"
#include "ops/product.h"
#include "ops/rows.h"

static float memory[8][4096];
static int32_t integers[512];
static struct stream stream;

/* Block `i` as [rows, cols]. */
static struct tensor block(int i, int64_t rows, int64_t cols) {
    return tensor_of(memory[i], DTYPE_F32, rows, cols);
}

static void open_stream(void) { stream_init(&stream, op_device_open("ref", 1)); }
static void close_stream(void) { op_device_close(stream.device); }

/* The stream has failed with this in its message; clears it. */
static void expect_failure(const char *part) {
    struct error err = {0};
    CHECK(stream_check(&stream, &err) != FATHOM_OK);
    CHECK_HAS(err.text, part);
    CHECK(!stream_failed(&stream));
}
static void expect_success(void) {
    struct error err = {0};
    CHECK_OK(stream_check(&stream, &err), &err);
}

static void shapes_are_reported_with_their_values(void) {
    open_stream();
    struct op_rmsnorm_fwd norm = {.y = block(0, 3, 8), .x = block(1, 3, 0), .w = block(2, 1, 8)};
    ops_rmsnorm_fwd(&stream, &norm);
    expect_failure("rmsnorm: x is [3, 0], expected at least [0, 1]");
    norm.x = block(1, 3, 8);
    norm.w = block(2, 1, 7);
    ops_rmsnorm_fwd(&stream, &norm);
    expect_failure("rmsnorm: w is [1, 7], expected [1, 8]");
    ops_linear(&stream, PRECISION_F32, block(0, 2, 3), block(1, 2, 5), block(2, 4, 5),
               (struct tensor){0});
    expect_failure("matmul: b is [4, 5], expected [3, 5]");
    ops_linear_dx(&stream, PRECISION_F32, block(0, 2, 5), block(1, 2, 3), block(2, 3, 4), false);
    expect_failure("matmul: b is [3, 4], expected [3, 5]");
    ops_linear_dw(&stream, PRECISION_F32, block(0, 3, 5), block(1, 2, 3), block(2, 1, 5));
    expect_failure("matmul: b is [1, 5], expected [2, 5]");
    close_stream();
}

static void the_first_failure_is_kept_and_later_operations_do_nothing(void) {
    open_stream();
    memory[0][0] = 42;
    ops_add(&stream, &(struct op_add){.y = block(0, 1, 1), .a = block(1, 1, 2)});
    ops_add(&stream,
            &(struct op_add){.y = block(0, 1, 1), .a = block(1, 1, 1), .b = block(2, 1, 1)});
    CHECK(memory[0][0] == 42);
    expect_failure("add: a is [1, 2], expected [1, 1]");
    close_stream();
}

static void absent_misshapen_and_foreign_operands_are_refused(void) {
    open_stream();
    struct op_add op = {.y = block(0, 2, 4), .a = block(1, 2, 4), .b = block(2, 2, 4)};
    op.b.data = NULL;
    ops_add(&stream, &op);
    expect_failure("add: b [2, 4] has no memory");
    op.b = block(2, 2, 4);
    op.b.stride = 3;
    ops_add(&stream, &op);
    expect_failure("add: b has rows of 4 columns 3 apart");
    op.b = block(2, 2, 4);
    op.b.dtype = DTYPE_F64;
    ops_add(&stream, &op);
    expect_failure("add: b is f64, expected f32");
    op.b = block(2, 2, 4);
    op.b.layout = (enum tensor_layout)7;
    ops_add(&stream, &op);
    expect_failure("add: b has layout 7");
    ops_embedding_fwd(&stream,
                      &(struct op_embedding_fwd){.y = block(0, 2, 4), .w = block(1, 3, 4)});
    expect_failure("embedding: tokens is NULL, expected 2 elements");
    close_stream();
}

static void overlapping_operands_are_refused(void) {
    open_stream();
    const struct tensor x = block(0, 4, 8);
    ops_add(&stream, &(struct op_add){.y = tensor_rows(x, 1, 2),
                                      .a = tensor_rows(x, 0, 2),
                                      .b = tensor_rows(x, 2, 2)});
    expect_failure("add: y [2, 8] overlaps a [2, 8]");
    ops_add(&stream, &(struct op_add){.y = x, .a = x, .b = x});
    expect_success(); /* the very same view is allowed */
    ops_swiglu_fwd(&stream, &(struct op_swiglu_fwd){.y = tensor_cols(x, 3, 4),
                                                    .g = tensor_cols(x, 0, 4),
                                                    .u = tensor_cols(x, 4, 4)});
    expect_failure("swiglu: y [4, 4] overlaps g [4, 4]");
    ops_linear(&stream, PRECISION_F32, block(0, 2, 2), block(0, 2, 4), block(1, 2, 4),
               (struct tensor){0});
    expect_failure("matmul: c [2, 2] overlaps a [2, 4]");
    close_stream();
}

static void column_ranges_of_one_matrix_do_not_overlap(void) {
    const struct tensor x = block(0, 4, 10);
    CHECK(!tensors_overlap(tensor_cols(x, 0, 4), tensor_cols(x, 4, 6)));
    CHECK(!tensors_overlap(tensor_cols(x, 4, 6), tensor_cols(x, 0, 4)));
    CHECK(tensors_overlap(tensor_cols(x, 0, 5), tensor_cols(x, 4, 6)));
    CHECK(tensors_overlap(tensor_cols(x, 4, 6), tensor_cols(x, 0, 5)));
    CHECK(!tensors_overlap(tensor_rows(x, 0, 2), tensor_rows(x, 2, 2)));
    CHECK(tensors_overlap(tensor_rows(x, 0, 3), tensor_rows(x, 2, 2)));
    CHECK(!tensors_overlap(tensor_cols(tensor_rows(x, 1, 3), 0, 2), tensor_cols(x, 2, 8)));
    CHECK(!tensors_overlap(x, (struct tensor){0}));
    CHECK(!tensors_overlap(x, tensor_rows(x, 1, 0)));
}

static void grouped_products_are_checked(void) {
    open_stream();
    struct op_matmul_grouped op = {.form = MATMUL_NT,
                                   .c = block(0, 6, 4),
                                   .a = block(1, 6, 5),
                                   .b = block(2, 2 * 4, 5),
                                   .offsets = integers,
                                   .experts = 2,
                                   .rows = 6};
    op.experts = 3;
    ops_matmul_grouped(&stream, &op);
    expect_failure("matmul_grouped: b is [8, 5], expected [12, 5]");
    op.experts = 0;
    ops_matmul_grouped(&stream, &op);
    expect_failure("matmul_grouped: experts is 0");
    op.experts = 2;
    op.rows = 7;
    ops_matmul_grouped(&stream, &op);
    expect_failure("matmul_grouped: a is [6, 5], expected at least [7, 0]");
    op.rows = 6;
    op.accumulate = true;
    ops_matmul_grouped(&stream, &op);
    expect_failure("only the TN form");
    close_stream();
}

/* A valid attention of two rows, for one thing at a time to be made wrong. */
static struct op_attention_fwd good_attention(const struct span *span) {
    return (struct op_attention_fwd){.shape = {.heads = 4,
                                               .kv_heads = 2,
                                               .dim_nope = 3,
                                               .dim_rope = 2,
                                               .dim_value = 3,
                                               .q_stride = 5,
                                               .k_stride = 6,
                                               .v_stride = 6,
                                               .o_stride = 3,
                                               .scale = 1},
                                     .o = block(0, 2, 12),
                                     .lse = block(1, 2, 4),
                                     .q = block(2, 2, 20),
                                     .k = block(3, 9, 12),
                                     .k_rope = block(4, 9, 2),
                                     .v = tensor_cols(block(3, 9, 12), 3, 9),
                                     .spans = span,
                                     .span_count = 1};
}

static void attention_is_checked(void) {
    open_stream();
    struct span span = {.row = 0, .count = 2, .first = 5, .kv_row = 2};
    struct op_attention_fwd op = good_attention(&span);
    ops_attention_fwd(&stream, &op);
    expect_success();
    op.shape.kv_heads = 3;
    ops_attention_fwd(&stream, &op);
    expect_failure("attention: 4 query heads are no multiple of 3 key heads");
    op = good_attention(&span);
    op.shape.q_stride = 4;
    ops_attention_fwd(&stream, &op);
    expect_failure("attention: q_stride is 4, expected 5");
    op = good_attention(&span);
    op.shape.dim_nope = ATTENTION_WIDTH_MAX;
    ops_attention_fwd(&stream, &op);
    expect_failure("attention: the width of a head is 1157, expected 1 to 1152");
    op = good_attention(&span);
    op.q.cols = 19;
    ops_attention_fwd(&stream, &op);
    expect_failure("attention: q is [2, 19], expected at least [2, 20]");
    op = good_attention(&span);
    op.o = tensor_cols(block(3, 2, 12), 0, 12);
    ops_attention_fwd(&stream, &op);
    expect_failure("attention: o overlaps k");
    op = good_attention(&span);
    span.kv_row = 3;
    ops_attention_fwd(&stream, &op);
    expect_failure("attention: span 0 reads 7 keys from row 3, k has 9 rows");
    span = (struct span){.row = 1, .count = 2};
    ops_attention_fwd(&stream, &op);
    expect_failure("attention: span 0 is row 1, count 2");
    const struct span twice[] = {{0, 2, 0, 0}, {1, 1, 0, 0}};
    op.spans = twice;
    op.span_count = 2;
    ops_attention_fwd(&stream, &op);
    expect_failure("attention: span 1 is row 1, count 1, first 0, kv_row 0 after row 2");
    close_stream();
}

static void gate_shapes_are_checked(void) {
    open_stream();
    struct op_gate_fwd op = {.shape = {.experts = 8,
                                       .active = 4,
                                       .groups = 4,
                                       .topk_groups = 2,
                                       .method = GATE_NOAUX_TC},
                             .scores = block(0, 3, 8),
                             .weight = block(1, 3, 4),
                             .logits = block(0, 3, 8),
                             .idx = integers};
    ops_gate_fwd(&stream, &op);
    expect_success();
    op.shape.topk_groups = 1;
    ops_gate_fwd(&stream, &op);
    expect_failure("gate: 4 of 8 experts cannot come from 1 of 4 groups");
    op.shape.groups = 3;
    op.shape.topk_groups = 3;
    ops_gate_fwd(&stream, &op);
    expect_failure("gate: 4 of 8 experts cannot come from 3 of 3 groups");
    op.shape.groups = op.shape.topk_groups = 8; /* a group of one has no top two */
    ops_gate_fwd(&stream, &op);
    expect_failure("cannot come from 8 of 8 groups");
    op.shape.experts = EXPERTS_MAX + 1;
    ops_gate_fwd(&stream, &op);
    expect_failure("gate: experts is 65537, expected 1 to 65536");
    op.shape.experts = 8;
    op.shape.groups = op.shape.topk_groups = 1;
    op.shape.active = 9;
    ops_gate_fwd(&stream, &op);
    expect_failure("gate: active experts is 9, expected 1 to 8");
    close_stream();
}

static void the_other_operations_are_checked(void) {
    open_stream();
    ops_rope(&stream, &(struct op_rope){.x = block(0, 3, 10),
                                        .cos = block(1, 3, 2),
                                        .sin = block(2, 3, 2),
                                        .heads = 3,
                                        .head_stride = 4});
    expect_failure("rope: x is [3, 10], expected at least [3, 12]");
    ops_moe_combine(&stream, &(struct op_moe_combine){.y = block(0, 3, 4),
                                                      .rows = block(1, 6, 5),
                                                      .slot_row = integers,
                                                      .active = 2});
    expect_failure("moe_combine: rows is [6, 5], expected [any, 4]");
    ops_moe_plan(&stream, &(struct op_moe_plan){.tokens = 1 << 30, .active = 8, .experts = 16});
    expect_failure("moe_plan: tokens is 1073741824");
    ops_moe_drop(&stream, &(struct op_moe_drop){.kept = integers,
                                                .idx = integers,
                                                .scores = block(0, 3, 6),
                                                .active = 2,
                                                .devices = 4,
                                                .capacity = 1});
    expect_failure("moe_drop: 6 experts cannot be divided among 4 devices");
    ops_moe_drop(&stream, &(struct op_moe_drop){.kept = integers,
                                                .idx = integers,
                                                .scores = block(0, 3, 6),
                                                .active = 2,
                                                .devices = 3});
    expect_failure("moe_drop: capacity is 0");
    ops_balance_fwd(&stream, &(struct op_balance_fwd){.loss = block(1, 0, 1),
                                                      .c = block(2, 0, 6),
                                                      .scores = block(0, 3, 6),
                                                      .active = 2,
                                                      .levels = {.device = 1, .devices = 3}});
    expect_failure("balance loss: idx is NULL");
    ops_balance_fwd(&stream, &(struct op_balance_fwd){
                                 .loss = block(1, 0, 1),
                                 .c = block(2, 0, 6),
                                 .scores = block(0, 3, 6),
                                 .idx = integers,
                                 .active = 2,
                                 .levels = {.communication = 1, .devices = 3, .reach = 4}});
    expect_failure("balance loss: reach is 4, expected 1 to 3");
    ops_cross_entropy(&stream, &(struct op_cross_entropy){.logits = block(0, 2, 3),
                                                          .targets = integers,
                                                          .logp = memory[1],
                                                          .is_gradient_wanted = true});
    expect_failure("cross_entropy: coef is NULL");
    ops_adamw(&stream, &(struct op_adamw){.p = block(0, 1, 4),
                                          .g = block(1, 1, 4),
                                          .m = block(2, 1, 4),
                                          .v = block(3, 1, 4)});
    expect_failure("adamw: the corrections are 0 and 0");
    ops_loss_head(&stream, &(struct op_loss_head){.hidden = block(0, 4, 3),
                                                  .weight = block(1, 5, 3),
                                                  .targets = integers,
                                                  .logp = memory[2],
                                                  .logits = block(3, 2, 4),
                                                  .chunk = 2});
    expect_failure("loss head: logits is [2, 4], expected [2, 5]");
    close_stream();
}

static void empty_work_is_done_at_once(void) {
    open_stream();
    const struct tensor none = {.cols = 8, .stride = 8};
    ops_rmsnorm_fwd(&stream, &(struct op_rmsnorm_fwd){.y = none, .x = none, .w = block(0, 1, 8)});
    ops_linear(&stream, PRECISION_F32, (struct tensor){.cols = 4, .stride = 4}, none,
               block(0, 4, 8), (struct tensor){0});
    ops_linear_dw(&stream, PRECISION_F32, block(0, 8, 8), none, none);
    ops_attention_fwd(&stream, &(struct op_attention_fwd){.shape = good_attention(NULL).shape});
    ops_embedding_bwd(&stream, &(struct op_embedding_bwd){.dw = block(0, 4, 8), .dy = none});
    ops_sumsq(&stream, &(struct op_sumsq){.x = {.rows = 1}});
    expect_success();
    close_stream();
}

/* Products over no rows: a weight gradient that is not added to is zero. */
static void product_over_no_rows_is_zero(void) {
    open_stream();
    for (int i = 0; i < 12; i++) memory[0][i] = 5;
    const struct tensor none = {.cols = 3, .stride = 3}, wide = {.cols = 4, .stride = 4};
    ops_matmul(&stream,
               &(struct op_matmul){.form = MATMUL_TN, .c = block(0, 3, 4), .a = none, .b = wide});
    expect_success();
    for (int i = 0; i < 12; i++) CHECK(memory[0][i] == 0);
    close_stream();
}

static const struct test tests[] = {
    TEST(shapes_are_reported_with_their_values),
    TEST(the_first_failure_is_kept_and_later_operations_do_nothing),
    TEST(absent_misshapen_and_foreign_operands_are_refused),
    TEST(overlapping_operands_are_refused),
    TEST(column_ranges_of_one_matrix_do_not_overlap),
    TEST(grouped_products_are_checked),
    TEST(attention_is_checked),
    TEST(gate_shapes_are_checked),
    TEST(the_other_operations_are_checked),
    TEST(empty_work_is_done_at_once),
    TEST(product_over_no_rows_is_zero),
};
HARNESS_MAIN(tests)
