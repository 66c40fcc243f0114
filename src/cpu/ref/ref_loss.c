#include "cpu/ref/ref.h"

static int64_t argmax(const real *x, int64_t n) {
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

/* l = log softmax(x):  logp = l[target],  entropy = -sum exp(l) l,
 * d(-coef * logp)/dx = coef * (exp(l) - onehot) */
void REF(cross_entropy)(struct stream *stream, const struct op_cross_entropy *op) {
    (void)stream;
    const int64_t V = op->logits.cols;
    for (int64_t t = 0; t < op->logits.rows; t++) {
        real *x = ref_row(op->logits, t);
        const int64_t top = argmax(x, V), target = op->targets[t];
        const real max = x[top];
        real sum = 0, entropy = 0;
        for (int64_t i = 0; i < V; i++) sum += real_exp(x[i] - max);
        const real log_sum = real_log(sum);
        for (int64_t i = 0; i < V; i++) {
            const real l = x[i] - max - log_sum, p = real_exp(l);
            if (p > 0) entropy -= p * l;
        }
        op->logp[t] = target < 0 ? 0 : (float)(x[target] - max - log_sum);
        if (op->entropy) op->entropy[t] = target < 0 ? 0 : (float)entropy;
        if (op->top) op->top[t] = (int32_t)top;
        if (!op->is_gradient_wanted) continue;
        for (int64_t i = 0; i < V; i++) {
            const real p = real_exp(x[i] - max - log_sum);
            x[i] = target < 0 ? 0 : (real)op->coef[t] * (i == target ? p - 1 : p);
        }
    }
}
