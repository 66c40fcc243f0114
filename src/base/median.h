/* The median of measurements. */
#ifndef BASE_MEDIAN_H
#define BASE_MEDIAN_H

#include <stddef.h>

/* Of values[0..count), count >= 1, which are sorted: the middle one, of an even number the upper.
 */
double median_of(double *values, size_t count);

#endif
