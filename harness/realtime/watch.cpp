// A library to preload (LD_PRELOAD) into a process whose audio callbacks are watched: it stands before the C library's allocator and
// locks, and counts the calls of threads that are armed. All calls go through to the C library, so nothing else changes.
//
// Seen: malloc, calloc, realloc, free, aligned_alloc, memalign, posix_memalign (and what ends there: operator new, strdup, ...);
// mutexes, read-write locks, spin locks, semaphores, and futexes asked for by syscall() (std::atomic::wait). A condition variable is
// waited for with its mutex held. Not seen: locks inside the C library, and futexes by inline assembly; where those wait, the
// context switch shows.
#include "watch.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>

#define PUBLIC extern "C" __attribute__((visibility("default")))

namespace {

// initial-exec: an access never allocates, so that malloc can look.
__attribute__((tls_model("initial-exec"))) thread_local harness_watch watch = {0, 0, 0};

void allocates() {
    if (watch.armed) ++watch.allocations;
}

void locks() {
    if (watch.armed) ++watch.locks;
}

// The next definition of a symbol. dlsym takes locks itself, on the first call of each function: before it is counted.
template <class Function> Function next(Function& known, const char* name) {
    Function found = __atomic_load_n(&known, __ATOMIC_ACQUIRE);
    if (!found) {
        const int armed = watch.armed;
        watch.armed = 0;
        found = reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
        watch.armed = armed;
        __atomic_store_n(&known, found, __ATOMIC_RELEASE);
    }
    return found;
}

}  // namespace

PUBLIC harness_watch* harness_watch_thread(void) { return &watch; }

// glibc's own names of its allocator: no dlsym, which would itself allocate.
extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void __libc_free(void*);
void* __libc_memalign(size_t, size_t);
}

PUBLIC void* malloc(size_t size) {
    allocates();
    return __libc_malloc(size);
}

PUBLIC void* calloc(size_t count, size_t size) {
    allocates();
    return __libc_calloc(count, size);
}

PUBLIC void* realloc(void* old, size_t size) {
    allocates();
    return __libc_realloc(old, size);
}

PUBLIC void free(void* old) {
    if (old) allocates();
    __libc_free(old);
}

PUBLIC void* memalign(size_t alignment, size_t size) {
    allocates();
    return __libc_memalign(alignment, size);
}

PUBLIC void* aligned_alloc(size_t alignment, size_t size) {
    allocates();
    return __libc_memalign(alignment, size);
}

PUBLIC int posix_memalign(void** result, size_t alignment, size_t size) {
    allocates();
    if (alignment % sizeof(void*) != 0 || alignment == 0 || (alignment & (alignment - 1)) != 0) return EINVAL;
    void* found = __libc_memalign(alignment, size);
    if (!found) return ENOMEM;
    *result = found;
    return 0;
}

#define LOCK(name, parameters, arguments)                  \
    PUBLIC int name parameters noexcept {                  \
        static int(*known) parameters noexcept = nullptr;  \
        locks();                                           \
        return next(known, #name) arguments;               \
    }

#define LOCK_THAT_WAITS(name, parameters, arguments)       \
    PUBLIC int name parameters {                           \
        static int(*known) parameters = nullptr;           \
        locks();                                           \
        return next(known, #name) arguments;               \
    }

LOCK(pthread_mutex_lock, (pthread_mutex_t* mutex), (mutex))
LOCK(pthread_mutex_trylock, (pthread_mutex_t* mutex), (mutex))
LOCK(pthread_mutex_timedlock, (pthread_mutex_t* mutex, const timespec* until), (mutex, until))
LOCK(pthread_rwlock_rdlock, (pthread_rwlock_t* lock), (lock))
LOCK(pthread_rwlock_wrlock, (pthread_rwlock_t* lock), (lock))
LOCK(pthread_rwlock_tryrdlock, (pthread_rwlock_t* lock), (lock))
LOCK(pthread_rwlock_trywrlock, (pthread_rwlock_t* lock), (lock))
LOCK(pthread_spin_lock, (pthread_spinlock_t* lock), (lock))
LOCK_THAT_WAITS(sem_wait, (sem_t* semaphore), (semaphore))
LOCK_THAT_WAITS(sem_timedwait, (sem_t* semaphore, const timespec* until), (semaphore, until))

// Six words are what the widest system call takes; those that a call leaves out are ignored.
PUBLIC long syscall(long number, long a, long b, long c, long d, long e, long f) noexcept {
    using Function = long (*)(long, long, long, long, long, long, long) noexcept;
    static Function known = nullptr;
    if (number == SYS_futex) locks();
    return next(known, "syscall")(number, a, b, c, d, e, f);
}
