/* Short texts along a training run: train/ knows no tokenizer and no session, so the program hands
 * it this. */
#ifndef PROGRAMS_TEXT_SAMPLER_H
#define PROGRAMS_TEXT_SAMPLER_H

#include "text/tokenizer.h"
#include "train/pretrain.h"

/* Zero-initialise; closed whatever open said. */
struct text_sampler {
    struct run_sampler base; /* for pretrain_options.sampler */
    const struct pretrain_options *options;
    struct tokenizer *tokenizer;
    struct token_list prompt;
};
/* For --sample-prompt and --sample-tokens of `options`, which must outlive it. */
fathom_status text_sampler_open(struct text_sampler *sampler,
                                const struct pretrain_options *options, struct error *err);
void text_sampler_close(struct text_sampler *sampler);

#endif
