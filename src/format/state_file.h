/* Spellings inside state.json that its reader and its writer share. */
#ifndef FORMAT_STATE_FILE_H
#define FORMAT_STATE_FILE_H

#define STATE_FORMAT "fathom training state"
/* state.json ends with PREFIX, 16 hexadecimal digits, SUFFIX: the XXH3 of the bytes before PREFIX.
 */
#define STATE_SEAL_PREFIX ",\n  \"checksum\": \""
#define STATE_SEAL_SUFFIX "\"\n}\n"

#endif
