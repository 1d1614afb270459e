/* Correlation of a sound with stretches of another: see `audio/echo_match.py`. */

#include "likeness.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Constants of `echo_match.py`, under the names that they have there. */
static const double EMPHASIS = 0.9, LEAST_ENERGY = 0.02;

static double energy(const double *sound, int length)
{
    double sum = 0.0;
    for (int i = 0; i < length; i++)
        sum += sound[i] * sound[i];
    return sum;
}

/* Add to `alike` half of the coefficients that covariances are of, with the energies of `sound` and `voice`;
   `running` has room for one number more than `voice` is long. */
static void add_coefficients(double *alike, const double *covariances, const double *sound, int length,
                             const double *voice, int voice_length, double *running)
{
    const int count = voice_length - length + 1;
    double highest = 0.0;
    running[0] = 0.0;
    for (int i = 0; i < voice_length; i++)
        running[i + 1] = running[i] + voice[i] * voice[i];
    for (int k = 0; k < count; k++) {
        running[k] = running[k + length] - running[k];
        highest = running[k] > highest ? running[k] : highest;
    }
    const double of_sound = energy(sound, length), least = LEAST_ENERGY * highest;
    for (int k = 0; k < count; k++)
        alike[k] += 0.5 * (covariances[k] / sqrt(of_sound * (running[k] > least ? running[k] : least) + 1e-9));
}

/* `from` without its low tones, one sample shorter; it may be in its own place. */
static void emphasise(double *to, const double *from, int length)
{
    for (int i = 0; i + 1 < length; i++)
        to[i] = from[i + 1] - EMPHASIS * from[i];
}

int likeness(const double *sound, int length, const double *voice, int voice_length, double *alike)
{
    const int count = voice_length - length + 1;
    if (length < 2 || count < 1 || voice_length > LIKENESS_LONGEST)
        return -1;
    /* Around the end of `voice` comes its beginning again, in no product that is looked at. */
    int size = 64;
    while (size < voice_length)
        size = size % 3 == 0 ? size / 3 * 4 : size / 2 * 3;
    const struct fft *plan = fft_plan(size);
    const int bins = size / 2 + 1;
    double *memory = plan == NULL ? NULL : malloc(sizeof(double) * (size_t)(4 * size + 4 * bins + 2));
    if (memory == NULL)
        return -1;
    /* Sounds, padded; then of each other's correlation; and a place to work in. */
    double *padded = memory, *covariances = padded + size;
    double *work = covariances + size;
    double *re = work + 2 * size, *im = re + bins, *other_re = im + bins, *other_im = other_re + bins;
    memcpy(padded, voice, sizeof(double) * (size_t)voice_length);
    memset(padded + voice_length, 0, sizeof(double) * (size_t)(size - voice_length));
    fft_forward(plan, padded, re, im, work);
    memcpy(covariances, sound, sizeof(double) * (size_t)length);
    memset(covariances + length, 0, sizeof(double) * (size_t)(size - length));
    fft_forward(plan, covariances, other_re, other_im, work);
    for (int k = 0; k < bins; k++) {
        /* Of one and the conjugate of the other, divided by what the way back multiplies by. */
        const double product_re = (re[k] * other_re[k] + im[k] * other_im[k]) / size;
        im[k] = (im[k] * other_re[k] - re[k] * other_im[k]) / size;
        re[k] = product_re;
    }
    fft_backward(plan, re, im, covariances, work);
    memset(alike, 0, sizeof(double) * (size_t)count);
    add_coefficients(alike, covariances, sound, length, voice, voice_length, work);
    /* The same of both without their low tones. What is one sample apart in either is known, too: those at the
       ends of a stretch, which have no neighbour in it, are taken out. */
    double before = covariances[size - 1] - sound[0] * padded[size - 1];
    for (int k = 0; k < count; k++) {
        const double here = covariances[k], after = covariances[(k + 1) % size];
        const double last = sound[length - 1];
        const double later = here - sound[0] * padded[k];
        const double earlier = here - last * padded[k + length - 1];
        const double forward = after - last * padded[(k + length) % size];
        covariances[k] = later + EMPHASIS * EMPHASIS * earlier - EMPHASIS * (before + forward);
        before = later;
    }
    emphasise(padded, padded, voice_length);
    double *emphasised = work + size;
    emphasise(emphasised, sound, length);
    add_coefficients(alike, covariances, emphasised, length - 1, padded, voice_length - 1, work);
    free(memory);
    return 0;
}
