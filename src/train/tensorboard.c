#include "train/tensorboard.h"

#include <string.h>

uint32_t crc32c(const void *bytes, size_t size) {
    const unsigned char *at = bytes;
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < size; i++) {
        crc ^= at[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (0x82f63b78u & (0u - (crc & 1)));
    }
    return ~crc;
}

static uint32_t masked_crc(const void *bytes, size_t size) {
    uint32_t crc = crc32c(bytes, size);
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

/* ---- protocol buffers: (field << 3 | wire type), then the value ---- */

enum wire { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

static void put_varint(struct text *out, uint64_t value) {
    for (; value >= 0x80; value >>= 7) text_append_char(out, (char)(value | 0x80));
    text_append_char(out, (char)value);
}

static void put_key(struct text *out, int field, enum wire wire) {
    put_varint(out, (uint64_t)field << 3 | (uint64_t)wire);
}

static void put_bytes(struct text *out, int field, const char *bytes, size_t size) {
    put_key(out, field, WIRE_BYTES);
    put_varint(out, size);
    text_append(out, bytes, size);
}

static void put_f64(struct text *out, int field, double value) {
    put_key(out, field, WIRE_64);
    text_append(out, &value, sizeof value);
}

static void put_f32(struct text *out, int field, float value) {
    put_key(out, field, WIRE_32);
    text_append(out, &value, sizeof value);
}

/* ---- records ---- */

static void put_record(struct text *out, const struct text *event) {
    uint64_t size = event->size;
    uint32_t size_crc = masked_crc(&size, sizeof size);
    uint32_t data_crc = masked_crc(text_data(event), event->size);
    text_append(out, &size, sizeof size);
    text_append(out, &size_crc, sizeof size_crc);
    text_append(out, text_data(event), event->size);
    text_append(out, &data_crc, sizeof data_crc);
    out->failed |= event->failed;
}

/* Fields of Event and Summary.Value. */
enum { EVENT_WALL_TIME = 1, EVENT_STEP = 2, EVENT_VERSION = 3, EVENT_SUMMARY = 5 };
enum { SUMMARY_VALUE = 1, VALUE_TAG = 1, VALUE_SIMPLE = 2 };

void tensorboard_begin(struct text *out, double wall_time) {
    static const char version[] = "brain.Event:2";
    struct text event = {0};
    put_f64(&event, EVENT_WALL_TIME, wall_time);
    put_bytes(&event, EVENT_VERSION, version, strlen(version));
    put_record(out, &event);
    text_free(&event);
}

void tensorboard_scalars(struct text *out, double wall_time, int64_t step,
                         const struct tensorboard_scalar *scalars, size_t count) {
    struct text event = {0}, summary = {0}, value = {0};
    for (size_t i = 0; i < count; i++) {
        text_clear(&value);
        put_bytes(&value, VALUE_TAG, scalars[i].tag, strlen(scalars[i].tag));
        put_f32(&value, VALUE_SIMPLE, scalars[i].value);
        put_bytes(&summary, SUMMARY_VALUE, text_data(&value), value.size);
    }
    put_f64(&event, EVENT_WALL_TIME, wall_time);
    put_key(&event, EVENT_STEP, WIRE_VARINT);
    put_varint(&event, (uint64_t)step);
    put_bytes(&event, EVENT_SUMMARY, text_data(&summary), summary.size);
    event.failed |= summary.failed || value.failed;
    put_record(out, &event);
    text_free(&event);
    text_free(&summary);
    text_free(&value);
}
