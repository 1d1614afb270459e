/* Noise in one microphone: its level, and its floor in each band (`noise.py`). */

#include "detector.h"

#include <math.h>
#include <string.h>

#define FRAME_SECONDS (1.0 / 50)
#define RATE (FRAME_SECONDS / 0.7)
#define RATE_IN_SPEECH (FRAME_SECONDS / 20)
#define SILENCE -100.0
#define FIRST_SPREAD 2.0
#define LEAST_SPREAD 1.0
#define MOST_DEVIATION 12.0

static void strays(struct noise_level *noise, double spread)
{
    noise->spread = spread;
    noise->range = NOISE_GATE + (spread > LEAST_SPREAD ? spread : LEAST_SPREAD);
}

void noise_level_init(struct noise_level *noise)
{
    noise->mean = SILENCE;
    noise->run_length = 0;
    noise->above = true;
    strays(noise, FIRST_SPREAD);
}

/* A level out of range; returns whether the noise has changed, or begun to. */
static enum noise_change apart(struct noise_level *noise, double level, bool above)
{
    double *run = noise->run;
    if (above != noise->above) {
        noise->run_length = 0;
        noise->above = above;
    }
    /* In order: the lower half is the noise, whoever begins to speak meanwhile is in the upper one. */
    int place = noise->run_length++;
    for (; place > 0 && run[place - 1] > level; place--)
        run[place] = run[place - 1];
    run[place] = level;
    if (noise->run_length < NOISE_CHANGE_FRAMES)
        return noise->run_length == 1 ? NOISE_CHANGE_BEGUN : NOISE_UNCHANGED;
    double sum = 0.0;
    for (int i = 0; i < NOISE_CHANGE_FRAMES / 2; i++)
        sum += run[i];
    noise->mean = sum / (NOISE_CHANGE_FRAMES / 2);
    strays(noise, FIRST_SPREAD);
    noise->run_length = 0;
    return NOISE_CHANGED;
}

enum noise_change noise_level_learn(struct noise_level *noise, double level, bool in_speech, bool echo)
{
    const double distance = level - noise->mean;
    if (in_speech || echo) {
        if (distance < 0)
            noise->mean += RATE * distance;
        else if (!echo)
            noise->mean += RATE_IN_SPEECH * distance;
        noise->run_length = 0;
        return NOISE_UNCHANGED;
    }
    const double far = distance < 0 ? -distance : distance;
    enum noise_change change = NOISE_UNCHANGED;
    if (far >= noise->range) {
        change = apart(noise, level, distance > 0);
        if (change == NOISE_CHANGED)
            return change;
    } else {
        noise->run_length = 0;
    }
    noise->mean += RATE * distance;
    double deviation = 1.25 * far;
    if (deviation > MOST_DEVIATION)
        deviation = MOST_DEVIATION;
    strays(noise, noise->spread + RATE * (deviation - noise->spread));
    return change;
}

#define FLOOR_FACTOR 1.6
#define FLOOR_BLOCK 10

void noise_floors_init(struct noise_floors *floors)
{
    memset(floors, 0, sizeof *floors);
    for (int band = 0; band < BANDS; band++)
        floors->lowest[band] = INFINITY;
}

static void close_block(struct noise_floors *floors)
{
    memcpy(floors->blocks[floors->block], floors->lowest, sizeof floors->lowest);
    floors->block = (floors->block + 1) % FLOOR_BLOCKS;
    floors->frames = 0;
    for (int band = 0; band < BANDS; band++) {
        double least = floors->blocks[0][band];
        for (int block = 1; block < FLOOR_BLOCKS; block++)
            if (floors->blocks[block][band] < least)
                least = floors->blocks[block][band];
        floors->held[band] = least;
        floors->lowest[band] = INFINITY;
    }
}

void noise_floors_above(struct noise_floors *floors, double above[BANDS], const double powers[BANDS], const double *echo)
{
    for (int band = 0; band < BANDS; band++) {
        const double power = powers[band], before = floors->smoothed[band];
        const double smoothed = before < SILENCE_POWER ? power : 0.5 * (before + power);
        floors->smoothed[band] = smoothed;
        if (smoothed < floors->lowest[band])
            floors->lowest[band] = smoothed;
        if (smoothed < floors->recent[band])
            floors->recent[band] = smoothed;
        const double lowest = floors->held[band] < floors->lowest[band] ? floors->held[band] : floors->lowest[band];
        double floor = FLOOR_FACTOR * lowest;
        if (floor < SILENCE_POWER)
            floor = SILENCE_POWER;
        if (echo != NULL && floor < echo[band])
            floor = echo[band];
        above[band] = 0.0;
        if (power > floor) {
            const double distance = 10 * log10(power / floor);
            above[band] = distance < 20.0 ? distance : 20.0;
        }
    }
    if (++floors->frames == FLOOR_BLOCK)
        close_block(floors);
}

void noise_floors_begin_change(struct noise_floors *floors)
{
    memcpy(floors->recent, floors->smoothed, sizeof floors->recent);
}

void noise_floors_change(struct noise_floors *floors)
{
    memcpy(floors->lowest, floors->recent, sizeof floors->lowest);
    for (int band = 0; band < BANDS; band++) {
        floors->held[band] = INFINITY;
        for (int block = 0; block < FLOOR_BLOCKS; block++)
            floors->blocks[block][band] = INFINITY;
    }
    floors->frames = 0;
}
