#include "cpu/ref/ref.h"
#include "cpu/ref/ref_table.h"

/* ref_ops_f32, ref_ops_f64 */
#define REF_TABLE_JOIN2(tag) ref_ops_##tag
#define REF_TABLE_JOIN(tag) REF_TABLE_JOIN2(tag)

#define REF_MEMBER(name) .name = REF(name),
const struct op_table REF_TABLE_JOIN(REF_TAG) = {OPS(REF_MEMBER)};
