#include "profile_table.h"

#include "view/table.h"

enum { CELL_SIZE = 40, COLUMNS = 8, MORE_ROWS = 2 };
static const struct table_column columns[COLUMNS] = {
    {"operation", false}, {"calls", true}, {"ms a step", true}, {"share", true},
    {"GFLOP/s", true},    {"GB/s", true},  {"bound by", false}, {"of bound", true},
};
typedef char row_cells[COLUMNS][CELL_SIZE];

/* ---- bounds ---- */

/* Seconds that the work takes at least. */
static double bound_of(const struct profile_row *row, const struct profiled_steps *s,
                       const char **by) {
    const double compute = row->flops / s->flops_per_second;
    const double memory = row->bytes / s->bytes_per_second;
    *by = compute > memory ? "FLOPs" : "bytes";
    return compute > memory ? compute : memory;
}

/* ---- cells ---- */

static void fill_time(row_cells cells, const char *name, double seconds,
                      const struct profiled_steps *s) {
    snprintf(cells[0], CELL_SIZE, "%.*s", CELL_SIZE - 1, name);
    snprintf(cells[2], CELL_SIZE, "%.2f", 1e3 * seconds / (double)s->steps);
    snprintf(cells[3], CELL_SIZE, "%.1f%%", s->seconds > 0 ? 100 * seconds / s->seconds : 0);
}

static void fill_row(row_cells cells, const struct profile_row *row,
                     const struct profiled_steps *s) {
    fill_time(cells, row->name, row->seconds, s);
    snprintf(cells[1], CELL_SIZE, "%.0f", (double)row->calls / (double)s->steps);
    if (!(row->seconds > 0)) return;
    if (row->flops > 0) snprintf(cells[4], CELL_SIZE, "%.1f", row->flops / row->seconds * 1e-9);
    snprintf(cells[5], CELL_SIZE, "%.1f", row->bytes / row->seconds * 1e-9);
    if (!(s->flops_per_second > 0 && s->bytes_per_second > 0)) return;
    const char *by;
    const double bound = bound_of(row, s, &by);
    snprintf(cells[6], CELL_SIZE, "%s", by);
    snprintf(cells[7], CELL_SIZE, "%.0f%%", 100 * bound / row->seconds);
}

fathom_status profile_print(const struct profile *profile, const struct profiled_steps *steps,
                            FILE *out, struct error *err) {
    static const char *const names[MORE_ROWS] = {"outside of operations", "not in products"};
    struct profile_row rows[PROFILE_ROWS_MAX];
    row_cells cells[PROFILE_ROWS_MAX + MORE_ROWS] = {0};
    const char *table[(PROFILE_ROWS_MAX + MORE_ROWS) * COLUMNS];
    const size_t count = profile_rows(profile, rows);
    double rest[MORE_ROWS] = {steps->seconds, steps->seconds};
    struct text text = {0};
    for (size_t i = 0; i < count; i++) {
        fill_row(cells[i], &rows[i], steps);
        rest[0] -= rows[i].seconds;
        if (rows[i].flops > 0) rest[1] -= rows[i].seconds;
    }
    for (int i = 0; i < MORE_ROWS; i++)
        fill_time(cells[count + (size_t)i], names[i], rest[i], steps);
    for (size_t i = 0; i < (count + MORE_ROWS) * COLUMNS; i++)
        table[i] = cells[i / COLUMNS][i % COLUMNS];
    table_write(columns, COLUMNS, table, count + MORE_ROWS, &text);
    const fathom_status status = text_check(&text, err);
    if (status == FATHOM_OK) fputs(text_data(&text), out);
    text_free(&text);
    return status;
}
