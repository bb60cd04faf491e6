// The spectrum of a phase grating cut from the fine grid to the band limit on the working grid.
#include "complex.cuh"

// out[slice][n] = pass[i]·fine[slice][from[i]], zero where from[i] < 0; grid = (ceil(n / block), slices). `from` also decides the order of
// the working grid (rows or columns first).
extern "C" __global__ void __launch_bounds__(256)
cut(float2* __restrict__ out, const float2* __restrict__ fine, const int* __restrict__ from, const float* __restrict__ pass, int n, int fine_n,
    int slices) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    const int source = from[i];
    for (int slice = blockIdx.y; slice < slices; slice += gridDim.y) {
        float2 c = make_float2(0.0f, 0.0f);
        if (source >= 0) {
            c = fine[(size_t)slice * fine_n + source];
            c = make_float2(c.x * pass[i], c.y * pass[i]);
        }
        out[(size_t)slice * n + i] = c;
    }
}
