/* A tiny model, its data and a run's options: what tests of whole runs begin with. */
#ifndef PRETRAIN_TEST_H
#define PRETRAIN_TEST_H

#include <stdio.h>

#include "base/file.h"
#include "base/rng.h"
#include "format/shard.h"
#include "harness.h"
#include "model/files.h"
#include "train/pretrain.h"

static const char config_json[] =
    "{\"model_type\": \"deepseek_v3\", \"vocab_size\": 64, \"hidden_size\": 32, "
    "\"num_hidden_layers\": 2, \"num_attention_heads\": 2, \"intermediate_size\": 48, "
    "\"moe_intermediate_size\": 16, \"qk_nope_head_dim\": 8, \"qk_rope_head_dim\": 4, "
    "\"v_head_dim\": 8, \"q_lora_rank\": 12, \"kv_lora_rank\": 16, \"n_routed_experts\": 8, "
    "\"n_shared_experts\": 1, \"num_experts_per_tok\": 2, \"n_group\": 2, \"topk_group\": 1, "
    "\"first_k_dense_replace\": 1, \"num_nextn_predict_layers\": 1, \"bos_token_id\": 0, "
    "\"eos_token_id\": 1}";

struct world {
    struct engine *engine;
    struct device *device;
    struct pretrain_options options;
    char model[600], data[600], out[600];
};

static inline void make_model(const struct world *w, const char *json) {
    struct error err = {0};
    struct model_config config;
    struct model *model = NULL;
    CHECK_OK(config_parse(&config, json, strlen(json), "config", &err), &err);
    CHECK_OK(model_new(&model, w->device, &config, 0, &err), &err);
    CHECK_OK(model_init(model, 1, 0, &err), &err);
    CHECK_OK(path_make_directory(w->model, &err), &err);
    CHECK_OK(model_save(model, w->model, 0, &err), &err);
    model_free(model);
}

/* One of the documents has a token that no other has. */
enum { RARE_TOKEN = 60 };
static inline void make_data(const char *directory, uint64_t seed) {
    struct error err = {0};
    struct shard_writer *writer = NULL;
    const struct shard_writer_options options = {.tokenizer = {1, 64, 1, 0}};
    CHECK_OK(shard_writer_open(&writer, directory, &options, &err), &err);
    for (uint64_t d = 0; d < 60; d++) {
        int32_t tokens[30];
        for (uint64_t i = 0; i < 30; i++)
            tokens[i] = 2 + (int32_t)rng_below((struct rng_key){seed, RNG_TEST, d}, i, 6);
        if (d == 7) tokens[20] = RARE_TOKEN;
        CHECK_OK(shard_writer_append(writer, d % 10 == 0 ? SHARD_HELDOUT : SHARD_TRAIN, tokens, 30,
                                     60, &err),
                 &err);
    }
    CHECK_OK(shard_writer_commit(writer, &err), &err);
}

static inline void world_open(struct world *w, int threads) {
    struct error err = {0};
    memset(w, 0, sizeof *w);
    CHECK_OK(engine_new(&w->engine, threads, &err), &err);
    w->engine->log.stream = NULL;
    CHECK_OK(device_open(&w->device, w->engine, "cpu", NULL, &err), &err);
    snprintf(w->model, sizeof w->model, "%s/init", harness_directory());
    snprintf(w->data, sizeof w->data, "%s/data", harness_directory());
    snprintf(w->out, sizeof w->out, "%s/run", harness_directory());
    make_model(w, config_json);
    make_data(w->data, 1);
    CHECK_OK(options_default(&pretrain_table, &w->options, &err), &err);
    w->options.model = w->model;
    w->options.data = w->data;
    w->options.out = w->out;
    w->options.steps = 6;
    w->options.sequence_length = 12;
    w->options.batch = 4;
    w->options.micro_batch = 2;
    w->options.warmup = 2;
    w->options.save_every = 2;
    w->options.keep = 10;
    w->options.heldout_every = 3;
}

static inline void world_close(struct world *w) {
    device_close(w->device);
    engine_free(w->engine);
}

/* With all its files, for another one in the same test. */
static inline void world_remove(struct world *w) {
    const char *const paths[] = {w->out, w->model, w->data};
    struct error err = {0};
    for (int i = 0; i < 3; i++) CHECK_OK(path_remove(paths[i], &err), &err);
    world_close(w);
}

static inline uint64_t hash_of(const char *directory, const char *name) {
    struct error err = {0};
    struct file_map map;
    char path[1200];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    CHECK_OK(file_map_open(&map, path, &err), &err);
    uint64_t hash = hash_bytes(map.data, map.size);
    file_map_close(&map);
    return hash;
}

static inline void remove_step(const struct world *w, int step) {
    struct error err = {0};
    char path[1200];
    snprintf(path, sizeof path, "%s/step-%08d", w->out, step);
    CHECK(path_exists(path));
    CHECK_OK(path_remove(path, &err), &err);
}

#endif
