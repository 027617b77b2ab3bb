// Checks that say what was expected and what was found; a program of them fails if one did.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "dispatch.hpp"

namespace check {

inline int checked = 0, failed = 0;
inline std::string level;  // the dispatch level at work

inline bool that(bool right, const std::string& what) {
    ++checked;
    if (right) return true;
    ++failed;
    std::printf("FAILED %s: %s\n", level.c_str(), what.c_str());
    return false;
}

// |found - expected| <= max_abs + max_rel * |expected| for each value; says where it is worst.
template <class A, class B>
void close(const std::string& what, const std::vector<A>& found, const std::vector<B>& expected, double max_abs, double max_rel = 0) {
    if (!that(found.size() == expected.size() && !found.empty(), what + ": expected " + std::to_string(expected.size()) + " values, found " +
                                                                     std::to_string(found.size())))
        return;
    size_t worst = 0;
    double excess = -1;
    for (size_t i = 0; i < found.size(); ++i) {
        const double allowed = max_abs + max_rel * std::fabs(static_cast<double>(expected[i]));
        const double over = std::fabs(static_cast<double>(found[i]) - static_cast<double>(expected[i])) - allowed;
        if (!(over <= excess)) excess = over, worst = i;
        if (over != over) break;
    }
    char text[200];
    std::snprintf(text, sizeof text, ": value %zu: expected %.9g within %.3g + %.3g of it, found %.9g", worst,
                  static_cast<double>(expected[worst]), max_abs, max_rel, static_cast<double>(found[worst]));
    that(excess <= 0, what + text);
}

// body(level) at every dispatch level that is compiled in and can run here.
template <class Body> void each_level(Body body) {
    for (const std::string& name : dispatch::levels()) {
        level = name;
        body(name);
    }
}

// Exit code of the program.
inline int done(const char* name) {
    std::string levels;
    for (const std::string& one : dispatch::levels()) levels += " " + one;
    std::printf("%s: %d checks, %d failed, at%s\n", name, checked, failed, levels.c_str());
    return failed || !checked;
}

// The same numbers everywhere, from -1 to 1 (splitmix64).
class Random {
  public:
    explicit Random(uint64_t seed) : state_(seed) {}
    uint64_t bits() {
        uint64_t z = state_ += 0x9e3779b97f4a7c15;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
        z = (z ^ z >> 27) * 0x94d049bb133111eb;
        return z ^ z >> 31;
    }
    double operator()() { return static_cast<double>(bits() >> 11) * 0x1p-52 - 1; }
    template <class T = float> std::vector<T> many(size_t count, double scale = 1) {
        std::vector<T> found(count);
        for (T& value : found) value = static_cast<T>(scale * (*this)());
        return found;
    }

  private:
    uint64_t state_;
};

}  // namespace check
