/* Pitch: the highest normalised autocorrelation at 70 to 400 Hz. Whole numbers, exact in doubles (`pitch.py`). */

#include "detector.h"

#include <math.h>

#define FOLD 4
#define FOLDED (2 * FRAME_SAMPLES / FOLD)
#define FIRST_LAG 10
#define LAGS 48
#define CORRELATED 102

static const double LEAST_ENERGIES = 1e-9 * 32768.0 * 32768.0 * 32768.0 * 32768.0;

#define TOGETHER 8

void correlate(double *sums, const double *other, const double *signal, int length, int lags)
{
    int lag = 0;
    /* So many sums at a time as stay in registers. */
    for (; lag + TOGETHER <= lags; lag += TOGETHER) {
        double some[TOGETHER] = {0.0};
        for (int i = 0; i < length; i++)
            for (int each = 0; each < TOGETHER; each++)
                some[each] += signal[i] * other[i + lag + each];
        for (int each = 0; each < TOGETHER; each++)
            sums[lag + each] = some[each];
    }
    for (; lag < lags; lag++) {
        double sum = 0.0;
        for (int i = 0; i < length; i++)
            sum += signal[i] * other[i + lag];
        sums[lag] = sum;
    }
}

double pitch_strength(const int16_t sound[2 * FRAME_SAMPLES])
{
    double sloped[FOLDED - 1], energy[FOLDED], products[LAGS];
    int before = sound[0] + sound[1] + sound[2] + sound[3];
    energy[0] = 0.0;
    for (int i = 1; i < FOLDED; i++) {
        const int16_t *four = sound + FOLD * i;
        const int folded = four[0] + four[1] + four[2] + four[3];
        const double slope = folded - before;
        before = folded;
        sloped[i - 1] = slope;
        energy[i] = energy[i - 1] + slope * slope;
    }
    const double *recent = sloped + FOLDED - 1 - CORRELATED;
    correlate(products, recent - FIRST_LAG - LAGS + 1, recent, CORRELATED, LAGS);
    const double of_recent = energy[FOLDED - 1] - energy[FOLDED - 1 - CORRELATED];
    double strength = 0.0;
    for (int i = 0; i < LAGS; i++) {
        const double of_shifted = energy[i + CORRELATED] - energy[i];
        const double found = products[i] / sqrt(of_shifted * of_recent + LEAST_ENERGIES);
        strength = found > strength ? found : strength;
    }
    return strength;
}
