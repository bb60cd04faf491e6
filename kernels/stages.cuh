// Transforms of whole lines in shared memory, in place, as stages of 2 to 16 points.
//
// Forward, a line of n = r0·r1·… points is decimated in frequency: stage s splits every block of m = rs·l points into rs blocks of l. The
// spectrum ends in digit-reversed order, frequency k0 + r0·(k1 + r1·(…)) at position k0·n/r0 + k1·n/(r0 r1) + …; nothing is ever sorted.
// The inverse undoes the stages from the last to the first and ends in natural order. Within a stage every butterfly reads and writes its own
// points only, so one barrier stands between stages and none within. Two butterflies that stand back to back on the same points (the last
// of one direction and the first of the other) are one, with a multiplication between them: that is where exp(iσV) and P come in.
#ifndef MISTILT_STAGES
#define MISTILT_STAGES

#include "radix.cuh"

// Radices of a line, up to four, the unused 1.
struct Stages {
    int4 radices;
    int count;
    __device__ __forceinline__ explicit Stages(int4 r) : radices(r), count(r.y == 1 ? 1 : r.z == 1 ? 2 : r.w == 1 ? 3 : 4) {}
    // No array: an index known only at run time would put it in local memory.
    __device__ __forceinline__ int radix(int s) const { return s == 0 ? radices.x : s == 1 ? radices.y : s == 2 ? radices.z : radices.w; }
    // Points of a block of stage s: the line split by all stages before.
    __device__ __forceinline__ int block(int s, int n) const {
        for (int i = 0; i < s; i++) n /= radix(i);
        return n;
    }
};

// Butterfly number j of stage s of a line: its first point, the distance of its points, and the step of its twiddles in roots of the line.
struct Butterfly {
    int start, distance, twiddle;
    __device__ __forceinline__ Butterfly(int j, int radix, int block, int n) {
        distance = block / radix;
        const int group = j / distance, within = j - group * distance;
        start = group * block + within;
        twiddle = within * (n / block);
    }
};

// A point of a row in shared memory: one place in seventeen is left empty, so that the strides of late stages meet different banks.
struct PaddedRow {
    int base;
    __device__ __forceinline__ int operator()(int p) const { return base + p + (p >> 4); }
};

// A point of a column among `width` columns.
struct TileColumn {
    int column, width;
    __device__ __forceinline__ int operator()(int p) const { return p * width + column; }
};

// A table of factors along a line.
struct Factor {
    const float2* table;
    int stride;
    __device__ __forceinline__ float2 operator()(int p) const { return __ldg(&table[(size_t)p * stride]); }
};

// roots[i] = exp(-2πi i/n). `at(p)` maps a point of the line to its place in `data`.
template <int R, class At> __device__ __forceinline__ void forward(float2* data, const At& at, Butterfly b, const float2* roots) {
    float2 v[R];
#pragma unroll
    for (int m = 0; m < R; m++) v[m] = data[at(b.start + m * b.distance)];
    Dft<R, false>::run(v);
#pragma unroll
    for (int m = 0; m < R; m++) data[at(b.start + m * b.distance)] = m == 0 ? v[m] : cmul(v[m], roots[m * b.twiddle]);
}

template <int R, class At> __device__ __forceinline__ void inverse(float2* data, const At& at, Butterfly b, const float2* roots) {
    float2 v[R];
#pragma unroll
    for (int m = 0; m < R; m++) {
        const float2 c = data[at(b.start + m * b.distance)];
        v[m] = m == 0 ? c : cmul_conj(c, roots[m * b.twiddle]);
    }
    Dft<R, true>::run(v);
#pragma unroll
    for (int m = 0; m < R; m++) data[at(b.start + m * b.distance)] = v[m];
}

// The inverse's first stage (s = 0), × table, the forward's first stage: real space between them. table(p) is the factor at point p.
template <int R, class At, class Table>
__device__ __forceinline__ void through_real_space(float2* data, const At& at, Butterfly b, const float2* roots, const Table& table) {
    float2 v[R];
#pragma unroll
    for (int m = 0; m < R; m++) {
        const float2 c = data[at(b.start + m * b.distance)];
        v[m] = m == 0 ? c : cmul_conj(c, roots[m * b.twiddle]);
    }
    Dft<R, true>::run(v);
#pragma unroll
    for (int m = 0; m < R; m++) v[m] = cmul(v[m], table(b.start + m * b.distance));
    Dft<R, false>::run(v);
#pragma unroll
    for (int m = 0; m < R; m++) data[at(b.start + m * b.distance)] = m == 0 ? v[m] : cmul(v[m], roots[m * b.twiddle]);
}

// The forward's last stage, × table, the inverse's last stage, which have no twiddles: Fourier space between them. Either side may be left out.
template <int R, class At, class Table>
__device__ __forceinline__ void through_fourier_space(float2* data, const At& at, Butterfly b, bool arrive, bool leave, const Table& table) {
    float2 v[R];
#pragma unroll
    for (int m = 0; m < R; m++) v[m] = data[at(b.start + m * b.distance)];
    if (arrive) {
        Dft<R, false>::run(v);
#pragma unroll
        for (int m = 0; m < R; m++) v[m] = cmul(v[m], table(b.start + m * b.distance));
    }
    if (leave) Dft<R, true>::run(v);
#pragma unroll
    for (int m = 0; m < R; m++) data[at(b.start + m * b.distance)] = v[m];
}

#endif
