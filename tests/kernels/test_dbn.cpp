// The decoders against a Viterbi over all states of the bar, with the same sums in the same order: equal paths, equal bits.
#include "by_level.hpp"
#include "check.hpp"
#include "decoder.hpp"

namespace dbn {
TABLE_BY_LEVEL(exact_kernel, ExactKernel, exact)
TABLE_BY_LEVEL(fixed_kernel, FixedKernel, fixed)
}  // namespace dbn

namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();

// A bar of some beats at all tempi between two lengths of a beat; tempi change at a cost.
struct Bar {
    int beats, tempi;
    std::vector<int32_t> intervals, heads, sources;
    std::vector<double> transitions;
    dbn::Model model{};

    Bar(int beats, int shortest, int longest, double change) : beats(beats), tempi(longest - shortest + 1) {
        for (int i = shortest; i <= longest; ++i) intervals.push_back(i);
        for (int beat = 0; beat < beats; ++beat)
            for (int interval : intervals) heads.push_back((interval + 15) / 16 + (beat == 0 && interval > shortest + 2));
        int states = 0;
        for (int from : intervals) {
            states += beats * from;
            for (int to : intervals) {
                const double cost = -change * std::fabs(static_cast<double>(to) / from - 1);
                transitions.push_back(cost > -6 ? cost : kNever);
            }
        }
        for (int to = 0; to < tempi; ++to) {
            int first = 0, end = tempi;
            while (transitions[first * tempi + to] == kNever) ++first;
            while (transitions[(end - 1) * tempi + to] == kNever) --end;
            sources.insert(sources.end(), {first, end});
        }
        model = {beats, tempi, shortest, longest, intervals.data(), heads.data(), transitions.data(), sources.data(), -std::log(states)};
    }
    Bar(const Bar&) = delete;
};

// Log densities of no beat, beat and downbeat, each between zeros; as a network would see a slowly changing tempo, or all alike.
struct Song {
    std::vector<double> columns[3];
    dbn::Densities densities{};

    Song(const Bar& bar, int64_t frames, bool tied) {
        const int64_t padding = bar.model.longest + dbn::EXACT_BLOCK;
        check::Random random(9);
        for (auto& column : columns) column.assign(static_cast<size_t>(frames + 2 * padding), 0.0);
        double phase = 0;
        for (int64_t t = 0; t < frames; ++t) {
            phase += 1 / (bar.model.shortest * 1.3 + 0.2 * bar.model.shortest * std::sin(static_cast<double>(t) / 150));
            const double near = std::exp(-40 * std::pow(phase - std::round(phase), 2)), noise = 0.02 + 0.02 * random();
            const bool down = static_cast<int64_t>(std::round(phase)) % bar.beats == 0;
            const double beat = tied ? 0.1 : noise + (down ? 0.1 : 0.8) * near, downbeat = tied ? 0.1 : noise + (down ? 0.8 : 0.05) * near;
            const auto at = static_cast<size_t>(padding + t);
            columns[0][at] = std::log(std::max(1e-3, 1 - beat - downbeat) / 15), columns[1][at] = std::log(beat), columns[2][at] = std::log(downbeat);
        }
        densities.frames = frames;
        for (int c = 0; c < 3; ++c) densities.by_class[c] = columns[c].data() + padding;
    }
    Song(const Song&) = delete;
};

// Every state of every frame, one after another.
dbn::Decoded viterbi(const dbn::Model& model, const dbn::Densities& densities) {
    struct Place {
        int beat, tempo, position;
    };
    std::vector<Place> places;
    std::vector<int> first;  // state of each chain's start
    for (int beat = 0; beat < model.beats; ++beat)
        for (int tempo = 0; tempo < model.tempi; ++tempo) {
            first.push_back(static_cast<int>(places.size()));
            for (int position = 0; position < model.intervals[tempo]; ++position) places.push_back({beat, tempo, position});
        }
    std::vector<double> score(places.size(), model.log_initial), next(places.size());
    std::vector<std::vector<int>> before;
    for (int64_t t = 0; t < densities.frames; ++t) {
        before.emplace_back(places.size());
        for (size_t s = 0; s < places.size(); ++s) {
            const auto [beat, tempo, position] = places[s];
            const int chain = beat * model.tempi + tempo;
            const double density = (position < model.heads[chain] ? densities.head(beat) : densities.by_class[0])[t];
            if (position > 0) {
                next[s] = score[s - 1] + density;
                before.back()[s] = static_cast<int>(s) - 1;
                continue;
            }
            next[s] = kNever;
            for (int source = 0; source < model.tempi; ++source) {
                const int last = first[dbn::beat_before(model, beat) * model.tempi + source] + model.intervals[source] - 1;
                const double candidate = score[last] + model.log_transitions[source * model.tempi + tempo] + density;
                if (candidate > next[s]) next[s] = candidate, before.back()[s] = last;
            }
        }
        score.swap(next);
    }
    auto state = static_cast<size_t>(std::max_element(score.begin(), score.end()) - score.begin());
    dbn::Decoded found{{}, score[state], "viterbi"};
    for (int64_t t = densities.frames - 1; t >= 0; --t) {
        const auto [beat, tempo, position] = places[state];
        if (position == 0 || t == 0) found.entries.push_back({t - position, beat, tempo});
        state = static_cast<size_t>(before[static_cast<size_t>(t)][state]);
    }
    return found;
}

void decoders(const std::string& level, const Bar& bar, const Song& song, const dbn::Decoded& expected, bool tied) {
    const dbn::Kernel kernel{dbn::exact_kernel(level), dbn::fixed_kernel(level)};
    for (const auto method : {dbn::Method::fixed32, dbn::Method::fixed64, dbn::Method::exact}) {
        dbn::Decoded found = dbn::decode(kernel, bar.model, song.densities, method);
        const dbn::Entry earliest = found.entries.back();
        if (earliest.frame + bar.intervals[earliest.tempo] == 0) found.entries.pop_back();  // it ended before the song began
        const std::string what = "decoder " + std::to_string(static_cast<int>(method)) + ", " + found.method + ", " + std::to_string(bar.beats) + " beats";
        check::that(found.log_probability == expected.log_probability, what + ": log-probability");
        bool same = found.entries.size() == expected.entries.size();
        for (size_t i = 0; same && i < expected.entries.size(); ++i) {
            const dbn::Entry &a = found.entries[i], &b = expected.entries[i];
            same = a.frame == b.frame && a.beat == b.beat && a.tempo == b.tempo;
        }
        check::that(same, what + ": path");
        if (method == dbn::Method::fixed32) check::that((std::string(found.method) == "exact") == tied, what + ": expected it to be used unless tied");
    }
}

}  // namespace

int main() {
    const Bar three(3, 8, 27, 20), four(4, 20, 41, 30), fast(2, 3, 9, 8);
    for (const Bar* bar : {&three, &four, &fast})
        for (const bool tied : {false, true}) {
            const Song song(*bar, 611, tied);
            const dbn::Decoded expected = viterbi(bar->model, song.densities);
            check::each_level([&](const std::string& level) { decoders(level, *bar, song, expected, tied); });
        }
    return check::done("dbn");
}
