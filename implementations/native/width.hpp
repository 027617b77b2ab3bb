// How wide a vector register is at the level this file is compiled for. Wider vectors would be split, through memory, and many times
// slower.
#pragma once

#if defined(LEVEL_avx512) || defined(LEVEL_avx512_vnni) || defined(LEVEL_avx512_bf16)
#define LEVEL_BYTES 64
#elif defined(LEVEL_avx2)
#define LEVEL_BYTES 32
#else
#define LEVEL_BYTES 16
#endif
