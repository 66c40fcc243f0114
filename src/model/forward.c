/* A whole model, forward beside backward: the map of one token's way from embedding to gradient. */
#include <assert.h>

#include "base/memory.h"
#include "model/kv_cache.h"
#include "model/run.h"
#include "ops/loss.h"
#include "ops/loss_head.h"
#include "ops/product.h"
#include "ops/rows.h"

enum { DEFAULT_HEAD_CHUNK = 256 };

fathom_status run_new(struct run **out, const struct model *model, struct error *err) {
    const struct model_config *c = &model->config;
    struct run *run = NULL;
    *out = NULL;
    TRY(MEM_NEW(&run, 1, "a training pass", err));
    fathom_status status = MEM_NEW(&run->x, c->layers + 1, "a training pass", err);
    if (status == FATHOM_OK) status = MEM_NEW(&run->layers, c->layers, "a training pass", err);
    if (status == FATHOM_OK)
        status = MEM_NEW(&run->mtp_pass, c->mtp_modules, "a training pass", err);
    if (status == FATHOM_OK) status = MEM_NEW(&run->mtp, c->mtp_modules, "a training pass", err);
    if (status == FATHOM_OK)
        status = MEM_NEW(&run->dhidden, 1 + c->mtp_modules, "a training pass", err);
    if (status != FATHOM_OK) {
        run_free(run);
        return status;
    }
    run->pass.model = model;
    *out = run;
    return FATHOM_OK;
}

void run_free(struct run *run) {
    if (!run) return;
    mem_free(run->x);
    mem_free(run->layers);
    mem_free(run->mtp_pass);
    mem_free(run->mtp);
    mem_free(run->dhidden);
    mem_free(run);
}

/* ---- pieces ---- */

/* cos and sin of the batch's positions, shared by all layers. */
static void pass_rotations(struct pass *pass) {
    const struct model *model = pass->model;
    int64_t pairs = model->config.dim_rope / 2;
    pass->cos = pass_tensor(pass, pass->kept, pass->batch->tokens_count, pairs);
    pass->sin = pass_tensor(pass, pass->kept, pass->batch->tokens_count, pairs);
    ops_rope_table(pass->stream, &(struct op_rope_table){.cos = pass->cos,
                                                         .sin = pass->sin,
                                                         .positions = pass->batch->positions,
                                                         .frequency = model->frequency,
                                                         .factor = model->rope_factor});
}

static void final_norm(const struct pass *pass, struct tensor hidden, struct tensor x,
                       struct tensor rstd) {
    const struct model *model = pass->model;
    ops_rmsnorm_fwd(pass->stream, &(struct op_rmsnorm_fwd){.y = hidden,
                                                           .x = x,
                                                           .w = model->outer.final_norm,
                                                           .rstd = rstd,
                                                           .eps = model->config.norm_eps});
}

static void embed(const struct pass *pass, struct tensor x) {
    ops_embedding_fwd(pass->stream, &(struct op_embedding_fwd){.y = x,
                                                               .w = pass->model->outer.embedding,
                                                               .tokens = pass->batch->tokens});
}

/* Zeros for the losses of so many layers: an MTP module has none of sequences too short for it. */
static struct tensor balance_rows(const struct pass *pass, int64_t layers) {
    struct tensor rows = pass_tensor(pass, pass->kept, layers, pass->batch->span_count);
    const size_t bytes = (size_t)tensor_count(rows) * dtype_size(rows.dtype);
    if (rows.data) stream_zero(pass->stream, rows.data, bytes); /* else kept has overflowed */
    return rows;
}

/* Row of run->balance for a layer, restricted to its batch's spans. */
static struct tensor balance_row(const struct run *run, const struct pass *pass, int64_t layer) {
    if (tensor_count(run->balance) == 0) return (struct tensor){0};
    struct tensor row = tensor_rows(run->balance, layer - run->balance_first, 1);
    return tensor_reshape(tensor_cols(row, 0, pass->batch->span_count), 1);
}

/* Whether a layer's activations are not kept (MTP modules stand behind the layers). */
static bool is_recomputed(const struct run *run, int64_t layer) {
    return run->options.recompute == RECOMPUTE_LAYER || layer < run->options.recompute_layers;
}

/* A layer forward; with whole-layer recompute its activations are given back at once. */
static void run_layer(struct run *run, const struct pass *pass, int64_t layer, struct tensor y,
                      struct tensor x, struct layer_saved *saved) {
    size_t mark = arena_mark(pass->kept);
    *saved = (struct layer_saved){0};
    if (config_layer_is_moe(&pass->model->config, layer))
        saved->ffn.moe.balance = balance_row(run, pass, layer);
    layer_forward(pass, layer, y, x, saved);
    if (is_recomputed(run, layer)) arena_reset(pass->kept, mark);
}

/* Fills `saved` again where run_layer gave it back; loads are not counted twice. */
static void run_layer_again(struct run *run, const struct pass *pass, int64_t layer,
                            struct tensor x, struct layer_saved *saved) {
    if (!is_recomputed(run, layer)) return;
    struct pass again = *pass;
    again.counts_loads = false;
    size_t mark = arena_mark(pass->scratch);
    struct tensor y = pass_tensor(pass, pass->scratch, x.rows, x.cols);
    *saved = (struct layer_saved){0};
    if (config_layer_is_moe(&pass->model->config, layer))
        saved->ffn.moe.balance = balance_row(run, pass, layer);
    layer_forward(&again, layer, y, x, saved);
    arena_reset(pass->scratch, mark);
}

/* ---- between stages ---- */

struct tensor run_take_stream(const struct model *model, const struct train_batch *batch,
                              struct arena *kept) {
    const struct pass pass = {.model = model};
    return pass_tensor(&pass, kept, batch->batch.tokens_count, model->config.dim);
}

struct tensor run_output(const struct run *run) {
    return run->x[run->pass.model->stage.end];
}

struct tensor run_take_gradient(struct run *run) {
    run->dhidden[0] = run_take_stream(run->pass.model, run->batch, run->pass.kept);
    return run->dhidden[0];
}

struct tensor run_gradient(const struct run *run) {
    return run->dhidden[0];
}

/* ---- forward ---- */

static void run_mtp_forward(struct run *run, int64_t module) {
    const struct mtp_batch *batch = &run->batch->mtp[module];
    struct pass *pass = &run->mtp_pass[module];
    struct mtp_saved *saved = &run->mtp[module];
    int64_t T = batch->batch.tokens_count, D = run->pass.model->config.dim;
    *pass = run->pass;
    pass->batch = &batch->batch;
    pass_rotations(pass);
    *saved = (struct mtp_saved){
        .embedding_rstd = pass_tensor(pass, pass->kept, T, 1),
        .hidden_rstd = pass_tensor(pass, pass->kept, T, 1),
        .x = pass_tensor(pass, pass->kept, T, D),
        .y = pass_tensor(pass, pass->kept, T, D),
        .rstd = pass_tensor(pass, pass->kept, T, 1),
        .hidden = pass_tensor(pass, pass->kept, T, D),
    };
    struct tensor previous = module == 0 ? run->hidden : run->mtp[module - 1].hidden;
    int64_t layer = run->pass.model->config.layers + module;
    size_t mark = arena_mark(pass->kept);
    if (config_layer_is_moe(&pass->model->config, layer))
        saved->layer.ffn.moe.balance = balance_row(run, pass, layer);
    mtp_forward(pass, layer, previous, batch->previous, saved);
    if (is_recomputed(run, layer)) arena_reset(pass->kept, mark);
}

/* The coefficients of the balance losses, as one and the shares of its levels. */
static void pass_balance(struct pass *pass, const struct run_options *options) {
    const struct expert_devices *devices = &options->devices;
    const double sum = options->balance_coef + devices->balance_coef + devices->communication_coef;
    if (pass->model->config.experts == 0) return;
    assert(devices->count > 0 || (sum == options->balance_coef && devices->capacity_factor == 0));
    pass->balance_coef = sum;
    pass->balances_routed = options->balances_routed;
    pass->capacity_factor = devices->capacity_factor;
    pass->balance_levels =
        (struct balance_levels){.devices = devices->count, .reach = devices->reach};
    if (sum == 0) return;
    pass->balance_levels.expert = options->balance_coef / sum;
    pass->balance_levels.device = devices->balance_coef / sum;
    pass->balance_levels.communication = devices->communication_coef / sum;
}

/* Rows for the losses of the stage's MoE layers. */
static void take_balance(struct run *run) {
    const struct model *model = run->pass.model;
    const struct model_config *c = &model->config;
    const struct stage stage = model->stage;
    const int64_t first = stage.begin > c->first_dense ? stage.begin : c->first_dense;
    const int64_t rows = stage_layers_end(stage, c) - first;
    run->balance = (struct tensor){0};
    run->balance_first = first;
    if (run->pass.balance_coef != 0 && rows > 0) run->balance = balance_rows(&run->pass, rows);
}

/* What follows the last layer. */
static void run_end_forward(struct run *run) {
    const struct pass *pass = &run->pass;
    const struct tensor x = run_output(run);
    run->hidden = pass_tensor(pass, pass->kept, x.rows, x.cols);
    run->hidden_rstd = pass_tensor(pass, pass->kept, x.rows, 1);
    final_norm(pass, run->hidden, x, run->hidden_rstd);
    for (int64_t module = 0; module < run->batch->mtp_modules; module++)
        run_mtp_forward(run, module);
}

void run_forward(struct run *run, const struct train_batch *batch,
                 const struct run_options *options, struct stream *stream, struct arena *kept,
                 struct arena *scratch) {
    const struct model *model = run->pass.model;
    const struct model_config *c = &model->config;
    const struct stage stage = model->stage;
    struct pass *pass = &run->pass;
    *pass = (struct pass){.model = model,
                          .stream = stream,
                          .batch = &batch->batch,
                          .kept = kept,
                          .scratch = scratch,
                          .routing = options->routing,
                          .experts = options->experts,
                          .counts_loads = model->loads_block != NULL && !options->only_measures};
    pass_balance(pass, options);
    run->options = *options;
    run->batch = batch;
    if (run->options.head_chunk == 0) run->options.head_chunk = DEFAULT_HEAD_CHUNK;

    take_balance(run);
    pass_rotations(pass);
    run->x[stage.begin] =
        stage_is_first(stage) ? run_take_stream(model, batch, kept) : options->input;
    if (stage_is_first(stage)) embed(pass, run->x[0]);
    for (int64_t layer = stage.begin; layer < stage.end; layer++) {
        run->x[layer + 1] = run_take_stream(model, batch, kept);
        run_layer(run, pass, layer, run->x[layer + 1], run->x[layer], &run->layers[layer]);
    }
    if (stage_is_last(stage, c)) run_end_forward(run);
}

/* ---- loss heads ---- */

static void run_head(struct run *run, struct tensor hidden, struct tensor dhidden,
                     const struct predictions *p, bool with_gradients) {
    const struct model *model = run->pass.model;
    struct arena *scratch = run->pass.scratch;
    int64_t chunk = run->options.head_chunk;
    if (hidden.rows == 0) return;
    if (chunk > hidden.rows) chunk = hidden.rows;
    size_t mark = arena_mark(scratch);
    struct op_loss_head head = {
        .hidden = hidden,
        .weight = model->outer.head,
        .targets = p->targets,
        .coef = p->coef,
        .logp = p->logp,
        .entropy = p->entropy,
        .top = p->top,
        .logits = pass_tensor(&run->pass, scratch, chunk, model->config.vocab),
        .chunk = chunk,
        .precision = precision_outer(model),
    };
    if (with_gradients) {
        head.dhidden = dhidden;
        head.dweight = model->outer_grads.head;
    }
    ops_loss_head(run->pass.stream, &head);
    arena_reset(scratch, mark);
}

void run_heads(struct run *run, bool with_gradients) {
    const struct train_batch *batch = run->batch;
    for (int64_t module = -1; module < batch->mtp_modules; module++) {
        struct tensor hidden = module < 0 ? run->hidden : run->mtp[module].hidden;
        const struct predictions *p =
            module < 0 ? &batch->predictions : &batch->mtp[module].predictions;
        struct tensor *dhidden = &run->dhidden[module + 1];
        *dhidden = (struct tensor){0};
        if (with_gradients)
            *dhidden = pass_tensor(&run->pass, run->pass.kept, hidden.rows, hidden.cols);
        run_head(run, hidden, *dhidden, p, with_gradients);
    }
}

/* ---- backward ---- */

static void run_mtp_backward(struct run *run, int64_t module) {
    const struct pass *pass = &run->mtp_pass[module];
    struct mtp_saved *saved = &run->mtp[module];
    int64_t layer = pass->model->config.layers + module;
    struct tensor previous = module == 0 ? run->hidden : run->mtp[module - 1].hidden;
    size_t mark = arena_mark(pass->kept);
    run_layer_again(run, pass, layer, saved->x, &saved->layer);
    mtp_backward(pass, layer, run->dhidden[module], run->batch->mtp[module].previous,
                 run->dhidden[module + 1], previous, saved);
    arena_reset(pass->kept, mark);
}

/* Leaves the gradient of the last layer's output in dhidden[0]. */
static void run_begin_backward(struct run *run) {
    const struct model *model = run->pass.model;
    for (int64_t module = run->batch->mtp_modules - 1; module >= 0; module--)
        run_mtp_backward(run, module);
    ops_rmsnorm_bwd(run->pass.stream, &(struct op_rmsnorm_bwd){.dx = run->dhidden[0],
                                                               .dw = model->outer_grads.final_norm,
                                                               .dy = run->dhidden[0],
                                                               .x = run_output(run),
                                                               .w = model->outer.final_norm,
                                                               .rstd = run->hidden_rstd});
}

void run_backward(struct run *run) {
    const struct pass *pass = &run->pass;
    const struct model *model = pass->model;
    const struct stage stage = model->stage;
    if (stage_is_last(stage, &model->config)) run_begin_backward(run);
    struct tensor d = run->dhidden[0];
    for (int64_t layer = stage.end - 1; layer >= stage.begin; layer--) {
        size_t mark = arena_mark(pass->kept);
        run_layer_again(run, pass, layer, run->x[layer], &run->layers[layer]);
        layer_backward(pass, layer, d, run->x[layer], &run->layers[layer]);
        arena_reset(pass->kept, mark);
    }
    if (!stage_is_first(stage)) return;
    ops_embedding_bwd(pass->stream, &(struct op_embedding_bwd){.dw = model->outer_grads.embedding,
                                                               .dy = d,
                                                               .tokens = pass->batch->tokens});
}

double run_balance_loss(struct run *run) {
    double sum = 0, value = 0;
    for (int64_t row = 0; row < run->balance.rows; row++) {
        for (int64_t col = 0; col < run->balance.cols; col++) {
            float narrow = 0;
            bool is_wide = run->balance.dtype == DTYPE_F64;
            stream_download(run->pass.stream, is_wide ? (void *)&value : (void *)&narrow,
                            tensor_at(run->balance, row, col), dtype_size(run->balance.dtype));
            sum += is_wide ? value : (double)narrow;
        }
    }
    return sum * run->pass.balance_coef;
}

/* ---- inference ---- */

void model_logits(const struct model *model, struct stream *stream, struct tensor logits,
                  struct tensor hidden) {
    ops_linear(stream, precision_outer(model), logits, hidden, model->outer.head,
               (struct tensor){0});
}

void model_infer(const struct model *model, struct stream *stream, const struct batch *batch,
                 struct kv_cache *cache, struct arena *kept, struct arena *scratch,
                 struct tensor hidden) {
    struct pass pass = {.model = model,
                        .stream = stream,
                        .batch = batch,
                        .kept = kept,
                        .scratch = scratch,
                        .cache = cache};
    int64_t T = batch->tokens_count, D = model->config.dim;
    size_t mark = arena_mark(kept);
    pass_rotations(&pass);
    struct tensor x[2] = {pass_tensor(&pass, kept, T, D), pass_tensor(&pass, kept, T, D)};
    embed(&pass, x[0]);
    for (int64_t layer = 0; layer < model->config.layers; layer++) {
        struct layer_saved saved = {0};
        size_t layer_mark = arena_mark(kept);
        layer_forward(&pass, layer, x[(layer + 1) & 1], x[layer & 1], &saved);
        arena_reset(kept, layer_mark);
    }
    final_norm(&pass, hidden, x[model->config.layers & 1], (struct tensor){0});
    arena_reset(kept, mark);
}
