#include <stdio.h>

#include "harness.h"
#include "model/config.h"
#include "model/tensors.h"

static const char v3[] =
    "{\"model_type\": \"deepseek_v3\", \"vocab_size\": 384, \"hidden_size\": 64, "
    "\"num_hidden_layers\": 4, \"num_attention_heads\": 4, \"intermediate_size\": 96, "
    "\"moe_intermediate_size\": 40, \"qk_nope_head_dim\": 16, \"qk_rope_head_dim\": 8, "
    "\"v_head_dim\": 12, \"q_lora_rank\": 24, \"kv_lora_rank\": 32, \"n_routed_experts\": 16, "
    "\"n_shared_experts\": 1, \"num_experts_per_tok\": 4, \"n_group\": 4, \"topk_group\": 2, "
    "\"first_k_dense_replace\": 1, \"max_position_embeddings\": 1280, "
    "\"num_nextn_predict_layers\": 1, \"rope_scaling\": {\"type\": \"yarn\", \"factor\": 8, "
    "\"original_max_position_embeddings\": 32, \"mscale\": 1.0, \"mscale_all_dim\": 1.0}}";

static fathom_status parse(struct model_config *c, const char *json, struct error *err) {
    return config_parse(c, json, strlen(json), "config.json", err);
}

/* v3 with `from` replaced by `to`. */
static void check_refused(const char *from, const char *to, const char *named) {
    char json[2048];
    struct error err = {0};
    struct model_config c;
    const char *at = strstr(v3, from);
    CHECK(at != NULL);
    snprintf(json, sizeof json, "%.*s%s%s", (int)(at - v3), v3, to, at + strlen(from));
    harness_context("%s", to);
    CHECK(parse(&c, json, &err) != FATHOM_OK);
    CHECK_HAS(err.text, named);
    harness_context("%s", "");
}

static void published_keys_are_read(void) {
    struct error err = {0};
    struct model_config c;
    CHECK_OK(parse(&c, v3, &err), &err);
    CHECK(c.is_mla && c.family == FAMILY_DEEPSEEK_V3);
    CHECK_EQ(c.q_rank, 24);
    CHECK_EQ(c.gate.groups, 4);
    CHECK(c.gate.method == GATE_NOAUX_TC && c.gate.scoring == GATE_SIGMOID);
    CHECK(c.gate.is_normalised);
    CHECK_EQ(c.mtp_modules, 1);
    CHECK_EQ(config_all_layers(&c), 5);
    CHECK(!config_layer_is_moe(&c, 0) && config_layer_is_moe(&c, 1) && config_layer_is_moe(&c, 4));
}

static void contradictions_are_refused_with_their_values(void) {
    check_refused("\"n_group\": 4", "\"n_group\": 5", "n_group 5");
    check_refused("\"topk_group\": 2", "\"topk_group\": 5", "topk_group");
    check_refused("\"qk_rope_head_dim\": 8", "\"qk_rope_head_dim\": 7", "even");
    check_refused("\"num_experts_per_tok\": 4", "\"num_experts_per_tok\": 17", "17");
    check_refused("\"num_experts_per_tok\": 4", "\"num_experts_per_tok\": 9", "9");
    check_refused("\"vocab_size\": 384", "\"vocab_size\": 0", "vocab_size");
    check_refused("\"vocab_size\": 384", "\"vocab_size\": -9223372036854775808", "vocab_size");
    check_refused("\"hidden_size\": 64", "\"hidden_size\": \"64\"", "hidden_size");
    check_refused("\"hidden_size\": 64", "\"hidden_size\": 64.5", "hidden_size");
    check_refused("\"hidden_size\": 64, ", "", "hidden_size");
    check_refused("deepseek_v3", "gpt2", "gpt2");
    check_refused("\"factor\": 8", "\"factor\": 0.5", "factor");
    check_refused("\"yarn\"", "\"ntk\"", "ntk");
    check_refused("\"first_k_dense_replace\": 1", "\"first_k_dense_replace\": 9",
                  "first_k_dense_replace");
    check_refused("\"first_k_dense_replace\": 1", "\"moe_layer_freq\": 2", "moe_layer_freq");
    check_refused("\"first_k_dense_replace\": 1", "\"scoring_func\": \"relu\"", "relu");
    check_refused("\"first_k_dense_replace\": 1", "\"hidden_act\": \"gelu\"", "gelu");
    check_refused("{\"model_type\"", "[\"model_type\"", "");
}

/* Each would make the tables of angles or the softmax's scale infinite, or of the wrong sign. */
static void rope_scaling_without_sense_is_refused(void) {
    check_refused("\"mscale\": 1.0", "\"mscale\": -20", "mscale -20");
    check_refused("\"mscale_all_dim\": 1.0", "\"mscale_all_dim\": 1e300", "1e+300");
    check_refused("\"mscale\": 1.0", "\"attention_factor\": -1", "attention_factor -1");
    check_refused("embeddings\": 32", "embeddings\": 32.5", "32.5");
    check_refused("embeddings\": 32", "embeddings\": 1e30", "1e+30");
}

/* Every size alone is within its bound. */
static void model_too_large_to_count_is_refused(void) {
    struct error err = {0};
    struct model_config c;
    struct param_list list;
    CHECK_OK(parse(&c, v3, &err), &err);
    c.layers = 4096;
    c.dim = c.expert_dim = 1 << 20;
    c.experts = c.gate.experts = 65536;
    CHECK_OK(config_check(&c, "config.json", &err), &err);
    CHECK_STATUS(param_list_new(&list, &c, &err), FATHOM_BAD_INPUT);
    CHECK_HAS(err.text, "65536 experts");
    c.dim = c.expert_dim = 1;
    CHECK_STATUS(param_list_new(&list, &c, &err), FATHOM_BAD_INPUT);
    CHECK_HAS(err.text, "4194304 tensors");
}

static void written_config_reads_back_equal(void) {
    struct error err = {0};
    struct model_config c, again;
    struct text written = {0};
    CHECK_OK(parse(&c, v3, &err), &err);
    config_write(&c, &written);
    CHECK_HAS(text_data(&written), "\"routed_scaling_factor\": 1.0,"); /* not an integer */
    CHECK_OK(parse(&again, text_data(&written), &err), &err);
    CHECK(memcmp(&c, &again, sizeof c) == 0);
    text_free(&written);
}

static void config_cut_anywhere_is_refused(void) {
    for (size_t cut = 0; cut < strlen(v3); cut++) {
        struct error err = {0};
        struct model_config c;
        CHECK(config_parse(&c, v3, cut, "config.json", &err) != FATHOM_OK);
    }
}

/* The numbers of the facts sheet, 1.6: s = 40, original 4096, V3's and V2's mscale. */
static void yarn_temperature_is_the_published_one(void) {
    struct model_config c = {.is_mla = true,
                             .dim_nope = 128,
                             .dim_rope = 64,
                             .rope_theta = 10000,
                             .rope = {.kind = ROPE_SCALING_YARN,
                                      .factor = 40,
                                      .original_positions = 4096,
                                      .beta_fast = 32,
                                      .beta_slow = 1,
                                      .mscale = 1,
                                      .mscale_all_dim = 1}};
    double frequency[32], factor = 0;
    CHECK_NEAR(config_softmax_scale(&c), 0.1352338, 1e-7);
    c.rope.mscale = c.rope.mscale_all_dim = 0.707;
    CHECK_NEAR(config_softmax_scale(&c), 0.1147214, 1e-7);
    config_rope(&c, frequency, &factor);
    CHECK_NEAR(factor, 1, 1e-15);
    CHECK_NEAR(frequency[10], pow(10000, -20.0 / 64), 1e-15);      /* the ramp begins at pair 10 */
    CHECK_NEAR(frequency[23], pow(10000, -46.0 / 64) / 40, 1e-15); /* and ends at 23 */
    c.rope.kind = ROPE_SCALING_NONE;
    CHECK_NEAR(config_softmax_scale(&c), 0.0721688, 1e-7);
}

static const struct test tests[] = {
    TEST(published_keys_are_read),
    TEST(contradictions_are_refused_with_their_values),
    TEST(rope_scaling_without_sense_is_refused),
    TEST(model_too_large_to_count_is_refused),
    TEST(written_config_reads_back_equal),
    TEST(config_cut_anywhere_is_refused),
    TEST(yarn_temperature_is_the_published_one),
};
HARNESS_MAIN(tests)
