/* How alike a sound and each stretch of another one are, in plain C: the twin of `echo_match.likeness`. */

#ifndef FISHJAM_LIKENESS_H
#define FISHJAM_LIKENESS_H

#include "fft.h"

/* Longest sound that is searched. */
#define LIKENESS_LONGEST FFT_LONGEST

/* The likeness of `sound` to each stretch of `voice` that is as long, from the first on: `voice_length` -
   `length` + 1 numbers, -1 to 1. 0, or -1 where there is no memory or a length is not to be had. */
int likeness(const double *sound, int length, const double *voice, int voice_length, double *alike);

#endif
