/* A device's operations under a profile: their names, calls and work, and the same results. */
#include "backend/profile.h"
#include "gradient.h"
#include "harness.h"
#include "op_devices.h"
#include "ops/attention.h"
#include "ops/product.h"
#include "ops/rows.h"

static const struct profile_row *find(const struct profile_row *rows, size_t count,
                                      const char *name) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(rows[i].name, name) == 0) return &rows[i];
    harness_fail(__FILE__, __LINE__, "no row named %s", name);
}

static void products_are_counted_by_form(void) {
    struct oracle o;
    struct profile *profile = NULL;
    struct profile_row rows[PROFILE_ROWS_MAX];
    struct error err = {0};
    oracle_open(&o);
    const struct op_table *table = o.device->ops;
    const struct tensor a = oracle_normal(&o, 5, 7), b = oracle_normal(&o, 3, 7);
    const struct tensor plain = oracle_zero(&o, 5, 3), timed = oracle_zero(&o, 5, 3);
    const struct tensor dw = oracle_zero(&o, 3, 7);
    ops_linear(&o.stream, PRECISION_F32, plain, a, b, (struct tensor){0});
    CHECK_OK(profile_new(&profile, o.device, &err), &err);
    CHECK_EQ(profile_rows(profile, rows), 0);
    for (int i = 0; i < 2; i++)
        ops_linear(&o.stream, PRECISION_F32, timed, a, b, (struct tensor){0});
    ops_linear_dw(&o.stream, PRECISION_F32, dw, plain, a);
    CHECK_EQ(profile_rows(profile, rows), 2);
    const struct profile_row *nt = find(rows, 2, "matmul NT"), *tn = find(rows, 2, "matmul TN");
    CHECK_EQ(nt->calls, 2);
    CHECK(nt->flops == 2 * (2.0 * 5 * 3 * 7));
    CHECK(nt->bytes == 2 * 8.0 * (5 * 7 + 3 * 7 + 5 * 3));
    CHECK_EQ(tn->calls, 1);
    CHECK(tn->flops == 2.0 * 5 * 3 * 7);
    CHECK(tn->bytes == 8.0 * (5 * 7 + 5 * 3 + 2 * 3 * 7)); /* dw is added to */
    CHECK(rows[0].seconds >= rows[1].seconds);
    CHECK(memcmp(plain.data, timed.data, 15 * sizeof(double)) == 0);
    profile_clear(profile);
    CHECK_EQ(profile_rows(profile, rows), 0);
    profile_free(profile);
    CHECK(o.device->ops == table);
    oracle_close(&o);
}

/* Two sequences of 4 and 3 tokens: 10 and 6 pairs of query and key, for each of two heads. */
static void attention_counts_the_keys_that_are_seen(void) {
    enum { T = 7, H = 2, DN = 4, DR = 2, DV = 3 };
    struct oracle o;
    struct profile *profile = NULL;
    struct profile_row rows[PROFILE_ROWS_MAX];
    struct error err = {0};
    oracle_open(&o);
    const struct span spans[] = {{.count = 4}, {.row = 4, .count = 3, .kv_row = 4}};
    const struct op_attention_fwd op = {.shape = {.heads = H,
                                                  .kv_heads = H,
                                                  .dim_nope = DN,
                                                  .dim_rope = DR,
                                                  .dim_value = DV,
                                                  .q_stride = DN + DR,
                                                  .k_stride = DN,
                                                  .v_stride = DV,
                                                  .o_stride = DV,
                                                  .scale = 1},
                                        .o = oracle_zero(&o, T, H * DV),
                                        .q = oracle_normal(&o, T, H * (DN + DR)),
                                        .k = oracle_normal(&o, T, H * DN),
                                        .k_rope = oracle_normal(&o, T, DR),
                                        .v = oracle_normal(&o, T, H * DV),
                                        .spans = spans,
                                        .span_count = 2};
    CHECK_OK(profile_new(&profile, o.device, &err), &err);
    ops_attention_fwd(&o.stream, &op);
    CHECK_OK(stream_check(&o.stream, &err), &err);
    CHECK_EQ(profile_rows(profile, rows), 1);
    CHECK_STR(rows[0].name, "attention_fwd");
    CHECK(rows[0].flops == 2.0 * H * (10 + 6) * (DN + DR + DV));
    CHECK(rows[0].bytes == 8.0 * T * (2 * H * DV + H * (DN + DR) + H * DN + DR));
    profile_free(profile);
    oracle_close(&o);
}

static void rows_are_counted_in_bytes(void) {
    struct oracle o;
    struct profile *profile = NULL;
    struct profile_row rows[PROFILE_ROWS_MAX];
    struct error err = {0};
    oracle_open(&o);
    const struct tensor x = oracle_normal(&o, 6, 5), y = oracle_zero(&o, 6, 5);
    CHECK_OK(profile_new(&profile, o.device, &err), &err);
    ops_add(&o.stream, &(struct op_add){.y = y, .a = x, .b = x});
    CHECK_EQ(profile_rows(profile, rows), 1);
    CHECK(rows[0].flops == 0);
    CHECK(rows[0].bytes == 8.0 * 3 * 30);
    profile_free(profile);
    profile_free(NULL);
    oracle_close(&o);
}

static const struct test tests[] = {
    TEST(products_are_counted_by_form),
    TEST(attention_counts_the_keys_that_are_seen),
    TEST(rows_are_counted_in_bytes),
};
HARNESS_MAIN(tests)
