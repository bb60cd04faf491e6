// A slice of a wave too large for shared memory, in two passes: columns (back from Fourier space, × P, and there again) and rows
// (to real space, × exp(iσV), and back). Between the passes a wave lies in `mixed`, [y][column]: real in y, Fourier in x, and only the columns
// that the band limit keeps, a third less to read and write.
#include "stages.cuh"

// Columns, one tile of `width` a block; grid = (ceil(kept / width), waves), shared: n·width + n float2.
// arrive: take mixed, transform forward, × propagator[position][kept]; otherwise take waves[wave][ny][nx], FFT order.
// leave: transform inverse into mixed; otherwise put into waves. columns[kept] are the kept columns of the FFT order, ascending;
// position[f] is where frequency f stands. A block reads and writes its own columns of its own wave only.
extern "C" __global__ void __launch_bounds__(256, 2)
slice_columns(float2* __restrict__ waves, float2* __restrict__ mixed, const float2* __restrict__ propagator, const float2* __restrict__ roots_n,
              const int* __restrict__ position, const int* __restrict__ columns, int4 radices, int n, int nx, int kept, int width, int count,
              int arrive, int leave) {
    DYNAMIC_SHARED(float2, shared);
    const Stages stages(radices);
    const int c0 = blockIdx.x * width, tile = min(width, kept - c0), last = stages.count - 1;
    float2* const roots = shared + n * width;
    for (int i = threadIdx.x; i < n; i += blockDim.x) roots[i] = roots_n[i];
    for (int wave = blockIdx.y; wave < count; wave += gridDim.y) {
        float2* const spectrum = waves + (size_t)wave * n * nx;
        float2* const half = mixed + (size_t)wave * n * kept + c0;
        for (int i = threadIdx.x; i < n * width; i += blockDim.x) {
            const int p = i / width, c = i - p * width;
            if (c >= tile) continue;
            if (arrive) shared[p * width + c] = half[(size_t)p * kept + c];
            else shared[position[p] * width + c] = spectrum[(size_t)p * nx + columns[c0 + c]];
        }
        __syncthreads();
        for (int stage = 0; arrive && stage < last; stage++) {
            const int radix = stages.radix(stage), block = stages.block(stage, n);
            for (int i = threadIdx.x; i < width * (n / radix); i += blockDim.x) {
                const int j = i / width, c = i - j * width;
                if (c >= tile) continue;
                const TileColumn at = {c, width};
#define CALL(R) forward<R>(shared, at, Butterfly(j, R, block, n), roots)
                FOR_RADIX(radix, CALL)
#undef CALL
            }
            __syncthreads();
        }
        {
            const int radix = stages.radix(last), block = stages.block(last, n);
            for (int i = threadIdx.x; i < width * (n / radix); i += blockDim.x) {
                const int j = i / width, c = i - j * width;
                if (c >= tile) continue;
                const TileColumn at = {c, width};
                const Factor factor = {propagator + c0 + c, kept};
#define CALL(R) through_fourier_space<R>(shared, at, Butterfly(j, R, block, n), arrive != 0, leave != 0, factor)
                FOR_RADIX(radix, CALL)
#undef CALL
            }
            __syncthreads();
        }
        for (int stage = last - 1; leave && stage >= 0; stage--) {
            const int radix = stages.radix(stage), block = stages.block(stage, n);
            for (int i = threadIdx.x; i < width * (n / radix); i += blockDim.x) {
                const int j = i / width, c = i - j * width;
                if (c >= tile) continue;
                const TileColumn at = {c, width};
#define CALL(R) inverse<R>(shared, at, Butterfly(j, R, block, n), roots)
                FOR_RADIX(radix, CALL)
#undef CALL
            }
            __syncthreads();
        }
        for (int i = threadIdx.x; i < n * width; i += blockDim.x) {
            const int p = i / width, c = i - p * width;
            if (c >= tile) continue;
            if (leave) half[(size_t)p * kept + c] = shared[p * width + c];
            else spectrum[(size_t)p * nx + columns[c0 + c]] = shared[position[p] * width + c];
        }
        __syncthreads();
    }
}

// Rows, `lines` of one wave a block; grid = (ceil(ny / lines), waves), shared: lines·(n + n/16 + 1) + n float2. t[ny][n] in real space;
// places[kept] is where the kept columns stand in the order of the transform. A block reads and writes its own rows only.
extern "C" __global__ void __launch_bounds__(256, 2)
slice_rows(float2* __restrict__ mixed, const float2* __restrict__ t, const float2* __restrict__ roots_n, const int* __restrict__ places,
           int4 radices, int n, int ny, int kept, int lines, int count) {
    DYNAMIC_SHARED(float2, shared);
    const Stages stages(radices);
    const int pitch = n + n / 16 + 1, row0 = blockIdx.x * lines, rows = min(lines, ny - row0);
    float2* const roots = shared + lines * pitch;
    for (int i = threadIdx.x; i < n; i += blockDim.x) roots[i] = roots_n[i];
    for (int wave = blockIdx.y; wave < count; wave += gridDim.y) {
        float2* const half = mixed + ((size_t)wave * ny + row0) * kept;
        for (int i = threadIdx.x; i < rows * pitch; i += blockDim.x) shared[i] = make_float2(0.0f, 0.0f);
        __syncthreads();
        for (int i = threadIdx.x; i < rows * kept; i += blockDim.x) {
            const int row = i / kept, c = i - row * kept;
            shared[PaddedRow{row * pitch}(places[c])] = half[i];
        }
        __syncthreads();
        for (int stage = stages.count - 1; stage >= 1; stage--) {
            const int radix = stages.radix(stage), block = stages.block(stage, n), butterflies = n / radix;
            for (int i = threadIdx.x; i < rows * butterflies; i += blockDim.x) {
                const int row = i / butterflies, j = i - row * butterflies;
                const PaddedRow at = {row * pitch};
#define CALL(R) inverse<R>(shared, at, Butterfly(j, R, block, n), roots)
                FOR_RADIX(radix, CALL)
#undef CALL
            }
            __syncthreads();
        }
        {
            const int radix = stages.radix(0), butterflies = n / radix;
            for (int i = threadIdx.x; i < rows * butterflies; i += blockDim.x) {
                const int row = i / butterflies, j = i - row * butterflies;
                const PaddedRow at = {row * pitch};
                const Factor factor = {t + (size_t)(row0 + row) * n, 1};
#define CALL(R) through_real_space<R>(shared, at, Butterfly(j, R, n, n), roots, factor)
                FOR_RADIX(radix, CALL)
#undef CALL
            }
            __syncthreads();
        }
        for (int stage = 1; stage < stages.count; stage++) {
            const int radix = stages.radix(stage), block = stages.block(stage, n), butterflies = n / radix;
            for (int i = threadIdx.x; i < rows * butterflies; i += blockDim.x) {
                const int row = i / butterflies, j = i - row * butterflies;
                const PaddedRow at = {row * pitch};
#define CALL(R) forward<R>(shared, at, Butterfly(j, R, block, n), roots)
                FOR_RADIX(radix, CALL)
#undef CALL
            }
            __syncthreads();
        }
        for (int i = threadIdx.x; i < rows * kept; i += blockDim.x) {
            const int row = i / kept, c = i - row * kept;
            half[i] = shared[PaddedRow{row * pitch}(places[c])];
        }
        __syncthreads();
    }
}
