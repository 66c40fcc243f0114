/* Cross-entropy and the loss head: against a log softmax written out in double, and independent of
 * the chunk on every set of kernels. */
#include <stdlib.h>

#include "base/rng.h"
#include "gradient.h"
#include "harness.h"
#include "op_devices.h"
#include "ops/loss.h"
#include "ops/loss_head.h"
#include "ops/product.h"

/* log softmax(x)[i] */
static double log_softmax(const double *x, int64_t n, int64_t i) {
    double sum = 0;
    for (int64_t j = 0; j < n; j++) sum += exp(x[j] - x[i]);
    return -log(sum);
}

/* The loss in double throughout: the operation's own logp is a float. */
struct context {
    struct oracle oracle;
    struct tensor hidden, weight, logits;
    const int32_t *targets;
    const float *coef;
};

static double cross_entropy_loss(void *arg) {
    const struct context *c = arg;
    double loss = 0;
    for (int64_t t = 0; t < c->logits.rows; t++)
        if (c->targets[t] >= 0)
            loss -=
                (double)c->coef[t] * log_softmax(at(c->logits, t), c->logits.cols, c->targets[t]);
    return loss;
}

static double loss_head_loss(void *arg) {
    struct context *c = arg;
    ops_linear(&c->oracle.stream, PRECISION_F32, c->logits, c->hidden, c->weight,
               (struct tensor){0});
    return cross_entropy_loss(c);
}

static const int32_t targets[] = {2, 0, -1, 6, 2};
static const float coefs[] = {0.5F, -1, 3, 0.25F, 2};

static void cross_entropy_gradient_matches_differences(void) {
    struct context c = {.targets = targets, .coef = coefs};
    struct oracle *o = &c.oracle;
    oracle_open(o);
    c.logits = oracle_normal(o, 5, 7);
    struct tensor dlogits = oracle_zero(o, 5, 7);
    memcpy(dlogits.data, c.logits.data, 35 * sizeof(double));
    float logp[5], entropy[5];
    int32_t top[5];
    struct op_cross_entropy op = {.logits = dlogits,
                                  .targets = targets,
                                  .coef = coefs,
                                  .logp = logp,
                                  .entropy = entropy,
                                  .top = top,
                                  .is_gradient_wanted = true};
    ops_cross_entropy(&o->stream, &op);
    check_gradient("dlogits", c.logits, dlogits, cross_entropy_loss, &c);
    for (int64_t t = 0; t < 5; t++) {
        const double *x = at(c.logits, t);
        double expected_entropy = 0;
        for (int64_t i = 0; i < 7; i++) {
            const double l = log_softmax(x, 7, i);
            expected_entropy -= exp(l) * l;
            CHECK(x[top[t]] >= x[i]);
        }
        const bool has_target = targets[t] >= 0;
        CHECK_NEAR(logp[t], has_target ? log_softmax(x, 7, targets[t]) : 0, 1e-6);
        CHECK_NEAR(entropy[t], has_target ? expected_entropy : 0, 1e-6);
    }
    oracle_close(o);
}

static void loss_head_gradients_match_differences(void) {
    struct context c = {.targets = targets, .coef = coefs};
    struct oracle *o = &c.oracle;
    oracle_open(o);
    c.hidden = oracle_normal(o, 5, 4);
    c.weight = oracle_normal(o, 7, 4);
    c.logits = oracle_zero(o, 5, 7);
    struct tensor dhidden = oracle_zero(o, 5, 4), dweight = oracle_zero(o, 7, 4);
    float logp[5];
    ops_loss_head(&o->stream, &(struct op_loss_head){.hidden = c.hidden,
                                                     .weight = c.weight,
                                                     .targets = targets,
                                                     .coef = coefs,
                                                     .logp = logp,
                                                     .dhidden = dhidden,
                                                     .dweight = dweight,
                                                     .logits = oracle_zero(o, 2, 7),
                                                     .chunk = 2});
    check_gradient("dhidden", c.hidden, dhidden, loss_head_loss, &c);
    check_gradient("dweight", c.weight, dweight, loss_head_loss, &c);

    /* dhidden may take hidden's place. */
    struct tensor expected = dhidden;
    ops_loss_head(&o->stream, &(struct op_loss_head){.hidden = c.hidden,
                                                     .weight = c.weight,
                                                     .targets = targets,
                                                     .coef = coefs,
                                                     .logp = logp,
                                                     .dhidden = c.hidden,
                                                     .dweight = oracle_zero(o, 7, 4),
                                                     .logits = oracle_zero(o, 3, 7),
                                                     .chunk = 3});
    check_close("dhidden in place", c.hidden, expected, 0);
    oracle_close(o);
}

/* ---- chunks ---- */

enum { HEAD_T = 37, HEAD_D = 33, HEAD_V = 101 };

/* Everything that one run of the head writes, in f32. */
struct results {
    float logp[HEAD_T], entropy[HEAD_T];
    int32_t top[HEAD_T];
    float dhidden[HEAD_T * HEAD_D], dweight[HEAD_V * HEAD_D];
};

static void fill(float *x, int64_t count, uint64_t stream) {
    const struct rng_key key = {.seed = 21, .purpose = RNG_TEST, .stream = stream};
    for (int64_t i = 0; i < count; i++) x[i] = (float)rng_normal(key, (uint64_t)i);
}

static void run_head(struct results *out, struct device *device, int64_t chunk) {
    float hidden[HEAD_T * HEAD_D], coef[HEAD_T];
    float *weight = calloc(HEAD_V * HEAD_D, sizeof(float));
    float *logits = calloc((size_t)(chunk * HEAD_V), sizeof(float));
    int32_t target[HEAD_T];
    CHECK(weight && logits);
    fill(hidden, HEAD_T * HEAD_D, 0);
    fill(weight, (int64_t)HEAD_V * HEAD_D, 1);
    fill(coef, HEAD_T, 2);
    fill(out->dweight, (int64_t)HEAD_V * HEAD_D, 3);
    for (int t = 0; t < HEAD_T; t++) target[t] = t % 5 == 4 ? -1 : t * 37 % HEAD_V;
    struct stream stream;
    struct error err = {0};
    stream_init(&stream, device);
    ops_loss_head(&stream, &(struct op_loss_head){
                               .hidden = tensor_of(hidden, DTYPE_F32, HEAD_T, HEAD_D),
                               .weight = tensor_of(weight, DTYPE_F32, HEAD_V, HEAD_D),
                               .targets = target,
                               .coef = coef,
                               .logp = out->logp,
                               .entropy = out->entropy,
                               .top = out->top,
                               .dhidden = tensor_of(out->dhidden, DTYPE_F32, HEAD_T, HEAD_D),
                               .dweight = tensor_of(out->dweight, DTYPE_F32, HEAD_V, HEAD_D),
                               .logits = tensor_of(logits, DTYPE_F32, chunk, HEAD_V),
                               .chunk = chunk});
    CHECK_OK(stream_check(&stream, &err), &err);
    free(weight);
    free(logits);
}

static void every_chunk_size_gives_the_same_bits(void) {
    static const int64_t chunks[] = {1, 2, 7, 16, HEAD_T - 1, HEAD_T, HEAD_T + 20};
    static struct results whole, part;
    struct op_devices devices;
    for (int threads = 1; threads <= 2; threads++) {
        op_devices_open(&devices, threads);
        for (int d = 0; d < devices.count; d++) {
            run_head(&whole, devices.devices[d], HEAD_T);
            for (size_t i = 0; i < sizeof chunks / sizeof *chunks; i++) {
                harness_context("%s chunk %lld", devices.devices[d]->isa, (long long)chunks[i]);
                memset(&part, 0, sizeof part);
                run_head(&part, devices.devices[d], chunks[i]);
                CHECK(memcmp(part.logp, whole.logp, sizeof part.logp) == 0);
                CHECK(memcmp(part.entropy, whole.entropy, sizeof part.entropy) == 0);
                CHECK(memcmp(part.top, whole.top, sizeof part.top) == 0);
                CHECK(memcmp(part.dhidden, whole.dhidden, sizeof part.dhidden) == 0);
                CHECK(memcmp(part.dweight, whole.dweight, sizeof part.dweight) == 0);
            }
        }
        op_devices_close(&devices);
    }
}

/* Without gradients nothing but the log-probabilities is asked for. */
static void head_without_gradients_needs_no_coefficients(void) {
    struct oracle o;
    oracle_open(&o);
    float logp[2];
    static const int32_t target[] = {1, 0};
    struct tensor hidden = oracle_normal(&o, 2, 3), weight = oracle_normal(&o, 2, 3);
    ops_loss_head(&o.stream, &(struct op_loss_head){.hidden = hidden,
                                                    .weight = weight,
                                                    .targets = target,
                                                    .logp = logp,
                                                    .logits = oracle_zero(&o, 1, 2),
                                                    .chunk = 1});
    const double *h = at(hidden, 0), *w = at(weight, 0);
    const double x[2] = {h[0] * w[0] + h[1] * w[1] + h[2] * w[2],
                         h[0] * w[3] + h[1] * w[4] + h[2] * w[5]};
    CHECK_NEAR(logp[0], log_softmax(x, 2, 1), 1e-6);
    oracle_close(&o);
}

static const struct test tests[] = {
    TEST(cross_entropy_gradient_matches_differences),
    TEST(loss_head_gradients_match_differences),
    TEST(every_chunk_size_gives_the_same_bits),
    TEST(head_without_gradients_needs_no_coefficients),
};
HARNESS_MAIN(tests)
