// Complex numbers as float2, and what every kernel shares.
//
// The same source is compiled three ways: by NVRTC for the card at hand, by NVRTC to the PTX that ships, and by a host C++20 compiler behind
// host/shim.h for tests. No CUDA header is included: NVRTC knows float2 and the rest, the shim defines them. Products and sums are fused only
// where fmaf stands (--fmad=false): a kernel compiled for one size gives the same bytes as the one that ships.
#ifndef MISTILT_COMPLEX
#define MISTILT_COMPLEX

#ifndef DYNAMIC_SHARED
#define DYNAMIC_SHARED(type, name) extern __shared__ __align__(16) type name[]
#endif

__device__ __forceinline__ float2 cmul(float2 a, float2 b) {
    return make_float2(fmaf(a.x, b.x, -a.y * b.y), fmaf(a.x, b.y, a.y * b.x));
}

// a · conj(b)
__device__ __forceinline__ float2 cmul_conj(float2 a, float2 b) {
    return make_float2(fmaf(a.x, b.x, a.y * b.y), fmaf(a.y, b.x, -a.x * b.y));
}

__device__ __forceinline__ float2 cadd(float2 a, float2 b) { return make_float2(a.x + b.x, a.y + b.y); }
__device__ __forceinline__ float2 csub(float2 a, float2 b) { return make_float2(a.x - b.x, a.y - b.y); }

// The signed frequency at FFT position i of n: -n/2 <= frequency < n/2, as Grid::signed has it.
__device__ __forceinline__ int signed_frequency(int i, int n) { return 2 * i < n ? i : i - n; }

#endif
