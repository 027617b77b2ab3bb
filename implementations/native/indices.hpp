// Numbers to be spelt out in a shuffle: Upto<4>::type is Indices<0, 1, 2, 3>. No code comes of them, so every dispatch level may have the same.
#pragma once

template <int... I> struct Indices {};
template <int N, int... I> struct Upto : Upto<N - 1, N - 1, I...> {};
template <int... I> struct Upto<0, I...> { using type = Indices<I...>; };
