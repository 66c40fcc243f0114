"""The tiny models of tests/golden: what their config.json says, and how their weights are drawn.

Sizes are ragged on purpose (few are multiples of 8), and every sequence runs past the length that the
rotary scaling calls original. Some values are far from any published model's: on four rotary pairs,
only so do all pieces of YaRN's ramp and of llama3's bands occur.
"""

import torch

TOKENS = 17  # of input_ids and targets
TRAIN_TOKENS = 13  # of a row of train.tokens, the last target included
BATCH = 2

COMMON = {
    "hidden_act": "silu",
    "attention_bias": False,
    "attention_dropout": 0.0,
    "initializer_range": 0.02,
    "torch_dtype": "float32",
    "use_cache": True,
    "vocab_size": 49,
    "num_hidden_layers": 2,
    "max_position_embeddings": 320,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": False,
}

DEEPSEEK = COMMON | {
    "hidden_size": 18,
    "intermediate_size": 21,
    "moe_intermediate_size": 5,
    "num_attention_heads": 3,
    "num_key_value_heads": 3,
    "qk_nope_head_dim": 6,
    "qk_rope_head_dim": 8,
    "v_head_dim": 5,
    "kv_lora_rank": 10,
    "first_k_dense_replace": 1,
    "moe_layer_freq": 1,
    "ep_size": 1,
    "rope_theta": 10000,
}

V3 = DEEPSEEK | {
    "architectures": ["DeepseekV3ForCausalLM"],
    "model_type": "deepseek_v3",
    "scoring_func": "sigmoid",
    "topk_method": "noaux_tc",
    "norm_topk_prob": True,
    "routed_scaling_factor": 2.5,
    "n_shared_experts": 1,
}

V2 = DEEPSEEK | {
    "architectures": ["DeepseekV2ForCausalLM"],
    "model_type": "deepseek_v2",
    "scoring_func": "softmax",
    "norm_topk_prob": False,
    "n_shared_experts": 2,
    "n_routed_experts": 8,
    "num_experts_per_tok": 3,
    "aux_loss_alpha": 0.001,
    "seq_aux": True,
}


def yarn(**keys):
    return {
        "type": "yarn",
        "factor": 20,
        "original_max_position_embeddings": 8,
        "beta_fast": 32,
        "beta_slow": 1,
    } | keys


DENSE = COMMON | {
    "hidden_size": 16,
    "intermediate_size": 22,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}

VARIANTS = {
    "v3": V3
    | {
        "q_lora_rank": 9,
        "n_routed_experts": 12,
        "num_experts_per_tok": 3,
        "n_group": 4,
        "topk_group": 2,
        "num_nextn_predict_layers": 1,
        "rope_scaling": yarn(mscale=1.0, mscale_all_dim=1.0),
    },
    "v3-mtp2": V3
    | {
        "q_lora_rank": None,
        "n_routed_experts": 8,
        "num_experts_per_tok": 2,
        "n_group": 1,
        "topk_group": 1,
        "num_nextn_predict_layers": 2,
        "tie_word_embeddings": True,
        "rope_theta": 100,
        "rope_scaling": yarn(
            factor=6, beta_fast=0.25, beta_slow=0.04, mscale=1.0, mscale_all_dim=0.5
        ),
    },
    "v2": V2
    | {
        "q_lora_rank": 9,
        "n_group": 4,
        "topk_group": 2,
        "topk_method": "group_limited_greedy",
        "routed_scaling_factor": 4.0,
        "rope_scaling": yarn(mscale=0.707, mscale_all_dim=0.707),
    },
    "v2-lite": V2
    | {
        "q_lora_rank": None,
        "n_group": 1,
        "topk_group": 1,
        "topk_method": "greedy",
        "routed_scaling_factor": 1.0,
        "rope_scaling": yarn(mscale=0.707, mscale_all_dim=0.707),
    },
    "qwen2": DENSE
    | {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "rope_theta": 1000000.0,
        "tie_word_embeddings": True,
        "use_sliding_window": False,
        "sliding_window": 4096,
        "max_window_layers": 28,
    },
    "qwen3": DENSE
    | {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        "rope_theta": 10.0,
        "head_dim": 10,
        "use_sliding_window": False,
        "sliding_window": None,
        "max_window_layers": 28,
        "rope_scaling": {
            "rope_type": "yarn",
            "factor": 4.0,
            "original_max_position_embeddings": 14,
            "attention_factor": 1.2,
        },
    },
    "llama3": DENSE
    | {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "rms_norm_eps": 1e-3,
        "rope_theta": 100.0,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "mlp_bias": False,
        "rope_scaling": {
            "rope_type": "llama3",
            "factor": 8.0,
            "low_freq_factor": 0.5,
            "high_freq_factor": 2.0,
            "original_max_position_embeddings": 14,
        },
    },
}

# Drawing starts here and takes the next seed while a draw is unfit (see is_fit).
SEEDS = {name: 1000 * i for i, name in enumerate(VARIANTS, start=1)}


def draw(name, shape, is_tied, generator):
    """One weight: matrices keep the size of what they multiply; gates spread their scores; gate biases
    lean below zero far enough that some biased scores are negative."""
    noise = torch.randn(shape, generator=generator)
    if name.endswith("e_score_correction_bias"):
        return 0.3 * noise - 0.4
    if name.endswith("embed_tokens.weight"):
        return 0.3 * noise if is_tied else noise
    if name.endswith(".bias"):
        return 0.3 * noise
    if len(shape) == 1:
        return 1 + 0.2 * noise
    gain = 1.5 if name.endswith("mlp.gate.weight") else 1.0
    return gain * noise / shape[-1] ** 0.5
