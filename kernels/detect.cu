// What detectors count: Σ w|ψ(k)|² over the raster points of a ring, and the whole intensity; f64, in an order that nothing changes.
#include "complex.cuh"

// Sum over the block in a fixed tree; the result is valid in thread 0. `partial` holds blockDim.x = 128 doubles.
__device__ __forceinline__ double block_sum(double value, double* partial) {
    partial[threadIdx.x] = value;
    __syncthreads();
    for (int half = blockDim.x / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) partial[threadIdx.x] += partial[threadIdx.x + half];
        __syncthreads();
    }
    return partial[0];
}

// out[wave][ring] = Σ weights·|waves[wave][positions]|² over first[ring] .. first[ring + 1]; grid = (rings, waves), 128 threads.
// Each element is written by one thread of one block.
extern "C" __global__ void __launch_bounds__(128)
ring_sums(double* __restrict__ out, const float2* __restrict__ waves, const int* __restrict__ positions, const double* __restrict__ weights,
          const int* __restrict__ first, int n, int rings, int count) {
    __shared__ double partial[128];
    const int ring = blockIdx.x;
    for (int wave = blockIdx.y; wave < count; wave += gridDim.y) {
        double sum = 0.0;
        for (int i = first[ring] + threadIdx.x; i < first[ring + 1]; i += blockDim.x) {
            const float2 c = waves[(size_t)wave * n + positions[i]];
            sum += weights[i] * ((double)c.x * c.x + (double)c.y * c.y);
        }
        const double total = block_sum(sum, partial);
        if (threadIdx.x == 0) out[(size_t)wave * rings + ring] = total;
        __syncthreads();
    }
}

// out[wave] = Σ|waves[wave]|²; grid = (1, waves), 128 threads.
extern "C" __global__ void __launch_bounds__(128)
intensities(double* __restrict__ out, const float2* __restrict__ waves, int n, int count) {
    __shared__ double partial[128];
    for (int wave = blockIdx.y; wave < count; wave += gridDim.y) {
        double sum = 0.0;
        for (int i = threadIdx.x; i < n; i += blockDim.x) {
            const float2 c = waves[(size_t)wave * n + i];
            sum += (double)c.x * c.x + (double)c.y * c.y;
        }
        const double total = block_sum(sum, partial);
        if (threadIdx.x == 0) out[wave] = total;
        __syncthreads();
    }
}
