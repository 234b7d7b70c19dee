// How far a filled pixel may be off, told from the visible pixels alone: `uncertainty.rs` on the device,
// to the same bits. Sums are of integers; whatever is not is computed in the CPU's order, so this is to be
// compiled without contraction (--fmad=false).

typedef unsigned char Byte;
constexpr int CELL = 8;
constexpr int REACH = 3;
constexpr int LAGS = 3;
constexpr int STRIP = 64;
constexpr double PRIOR_PAIRS = 32.0;
constexpr double NO_PAIRS = 1.0 / 6.0;
constexpr double LEVELS = 65535.0;

__device__ __forceinline__ int lag_of(int number) { return 1 << 2 * number; }

__device__ __forceinline__ int level_of(float value) {
    const double level = (double)value * LEVELS + 0.5;
    return level >= 65535.0 ? 65535 : level > 0.0 ? (int)level : 0;
}

// Squared differences and numbers of pairs of every cell, for each lag: (lags, rows, cols). A block has
// 32 x 8 pixels, four cells.
extern "C" __global__ void __launch_bounds__(256)
cell_sums(const float *__restrict__ image, const Byte *__restrict__ hidden, long long *__restrict__ squares,
          long long *__restrict__ pairs, int height, int width, int channels) {
    __shared__ long long square_sums[CELL][4];
    __shared__ int pair_sums[CELL][4];
    const int x = blockIdx.x * 32 + threadIdx.x, y = blockIdx.y * CELL + threadIdx.y;
    const int cols = (width + CELL - 1) / CELL, rows = (height + CELL - 1) / CELL;
    const long long at = (long long)y * width + x;
    const bool shown = x < width && y < height && !hidden[at];
    int here[3] = {0, 0, 0};
    if (shown) {
        for (int c = 0; c < channels; ++c) here[c] = level_of(image[at * channels + c]);
    }
    for (int number = 0; number < LAGS; ++number) {
        const int lag = lag_of(number);
        long long square = 0;
        int count = 0;
        for (int down = 0; down < 2; ++down) {
            const bool inside = shown && (down ? y + lag < height : x + lag < width);
            const long long there = at + (down ? (long long)lag * width : lag);
            if (!inside || hidden[there]) continue;
            for (int c = 0; c < channels; ++c) {
                const long long difference = here[c] - level_of(image[there * channels + c]);
                square += difference * difference;
            }
            ++count;
        }
        for (int by = CELL / 2; by > 0; by /= 2) {
            square += __shfl_down_sync(0xffffffffu, square, by, CELL);
            count += __shfl_down_sync(0xffffffffu, count, by, CELL);
        }
        if (threadIdx.x % CELL == 0) {
            square_sums[threadIdx.y][threadIdx.x / CELL] = square;
            pair_sums[threadIdx.y][threadIdx.x / CELL] = count;
        }
        __syncthreads();
        const int col = blockIdx.x * 4 + threadIdx.x;
        if (threadIdx.y == 0 && threadIdx.x < 4 && col < cols) {
            square = 0, count = 0;
            for (int i = 0; i < CELL; ++i) {
                square += square_sums[i][threadIdx.x];
                count += pair_sums[i][threadIdx.x];
            }
            const long long cell = ((long long)number * rows + blockIdx.y) * cols + col;
            squares[cell] = square;
            pairs[cell] = count;
        }
        __syncthreads();
    }
}

// Sums of all cells, of each lag: totals[2 lag] of squares, totals[2 lag + 1] of pairs. blockIdx.y: the lag.
extern "C" __global__ void __launch_bounds__(256)
totals(const long long *__restrict__ squares, const long long *__restrict__ pairs,
       unsigned long long *__restrict__ sums, long long cells) {
    long long square = 0, count = 0;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < cells;
         i += (long long)gridDim.x * blockDim.x) {
        square += squares[blockIdx.y * cells + i];
        count += pairs[blockIdx.y * cells + i];
    }
    for (int by = 16; by > 0; by /= 2) {
        square += __shfl_down_sync(0xffffffffu, square, by);
        count += __shfl_down_sync(0xffffffffu, count, by);
    }
    if (threadIdx.x % 32 == 0) {
        atomicAdd(&sums[2 * blockIdx.y], (unsigned long long)square);
        atomicAdd(&sums[2 * blockIdx.y + 1], (unsigned long long)count);
    }
}

// Mean squared difference around each cell: (lags, rows, cols). blockIdx.z: the lag.
extern "C" __global__ void __launch_bounds__(256)
variogram(const long long *__restrict__ squares, const long long *__restrict__ pairs,
          const unsigned long long *__restrict__ sums, double *__restrict__ out, int rows, int cols, int channels) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= cols || y >= rows) return;
    const long long first = (long long)blockIdx.z * rows * cols;
    long long square = 0, count = 0;
    for (int v = max(y - REACH, 0); v <= min(y + REACH, rows - 1); ++v) {
        for (int u = max(x - REACH, 0); u <= min(x + REACH, cols - 1); ++u) {
            square += squares[first + (long long)v * cols + u];
            count += pairs[first + (long long)v * cols + u];
        }
    }
    const double scale = LEVELS * LEVELS * (double)channels;
    const long long total = (long long)sums[2 * blockIdx.z], all = (long long)sums[2 * blockIdx.z + 1];
    const double everywhere = all > 0 ? (double)total / (scale * (double)all) : NO_PAIRS;
    out[first + (long long)y * cols + x] =
        ((double)square / scale + PRIOR_PAIRS * everywhere) / ((double)count + PRIOR_PAIRS);
}

// Distance to the nearest visible pixel of the column, at most farthest + 1. A thread has a column of a
// strip, and looks as far beyond as matters.
extern "C" __global__ void __launch_bounds__(128)
vertical_distance(const Byte *__restrict__ hidden, Byte *__restrict__ out, int height, int width, int farthest) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x;
    if (x >= width) return;
    const int top = blockIdx.y * STRIP, end = min(top + STRIP, height), cap = farthest + 1;
    int since = cap;
    for (int y = max(top - farthest, 0); y < end; ++y) {
        const long long at = (long long)y * width + x;
        since = hidden[at] ? min(since + 1, cap) : 0;
        if (y >= top) out[at] = (Byte)since;
    }
    since = cap;
    for (int y = min(end + farthest, height) - 1; y >= top; --y) {
        const long long at = (long long)y * width + x;
        since = hidden[at] ? min(since + 1, cap) : 0;
        if (y < end) out[at] = (Byte)min(since, (int)out[at]);
    }
}

// Squared distance to the nearest visible pixel, at most farthest squared.
__device__ int squared_distance(const Byte *vertical, long long row, int x, int width, int farthest) {
    const auto square = [&](int at) {
        const int distance = vertical[row + at];
        return distance * distance;
    };
    int best = min(square(x), farthest * farthest);
    for (int across = 1; across <= farthest && across * across < best; ++across) {
        if (x >= across) best = min(best, square(x - across) + across * across);
        if (x + across < width) best = min(best, square(x + across) + across * across);
    }
    return best;
}

extern "C" __global__ void __launch_bounds__(256)
hidden_distance(const Byte *__restrict__ vertical, float *__restrict__ out, int height, int width, int farthest) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height) return;
    const long long row = (long long)y * width;
    out[row + x] = sqrtf((float)squared_distance(vertical, row, x, width, farthest));
}

// The cell before, the one behind, and the share of the latter.
struct Between {
    int before, behind;
    double share;
    __device__ Between(int position, int count) {
        const int doubled = min(max(2 * position - (CELL - 1), 0), 2 * CELL * (count - 1));
        before = doubled / (2 * CELL);
        behind = min(before + 1, count - 1);
        share = (double)(doubled - before * (2 * CELL)) / (2.0 * CELL);
    }
};

// The variance of the error of every hidden pixel, 0 at visible ones; `table` has a row of four weights
// for every whole distance.
extern "C" __global__ void __launch_bounds__(256)
hidden_variance(const Byte *__restrict__ hidden, const Byte *__restrict__ vertical,
                const double *__restrict__ cells, const double *__restrict__ table, float *__restrict__ out,
                int height, int width, int farthest) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height) return;
    const long long row = (long long)y * width;
    if (!hidden[row + x]) {
        out[row + x] = 0.0f;
        return;
    }
    const int squared = squared_distance(vertical, row, x, width, farthest);
    const double *entry = table + 4 * (int)sqrtf((float)squared);
    const int rows = (height + CELL - 1) / CELL, cols = (width + CELL - 1) / CELL;
    const Between down(y, rows), across(x, cols);
    double total = entry[0];
    for (int lag = 0; lag < LAGS; ++lag) {
        const double *of = cells + (long long)lag * rows * cols;
        const double *above = of + (long long)down.before * cols, *below = of + (long long)down.behind * cols;
        const double upper = above[across.before] * (1.0 - across.share) + above[across.behind] * across.share;
        const double lower = below[across.before] * (1.0 - across.share) + below[across.behind] * across.share;
        total += entry[1 + lag] * (upper * (1.0 - down.share) + lower * down.share);
    }
    out[row + x] = (float)total;
}

// -- the law of the errors ------------------------------------------------------------------------------

// Probability that a pixel of the stated standard deviation is off by at most `right`, 1 where visible: by
// interpolation of `values` between `knots`, logarithms of standard deviations, or by Laplace's law where
// there is none.
extern "C" __global__ void __launch_bounds__(256)
confidence(const float *__restrict__ sigma, const Byte *__restrict__ hidden, const double *__restrict__ knots,
           const double *__restrict__ values, float *__restrict__ out, long long pixels, int count, float least,
           float right) {
    const long long at = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= pixels) return;
    if (!hidden[at]) {
        out[at] = 1.0f;
        return;
    }
    const float here = fmaxf(sigma[at], least);
    if (count == 0) {
        out[at] = -expm1f(-sqrtf(2.0f) * right / here);
        return;
    }
    const double x = logf(here);
    int behind = 0, end = count;
    while (behind < end) {
        const int middle = (behind + end) / 2;
        if (knots[middle] <= x) {
            behind = middle + 1;
        } else {
            end = middle;
        }
    }
    if (behind == 0 || behind == count) {
        out[at] = (float)values[behind == 0 ? 0 : count - 1];
        return;
    }
    const double slope = (values[behind] - values[behind - 1]) / (knots[behind] - knots[behind - 1]);
    out[at] = (float)(values[behind - 1] + slope * (x - knots[behind - 1]));
}
