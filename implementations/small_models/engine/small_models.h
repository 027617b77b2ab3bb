/* The native engine of small real-time models, for C and C++.
 *
 *     sm_engine* engine = NULL;
 *     sm_status status = sm_open("models.smm", NULL, &engine);
 *     if (status != SM_OK) { fputs(sm_message(status), stderr); return 1; }
 *     sm_step(engine, features, sm_features(engine), outputs, sm_outputs(engine));
 *     sm_destroy(engine);
 *
 * After creation nothing allocates, locks, throws or calls the system: sm_step, sm_run, sm_reset and sm_enable are safe on a real-time
 * thread; only an sm_run that shares its frames among threads wakes these first, with a lock. One engine serves one thread at a time; sm_enable and the questions may come from any
 * other. The packed file is written by `implementations.small_models.native.save`.
 */
#ifndef SMALL_MODELS_H
#define SMALL_MODELS_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define SM_API
#else
#define SM_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define SM_VERSION 2 /* of the packed file */

typedef struct sm_engine sm_engine;

typedef enum {
    SM_OK = 0,
    SM_BAD_ARGUMENT,   /* a null pointer, a width that is not the engine's, a model that is not there */
    SM_NOT_FINITE,     /* a feature is NaN or infinite: outputs and state are left as they were */
    SM_CANNOT_READ,    /* the file cannot be opened or read */
    SM_NOT_PACKED,     /* it does not start as a packed file */
    SM_OTHER_VERSION,  /* packed by another version */
    SM_CORRUPT,        /* truncated, changed, or describing what cannot be */
    SM_NO_STATE,       /* stateful was asked of a file saved without recurrent weights */
    SM_NO_LEVEL,       /* the level asked for is not compiled in, or cannot run here */
    SM_NO_MEMORY
} sm_status;

typedef enum { SM_FLOAT32 = 0, SM_BFLOAT16 = 1, SM_FLOAT16 = 2, SM_INT8 = 3, SM_INT24 = 4 } sm_precision;

typedef struct {
    int stateful;      /* not 0: LSTMs keep their state from one frame to the next */
    size_t batch;      /* frames computed per pass over the weights, 1 to 4096; 0 is 1 */
    const char* level; /* "avx512", "avx2", ..., "baseline"; NULL is the fastest that can run here */
    size_t threads;    /* that sm_run shares many frames of a pass among, 1 to 64, the caller's included; 0 is 1 */
} sm_options;

/* Makes an engine of a packed file, or of its bytes in memory, which may be freed afterwards. options: NULL is stateless, one frame, fastest. */
SM_API sm_status sm_open(const char* path, const sm_options* options, sm_engine** engine);
SM_API sm_status sm_create(const void* bytes, size_t size, const sm_options* options, sm_engine** engine);
SM_API void sm_destroy(sm_engine* engine);

/* One frame: `features` in, the outputs of all models one after another out. */
SM_API sm_status sm_step(sm_engine* engine, const float* features, size_t feature_count, float* outputs, size_t output_count);
/* Several frames, (frames, features) in and (frames, outputs) out. Stateful: in order, going on from the state of the last call. */
SM_API sm_status sm_run(sm_engine* engine, const float* features, size_t frames, size_t feature_count, float* outputs, size_t output_count);
/* All state to zero, as after creation. */
SM_API void sm_reset(sm_engine* engine);

/* A model that is switched off costs nothing; its outputs are zeros, and so is what it feeds to others. Its state is kept. */
SM_API sm_status sm_enable(sm_engine* engine, size_t model, int enabled);
SM_API int sm_enabled(const sm_engine* engine, size_t model);

SM_API size_t sm_features(const sm_engine* engine);
SM_API size_t sm_outputs(const sm_engine* engine);
SM_API size_t sm_models(const sm_engine* engine);
SM_API const char* sm_model_name(const sm_engine* engine, size_t model);  /* NULL beyond the last model */
SM_API size_t sm_model_first(const sm_engine* engine, size_t model);      /* where its outputs start */
SM_API size_t sm_model_outputs(const sm_engine* engine, size_t model);
SM_API sm_precision sm_engine_precision(const sm_engine* engine);
SM_API const char* sm_level(const sm_engine* engine);
SM_API size_t sm_arena_bytes(const sm_engine* engine);  /* the one allocation: weights, state, scratch */
SM_API size_t sm_weight_bytes(const sm_engine* engine); /* what one pass reads of it: weights, scales, biases */

/* Reads what one pass reads, and does nothing with it: how far a pass is from the least it can take. The sum is of no use. */
SM_API uint64_t sm_read(const sm_engine* engine);

SM_API const char* sm_message(sm_status status); /* what was expected, in one line; never NULL */

#ifdef __cplusplus
}
#endif

#endif
