// CUDA C++ for g++: included before a kernel's source by the emulated NVRTC, which has replaced
// declarations of shared variables by calls of `emulated::shared` (see source.hpp).
#pragma once
#include "interface.h"

#define __global__
#define __device__
#define __host__
#define __constant__
#define __forceinline__ __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __align__(n) alignas(n)
#define __grid_constant__
#define __managed__

typedef emulated::Size size_t;
typedef unsigned char uchar;
typedef unsigned short ushort;
typedef unsigned int uint;
typedef unsigned long ulong;
typedef emulated::Triple uint3;
struct dim3 : emulated::Triple {
    constexpr dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : emulated::Triple{a, b, c} {}
};

extern "C" __attribute__((visibility("hidden"))) emulated::State emulated_state;
emulated::State emulated_state;
static const emulated::Triple &threadIdx = emulated_state.thread;
static const emulated::Triple &blockIdx = emulated_state.block;
static const emulated::Triple &blockDim = emulated_state.block_size;
static const emulated::Triple &gridDim = emulated_state.grid_size;
constexpr int warpSize = 32;

extern "C" __attribute__((visibility("default"))) emulated::State *
emulated_attach(const emulated::Runtime *runtime) {
    emulated_state.runtime = runtime;
    return &emulated_state;
}

// -- vectors --------------------------------------------------------------------------------------

#define EMULATED_VECTORS(T, name, align)                                                     \
    struct name##1 { T x; };                                                                 \
    struct alignas(2 * align) name##2 { T x, y; };                                           \
    struct name##3 { T x, y, z; };                                                           \
    struct alignas(4 * align > 16 ? 16 : 4 * align) name##4 { T x, y, z, w; };               \
    static inline name##1 make_##name##1(T x) { return {x}; }                                \
    static inline name##2 make_##name##2(T x, T y) { return {x, y}; }                        \
    static inline name##3 make_##name##3(T x, T y, T z) { return {x, y, z}; }                \
    static inline name##4 make_##name##4(T x, T y, T z, T w) { return {x, y, z, w}; }
EMULATED_VECTORS(float, float, 4)
EMULATED_VECTORS(double, double, 8)
EMULATED_VECTORS(int, int, 4)
EMULATED_VECTORS(short, short, 2)
EMULATED_VECTORS(unsigned short, ushort, 2)
EMULATED_VECTORS(signed char, char, 1)
EMULATED_VECTORS(unsigned char, uchar, 1)
EMULATED_VECTORS(long long, longlong, 8)
EMULATED_VECTORS(unsigned long long, ulonglong, 8)
struct uint1 { unsigned x; };
struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
static inline uint1 make_uint1(unsigned x) { return {x}; }
static inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
static inline uint3 make_uint3(unsigned x, unsigned y, unsigned z) { return {x, y, z}; }
static inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

// -- shared memory, barriers, warps ---------------------------------------------------------------

namespace emulated {

template <int Place, class T>
T &shared() {
    static unsigned long long block;
    static char *at;
    if (block != emulated_state.block_number) {
        at = emulated_state.runtime->reserve(sizeof(T), alignof(T));
        block = emulated_state.block_number;
    }
    return *reinterpret_cast<T *>(at);
}

template <class T>
T exchange(unsigned mask, T mine, int from, int line) {
    static_assert(sizeof(T) <= 8, "a shuffle moves up to eight bytes");
    unsigned long long bits = 0;
    __builtin_memcpy(&bits, &mine, sizeof(T));
    bits = emulated_state.runtime->exchange(mask, bits, from, line);
    __builtin_memcpy(&mine, &bits, sizeof(T));
    return mine;
}

static inline int lane() {
    const State &s = emulated_state;
    return (s.thread.x + s.block_size.x * (s.thread.y + s.block_size.y * s.thread.z)) % 32;
}

// `width` splits a warp; who would read beyond its part keeps its own value.
template <class T>
T shuffle(unsigned mask, T mine, int from, int width, bool inside, int line) {
    return exchange(mask, mine, inside ? from : lane(), line);
}

template <class T>
T shuffle_to(int line, unsigned mask, T mine, int from, int width = 32) {
    const int first = lane() & ~(width - 1);
    return shuffle(mask, mine, first + (from & (width - 1)), width, true, line);
}

template <class T>
T shuffle_down(int line, unsigned mask, T mine, unsigned by, int width = 32) {
    const int from = lane() + int(by);
    return shuffle(mask, mine, from, width, (lane() & (width - 1)) + int(by) < width, line);
}

template <class T>
T shuffle_up(int line, unsigned mask, T mine, unsigned by, int width = 32) {
    const int from = lane() - int(by);
    return shuffle(mask, mine, from, width, (lane() & (width - 1)) >= int(by), line);
}

template <class T>
T shuffle_xor(int line, unsigned mask, T mine, int with, int width = 32) {
    const int from = lane() ^ with;
    return shuffle(mask, mine, from, width, from < (lane() & ~(width - 1)) + width, line);
}


}  // namespace emulated

#define __syncthreads() emulated_state.runtime->barrier(__LINE__)
#define __syncwarp(...) emulated::sync_warp(__LINE__ __VA_OPT__(, ) __VA_ARGS__)
#define __shfl_sync(...) emulated::shuffle_to(__LINE__, __VA_ARGS__)
#define __shfl_down_sync(...) emulated::shuffle_down(__LINE__, __VA_ARGS__)
#define __shfl_up_sync(...) emulated::shuffle_up(__LINE__, __VA_ARGS__)
#define __shfl_xor_sync(...) emulated::shuffle_xor(__LINE__, __VA_ARGS__)
#define __ballot_sync(mask, x) emulated_state.runtime->ballot(mask, bool(x), __LINE__)
#define __any_sync(mask, x) (__ballot_sync(mask, x) != 0)
#define __all_sync(mask, x) (__ballot_sync(mask, !(x)) == 0)
#define __trap() emulated_state.runtime->trap("__trap()", __LINE__)
#define assert(x) ((x) ? (void)0 : emulated_state.runtime->trap("assert(" #x ")", __LINE__))
#define printf(...) emulated_state.runtime->print(__VA_ARGS__)

namespace emulated {
static inline void sync_warp(int line, unsigned mask = 0xffffffffu) {
    emulated_state.runtime->barrier_warp(mask, line);
}
template <class F>
int over_block(F value, int line) {  // a sum that all threads of the block get
    int &sum = shared<-1, int>();
    emulated_state.runtime->barrier(line);
    sum = 0;
    emulated_state.runtime->barrier(line);
    sum += value();
    emulated_state.runtime->barrier(line);
    const int all = sum;
    emulated_state.runtime->barrier(line);
    return all;
}
static inline int threads() {
    return emulated_state.block_size.x * emulated_state.block_size.y * emulated_state.block_size.z;
}
}  // namespace emulated

#define __syncthreads_count(x) emulated::over_block([&] { return (x) ? 1 : 0; }, __LINE__)
#define __syncthreads_or(x) (__syncthreads_count(x) != 0)
#define __syncthreads_and(x) (__syncthreads_count(!(x)) == 0)

static inline unsigned __activemask() { return 0xffffffffu; }
static inline void __threadfence() {}
static inline void __threadfence_block() {}
static inline void __nanosleep(unsigned) {}
static inline long long clock64() { return 0; }

// One thread runs at a time: what is atomic on a card is an ordinary operation here.
template <class T> static inline T emulated_swap(T *p, T value) { T old = *p; *p = value; return old; }
#define EMULATED_ATOMIC(name, expression)                                     \
    template <class T> static inline T name(T *p, decltype(T() + 0, T()) v) { \
        return emulated_swap(p, T(expression));                               \
    }                                                                         \
    template <class T> static inline T name##_block(T *p, decltype(T() + 0, T()) v) { return name(p, v); }
EMULATED_ATOMIC(atomicAdd, *p + v)
EMULATED_ATOMIC(atomicSub, *p - v)
EMULATED_ATOMIC(atomicMin, v < *p ? v : *p)
EMULATED_ATOMIC(atomicMax, v > *p ? v : *p)
EMULATED_ATOMIC(atomicAnd, *p & v)
EMULATED_ATOMIC(atomicOr, *p | v)
EMULATED_ATOMIC(atomicXor, *p ^ v)
EMULATED_ATOMIC(atomicExch, v)
template <class T> static inline T atomicCAS(T *p, decltype(T() + 0, T()) was, decltype(T() + 0, T()) v) {
    return emulated_swap(p, *p == was ? T(v) : *p);
}
static inline unsigned atomicInc(unsigned *p, unsigned v) { return emulated_swap(p, *p >= v ? 0u : *p + 1); }
static inline unsigned atomicDec(unsigned *p, unsigned v) {
    return emulated_swap(p, *p == 0 || *p > v ? v : *p - 1);
}

#include "mathematics.h"

// -- how the driver finds a kernel and its arguments ----------------------------------------------

namespace emulated {

template <class T> struct Value { typedef T type; };
template <class T> struct Value<const T> { typedef T type; };

template <class... A> struct Sizes { static constexpr unsigned of[sizeof...(A) + 1] = {unsigned(sizeof(A))..., 0}; };

template <unsigned... I> struct Indices {};
template <unsigned N, unsigned... I> struct Count : Count<N - 1, N - 1, I...> {};
template <unsigned... I> struct Count<0, I...> { typedef Indices<I...> type; };

template <auto F> struct Call;
template <class... A, void (*F)(A...)> struct Call<F> {
    template <unsigned... I> static void with(void **arguments, Indices<I...>) {
        (void)arguments;
        F(*static_cast<typename Value<A>::type *>(arguments[I])...);
    }
    static void call(void **arguments) { with(arguments, typename Count<sizeof...(A)>::type()); }
    static constexpr Kernel kernel = {&call, sizeof...(A), Sizes<A...>::of};
};

}  // namespace emulated

#define EMULATED_KERNEL(name)                                                        \
    extern "C" __attribute__((visibility("default"))) const emulated::Kernel *emulated_kernel_##name() { \
        return &emulated::Call<&name>::kernel;                                       \
    }
