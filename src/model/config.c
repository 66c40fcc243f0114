/* config.json to struct model_config. The published spelling of keys, with the defaults that
 * transformers gives them; keys that only other programs need are ignored. */
#include "model/config.h"

#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"

enum { CONFIG_MAX_BYTES = 4 << 20 };

static const char *const family_names[FAMILY_COUNT] = {
    [FAMILY_DEEPSEEK_V3] = "deepseek_v3",
    [FAMILY_DEEPSEEK_V2] = "deepseek_v2",
    [FAMILY_QWEN2] = "qwen2",
    [FAMILY_QWEN3] = "qwen3",
    [FAMILY_LLAMA] = "llama",
};

const char *family_name(enum model_family family) { return family_names[family]; }

/* ---- checks ---- */

struct bound {
    const char *key;
    int64_t value, low, high;
};

static fathom_status check_bounds(const struct bound *bounds, size_t count, const char *what,
                                  struct error *err) {
    for (size_t i = 0; i < count; i++) {
        const struct bound *b = &bounds[i];
        if (b->value < b->low || b->value > b->high)
            RAISE(FATHOM_BAD_INPUT, "%s: %s is %lld, which must lie in [%lld, %lld]", what, b->key,
                  (long long)b->value, (long long)b->low, (long long)b->high);
    }
    return FATHOM_OK;
}

/* Bounds so wide that no real model meets them, and so tight that products of three sizes fit
 * int64. Sums over layers and experts are bounded where parameters are listed (tensors.h). */
enum { MAX_WIDTH = 1 << 20, MAX_VOCAB = 1 << 24, MAX_LAYERS = 4096, MAX_EXPERTS = 65536 };

static fathom_status check_attention(const struct model_config *c, const char *what,
                                     struct error *err) {
    if (c->is_mla) {
        const struct bound bounds[] = {
            {"q_lora_rank", c->q_rank, 0, MAX_WIDTH},
            {"kv_lora_rank", c->kv_rank, 1, MAX_WIDTH},
            {"qk_nope_head_dim", c->dim_nope, 1, 65536},
            {"qk_rope_head_dim", c->dim_rope, 2, 65536},
            {"v_head_dim", c->dim_value, 1, 65536},
        };
        TRY(check_bounds(bounds, sizeof bounds / sizeof bounds[0], what, err));
    } else {
        const struct bound bounds[] = {
            {"num_key_value_heads", c->kv_heads, 1, c->heads},
            {"head_dim", c->dim_nope, 2, 65536},
        };
        TRY(check_bounds(bounds, sizeof bounds / sizeof bounds[0], what, err));
        if (c->heads % c->kv_heads != 0)
            RAISE(FATHOM_BAD_INPUT,
                  "%s: num_attention_heads %lld is not a multiple of num_key_value_heads %lld",
                  what, (long long)c->heads, (long long)c->kv_heads);
    }
    if (c->dim_rope % 2 != 0)
        RAISE(FATHOM_BAD_INPUT, "%s: %s is %lld, but rotary dimensions come in pairs: make it even",
              what, c->is_mla ? "qk_rope_head_dim" : "head_dim", (long long)c->dim_rope);
    if (!(c->rope_theta > 1))
        RAISE(FATHOM_BAD_INPUT, "%s: rope_theta is %g, which must be above 1", what, c->rope_theta);
    return FATHOM_OK;
}

static fathom_status check_experts(const struct model_config *c, const char *what,
                                   struct error *err) {
    if (c->experts == 0) return FATHOM_OK;
    const struct gate_shape *g = &c->gate;
    const struct bound bounds[] = {
        {"n_routed_experts", c->experts, 1, MAX_EXPERTS},
        {"num_experts_per_tok", c->active_experts, 1, c->experts},
        {"n_shared_experts", c->shared_experts, 0, 1024},
        {"moe_intermediate_size", c->expert_dim, 1, MAX_WIDTH},
        {"first_k_dense_replace", c->first_dense, 0, c->layers},
        {"n_group", g->groups, 1, c->experts},
        {"topk_group", g->topk_groups, 1, g->groups},
    };
    TRY(check_bounds(bounds, sizeof bounds / sizeof bounds[0], what, err));
    if (c->experts % g->groups != 0)
        RAISE(FATHOM_BAD_INPUT, "%s: n_group %lld does not divide n_routed_experts %lld", what,
              (long long)g->groups, (long long)c->experts);
    int64_t reachable = c->experts / g->groups * g->topk_groups;
    if (g->method != GATE_GREEDY && c->active_experts > reachable)
        RAISE(FATHOM_BAD_INPUT,
              "%s: num_experts_per_tok %lld exceeds the %lld experts in topk_group %lld groups",
              what, (long long)c->active_experts, (long long)reachable, (long long)g->topk_groups);
    if (g->method == GATE_NOAUX_TC && g->groups > 1 && c->experts / g->groups < 2)
        RAISE(FATHOM_BAD_INPUT,
              "%s: n_group %lld leaves groups of one expert, but noaux_tc ranks a group by its two "
              "best",
              what, (long long)g->groups);
    if (!isfinite(g->routed_scale))
        RAISE(FATHOM_BAD_INPUT, "%s: routed_scaling_factor is not finite", what);
    return FATHOM_OK;
}

/* mscale and its kin: 0 is "not given"; negative ones would turn signs, huge ones overflow. */
static bool is_temperature(double value) { return value >= 0 && value <= 1000; }

static fathom_status check_yarn(const struct rope_scaling *r, const char *what, struct error *err) {
    if (!(r->beta_fast > 0 && r->beta_slow > 0))
        RAISE(FATHOM_BAD_INPUT,
              "%s: rope_scaling has beta_fast %g and beta_slow %g; both must be "
              "positive",
              what, r->beta_fast, r->beta_slow);
    if (!is_temperature(r->mscale) || !is_temperature(r->mscale_all_dim) ||
        !is_temperature(r->attention_factor))
        RAISE(FATHOM_BAD_INPUT,
              "%s: rope_scaling has mscale %g, mscale_all_dim %g and attention_factor %g, which "
              "must lie in [0, 1000]",
              what, r->mscale, r->mscale_all_dim, r->attention_factor);
    return FATHOM_OK;
}

static fathom_status check_rope(const struct model_config *c, const char *what, struct error *err) {
    const struct rope_scaling *r = &c->rope;
    if (r->kind == ROPE_SCALING_NONE) return FATHOM_OK;
    if (!(r->factor >= 1))
        RAISE(FATHOM_BAD_INPUT, "%s: rope_scaling has factor %g, which must be at least 1", what,
              r->factor);
    if (!(r->original_positions >= 1 && r->original_positions <= INT32_MAX) ||
        r->original_positions != floor(r->original_positions))
        RAISE(FATHOM_BAD_INPUT,
              "%s: rope_scaling has original_max_position_embeddings %g, which must be a whole "
              "number in [1, %d]",
              what, r->original_positions, INT32_MAX);
    if (r->kind == ROPE_SCALING_YARN) return check_yarn(r, what, err);
    if (r->kind == ROPE_SCALING_LLAMA3 && !(r->high_frequency > r->low_frequency))
        RAISE(FATHOM_BAD_INPUT,
              "%s: rope_scaling has low_freq_factor %g, which must be below high_freq_factor %g",
              what, r->low_frequency, r->high_frequency);
    return FATHOM_OK;
}

fathom_status config_check(const struct model_config *c, const char *what, struct error *err) {
    const struct bound bounds[] = {
        {"vocab_size", c->vocab, 1, MAX_VOCAB},
        {"hidden_size", c->dim, 1, MAX_WIDTH},
        {"num_hidden_layers", c->layers, 1, MAX_LAYERS},
        {"num_attention_heads", c->heads, 1, 65536},
        {"intermediate_size", c->ffn_dim, 1, MAX_WIDTH},
        {"max_position_embeddings", c->max_positions, 1, INT32_MAX},
        {"num_nextn_predict_layers", c->mtp_modules, 0, 64},
    };
    TRY(check_bounds(bounds, sizeof bounds / sizeof bounds[0], what, err));
    const struct bound tokens[] = {
        {"bos_token_id", c->bos, -1, c->vocab - 1},
        {"eos_token_id", c->eos, -1, c->vocab - 1},
    };
    TRY(check_bounds(tokens, sizeof tokens / sizeof tokens[0], what, err));
    if (!(c->norm_eps > 0 && c->norm_eps < 1))
        RAISE(FATHOM_BAD_INPUT, "%s: rms_norm_eps is %g, which must lie in (0, 1)", what,
              c->norm_eps);
    if (!(c->init_std > 0 && c->init_std < 10))
        RAISE(FATHOM_BAD_INPUT, "%s: initializer_range is %g, which must lie in (0, 10)", what,
              c->init_std);
    TRY(check_attention(c, what, err));
    TRY(check_rope(c, what, err));
    return check_experts(c, what, err);
}

/* ---- reading ---- */

struct config_source {
    const json_node *root;
    const char *what;
    struct error *err;
};

static fathom_status get_i64(const struct config_source *s, const char *key, int64_t *out) {
    return json_get_i64(s->root, key, out, s->what, s->err);
}
static fathom_status need_i64(const struct config_source *s, const char *key, int64_t *out) {
    return json_need_i64(s->root, key, out, s->what, s->err);
}
static fathom_status get_f64(const struct config_source *s, const char *key, double *out) {
    return json_get_f64(s->root, key, out, s->what, s->err);
}
static fathom_status get_bool(const struct config_source *s, const char *key, bool *out) {
    return json_get_bool(s->root, key, out, s->what, s->err);
}

/* eos_token_id may be a list (Llama 3, Qwen): the first is the text's end for training. */
static void read_token_id(const struct config_source *s, const char *key, int64_t *out) {
    const json_node *node = json_member(s->root, key);
    if (json_is_array(node)) node = json_element(node, 0);
    *out = json_is_integer(node) ? json_integer(node) : -1;
}

static fathom_status read_family(struct model_config *c, const struct config_source *s) {
    struct error *err = s->err;
    const char *type = NULL;
    TRY(json_need_string(s->root, "model_type", &type, s->what, err));
    for (int family = 0; family < FAMILY_COUNT; family++) {
        if (strcmp(type, family_names[family]) != 0) continue;
        c->family = (enum model_family)family;
        return FATHOM_OK;
    }
    RAISE(FATHOM_UNSUPPORTED,
          "%s: model_type \"%s\" is none of deepseek_v3, deepseek_v2, qwen2, qwen3, llama", s->what,
          type);
}

static fathom_status read_rope_yarn(struct rope_scaling *r, const struct config_source *s) {
    r->kind = ROPE_SCALING_YARN;
    r->beta_fast = 32;
    r->beta_slow = 1;
    TRY(get_f64(s, "beta_fast", &r->beta_fast));
    TRY(get_f64(s, "beta_slow", &r->beta_slow));
    TRY(get_f64(s, "mscale", &r->mscale));
    TRY(get_f64(s, "mscale_all_dim", &r->mscale_all_dim));
    return get_f64(s, "attention_factor", &r->attention_factor);
}

/* rope_scaling, or transformers 5's rope_parameters (which holds rope_theta too). */
static fathom_status read_rope(struct model_config *c, const struct config_source *s) {
    struct error *err = s->err;
    c->rope_theta = 10000;
    TRY(get_f64(s, "rope_theta", &c->rope_theta));
    const json_node *node = json_member(s->root, "rope_scaling");
    if (json_is_null(node)) node = json_member(s->root, "rope_parameters");
    if (json_is_null(node)) return FATHOM_OK;
    if (!json_is_object(node))
        RAISE(FATHOM_BAD_INPUT, "%s: rope_scaling is neither an object nor null", s->what);

    const struct config_source inner = {node, s->what, err};
    const char *type = NULL;
    TRY(get_f64(&inner, "rope_theta", &c->rope_theta));
    TRY(json_get_string(node, "type", &type, s->what, err));
    TRY(json_get_string(node, "rope_type", &type, s->what, err));
    if (!type || strcmp(type, "default") == 0) return FATHOM_OK;

    struct rope_scaling *r = &c->rope;
    r->factor = 1;
    r->original_positions = (double)c->max_positions;
    TRY(get_f64(&inner, "factor", &r->factor));
    TRY(get_f64(&inner, "original_max_position_embeddings", &r->original_positions));
    if (strcmp(type, "yarn") == 0) return read_rope_yarn(r, &inner);
    if (strcmp(type, "llama3") == 0) {
        r->kind = ROPE_SCALING_LLAMA3;
        r->low_frequency = 1;
        r->high_frequency = 4;
        TRY(get_f64(&inner, "low_freq_factor", &r->low_frequency));
        return get_f64(&inner, "high_freq_factor", &r->high_frequency);
    }
    RAISE(FATHOM_UNSUPPORTED, "%s: rope_scaling type \"%s\" is none of yarn, llama3, default",
          s->what, type);
}

static fathom_status read_gate(struct model_config *c, const struct config_source *s) {
    struct error *err = s->err;
    struct gate_shape *g = &c->gate;
    bool is_v3 = c->family == FAMILY_DEEPSEEK_V3;
    const char *scoring = is_v3 ? "sigmoid" : "softmax";
    const char *method = is_v3 ? "noaux_tc" : "greedy";
    *g = (struct gate_shape){
        .groups = 1, .topk_groups = 1, .is_normalised = is_v3, .routed_scale = 1};
    TRY(get_i64(s, "n_group", &g->groups));
    TRY(get_i64(s, "topk_group", &g->topk_groups));
    TRY(get_bool(s, "norm_topk_prob", &g->is_normalised));
    TRY(get_f64(s, "routed_scaling_factor", &g->routed_scale));
    TRY(json_get_string(s->root, "scoring_func", &scoring, s->what, err));
    TRY(json_get_string(s->root, "topk_method", &method, s->what, err));

    if (strcmp(scoring, "sigmoid") == 0)
        g->scoring = GATE_SIGMOID;
    else if (strcmp(scoring, "softmax") == 0)
        g->scoring = GATE_SOFTMAX;
    else
        RAISE(FATHOM_UNSUPPORTED, "%s: scoring_func \"%s\" is neither sigmoid nor softmax", s->what,
              scoring);
    if (strcmp(method, "noaux_tc") == 0)
        g->method = GATE_NOAUX_TC;
    else if (strcmp(method, "group_limited_greedy") == 0)
        g->method = GATE_GROUP_LIMITED;
    else if (strcmp(method, "greedy") == 0)
        g->method = GATE_GREEDY;
    else
        RAISE(FATHOM_UNSUPPORTED,
              "%s: topk_method \"%s\" is none of noaux_tc, group_limited_greedy, greedy", s->what,
              method);
    g->experts = c->experts;
    g->active = c->active_experts;
    return FATHOM_OK;
}

static fathom_status read_deepseek(struct model_config *c, const struct config_source *s) {
    struct error *err = s->err;
    int64_t every = 1;
    bool has_bias = false;
    c->is_mla = true;
    c->kv_heads = c->heads;
    TRY(get_i64(s, "q_lora_rank", &c->q_rank)); /* null: none */
    TRY(need_i64(s, "kv_lora_rank", &c->kv_rank));
    TRY(need_i64(s, "qk_nope_head_dim", &c->dim_nope));
    TRY(need_i64(s, "qk_rope_head_dim", &c->dim_rope));
    TRY(need_i64(s, "v_head_dim", &c->dim_value));
    TRY(get_bool(s, "attention_bias", &has_bias));
    if (has_bias) RAISE(FATHOM_UNSUPPORTED, "%s: attention_bias is true with MLA", s->what);

    TRY(get_i64(s, "n_routed_experts", &c->experts));
    TRY(get_i64(s, "num_nextn_predict_layers", &c->mtp_modules));
    if (c->experts == 0) return FATHOM_OK;
    TRY(need_i64(s, "num_experts_per_tok", &c->active_experts));
    TRY(need_i64(s, "moe_intermediate_size", &c->expert_dim));
    TRY(get_i64(s, "n_shared_experts", &c->shared_experts));
    TRY(get_i64(s, "first_k_dense_replace", &c->first_dense));
    TRY(get_i64(s, "moe_layer_freq", &every));
    if (every != 1)
        RAISE(FATHOM_UNSUPPORTED, "%s: moe_layer_freq is %lld; published models have 1", s->what,
              (long long)every);
    return read_gate(c, s);
}

static fathom_status read_dense(struct model_config *c, const struct config_source *s) {
    struct error *err = s->err;
    c->kv_heads = c->heads;
    TRY(get_i64(s, "num_key_value_heads", &c->kv_heads));
    int64_t head_dim = c->heads > 0 ? c->dim / c->heads : 0;
    TRY(get_i64(s, "head_dim", &head_dim));
    c->dim_nope = c->dim_rope = c->dim_value = head_dim;
    c->has_qkv_bias = c->family == FAMILY_QWEN2;
    c->has_qk_norm = c->family == FAMILY_QWEN3;
    c->first_dense = c->layers;

    bool has_bias = false, has_mlp_bias = false, has_window = false;
    TRY(get_bool(s, "attention_bias", &has_bias));
    TRY(get_bool(s, "mlp_bias", &has_mlp_bias));
    TRY(get_bool(s, "use_sliding_window", &has_window));
    if ((has_bias && !c->has_qkv_bias) || has_mlp_bias || has_window)
        RAISE(FATHOM_UNSUPPORTED,
              "%s: attention_bias, mlp_bias or use_sliding_window is true, which %s here lacks",
              s->what, family_names[c->family]);
    return FATHOM_OK;
}

static fathom_status read_config(struct model_config *c, const struct config_source *s) {
    struct error *err = s->err;
    *c = (struct model_config){.norm_eps = 1e-6, .init_std = 0.02, .max_positions = 2048};
    if (!json_is_object(s->root)) RAISE(FATHOM_BAD_INPUT, "%s: not a JSON object", s->what);
    TRY(read_family(c, s));
    TRY(need_i64(s, "vocab_size", &c->vocab));
    TRY(need_i64(s, "hidden_size", &c->dim));
    TRY(need_i64(s, "num_hidden_layers", &c->layers));
    TRY(need_i64(s, "num_attention_heads", &c->heads));
    TRY(need_i64(s, "intermediate_size", &c->ffn_dim));
    TRY(get_i64(s, "max_position_embeddings", &c->max_positions));
    TRY(get_f64(s, "rms_norm_eps", &c->norm_eps));
    TRY(get_f64(s, "initializer_range", &c->init_std));
    TRY(get_bool(s, "tie_word_embeddings", &c->is_tied));
    read_token_id(s, "bos_token_id", &c->bos);
    read_token_id(s, "eos_token_id", &c->eos);

    const char *activation = "silu";
    TRY(json_get_string(s->root, "hidden_act", &activation, s->what, err));
    if (strcmp(activation, "silu") != 0)
        RAISE(FATHOM_UNSUPPORTED, "%s: hidden_act is \"%s\"; only silu is known", s->what,
              activation);
    bool is_deepseek = c->family == FAMILY_DEEPSEEK_V3 || c->family == FAMILY_DEEPSEEK_V2;
    TRY(is_deepseek ? read_deepseek(c, s) : read_dense(c, s));
    TRY(read_rope(c, s));
    return config_check(c, s->what, err);
}

fathom_status config_parse(struct model_config *config, const char *json, size_t size,
                           const char *what, struct error *err) {
    json_node *root = NULL;
    TRY(json_parse(&root, json, size, what, err));
    const struct config_source source = {root, what, err};
    fathom_status status = read_config(config, &source);
    json_free(root);
    return status;
}

fathom_status config_read(struct model_config *config, const char *path, struct error *err) {
    char *file = NULL, *text = NULL;
    size_t size = 0;
    fathom_status status = FATHOM_OK;
    if (path_is_directory(path)) {
        TRY(path_join(&file, path, "config.json", err));
        path = file;
    }
    status = file_read(path, CONFIG_MAX_BYTES, &text, &size, err);
    if (status == FATHOM_OK) status = config_parse(config, text, size, path, err);
    mem_free(text);
    mem_free(file);
    return status;
}
