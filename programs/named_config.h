/* Model shapes by name: the files of configs/, which are compiled in, so that the binary needs
 * nothing beside it. */
#ifndef PROGRAMS_NAMED_CONFIG_H
#define PROGRAMS_NAMED_CONFIG_H

#include "model/config.h"

/* A name of configs/NAME.json, or the path of a config.json or of a directory with one. */
fathom_status config_named(struct model_config *config, const char *name_or_path,
                           struct error *err);

#endif
