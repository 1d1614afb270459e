/* Powers in the spectrum of a frame: a Fourier transform of 512 real samples, of which 125 bins are wanted. */

#include "detector.h"

#include <math.h>
#include <string.h>

#define SIZE 512
#define HALF (SIZE / 2)
#define QUARTER (HALF / 4)

static const int BAND_STARTS[BANDS + 1] = {3, 8, 16, 32, 64, BINS};
static const double PI = 3.14159265358979323846;

static float window_even[HALF], window_odd[HALF];
/* Twiddle factors of each pass of the complex transform: cosines and sines of one, two and three angles. */
static float twiddle[3][2][QUARTER];
/* Those that part the two halves of the real one. */
static float split_cos[BINS], split_sin[BINS];

void spectrum_prepare(void)
{
    /* A Hann window, of which 3/8 of the length is the energy; 2 counts the negative frequencies. */
    const double scale = sqrt(2.0 / (SIZE * (0.375 * SIZE))) / 32768.0;
    for (int i = 0; i < HALF; i++) {
        window_even[i] = (float)(scale * (0.5 - 0.5 * cos(2.0 * PI * (2 * i) / SIZE)));
        window_odd[i] = (float)(scale * (0.5 - 0.5 * cos(2.0 * PI * (2 * i + 1) / SIZE)));
    }
    for (int i = 0; i < QUARTER; i++)
        for (int each = 0; each < 3; each++) {
            twiddle[each][0][i] = (float)cos(2.0 * PI * (each + 1) * i / HALF);
            twiddle[each][1][i] = (float)-sin(2.0 * PI * (each + 1) * i / HALF);
        }
    for (int i = 0; i < BINS; i++) {
        split_cos[i] = (float)cos(2.0 * PI * i / SIZE);
        split_sin[i] = (float)-sin(2.0 * PI * i / SIZE);
    }
}

/* One pass of a Stockham transform of radix 4: groups of `stride` values, `count` butterflies apart. */
static inline void pass(float *restrict to_re, float *restrict to_im, const float *restrict re,
                        const float *restrict im, int count, int stride)
{
    for (int p = 0; p < count; p++) {
        const int at = p * stride;
        const float c1 = twiddle[0][0][at], s1 = twiddle[0][1][at];
        const float c2 = twiddle[1][0][at], s2 = twiddle[1][1][at];
        const float c3 = twiddle[2][0][at], s3 = twiddle[2][1][at];
        for (int q = 0; q < stride; q++) {
            const int from = q + at, to = q + 4 * at;
            const float a_re = re[from], a_im = im[from];
            const float b_re = re[from + QUARTER], b_im = im[from + QUARTER];
            const float c_re = re[from + 2 * QUARTER], c_im = im[from + 2 * QUARTER];
            const float d_re = re[from + 3 * QUARTER], d_im = im[from + 3 * QUARTER];
            const float ac_re = a_re + c_re, ac_im = a_im + c_im, a_c_re = a_re - c_re, a_c_im = a_im - c_im;
            const float bd_re = b_re + d_re, bd_im = b_im + d_im;
            /* (b - d) times -i. */
            const float b_d_re = b_im - d_im, b_d_im = d_re - b_re;
            const float y1_re = a_c_re + b_d_re, y1_im = a_c_im + b_d_im;
            const float y2_re = ac_re - bd_re, y2_im = ac_im - bd_im;
            const float y3_re = a_c_re - b_d_re, y3_im = a_c_im - b_d_im;
            to_re[to] = ac_re + bd_re;
            to_im[to] = ac_im + bd_im;
            to_re[to + stride] = y1_re * c1 - y1_im * s1;
            to_im[to + stride] = y1_re * s1 + y1_im * c1;
            to_re[to + 2 * stride] = y2_re * c2 - y2_im * s2;
            to_im[to + 2 * stride] = y2_re * s2 + y2_im * c2;
            to_re[to + 3 * stride] = y3_re * c3 - y3_im * s3;
            to_im[to + 3 * stride] = y3_re * s3 + y3_im * c3;
        }
    }
}

void spectrum_of(struct spectrum *spectrum, const int16_t sound[2 * FRAME_SAMPLES])
{
    const int16_t *recent = sound + 2 * FRAME_SAMPLES - SIZE;
    float re[HALF], im[HALF], other_re[HALF], other_im[HALF];
    /* Two neighbours are one complex sample. */
    for (int i = 0; i < HALF; i++) {
        re[i] = (float)recent[2 * i] * window_even[i];
        im[i] = (float)recent[2 * i + 1] * window_odd[i];
    }
    pass(other_re, other_im, re, im, 64, 1);
    pass(re, im, other_re, other_im, 16, 4);
    pass(other_re, other_im, re, im, 4, 16);
    pass(re, im, other_re, other_im, 1, 64);
    for (int k = BAND_STARTS[0]; k < BINS; k++) {
        const float even_re = re[k] + re[HALF - k], even_im = im[k] - im[HALF - k];
        const float odd_re = im[k] + im[HALF - k], odd_im = re[HALF - k] - re[k];
        const float at_re = even_re + odd_re * split_cos[k] - odd_im * split_sin[k];
        const float at_im = even_im + odd_re * split_sin[k] + odd_im * split_cos[k];
        spectrum->powers[k] = 0.25f * (at_re * at_re + at_im * at_im);
    }
    for (int band = 0; band < BANDS; band++) {
        double sum = 0.0;
        for (int k = BAND_STARTS[band]; k < BAND_STARTS[band + 1]; k++)
            sum += spectrum->powers[k];
        spectrum->bands[band] = sum;
    }
    const double *bands = spectrum->bands;
    spectrum->level = 10 * log10(bands[1] + bands[2] + bands[3] + SILENCE_POWER);
}
