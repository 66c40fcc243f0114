/* Sums and maxima over the ranks' buffers. */
#ifndef COMM_REDUCE_H
#define COMM_REDUCE_H

#include "comm/comm.h"

/* F32, F64, I32, I64. */
bool reduce_has(enum dtype dtype);

enum { REDUCE_BLOCK_BYTES = 4096 };

/* block = from(0) + from(1) + ... in that order for each of `count` elements, at most
 * REDUCE_BLOCK_BYTES of them; `from` [ranks] point at the first. Integers wrap; a NaN is a maximum.
 */
void reduce_block(void *block, enum dtype dtype, enum comm_reduction reduction,
                  const void *const *from, int ranks, int64_t count);

#endif
