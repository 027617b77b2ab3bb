// Reads `count` numbers `passes` times and returns their sum, so that no read can be left out.
#pragma once

#include <cstddef>
#include <cstdint>

using Read = uint64_t (*)(const uint64_t* data, size_t count, size_t passes);
