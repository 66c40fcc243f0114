#include "view/table.h"

#include <string.h>

/* Characters of UTF-8: bytes that continue one are not counted. */
static size_t width_of(const char *cell) {
    size_t width = 0;
    for (const char *p = cell ? cell : ""; *p; p++) width += ((unsigned char)*p & 0xc0) != 0x80;
    return width;
}

static size_t column_width(const struct table_column *columns, size_t column_count,
                           const char *const *cells, size_t rows, size_t column) {
    size_t width = width_of(columns[column].heading);
    for (size_t row = 0; row < rows; row++) {
        size_t cell = width_of(cells[row * column_count + column]);
        if (cell > width) width = cell;
    }
    return width;
}

static void put_repeated(struct text *out, char c, size_t count) {
    for (size_t i = 0; i < count; i++) text_append_char(out, c);
}

/* `owed` spaces are written only when something follows them. */
static void put_cell(struct text *out, const char *cell, size_t width, bool is_number,
                     size_t *owed) {
    size_t blanks = width - width_of(cell);
    if (width_of(cell) == 0) {
        *owed += width;
        return;
    }
    put_repeated(out, ' ', *owed + (is_number ? blanks : 0));
    text_append_string(out, cell);
    *owed = is_number ? 0 : blanks;
}

static void put_line(struct text *out, const struct table_column *columns, size_t column_count,
                     const size_t *widths, const char *const *line) {
    size_t owed = 0;
    for (size_t i = 0; i < column_count; i++) {
        if (i > 0) owed += 2;
        put_cell(out, line ? line[i] : columns[i].heading, widths[i], columns[i].is_number, &owed);
    }
    text_append_char(out, '\n');
}

void table_write(const struct table_column *columns, size_t column_count, const char *const *cells,
                 size_t rows, struct text *out) {
    enum { MAX_COLUMNS = 64 };
    size_t widths[MAX_COLUMNS] = {0};
    size_t stride = column_count, total = 0;
    if (column_count > MAX_COLUMNS) column_count = MAX_COLUMNS;
    for (size_t i = 0; i < column_count; i++) {
        widths[i] = column_width(columns, stride, cells, rows, i);
        total += widths[i] + (i > 0 ? 2 : 0);
    }
    put_line(out, columns, column_count, widths, NULL);
    put_repeated(out, '-', total);
    text_append_char(out, '\n');
    for (size_t row = 0; row < rows; row++)
        put_line(out, columns, column_count, widths, cells + row * stride);
}
