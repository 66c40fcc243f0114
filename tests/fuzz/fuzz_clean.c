/* A document through what judges it: measures and MinHash must take any bytes, and a text made
 * valid is valid. The first byte picks the policy. */
#include <stdlib.h>

#include "data/clean.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool condition) {
    if (!condition) abort();
}

static void judge(const struct clean_options *options, const char *text, size_t size) {
    struct cleaner *cleaner = NULL;
    struct clean_history *history = NULL;
    struct text valid = {0};
    struct judgement first, second;
    uint64_t bands[14];
    expect(cleaner_new(&cleaner, options, NULL) == FATHOM_OK);
    expect(clean_history_new(&history, options, NULL) == FATHOM_OK);
    expect(clean_examine(cleaner, &text, &size, &valid, &first, bands, NULL) == FATHOM_OK);
    if (options->utf8 == UTF8_REPLACE) expect(utf8_valid_size(text, size) == size);
    if (first.broken != MEASURES) expect(first.value == first.value);
    second = first;
    if (first.verdict == VERDICT_KEPT) {
        expect(clean_decide(history, (struct origin){1, 0}, &first, bands, NULL) == FATHOM_OK);
        expect(clean_decide(history, (struct origin){2, 0}, &second, bands, NULL) == FATHOM_OK);
        expect(first.verdict == VERDICT_KEPT && second.verdict == VERDICT_DUPLICATE);
        expect(second.first.line == 1);
    }
    text_free(&valid);
    clean_history_free(history);
    cleaner_free(cleaner);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    /* Rules that nothing breaks, so that everything is measured. */
    static const char rules[] =
        "words=0: word-length=0: symbols=0: bullets=0: ellipses=0: alphabetic=0:1 stop-words=0:8 "
        "letters=0:1 latin=0:1 han=0:1 repeated-lines=0:1 repeated-paragraph-bytes=0:1 top-2=0: "
        "top-4=0: repeated-5=0:1 repeated-10=0:1";
    struct clean_options options = {.dedup = DEDUP_NEAR, .minhash = {5, 14, 8}};
    if (size == 0) return 0;
    options.utf8 = (enum utf8_policy)(data[0] % 3);
    expect(measure_rules_parse(&options.rules, data[0] & 4 ? "gopher" : rules, NULL) == FATHOM_OK);
    judge(&options, (const char *)data + 1, size - 1);
    return 0;
}
