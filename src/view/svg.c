#include "view/svg.h"

void svg_escape(struct text *out, const char *string) {
    for (const char *at = string ? string : ""; *at; at++) {
        switch (*at) {
        case '<': text_append_string(out, "&lt;"); break;
        case '>': text_append_string(out, "&gt;"); break;
        case '&': text_append_string(out, "&amp;"); break;
        case '"': text_append_string(out, "&quot;"); break;
        default: text_append_char(out, *at);
        }
    }
}

void svg_label(struct text *out, double x, double y, const char *anchor, const char *class,
               const char *string) {
    text_printf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" class=\"%s\">", x, y, anchor,
                class);
    svg_escape(out, string);
    text_append_string(out, "</text>\n");
}

struct svg_frame svg_begin(struct text *out, int width, int height, const char *title,
                           const char *x_label, const char *y_label) {
    const struct svg_frame f = {64, 40, width - 88.0, height - 92.0};
    text_printf(out,
                "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
                "viewBox=\"0 0 %d %d\" role=\"img\">\n<style>\n"
                "text{font-family:system-ui,sans-serif;fill:#222}\n"
                ".page{fill:#fff}.title{font-size:16px;font-weight:600}.name{font-size:13px}\n"
                ".tick{font-size:12px}.grid{stroke:#ddd}.axis{stroke:#555;fill:none}\n"
                ".line{fill:none;stroke-width:1.8;stroke-linejoin:round}\n"
                "@media (prefers-color-scheme:dark){.page{fill:#16181c}text{fill:#ddd}"
                ".grid{stroke:#333}.axis{stroke:#aaa}}\n</style>\n"
                "<rect class=\"page\" width=\"%d\" height=\"%d\"/>\n",
                width, height, width, height, width, height);
    svg_label(out, f.left, 24, "start", "title", title);
    svg_label(out, f.left + f.width / 2, height - 14, "middle", "name", x_label);
    text_printf(out, "<g transform=\"rotate(-90 16 %.1f)\">\n", f.top + f.height / 2);
    svg_label(out, 16, f.top + f.height / 2, "middle", "name", y_label);
    text_append_string(out, "</g>\n");
    return f;
}
