// M = S† S on a detector: S holds the exit waves on the ring, each point times the root of its weight. Products in f32, sixteen at a time,
// then f64: fp64 units are rare on most cards, and sixteen terms lose nothing that f32 waves had.
#include "complex.cuh"

#define TILE 32
#define DEPTH 16

// Many matrices in one launch. tiles[block] = (matrix, tile row, tile column), columns not above rows: the lower triangle.
// Matrix g: ring points ring_first[g] .. ring_first[g + 1] of (positions, roots), waves column_first[g] .. of columns,
// result at out + offset[g], row-major, as many rows as columns. block = (16, 16). Each element is written by one thread of one block.
extern "C" __global__ void __launch_bounds__(256)
gram(double2* __restrict__ out, const float2* __restrict__ waves, const int* __restrict__ positions, const float* __restrict__ roots,
     const int* __restrict__ ring_first, const int* __restrict__ columns, const int* __restrict__ column_first,
     const long long* __restrict__ offset, const int* __restrict__ tiles, int n) {
    __shared__ float2 left[DEPTH][TILE + 1];
    __shared__ float2 right[DEPTH][TILE + 1];
    const int g = tiles[3 * blockIdx.x], row0 = tiles[3 * blockIdx.x + 1] * TILE, column0 = tiles[3 * blockIdx.x + 2] * TILE;
    const int first = ring_first[g], last = ring_first[g + 1], size = column_first[g + 1] - column_first[g];
    const int* __restrict__ mine = columns + column_first[g];
    const int tx = threadIdx.x, ty = threadIdx.y, thread = ty * 16 + tx;
    const int pixel = thread % DEPTH, lane = thread / DEPTH;
    double2 sum[2][2];
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++) sum[i][j] = make_double2(0.0, 0.0);

    for (int start = first; start < last; start += DEPTH) {
        const int at = start + pixel;
        const bool inside = at < last;
        const int position = inside ? positions[at] : 0;
        const float root = inside ? roots[at] : 0.0f;
        for (int c = lane; c < TILE; c += 256 / DEPTH) {
            float2 a = make_float2(0.0f, 0.0f), b = a;
            if (inside && row0 + c < size) a = waves[(size_t)mine[row0 + c] * n + position];
            if (inside && column0 + c < size) b = waves[(size_t)mine[column0 + c] * n + position];
            left[pixel][c] = make_float2(a.x * root, a.y * root);
            right[pixel][c] = make_float2(b.x * root, b.y * root);
        }
        __syncthreads();
        float2 part[2][2];
        for (int i = 0; i < 2; i++)
            for (int j = 0; j < 2; j++) part[i][j] = make_float2(0.0f, 0.0f);
        for (int p = 0; p < DEPTH; p++) {
            const float2 a[2] = {left[p][ty], left[p][ty + 16]}, b[2] = {right[p][tx], right[p][tx + 16]};
            for (int i = 0; i < 2; i++)
                for (int j = 0; j < 2; j++) {
                    // conj(a)·b
                    part[i][j].x = fmaf(a[i].x, b[j].x, fmaf(a[i].y, b[j].y, part[i][j].x));
                    part[i][j].y = fmaf(a[i].x, b[j].y, fmaf(-a[i].y, b[j].x, part[i][j].y));
                }
        }
        for (int i = 0; i < 2; i++)
            for (int j = 0; j < 2; j++) {
                sum[i][j].x += part[i][j].x;
                sum[i][j].y += part[i][j].y;
            }
        __syncthreads();
    }
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++) {
            const int row = row0 + ty + 16 * i, column = column0 + tx + 16 * j;
            if (row < size && column < size) out[offset[g] + (long long)row * size + column] = sum[i][j];
        }
}
