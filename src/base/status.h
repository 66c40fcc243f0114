/* Status and error text.
 *
 * A function that can fail takes `struct error *err` last and returns fathom_status. The text is
 * written once, where the fault is seen, with the actual values in it; callers forward the code.
 * Text is one line for a person: what is wrong, with the value, and what to do. */
#ifndef BASE_STATUS_H
#define BASE_STATUS_H

#include "fathom/status.h"

enum { ERROR_TEXT_MAX = 1024 };

struct error {
    fathom_status status;
    char text[ERROR_TEXT_MAX]; /* NUL-terminated, no newline */
};

/* Sets err (may be NULL) and returns `status`, so that `return error_set(...)` reads as one step.
 * Control characters in the formatted text are replaced, and the text is cut at ERROR_TEXT_MAX. */
fathom_status error_set(struct error *err, fathom_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "prefix: " before the text that is already there; returns err's status. For a caller that
 * knows which file or tensor the callee was reading. */
fathom_status error_prefix(struct error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* error_set with ": strerror(errno_value)" at the end; ENOMEM maps to FATHOM_NO_MEMORY, EEXIST to
 * FATHOM_EXISTS, anything else to FATHOM_IO. */
fathom_status error_set_errno(struct error *err, int errno_value, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* "ok", "usage", "bad input", ... for logs. Never NULL. */
const char *status_name(fathom_status status);

/* Process exit status for a command that ends with `status`: 0, 1, or 2 for FATHOM_USAGE.
 * FATHOM_INTERRUPTED is 0: the work was saved. */
int status_exit_code(fathom_status status);

/* The two macros: forward a failure, or raise one. Functions that own resources use
 * `status = ...; if (status) goto out;` instead. Both need a local named `err`. */
#define TRY(expression)                                                                            \
    do {                                                                                           \
        fathom_status try_status_ = (expression);                                                  \
        if (try_status_ != FATHOM_OK) return try_status_;                                          \
    } while (0)
#define RAISE(code, ...) return error_set(err, (code), __VA_ARGS__)

#endif
