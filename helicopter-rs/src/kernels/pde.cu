// Hidden pixels as the solution of L u = 0 or, with BIHARMONIC, L L u = 0: conjugate gradients in float64,
// preconditioned by a multigrid V-cycle in float32. What `multigrid.rs` and `coarse.rs` say holds here too.
//
// Vectors are arrays over the rectangle around what is hidden, with two free cells on every side, zero
// wherever there is no unknown; rows begin `stride` cells apart. A channel follows the other, blockIdx.z
// being the channel. The rows of a coarse matrix that lie inside a hole are equal and stored once, as
// number 0; the entries of all rows lie plane by plane.

#ifndef BIHARMONIC
#define BIHARMONIC 0
#endif

typedef unsigned char Byte;
constexpr int PAD = 2;
constexpr int REDUCED = 256;  // threads of what reduces
constexpr int ENTRIES = 25;

// The place of a channel in the scalars of the iteration.
enum { NOW, BEFORE, ALPHA, BETA, LARGEST, DONE, SCALARS };

__device__ __forceinline__ int cell_of(int y, int x, int stride) { return (y + PAD) * stride + x + PAD; }

__device__ __forceinline__ long long channel_at(int height, int stride) {
    return (long long)blockIdx.z * (height + 2 * PAD) * stride;
}

// -- the equations --------------------------------------------------------------------------------

// The image, of which the rectangle's first cell is (top, left).
struct Image {
    int height, width, top, left;

    __device__ __forceinline__ int degree(int y, int x) const {
        return 4 - (y == 0) - (y == height - 1) - (x == 0) - (x == width - 1);
    }
    __device__ __forceinline__ bool contains(int y, int x) const {
        return y >= 0 && x >= 0 && y < height && x < width;
    }
    // The entry between pixel (y, x) and the one (dy, dx) away; both in the image.
    __device__ __forceinline__ int entry(int y, int x, int dy, int dx) const {
        const int far = abs(dy) + abs(dx), d = degree(y, x);
        if (far == 0) return BIHARMONIC ? d * d + d : d;
        if (!BIHARMONIC) return far == 1 ? -1 : 0;
        if (far == 1) return -d - degree(y + dy, x + dx);
        if (far > 2) return 0;
        return dy != 0 && dx != 0 ? 2 : 1;
    }
    // (A z)(y, x), where `z(dy, dx)` gives what is near, 0 outside the image.
    template <class T, class Near>
    __device__ __forceinline__ T applied(int y, int x, const Near &z) const {
        if constexpr (!BIHARMONIC) {
            return T(degree(y, x)) * z(0, 0) - (z(-1, 0) + z(1, 0)) - (z(0, -1) + z(0, 1));
        } else {
            const T far = (z(-2, 0) + z(2, 0)) + (z(0, -2) + z(0, 2));
            const T diagonal = (z(-1, -1) + z(-1, 1)) + (z(1, -1) + z(1, 1));
            const bool inner = y >= 2 && x >= 2 && y < height - 2 && x < width - 2;
            if (inner) {
                const T straight = (z(-1, 0) + z(1, 0)) + (z(0, -1) + z(0, 1));
                return T(20) * z(0, 0) - T(8) * straight + T(2) * diagonal + far;
            }
            const int d = degree(y, x);
            const T straight = (T(d + degree(y - 1, x)) * z(-1, 0) + T(d + degree(y + 1, x)) * z(1, 0)) +
                               (T(d + degree(y, x - 1)) * z(0, -1) + T(d + degree(y, x + 1)) * z(0, 1));
            return T(d * d + d) * z(0, 0) - straight + T(2) * diagonal + far;
        }
    }
};

constexpr int STEPS = BIHARMONIC ? 12 : 4;

// The neighbours that the matrix couples a pixel with.
__device__ __forceinline__ void step_of(int number, int &dy, int &dx) {
    const signed char harmonic[4][2] = {{-1, 0}, {0, -1}, {0, 1}, {1, 0}};
    const signed char biharmonic[12][2] = {{-2, 0}, {-1, -1}, {-1, 0}, {-1, 1}, {0, -2}, {0, -1},
                                           {0, 1},  {0, 2},   {1, -1}, {1, 0},  {1, 1},  {2, 0}};
    dy = BIHARMONIC ? biharmonic[number][0] : harmonic[number % 4][0];
    dx = BIHARMONIC ? biharmonic[number][1] : harmonic[number % 4][1];
}

// Rows and columns that hold something hidden, (top, left, bottom, right), and how many pixels are hidden.
extern "C" __global__ void __launch_bounds__(256)
bounds(const Byte *__restrict__ hidden, int *__restrict__ found, unsigned long long *__restrict__ total, int height,
       int width) {
    __shared__ int box[4];
    __shared__ int count;
    if (threadIdx.x < 4) box[threadIdx.x] = threadIdx.x < 2 ? 0x7fffffff : -1;
    if (threadIdx.x == 0) count = 0;
    __syncthreads();
    int top = 0x7fffffff, left = 0x7fffffff, bottom = -1, right = -1, mine = 0;
    for (int y = blockIdx.x; y < height; y += gridDim.x) {
        for (int x = threadIdx.x; x < width; x += blockDim.x) {
            if (!hidden[(long long)y * width + x]) continue;
            top = min(top, y), bottom = max(bottom, y);
            left = min(left, x), right = max(right, x);
            ++mine;
        }
    }
    if (mine) {
        atomicMin(&box[0], top);
        atomicMin(&box[1], left);
        atomicMax(&box[2], bottom);
        atomicMax(&box[3], right);
        atomicAdd(&count, mine);
    }
    __syncthreads();
    if (threadIdx.x == 0 && count) {
        atomicMin(&found[0], box[0]);
        atomicMin(&found[1], box[1]);
        atomicMax(&found[2], box[2]);
        atomicMax(&found[3], box[3]);
        atomicAdd(total, (unsigned long long)count);
    }
}

// Finds the unknowns (2 where all neighbours are unknown too, else 1), and moves what is visible to the
// right-hand side. The threads of channel 0 write `active`.
extern "C" __global__ void __launch_bounds__(256)
right_hand_side(const float *__restrict__ image, const Byte *__restrict__ hidden, Byte *__restrict__ active,
                double *__restrict__ r, float *__restrict__ rounded, int image_height, int image_width,
                int channels, int first_channel, int top, int left, int height, int width, int stride) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height) return;
    const Image of = {image_height, image_width, top, left};
    const int v = top + y, u = left + x;
    if (!hidden[(long long)v * image_width + u]) return;
    const int channel = first_channel + blockIdx.z;
    const int cell = cell_of(y, x, stride);
    double sum = 0.0;
    bool regular = true;
    for (int step = 0; step < STEPS; ++step) {
        int dy, dx;
        step_of(step, dy, dx);
        if (!of.contains(v + dy, u + dx)) {
            regular = false;
            continue;
        }
        const long long there = (long long)(v + dy) * image_width + u + dx;
        if (hidden[there]) continue;
        regular = false;
        sum -= of.entry(v, u, dy, dx) * (double)image[there * channels + channel];
    }
    if (blockIdx.z == 0) active[cell] = regular ? 2 : 1;
    r[channel_at(height, stride) + cell] = sum;
    rounded[channel_at(height, stride) + cell] = (float)sum;
}

// -- sums in a fixed order --------------------------------------------------------------------------

// Sum and largest absolute value over a block of 256 threads; what is no number counts as infinite.
__device__ void reduce_block(double &sum, float &largest) {
    __shared__ double sums[REDUCED / 32];
    __shared__ float most[REDUCED / 32];
    const int thread = threadIdx.y * blockDim.x + threadIdx.x;
    for (int by = 16; by > 0; by /= 2) {
        sum += __shfl_down_sync(0xffffffffu, sum, by);
        largest = fmaxf(largest, __shfl_down_sync(0xffffffffu, largest, by));
    }
    if (thread % 32 == 0) sums[thread / 32] = sum, most[thread / 32] = largest;
    __syncthreads();
    if (thread == 0) {
        for (int warp = 1; warp < REDUCED / 32; ++warp) {
            sum += sums[warp];
            largest = fmaxf(largest, most[warp]);
        }
    }
}

__device__ __forceinline__ float magnitude(float value) {
    return value == value ? fabsf(value) : __int_as_float(0x7f800000);
}

// A block's share, among those of its channel.
__device__ __forceinline__ void note(double sum, float largest, double *partial_sums, float *partial_largest) {
    reduce_block(sum, largest);
    if (threadIdx.x == 0 && threadIdx.y == 0) {
        const int blocks = gridDim.x * gridDim.y;
        const int at = blockIdx.z * blocks + blockIdx.y * gridDim.x + blockIdx.x;
        partial_sums[at] = sum;
        if (partial_largest) partial_largest[at] = largest;
    }
}

// After the preconditioner: how far to turn. One block a channel.
extern "C" __global__ void __launch_bounds__(256)
turn(const double *__restrict__ sums, const float *__restrict__ most, double *__restrict__ scalars, int count) {
    double sum = 0.0;
    float largest = 0.0f;
    for (int i = threadIdx.x; i < count; i += REDUCED) {
        sum += sums[(long long)blockIdx.z * count + i];
        largest = fmaxf(largest, most[(long long)blockIdx.z * count + i]);
    }
    reduce_block(sum, largest);
    if (threadIdx.x != 0) return;
    double *of = scalars + blockIdx.z * SCALARS;
    // not positive: rounding is all that is left; ends on what is not finite, too
    if (!(sum > 0.0 && sum - sum == 0.0)) of[DONE] = 1.0;
    of[NOW] = sum;
    of[BETA] = of[BEFORE] > 0.0 && of[DONE] == 0.0 ? sum / of[BEFORE] : 0.0;
    of[LARGEST] = largest;
}

// After the matrix: how far to go, and whether that was the last step.
extern "C" __global__ void __launch_bounds__(256)
go(const double *__restrict__ sums, double *__restrict__ scalars, int count, double tolerance) {
    double sum = 0.0;
    float largest = 0.0f;
    for (int i = threadIdx.x; i < count; i += REDUCED) sum += sums[(long long)blockIdx.z * count + i];
    reduce_block(sum, largest);
    if (threadIdx.x != 0) return;
    double *of = scalars + blockIdx.z * SCALARS;
    const double alpha = of[DONE] == 0.0 ? of[NOW] / sum : 0.0;
    const bool finite = alpha - alpha == 0.0;
    of[ALPHA] = finite ? alpha : 0.0;
    of[BEFORE] = of[NOW];
    if (!finite || of[LARGEST] < tolerance) of[DONE] = 1.0;
}

// -- conjugate gradients ------------------------------------------------------------------------------

// p becomes z + beta p, q becomes A p.
extern "C" __global__ void __launch_bounds__(256)
direction(const float *__restrict__ z, const double *__restrict__ before, double *__restrict__ p,
          double *__restrict__ q, const Byte *__restrict__ active, const double *__restrict__ scalars,
          double *__restrict__ sums, int image_height, int image_width, int top, int left, int height, int width,
          int stride) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    const Image of = {image_height, image_width, top, left};
    const double beta = scalars[blockIdx.z * SCALARS + BETA];
    double share = 0.0;
    if (x < width && y < height && active[cell_of(y, x, stride)]) {
        const long long cell = channel_at(height, stride) + cell_of(y, x, stride);
        const auto near = [&](int dy, int dx) {
            const long long there = cell + dy * stride + dx;
            return z[there] + beta * before[there];
        };
        const double here = near(0, 0);
        const double value = of.applied<double>(top + y, left + x, near);
        p[cell] = here;
        q[cell] = value;
        share = here * value;
    }
    note(share, 0.0f, sums, nullptr);
}

// x += alpha p, r -= alpha q.
extern "C" __global__ void __launch_bounds__(256)
advance(const double *__restrict__ p, const double *__restrict__ q, double *__restrict__ x_all,
        double *__restrict__ r, float *__restrict__ rounded, const double *__restrict__ scalars, int height,
        int stride) {
    const long long cells = (long long)(height + 2 * PAD) * stride;
    const long long at = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    const double alpha = scalars[blockIdx.z * SCALARS + ALPHA];
    if (at >= cells || alpha == 0.0) return;
    const long long cell = blockIdx.z * cells + at;
    x_all[cell] += alpha * p[cell];
    const double rest = r[cell] - alpha * q[cell];
    r[cell] = rest;
    rounded[cell] = (float)rest;
}

// The solution goes into the image, clipped.
extern "C" __global__ void __launch_bounds__(256)
fill(const double *__restrict__ solution, const Byte *__restrict__ active, float *__restrict__ image,
     int image_width, int channels, int first_channel, int top, int left, int height, int width, int stride) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height || !active[cell_of(y, x, stride)]) return;
    const double value = solution[channel_at(height, stride) + cell_of(y, x, stride)];
    const long long at = (long long)(top + y) * image_width + left + x;
    image[at * channels + first_channel + blockIdx.z] = (float)(value < 0.0 ? 0.0 : value > 1.0 ? 1.0 : value);
}

// -- the finest level of the preconditioner ---------------------------------------------------------

struct Finest {
    const Byte *active;
    Image image;
    int height, width, stride;

    __device__ __forceinline__ bool unknown(int y, int x) const { return active[cell_of(y, x, stride)] != 0; }
    __device__ __forceinline__ bool regular(int y, int x) const { return active[cell_of(y, x, stride)] == 2; }
    __device__ __forceinline__ float applied(const float *z, int y, int x) const {
        const float *here = z + cell_of(y, x, stride);
        return image.applied<float>(image.top + y, image.left + x,
                                    [&](int dy, int dx) { return here[dy * stride + dx]; });
    }
    // The entry of the matrix for two cells, the second in the free cells at most.
    __device__ double entry(int y, int x, int dy, int dx) const {
        if (!active[cell_of(y + dy, x + dx, stride)]) return 0.0;
        return image.entry(image.top + y, image.left + x, dy, dx);
    }
    __device__ static double regular_entry(int dy, int dx) {
        return Image{9, 9, 0, 0}.entry(4, 4, dy, dx);
    }
};

// Two steps of the smoother from zero: the first makes z = first * r.
extern "C" __global__ void __launch_bounds__(256)
smooth_first(const float *__restrict__ r, float *__restrict__ z, const Byte *__restrict__ active, int image_height,
             int image_width, int top, int left, int height, int width, int stride, float first, float second) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    const Finest finest = {active, {image_height, image_width, top, left}, height, width, stride};
    if (x >= width || y >= height || !finest.unknown(y, x)) return;
    const float *mine = r + channel_at(height, stride);
    const int cell = cell_of(y, x, stride);
    z[channel_at(height, stride) + cell] =
        first * mine[cell] + second * (mine[cell] - first * finest.applied(mine, y, x));
}

// A step of the smoother.
extern "C" __global__ void __launch_bounds__(256)
smooth(const float *__restrict__ r, const float *__restrict__ z, float *__restrict__ out,
       const Byte *__restrict__ active, int image_height, int image_width, int top, int left, int height, int width,
       int stride, float step) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    const Finest finest = {active, {image_height, image_width, top, left}, height, width, stride};
    if (x >= width || y >= height || !finest.unknown(y, x)) return;
    const long long first = channel_at(height, stride);
    const int cell = cell_of(y, x, stride);
    out[first + cell] = z[first + cell] + step * (r[first + cell] - finest.applied(z + first, y, x));
}

// The last step of the smoother; also r z and the largest |z|.
extern "C" __global__ void __launch_bounds__(256)
smooth_last(const float *__restrict__ r, const float *__restrict__ z, float *__restrict__ out,
            const Byte *__restrict__ active, double *__restrict__ sums, float *__restrict__ most, int image_height,
            int image_width, int top, int left, int height, int width, int stride, float step) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    const Finest finest = {active, {image_height, image_width, top, left}, height, width, stride};
    double share = 0.0;
    float largest = 0.0f;
    if (x < width && y < height && finest.unknown(y, x)) {
        const long long first = channel_at(height, stride);
        const int cell = cell_of(y, x, stride);
        const float rest = r[first + cell];
        const float value = z[first + cell] + step * (rest - finest.applied(z + first, y, x));
        out[first + cell] = value;
        share = (double)rest * value;
        largest = magnitude(value);
    }
    note(share, largest, sums, most);
}

// -- between levels -----------------------------------------------------------------------------------

constexpr int COARSE = 16;              // side of a block of coarse cells
constexpr int FINE = 2 * COARSE + 2;    // of the fine cells under it

__device__ __forceinline__ float weight(int t) { return t == 0 || t == 3 ? 0.25f : 0.75f; }

// The residual r - A z, summed up for the cells of the next level: cell J covers 2 J - 3 .. 2 J.
template <class Level>
__device__ __forceinline__ void restrict_residual(const Level &level, const float *r, const float *z, float *coarse,
                                                  int coarse_height, int coarse_width, int coarse_stride) {
    __shared__ float rest[FINE][FINE + 1];
    const int thread = threadIdx.y * COARSE + threadIdx.x;
    const int top = 2 * (int)blockIdx.y * COARSE - 3, left = 2 * (int)blockIdx.x * COARSE - 3;
    const long long first = channel_at(level.height, level.stride);
    for (int at = thread; at < FINE * FINE; at += COARSE * COARSE) {
        const int y = top + at / FINE, x = left + at % FINE;
        float value = 0.0f;
        if (y >= 0 && x >= 0 && y < level.height && x < level.width && level.unknown(y, x)) {
            value = r[first + cell_of(y, x, level.stride)] - level.applied(z + first, y, x);
        }
        rest[at / FINE][at % FINE] = value;
    }
    __syncthreads();
    const int x = blockIdx.x * COARSE + threadIdx.x, y = blockIdx.y * COARSE + threadIdx.y;
    if (x >= coarse_width || y >= coarse_height) return;
    float sum = 0.0f;
#pragma unroll
    for (int t = 0; t < 4; ++t) {
        const float *line = &rest[2 * threadIdx.y + t][2 * threadIdx.x];
        sum += weight(t) * ((0.25f * line[0] + 0.75f * line[1]) + (0.75f * line[2] + 0.25f * line[3]));
    }
    coarse[channel_at(coarse_height, coarse_stride) + cell_of(y, x, coarse_stride)] = sum;
}

// The two coarse cells that a fine one lies between, and the weight of the first.
__device__ __forceinline__ void between(int i, int &low, float &share) {
    low = (i + 1) / 2;
    share = i % 2 == 0 ? 0.25f : 0.75f;
}

template <class Level>
__device__ __forceinline__ void interpolate(const Level &level, const float *coarse, float *z, int coarse_height,
                                            int coarse_stride) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= level.width || y >= level.height || !level.unknown(y, x)) return;
    int row, col;
    float down, across;
    between(y, row, down);
    between(x, col, across);
    const float *from = coarse + channel_at(coarse_height, coarse_stride) + cell_of(row, col, coarse_stride);
    const float upper = across * from[0] + (1.0f - across) * from[1];
    const float lower = across * from[coarse_stride] + (1.0f - across) * from[coarse_stride + 1];
    z[channel_at(level.height, level.stride) + cell_of(y, x, level.stride)] += down * upper + (1.0f - down) * lower;
}

extern "C" __global__ void __launch_bounds__(256)
restrict_finest(const float *__restrict__ r, const float *__restrict__ z, float *__restrict__ coarse,
                const Byte *__restrict__ active, int image_height, int image_width, int top, int left, int height,
                int width, int stride, int coarse_height, int coarse_width, int coarse_stride) {
    const Finest finest = {active, {image_height, image_width, top, left}, height, width, stride};
    restrict_residual(finest, r, z, coarse, coarse_height, coarse_width, coarse_stride);
}

extern "C" __global__ void __launch_bounds__(256)
interpolate_finest(const float *__restrict__ coarse, float *__restrict__ z, const Byte *__restrict__ active,
                   int height, int width, int stride, int coarse_height, int coarse_stride) {
    const Finest finest = {active, {0, 0, 0, 0}, height, width, stride};
    interpolate(finest, coarse, z, coarse_height, coarse_stride);
}

// -- coarse levels ------------------------------------------------------------------------------------

struct Coarse {
    const unsigned *number;  // 0: no unknown, 1: inside a hole, else a row of its own; less one: the row
    const float *rows;       // 25 entries and the scale, `count` floats apart
    int count, height, width, stride;

    __device__ __forceinline__ bool unknown(int y, int x) const { return number[cell_of(y, x, stride)] != 0; }
    __device__ __forceinline__ bool regular(int y, int x) const { return number[cell_of(y, x, stride)] == 1; }
    __device__ __forceinline__ int row(int y, int x) const { return (int)number[cell_of(y, x, stride)] - 1; }
    __device__ __forceinline__ float scale(int y, int x) const {
        return rows[(long long)ENTRIES * count + row(y, x)];
    }
    __device__ __forceinline__ float applied(const float *z, int y, int x) const {
        const float *here = z + cell_of(y, x, stride);
        const float *of = rows + row(y, x);
        float sum = 0.0f;
#pragma unroll
        for (int dy = -2; dy <= 2; ++dy) {
#pragma unroll
            for (int dx = -2; dx <= 2; ++dx) {
                sum += of[(long long)(5 * dy + dx + 12) * count] * here[dy * stride + dx];
            }
        }
        return sum;
    }
    __device__ double entry(int y, int x, int dy, int dx) const {
        return rows[(long long)(5 * dy + dx + 12) * count + row(y, x)];
    }
    __device__ double regular_entry(int dy, int dx) const { return rows[(long long)(5 * dy + dx + 12) * count]; }
};

extern "C" __global__ void __launch_bounds__(256)
coarse_start(const float *__restrict__ r, float *__restrict__ z, const unsigned *__restrict__ number,
             const float *__restrict__ rows, int count, int height, int width, int stride, float step) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    const Coarse level = {number, rows, count, height, width, stride};
    if (x >= width || y >= height || !level.unknown(y, x)) return;
    const long long cell = channel_at(height, stride) + cell_of(y, x, stride);
    z[cell] = step * level.scale(y, x) * r[cell];
}

extern "C" __global__ void __launch_bounds__(256)
coarse_smooth(const float *__restrict__ r, const float *__restrict__ z, float *__restrict__ out,
              const unsigned *__restrict__ number, const float *__restrict__ rows, int count, int height, int width,
              int stride, float step) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    const Coarse level = {number, rows, count, height, width, stride};
    if (x >= width || y >= height || !level.unknown(y, x)) return;
    const long long first = channel_at(height, stride);
    const int cell = cell_of(y, x, stride);
    out[first + cell] =
        z[first + cell] + step * level.scale(y, x) * (r[first + cell] - level.applied(z + first, y, x));
}

extern "C" __global__ void __launch_bounds__(256)
restrict_coarse(const float *__restrict__ r, const float *__restrict__ z, float *__restrict__ coarse,
                const unsigned *__restrict__ number, const float *__restrict__ rows, int count, int height,
                int width, int stride, int coarse_height, int coarse_width, int coarse_stride) {
    const Coarse level = {number, rows, count, height, width, stride};
    restrict_residual(level, r, z, coarse, coarse_height, coarse_width, coarse_stride);
}

extern "C" __global__ void __launch_bounds__(256)
interpolate_coarse(const float *__restrict__ coarse, float *__restrict__ z, const unsigned *__restrict__ number,
                   int height, int width, int stride, int coarse_height, int coarse_stride) {
    const Coarse level = {number, nullptr, 0, height, width, stride};
    interpolate(level, coarse, z, coarse_height, coarse_stride);
}

// The coarsest level, by the inverse of its matrix: z = B r for the listed cells. One block a channel.
extern "C" __global__ void __launch_bounds__(128)
bottom(const float *__restrict__ r, float *__restrict__ z, const float *__restrict__ inverse,
       const int *__restrict__ cells, int count, int height, int stride) {
    const long long first = channel_at(height, stride);
    if (threadIdx.x >= count) return;
    float sum = 0.0f;
    for (int i = 0; i < count; ++i) sum += inverse[i * count + threadIdx.x] * r[first + cells[i]];
    z[first + cells[threadIdx.x]] = sum;
}

// -- coarse matrices ----------------------------------------------------------------------------------

// Says of each coarse cell whether it has an unknown (1: all under it is inside a hole, 2: not all), and
// counts the latter, block by block. One thread for each cell, free ones included.
template <class Level>
__device__ __forceinline__ void classify(const Level &level, unsigned *number, int *counts, int coarse_height,
                                         int coarse_width, int coarse_stride) {
    __shared__ int found[8];
    const long long cell = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    const long long row = cell / coarse_stride;
    const int y = (int)row - PAD, x = (int)(cell - row * coarse_stride) - PAD;
    unsigned kind = 0;
    if (y >= 0 && x >= 0 && y < coarse_height && x < coarse_width) {
        bool any = false, all = true;
        for (int t = 0; t < 16; ++t) {
            const int v = 2 * y - 3 + t / 4, u = 2 * x - 3 + t % 4;
            const bool inside = v >= 0 && u >= 0 && v < level.height && u < level.width;
            any = any || (inside && level.unknown(v, u));
            all = all && inside && level.regular(v, u);
        }
        kind = all ? 1 : any ? 2 : 0;
    }
    if (row < coarse_height + 2 * PAD) number[cell] = kind;
    const unsigned own = __ballot_sync(0xffffffffu, kind == 2);
    if (threadIdx.x % 32 == 0) found[threadIdx.x / 32] = __popc(own);
    __syncthreads();
    if (threadIdx.x == 0) {
        int sum = 0;
        for (int warp = 0; warp < 8; ++warp) sum += found[warp];
        counts[blockIdx.x] = sum;
    }
}

extern "C" __global__ void __launch_bounds__(256)
classify_finest(const Byte *__restrict__ active, unsigned *__restrict__ number, int *__restrict__ counts,
                int height, int width, int stride, int coarse_height, int coarse_width, int coarse_stride) {
    const Finest finest = {active, {0, 0, 0, 0}, height, width, stride};
    classify(finest, number, counts, coarse_height, coarse_width, coarse_stride);
}

extern "C" __global__ void __launch_bounds__(256)
classify_coarse(const unsigned *__restrict__ fine, unsigned *__restrict__ number, int *__restrict__ counts,
                int height, int width, int stride, int coarse_height, int coarse_width, int coarse_stride) {
    const Coarse level = {fine, nullptr, 0, height, width, stride};
    classify(level, number, counts, coarse_height, coarse_width, coarse_stride);
}

// Counts become the sums of those before; `total` is that of all. One block.
extern "C" __global__ void __launch_bounds__(256)
scan(int *__restrict__ counts, int *__restrict__ total, int length) {
    __shared__ int sums[REDUCED];
    const int thread = threadIdx.x;
    const int share = (length + REDUCED - 1) / REDUCED;
    const int from = min(thread * share, length), to = min(from + share, length);
    int sum = 0;
    for (int i = from; i < to; ++i) sum += counts[i];
    sums[thread] = sum;
    __syncthreads();
    if (thread == 0) {
        int before = 0;
        for (int i = 0; i < REDUCED; ++i) {
            const int here = sums[i];
            sums[i] = before;
            before += here;
        }
        *total = before;
    }
    __syncthreads();
    int before = sums[thread];
    for (int i = from; i < to; ++i) {
        const int here = counts[i];
        counts[i] = before;
        before += here;
    }
}

// Numbers the rows in the order of their cells, and lists these; row 0 is that inside a hole.
extern "C" __global__ void __launch_bounds__(256)
enumerate(unsigned *__restrict__ number, const int *__restrict__ before, int *__restrict__ cells, int count) {
    __shared__ int found[8];
    const int cell = blockIdx.x * blockDim.x + threadIdx.x;
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const bool own = cell < count && number[cell] == 2;
    const unsigned all = __ballot_sync(0xffffffffu, own);
    if (lane == 0) found[warp] = __popc(all);
    __syncthreads();
    if (!own) return;
    int row = 1 + before[blockIdx.x] + __popc(all & ((1u << lane) - 1));
    for (int i = 0; i < warp; ++i) row += found[i];
    number[cell] = row + 1;
    cells[row] = cell;
}

// The rows of the Galerkin product P^T A P: a warp for a row, a lane for an entry.
template <class Level>
__device__ __forceinline__ void galerkin(const Level &level, const int *cells, float *rows, int count,
                                         int coarse_stride) {
    const int row = blockIdx.x * 8 + threadIdx.x / 32;
    const int entry = threadIdx.x % 32;
    double sum = 0.0;
    if (row < count && entry < ENTRIES) {
        const int cell = row ? cells[row] : 0;
        const int y = cell / coarse_stride - PAD, x = cell % coarse_stride - PAD;
        const int up = 2 * (entry / 5 - 2), across = 2 * (entry % 5 - 2);
        for (int t = 0; t < 16; ++t) {
            const int ty = t / 4, tx = t % 4;
            const int v = 2 * y - 3 + ty, u = 2 * x - 3 + tx;
            if (row && (v < 0 || u < 0 || v >= level.height || u >= level.width || !level.unknown(v, u))) continue;
            for (int dy = max(-2, up - ty); dy <= min(2, up - ty + 3); ++dy) {
                for (int dx = max(-2, across - tx); dx <= min(2, across - tx + 3); ++dx) {
                    const double part = (double)weight(ty) * weight(tx) * weight(ty + dy - up) *
                                        weight(tx + dx - across);
                    sum += part * (row ? level.entry(v, u, dy, dx) : level.regular_entry(dy, dx));
                }
            }
        }
    }
    double absolute = fabs(sum);
    for (int by = 16; by > 0; by /= 2) absolute += __shfl_xor_sync(0xffffffffu, absolute, by);
    if (row >= count || entry > ENTRIES) return;
    rows[(long long)entry * count + row] =
        entry < ENTRIES ? (float)sum : absolute > 0.0 ? (float)(1.0 / absolute) : 0.0f;
}

extern "C" __global__ void __launch_bounds__(256)
galerkin_finest(const Byte *__restrict__ active, const int *__restrict__ cells, float *__restrict__ rows, int count,
                int coarse_stride, int image_height, int image_width, int top, int left, int height, int width,
                int stride) {
    const Finest finest = {active, {image_height, image_width, top, left}, height, width, stride};
    galerkin(finest, cells, rows, count, coarse_stride);
}

extern "C" __global__ void __launch_bounds__(256)
galerkin_coarse(const unsigned *__restrict__ number, const float *__restrict__ fine_rows, int fine_count,
                const int *__restrict__ cells, float *__restrict__ rows, int count, int coarse_stride, int height,
                int width, int stride) {
    const Coarse level = {number, fine_rows, fine_count, height, width, stride};
    galerkin(level, cells, rows, count, coarse_stride);
}
