/* src/report/colors.c - two colour maps of a few anchors each. Lightness rises (sequential) or
 * falls off to both sides (diverging, blue and red, which all common kinds of colour vision tell
 * apart).
 */
#include "report/report_impl.h"

#include <math.h>

static const struct sg_rgb sequential[] = {
    {24, 10, 50}, {52, 48, 120}, {36, 104, 142}, {38, 152, 136}, {116, 198, 98}, {250, 232, 80},
};

static const struct sg_rgb diverging[] = {
    {14, 44, 110},   {52, 116, 190}, {160, 200, 228}, {247, 247, 247},
    {244, 178, 140}, {204, 68, 64},  {112, 8, 38},
};

static const struct sg_rgb NOT_A_NUMBER = {150, 150, 150};

static unsigned char between(unsigned char a, unsigned char b, double t) {
    return (unsigned char)lround((double)a + t * ((double)b - (double)a));
}

/* t in 0..1 along anchors at equal distances. */
static struct sg_rgb blend(const struct sg_rgb *anchors, int n, double t) {
    const double at = fmin(fmax(t, 0.0), 1.0) * (n - 1);
    const int i = at < n - 1 ? (int)at : n - 2;
    const struct sg_rgb a = anchors[i];
    const struct sg_rgb b = anchors[i + 1];

    if (isnan(t)) {
        return NOT_A_NUMBER;
    }
    return (struct sg_rgb){between(a.r, b.r, at - i), between(a.g, b.g, at - i),
                           between(a.b, b.b, at - i)};
}

struct sg_rgb sg_color_sequential(double v) {
    return blend(sequential, (int)(sizeof sequential / sizeof sequential[0]), v);
}

struct sg_rgb sg_color_diverging(double v) {
    return blend(diverging, (int)(sizeof diverging / sizeof diverging[0]), (v + 1.0) / 2.0);
}
