/* Text tables with aligned columns. */
#ifndef VIEW_TABLE_H
#define VIEW_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

struct table_column {
    const char *heading;
    bool is_number; /* aligned to the right */
};

/* A line of headings, a rule, and a line for each row of cells[rows * columns], which stand row by
 * row (NULL: empty). Columns are as wide as their widest cell, counted in characters of UTF-8, and
 * two spaces apart; no line ends in spaces. */
void table_write(const struct table_column *columns, size_t column_count, const char *const *cells,
                 size_t rows, struct text *out);

#endif
