// Projected potentials σV(k) of the atoms of two slices on the fine grid: both are real in space, so the second rides as the imaginary part.
#include "complex.cuh"

// out[pair][ny][nx] = Σ_{atoms of slice 2·pair} f·px·py + i Σ_{atoms of slice 2·pair + 1} f·px·py.
// tables[element][ny][nx]; first[slices + 1] are the slices' first atoms; grid = (ceil(nx·ny / block), pairs).
// Each element is written by one thread; atoms are added in their order.
extern "C" __global__ void __launch_bounds__(256)
potential(float2* __restrict__ out, const float* __restrict__ tables, const float2* __restrict__ px, const float2* __restrict__ py,
          const int* __restrict__ element, const int* __restrict__ first, int nx, int ny, int slices) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x, n = nx * ny;
    if (i >= n) return;
    const int y = i / nx, x = i - y * nx, pairs = (slices + 1) / 2;
    for (int pair = blockIdx.y; pair < pairs; pair += gridDim.y) {
        float2 sum = make_float2(0.0f, 0.0f);
        for (int half = 0; half < 2; half++) {
            const int slice = 2 * pair + half;
            if (slice >= slices) break;
            float2 v = make_float2(0.0f, 0.0f);
            for (int a = first[slice]; a < first[slice + 1]; a++) {
                const float f = __ldg(&tables[(size_t)element[a] * n + i]);
                const float2 p = cmul(px[(size_t)a * nx + x], py[(size_t)a * ny + y]);
                v = make_float2(fmaf(f, p.x, v.x), fmaf(f, p.y, v.y));
            }
            sum = half == 0 ? v : make_float2(sum.x - v.y, sum.y + v.x);
        }
        out[(size_t)pair * n + i] = sum;
    }
}
