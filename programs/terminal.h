/* What the terminal can show. */
#ifndef PROGRAMS_TERMINAL_H
#define PROGRAMS_TERMINAL_H

#include <stdbool.h>

bool terminal_has_utf8(void); /* as the locale's variables say */

#endif
