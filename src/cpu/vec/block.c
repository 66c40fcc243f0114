#include "cpu/vec/block.h"

static void rows_narrow(const struct block *x) { block_any(x, 1, BLOCK_ROWS); }
static void rows_wide(const struct block *x) { block_any(x, 2, BLOCK_ROWS); }
static void columns_narrow(const struct block *x) { block_any(x, 1, BLOCK_COLUMNS); }
static void columns_wide(const struct block *x) { block_any(x, 2, BLOCK_COLUMNS); }

void VEC_NAME(block_rows)(const struct block *x) {
    if (x->n > VEC_LANES)
        rows_wide(x);
    else
        rows_narrow(x);
}

void VEC_NAME(block_columns)(const struct block *x) {
    if (x->n > VEC_LANES)
        columns_wide(x);
    else
        columns_narrow(x);
}
