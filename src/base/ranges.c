#include "base/ranges.h"

#include <string.h>

#include "base/memory.h"
#include "base/text.h"

/* "7" or "3-9" in text[0, size). */
static bool parse_one(struct range *range, const char *text, size_t size) {
    char copy[48];
    if (size >= sizeof copy) return false;
    memcpy(copy, text, size);
    copy[size] = 0;
    char *dash = strchr(copy, '-');
    if (dash) *dash = 0;
    if (!string_to_i64(copy, &range->first) || range->first < 0) return false;
    range->last = range->first;
    return !dash || (string_to_i64(dash + 1, &range->last) && range->last >= range->first);
}

fathom_status ranges_parse(struct ranges *ranges, const char *text, struct error *err) {
    *ranges = (struct ranges){0};
    if (!text || !*text) return FATHOM_OK;
    size_t parts = 1;
    for (const char *at = text; *at; at++) parts += *at == ',';
    TRY(MEM_NEW(&ranges->items, parts, "a list of numbers", err));
    for (const char *at = text; ranges->count < parts; at += strcspn(at, ",") + 1) {
        const size_t size = strcspn(at, ",");
        if (!parse_one(&ranges->items[ranges->count++], at, size)) {
            ranges_free(ranges);
            RAISE(FATHOM_USAGE, "\"%.*s\" is neither a number nor a range such as 120-125",
                  (int)size, at);
        }
    }
    return FATHOM_OK;
}

static bool are_numbers(const struct ranges *ranges, int64_t low, int64_t high) {
    for (size_t i = 0; i < ranges->count; i++) {
        const struct range *range = &ranges->items[i];
        if (range->first != range->last || range->first < low || range->last > high) return false;
    }
    return ranges->count > 0;
}

fathom_status ranges_parse_numbers(struct ranges *ranges, const char *text, const char *name,
                                   int64_t low, int64_t high, struct error *err) {
    fathom_status status = ranges_parse(ranges, text, err);
    if (status == FATHOM_NO_MEMORY) return status;
    if (status == FATHOM_OK && are_numbers(ranges, low, high)) return FATHOM_OK;
    ranges_free(ranges);
    RAISE(FATHOM_USAGE, "%s is \"%s\", but must be numbers in [%lld, %lld] with commas between",
          name, text ? text : "", (long long)low, (long long)high);
}

void ranges_free(struct ranges *ranges) {
    mem_free(ranges->items);
    *ranges = (struct ranges){0};
}

bool ranges_have(const struct ranges *ranges, int64_t number) {
    for (size_t i = 0; i < ranges->count; i++)
        if (number >= ranges->items[i].first && number <= ranges->items[i].last) return true;
    return false;
}
