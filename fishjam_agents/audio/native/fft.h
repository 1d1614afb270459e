/* Fourier transforms of real sounds, in double precision.

   No Python in here. Plans are made once and kept for as long as the program runs: whoever makes them holds
   the interpreter's lock. */

#ifndef FISHJAM_FFT_H
#define FISHJAM_FFT_H

#define FFT_LONGEST 8192

struct fft;

/* What transforms `size` real samples: a power of two, or three times one, from 64 to FFT_LONGEST. NULL for any
   other size, and where there is no memory. */
const struct fft *fft_plan(int size);

/* Transform: `re` and `im` get the bins 0 to size / 2. `work` has room for 2 * size numbers. */
void fft_forward(const struct fft *, const double *sound, double *re, double *im, double *work);

/* The way back from bins, which are overwritten: `size` times the sound. */
void fft_backward(const struct fft *, double *re, double *im, double *sound, double *work);

#endif
