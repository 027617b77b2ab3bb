/* The interface that the RTNeural peer calls, over a plain evaluator of RTNeural JSON in double precision.

   Defects that a test asks for: -DVERSION=2 (another interface), -DWITHOUT_RUN (a function is missing), -DFAILS=3 (running fails). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef VERSION
#define VERSION 1
#endif

enum { LAYERS = 8, MODELS = 5, WIDEST = 1024 };

typedef struct {
    int recurrent, inputs, outputs;
    char activation[16];
    double *kernel, *recurrence, *bias, *hidden, *cell; /* kernel (inputs, gates), recurrence (outputs, gates) */
} Layer;

typedef struct {
    int inputs, outputs, count;
    Layer layers[LAYERS];
} Model;

typedef struct {
    int count;
    Model models[MODELS];
} Handle;

/* The text behind the next `key`, which the caller knows is there. */
static const char *after(const char *text, const char *key) {
    const char *found = text ? strstr(text, key) : NULL;
    return found ? found + strlen(key) : NULL;
}

/* The last number of a shape such as [null, null, 128]. */
static int last(const char *text) {
    const char *end = strchr(text, ']');
    while (end > text && end[-1] >= '0' && end[-1] <= '9') end--;
    return atoi(end);
}

static double *numbers(const char **text, int count) {
    double *values = malloc(sizeof(double) * (size_t)count);
    for (int i = 0; i < count; i++) {
        char *end;
        *text += strspn(*text, "[], \n");
        values[i] = strtod(*text, &end);
        *text = end;
    }
    return values;
}

static int parse(Model *model, const char *text) {
    text = after(text, "\"in_shape\":");
    if (!text) return 0;
    int inputs = model->inputs = last(text);
    while ((text = after(text, "\"type\":"))) {
        Layer *layer = &model->layers[model->count++];
        layer->recurrent = strncmp(text + strspn(text, " \""), "lstm", 4) == 0;
        text = after(text, "\"activation\":");
        sscanf(text + strspn(text, " \""), "%15[a-z]", layer->activation);
        text = after(text, "\"shape\":");
        layer->inputs = inputs;
        inputs = layer->outputs = last(text);
        text = after(text, "\"weights\":");
        int gates = layer->outputs * (layer->recurrent ? 4 : 1);
        layer->kernel = numbers(&text, layer->inputs * gates);
        layer->recurrence = layer->recurrent ? numbers(&text, layer->outputs * gates) : NULL;
        layer->bias = numbers(&text, gates);
        layer->hidden = calloc((size_t)layer->outputs, sizeof(double));
        layer->cell = calloc((size_t)layer->outputs, sizeof(double));
    }
    model->outputs = inputs;
    return model->count > 0;
}

static double sigmoid(double x) { return 1.0 / (1.0 + exp(-x)); }

static void activate(double *x, int count, const char *name) {
    double sum = 0.0;
    for (int i = 0; i < count; i++) {
        if (!strcmp(name, "tanh")) x[i] = tanh(x[i]);
        if (!strcmp(name, "relu")) x[i] = x[i] > 0.0 ? x[i] : 0.0;
        if (!strcmp(name, "sigmoid")) x[i] = sigmoid(x[i]);
        if (!strcmp(name, "softmax")) sum += x[i] = exp(x[i]);
    }
    for (int i = 0; i < count && !strcmp(name, "softmax"); i++) x[i] /= sum;
}

static void step(Layer *layer, const double *x, double *y) {
    int width = layer->outputs, gates = layer->recurrent ? 4 * width : width;
    double sums[4 * WIDEST];
    for (int g = 0; g < gates; g++) {
        sums[g] = layer->bias[g];
        for (int i = 0; i < layer->inputs; i++) sums[g] += x[i] * layer->kernel[i * gates + g];
        for (int i = 0; layer->recurrent && i < width; i++) sums[g] += layer->hidden[i] * layer->recurrence[i * gates + g];
    }
    if (layer->recurrent)
        for (int i = 0; i < width; i++) { /* gates in torch's order: input, forget, cell, output */
            layer->cell[i] = sigmoid(sums[width + i]) * layer->cell[i] + sigmoid(sums[i]) * tanh(sums[2 * width + i]);
            y[i] = layer->hidden[i] = sigmoid(sums[3 * width + i]) * tanh(layer->cell[i]);
        }
    else {
        memcpy(y, sums, sizeof(double) * (size_t)width);
        activate(y, width, layer->activation);
    }
}

static void forward(Model *model, const float *features, float *outputs, int fresh) {
    double values[2][WIDEST];
    for (int i = 0; i < model->inputs; i++) values[0][i] = features[i];
    for (int n = 0; n < model->count; n++) {
        Layer *layer = &model->layers[n];
        if (fresh) memset(layer->hidden, 0, sizeof(double) * (size_t)layer->outputs);
        if (fresh) memset(layer->cell, 0, sizeof(double) * (size_t)layer->outputs);
        step(layer, values[n % 2], values[(n + 1) % 2]);
    }
    for (int i = 0; i < model->outputs; i++) outputs[i] = (float)values[model->count % 2][i];
}

int rtneural_interface(void) { return VERSION; }

const char *rtneural_backend(void) { return "plain C"; }

void rtneural_close(void *handle) {
    Handle *all = handle;
    for (int m = 0; m < all->count; m++)
        for (int n = 0; n < all->models[m].count; n++) {
            Layer *layer = &all->models[m].layers[n];
            free(layer->kernel), free(layer->recurrence), free(layer->bias), free(layer->hidden), free(layer->cell);
        }
    free(all);
}

void *rtneural_open(const char *const *paths, int models, char *error, int error_size) {
    Handle *handle = calloc(1, sizeof(Handle));
    for (handle->count = 0; handle->count < models; handle->count++) {
        FILE *file = fopen(paths[handle->count], "rb");
        char *text = calloc(1, 32 << 20);
        int good = file && fread(text, 1, (32 << 20) - 1, file) > 0 && parse(&handle->models[handle->count], text);
        if (file) fclose(file);
        free(text);
        if (good) continue;
        snprintf(error, (size_t)error_size, "no model in %s", paths[handle->count]);
        rtneural_close(handle);
        return NULL;
    }
    return handle;
}

#ifndef WITHOUT_RUN
int rtneural_run(void *handle, const float *features, float *outputs, int frames, int stateful) {
#ifdef FAILS
    return FAILS;
#endif
    Handle *all = handle;
    float *at[MODELS], mixed[128];
    for (int m = 0; m < all->count; m++) at[m] = m ? at[m - 1] + frames * all->models[m - 1].outputs : outputs;
    for (int f = 0; f < frames; f++, features += all->models[0].inputs)
        for (int m = 0; m < all->count; m++) {
            float *emotion = at[0] + f * all->models[0].outputs;
            if (m == 2) memcpy(mixed, emotion, 64 * sizeof(float)), memcpy(mixed + 64, features, 64 * sizeof(float));
            const float *x = m == 0 ? features : m == 2 ? mixed : emotion;
            forward(&all->models[m], x, at[m] + f * all->models[m].outputs, f == 0 || !stateful);
        }
    return 0;
}
#endif
