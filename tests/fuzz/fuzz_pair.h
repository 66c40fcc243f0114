/* Two files as one input: u32 size of the first, the first, the second. */
#ifndef FUZZ_PAIR_H
#define FUZZ_PAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct fuzz_pair {
    const uint8_t *first, *second;
    size_t first_size, second_size;
};

static inline bool fuzz_pair_split(struct fuzz_pair *pair, const uint8_t *data, size_t size) {
    uint32_t first_size;
    if (size < sizeof first_size) return false;
    memcpy(&first_size, data, sizeof first_size);
    size -= sizeof first_size;
    if (first_size > size) return false;
    pair->first = data + sizeof first_size;
    pair->first_size = first_size;
    pair->second = pair->first + first_size;
    pair->second_size = size - first_size;
    return true;
}

#endif
