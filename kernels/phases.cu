// Phase factors exp(-2πi h u) and w exp(-2πi k v) of every atom along the two axes of the fine grid, phases in double precision.
//
// Positions come from the host: the same counter-based draws, so the same bits, as every other engine. A Nyquist line stands for both its
// mirror images and takes their mean, a cosine, so that the potential stays real.
#include "complex.cuh"

__device__ __forceinline__ float2 phase_factor(int i, int n, double u) {
    double turns = (double)signed_frequency(i, n) * u, s, c;
    turns -= trunc(turns);
    sincospi(-2.0 * turns, &s, &c);
    return make_float2((float)c, 2 * i == n ? 0.0f : (float)s);
}

// px[atom][nx], py[atom][ny]; places[atom] = (u, v); grid = (ceil((nx + ny) / block), atoms). Each element is written by one thread.
extern "C" __global__ void __launch_bounds__(256)
phases(float2* __restrict__ px, float2* __restrict__ py, const double* __restrict__ places, const float* __restrict__ weights, int nx, int ny,
       int atoms) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    for (int atom = blockIdx.y; atom < atoms; atom += gridDim.y) {
        if (i < nx) {
            px[(size_t)atom * nx + i] = phase_factor(i, nx, places[2 * atom]);
        } else if (i < nx + ny) {
            const float2 p = phase_factor(i - nx, ny, places[2 * atom + 1]);
            py[(size_t)atom * ny + i - nx] = make_float2(p.x * weights[atom], p.y * weights[atom]);
        }
    }
}
