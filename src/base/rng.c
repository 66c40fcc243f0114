#include "base/rng.h"

#include <math.h>

/* Ten rounds of Philox 4x32 (Salmon et al. 2011, section 3.3). */
void rng_philox(uint32_t counter[4], uint32_t key0, uint32_t key1) {
    for (int round = 0; round < 10; round++) {
        uint64_t product0 = (uint64_t)0xd2511f53u * counter[0];
        uint64_t product1 = (uint64_t)0xcd9e8d57u * counter[2];
        uint32_t c1 = counter[1], c3 = counter[3];
        counter[0] = (uint32_t)(product1 >> 32) ^ c1 ^ key0;
        counter[1] = (uint32_t)product1;
        counter[2] = (uint32_t)(product0 >> 32) ^ c3 ^ key1;
        counter[3] = (uint32_t)product0;
        key0 += 0x9e3779b9u;
        key1 += 0xbb67ae85u;
    }
}

/* SplitMix64's finalizer: spreads (seed, purpose) over the 64-bit key. */
static uint64_t mix(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

void rng_block(struct rng_key key, uint64_t position, uint32_t out[4]) {
    uint64_t word = mix(key.seed + 0x9e3779b97f4a7c15u * ((uint64_t)key.purpose + 1));
    out[0] = (uint32_t)position;
    out[1] = (uint32_t)(position >> 32);
    out[2] = (uint32_t)key.stream;
    out[3] = (uint32_t)(key.stream >> 32);
    rng_philox(out, (uint32_t)word, (uint32_t)(word >> 32));
}

uint64_t rng_u64(struct rng_key key, uint64_t position) {
    uint32_t block[4];
    rng_block(key, position, block);
    return (uint64_t)block[1] << 32 | block[0];
}

static double unit_of(uint64_t bits) { return (double)(bits >> 11) * 0x1p-53; }

double rng_uniform(struct rng_key key, uint64_t position) {
    return unit_of(rng_u64(key, position));
}

uint64_t rng_below(struct rng_key key, uint64_t position, uint64_t n) {
    __extension__ typedef unsigned __int128 wide;
    return (uint64_t)(((wide)rng_u64(key, position) * n) >> 64);
}

double rng_normal(struct rng_key key, uint64_t position) {
    uint32_t block[4];
    rng_block(key, position, block);
    double u = 1 - unit_of((uint64_t)block[1] << 32 | block[0]); /* (0, 1] */
    double v = unit_of((uint64_t)block[3] << 32 | block[2]);
    return sqrt(-2 * log(u)) * cos(6.283185307179586476925286766559 * v);
}

/* Four Feistel rounds on the smallest even number of bits that covers n, walked until below n. */
uint64_t rng_permute(struct rng_key key, uint64_t i, uint64_t n) {
    int half = 1;
    while (2 * half < 64 && (uint64_t)1 << (2 * half) < n) half++;
    uint64_t mask = ((uint64_t)1 << half) - 1;
    do {
        uint64_t left = i >> half, right = i & mask;
        for (uint64_t round = 0; round < 4; round++) {
            uint64_t next = left ^ (rng_u64(key, round << 40 ^ right) & mask);
            left = right;
            right = next;
        }
        i = left << half | right;
    } while (i >= n);
    return i;
}
