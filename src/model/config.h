/* The shape of a model: what config.json says, in one struct for the whole family.
 *
 * DeepSeek-V3/R1 and V2 (MLA, mixture of experts), and the dense models of the R1 distills (Qwen2,
 * Qwen3, Llama 3) are settings of the same layers. Keys and defaults follow the published
 * configuration files; src/model/config.c has the table. */
#ifndef MODEL_CONFIG_H
#define MODEL_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/ops.h"
#include "base/status.h"
#include "base/text.h"

enum model_family {
    FAMILY_DEEPSEEK_V3,
    FAMILY_DEEPSEEK_V2,
    FAMILY_QWEN2,
    FAMILY_QWEN3,
    FAMILY_LLAMA,
    FAMILY_COUNT
};
enum rope_scaling_kind { ROPE_SCALING_NONE, ROPE_SCALING_YARN, ROPE_SCALING_LLAMA3 };

struct rope_scaling {
    enum rope_scaling_kind kind;
    double factor;
    double original_positions;
    double beta_fast, beta_slow;          /* YaRN */
    double mscale, mscale_all_dim;        /* YaRN; 0: not given */
    double attention_factor;              /* YaRN; 0: not given */
    double low_frequency, high_frequency; /* Llama 3 */
};

struct model_config {
    enum model_family family;
    int64_t vocab;  /* V */
    int64_t dim;    /* D, hidden_size */
    int64_t layers; /* L, without MTP modules */
    int64_t heads;  /* H */
    double norm_eps;
    double init_std; /* initializer_range */
    bool is_tied;    /* the head is the embedding */
    int64_t max_positions;
    int64_t bos, eos; /* token ids; -1: none */

    /* attention */
    bool is_mla;
    int64_t kv_heads;  /* Hk; GQA only (H for MLA) */
    int64_t q_rank;    /* Q latent; 0: queries are projected directly */
    int64_t kv_rank;   /* R latent; MLA only */
    int64_t dim_nope;  /* Dn; GQA: the whole head */
    int64_t dim_rope;  /* Dr; GQA: the rotated part, the whole head */
    int64_t dim_value; /* Dv */
    bool has_qkv_bias; /* Qwen2 */
    bool has_qk_norm;  /* Qwen3: RMSNorm of each query and key head before RoPE */
    double rope_theta;
    struct rope_scaling rope;

    /* feed-forward */
    int64_t ffn_dim;        /* F of dense layers */
    int64_t experts;        /* E; 0: every layer is dense */
    int64_t active_experts; /* K */
    int64_t shared_experts; /* their number; one MLP of shared_experts * expert_dim */
    int64_t expert_dim;     /* F of an expert */
    int64_t first_dense;    /* layers [0, first_dense) are dense */
    struct gate_shape gate;

    int64_t mtp_modules; /* multi-token prediction depth */
};

/* Parses config.json's text. Every contradiction is an error that names the keys and values. */
fathom_status config_parse(struct model_config *config, const char *json, size_t size,
                           const char *what, struct error *err);
/* DIRECTORY/config.json, or the file itself. */
fathom_status config_read(struct model_config *config, const char *path, struct error *err);
/* The published spelling, readable by transformers. */
void config_write(const struct model_config *config, struct text *out);
/* Checks what every later size computation relies on. config_parse has called it already. */
fathom_status config_check(const struct model_config *config, const char *what, struct error *err);

const char *family_name(enum model_family family); /* the model_type: "deepseek_v3" */

static inline bool config_layer_is_moe(const struct model_config *c, int64_t layer) {
    return c->experts > 0 && layer >= c->first_dense; /* MTP layers too */
}
/* Layers with weights: L and the MTP modules behind them. */
static inline int64_t config_all_layers(const struct model_config *c) {
    return c->layers + c->mtp_modules;
}
/* Width of a query head: Dk. */
static inline int64_t config_dim_key(const struct model_config *c) {
    return c->is_mla ? c->dim_nope + c->dim_rope : c->dim_nope;
}
static inline int64_t config_shared_dim(const struct model_config *c) {
    return c->shared_experts * c->expert_dim;
}

/* Rotary frequencies of the Dr/2 pairs, the factor on cos and sin, and the scale inside the
 * softmax, as the published implementations compute them (facts: 1/sqrt(Dk), times mscale_all_dim's
 * YaRN temperature squared for MLA). `frequency` has room for dim_rope / 2 values. */
void config_rope(const struct model_config *config, double *frequency, double *factor);
double config_softmax_scale(const struct model_config *config);

#endif
