#include "base/status.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Control characters would let a hostile file draw on a terminal; bytes above 127 are UTF-8. */
static void replace_controls(char *text) {
    for (unsigned char *p = (unsigned char *)text; *p; p++)
        if (*p < 0x20 || *p == 0x7f) *p = '?';
}

static void set_text(struct error *err, fathom_status status, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));
static void set_text(struct error *err, fathom_status status, const char *format, va_list args) {
    err->status = status;
    vsnprintf(err->text, sizeof err->text, format, args);
    replace_controls(err->text);
}

fathom_status error_set(struct error *err, fathom_status status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    if (err) set_text(err, status, format, args);
    va_end(args);
    return status;
}

fathom_status error_prefix(struct error *err, const char *format, ...) {
    if (!err) return FATHOM_OK;
    char old[ERROR_TEXT_MAX], prefix[ERROR_TEXT_MAX];
    memcpy(old, err->text, sizeof old);
    va_list args;
    va_start(args, format);
    vsnprintf(prefix, sizeof prefix, format, args);
    va_end(args);
    return error_set(err, err->status, "%s: %s", prefix, old);
}

fathom_status error_set_errno(struct error *err, int errno_value, const char *format, ...) {
    fathom_status status = FATHOM_IO;
    if (errno_value == ENOMEM) status = FATHOM_NO_MEMORY;
    if (errno_value == EEXIST) status = FATHOM_EXISTS;
    if (!err) return status;
    char text[ERROR_TEXT_MAX], reason[128];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const char *words = strerror_r(errno_value, reason, sizeof reason);
    return error_set(err, status, "%.850s: %.150s", text, words);
}

const char *status_name(fathom_status status) {
    switch (status) {
    case FATHOM_OK: return "ok";
    case FATHOM_USAGE: return "usage";
    case FATHOM_BAD_INPUT: return "bad input";
    case FATHOM_UNSUPPORTED: return "unsupported";
    case FATHOM_IO: return "input/output";
    case FATHOM_NO_MEMORY: return "out of memory";
    case FATHOM_EXISTS: return "exists";
    case FATHOM_INTERRUPTED: return "interrupted";
    case FATHOM_NOT_FINITE: return "not finite";
    case FATHOM_DEVICE: return "device";
    case FATHOM_PEER: return "another rank";
    }
    return "unknown";
}

int status_exit_code(fathom_status status) {
    if (status == FATHOM_OK || status == FATHOM_INTERRUPTED) return 0;
    return status == FATHOM_USAGE ? 2 : 1;
}
