// The C interface: checks what would be undefined behaviour, picks the level, owns the arena.
#include <atomic>
#include <cstdio>
#include <memory>
#include <new>
#include <thread>

#include "arena.hpp"
#include "levels.hpp"
#include "pool.hpp"

namespace small_models {

namespace {

struct Named {
    std::string name;
    size_t first, outputs, stride;
    const float* values;
};

constexpr size_t kMostBatch = 4096, kMostThreads = 64;
constexpr int32_t kLeastShare = 8;  // frames of a thread: for fewer it is not worth waking
constexpr int32_t kTogether = 6;    // frames that a share is a multiple of, so that no kernel has a remainder in the middle of a pass

// Where threads wait for each other, far shorter than a wake-up would take; if one of them has lost its processor, the others lend theirs.
class Meeting {
  public:
    explicit Meeting(int32_t threads) : threads_(threads) {}
    static void wait(void* meeting) { static_cast<Meeting*>(meeting)->wait(); }

  private:
    void wait() {
        const uint32_t round = round_.load(std::memory_order_acquire);
        if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == threads_) {
            arrived_.store(0, std::memory_order_relaxed);
            round_.store(round + 1, std::memory_order_release);
            return;
        }
        for (int looks = 0; round_.load(std::memory_order_acquire) == round; ++looks)
            if (looks > kPatience) std::this_thread::yield();
    }

    static constexpr int kPatience = 5000;  // looks: some ten microseconds
    const int32_t threads_;
    std::atomic<int32_t> arrived_{0};
    std::atomic<uint32_t> round_{0};
};

}  // namespace

}  // namespace small_models

struct sm_engine {
    small_models::Memory memory;
    small_models::Layout layout;
    const small_models::Level* level = nullptr;
    void (*run)(const small_models::Program&, const float*, const small_models::Share&, const uint8_t*) = nullptr;
    small_models::Precision precision{};
    size_t batch = 1, threads = 1, features = 0, outputs = 0;
    std::vector<small_models::Named> models;
    std::unique_ptr<std::atomic<uint8_t>[]> enabled;
};

namespace small_models {

namespace {

sm_status create(const uint8_t* bytes, size_t size, const sm_options& options, std::unique_ptr<sm_engine>& made) {
    const size_t batch = options.batch ? options.batch : 1, threads = options.threads ? options.threads : 1;
    if (batch > kMostBatch || threads > kMostThreads) return SM_BAD_ARGUMENT;
    Packed packed;
    // A copy when the caller's bytes are not aligned for floats.
    std::vector<uint64_t> aligned;
    if (reinterpret_cast<uintptr_t>(bytes) % 8) {
        aligned.resize((size + 7) / 8);
        std::memcpy(aligned.data(), bytes, size);
        bytes = reinterpret_cast<const uint8_t*>(aligned.data());
    }
    if (const sm_status status = read(bytes, size, packed); status != SM_OK) return status;
    const bool stateful = options.stateful != 0;
    for (const auto& model : packed.models)
        for (const auto& layer : model.layers)
            if (layer.recurrent && stateful && !packed.stateful) return SM_NO_STATE;
    auto engine = std::make_unique<sm_engine>();
    try {
        engine->level = &level_named(options.level ? options.level : "auto");
    } catch (const std::invalid_argument&) {
        return SM_NO_LEVEL;
    }
    const Target target{engine->level, stateful, batch, threads};
    Cursor counted(nullptr);
    lay_out(counted, packed, target);
    if (!engine->memory.allocate((counted.used() + 4095) / 4096 * 4096)) return SM_NO_MEMORY;
    Cursor filled(engine->memory.data());
    engine->layout = lay_out(filled, packed, target);
    engine->precision = packed.precision;
    engine->run = engine->level->run[static_cast<int>(packed.precision)];
    engine->batch = batch;
    engine->threads = threads;
    engine->features = packed.features;
    engine->enabled = std::make_unique<std::atomic<uint8_t>[]>(packed.models.size());
    for (size_t m = 0; m < packed.models.size(); ++m) {
        const size_t outputs = packed.models[m].outputs();
        engine->models.push_back({packed.models[m].name, engine->outputs, outputs, static_cast<size_t>(engine->layout.program.models[m].output_stride),
                                  engine->layout.program.models[m].output});
        engine->outputs += outputs;
        engine->enabled[m].store(1, std::memory_order_relaxed);
    }
    // One frame here, so that no page of code or data is met for the first time on a real-time thread.
    const std::vector<float> features(engine->features);
    std::vector<float> outputs(engine->outputs);
    sm_run(engine.get(), features.data(), 1, features.size(), outputs.data(), outputs.size());
    sm_reset(engine.get());
    made = std::move(engine);
    return SM_OK;
}

// What one thread does of a call: pass after pass, its frames of each.
struct Call {
    const sm_engine& engine;
    const float* features;
    size_t frames;
    float* outputs;
    const uint8_t* enabled;
    int32_t threads;
    Meeting& meeting;

    void operator()(int32_t thread) const {
        for (size_t first = 0; first < frames; first += engine.batch) {
            if (first && threads > 1) Meeting::wait(&meeting);  // a shorter pass is shared otherwise: its rows may still be somebody else's
            const auto count = static_cast<int32_t>(std::min(engine.batch, frames - first));
            const auto until = [&](int32_t number) { return number == threads ? count : count * number / threads / kTogether * kTogether; };
            const Share share{count, until(thread), until(thread + 1), thread, threads, &Meeting::wait, &meeting};
            engine.run(engine.layout.program, features + first * engine.features, share, enabled);
            for (int32_t n = share.first; n < share.last; ++n)
                for (const Named& model : engine.models)
                    std::memcpy(outputs + (first + static_cast<size_t>(n)) * engine.outputs + model.first,
                                model.values + static_cast<size_t>(n) * model.stride, model.outputs * sizeof(float));
        }
    }
};

bool finite(const float* values, size_t count) {
    float sick = 0;  // a sum of zeros, unless a value is not finite; sixteen sums go into vectors
    float sums[16] = {};
    size_t i = 0;
    for (; i + 16 <= count; i += 16)
        for (size_t l = 0; l < 16; ++l) sums[l] += values[i + l] * 0.0f;
    for (; i < count; ++i) sick += values[i] * 0.0f;
    for (const float sum : sums) sick += sum;
    return sick == 0.0f;
}

}  // namespace

}  // namespace small_models

using namespace small_models;

extern "C" {

sm_status sm_create(const void* bytes, size_t size, const sm_options* options, sm_engine** engine) {
    if (!bytes || !engine) return SM_BAD_ARGUMENT;
    *engine = nullptr;
    try {
        std::unique_ptr<sm_engine> made;
        const sm_status status = create(static_cast<const uint8_t*>(bytes), size, options ? *options : sm_options{}, made);
        *engine = made.release();
        return status;
    } catch (const std::bad_alloc&) {
        return SM_NO_MEMORY;
    }
}

sm_status sm_open(const char* path, const sm_options* options, sm_engine** engine) {
    if (!path || !engine) return SM_BAD_ARGUMENT;
    *engine = nullptr;
    std::FILE* file = std::fopen(path, "rb");
    if (!file) return SM_CANNOT_READ;
    sm_status status = SM_OK;
    try {
        std::vector<uint8_t> bytes;
        uint8_t block[1 << 14];
        for (size_t count; (count = std::fread(block, 1, sizeof block, file)) > 0;) bytes.insert(bytes.end(), block, block + count);
        status = std::ferror(file) ? SM_CANNOT_READ : sm_create(bytes.data() ? bytes.data() : block, bytes.size(), options, engine);
    } catch (const std::bad_alloc&) {
        status = SM_NO_MEMORY;
    }
    std::fclose(file);
    return status;
}

void sm_destroy(sm_engine* engine) { delete engine; }

sm_status sm_run(sm_engine* engine, const float* features, size_t frames, size_t feature_count, float* outputs, size_t output_count) {
    if (!engine || !features || !outputs || feature_count != engine->features || output_count != engine->outputs) return SM_BAD_ARGUMENT;
    for (size_t n = 0; n < frames; ++n)
        if (!finite(features + n * feature_count, feature_count)) return SM_NOT_FINITE;
    uint8_t enabled[64];
    for (size_t m = 0; m < engine->models.size(); ++m) enabled[m] = engine->enabled[m].load(std::memory_order_relaxed);
    const auto worth = static_cast<int32_t>(std::min(engine->batch, frames)) / kLeastShare;
    const int32_t threads = std::max(1, std::min(static_cast<int32_t>(engine->threads), worth));
    Meeting meeting(threads);
    const Call call{*engine, features, frames, outputs, enabled, threads, meeting};
    if (threads == 1) {
        call(0);
    } else {
        try {
            in_threads(threads, threads, [&call](int thread) { call(thread); });
        } catch (const std::exception&) {
            return SM_NO_MEMORY;  // for threads
        }
    }
    return SM_OK;
}

sm_status sm_step(sm_engine* engine, const float* features, size_t feature_count, float* outputs, size_t output_count) {
    return sm_run(engine, features, 1, feature_count, outputs, output_count);
}

void sm_reset(sm_engine* engine) {
    if (engine && engine->layout.state_bytes) std::memset(engine->layout.state, 0, engine->layout.state_bytes);
}

sm_status sm_enable(sm_engine* engine, size_t model, int enabled) {
    if (!engine || model >= engine->models.size()) return SM_BAD_ARGUMENT;
    engine->enabled[model].store(enabled != 0, std::memory_order_relaxed);
    return SM_OK;
}

int sm_enabled(const sm_engine* engine, size_t model) {
    return engine && model < engine->models.size() && engine->enabled[model].load(std::memory_order_relaxed);
}

size_t sm_features(const sm_engine* engine) { return engine ? engine->features : 0; }
size_t sm_outputs(const sm_engine* engine) { return engine ? engine->outputs : 0; }
size_t sm_models(const sm_engine* engine) { return engine ? engine->models.size() : 0; }
const char* sm_model_name(const sm_engine* engine, size_t model) {
    return engine && model < engine->models.size() ? engine->models[model].name.c_str() : nullptr;
}
size_t sm_model_first(const sm_engine* engine, size_t model) { return engine && model < engine->models.size() ? engine->models[model].first : 0; }
size_t sm_model_outputs(const sm_engine* engine, size_t model) {
    return engine && model < engine->models.size() ? engine->models[model].outputs : 0;
}
sm_precision sm_engine_precision(const sm_engine* engine) { return engine ? static_cast<sm_precision>(engine->precision) : SM_FLOAT32; }
const char* sm_level(const sm_engine* engine) { return engine ? engine->level->name : ""; }
size_t sm_arena_bytes(const sm_engine* engine) { return engine ? engine->memory.size() : 0; }
size_t sm_weight_bytes(const sm_engine* engine) { return engine ? engine->layout.weight_bytes : 0; }

uint64_t sm_read(const sm_engine* engine) {
    if (!engine) return 0;
    const uint8_t* const first = engine->layout.program.models[0].layers[0].stream;
    return engine->level->read(first, static_cast<int64_t>(engine->memory.size()) - (first - engine->memory.data()));
}

const char* sm_message(sm_status status) {
    switch (status) {
        case SM_OK: return "no error";
        case SM_BAD_ARGUMENT: return "expected pointers that are not null, widths of sm_features and sm_outputs, and a model below sm_models";
        case SM_NOT_FINITE: return "expected finite features, found NaN or infinity";
        case SM_CANNOT_READ: return "the file cannot be opened or read";
        case SM_NOT_PACKED: return "expected a packed file of small models, which starts with SMALLMDL";
        case SM_OTHER_VERSION: return "the file was packed by another version; pack the weights again";
        case SM_CORRUPT: return "the file is truncated or changed: its contents differ from its checksum or description; pack the weights again";
        case SM_NO_STATE: return "stateful was asked for, but the file was saved without recurrent weights; save it with stateful=True";
        case SM_NO_LEVEL: return "that dispatch level is not compiled in, or this processor cannot run it";
        case SM_NO_MEMORY: return "not enough memory";
    }
    return "unknown status";
}

}  // extern "C"
