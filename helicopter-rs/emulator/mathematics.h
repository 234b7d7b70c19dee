// Functions that CUDA C++ has without a header. Those of the C library are declared here, since its
// header would bring names (int64_t, for one) that kernels may well define for themselves.
#pragma once

#define EMULATED_UNARY(name)                                   \
    extern "C" double name(double) noexcept;                   \
    extern "C" float name##f(float) noexcept;                  \
    static inline float name(float x) { return name##f(x); }
EMULATED_UNARY(sqrt) EMULATED_UNARY(cbrt) EMULATED_UNARY(exp) EMULATED_UNARY(exp2) EMULATED_UNARY(expm1)
EMULATED_UNARY(log) EMULATED_UNARY(log2) EMULATED_UNARY(log10) EMULATED_UNARY(log1p)
EMULATED_UNARY(sin) EMULATED_UNARY(cos) EMULATED_UNARY(tan) EMULATED_UNARY(asin) EMULATED_UNARY(acos)
EMULATED_UNARY(atan) EMULATED_UNARY(sinh) EMULATED_UNARY(cosh) EMULATED_UNARY(tanh) EMULATED_UNARY(asinh)
EMULATED_UNARY(acosh) EMULATED_UNARY(atanh) EMULATED_UNARY(erf) EMULATED_UNARY(erfc)
EMULATED_UNARY(tgamma) EMULATED_UNARY(lgamma) EMULATED_UNARY(fabs) EMULATED_UNARY(floor)
EMULATED_UNARY(ceil) EMULATED_UNARY(round) EMULATED_UNARY(rint) EMULATED_UNARY(trunc) EMULATED_UNARY(nearbyint)

#define EMULATED_BINARY(name)                                             \
    extern "C" double name(double, double) noexcept;                      \
    extern "C" float name##f(float, float) noexcept;                      \
    static inline float name(float x, float y) { return name##f(x, y); }
EMULATED_BINARY(pow) EMULATED_BINARY(fmod) EMULATED_BINARY(atan2) EMULATED_BINARY(hypot)
EMULATED_BINARY(copysign) EMULATED_BINARY(fmin) EMULATED_BINARY(fmax) EMULATED_BINARY(fdim)
EMULATED_BINARY(remainder) EMULATED_BINARY(nextafter)

extern "C" double fma(double, double, double) noexcept;
extern "C" float fmaf(float, float, float) noexcept;
static inline float fma(float a, float b, float c) { return fmaf(a, b, c); }
extern "C" double ldexp(double, int) noexcept;
extern "C" float ldexpf(float, int) noexcept;
extern "C" double frexp(double, int *) noexcept;
extern "C" float frexpf(float, int *) noexcept;
extern "C" double modf(double, double *) noexcept;
extern "C" float modff(float, float *) noexcept;
extern "C" long lrint(double) noexcept;
extern "C" long lrintf(float) noexcept;
extern "C" long lround(double) noexcept;
extern "C" long lroundf(float) noexcept;
extern "C" long long llrint(double) noexcept;
extern "C" long long llrintf(float) noexcept;
extern "C" long long llround(double) noexcept;
extern "C" long long llroundf(float) noexcept;
extern "C" void *memcpy(void *, const void *, size_t) noexcept;
extern "C" void *memset(void *, int, size_t) noexcept;

static inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
static inline double rsqrt(double x) { return 1.0 / sqrt(x); }
static inline float rsqrt(float x) { return rsqrtf(x); }
static inline float rcbrtf(float x) { return 1.0f / cbrtf(x); }
static inline float exp10f(float x) { return powf(10.0f, x); }
static inline double exp10(double x) { return pow(10.0, x); }
static inline void sincosf(float x, float *s, float *c) { *s = sinf(x); *c = cosf(x); }
static inline void sincos(double x, double *s, double *c) { *s = sin(x); *c = cos(x); }
static inline float sinpif(float x) { return float(sin(3.14159265358979323846 * x)); }
static inline float cospif(float x) { return float(cos(3.14159265358979323846 * x)); }
static inline double norm3d(double a, double b, double c) { return sqrt(a * a + b * b + c * c); }

#define isnan(x) __builtin_isnan(x)
#define isinf(x) __builtin_isinf_sign(x)
#define isfinite(x) __builtin_isfinite(x)
#define signbit(x) __builtin_signbit(x)

// The usual conversions of two different types, as CUDA's overloads do them; of unsigned and int too.
#define EMULATED_MIN_MAX(T)                                          \
    static inline T min(T a, T b) { return b < a ? b : a; }          \
    static inline T max(T a, T b) { return a < b ? b : a; }
EMULATED_MIN_MAX(int) EMULATED_MIN_MAX(unsigned) EMULATED_MIN_MAX(long) EMULATED_MIN_MAX(unsigned long)
EMULATED_MIN_MAX(long long) EMULATED_MIN_MAX(unsigned long long)
static inline float min(float a, float b) { return fminf(a, b); }
static inline float max(float a, float b) { return fmaxf(a, b); }
static inline double min(double a, double b) { return fmin(a, b); }
static inline double max(double a, double b) { return fmax(a, b); }
#define EMULATED_MIXED(A, B, T)                                                              \
    static inline T min(A a, B b) { return min((T)a, (T)b); }                                \
    static inline T min(B a, A b) { return min((T)a, (T)b); }                                \
    static inline T max(A a, B b) { return max((T)a, (T)b); }                                \
    static inline T max(B a, A b) { return max((T)a, (T)b); }
EMULATED_MIXED(int, unsigned, unsigned)
EMULATED_MIXED(long, unsigned long, unsigned long)
EMULATED_MIXED(long long, unsigned long long, unsigned long long)
EMULATED_MIXED(float, double, double)
static inline unsigned umin(unsigned a, unsigned b) { return min(a, b); }
static inline unsigned umax(unsigned a, unsigned b) { return max(a, b); }
static inline long long llmin(long long a, long long b) { return min(a, b); }
static inline long long llmax(long long a, long long b) { return max(a, b); }

extern "C" int abs(int) noexcept;
extern "C" long labs(long) noexcept;
extern "C" long long llabs(long long) noexcept;
static inline long abs(long x) { return labs(x); }
static inline long long abs(long long x) { return llabs(x); }
static inline float abs(float x) { return fabsf(x); }
static inline double abs(double x) { return fabs(x); }

// -- bits -----------------------------------------------------------------------------------------

template <class T> static inline T __ldg(const T *p) { return *p; }
template <class T> static inline T __ldcs(const T *p) { return *p; }
template <class T> static inline T __ldca(const T *p) { return *p; }
template <class T> static inline T __ldcg(const T *p) { return *p; }
template <class T> static inline void __stcs(T *p, T value) { *p = value; }
template <class T> static inline void __stcg(T *p, T value) { *p = value; }

template <class To, class From> static inline To emulated_bits(From x) {
    static_assert(sizeof(To) == sizeof(From), "bits of one size");
    To y;
    __builtin_memcpy(&y, &x, sizeof(To));
    return y;
}
static inline int __float_as_int(float x) { return emulated_bits<int>(x); }
static inline unsigned __float_as_uint(float x) { return emulated_bits<unsigned>(x); }
static inline float __int_as_float(int x) { return emulated_bits<float>(x); }
static inline float __uint_as_float(unsigned x) { return emulated_bits<float>(x); }
static inline long long __double_as_longlong(double x) { return emulated_bits<long long>(x); }
static inline double __longlong_as_double(long long x) { return emulated_bits<double>(x); }

static inline int __popc(unsigned x) { return __builtin_popcount(x); }
static inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
static inline int __clz(int x) { return x ? __builtin_clz(unsigned(x)) : 32; }
static inline int __clzll(long long x) { return x ? __builtin_clzll((unsigned long long)(x)) : 64; }
static inline int __ffs(int x) { return __builtin_ffs(x); }
static inline int __ffsll(long long x) { return __builtin_ffsll(x); }
static inline unsigned __brev(unsigned x) {
    unsigned y = 0;
    for (int i = 0; i < 32; ++i) y |= ((x >> i) & 1u) << (31 - i);
    return y;
}
static inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)(((unsigned long long)a * b) >> 32); }
static inline int __mulhi(int a, int b) { return int(((long long)a * b) >> 32); }
static inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return (unsigned long long)((unsigned __int128)a * b >> 64);
}
static inline int __mul24(int a, int b) { return a * b; }
static inline unsigned __umul24(unsigned a, unsigned b) { return a * b; }
static inline unsigned __funnelshift_l(unsigned low, unsigned high, unsigned by) {
    return (unsigned)((((unsigned long long)high << 32 | low) << (by & 31)) >> 32);
}
static inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned by) {
    return (unsigned)(((unsigned long long)high << 32 | low) >> (by & 31));
}

// -- arithmetic and conversions with their rounding in the name ------------------------------------

static inline float __fadd_rn(float a, float b) { return a + b; }
static inline float __fsub_rn(float a, float b) { return a - b; }
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline float __fdiv_rn(float a, float b) { return a / b; }
static inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
static inline float __fsqrt_rn(float x) { return sqrtf(x); }
static inline float __frcp_rn(float x) { return 1.0f / x; }
static inline float __frsqrt_rn(float x) { return float(1.0 / sqrt(double(x))); }
static inline double __dadd_rn(double a, double b) { return a + b; }
static inline double __dsub_rn(double a, double b) { return a - b; }
static inline double __dmul_rn(double a, double b) { return a * b; }
static inline double __ddiv_rn(double a, double b) { return a / b; }
static inline double __dsqrt_rn(double x) { return sqrt(x); }
static inline double __fma_rn(double a, double b, double c) { return fma(a, b, c); }
static inline float __fdividef(float a, float b) { return a / b; }
static inline float fdividef(float a, float b) { return a / b; }
static inline float __expf(float x) { return expf(x); }
static inline float __exp10f(float x) { return exp10f(x); }
static inline float __logf(float x) { return logf(x); }
static inline float __log2f(float x) { return log2f(x); }
static inline float __log10f(float x) { return log10f(x); }
static inline float __powf(float x, float y) { return powf(x, y); }
static inline float __sinf(float x) { return sinf(x); }
static inline float __cosf(float x) { return cosf(x); }
static inline float __tanf(float x) { return tanf(x); }
static inline float __saturatef(float x) { return x > 0.0f ? (x < 1.0f ? x : 1.0f) : 0.0f; }
static inline float saturate(float x) { return __saturatef(x); }

// A card saturates where C++ leaves the result open.
template <class T> static inline T emulated_integer(double x) {
    const T least = T(-1) < T(0) ? T(T(1) << (8 * sizeof(T) - 1)) : T(0), greatest = T(~least);
    return isnan(x) ? T(0) : x <= double(least) ? least : x >= double(greatest) ? greatest : T(x);
}
#define EMULATED_CONVERSIONS(from, F, to, T)                                                     \
    static inline T __##from##2##to##_rn(F x) { return emulated_integer<T>(rint(double(x))); }   \
    static inline T __##from##2##to##_rz(F x) { return emulated_integer<T>(trunc(double(x))); }  \
    static inline T __##from##2##to##_rd(F x) { return emulated_integer<T>(floor(double(x))); }  \
    static inline T __##from##2##to##_ru(F x) { return emulated_integer<T>(ceil(double(x))); }
EMULATED_CONVERSIONS(float, float, int, int) EMULATED_CONVERSIONS(float, float, uint, unsigned)
EMULATED_CONVERSIONS(float, float, ll, long long) EMULATED_CONVERSIONS(float, float, ull, unsigned long long)
EMULATED_CONVERSIONS(double, double, int, int) EMULATED_CONVERSIONS(double, double, uint, unsigned)
EMULATED_CONVERSIONS(double, double, ll, long long)
EMULATED_CONVERSIONS(double, double, ull, unsigned long long)
static inline float __int2float_rn(int x) { return float(x); }
static inline float __uint2float_rn(unsigned x) { return float(x); }
static inline float __ll2float_rn(long long x) { return float(x); }
static inline float __ull2float_rn(unsigned long long x) { return float(x); }
static inline double __int2double_rn(int x) { return double(x); }
static inline double __uint2double_rn(unsigned x) { return double(x); }
static inline double __ll2double_rn(long long x) { return double(x); }
static inline double __ull2double_rn(unsigned long long x) { return double(x); }
static inline float __double2float_rn(double x) { return float(x); }
