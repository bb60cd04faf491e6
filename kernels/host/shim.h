// Runs CUDA kernels on a processor, for tests: the subset of CUDA C++ that kernels/ uses, for a host C++20 compiler.
//
// A thread of a block is a fiber, a function with a stack of its own. A barrier or a warp exchange switches to the next fiber; a kernel
// without any never switches. The order of the fibers is forward, backward or shuffled at every barrier, so that a missing barrier changes
// the answer; barriers that not all threads reach, or reach at different places, end the program with a message. Shared memory starts as NaN.
// What it cannot see: blocks that write the same place (they run one after the other). Every kernel says who writes what.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#define __global__
#define __device__
#define __host__
#define __align__(n) alignas(n)
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
// One copy a block: blocks run one after the other on one thread of the system.
#define __shared__ static

struct alignas(8) float2 { float x, y; };
struct alignas(16) double2 { double x, y; };
struct alignas(16) int4 { int x, y, z, w; };
struct uint3 { unsigned x, y, z; };
static inline float2 make_float2(float x, float y) { return {x, y}; }
static inline double2 make_double2(double x, double y) { return {x, y}; }
static inline constexpr int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }

namespace host {
extern uint3 thread_index, block_index, block_size, grid_size;
extern char* dynamic_shared;
// Waits for every thread of the block at this place in the code.
void barrier(const void* place);

// A kernel by name, its argument sizes, and a function that calls it from an array of pointers to arguments, as cuLaunchKernel takes them.
struct Kernel {
    const char* name;
    void (*call)(void** arguments);
    const uint32_t* sizes;
    uint32_t count;
};
void add(Kernel kernel);

template <class F> struct Signature;
template <class... A> struct Signature<void (*)(A...)> {
    static inline const uint32_t sizes[sizeof...(A) + 1] = {uint32_t(sizeof(A))..., 0};
    static constexpr uint32_t count = sizeof...(A);
    template <auto K, size_t... I> static void spread(void** a, std::index_sequence<I...>) { K(*static_cast<std::remove_reference_t<A>*>(a[I])...); }
    template <auto K> static void call(void** a) { spread<K>(a, std::make_index_sequence<sizeof...(A)>{}); }
};
template <auto K> struct Registered {
    explicit Registered(const char* name) {
        using S = Signature<decltype(K)>;
        add({name, &S::template call<K>, S::sizes, S::count});
    }
};
}  // namespace host

#define REGISTER(kernel) static host::Registered<&kernel> registered_##kernel{#kernel};
#define threadIdx (host::thread_index)
#define blockIdx (host::block_index)
#define blockDim (host::block_size)
#define gridDim (host::grid_size)
#define DYNAMIC_SHARED(type, name) type* const name = reinterpret_cast<type*>(host::dynamic_shared)
#define HERE __extension__({ static const char place = 0; static_cast<const void*>(&place); })
#define __syncthreads() host::barrier(HERE)

static inline int min(int a, int b) { return b < a ? b : a; }
template <class T> static inline T __ldg(const T* p) { return *p; }
static inline void sincospi(double x, double* s, double* c) {
    const double t = M_PI * std::fmod(x, 2.0);
    *s = std::sin(t);
    *c = std::cos(t);
}
