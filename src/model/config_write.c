/* struct model_config to config.json, in the published spelling. */
#include <string.h>

#include "base/json.h"
#include "model/config.h"

static const char *const architectures[FAMILY_COUNT] = {
    [FAMILY_DEEPSEEK_V3] = "DeepseekV3ForCausalLM",
    [FAMILY_DEEPSEEK_V2] = "DeepseekV2ForCausalLM",
    [FAMILY_QWEN2] = "Qwen2ForCausalLM",
    [FAMILY_QWEN3] = "Qwen3ForCausalLM",
    [FAMILY_LLAMA] = "LlamaForCausalLM",
};

static void put_key(struct text *out, const char *key) { text_printf(out, ",\n  \"%s\": ", key); }

static void put_i64(struct text *out, const char *key, int64_t value) {
    put_key(out, key);
    text_printf(out, "%lld", (long long)value);
}

/* A real number, with a point even where it is whole: transformers checks the kinds of numbers. */
static void put_f64(struct text *out, const char *key, double value) {
    put_key(out, key);
    size_t begin = out->size;
    json_write_f64(out, value);
    if (!out->failed && !strpbrk(text_data(out) + begin, ".en")) text_append_string(out, ".0");
}

static void put_bool(struct text *out, const char *key, bool value) {
    put_key(out, key);
    text_append_string(out, value ? "true" : "false");
}

static void put_string(struct text *out, const char *key, const char *value) {
    put_key(out, key);
    json_write_string(out, value, strlen(value));
}

/* A token id, or null where the model has none. */
static void put_token(struct text *out, const char *key, int64_t id) {
    if (id >= 0)
        put_i64(out, key, id);
    else {
        put_key(out, key);
        text_append_string(out, "null");
    }
}

static void put_rope_scaling(struct text *out, const struct rope_scaling *r) {
    put_key(out, "rope_scaling");
    if (r->kind == ROPE_SCALING_NONE) {
        text_append_string(out, "null");
        return;
    }
    bool is_yarn = r->kind == ROPE_SCALING_YARN;
    const char *type = is_yarn ? "yarn" : "llama3";
    text_printf(out, "{\n    \"type\": \"%s\",\n    \"rope_type\": \"%s\"", type, type);
    put_f64(out, "factor", r->factor);
    put_i64(out, "original_max_position_embeddings", (int64_t)r->original_positions);
    if (is_yarn) {
        put_f64(out, "beta_fast", r->beta_fast);
        put_f64(out, "beta_slow", r->beta_slow);
        if (r->mscale != 0) put_f64(out, "mscale", r->mscale);
        if (r->mscale_all_dim != 0) put_f64(out, "mscale_all_dim", r->mscale_all_dim);
        if (r->attention_factor > 0) put_f64(out, "attention_factor", r->attention_factor);
    } else {
        put_f64(out, "low_freq_factor", r->low_frequency);
        put_f64(out, "high_freq_factor", r->high_frequency);
    }
    text_append_string(out, "\n  }");
}

static void put_gate(struct text *out, const struct model_config *c) {
    static const char *const methods[] = {[GATE_GREEDY] = "greedy",
                                          [GATE_GROUP_LIMITED] = "group_limited_greedy",
                                          [GATE_NOAUX_TC] = "noaux_tc"};
    put_i64(out, "n_routed_experts", c->experts);
    put_i64(out, "n_shared_experts", c->shared_experts);
    put_i64(out, "num_experts_per_tok", c->active_experts);
    put_i64(out, "moe_intermediate_size", c->expert_dim);
    put_i64(out, "first_k_dense_replace", c->first_dense);
    put_i64(out, "moe_layer_freq", 1);
    put_i64(out, "n_group", c->gate.groups);
    put_i64(out, "topk_group", c->gate.topk_groups);
    put_string(out, "topk_method", methods[c->gate.method]);
    put_string(out, "scoring_func", c->gate.scoring == GATE_SIGMOID ? "sigmoid" : "softmax");
    put_bool(out, "norm_topk_prob", c->gate.is_normalised);
    put_f64(out, "routed_scaling_factor", c->gate.routed_scale);
}

static void put_mla(struct text *out, const struct model_config *c) {
    put_key(out, "q_lora_rank");
    if (c->q_rank > 0)
        text_printf(out, "%lld", (long long)c->q_rank);
    else
        text_append_string(out, "null");
    put_i64(out, "kv_lora_rank", c->kv_rank);
    put_i64(out, "qk_nope_head_dim", c->dim_nope);
    put_i64(out, "qk_rope_head_dim", c->dim_rope);
    put_i64(out, "v_head_dim", c->dim_value);
    put_i64(out, "num_nextn_predict_layers", c->mtp_modules);
}

void config_write(const struct model_config *c, struct text *out) {
    text_printf(out, "{\n  \"architectures\": [\"%s\"]", architectures[c->family]);
    put_string(out, "model_type", family_name(c->family));
    put_i64(out, "vocab_size", c->vocab);
    put_i64(out, "hidden_size", c->dim);
    put_i64(out, "num_hidden_layers", c->layers);
    put_i64(out, "num_attention_heads", c->heads);
    put_i64(out, "num_key_value_heads", c->kv_heads);
    put_i64(out, "intermediate_size", c->ffn_dim);
    put_string(out, "hidden_act", "silu");
    put_i64(out, "max_position_embeddings", c->max_positions);
    put_f64(out, "rms_norm_eps", c->norm_eps);
    put_f64(out, "initializer_range", c->init_std);
    put_bool(out, "tie_word_embeddings", c->is_tied);
    put_bool(out, "attention_bias", false);
    put_f64(out, "attention_dropout", 0);
    if (c->is_mla)
        put_mla(out, c);
    else
        put_i64(out, "head_dim", c->dim_nope);
    if (c->experts > 0) put_gate(out, c);
    put_f64(out, "rope_theta", c->rope_theta);
    put_rope_scaling(out, &c->rope);
    put_token(out, "bos_token_id", c->bos);
    put_token(out, "eos_token_id", c->eos);
    put_string(out, "torch_dtype", "float32");
    put_bool(out, "use_cache", true);
    text_append_string(out, "\n}\n");
}
