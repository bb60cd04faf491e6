// Transmit and propagate: every wave of a batch times one table, in real space by exp(iσV), in Fourier space by the propagator.
#include "complex.cuh"

// waves[wave][n] *= table[n]; grid = (ceil(n / block), waves). Each element is read and written by one thread.
extern "C" __global__ void __launch_bounds__(256)
multiply(float2* __restrict__ waves, const float2* __restrict__ table, int n, int count) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    const float2 t = __ldg(&table[i]);
    for (int wave = blockIdx.y; wave < count; wave += gridDim.y) {
        const size_t at = (size_t)wave * n + i;
        waves[at] = cmul(waves[at], t);
    }
}
