// Propagators P(k) = pass(k)·exp(-iπλΔz|k|² + 2πiΔz k·θ)·scale, one for each distance; the Bloch offset stands in k. Phases in double precision.
//
// What passes the band limit is decided on the host, in f64, for every engine alike: at its sharp edge a rounding would add or lose a beam.
#include "complex.cuh"

// out[distance][ny][width]; columns[width], rows[ny] hold the signed frequencies in storage order, so that a transform may keep its own order
// and leave out what nothing passes. grid = (ceil(width·ny / block), distances). θ in rad, distances in Å, k = offset + h b1 + k b2 in 1/Å. pass[ny][nx] is in FFT order.
extern "C" __global__ void __launch_bounds__(256)
propagator(float2* __restrict__ out, const float* __restrict__ pass, const int* __restrict__ columns, const int* __restrict__ rows,
           const double* __restrict__ distances, int width, int nx, int ny, double offset_x, double offset_y, double b1x, double b1y, double b2x,
           double b2y, double wavelength, double tilt_x, double tilt_y, float scale, int count) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x, n = width * ny;
    if (i >= n) return;
    const int h = columns[i % width], k = rows[i / width];
    const float passed = pass[(k < 0 ? k + ny : k) * nx + (h < 0 ? h + nx : h)] * scale;
    const double qx = offset_x + h * b1x + k * b2x, qy = offset_y + h * b1y + k * b2y;
    // In half turns for a distance of 1 Å.
    const double phase = 2.0 * (qx * tilt_x + qy * tilt_y) - wavelength * (qx * qx + qy * qy);
    for (int d = blockIdx.y; d < count; d += gridDim.y) {
        double s, c;
        sincospi(phase * distances[d], &s, &c);
        out[(size_t)d * n + i] = make_float2((float)c * passed, (float)s * passed);
    }
}
