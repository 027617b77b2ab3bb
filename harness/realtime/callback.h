/* What the real-time proof asks of an implementation, as C sees it: an audio callback, and the result it last used.
 *
 * The harness calls `callback` on its audio thread, once per block, then `results` on the same thread, and looks at the result itself:
 * is it whole, is it finite, how old is it, was one skipped. Plain C, so that a plugin in any language can give the addresses. */
#ifndef HARNESS_REALTIME_CALLBACK_H
#define HARNESS_REALTIME_CALLBACK_H

#include <stdint.h>

/* One block of mono audio: `frames` samples in, `frames` samples out. It must not allocate, lock, or block. */
typedef void (*harness_callback)(void *state, const float *input, float *output, uint32_t frames);

/* The result that the last callback used; its fields stay as they are until the next callback. */
typedef struct {
    uint64_t sequence;    /* of the piece of audio that it was computed from: 1, 2, 3, ...; 0 while there was none */
    int64_t born_ns;      /* CLOCK_MONOTONIC, when the last sample of that audio had come in */
    uint64_t dropped;     /* pieces of audio that the callback could not hand over, since it was made */
    uint64_t checksum;    /* harness_checksum of the payload, taken where the result was computed */
    const float *payload; /* the values */
    uint32_t values;      /* how many */
    uint32_t flags;       /* why any of the values are a stated fallback, a bit per reason; 0: all are computed */
} harness_result;

typedef const harness_result *(*harness_results)(void *state);

/* FNV-1a over the bits of the values, a word at a time, beginning with the sequence: a payload of two halves does not fit it. */
static inline uint64_t harness_checksum(uint64_t sequence, const float *payload, uint32_t values) {
    uint64_t hash = 14695981039346656037ULL ^ sequence;
    for (uint32_t i = 0; i < values; ++i) {
        uint32_t bits;
        __builtin_memcpy(&bits, payload + i, sizeof bits);
        hash = (hash ^ bits) * 1099511628211ULL;
    }
    return hash;
}

#endif
