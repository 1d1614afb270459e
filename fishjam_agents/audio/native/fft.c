/* Fourier transforms: half as many complex samples as there are real ones, by Stockham's method, in passes of
   radix 4, and at the end of radix 2 and 3 for what is left. */

#include "fft.h"

#include <math.h>
#include <stdlib.h>

struct fft {
    int size;             /* Of real samples. */
    const double *part;   /* Cosines and sines that part the two halves: size / 2 each. */
    const double *turn;   /* Those of each pass of radix 4, for one, two and three angles: size / 8 each. */
    double turn2[3][2];   /* Those of the pass of radix 2 before one of radix 3. */
};

enum { PLANS = 16 };
static const double PI = 3.14159265358979323846;
static struct fft plans[PLANS];

/* Whether it is a power of two, or three times one. */
static int is_supported(int size)
{
    if (size < 64 || size > FFT_LONGEST)
        return 0;
    if (size % 3 == 0)
        size /= 3;
    return (size & (size - 1)) == 0;
}

static int make_plan(struct fft *plan, int size)
{
    const int half = size / 2, quarter = half / 4;
    double *numbers = malloc(sizeof(double) * (size_t)(2 * half + 6 * quarter));
    if (numbers == NULL)
        return -1;
    double *part = numbers, *turn = numbers + 2 * half;
    for (int i = 0; i < half; i++) {
        part[i] = cos(2 * PI * i / size);
        part[half + i] = -sin(2 * PI * i / size);
    }
    for (int each = 0; each < 3; each++)
        for (int i = 0; i < quarter; i++) {
            turn[2 * each * quarter + i] = cos(2 * PI * (each + 1) * i / half);
            turn[(2 * each + 1) * quarter + i] = -sin(2 * PI * (each + 1) * i / half);
        }
    for (int i = 0; i < 3; i++) {
        plan->turn2[i][0] = cos(2 * PI * i / 6);
        plan->turn2[i][1] = -sin(2 * PI * i / 6);
    }
    plan->part = part;
    plan->turn = turn;
    plan->size = size;
    return 0;
}

const struct fft *fft_plan(int size)
{
    if (!is_supported(size))
        return NULL;
    /* There are fewer sizes than places. */
    struct fft *plan = plans;
    while (plan->size != 0 && plan->size != size)
        plan++;
    return plan->size == size || make_plan(plan, size) == 0 ? plan : NULL;
}

/* A pass in `count` butterflies of groups of `stride` values; count * stride is a quarter of the transform. */
static void pass4(const struct fft *plan, const double *restrict re, const double *restrict im,
                  double *restrict to_re, double *restrict to_im, int count, int stride)
{
    const int quarter = plan->size / 8;
    const double *turn = plan->turn;
    for (int p = 0; p < count; p++) {
        const int at = p * stride;
        const double c1 = turn[at], s1 = turn[quarter + at];
        const double c2 = turn[2 * quarter + at], s2 = turn[3 * quarter + at];
        const double c3 = turn[4 * quarter + at], s3 = turn[5 * quarter + at];
        for (int q = 0; q < stride; q++) {
            const int from = q + at, to = q + 4 * at;
            const double a_re = re[from], a_im = im[from];
            const double b_re = re[from + quarter], b_im = im[from + quarter];
            const double c_re = re[from + 2 * quarter], c_im = im[from + 2 * quarter];
            const double d_re = re[from + 3 * quarter], d_im = im[from + 3 * quarter];
            const double sum_re = a_re + c_re, sum_im = a_im + c_im;
            const double apart_re = a_re - c_re, apart_im = a_im - c_im;
            const double sum2_re = b_re + d_re, sum2_im = b_im + d_im;
            /* (b - d) times -i. */
            const double apart2_re = b_im - d_im, apart2_im = d_re - b_re;
            const double y1_re = apart_re + apart2_re, y1_im = apart_im + apart2_im;
            const double y2_re = sum_re - sum2_re, y2_im = sum_im - sum2_im;
            const double y3_re = apart_re - apart2_re, y3_im = apart_im - apart2_im;
            to_re[to] = sum_re + sum2_re;
            to_im[to] = sum_im + sum2_im;
            to_re[to + stride] = y1_re * c1 - y1_im * s1;
            to_im[to + stride] = y1_re * s1 + y1_im * c1;
            to_re[to + 2 * stride] = y2_re * c2 - y2_im * s2;
            to_im[to + 2 * stride] = y2_re * s2 + y2_im * c2;
            to_re[to + 3 * stride] = y3_re * c3 - y3_im * s3;
            to_im[to + 3 * stride] = y3_re * s3 + y3_im * c3;
        }
    }
}

/* The last pass but one before radix 3, with `count` 3, or the last, with 1. */
static void pass2(const struct fft *plan, const double *restrict re, const double *restrict im,
                  double *restrict to_re, double *restrict to_im, int count, int stride)
{
    for (int p = 0; p < count; p++) {
        const double c = plan->turn2[p][0], s = plan->turn2[p][1];
        for (int q = 0; q < stride; q++) {
            const int from = q + p * stride, other = from + count * stride, to = q + 2 * p * stride;
            const double apart_re = re[from] - re[other], apart_im = im[from] - im[other];
            to_re[to] = re[from] + re[other];
            to_im[to] = im[from] + im[other];
            to_re[to + stride] = apart_re * c - apart_im * s;
            to_im[to + stride] = apart_re * s + apart_im * c;
        }
    }
}

static void pass3(const double *restrict re, const double *restrict im, double *restrict to_re,
                  double *restrict to_im, int stride)
{
    const double height = 0.86602540378443864676;
    for (int q = 0; q < stride; q++) {
        const double sum_re = re[q + stride] + re[q + 2 * stride];
        const double sum_im = im[q + stride] + im[q + 2 * stride];
        const double side_re = height * (im[q + stride] - im[q + 2 * stride]);
        const double side_im = height * (re[q + 2 * stride] - re[q + stride]);
        const double middle_re = re[q] - 0.5 * sum_re, middle_im = im[q] - 0.5 * sum_im;
        to_re[q] = re[q] + sum_re;
        to_im[q] = im[q] + sum_im;
        to_re[q + stride] = middle_re + side_re;
        to_im[q + stride] = middle_im + side_im;
        to_re[q + 2 * stride] = middle_re - side_re;
        to_im[q + 2 * stride] = middle_im - side_im;
    }
}

/* Transform size / 2 complex numbers between two places, four arrays of as many in a row; give the one in which
   they end. */
static double *transform(const struct fft *plan, double *from, double *to)
{
    const int half = plan->size / 2;
    int left = half, stride = 1;
    while (left > 1) {
        const int radix = left % 4 == 0 ? 4 : left % 2 == 0 ? 2 : 3;
        left /= radix;
        switch (radix) {
        case 4:
            pass4(plan, from, from + half, to, to + half, left, stride);
            break;
        case 2:
            pass2(plan, from, from + half, to, to + half, left, stride);
            break;
        default:
            pass3(from, from + half, to, to + half, stride);
        }
        stride *= radix;
        double *other = from;
        from = to;
        to = other;
    }
    return from;
}

void fft_forward(const struct fft *plan, const double *sound, double *re, double *im, double *work)
{
    const int half = plan->size / 2;
    const double *cosine = plan->part, *sine = plan->part + half;
    /* Two neighbours are one complex sample. */
    for (int i = 0; i < half; i++) {
        work[i] = sound[2 * i];
        work[half + i] = sound[2 * i + 1];
    }
    const double *z_re = transform(plan, work, work + 2 * half), *z_im = z_re + half;
    re[0] = z_re[0] + z_im[0];
    re[half] = z_re[0] - z_im[0];
    im[0] = im[half] = 0.0;
    for (int k = 1; k < half; k++) {
        const double even_re = z_re[k] + z_re[half - k], even_im = z_im[k] - z_im[half - k];
        const double odd_re = z_im[k] + z_im[half - k], odd_im = z_re[half - k] - z_re[k];
        re[k] = 0.5 * (even_re + odd_re * cosine[k] - odd_im * sine[k]);
        im[k] = 0.5 * (even_im + odd_re * sine[k] + odd_im * cosine[k]);
    }
}

void fft_backward(const struct fft *plan, double *re, double *im, double *sound, double *work)
{
    const int half = plan->size / 2;
    const double *cosine = plan->part, *sine = plan->part + half;
    /* Complex conjugates go forward in place of the others going backward. */
    work[0] = re[0] + re[half];
    work[half] = re[half] - re[0];
    for (int k = 1; k < half; k++) {
        const double even_re = re[k] + re[half - k], even_im = im[k] - im[half - k];
        const double apart_re = re[k] - re[half - k], apart_im = im[k] + im[half - k];
        const double odd_re = apart_re * cosine[k] + apart_im * sine[k];
        const double odd_im = apart_im * cosine[k] - apart_re * sine[k];
        work[k] = even_re - odd_im;
        work[half + k] = -(even_im + odd_re);
    }
    const double *z_re = transform(plan, work, work + 2 * half), *z_im = z_re + half;
    for (int i = 0; i < half; i++) {
        sound[2 * i] = z_re[i];
        sound[2 * i + 1] = -z_im[i];
    }
}
