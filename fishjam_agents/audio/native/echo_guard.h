/* The echo guard of one microphone in plain C, the twin of `audio/echo.py`: what it does is explained there.

   No Python in here, and nothing allocates. Every operation is done in the order of the class in Python, so
   that both give the same numbers to the last bit. */

#ifndef FISHJAM_ECHO_GUARD_H
#define FISHJAM_ECHO_GUARD_H

#include <stdbool.h>
#include <stdint.h>

#define ECHO_BANDS 5
#define ECHO_LAGS 26
/* Delays that are searched, in frames. */
#define ECHO_COLUMNS (ECHO_BANDS + 1)
/* Columns of a window: the bands, and the voice band. */
#define ECHO_NO_DELAY (-1)

/* Moments of the levels at each delay (`echo_levels.LevelCorrelation`). */
struct echo_levels {
    double frames[ECHO_LAGS];
    double microphone[ECHO_LAGS], voice[ECHO_LAGS];
    double microphone_power[ECHO_LAGS], voice_power[ECHO_LAGS];
    double product[ECHO_LAGS];
};

/* The same at one delay, over 0.4 s (`echo_levels.FastCorrelation`). */
struct echo_fast_levels {
    double microphone, voice, power, variance, covariance;
};

struct echo_guard {
    int delay; /* Frames by which the echo follows the voice, or ECHO_NO_DELAY. */
    double gain[ECHO_BANDS];
    double margin;
    int64_t frames;
    int skipped, every, learned, absent, rest;
    bool lively, known, cold;
    double loudest;
    struct echo_levels slow;
    struct echo_fast_levels fast;
    double trail[ECHO_BANDS];
    double bound[ECHO_LAGS];
};

enum echo_expectation {
    ECHO_NONE,
    ECHO_LEVEL, /* Only its level is known. */
    ECHO_POWERS /* Its power in each band is, too. */
};

void echo_guard_init(struct echo_guard *, double margin);

/* Frames of the bot's voice that told nothing yet; 0 once it is known whether there is an echo. */
int64_t echo_guard_untold(const struct echo_guard *);

/* Whether the next frame need not be looked at; to be asked once for each. */
bool echo_guard_take_skip(struct echo_guard *, bool suspected);

void echo_guard_suspect(struct echo_guard *);

/* An echo was recognised: so many seconds later than the voice, and by `gain` dB louder. */
void echo_guard_learn(struct echo_guard *, double seconds, const double gain[ECHO_BANDS]);

/* Take a frame: its powers, shares of full scale, its level, dBFS, and what has played, dBFS, the oldest row
   first. What is not told of the echo stays as it was. */
enum echo_expectation echo_guard_expect(struct echo_guard *, const double bands[ECHO_BANDS], double level,
                                        const double window[ECHO_LAGS][ECHO_COLUMNS],
                                        double expected[ECHO_BANDS], double *expected_level);

#endif
