/* Stages: how layers are divided between them, and that they do together what a whole pass does. */
#include "model/sizes.h"
#include "model_test.h"

static const int64_t lengths[] = {13, 30, 1, 21};
static const struct run_options plain = {.balance_coef = 0x1p-8, .head_chunk = 16};
static struct error err;

/* ---- a pass in two stages ---- */

struct grads {
    void *blocks[GROUP_STATE];
    int32_t *loads;
};

static size_t grad_bytes(const struct model *model, int group) {
    return (size_t)model->params.group_size[group] * dtype_size(model->device->compute);
}

/* The gradients and loads of a pass, which become zero. */
static struct grads take_grads(struct fixture *f) {
    struct model *m = f->model;
    struct grads taken = {.loads = NULL};
    for (int group = 0; group < GROUP_STATE; group++) {
        const size_t bytes = grad_bytes(m, group);
        CHECK_OK(mem_new(&taken.blocks[group], bytes, 1, "gradients", &err), &err);
        memcpy(taken.blocks[group], m->grads[group], bytes);
    }
    CHECK_OK(MEM_NEW(&taken.loads, m->loads_count, "loads", &err), &err);
    memcpy(taken.loads, m->loads_block, (size_t)m->loads_count * sizeof(int32_t));
    model_zero_grads(m, &f->stream);
    stream_zero(&f->stream, m->loads_block, (size_t)m->loads_count * sizeof(int32_t));
    return taken;
}

static void check_grads(const struct fixture *f, struct grads expected) {
    const struct model *m = f->model;
    for (int group = 0; group < GROUP_STATE; group++) {
        CHECK(memcmp(m->grads[group], expected.blocks[group], grad_bytes(m, group)) == 0);
        mem_free(expected.blocks[group]);
    }
    CHECK(memcmp(m->loads_block, expected.loads, (size_t)m->loads_count * sizeof(int32_t)) == 0);
    mem_free(expected.loads);
}

/* A stage's batch carries the MTP modules that it computes. */
static void place(struct fixture *f, struct train_batch *batch, int64_t begin, int64_t end) {
    f->model->stage = (struct stage){begin, end};
    *batch = f->train;
    batch->mtp_modules = stage_mtp_modules(f->model->stage, &f->model->config);
}

/* Forward through both stages and back, on one model whose stage is changed in between. */
static double two_stages(struct fixture *f, const struct run_options *options) {
    struct run *first = NULL;
    struct run_options second = *options;
    struct arena kept;
    struct train_batch batches[2];
    CHECK_OK(run_new(&first, f->model, &err), &err);
    CHECK_OK(arena_new(&kept, 16 << 20, "kept", &err), &err);
    arena_reset(&f->kept, 0);

    place(f, &batches[0], 0, 1);
    run_forward(first, &batches[0], options, &f->stream, &kept, &f->scratch);
    const struct tensor sent = run_output(first);
    place(f, &batches[1], 1, 2);
    second.input = run_take_stream(f->model, &batches[1], &f->kept);
    memcpy(second.input.data, sent.data, (size_t)tensor_count(sent) * dtype_size(sent.dtype));
    run_forward(f->run, &batches[1], &second, &f->stream, &f->kept, &f->scratch);
    run_heads(f->run, true);
    run_backward(f->run);
    double balance = run_balance_loss(f->run);
    const struct tensor back = run_gradient(f->run);
    place(f, &batches[0], 0, 1);
    const struct tensor d = run_take_gradient(first);
    memcpy(d.data, back.data, (size_t)tensor_count(back) * dtype_size(back.dtype));
    run_backward(first);
    balance += run_balance_loss(first);
    CHECK_OK(stream_check(&f->stream, &err), &err);
    run_free(first);
    arena_free(&kept);
    return balance;
}

static void check_stages(const char *golden, enum precision precision, enum recompute recompute) {
    struct fixture f;
    struct run_options options = plain;
    options.recompute = recompute;
    harness_context("%s in %s", golden, precision_name(precision));
    fixture_open(&f, golden, NULL, 1);
    f.model->precision = precision;
    fixture_batch(&f, 0, 4, lengths);
    fixture_pass(&f, &options, true);
    const double balance = run_balance_loss(f.run);
    float logp[65];
    memcpy(logp, f.train.predictions.logp, sizeof logp);
    const struct grads whole = take_grads(&f);
    memset(f.train.predictions.logp, 0, sizeof logp);
    const double sum = two_stages(&f, &options);
    check_grads(&f, whole);
    CHECK(memcmp(logp, f.train.predictions.logp, sizeof logp) == 0);
    CHECK_NEAR(sum, balance, 1e-12);
    fixture_close(&f);
}

static void two_stages_leave_the_bits_of_a_whole_pass(void) {
    for (int i = 0; i < GOLDEN_COUNT; i++)
        for (int p = PRECISION_F32; p <= PRECISION_FP8; p++)
            for (int r = RECOMPUTE_SELECTIVE; r <= RECOMPUTE_LAYER; r++)
                check_stages(golden_names[i], (enum precision)p, (enum recompute)r);
}

/* What a stage does not compute takes no memory. */
static void stages_share_the_activations(void) {
    for (int i = 0; i < GOLDEN_COUNT; i++) {
        struct fixture f;
        struct run_bytes whole, first, last;
        harness_context("%s", golden_names[i]);
        fixture_open(&f, golden_names[i], NULL, 1);
        CHECK_OK(run_measure(&whole, f.model, 2, 20, &plain, &err), &err);
        f.model->stage = (struct stage){0, 1};
        CHECK_OK(run_measure(&first, f.model, 2, 20, &plain, &err), &err);
        f.model->stage = (struct stage){1, 2};
        CHECK_OK(run_measure(&last, f.model, 2, 20, &plain, &err), &err);
        const size_t exchanged = 3 * 2 * 20 * (size_t)f.model->config.dim * sizeof(float);
        const size_t rotations = 2 * 2 * 20 * (size_t)f.model->config.dim_rope * sizeof(float);
        CHECK(first.kept < whole.kept && last.kept < whole.kept);
        CHECK(first.kept + last.kept <= whole.kept + exchanged + rotations);
        fixture_close(&f);
    }
}

/* ---- the division ---- */

enum { MOST_LAYERS = 8 };
static const char layers_json[] =
    "{\"model_type\": \"deepseek_v3\", \"vocab_size\": %d, \"hidden_size\": 32, "
    "\"num_hidden_layers\": %d, \"num_attention_heads\": 2, \"intermediate_size\": 200, "
    "\"moe_intermediate_size\": 16, \"qk_nope_head_dim\": 8, \"qk_rope_head_dim\": 4, "
    "\"v_head_dim\": 8, \"q_lora_rank\": 12, \"kv_lora_rank\": 16, \"n_routed_experts\": 8, "
    "\"n_shared_experts\": 1, \"num_experts_per_tok\": 2, \"n_group\": 2, \"topk_group\": 1, "
    "\"first_k_dense_replace\": 1, \"num_nextn_predict_layers\": %d, \"bos_token_id\": 0, "
    "\"eos_token_id\": 1}";

struct layered {
    struct model_config config;
    struct param_list list;
    double costs[MOST_LAYERS];
};

static void open_layered(struct layered *l, int vocab, int layers, int modules) {
    char text[1024];
    snprintf(text, sizeof text, layers_json, vocab, layers, modules);
    CHECK_OK(config_parse(&l->config, text, strlen(text), "config", &err), &err);
    CHECK_OK(param_list_new(&l->list, &l->config, &err), &err);
    for (int i = 0; i < layers + modules; i++)
        l->costs[i] = layer_train_flops(&l->list, &l->config, 100, i);
}

static void the_costs_of_layers_add_up(void) {
    struct layered l;
    open_layered(&l, 64, 6, 2);
    double sum = heads_train_flops(&l.config);
    for (int i = 0; i < 8; i++) sum += l.costs[i];
    CHECK_NEAR(sum / model_train_flops(&l.list, &l.config, 100), 1, 1e-12);
    param_list_free(&l.list);
}

static double cost_between(const struct layered *l, int64_t begin, int64_t end) {
    double sum = end == l->config.layers ? heads_train_flops(&l->config) : 0;
    if (end == l->config.layers) end = config_all_layers(&l->config);
    for (int64_t i = begin; i < end; i++) sum += l->costs[i];
    return sum;
}

/* The cheapest that the costliest of `stages` over layers [begin, L) can be. */
static double best(const struct layered *l, int64_t begin, int64_t stages) {
    double least = INFINITY;
    if (stages == 1) return cost_between(l, begin, l->config.layers);
    for (int64_t end = begin + 1; end <= l->config.layers - stages + 1; end++) {
        const double rest = best(l, end, stages - 1), own = cost_between(l, begin, end);
        const double costliest = rest > own ? rest : own;
        if (costliest < least) least = costliest;
    }
    return least;
}

static void check_division(const struct layered *l, int64_t stages) {
    double costliest = 0;
    int64_t at = 0;
    for (int64_t i = 0; i < stages; i++) {
        struct stage stage;
        CHECK_OK(stage_divide(&stage, i, stages, &l->config, 100, &err), &err);
        CHECK_EQ(stage.begin, at);
        CHECK(stage.end > stage.begin);
        CHECK(stage_is_first(stage) == (i == 0));
        CHECK(stage_is_last(stage, &l->config) == (i == stages - 1));
        const double cost = cost_between(l, stage.begin, stage.end);
        if (cost > costliest) costliest = cost;
        at = stage.end;
    }
    CHECK_EQ(at, l->config.layers);
    CHECK_NEAR(costliest / best(l, 0, stages), 1, 1e-9);
}

static void the_costliest_stage_is_as_cheap_as_can_be(void) {
    static const int vocabs[] = {16, 64, 4096};
    for (int v = 0; v < 3; v++) {
        for (int layers = 1; layers <= 7; layers++) {
            struct layered l;
            open_layered(&l, vocabs[v], layers, v % 2);
            for (int stages = 1; stages <= layers; stages++) {
                harness_context("%d layers, %d stages, %d tokens", layers, stages, vocabs[v]);
                check_division(&l, stages);
            }
            param_list_free(&l.list);
        }
    }
}

static void more_stages_than_layers_are_refused(void) {
    struct layered l;
    struct stage stage;
    open_layered(&l, 64, 3, 1);
    CHECK_STATUS(stage_divide(&stage, 0, 4, &l.config, 100, &err), FATHOM_USAGE);
    CHECK_HAS(err.text, "4 stages needs as many layers, and the model has 3");
    param_list_free(&l.list);
}

/* Every parameter is one stage's, of its shape; only the embedding may be another's copy. */
static void check_lists(const struct layered *l, int64_t stages, int64_t copies) {
    int64_t elements = 0, all = 0;
    bool is_there[1024] = {false};
    for (int group = 0; group < GROUP_COUNT; group++) all += l->list.group_size[group];
    for (int64_t i = 0; i < stages; i++) {
        struct stage stage;
        struct param_list list;
        CHECK_OK(stage_divide(&stage, i, stages, &l->config, 100, &err), &err);
        CHECK_OK(param_list_new_stage(&list, &l->config, stage, &err), &err);
        CHECK_EQ(list.whole_count, l->list.count);
        for (int64_t k = 0; k < list.count; k++) {
            const struct param *p = &list.items[k], *whole = &l->list.items[p->number];
            CHECK(p->id == whole->id && p->layer == whole->layer && p->expert == whole->expert);
            CHECK(p->rows == whole->rows && p->cols == whole->cols);
            CHECK(param_numbered(&list, p->number) == p);
            CHECK(is_there[p->number] == (p->group == GROUP_COPY));
            CHECK(p->group == whole->group || p->id == TENSOR_EMBEDDING);
            copies -= p->group == GROUP_COPY;
            is_there[p->number] = true;
        }
        CHECK(i == stages - 1 || !param_numbered(&list, l->list.count - 1));
        for (int group = 0; group < GROUP_COUNT; group++)
            if (group != GROUP_COPY) elements += list.group_size[group];
        param_list_free(&list);
    }
    for (int64_t i = 0; i < l->list.count; i++) CHECK(is_there[i]);
    CHECK_EQ(copies, 0);
    CHECK(elements >= all && elements < all + stages * GROUP_COUNT * PARAM_ALIGNMENT);
}

static void the_stages_lists_make_the_whole_one(void) {
    for (int modules = 0; modules <= 2; modules++) {
        for (int stages = 1; stages <= 6; stages++) {
            struct layered l;
            open_layered(&l, 64, 6, modules);
            harness_context("%d stages, %d modules", stages, modules);
            check_lists(&l, stages, stages > 1 && modules > 0);
            param_list_free(&l.list);
        }
    }
}

static const struct test tests[] = {
    TEST(two_stages_leave_the_bits_of_a_whole_pass),
    TEST(stages_share_the_activations),
    TEST(the_costs_of_layers_add_up),
    TEST(the_costliest_stage_is_as_cheap_as_can_be),
    TEST(more_stages_than_layers_are_refused),
    TEST(the_stages_lists_make_the_whole_one),
};
HARNESS_MAIN(tests)
