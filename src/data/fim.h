/* Fill in the middle: a share of the documents is taken apart so that a model learns to write what
 * stands between two texts. DeepSeek-V3 (report, section 4.1): rate 0.1, at document level, before
 * packing, prefix, suffix, middle (PSM):
 *
 *     <begin> prefix <hole> suffix <end> middle
 *
 * SPM (Bavarian et al. 2022, "Efficient training of language models to fill in the middle", the
 * form that shares its tokens with PSM) has the prefix behind the suffix, in one piece with the
 * middle:
 *
 *     <begin> <hole> suffix <end> prefix middle */
#ifndef DATA_FIM_H
#define DATA_FIM_H

#include "base/rng.h"
#include "text/tokenizer.h"

enum document_form { FORM_PLAIN, FORM_PSM, FORM_SPM, FORMS };
const char *document_form_name(enum document_form form); /* "plain", "psm", "spm" */

struct fim {
    double rate, spm_share;   /* of the documents; of those, which are SPM */
    int32_t begin, hole, end; /* tokens */
};

/* Finds the tokenizer's three tokens: DeepSeek's names, then those of other published families.
 * FATHOM_BAD_INPUT where it has none; FATHOM_USAGE for shares outside [0, 1]. */
fathom_status fim_init(struct fim *fim, const struct tokenizer *tokenizer, double rate,
                       double spm_share, struct error *err);
/* How the document with these draws stands. */
enum document_form fim_choose(const struct fim *fim, struct rng *rng);
/* Appends the document's tokens in a form that is not plain, cut at two places between characters.
 */
fathom_status fim_encode(const struct fim *fim, enum document_form form, struct rng *rng,
                         struct encoder *encoder, const char *text, size_t size,
                         struct token_list *out, struct error *err);

#endif
