/* What the preloaded library counts for each thread. The audio thread switches it on around the callback alone. */
#ifndef HARNESS_REALTIME_WATCH_H
#define HARNESS_REALTIME_WATCH_H

#include <stdint.h>

typedef struct {
    int armed;
    uint64_t allocations; /* calls of malloc and its family, free included: it takes the same locks */
    uint64_t locks;       /* calls that take or wait for a lock, whether or not they had to wait */
} harness_watch;

typedef harness_watch *(*harness_watch_of_thread)(void);

#endif
