/* Levels of a voice in each band: see `audio/echo_reference.py`, and `audio/bands.py` for spectra. */

#include "levels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SILENCE_POWER 1e-10

static const int BAND_STARTS[LEVEL_BANDS + 1] = {3, 8, 16, 32, 64, LEVEL_BINS};
static const double PI = 3.14159265358979323846;

enum { WINDOWS = 16 };
static struct {
    int size;
    double *values;
} windows[WINDOWS];

/* A Hann window whose spectrum has powers as shares of full scale: one for each size, kept as plans are. */
static const double *hann_window(int size)
{
    int at = 0;
    while (windows[at].size != 0 && windows[at].size != size)
        at++;
    if (windows[at].size == size)
        return windows[at].values;
    double *values = malloc(sizeof(double) * (size_t)size);
    if (values == NULL)
        return NULL;
    /* 3/8 of its length is the energy of the window; 2 counts the negative frequencies. */
    const double scale = sqrt(2.0 / (size * (0.375 * size))) / 32768.0;
    for (int i = 0; i < size; i++)
        values[i] = scale * (0.5 - 0.5 * cos(2 * PI * i / size));
    windows[at].values = values;
    windows[at].size = size;
    return values;
}

bool level_meter_init(struct level_meter *meter, int size)
{
    memset(meter, 0, sizeof *meter);
    if (size < 2 * LEVEL_BINS || size > LEVELS_LONGEST)
        return false;
    meter->size = size;
    meter->plan = fft_plan(size);
    meter->window = meter->plan == NULL ? NULL : hann_window(size);
    return meter->window != NULL;
}

void level_meter_powers(const struct level_meter *meter, const int16_t *samples, double powers[LEVEL_BANDS])
{
    double sound[LEVELS_LONGEST], work[2 * LEVELS_LONGEST];
    double re[LEVELS_LONGEST / 2 + 1], im[LEVELS_LONGEST / 2 + 1];
    for (int i = 0; i < meter->size; i++)
        sound[i] = samples[i] * meter->window[i];
    fft_forward(meter->plan, sound, re, im, work);
    for (int band = 0; band < LEVEL_BANDS; band++) {
        powers[band] = 0.0;
        for (int k = BAND_STARTS[band]; k < BAND_STARTS[band + 1]; k++)
            powers[band] += re[k] * re[k] + im[k] * im[k];
    }
}

void level_meter_skip(struct level_meter *meter, const int16_t *samples, int64_t count)
{
    const int size = meter->size;
    const int fresh = count < size ? (int)count : size;
    if (fresh == 0)
        return;
    memmove(meter->recent, meter->recent + fresh, sizeof(int16_t) * (size_t)(size - fresh));
    memcpy(meter->recent + size - fresh, samples + count - fresh, sizeof(int16_t) * (size_t)fresh);
}

void level_meter_measure(struct level_meter *meter, const int16_t *samples, int64_t count, double row[LEVEL_COLUMNS])
{
    level_meter_skip(meter, samples, count);
    level_meter_powers(meter, meter->recent, row);
    row[LEVEL_BANDS] = row[1] + row[2] + row[3];
    for (int column = 0; column < LEVEL_COLUMNS; column++)
        row[column] = 10 * log10(row[column] > SILENCE_POWER ? row[column] : SILENCE_POWER);
}
