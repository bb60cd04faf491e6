// Waves at the entrance surface: plane waves, and one probe at many places. Spectra in FFT order, [wave][ny][nx].
#include "complex.cuh"

// One plane wave of amplitude 1 a wave, at FFT position positions[wave]; grid = (ceil(n / block), waves).
extern "C" __global__ void __launch_bounds__(256)
plane_waves(float2* __restrict__ out, const int* __restrict__ positions, int n, int waves) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    for (int wave = blockIdx.y; wave < waves; wave += gridDim.y)
        out[(size_t)wave * n + i] = make_float2(i == positions[wave] ? 1.0f : 0.0f, 0.0f);
}

// out[wave] = A(k)·exp(-2πi k·r) for r = places[wave] (x, y in Å) and k = offset + h b1 + k b2 (1/Å), phases in double precision.
extern "C" __global__ void __launch_bounds__(256)
probes(float2* __restrict__ out, const float2* __restrict__ aperture, const double* __restrict__ places, int nx, int ny, double offset_x,
       double offset_y, double b1x, double b1y, double b2x, double b2y, int waves) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x, n = nx * ny;
    if (i >= n) return;
    const int y = i / nx, x = i - y * nx;
    const double h = signed_frequency(x, nx), k = signed_frequency(y, ny);
    const double qx = offset_x + h * b1x + k * b2x, qy = offset_y + h * b1y + k * b2y;
    const float2 a = aperture[i];
    for (int wave = blockIdx.y; wave < waves; wave += gridDim.y) {
        double turns = qx * places[2 * wave] + qy * places[2 * wave + 1], s, c;
        turns -= trunc(turns);
        sincospi(-2.0 * turns, &s, &c);
        out[(size_t)wave * n + i] = cmul(a, make_float2((float)c, (float)s));
    }
}
