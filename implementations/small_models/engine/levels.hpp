// The levels that are compiled in, by name.
#pragma once

#include "by_level.hpp"
#include "kernel.hpp"

namespace small_models {

TABLE_BY_LEVEL(level_named, Level, level)

}  // namespace small_models
