/* The machine's limits, measured: what the device driver's hooks call. */
#ifndef CPU_PEAK_H
#define CPU_PEAK_H

#include "backend/device.h"

/* FLOP/s of F32 multiply-adds in the device's instruction set on all threads, over some
 * milliseconds; 0 for the oracles, which have no limit worth naming. */
double cpu_peak_flops(struct device *device, enum dtype operands);
/* All limits, each the median of several measurements. */
fathom_status cpu_measure(struct device *device, struct device_limits *limits, struct error *err);

#endif
