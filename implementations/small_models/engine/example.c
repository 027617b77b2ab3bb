/* Runs a packed file over raw float32 frames: example MODELS.smm FRAMES.f32 OUTPUTS.f32 [stateful]
 *
 * Build it with any C compiler: cc example.c -I. -L. -lsmall_models -Wl,-rpath,. -o example
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "small_models.h"

static int fail(const char* what, const char* why) {
    fprintf(stderr, "%s: %s\n", what, why);
    return 1;
}

int main(int count, char** arguments) {
    if (count < 4) return fail(arguments[0], "expected MODELS.smm FRAMES.f32 OUTPUTS.f32 [stateful]");
    sm_options options = {0};
    options.stateful = count > 4 && strcmp(arguments[4], "stateful") == 0;
    sm_engine* engine = NULL;
    sm_status status = sm_open(arguments[1], &options, &engine);
    if (status != SM_OK) return fail(arguments[1], sm_message(status));

    FILE* in = fopen(arguments[2], "rb");
    FILE* out = fopen(arguments[3], "wb");
    float* features = malloc(sm_features(engine) * sizeof(float));
    float* outputs = malloc(sm_outputs(engine) * sizeof(float));
    size_t frames = 0;
    if (!in || !out || !features || !outputs) return fail(arguments[2], "cannot open the files");
    while (fread(features, sizeof(float), sm_features(engine), in) == sm_features(engine)) {
        /* This call is what a real-time thread does: no allocation, no lock, no system call. */
        status = sm_step(engine, features, sm_features(engine), outputs, sm_outputs(engine));
        if (status != SM_OK) return fail(arguments[2], sm_message(status));
        fwrite(outputs, sizeof(float), sm_outputs(engine), out);
        ++frames;
    }
    for (size_t m = 0; m < sm_models(engine); ++m)
        printf("%s: outputs %zu to %zu\n", sm_model_name(engine, m), sm_model_first(engine, m), sm_model_first(engine, m) + sm_model_outputs(engine, m));
    printf("%zu frames, level %s, %zu bytes\n", frames, sm_level(engine), sm_arena_bytes(engine));
    fclose(in);
    if (fclose(out) != 0) return fail(arguments[3], "cannot write");
    free(features);
    free(outputs);
    sm_destroy(engine);
    return 0;
}
