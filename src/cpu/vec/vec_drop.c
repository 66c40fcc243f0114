/* Device-level token dropping (V2 report 2.2.4): one tile a device. The affinity of the last slot
 * that is kept is found digit by digit, so that nothing is sorted and no workspace is needed. */
#include <string.h>

#include "cpu/vec/rows.h"

enum { DIGIT_BITS = 8, DIGITS = 1 << DIGIT_BITS };

/* Experts [first, end) of a device. */
struct experts {
    int64_t first, end;
};

static struct experts experts_of(const struct op_moe_drop *op, int64_t device) {
    const int64_t size = op->scores.cols / op->devices;
    return (struct experts){device * size, (device + 1) * size};
}

static bool has_slot(const struct op_moe_drop *op, struct experts experts, int64_t slot) {
    return op->idx[slot] >= experts.first && op->idx[slot] < experts.end;
}

/* The slots of one device that may be dropped, in slot order. */
struct slot_walk {
    const struct op_moe_drop *op;
    struct experts experts;
    int64_t span, slot;
};

static struct slot_walk walk_device(const struct op_moe_drop *op, int64_t device) {
    return (struct slot_walk){.op = op, .experts = experts_of(op, device)};
}

static bool keeps_all(const struct op_moe_drop *op, int64_t span) {
    return op->keeps_all && op->keeps_all[span];
}

/* The next slot, or -1 at the end. */
static int64_t walk_next(struct slot_walk *walk) {
    const struct op_moe_drop *op = walk->op;
    for (; walk->span < op->span_count; walk->span++) {
        const struct span *span = &op->spans[walk->span];
        const int64_t end = (span->row + span->count) * op->active;
        if (keeps_all(op, walk->span)) continue;
        if (walk->slot < span->row * op->active) walk->slot = span->row * op->active;
        while (walk->slot < end) {
            const int64_t slot = walk->slot++;
            if (has_slot(op, walk->experts, slot)) return slot;
        }
    }
    return -1;
}

/* A slot's affinity as a number that orders as the float does. */
static uint32_t affinity_key(const struct op_moe_drop *op, int64_t slot) {
    uint32_t bits;
    memcpy(&bits, row_f32(op->scores, slot / op->active) + op->idx[slot], sizeof bits);
    return bits >> 31 ? ~bits : bits | 0x80000000U;
}

/* Slots of the device in sequences that keep all of theirs. */
static int64_t count_exempt(const struct op_moe_drop *op, int64_t device) {
    const struct experts experts = experts_of(op, device);
    int64_t count = 0;
    for (int64_t n = 0; n < op->span_count; n++) {
        const int64_t first = op->spans[n].row * op->active;
        if (!keeps_all(op, n)) continue;
        for (int64_t slot = first; slot < first + op->spans[n].count * op->active; slot++)
            count += has_slot(op, experts, slot);
    }
    return count;
}

/* The last affinity that is kept, and how many slots that have it are. */
struct threshold {
    uint32_t key;
    int64_t ties;
};

/* With `left` slots kept, of more than so many; left >= 1. */
static struct threshold find_threshold(const struct op_moe_drop *op, int64_t device, int64_t left) {
    uint32_t prefix = 0;
    for (int shift = 32 - DIGIT_BITS; shift >= 0; shift -= DIGIT_BITS) {
        int64_t counts[DIGITS] = {0};
        struct slot_walk walk = walk_device(op, device);
        for (int64_t slot = walk_next(&walk); slot >= 0; slot = walk_next(&walk)) {
            const uint64_t key = affinity_key(op, slot);
            if (key >> (shift + DIGIT_BITS) == (uint64_t)prefix >> (shift + DIGIT_BITS))
                counts[key >> shift & (DIGITS - 1)]++;
        }
        uint32_t digit = DIGITS - 1;
        for (; counts[digit] < left; digit--) left -= counts[digit];
        prefix |= digit << shift;
    }
    return (struct threshold){prefix, left};
}

static void drop_below(const struct op_moe_drop *op, int64_t device, struct threshold last) {
    struct slot_walk walk = walk_device(op, device);
    for (int64_t slot = walk_next(&walk); slot >= 0; slot = walk_next(&walk)) {
        const uint32_t key = affinity_key(op, slot);
        const bool is_kept = key > last.key || (key == last.key && last.ties-- > 0);
        if (!is_kept) op->kept[slot] = -1;
    }
}

static void drop_devices(const void *arg, int64_t first, int64_t end, int worker) {
    (void)worker;
    const struct op_moe_drop *op = arg;
    for (int64_t device = first; device < end; device++) {
        const int64_t left = op->capacity - count_exempt(op, device);
        struct slot_walk walk = walk_device(op, device);
        int64_t count = 0;
        while (walk_next(&walk) >= 0) count++;
        if (count <= left) continue;
        drop_below(op, device,
                   left > 0 ? find_threshold(op, device, left) : (struct threshold){UINT32_MAX, 0});
    }
}

void VEC_NAME(moe_drop)(struct stream *stream, const struct op_moe_drop *op) {
    const size_t slots = (size_t)(op->scores.rows * op->active);
    memcpy(op->kept, op->idx, slots * sizeof *op->kept);
    rows_run_tiles(stream, drop_devices, op, op->devices, 1);
}
