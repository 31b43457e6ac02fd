/* src/net/single.h - floating-point numbers of 32 bits as a file holds them. */
#ifndef NET_SINGLE_H
#define NET_SINGLE_H

#include <stdint.h>
#include <string.h>

static inline double onnx_single(uint32_t bits) {
    float f;

    memcpy(&f, &bits, sizeof f);
    return (double)f;
}

#endif
