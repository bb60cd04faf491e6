// The fused slice kernel: one wave lives in shared memory while it goes through many slices, so that nothing but exp(iσV) and P is read.
//
// A step is six passes over the wave, each between two barriers: inverse transform of columns and rows, × exp(iσV), forward transform of rows
// and columns, × P, with the butterflies on either side of a product joined. Rows are worked on with one row a lane and an odd pitch,
// columns with one column a lane: both without bank conflicts. exp(iσV) is stored column by column for the same reason.
#include "stages.cuh"

// Compiled for one size at run time, the sizes are constants and the branches over radices fall away.
#ifdef FUSED_NX
#define SIZES(nx, ny, rx, ry)                      \
    const int nx = FUSED_NX, ny = FUSED_NY;        \
    const Stages sx(make_int4(FUSED_RX)), sy(make_int4(FUSED_RY))
#else
#define SIZES(nx, ny, rx, ry)                      \
    const int nx = given_nx, ny = given_ny;        \
    const Stages sx(rx), sy(ry)
#endif

#ifndef FUSED_THREADS
#define FUSED_THREADS 512
#endif

struct Place {
    int base, stride;
    __device__ __forceinline__ int operator()(int p) const { return base + p * stride; }
};

// One block a wave; waves[wave][ny][nx] in FFT order before and after. Slice s multiplies by t + which[s]·nx·ny, stored [x][y], and by
// p + distance[s]·nx·ny, stored at the positions of the spectra (digit-reversed), scaled by 1/(nx ny). frequency_x[nx], frequency_y[ny]: the
// frequency, 0 .. n-1, at each position. roots_n[i] = exp(-2πi i/n). Shared: ny·pitch + nx + ny float2, pitch = nx | 1.
extern "C" __global__ void __launch_bounds__(FUSED_THREADS, 1)
fused_slices(float2* __restrict__ waves, const float2* __restrict__ t, const float2* __restrict__ p, const int* __restrict__ which,
             const int* __restrict__ distance, const float2* __restrict__ roots_nx, const float2* __restrict__ roots_ny,
             const int* __restrict__ frequency_x, const int* __restrict__ frequency_y, int4 rx, int4 ry, int given_nx, int given_ny, int slices) {
    DYNAMIC_SHARED(float2, shared);
    SIZES(nx, ny, rx, ry);
    const int pitch = nx | 1, n = nx * ny;
    float2* const psi = shared;
    float2* const wx = shared + ny * pitch;
    float2* const wy = wx + nx;
    float2* const mine = waves + (size_t)blockIdx.x * n;

    for (int i = threadIdx.x; i < nx; i += blockDim.x) wx[i] = roots_nx[i];
    for (int i = threadIdx.x; i < ny; i += blockDim.x) wy[i] = roots_ny[i];
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        const int y = i / nx, x = i - y * nx;
        psi[y * pitch + x] = mine[frequency_y[y] * nx + frequency_x[x]];
    }
    __syncthreads();

    const int last_x = sx.count - 1, last_y = sy.count - 1;
    for (int s = -1; s < slices; s++) {
        // Columns, last stage: leave real space behind (but before the first slice), × P, and set out again (but after the last).
        const float2* const propagator = p + (s < 0 ? 0 : (size_t)distance[s] * n);
        const bool arrive = s >= 0, leave = s + 1 < slices;
        {
            const int radix = sy.radix(last_y), block = sy.block(last_y, ny);
            for (int i = threadIdx.x; i < nx * (ny / radix); i += blockDim.x) {
                const int j = i / nx, x = i - j * nx;
                const Place at = {x, pitch};
                const Factor factor = {propagator + x, nx};
#define CALL(R) through_fourier_space<R>(psi, at, Butterfly(j, R, block, ny), arrive, leave, factor)
                FOR_RADIX(radix, CALL)
#undef CALL
            }
            __syncthreads();
        }
        if (!leave) break;
        const float2* const transmission = t + (size_t)which[s + 1] * n;
        for (int stage = last_y - 1; stage >= 0; stage--) {
            const int radix = sy.radix(stage), block = sy.block(stage, ny);
            for (int i = threadIdx.x; i < nx * (ny / radix); i += blockDim.x) {
                const int j = i / nx, x = i - j * nx;
                const Place at = {x, pitch};
#define CALL(R) inverse<R>(psi, at, Butterfly(j, R, block, ny), wy)
                FOR_RADIX(radix, CALL)
#undef CALL
            }
            __syncthreads();
        }
        for (int stage = last_x; stage >= 1; stage--) {
            const int radix = sx.radix(stage), block = sx.block(stage, nx);
            for (int i = threadIdx.x; i < ny * (nx / radix); i += blockDim.x) {
                const int j = i / ny, y = i - j * ny;
                const Place at = {y * pitch, 1};
#define CALL(R) inverse<R>(psi, at, Butterfly(j, R, block, nx), wx)
                FOR_RADIX(radix, CALL)
#undef CALL
            }
            __syncthreads();
        }
        {
            const int radix = sx.radix(0);
            for (int i = threadIdx.x; i < ny * (nx / radix); i += blockDim.x) {
                const int j = i / ny, y = i - j * ny;
                const Place at = {y * pitch, 1};
                const Factor factor = {transmission + y, ny};
#define CALL(R) through_real_space<R>(psi, at, Butterfly(j, R, nx, nx), wx, factor)
                FOR_RADIX(radix, CALL)
#undef CALL
            }
            __syncthreads();
        }
        for (int stage = 1; stage <= last_x; stage++) {
            const int radix = sx.radix(stage), block = sx.block(stage, nx);
            for (int i = threadIdx.x; i < ny * (nx / radix); i += blockDim.x) {
                const int j = i / ny, y = i - j * ny;
                const Place at = {y * pitch, 1};
#define CALL(R) forward<R>(psi, at, Butterfly(j, R, block, nx), wx)
                FOR_RADIX(radix, CALL)
#undef CALL
            }
            __syncthreads();
        }
        for (int stage = 0; stage < last_y; stage++) {
            const int radix = sy.radix(stage), block = sy.block(stage, ny);
            for (int i = threadIdx.x; i < nx * (ny / radix); i += blockDim.x) {
                const int j = i / nx, x = i - j * nx;
                const Place at = {x, pitch};
#define CALL(R) forward<R>(psi, at, Butterfly(j, R, block, ny), wy)
                FOR_RADIX(radix, CALL)
#undef CALL
            }
            __syncthreads();
        }
    }

    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        const int y = i / nx, x = i - y * nx;
        mine[frequency_y[y] * nx + frequency_x[x]] = psi[y * pitch + x];
    }
}
