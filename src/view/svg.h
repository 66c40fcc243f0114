/* What the pictures have in common; for the files of view/ and for pages that hold pictures. */
#ifndef VIEW_SVG_H
#define VIEW_SVG_H

#include "base/text.h"

struct svg_frame {
    double left, top, width, height; /* pixels */
};

/* The head of a picture of width x height pixels, readable on light and dark pages, with its title
 * and the names of its axes (NULL: none); returns the place of the plot. "</svg>\n" ends it. */
struct svg_frame svg_begin(struct text *out, int width, int height, const char *title,
                           const char *x_label, const char *y_label);
/* anchor: start, middle or end; class: title, name or tick. */
void svg_label(struct text *out, double x, double y, const char *anchor, const char *class,
               const char *string);
/* Text with <, >, & and " as entities; NULL is "". */
void svg_escape(struct text *out, const char *string);

#endif
