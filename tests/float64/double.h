/* tests/float64/double.h - included before all else: the network runtime once more, with double in
 * the place of float. Its operators, shapes and plans are the files of src/net as they are, its
 * kernels the plain reference loops: what central differences need. */
#ifndef FLOAT64_DOUBLE_H
#define FLOAT64_DOUBLE_H

#include "net/single.h"

#include <ctype.h>
#include <errno.h>
#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __clang__ /* which has a warning for just this */
#pragma clang diagnostic ignored "-Wkeyword-macro"
#endif
#define float double
#define expf   exp
#define expm1f expm1
#define fabsf  fabs
#define fmodf  fmod
#define logf   log
#define log1pf log1p
#define sqrtf  sqrt
#define tanhf  tanh
#define truncf trunc

#endif
