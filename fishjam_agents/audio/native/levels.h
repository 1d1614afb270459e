/* Levels of a voice in each band, in plain C: the twin of `echo_reference.LevelMeter`. */

#ifndef FISHJAM_LEVELS_H
#define FISHJAM_LEVELS_H

#include <stdbool.h>
#include <stdint.h>

#include "fft.h"

#define LEVEL_BANDS 5
#define LEVEL_COLUMNS (LEVEL_BANDS + 1)
/* Columns of a row of levels: the bands, and the voice band. */
#define LEVEL_BINS 128
/* Bins up to the end of the last band. */
#define LEVELS_LONGEST 1536
/* Samples that are transformed at most: 32 ms at 48 kHz. */

struct level_meter {
    const struct fft *plan;
    const double *window;
    int size;                       /* Samples that are transformed: the last ones. */
    int16_t recent[LEVELS_LONGEST]; /* `size` of them. */
};

/* False for a size that is not to be had, or where there is no memory. */
bool level_meter_init(struct level_meter *, int size);

/* Powers of `size` samples in each band, shares of full scale; what was taken has no part in it. */
void level_meter_powers(const struct level_meter *, const int16_t *samples, double powers[LEVEL_BANDS]);

/* Take sound that nobody asks for. */
void level_meter_skip(struct level_meter *, const int16_t *samples, int64_t count);

/* Take sound, and give the levels at its end, dBFS. */
void level_meter_measure(struct level_meter *, const int16_t *samples, int64_t count, double row[LEVEL_COLUMNS]);

#endif
