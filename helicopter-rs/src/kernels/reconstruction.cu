// The autonomous loop and its measures: what is hidden, how far from what is visible, how unsure,
// which patches are next, what their predictions are worth. The twins stand in src/reconstruction/.
//
// Everything that a decision is made of is an integer, or computed in double precision in the order of
// the twins, so that both give the same bits: compile without contraction (--fmad=false). Sums of
// floats are taken in a fixed order.

typedef unsigned char u8;
typedef unsigned long long u64;
typedef long long i64;

// A patch, cut at the border of the image.
struct Patch {
    int top, left, height, width;
    __device__ Patch(int patch, int size, int rows, int cols) {
        int across = (cols + size - 1) / size;
        top = patch / across * size;
        left = patch % across * size;
        height = min(size, rows - top);
        width = min(size, cols - left);
    }
};

// Adds up a value of every thread of the block, the same way each time; all threads must call it.
template <class T> __device__ T block_sum(T value, T *space) {
    __syncthreads();
    space[threadIdx.x] = value;
    for (int half = blockDim.x / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) space[threadIdx.x] += space[threadIdx.x + half];
    }
    __syncthreads();
    return space[0];
}

#define THREADS 128

// What is hidden at the start, and what can be seen then.
extern "C" __global__ void __launch_bounds__(256)
begin(const float *__restrict__ image, const u8 *__restrict__ start, int pixels, int channels,
      u8 *__restrict__ hidden, u8 *__restrict__ unseen, float *__restrict__ context,
      float *__restrict__ prediction, float *__restrict__ variance) {
    int at = blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= pixels) return;
    u8 here = start[at];
    hidden[at] = here;
    unseen[at] = here;
    variance[at] = 0.0f;
    for (int c = 0; c < channels; ++c) {
        size_t value = (size_t)at * channels + c;
        float shown = here ? 0.0f : image[value];
        context[value] = shown;
        prediction[value] = shown;
    }
}

// ---- priorities -------------------------------------------------------------------------------

#define CELL 8

// A place between the centres of two cells.
struct Between {
    int before, after;
    double share;
    __device__ Between(int position, int count) {
        int doubled = min(max(2 * position - (CELL - 1), 0), 2 * CELL * (count - 1));
        before = doubled / (2 * CELL);
        share = (double)(doubled - before * (2 * CELL)) / (2.0 * CELL);
        after = min(before + 1, count - 1);
    }
};

__device__ double bilinear(const double *__restrict__ cells, int cols, Between down, Between across) {
    const double *upper_row = cells + (size_t)down.before * cols;
    const double *lower_row = cells + (size_t)down.after * cols;
    double upper = upper_row[across.before] * (1.0 - across.share) + upper_row[across.after] * across.share;
    double lower = lower_row[across.before] * (1.0 - across.share) + lower_row[across.after] * across.share;
    return upper * (1.0 - down.share) + lower * down.share;
}

#define VARIANCE_STEPS 68719476736.0 /* 2^36 */

// Mean over the unsure pixels of each patch of the variance, in steps of 1 / VARIANCE_STEPS.
extern "C" __global__ void __launch_bounds__(THREADS)
uncertainty_priorities(const float *__restrict__ variance, int rows, int cols, int size,
                       i64 *__restrict__ out) {
    __shared__ i64 space[THREADS];
    Patch patch(blockIdx.x, size, rows, cols);
    i64 steps = 0, unsure = 0;
    for (int k = threadIdx.x; k < patch.height * patch.width; k += blockDim.x) {
        float value =
            variance[(size_t)(patch.top + k / patch.width) * cols + patch.left + k % patch.width];
        steps += (i64)floor((double)value * VARIANCE_STEPS);
        unsure += value > 0.0f;
    }
    steps = block_sum(steps, space);
    unsure = block_sum(unsure, space);
    if (threadIdx.x == 0) out[blockIdx.x] = steps / max(unsure, (i64)1);
}

// Detail around the middle of each patch: the variogram of lag one.
extern "C" __global__ void __launch_bounds__(256)
content_priorities(const double *__restrict__ cells, int rows, int cols, int size, int count,
                   i64 *__restrict__ out) {
    int number = blockIdx.x * blockDim.x + threadIdx.x;
    if (number >= count) return;
    Patch patch(number, size, rows, cols);
    int cell_cols = (cols + CELL - 1) / CELL, cell_rows = (rows + CELL - 1) / CELL;
    Between down(min(patch.top + size / 2, rows - 1), cell_rows);
    Between across(min(patch.left + size / 2, cols - 1), cell_cols);
    out[number] = (i64)floor(bilinear(cells, cell_cols, down, across) * VARIANCE_STEPS);
}

// ---- predictions ------------------------------------------------------------------------------

// Cuts a window out of what can be seen.
extern "C" __global__ void __launch_bounds__(256)
gather(const float *__restrict__ context, const u8 *__restrict__ hidden, const u8 *__restrict__ unseen,
       int cols, int channels, int top, int left, int height, int width,
       float *__restrict__ context_out, u8 *__restrict__ hidden_out, u8 *__restrict__ unseen_out) {
    int k = blockIdx.x * blockDim.x + threadIdx.x;
    if (k >= height * width) return;
    size_t from = (size_t)(top + k / width) * cols + left + k % width;
    hidden_out[k] = hidden[from];
    unseen_out[k] = unseen[from];
    for (int c = 0; c < channels; ++c)
        context_out[(size_t)k * channels + c] = context[from * channels + c];
}

// What is predicted where nothing at all is visible.
extern "C" __global__ void __launch_bounds__(256)
fill(float *__restrict__ out, i64 count, float value) {
    i64 at = (i64)blockIdx.x * blockDim.x + threadIdx.x;
    if (at < count) out[at] = value;
}

#define LEAST_VARIANCE 1e-12f
#define SUMS 6

// Of each patch of a list: sums over its open pixels of variance and distance, their number; sums of
// squared and absolute errors of the prediction where the truth is known, and the number of values.
// The prediction covers a rectangle of the image that begins at row `top` and column `left`.
extern "C" __global__ void __launch_bounds__(THREADS)
patch_sums(const int *__restrict__ patches, const float *__restrict__ mean,
           const float *__restrict__ variance, const float *__restrict__ distance, int top, int left,
           int across, const float *__restrict__ image, const u8 *__restrict__ missing,
           const u8 *__restrict__ own, const u8 *__restrict__ hidden, int rows, int cols, int channels,
           int size, double *__restrict__ out) {
    __shared__ double space[THREADS];
    Patch patch(patches[blockIdx.x], size, rows, cols);
    double sums[SUMS] = {0.0, 0.0, 0.0, 0.0, 0.0, 0.0};
    for (int k = threadIdx.x; k < patch.height * patch.width; k += blockDim.x) {
        int y = patch.top + k / patch.width, x = patch.left + k % patch.width;
        size_t at = (size_t)y * cols + x, from = (size_t)(y - top) * across + (x - left);
        if (!own[at]) continue;
        if (hidden[at]) {
            sums[0] += (double)max(variance[from], LEAST_VARIANCE);
            sums[1] += (double)distance[from];
            sums[2] += 1.0;
        }
        if (missing[at]) continue;
        for (int c = 0; c < channels; ++c) {
            double error = (double)mean[from * channels + c] - (double)image[at * channels + c];
            sums[3] += error * error;
            sums[4] += fabs(error);
            sums[5] += 1.0;
        }
    }
    for (int which = 0; which < SUMS; ++which) {
        double sum = block_sum(sums[which], space);
        if (threadIdx.x == 0) out[(size_t)blockIdx.x * SUMS + which] = sum;
    }
}

// Takes the open pixels of each patch of a list over from a prediction; `factors` are the patches' own.
extern "C" __global__ void __launch_bounds__(THREADS)
store(const int *__restrict__ patches, const float *__restrict__ factors,
      const float *__restrict__ mean, const float *__restrict__ variance, int top, int left, int across,
      const u8 *__restrict__ own, const u8 *__restrict__ hidden, int rows, int cols, int channels,
      int size, float *__restrict__ prediction, float *__restrict__ variance_out) {
    Patch patch(patches[blockIdx.x], size, rows, cols);
    float factor = factors[blockIdx.x];
    for (int k = threadIdx.x; k < patch.height * patch.width; k += blockDim.x) {
        int y = patch.top + k / patch.width, x = patch.left + k % patch.width;
        size_t at = (size_t)y * cols + x, from = (size_t)(y - top) * across + (x - left);
        if (!own[at] || !hidden[at]) continue;
        variance_out[at] = max(variance[from], LEAST_VARIANCE) * factor;
        for (int c = 0; c < channels; ++c)
            prediction[at * channels + c] = mean[from * channels + c];
    }
}

// Adds the patches of a list to what can be seen: the truth, or the prediction.
extern "C" __global__ void __launch_bounds__(THREADS)
accept(const int *__restrict__ patches, const float *__restrict__ source, int reveal,
       const u8 *__restrict__ missing, const u8 *__restrict__ own, int rows, int cols, int channels,
       int size, float *__restrict__ context, u8 *__restrict__ hidden, u8 *__restrict__ unseen) {
    Patch patch(patches[blockIdx.x], size, rows, cols);
    for (int k = threadIdx.x; k < patch.height * patch.width; k += blockDim.x) {
        size_t at = (size_t)(patch.top + k / patch.width) * cols + patch.left + k % patch.width;
        if (!hidden[at] || !own[at] || (reveal && missing[at])) continue;
        for (int c = 0; c < channels; ++c)
            context[at * channels + c] = source[at * channels + c];
        hidden[at] = 0;
        if (reveal) unseen[at] = 0;
    }
}

// Copies the pixels that a mask marks.
extern "C" __global__ void __launch_bounds__(256)
copy_where(const float *__restrict__ source, const u8 *__restrict__ mask, int pixels, int channels,
           float *__restrict__ target) {
    int at = blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= pixels || !mask[at]) return;
    for (int c = 0; c < channels; ++c)
        target[(size_t)at * channels + c] = source[(size_t)at * channels + c];
}

// Every pixel that a mask marks gets the value of its patch, others 1.
extern "C" __global__ void __launch_bounds__(256)
patch_map(const float *__restrict__ values, const u8 *__restrict__ mask, int rows, int cols, int size,
          float *__restrict__ out) {
    int x = blockIdx.x * 32 + threadIdx.x, y = blockIdx.y * 8 + threadIdx.y;
    if (x >= cols || y >= rows) return;
    size_t at = (size_t)y * cols + x;
    out[at] = mask[at] ? values[y / size * ((cols + size - 1) / size) + x / size] : 1.0f;
}

// ---- segments ---------------------------------------------------------------------------------

// Cuts a part out of the image.
extern "C" __global__ void __launch_bounds__(256)
crop(const float *__restrict__ image, int cols, int channels, int top, int left, int height, int width,
     float *__restrict__ out) {
    int k = blockIdx.x * blockDim.x + threadIdx.x;
    if (k >= height * width) return;
    size_t from = (size_t)(top + k / width) * cols + left + k % width;
    for (int c = 0; c < channels; ++c) out[(size_t)k * channels + c] = image[from * channels + c];
}

// Takes the marked pixels of a part over into the whole.
extern "C" __global__ void __launch_bounds__(256)
paste(const float *__restrict__ part, const u8 *__restrict__ mask, int cols, int channels, int top,
      int left, int height, int width, float *__restrict__ out) {
    int k = blockIdx.x * blockDim.x + threadIdx.x;
    if (k >= height * width || !mask[k]) return;
    size_t to = (size_t)(top + k / width) * cols + left + k % width;
    for (int c = 0; c < channels; ++c) out[to * channels + c] = part[(size_t)k * channels + c];
}

// ---- scores -----------------------------------------------------------------------------------

#define SCORE_SUMS 4
#define TILE_X 32
#define TILE_Y 8
#define SSIM_REACH 3
#define SSIM_AREA 49.0
#define C1 (0.01 * 0.01)
#define C2 (0.03 * 0.03)

// Sums of each channel (at most three) over what is marked as shown, and the number of pixels: of the
// pixels of a block.
extern "C" __global__ void __launch_bounds__(256)
shown_sums(const float *__restrict__ truth, const u8 *__restrict__ shown, i64 pixels, int channels,
           double *__restrict__ out) {
    __shared__ double space[256];
    double sums[SCORE_SUMS] = {0.0, 0.0, 0.0, 0.0};
    for (i64 at = (i64)blockIdx.x * blockDim.x + threadIdx.x; at < pixels; at += (i64)gridDim.x * blockDim.x) {
        if (!shown[at]) continue;
#pragma unroll
        for (int c = 0; c < 3; ++c)
            if (c < channels) sums[c] += (double)truth[at * channels + c];
        sums[3] += 1.0;
    }
    for (int which = 0; which < SCORE_SUMS; ++which) {
        double sum = block_sum(sums[which], space);
        if (threadIdx.x == 0) out[(size_t)blockIdx.x * SCORE_SUMS + which] = sum;
    }
}

// Sums up what blocks have found, in one block.
extern "C" __global__ void __launch_bounds__(256)
fold(const double *__restrict__ parts, int count, double *__restrict__ out) {
    __shared__ double space[256];
    for (int which = 0; which < SCORE_SUMS; ++which) {
        double sum = 0.0;
        for (int part = threadIdx.x; part < count; part += blockDim.x)
            sum += parts[(size_t)part * SCORE_SUMS + which];
        sum = block_sum(sum, space);
        if (threadIdx.x == 0) out[which] = sum;
    }
}

// Squared and absolute errors, and those of the mean colour, over what is marked: of a block's pixels.
extern "C" __global__ void __launch_bounds__(256)
error_sums(const float *__restrict__ truth, const float *__restrict__ prediction,
           const u8 *__restrict__ scored, const double *__restrict__ shown, i64 pixels, int channels,
           double *__restrict__ out) {
    __shared__ double space[256];
    double sums[SCORE_SUMS] = {0.0, 0.0, 0.0, 0.0};
    for (i64 at = (i64)blockIdx.x * blockDim.x + threadIdx.x; at < pixels; at += (i64)gridDim.x * blockDim.x) {
        if (!scored[at]) continue;
        for (int c = 0; c < channels; ++c) {
            double t = (double)truth[at * channels + c], p = (double)prediction[at * channels + c];
            double mean = shown[c] / shown[3];
            sums[0] += (p - t) * (p - t);
            sums[1] += fabs(p - t);
            sums[2] += (mean - t) * (mean - t);
        }
        sums[3] += 1.0;
    }
    for (int which = 0; which < SCORE_SUMS; ++which) {
        double sum = block_sum(sums[which], space);
        if (threadIdx.x == 0) out[(size_t)blockIdx.x * SCORE_SUMS + which] = sum;
    }
}

// The pixel that stands in for one beyond the border: d c b a | a b c d | d c b a.
__device__ int reflect(int position, int length) {
    int period = 2 * length;
    int folded = ((position % period) + period) % period;
    return min(folded, period - 1 - folded);
}

// Sum over the scored pixels of a tile of the structural similarity in one channel, blockIdx.z. Where
// the truth is missing it counts as what was predicted.
extern "C" __global__ void __launch_bounds__(TILE_X *TILE_Y)
similarity(const float *__restrict__ truth, const float *__restrict__ prediction,
           const u8 *__restrict__ missing, const u8 *__restrict__ scored, int rows, int cols,
           int channels, double *__restrict__ out) {
    __shared__ float2 pair[TILE_Y + 2 * SSIM_REACH][TILE_X + 2 * SSIM_REACH];
    __shared__ double moments[5][TILE_Y + 2 * SSIM_REACH][TILE_X];
    __shared__ double space[TILE_X * TILE_Y];
    const int high = TILE_Y + 2 * SSIM_REACH, wide = TILE_X + 2 * SSIM_REACH;
    int left = blockIdx.x * TILE_X, top = blockIdx.y * TILE_Y, channel = blockIdx.z;
    for (int k = threadIdx.x; k < high * wide; k += blockDim.x) {
        int y = reflect(top + k / wide - SSIM_REACH, rows), x = reflect(left + k % wide - SSIM_REACH, cols);
        size_t at = (size_t)y * cols + x;
        float p = prediction[at * channels + channel];
        pair[k / wide][k % wide] = make_float2(missing[at] ? p : truth[at * channels + channel], p);
    }
    __syncthreads();
    for (int k = threadIdx.x; k < high * TILE_X; k += blockDim.x) {
        int y = k / TILE_X, x = k % TILE_X;
        double sums[5] = {0.0, 0.0, 0.0, 0.0, 0.0};
        for (int dx = 0; dx <= 2 * SSIM_REACH; ++dx) {
            double t = (double)pair[y][x + dx].x, p = (double)pair[y][x + dx].y;
            sums[0] += t;
            sums[1] += p;
            sums[2] += t * t;
            sums[3] += p * p;
            sums[4] += t * p;
        }
        for (int which = 0; which < 5; ++which) moments[which][y][x] = sums[which];
    }
    __syncthreads();
    int y = threadIdx.x / TILE_X, x = threadIdx.x % TILE_X;
    double found = 0.0;
    if (top + y < rows && left + x < cols && scored[(size_t)(top + y) * cols + left + x]) {
        double window[5];
        for (int which = 0; which < 5; ++which) {
            double sum = 0.0;
            for (int dy = 0; dy <= 2 * SSIM_REACH; ++dy) sum += moments[which][y + dy][x];
            window[which] = sum / SSIM_AREA;
        }
        double mx = window[0], my = window[1], unbiased = SSIM_AREA / (SSIM_AREA - 1.0);
        double vx = unbiased * (window[2] - mx * mx), vy = unbiased * (window[3] - my * my);
        double cov = unbiased * (window[4] - mx * my);
        found = (2.0 * mx * my + C1) * (2.0 * cov + C2) / ((mx * mx + my * my + C1) * (vx + vy + C2));
    }
    found = block_sum(found, space);
    if (threadIdx.x == 0) {
        size_t block = ((size_t)blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
        double *mine = out + block * SCORE_SUMS;
        mine[0] = found;
        mine[1] = mine[2] = mine[3] = 0.0;
    }
}
