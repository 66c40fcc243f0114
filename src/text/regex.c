#include "text/regex.h"

#include <oniguruma.h>
#include <pthread.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"

/* Bounds of one search: backtracking steps, and entries of the stack (24 to 40 bytes each). */
enum { STEPS_MOST = 100 * 1000 * 1000, STACK_MOST = 8 * 1000 * 1000 };

struct regex {
    OnigRegex compiled;
    char *pattern;
};
struct regex_search {
    OnigRegion *region;
    OnigMatchParam *bounds;
};

static int start_result;
static void start_library(void) {
    OnigEncoding encodings[] = {ONIG_ENCODING_UTF8};
    start_result = onig_initialize(encodings, 1);
}

/* Oniguruma wants to be initialised once per process. */
static fathom_status library_start(struct error *err) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, start_library);
    if (start_result == ONIG_NORMAL) return FATHOM_OK;
    RAISE(FATHOM_NO_MEMORY, "Oniguruma does not start (error %d)", start_result);
}

static const char *reason(char *buffer, int code, OnigErrorInfo *info) {
    onig_error_code_to_str((OnigUChar *)buffer, code, info);
    return buffer;
}

fathom_status regex_new(struct regex **out, const char *pattern, size_t size, const char *what,
                        struct error *err) {
    struct regex *r = NULL;
    OnigErrorInfo info;
    char text[ONIG_MAX_ERROR_MESSAGE_LEN];
    const OnigUChar *bytes = (const OnigUChar *)pattern;
    *out = NULL;
    TRY(library_start(err));
    TRY(MEM_NEW(&r, 1, "a pattern", err));
    fathom_status status = string_copy(&r->pattern, pattern, err);
    if (status != FATHOM_OK) goto out;
    int code = onig_new(&r->compiled, bytes, bytes + size, ONIG_OPTION_NONE, ONIG_ENCODING_UTF8,
                        ONIG_SYNTAX_RUBY, &info);
    if (code == ONIGERR_MEMORY)
        status =
            error_set(err, FATHOM_NO_MEMORY, "%s: no memory for the pattern \"%s\"", what, pattern);
    else if (code != ONIG_NORMAL)
        status = error_set(err, FATHOM_UNSUPPORTED, "%s: the pattern \"%s\" is not understood: %s",
                           what, pattern, reason(text, code, &info));
out:
    if (status != FATHOM_OK) {
        regex_free(r);
        r = NULL;
    }
    *out = r;
    return status;
}

void regex_free(struct regex *r) {
    if (!r) return;
    if (r->compiled) onig_free(r->compiled);
    mem_free(r->pattern);
    mem_free(r);
}

const char *regex_pattern(const struct regex *r) { return r->pattern; }

fathom_status regex_search_new(struct regex_search **out, struct error *err) {
    struct regex_search *s = NULL;
    *out = NULL;
    TRY(library_start(err));
    TRY(MEM_NEW(&s, 1, "a search", err));
    s->region = onig_region_new();
    s->bounds = onig_new_match_param();
    if (!s->region || !s->bounds) {
        regex_search_free(s);
        RAISE(FATHOM_NO_MEMORY, "no memory for a search");
    }
    onig_initialize_match_param(s->bounds);
    onig_set_match_stack_limit_size_of_match_param(s->bounds, STACK_MOST);
    onig_set_retry_limit_in_match_of_match_param(s->bounds, STEPS_MOST);
    onig_set_retry_limit_in_search_of_match_param(s->bounds, STEPS_MOST);
    *out = s;
    return FATHOM_OK;
}

void regex_search_free(struct regex_search *s) {
    if (!s) return;
    if (s->region) onig_region_free(s->region, 1);
    if (s->bounds) onig_free_match_param(s->bounds);
    mem_free(s);
}

static fathom_status search_failed(const struct regex *r, int code, size_t from,
                                   struct error *err) {
    char text[ONIG_MAX_ERROR_MESSAGE_LEN];
    if (code == ONIGERR_MEMORY)
        RAISE(FATHOM_NO_MEMORY, "no memory to search for the pattern \"%s\"", r->pattern);
    RAISE(FATHOM_UNSUPPORTED,
          "the pattern \"%s\" takes too long at byte %zu of a text of this kind: %s", r->pattern,
          from, reason(text, code, NULL));
}

fathom_status regex_find(const struct regex *r, struct regex_search *s, const unsigned char *text,
                         size_t size, size_t from, bool *found, size_t *begin, size_t *end,
                         struct error *err) {
    onig_region_clear(s->region);
    int at = onig_search_with_param(r->compiled, text, text + size, text + from, text + size,
                                    s->region, ONIG_OPTION_NONE, s->bounds);
    *found = at >= 0;
    if (at == ONIG_MISMATCH) return FATHOM_OK;
    if (at < 0) return search_failed(r, at, from, err);
    *begin = (size_t)s->region->beg[0];
    *end = (size_t)s->region->end[0];
    return FATHOM_OK;
}
