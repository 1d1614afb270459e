/* The detector: how much does this frame sound like somebody speaking here? (`vad.py`) */

#include "detector.h"

#include <string.h>

#define WEBRTC_WEIGHT 2.2
#define SNR_WEIGHT -0.6
#define PITCH_WEIGHT 8.2
#define LEVEL_RATE 0.05
#define FRAME_BYTES (FRAME_SAMPLES * sizeof(int16_t))

void detector_restart(struct detector *detector)
{
    noise_floors_init(&detector->floors);
    noise_level_init(&detector->noise);
    tones_rest(&detector->tones);
    detector->heard = detector->voiced = detector->echo = false;
    detector->oldest = 0;
    memset(detector->past, 0, sizeof detector->past);
}

void detector_take(struct detector *detector, struct sound *sound, const int16_t frame[FRAME_SAMPLES], bool in_speech)
{
    if (detector->heard) {
        /* The previous frame counts as noise, or not, now that its fate is known. */
        switch (noise_level_learn(&detector->noise, detector->level, in_speech, detector->echo)) {
        case NOISE_UNCHANGED:
            break;
        case NOISE_CHANGE_BEGUN:
            noise_floors_begin_change(&detector->floors);
            break;
        case NOISE_CHANGED:
            noise_floors_change(&detector->floors);
            detector->voiced = false;
            break;
        }
    }
    const int newest = (detector->oldest + TONE_FRAMES - 1) % TONE_FRAMES;
    memcpy(sound->samples, detector->past[newest], FRAME_BYTES);
    memcpy(sound->samples + FRAME_SAMPLES, frame, FRAME_BYTES);
    memcpy(detector->past[detector->oldest], frame, FRAME_BYTES);
    detector->oldest = (detector->oldest + 1) % TONE_FRAMES;
    spectrum_of(&sound->spectrum, sound->samples);
}

static bool is_tone(struct detector *detector, const struct spectrum *spectrum)
{
    if (tones_begin(&detector->tones)) {
        int16_t past[TONE_FRAMES * FRAME_SAMPLES];
        const int older = TONE_FRAMES - detector->oldest;
        memcpy(past, detector->past[detector->oldest], older * FRAME_BYTES);
        memcpy(past + older * FRAME_SAMPLES, detector->past[0], detector->oldest * FRAME_BYTES);
        tones_measure(&detector->tones, past);
    }
    return tones_judge(&detector->tones, spectrum);
}

/* The score without its pitch, and the share of that which counts: 0 where it need not be looked for. */
static double weigh(struct detector *detector, const struct spectrum *spectrum, bool webrtc, bool accumulating,
                    const struct expected_echo *echo, double *voice)
{
    double above[BANDS], snr = 0.0;
    noise_floors_above(&detector->floors, above, spectrum->bands,
                       echo != NULL && echo->has_bands ? echo->bands : NULL);
    for (int band = 0; band < BANDS; band++)
        snr += above[band];
    double share = (above[1] + above[2] + above[3]) / 30;
    if (share > 1.0)
        share = 1.0;
    double score = detector->bias + SNR_WEIGHT * (snr / 50);
    if (webrtc)
        score += WEBRTC_WEIGHT;
    const bool gated = spectrum->level <= detector->noise.mean + NOISE_GATE;
    *voice = score + PITCH_WEIGHT * share > -3.0 && (accumulating || !gated) ? share : 0.0;
    return score;
}

struct decision detector_decide(struct detector *detector, const struct sound *sound, bool webrtc, bool accumulating,
                                const struct expected_echo *echo)
{
    const struct spectrum *spectrum = &sound->spectrum;
    double voice, z;
    detector->echo = echo != NULL;
    z = weigh(detector, spectrum, webrtc, accumulating, echo, &voice);
    if (voice != 0.0)
        z += PITCH_WEIGHT * pitch_strength(sound->samples) * voice;
    if (z <= 0)
        tones_rest(&detector->tones);
    else if (is_tone(detector, spectrum))
        z = -1.0;

    const double level = spectrum->level, noise = detector->noise.mean;
    const bool echoing = echo != NULL && level < echo->level;
    detector->level = level;
    detector->heard = true;
    double score = z < -3.0 ? -3.0 : z < 3.0 ? z : 3.0;
    if (score > -1.0 && (level < noise + detector->noise.range || echoing))
        score = -1.0;
    const bool voiced = score > 0.0;
    if (voiced) {
        detector->voiced_level =
            detector->voiced ? detector->voiced_level + LEVEL_RATE * (level - detector->voiced_level) : level;
        detector->voiced = true;
    }
    return (struct decision){
        .score = score,
        .voiced = voiced,
        .tail = z > -1.5 && level > noise + NOISE_GATE && !echoing,
        .level = level,
        .noise = noise,
        .snr = detector->voiced ? detector->voiced_level - noise : 0.0,
    };
}
