// Two-dimensional transforms of any batch, rows then columns (or the other way), each line whole in shared memory; spectra in FFT order.
//
// The order of a line's sums depends on its length alone, never on the batch: the same bytes however much memory a card has.
#include "stages.cuh"

// data[row][n] in place; a block takes `lines` rows. position[f] is where frequency f stands. Shared: lines·(n + n/16 + 1) + n float2.
extern "C" __global__ void __launch_bounds__(256, 2)
transform_rows(float2* __restrict__ data, const float2* __restrict__ roots_n, const int* __restrict__ position, int4 radices, int n, int rows,
               int lines, int backward) {
    DYNAMIC_SHARED(float2, shared);
    const Stages stages(radices);
    const int pitch = n + n / 16 + 1, row0 = blockIdx.x * lines, count = min(lines, rows - row0);
    float2* const roots = shared + lines * pitch;
    float2* const mine = data + (size_t)row0 * n;
    for (int i = threadIdx.x; i < n; i += blockDim.x) roots[i] = roots_n[i];
    for (int i = threadIdx.x; i < count * n; i += blockDim.x) {
        const int row = i / n, p = i - row * n;
        shared[PaddedRow{row * pitch}(backward ? position[p] : p)] = mine[i];
    }
    __syncthreads();
    for (int s = 0; s < stages.count; s++) {
        const int stage = backward ? stages.count - 1 - s : s, radix = stages.radix(stage), block = stages.block(stage, n);
        const int butterflies = n / radix;
        for (int i = threadIdx.x; i < count * butterflies; i += blockDim.x) {
            const int row = i / butterflies, j = i - row * butterflies;
            const PaddedRow at = {row * pitch};
#define CALL(R)                                                            \
    if (backward) inverse<R>(shared, at, Butterfly(j, R, block, n), roots); \
    else forward<R>(shared, at, Butterfly(j, R, block, n), roots)
            FOR_RADIX(radix, CALL)
#undef CALL
        }
        __syncthreads();
    }
    for (int i = threadIdx.x; i < count * n; i += blockDim.x) {
        const int row = i / n, p = i - row * n;
        mine[i] = shared[PaddedRow{row * pitch}(backward ? p : position[p])];
    }
}

// data[array][n][nx] in place; a block takes `width` columns of one array, grid = (ceil(nx / width), arrays). Shared: n·width + n float2.
extern "C" __global__ void __launch_bounds__(256, 2)
transform_columns(float2* __restrict__ data, const float2* __restrict__ roots_n, const int* __restrict__ position, int4 radices, int n, int nx,
                  int width, int arrays, int backward) {
    DYNAMIC_SHARED(float2, shared);
    const Stages stages(radices);
    const int x0 = blockIdx.x * width, count = min(width, nx - x0);
    float2* const roots = shared + n * width;
    for (int i = threadIdx.x; i < n; i += blockDim.x) roots[i] = roots_n[i];
    for (int array = blockIdx.y; array < arrays; array += gridDim.y) {
        float2* const mine = data + (size_t)array * n * nx + x0;
        for (int i = threadIdx.x; i < n * width; i += blockDim.x) {
            const int p = i / width, c = i - p * width;
            if (c < count) shared[TileColumn{c, width}(backward ? position[p] : p)] = mine[(size_t)p * nx + c];
        }
        __syncthreads();
        for (int s = 0; s < stages.count; s++) {
            const int stage = backward ? stages.count - 1 - s : s, radix = stages.radix(stage), block = stages.block(stage, n);
            for (int i = threadIdx.x; i < width * (n / radix); i += blockDim.x) {
                const int j = i / width, c = i - j * width;
                if (c >= count) continue;
                const TileColumn at = {c, width};
#define CALL(R)                                                            \
    if (backward) inverse<R>(shared, at, Butterfly(j, R, block, n), roots); \
    else forward<R>(shared, at, Butterfly(j, R, block, n), roots)
                FOR_RADIX(radix, CALL)
#undef CALL
            }
            __syncthreads();
        }
        for (int i = threadIdx.x; i < n * width; i += blockDim.x) {
            const int p = i / width, c = i - p * width;
            if (c < count) mine[(size_t)p * nx + c] = shared[TileColumn{c, width}(backward ? p : position[p])];
        }
        __syncthreads();
    }
}
