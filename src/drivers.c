/* Every backend of this build. The one file above backend/ that names them. */
#include "backend/device.h"
#include "cpu/cpu.h"

const struct device_driver *const device_drivers[] = {&cpu_driver, NULL};
