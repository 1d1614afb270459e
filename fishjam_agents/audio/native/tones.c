/* Tones of machines: no voices (`tones.py`, which says what each rule is for). */

#include "detector.h"

#include <math.h>
#include <string.h>

#define LOW 9
#define NARROW_LOW 13
#define NARROW_SHARE 0.8
#define NARROW 0.22
#define MAYBE_PURE 0.17
#define PURE_RESIDUE 0.02
#define HARMONIC 1.45
#define NO_FUNDAMENTAL 21
#define LINE 2
#define SUNG_BELOW 32
#define FOLD 4
#define FOLDED (TONE_FRAMES * FRAME_SAMPLES / FOLD)
#define SLOPES (FOLDED - 2)
#define RECENT 160
#define FIRST_LAG 240
#define LAGS 201
#define FIRST_PERIOD 10
#define PERIODS 81
#define STEADY 0.98
#define LIVELY 0.9
#define FEW_LINES 0.15
#define ONE_LINE 0.4
#define ONE_LINE_LOW 6
#define SAME 0.85
#define LEAST 1e-3
#define FIRST_CHECK 6
#define LAST_CHECK 8
#define CHECK_EVERY 4

void tones_rest(struct tones *tones)
{
    tones->narrow = tones->sounding = 0;
    tones->steadiness = 0.0;
    tones->hums = tones->before = false;
}

/* Correlation of the last 40 ms with what was some lags earlier, the longest lag first. */
static void correlation(double *found, const double *slopes, int first_lag, int lags)
{
    double energy[RECENT + LAGS];
    const double *recent = slopes + SLOPES - RECENT, *before = recent - first_lag - lags + 1;
    const int length = RECENT + lags - 1;
    energy[0] = 0.0;
    for (int i = 0; i < length; i++)
        energy[i + 1] = energy[i] + before[i] * before[i];
    double of_recent = 0.0;
    for (int i = 0; i < RECENT; i++)
        of_recent += recent[i] * recent[i];
    correlate(found, before, recent, RECENT, lags);
    for (int i = 0; i < lags; i++)
        found[i] /= sqrt((energy[i + RECENT] - energy[i]) * of_recent + LEAST);
}

static double highest(const double *values, int count)
{
    double most = values[0];
    for (int i = 1; i < count; i++)
        most = values[i] > most ? values[i] : most;
    return most;
}

static bool is_hum(const double *slopes)
{
    static const int mains[] = {33, 34, 40, 66, 67, 80};
    double found[PERIODS];
    correlation(found, slopes, FIRST_PERIOD, PERIODS);
    const double enough = SAME * highest(found, PERIODS);
    /* Where all are below zero none is above the highest's share; the first then counts, as in `argmax`. */
    int shortest = FIRST_PERIOD;
    for (int i = 0; i < PERIODS; i++)
        if (found[PERIODS - 1 - i] > enough) {
            shortest = FIRST_PERIOD + i;
            break;
        }
    for (unsigned i = 0; i < sizeof mains / sizeof *mains; i++)
        if (mains[i] == shortest)
            return true;
    return false;
}

void tones_measure(struct tones *tones, const int16_t past[TONE_FRAMES * FRAME_SAMPLES])
{
    double slopes[SLOPES], found[LAGS];
    int folded[FOLDED];
    for (int i = 0; i < FOLDED; i++) {
        const int16_t *four = past + FOLD * i;
        folded[i] = four[0] + four[1] + four[2] + four[3];
    }
    for (int i = 0; i < SLOPES; i++)
        slopes[i] = folded[i + 2] - folded[i];
    correlation(found, slopes, FIRST_LAG, LAGS);
    tones->steadiness = highest(found, LAGS);
    tones->hums = tones->steadiness > STEADY && is_hum(slopes);
}

static double sum(const float *powers, int first, int end)
{
    double total = 0.0;
    for (int i = first; i < end; i++)
        total += powers[i];
    return total;
}

static double squares(const float *powers, int first, int end)
{
    double total = 0.0;
    for (int i = first; i < end; i++)
        total += (double)powers[i] * powers[i];
    return total;
}

static int loudest(const float *powers, int first, int end)
{
    int most = first;
    for (int i = first + 1; i < end; i++)
        if (powers[i] > powers[most])
            most = i;
    return most;
}

static double line(const float *powers, int peak)
{
    return sum(powers, peak - LINE > LOW ? peak - LINE : LOW, peak + LINE + 1 < BINS ? peak + LINE + 1 : BINS);
}

static bool has_few_lines(double total, const float *powers)
{
    const struct { int low; double lines; } kinds[] = {{ONE_LINE_LOW, ONE_LINE}, {LOW, FEW_LINES}};
    for (int i = 0; i < 2; i++) {
        const double share = sum(powers, kinds[i].low, BINS);
        if (share > 0.9 * total && squares(powers, kinds[i].low, BINS) > kinds[i].lines * share * share)
            return true;
    }
    return false;
}

static bool is_pure(double total, const float *powers, double high)
{
    if (high < (1 - PURE_RESIDUE) * total || squares(powers, LOW, BINS) < MAYBE_PURE * high * high)
        return false;
    const int first = loudest(powers, LOW, BINS);
    const double rest = total - line(powers, first);
    if (rest < PURE_RESIDUE * total)
        return true;
    float others[BINS];
    memcpy(others, powers, sizeof others);
    for (int i = first - LINE > LOW ? first - LINE : LOW; i <= first + LINE && i < BINS; i++)
        others[i] = 0.0f;
    const int second = loudest(others, LOW, BINS);
    const int low = first < second ? first : second, high_line = first < second ? second : first;
    const bool apart = high_line > HARMONIC * low && low < NO_FUNDAMENTAL;
    return !apart && rest - line(others, second) < PURE_RESIDUE * total;
}

static bool is_tone(struct tones *tones, double total, const float *powers, double high, double above)
{
    if (tones->steadiness > STEADY && has_few_lines(total, powers))
        return true;
    const bool narrow = above > NARROW_SHARE * total && squares(powers, NARROW_LOW, BINS) > NARROW * above * above;
    tones->narrow = narrow ? tones->narrow + 1 : 0;
    if (tones->narrow < 2 && !is_pure(total, powers, high))
        return false;
    const bool lively = tones->steadiness < LIVELY && tones->sounding >= LAST_CHECK;
    return !(lively && loudest(powers, LOW, BINS) < SUNG_BELOW);
}

bool tones_begin(struct tones *tones)
{
    const int sounding = ++tones->sounding;
    return sounding == FIRST_CHECK || sounding == LAST_CHECK || (sounding > LAST_CHECK && sounding % CHECK_EVERY == 0);
}

bool tones_judge(struct tones *tones, const struct spectrum *spectrum)
{
    if (tones->hums)
        return true;
    const float *powers = spectrum->powers;
    double total = 0.0;
    for (int band = 0; band < BANDS; band++)
        total += spectrum->bands[band];
    const bool tone = is_tone(tones, total, powers, sum(powers, LOW, BINS), sum(powers, NARROW_LOW, BINS));
    /* The end of a beep in the middle of a frame is neither narrow nor pure. */
    const bool ended = tones->before && !tone && tones->sounding < FIRST_CHECK;
    tones->before = tone;
    return tone || ended;
}
