// Images from M: c_Q = Σ_G A*(G) A(G - Q) M(G, G - Q) for every Q of an image and every probe; f64, beams in their order.
#include "complex.cuh"

// One probe a block row. Probe p: beams beam_first[p] .. beam_first[p + 1] of (column, h, k, amplitude); matrix[p] says which M it reads.
// box[5 p ..] = (smallest h, smallest k, width, height, start): lookup + start is a table over the beams' bounding box, [k][h], of the
// beam's number from beam_first[p], or -1. Half of the Q of an image is computed, (h > 0) or (h = 0 and k >= 0): the other
// half is its conjugate. out[p][h][k], h = 0 .. h_max, k = -k_max .. k_max; grid = (ceil(coefficients / block), probes).
// Each element is written by one thread.
extern "C" __global__ void __launch_bounds__(128)
contract(double2* __restrict__ out, const double2* __restrict__ m, const long long* __restrict__ offset, const int* __restrict__ matrix,
         const int* __restrict__ column_first, const int* __restrict__ beam_first, const int* __restrict__ beams,
         const double2* __restrict__ amplitudes, const int* __restrict__ box, const int* __restrict__ lookup, int h_max, int k_max, int probes) {
    const int q = blockIdx.x * blockDim.x + threadIdx.x, rows = 2 * k_max + 1;
    if (q >= (h_max + 1) * rows) return;
    const int dh = q / rows, dk = q - dh * rows - k_max;
    for (int p = blockIdx.y; p < probes; p += gridDim.y) {
        double2 sum = make_double2(0.0, 0.0);
        const int g = matrix[p], size = column_first[g + 1] - column_first[g], first = beam_first[p];
        const int h0 = box[5 * p], k0 = box[5 * p + 1], width = box[5 * p + 2], height = box[5 * p + 3];
        const int* __restrict__ table = lookup + box[5 * p + 4];
        const double2* __restrict__ matrix_p = m + offset[g];
        for (int b = first; b < beam_first[p + 1]; b++) {
            const int h = beams[3 * b + 1] - dh - h0, k = beams[3 * b + 2] - dk - k0;
            if (h < 0 || h >= width || k < 0 || k >= height) continue;
            const int other = table[k * width + h];
            if (other < 0) continue;
            const int i = beams[3 * b], j = beams[3 * (first + other)];
            double2 e = matrix_p[(long long)(i >= j ? i : j) * size + (i >= j ? j : i)];
            if (i < j) e.y = -e.y;
            const double2 a = amplitudes[b], c = amplitudes[first + other];
            // conj(a)·c
            const double re = a.x * c.x + a.y * c.y, im = a.x * c.y - a.y * c.x;
            sum.x += re * e.x - im * e.y;
            sum.y += re * e.y + im * e.x;
        }
        out[(size_t)p * (h_max + 1) * rows + q] = sum;
    }
}
