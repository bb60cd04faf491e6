// Discrete Fourier transforms of 2 to 16 points in registers, unrolled; unscaled, the sign of the exponent a template parameter.
#ifndef MISTILT_RADIX
#define MISTILT_RADIX

#include "complex.cuh"

// exp(2πi m/R) for m = 0 .. R-1, to the last bit of f32: a Taylor series in double precision, worked out by the compiler.
template <int R> struct Roots {
    float re[R], im[R];
    __host__ __device__ static constexpr double series(double x, bool sine) {
        double term = sine ? x : 1.0, sum = term;
        for (int i = sine ? 2 : 1; i < 48; i += 2) {
            term *= -x * x / (i * (i + 1.0));
            sum += term;
        }
        return sum;
    }
    __host__ __device__ constexpr Roots() : re(), im() {
        for (int m = 0; m < R; m++) {
            const double x = 6.283185307179586476925 * (2 * m > R ? m - R : m) / R;
            re[m] = (float)series(x, false);
            im[m] = (float)series(x, true);
        }
    }
};

template <bool INVERSE> __device__ __forceinline__ float2 quarter_turn(float2 a) {
    return INVERSE ? make_float2(-a.y, a.x) : make_float2(a.y, -a.x);
}

template <int R, bool INVERSE> struct Dft;

template <bool INVERSE> struct Dft<2, INVERSE> {
    static __device__ __forceinline__ void run(float2 (&v)[2]) {
        const float2 a = v[0];
        v[0] = cadd(a, v[1]);
        v[1] = csub(a, v[1]);
    }
};

template <bool INVERSE> struct Dft<3, INVERSE> {
    static __device__ __forceinline__ void run(float2 (&v)[3]) {
        const float2 s = cadd(v[1], v[2]), d = csub(v[1], v[2]);
        const float2 m = make_float2(fmaf(-0.5f, s.x, v[0].x), fmaf(-0.5f, s.y, v[0].y));
        const float root = INVERSE ? 0.866025403784438647f : -0.866025403784438647f;
        v[0] = cadd(v[0], s);
        v[1] = make_float2(fmaf(-root, d.y, m.x), fmaf(root, d.x, m.y));
        v[2] = make_float2(fmaf(root, d.y, m.x), fmaf(-root, d.x, m.y));
    }
};

template <bool INVERSE> struct Dft<4, INVERSE> {
    static __device__ __forceinline__ void run(float2 (&v)[4]) {
        const float2 a = cadd(v[0], v[2]), b = csub(v[0], v[2]), c = cadd(v[1], v[3]);
        const float2 d = quarter_turn<INVERSE>(csub(v[1], v[3]));
        v[0] = cadd(a, c);
        v[1] = cadd(b, d);
        v[2] = csub(a, c);
        v[3] = csub(b, d);
    }
};

template <bool INVERSE> struct Dft<5, INVERSE> {
    static __device__ __forceinline__ void run(float2 (&v)[5]) {
        const float c1 = 0.309016994374947424f, c2 = -0.809016994374947424f;
        const float s1 = INVERSE ? 0.951056516295153572f : -0.951056516295153572f;
        const float s2 = INVERSE ? 0.587785252292473129f : -0.587785252292473129f;
        const float2 a = cadd(v[1], v[4]), b = csub(v[1], v[4]), c = cadd(v[2], v[3]), d = csub(v[2], v[3]);
        const float2 p = make_float2(fmaf(c1, a.x, fmaf(c2, c.x, v[0].x)), fmaf(c1, a.y, fmaf(c2, c.y, v[0].y)));
        const float2 q = make_float2(fmaf(c2, a.x, fmaf(c1, c.x, v[0].x)), fmaf(c2, a.y, fmaf(c1, c.y, v[0].y)));
        const float2 r = make_float2(fmaf(s1, b.x, s2 * d.x), fmaf(s1, b.y, s2 * d.y));
        const float2 t = make_float2(fmaf(s2, b.x, -s1 * d.x), fmaf(s2, b.y, -s1 * d.y));
        v[0] = cadd(v[0], cadd(a, c));
        v[1] = make_float2(p.x - r.y, p.y + r.x);
        v[4] = make_float2(p.x + r.y, p.y - r.x);
        v[2] = make_float2(q.x - t.y, q.y + t.x);
        v[3] = make_float2(q.x + t.y, q.y - t.x);
    }
};

// A·B points: B transforms of A points, twiddles, A transforms of B points. Input point B·a + b, output frequency a + A·b.
template <int A, int B, bool INVERSE> struct Composite {
    static __device__ __forceinline__ void run(float2 (&v)[A * B]) {
        constexpr Roots<A * B> roots;
        float2 w[B][A];
#pragma unroll
        for (int b = 0; b < B; b++) {
#pragma unroll
            for (int a = 0; a < A; a++) w[b][a] = v[B * a + b];
            Dft<A, INVERSE>::run(w[b]);
#pragma unroll
            for (int a = 1; a < A; a++) {
                if (b == 0) continue;
                const float2 root = make_float2(roots.re[a * b], INVERSE ? roots.im[a * b] : -roots.im[a * b]);
                w[b][a] = cmul(w[b][a], root);
            }
        }
#pragma unroll
        for (int a = 0; a < A; a++) {
            float2 u[B];
#pragma unroll
            for (int b = 0; b < B; b++) u[b] = w[b][a];
            Dft<B, INVERSE>::run(u);
#pragma unroll
            for (int b = 0; b < B; b++) v[a + A * b] = u[b];
        }
    }
};

template <bool INVERSE> struct Dft<8, INVERSE> : Composite<2, 4, INVERSE> {};
template <bool INVERSE> struct Dft<9, INVERSE> : Composite<3, 3, INVERSE> {};
template <bool INVERSE> struct Dft<10, INVERSE> : Composite<2, 5, INVERSE> {};
template <bool INVERSE> struct Dft<16, INVERSE> : Composite<4, 4, INVERSE> {};

// Expands call(R) for the radix at hand. As RADICES in src/multislice/cuda/stages.rs has it; where the radix is a constant one case is left.
#define FOR_RADIX(radix, call)    \
    switch (radix) {              \
        case 2: call(2); break;   \
        case 3: call(3); break;   \
        case 4: call(4); break;   \
        case 5: call(5); break;   \
        case 8: call(8); break;   \
        case 9: call(9); break;   \
        case 10: call(10); break; \
        case 16: call(16); break; \
    }

#endif
