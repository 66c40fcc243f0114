/* Outcomes of every call that can fail for a reason outside the program: input, files, memory,
 * devices, peers. Programming errors are assertions inside the library and have no code. */
#ifndef FATHOM_STATUS_H
#define FATHOM_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

#define FATHOM_VERSION "0.1.0"

typedef enum fathom_status {
    FATHOM_OK = 0,
    FATHOM_USAGE,       /* the caller asked for something contradictory: exit status 2 */
    FATHOM_BAD_INPUT,   /* a file or request does not hold what it should */
    FATHOM_UNSUPPORTED, /* well-formed, but a kind that fathom does not handle */
    FATHOM_IO,          /* the operating system refused: missing file, full disk, permissions */
    FATHOM_NO_MEMORY,
    FATHOM_EXISTS,      /* refusing to overwrite */
    FATHOM_INTERRUPTED, /* SIGINT or SIGTERM; what was done is saved */
    FATHOM_NOT_FINITE,  /* a NaN or infinity where the computation needs a number */
    FATHOM_DEVICE,      /* a device or kernel failed */
    FATHOM_PEER,        /* another rank of the run failed; the text names it and its reason */
} fathom_status;

#ifdef __cplusplus
}
#endif
#endif
