/* Voice detection of one microphone in plain C, the twin of `audio/vad.py`: what it computes is explained there.

   No Python in here. Nothing allocates; what is worked on lies on the stack. */

#ifndef FISHJAM_DETECTOR_H
#define FISHJAM_DETECTOR_H

#include <stdbool.h>
#include <stdint.h>

#define FRAME_SAMPLES 320
/* 20 ms at 16 kHz. */
#define BANDS 5
#define BINS 128
/* Bins of 31.25 Hz that are looked at: up to 4 kHz. */
#define SILENCE_POWER 1e-10

/* Spectrum of the last 32 ms (`bands.py`). */

struct spectrum {
    float powers[BINS];    /* Of each bin; those below the first band are not computed. */
    double bands[BANDS];   /* Sums of them. */
    double level;          /* Of the voice band, dBFS. */
};

void spectrum_prepare(void); /* Once, before anything else. */
void spectrum_of(struct spectrum *, const int16_t sound[2 * FRAME_SAMPLES]);

/* Periodicity of 40 ms between 70 and 400 Hz, 0 to 1 (`pitch.py`). */
double pitch_strength(const int16_t sound[2 * FRAME_SAMPLES]);

/* Sums of products at `lags` lags, as `numpy.correlate(other, signal, "valid")` gives them. */
void correlate(double *sums, const double *other, const double *signal, int length, int lags);

/* Noise (`noise.py`). */

#define FLOOR_BLOCKS 8
#define NOISE_CHANGE_FRAMES 8
#define NOISE_GATE 3.0

enum noise_change { NOISE_UNCHANGED, NOISE_CHANGE_BEGUN, NOISE_CHANGED };

struct noise_level {
    double mean, spread, range;
    double run[NOISE_CHANGE_FRAMES];
    int run_length;
    bool above;
};

void noise_level_init(struct noise_level *);
enum noise_change noise_level_learn(struct noise_level *, double level, bool in_speech, bool echo);

struct noise_floors {
    double smoothed[BANDS], lowest[BANDS], held[BANDS], recent[BANDS];
    double blocks[FLOOR_BLOCKS][BANDS];
    int block, frames;
};

void noise_floors_init(struct noise_floors *);
/* `echo` is NULL where none is known. */
void noise_floors_above(struct noise_floors *, double above[BANDS], const double powers[BANDS], const double *echo);
void noise_floors_begin_change(struct noise_floors *);
void noise_floors_change(struct noise_floors *);

/* Tones of machines (`tones.py`). */

#define TONE_FRAMES 8

struct tones {
    int narrow, sounding;
    double steadiness;
    bool hums, before;
};

void tones_rest(struct tones *);
/* A frame that may be a voice, in three steps: whether its steadiness is to be measured, that from the last
   160 ms, and the judgement. */
bool tones_begin(struct tones *);
void tones_measure(struct tones *, const int16_t past[TONE_FRAMES * FRAME_SAMPLES]);
bool tones_judge(struct tones *, const struct spectrum *);

/* The detector. */

struct detector {
    double bias;
    struct noise_floors floors;
    struct noise_level noise;
    struct tones tones;
    double level;          /* Of the last frame; only where `heard`. */
    double voiced_level;   /* Only where `voiced`. */
    bool heard, voiced;
    bool echo;             /* An echo was expected in the last frame. */
    int oldest;            /* Frame of `past` that the next one takes the place of. */
    int16_t past[TONE_FRAMES][FRAME_SAMPLES];
};

struct expected_echo {
    bool has_bands;
    double bands[BANDS];
    double level;
};

struct decision {
    double score, level, noise, snr;
    bool voiced, tail;
};

/* The frame that is being judged, after the one before it. */
struct sound {
    int16_t samples[2 * FRAME_SAMPLES];
    struct spectrum spectrum;
};

void detector_restart(struct detector *);
/* A frame in two steps; between them its echo is asked for, with its spectrum. */
void detector_take(struct detector *, struct sound *, const int16_t frame[FRAME_SAMPLES], bool in_speech);
struct decision detector_decide(struct detector *, const struct sound *, bool webrtc, bool accumulating,
                                const struct expected_echo *echo);

#endif
