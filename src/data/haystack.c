#include "data/haystack.h"

#include <ctype.h>
#include <string.h>

void haystack_free(struct haystack *haystack) { text_free(&haystack->story); }

void haystack_restart(struct haystack *haystack) {
    text_clear(&haystack->story);
    haystack->at = 0;
}

/* Whether a sentence ends with the character at i, outside of quotes: "1." begins one. */
static bool ends_sentence(const char *text, size_t i, bool is_quoted) {
    if (is_quoted || i == 0 || !(text[i + 1] == ' ' || text[i + 1] == '\n')) return false;
    if (text[i] == '"') return strchr(".!?", text[i - 1]) && isupper((unsigned char)text[i + 2]);
    return strchr(".!?", text[i]) && isalpha((unsigned char)text[i - 1]);
}

/* Where the piece that starts at `from` ends. */
static size_t piece_end(const char *text, size_t from) {
    bool is_quoted = false;
    for (size_t i = from; text[i]; i++) {
        if (text[i] == '\n') {
            while (text[i] == '\n') i++;
            return i;
        }
        if (text[i] == '"') is_quoted = !is_quoted;
        if (ends_sentence(text, i, is_quoted) && text[i + 1] == ' ') return i + 1;
    }
    return strlen(text);
}

void haystack_next(struct haystack *h, struct rng *rng, struct text *out) {
    if (h->at >= h->story.size) {
        haystack_restart(h);
        story_write(h->stories, rng, &h->story);
        text_append_string(&h->story, "\n\n");
    }
    if (h->story.failed) out->failed = true;
    if (out->failed) return;
    size_t end = piece_end(text_data(&h->story), h->at);
    text_append(out, text_data(&h->story) + h->at, end - h->at);
    h->at = end;
}

static bool begins_paragraph(const struct text *out, size_t begin) {
    return out->size == begin || text_data(out)[out->size - 1] == '\n';
}

void haystack_end_paragraph(struct text *out, size_t begin) {
    if (!begins_paragraph(out, begin)) text_append_string(out, "\n\n");
}

void haystack_put(struct text *out, size_t begin, const char *sentence) {
    bool is_paragraph = begins_paragraph(out, begin);
    if (!is_paragraph) text_append_char(out, ' ');
    text_append_string(out, sentence);
    if (is_paragraph) text_append_string(out, "\n\n");
}
