// Phase gratings exp(iσV) on the fine grid, two from each complex array of potentials.
#include "complex.cuh"

// out[slice][n] = exp(i·Re v[slice / 2]) for even slices, exp(i·Im v[slice / 2]) for odd ones; grid = (ceil(n / block), slices).
extern "C" __global__ void __launch_bounds__(256)
grating(float2* __restrict__ out, const float2* __restrict__ v, int n, int slices) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    for (int slice = blockIdx.y; slice < slices; slice += gridDim.y) {
        const float2 pair = v[(size_t)(slice / 2) * n + i];
        float s, c;
        sincosf(slice % 2 == 0 ? pair.x : pair.y, &s, &c);
        out[(size_t)slice * n + i] = make_float2(c, s);
    }
}
