/* fathom eval --task needle */
#include <stdio.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/ranges.h"
#include "data/facts.h"
#include "eval/needle.h"
#include "eval_tasks.h"
#include "model/files.h"
#include "terminal.h"
#include "view/heatmap.h"

enum { NAME_SIZE = 24 };

/* The map: its places and how many answers were right at each. */
struct needle_run {
    int64_t *lengths, *depths;
    size_t length_count, depth_count;
    int64_t *right; /* [length_count, depth_count] */
    int64_t trials;
    double seconds;
};

static fathom_status read_numbers(int64_t **out, size_t *count, const char *text, const char *name,
                                  int64_t low, int64_t high, struct error *err) {
    struct ranges ranges = {0};
    TRY(ranges_parse_numbers(&ranges, text, name, low, high, err));
    fathom_status status = MEM_NEW(out, ranges.count, name, err);
    for (size_t i = 0; status == FATHOM_OK && i < ranges.count; i++)
        (*out)[i] = ranges.items[i].first;
    *count = ranges.count;
    ranges_free(&ranges);
    return status;
}

static fathom_status run_fill(struct needle_run *r, const struct eval_options *o,
                              struct error *err) {
    r->trials = o->trials;
    TRY(read_numbers(&r->lengths, &r->length_count, o->lengths, "--lengths", 1, 1 << 24, err));
    TRY(read_numbers(&r->depths, &r->depth_count, o->depths, "--depths", 0, 100, err));
    return MEM_NEW(&r->right, r->length_count * r->depth_count, "a map", err);
}

static void run_free(struct needle_run *r) {
    mem_free(r->lengths);
    mem_free(r->depths);
    mem_free(r->right);
}

static double share_at(const struct needle_run *r, size_t depth, size_t length) {
    return (double)r->right[length * r->depth_count + depth] / (double)r->trials;
}

/* ---- showing ---- */

/* What a heat map points at. */
struct picture {
    double *values;           /* [depth_count, length_count] */
    char (*names)[NAME_SIZE]; /* depths, then lengths */
    const char **pointers;    /* to them */
};

static fathom_status picture_fill(struct picture *p, const struct needle_run *r,
                                  struct error *err) {
    size_t names = r->depth_count + r->length_count;
    TRY(MEM_NEW(&p->values, r->depth_count * r->length_count, "a map", err));
    TRY(MEM_NEW(&p->names, names, "a map", err));
    TRY(MEM_NEW(&p->pointers, names, "a map", err));
    for (size_t i = 0; i < names; i++) p->pointers[i] = p->names[i];
    for (size_t d = 0; d < r->depth_count; d++) {
        snprintf(p->names[d], NAME_SIZE, "%lld%%", (long long)r->depths[d]);
        for (size_t l = 0; l < r->length_count; l++)
            p->values[d * r->length_count + l] = share_at(r, d, l);
    }
    for (size_t l = 0; l < r->length_count; l++)
        snprintf(p->names[r->depth_count + l], NAME_SIZE, "%lld", (long long)r->lengths[l]);
    return FATHOM_OK;
}

static void picture_free(struct picture *p) {
    mem_free(p->values);
    mem_free(p->names);
    mem_free(p->pointers);
}

static fathom_status write_svg(const struct heatmap *map, const char *path, struct error *err) {
    struct text svg = {0};
    struct file_writer *file = NULL;
    heatmap_svg(map, 200 + 80 * (int)map->columns, 140 + 36 * (int)map->rows, &svg);
    fathom_status status = text_check(&svg, err);
    if (status == FATHOM_OK) status = file_writer_open(&file, path, err);
    if (status == FATHOM_OK) {
        file_writer_put(file, svg.data, svg.size);
        status = file_writer_commit(file, err);
    }
    text_free(&svg);
    return status;
}

static fathom_status show_map(const struct needle_run *r, const struct eval_options *o, FILE *out,
                              struct error *err) {
    struct picture p = {0};
    struct text shown = {0};
    fathom_status status = picture_fill(&p, r, err);
    const struct heatmap map = {.title = "Needles found, of all that were asked for",
                                .x_label = "tokens",
                                .y_label = "depth",
                                .rows = r->depth_count,
                                .columns = r->length_count,
                                .values = p.values,
                                .high = 1,
                                .row_names = p.pointers,
                                .column_names = p.pointers ? p.pointers + r->depth_count : NULL};
    if (status == FATHOM_OK && o->svg) status = write_svg(&map, o->svg, err);
    if (status == FATHOM_OK && !o->json) {
        heatmap_terminal(&map, terminal_has_utf8(), &shown);
        status = text_check(&shown, err);
    }
    if (status == FATHOM_OK) fputs(text_data(&shown), out);
    text_free(&shown);
    picture_free(&p);
    return status;
}

static void print_list(FILE *out, const char *name, const int64_t *items, size_t count) {
    fprintf(out, "\"%s\": [", name);
    for (size_t i = 0; i < count; i++)
        fprintf(out, "%s%lld", i > 0 ? ", " : "", (long long)items[i]);
    fputs("], ", out);
}

static void print_json(const struct needle_run *r, FILE *out) {
    fprintf(out, "{\"task\": \"needle\", \"trials\": %lld, ", (long long)r->trials);
    print_list(out, "lengths", r->lengths, r->length_count);
    print_list(out, "depths", r->depths, r->depth_count);
    fputs("\"accuracy\": [", out);
    for (size_t l = 0; l < r->length_count; l++) {
        fputs(l > 0 ? ", [" : "[", out);
        for (size_t d = 0; d < r->depth_count; d++)
            fprintf(out, "%s%.4f", d > 0 ? ", " : "", share_at(r, d, l));
        fputs("]", out);
    }
    fprintf(out, "], \"seconds\": %.1f}\n", r->seconds);
}

/* ---- measuring ---- */

static fathom_status measure(struct command *command, const struct eval_options *o,
                             struct needle_run *r, struct device *device) {
    struct error *err = command->err;
    struct model *model = NULL;
    struct tokenizer *tokenizer = NULL;
    const struct needle_options options = {.lengths = r->lengths,
                                           .depths = r->depths,
                                           .length_count = r->length_count,
                                           .depth_count = r->depth_count,
                                           .trials = o->trials,
                                           .others = o->others,
                                           .seed = (uint64_t)o->seed,
                                           .log = command->log};
    double begin = clock_seconds();
    fathom_status status = tokenizer_open(&tokenizer, o->model, err);
    if (status == FATHOM_OK) status = model_open(&model, device, o->model, 0, err);
    if (status == FATHOM_OK)
        status = needle_measure_model(r->right, &options, tokenizer, model, err);
    /* Nothing is printed, so this is no success: a script must not go on. */
    if (status == FATHOM_INTERRUPTED) err->status = status = FATHOM_IO;
    r->seconds = clock_seconds() - begin;
    model_free(model);
    tokenizer_free(tokenizer);
    return status;
}

fathom_status eval_needle(struct command *command, const struct eval_options *o,
                          struct device *device) {
    struct needle_run r = {0};
    fathom_status status = run_fill(&r, o, command->err);
    if (status == FATHOM_OK) status = measure(command, o, &r, device);
    if (status == FATHOM_OK) status = show_map(&r, o, command->out, command->err);
    if (status == FATHOM_OK && o->json) print_json(&r, command->out);
    run_free(&r);
    return status;
}
