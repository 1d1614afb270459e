/* Following the echo in one microphone: see `audio/echo.py`, step for step. */

#include "echo_guard.h"

#include <math.h>
#include <string.h>

/* Constants of `echo.py` and `echo_levels.py`, under the names that they have there. */
#define FRAME_SECONDS 0.02
#define SILENCE_POWER 1e-10
static const double RATE = FRAME_SECONDS / 3.0;
static const double FAST_RATE = FRAME_SECONDS / 0.4;
static const double LEAST_MICROPHONE = -70.0, LEAST_REFERENCE = -60.0;
static const double COLD_MARGIN = -3.0, BOUND_MARGIN = 6.0;
static const double LIVELY = 8.0, LOUD = 20.0, FADING = 0.02;
static const double SURE = 0.7, UNLIKELY = 0.6, FOUND = 0.5, LOST = 0.2, DOMINANT = 0.6;
static const double LEAST_VARIANCE = 9.0;
static const double LEARNING_STEPS[2] = {-0.5, 2.0}, STEPS[2] = {-0.05, 0.15};
static const double LEAST_GAIN = -50.0, MOST_GAIN = 6.0;
static const double REVERBERATION = 2.0, AUDIBLE = -65.0, ABSENT = 10.0;
enum {
    UNREADY = 2,
    SEARCH_FRAMES = 25,
    SEARCH_EVERY = 5,
    COLD_FRAMES = 50,
    STALE_FRAMES = 75,
    GIVE_UP_FRAMES = 150,
    WATCH_FRAMES = 50,
    REST_FRAMES = 150,
    LEARNING_FRAMES = 100,
    ABSENT_FRAMES = 25,
    VOICE = ECHO_BANDS
};

static inline double least(double one, double other) { return other < one ? other : one; }
static inline double most(double one, double other) { return other > one ? other : one; }

static double most_of(const double *values)
{
    double found = values[0];
    for (int lag = 1; lag < ECHO_LAGS; lag++)
        found = most(found, values[lag]);
    return found;
}

static double least_of(const double *values, int first)
{
    double found = values[first];
    for (int lag = first + 1; lag < ECHO_LAGS; lag++)
        found = least(found, values[lag]);
    return found;
}

/* Correlation of levels. */

static void take_levels(struct echo_levels *moments, double microphone, const double voice[ECHO_LAGS],
                        double loud_above, double rate)
{
    for (int lag = 0; lag < ECHO_LAGS; lag++) {
        const bool loud = voice[lag] > loud_above;
        moments->frames[lag] += loud;
        const double weight = most(1.0 / most(moments->frames[lag], 1.0), rate) * loud;
        const double apart = microphone - moments->microphone[lag];
        const double difference = voice[lag] - moments->voice[lag];
        const double step = weight * apart, voice_step = weight * difference;
        const double keep = 1.0 - weight;
        moments->microphone[lag] += step;
        moments->voice[lag] += voice_step;
        moments->product[lag] = (moments->product[lag] + step * difference) * keep;
        moments->microphone_power[lag] = (moments->microphone_power[lag] + step * apart) * keep;
        moments->voice_power[lag] = (moments->voice_power[lag] + voice_step * difference) * keep;
    }
}

/* Correlation at one delay; 0 where there is not yet enough to tell. */
static double coefficient(const struct echo_levels *moments, int lag)
{
    if (moments->frames[lag] < SEARCH_FRAMES)
        return 0.0;
    return moments->product[lag] / sqrt(moments->voice_power[lag] * moments->microphone_power[lag] + 1e-9);
}

static double take_fast_levels(struct echo_fast_levels *moments, double microphone, double voice)
{
    const double apart = microphone - moments->microphone, difference = voice - moments->voice;
    const double keep = 1 - FAST_RATE;
    moments->microphone += FAST_RATE * apart;
    moments->voice += FAST_RATE * difference;
    moments->power = keep * (moments->power + FAST_RATE * apart * apart);
    moments->variance = keep * (moments->variance + FAST_RATE * difference * difference);
    moments->covariance = keep * (moments->covariance + FAST_RATE * apart * difference);
    return moments->covariance / sqrt(moments->power * moments->variance + 1e-9);
}

/* The guard. */

static void forget_levels(struct echo_guard *guard) { memset(&guard->slow, 0, sizeof guard->slow); }

static void forget_bound(struct echo_guard *guard)
{
    for (int lag = 0; lag < ECHO_LAGS; lag++)
        guard->bound[lag] = INFINITY;
}

void echo_guard_init(struct echo_guard *guard, double margin)
{
    memset(guard, 0, sizeof *guard);
    guard->delay = ECHO_NO_DELAY;
    guard->margin = margin;
    guard->every = 1;
    guard->cold = true;
    guard->loudest = LEAST_REFERENCE;
    guard->fast.microphone = guard->fast.voice = LEAST_MICROPHONE;
    for (int band = 0; band < ECHO_BANDS; band++)
        guard->trail[band] = -100.0;
    forget_bound(guard);
}

int64_t echo_guard_untold(const struct echo_guard *guard)
{
    return guard->cold && guard->delay == ECHO_NO_DELAY ? guard->frames : 0;
}

bool echo_guard_take_skip(struct echo_guard *guard, bool suspected)
{
    if (suspected)
        guard->rest = 0;
    if (!guard->rest)
        return false;
    guard->rest--;
    return true;
}

void echo_guard_suspect(struct echo_guard *guard)
{
    if (most_of(guard->slow.frames) > STALE_FRAMES) {
        forget_levels(guard);
        guard->rest = 0;
    }
}

void echo_guard_learn(struct echo_guard *guard, double seconds, const double gain[ECHO_BANDS])
{
    /* To even, as Python rounds; what is no number becomes 0. */
    const int delay = seconds > 0 ? (int)least(rint(seconds / FRAME_SECONDS), ECHO_LAGS - 1) : 0;
    const bool same = guard->delay != ECHO_NO_DELAY && delay - guard->delay <= 1 && guard->delay - delay <= 1;
    for (int band = 0; band < ECHO_BANDS; band++) {
        const double each = least(most(gain[band], LEAST_GAIN), MOST_GAIN);
        /* Somebody may speak over it, whom fast learning would take for echo. */
        guard->gain[band] = same ? most(guard->gain[band], each) : each;
    }
    if (same)
        return;
    guard->delay = delay;
    guard->known = true;
    guard->cold = false;
    guard->learned = guard->rest = guard->absent = 0;
    forget_levels(guard);
}

/* Whether levels are compared in this frame. */
static bool begin(struct echo_guard *guard)
{
    guard->every = guard->delay == ECHO_NO_DELAY && guard->frames <= GIVE_UP_FRAMES ? 1 : 2;
    if (++guard->skipped < guard->every)
        return false;
    guard->skipped = 0;
    return true;
}

static void search(struct echo_guard *guard)
{
    const struct echo_levels *slow = &guard->slow;
    double coefficients[ECHO_LAGS];
    int best = 0;
    for (int lag = 0; lag < ECHO_LAGS; lag++) {
        coefficients[lag] = coefficient(slow, lag);
        if (coefficients[lag] > coefficients[best])
            best = lag;
    }
    const double highest = coefficients[best];
    const bool lively = slow->microphone_power[best] > LEAST_VARIANCE;
    const bool fresh = most_of(slow->frames) <= STALE_FRAMES;
    if (lively && highest > (guard->delay == ECHO_NO_DELAY || fresh ? SURE : FOUND)) {
        if (!guard->known) {
            guard->known = true;
            for (int band = 0; band < ECHO_BANDS; band++)
                guard->gain[band] = least(0.0, slow->microphone[best] - slow->voice[best]);
        }
        guard->delay = best;
    } else if (guard->delay != ECHO_NO_DELAY && coefficients[guard->delay] < LOST && !fresh) {
        guard->delay = ECHO_NO_DELAY;
    }
    if (guard->delay == ECHO_NO_DELAY && guard->frames > GIVE_UP_FRAMES && guard->frames % WATCH_FRAMES < 2)
        guard->rest = fresh || highest > FOUND ? 0 : REST_FRAMES;
    const bool judged = lively && least_of(slow->frames, 0) >= SEARCH_FRAMES;
    guard->cold = guard->cold && !guard->known && !(judged && highest < UNLIKELY);
}

/* `voice` is what played, the newest first. */
static void compare(struct echo_guard *guard, double level, const double voice[ECHO_LAGS])
{
    const double loudest = most(most_of(voice), LEAST_REFERENCE);
    guard->lively = loudest - most(least_of(voice, UNREADY), LEAST_REFERENCE) > LIVELY;
    if (!guard->lively)
        return;
    if (guard->delay == ECHO_NO_DELAY && loudest > guard->loudest + LOUD) {
        /* No echo of a background says nothing of the voice's. */
        guard->cold = true;
        guard->frames = 0;
        forget_levels(guard);
        forget_bound(guard);
    }
    const int every = guard->every;
    guard->frames += every;
    guard->loudest = most(loudest, guard->loudest - every * FADING);
    double audible[ECHO_LAGS];
    for (int lag = 0; lag < ECHO_LAGS; lag++)
        audible[lag] = most(voice[lag], LEAST_REFERENCE);
    take_levels(&guard->slow, most(level, LEAST_MICROPHONE), audible, guard->loudest - LOUD, every * RATE);
    if (guard->frames >= SEARCH_FRAMES && guard->frames % SEARCH_EVERY < every)
        search(guard);
}

/* The level of an echo of which nothing is known but that it was never louder than the microphone. */
static double at_most(struct echo_guard *guard, double microphone, const double voice[ECHO_LAGS])
{
    const double loud = most(guard->loudest - LOUD, LEAST_REFERENCE);
    double level = -INFINITY;
    for (int lag = 0; lag < ECHO_LAGS; lag++) {
        const double newer = voice[lag ? lag - 1 : 0], older = voice[lag < ECHO_LAGS - 1 ? lag + 1 : lag];
        const double near = most(most(newer, voice[lag]), older);
        const double far = least(least(newer, voice[lag]), older);
        level = most(level, near + least(guard->bound[lag] + BOUND_MARGIN, COLD_MARGIN));
        if (far > loud)
            guard->bound[lag] = least(guard->bound[lag], microphone - far);
    }
    return level;
}

/* Forget an echo that does not come although the bot's voice is loud. */
static void miss(struct echo_guard *guard, double microphone, double voice)
{
    if (voice < most(guard->loudest - LOUD, LEAST_REFERENCE))
        return;
    const double *gain = guard->gain;
    const double expected = voice + (gain[1] + gain[2] + gain[3]) / 3;
    if (microphone < expected - ABSENT)
        guard->absent++;
    else
        guard->absent = guard->absent > 2 ? guard->absent - 2 : 0;
    if (guard->absent >= ABSENT_FRAMES) {
        guard->delay = ECHO_NO_DELAY;
        guard->known = false;
        guard->absent = 0;
        forget_levels(guard);
    }
}

/* The echo at the delay that is known; false where nothing of it can be heard. */
static bool predict(struct echo_guard *guard, const double bands[ECHO_BANDS], double microphone,
                    const double window[ECHO_LAGS][ECHO_COLUMNS], double expected[ECHO_BANDS], double *level)
{
    const int here = ECHO_LAGS - 1 - guard->delay;
    const double *around[3] = {window[here ? here - 1 : 0], window[here],
                               window[here < ECHO_LAGS - 1 ? here + 1 : here]};
    const double voice_here = window[here][VOICE];
    const bool learns =
        take_fast_levels(&guard->fast, microphone, most(voice_here, LEAST_REFERENCE)) > DOMINANT && guard->lively;
    const double *steps = guard->learned < LEARNING_FRAMES ? LEARNING_STEPS : STEPS;
    if (learns && guard->learned < LEARNING_FRAMES)
        guard->learned++;
    for (int band = 0; band < ECHO_BANDS; band++) {
        const double near = most(most(around[0][band], around[1][band]), around[2][band]);
        const double loud = most(guard->trail[band] - REVERBERATION, near);
        guard->trail[band] = loud;
        if (learns) {
            const double gain = guard->gain[band];
            const double step = 10 * log10(most(bands[band], SILENCE_POWER)) - loud - gain;
            guard->gain[band] =
                least(most(gain + least(most(step, steps[0]), steps[1]), LEAST_GAIN), MOST_GAIN);
        }
        expected[band] =
            loud > AUDIBLE ? pow(10.0, (loud + guard->gain[band] + guard->margin) / 10) : 0.0;
    }
    miss(guard, microphone, voice_here);
    const double voice = expected[1] + expected[2] + expected[3];
    if (!(voice > SILENCE_POWER))
        return false;
    *level = 10 * log10(voice);
    return true;
}

enum echo_expectation echo_guard_expect(struct echo_guard *guard, const double bands[ECHO_BANDS], double level,
                                        const double window[ECHO_LAGS][ECHO_COLUMNS],
                                        double expected[ECHO_BANDS], double *expected_level)
{
    double voice[ECHO_LAGS];
    const double microphone = most(level, LEAST_MICROPHONE);
    const bool compares = begin(guard);
    if (compares || guard->delay == ECHO_NO_DELAY)
        for (int lag = 0; lag < ECHO_LAGS; lag++)
            voice[lag] = window[ECHO_LAGS - 1 - lag][VOICE];
    if (compares)
        compare(guard, level, voice);
    if (guard->delay != ECHO_NO_DELAY)
        return predict(guard, bands, microphone, window, expected, expected_level) ? ECHO_POWERS : ECHO_NONE;
    if (!(guard->cold && guard->lively) || guard->frames >= COLD_FRAMES)
        return ECHO_NONE;
    *expected_level = at_most(guard, microphone, voice);
    return ECHO_LEVEL;
}
