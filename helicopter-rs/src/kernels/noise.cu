// What the noise detector measures of 8 x 8 blocks, and copies of half the size. The twins stand in
// src/analysis/noise/: blocks.rs, rows.rs, cosines.rs, picture.rs.
//
// A picture is either given (interleaved, on the [0, 1] scale, to be multiplied by `unit`) or made
// (levels, a row of each channel after the other).

typedef unsigned char u8;

#define SIDE 8
#define AREA 64
#define BANDS 7
#define LANES 8
#define STRIP 8
#define CONSTANT 1e-6f
#define IN_BLOCK 32 /* blocks of pixels that a block of threads has, eight threads each */

__constant__ float OPPONENT[3][3] = {
    {0.57735026f, 0.57735026f, 0.57735026f},
    {0.70710677f, 0.0f, -0.70710677f},
    {0.4082483f, -0.8164966f, 0.4082483f},
};

// Coefficients of each band (row frequency first), and where each band begins.
__constant__ u8 MEMBERS[63] = {
    1,  8,  9,                                                       //
    2,  3,  10, 16, 17, 24,                                          //
    11, 18, 19, 20, 25, 26, 27, 34,                                  //
    21, 22, 23, 28, 29, 30, 35, 36, 37, 42, 43, 44, 50, 51, 58,      //
    31, 38, 39, 45, 46, 47, 52, 53, 54, 55, 59, 60, 61, 62, 63,      //
    4,  5,  6,  7,  12, 13, 14, 15,                                  //
    32, 33, 40, 41, 48, 49, 56, 57,
};
__constant__ int FIRST[BANDS + 1] = {0, 3, 9, 17, 32, 47, 55, 63};

// cos(k pi / 16) / 2.
#define K0 0.5f
#define K1 0.49039264f
#define K2 0.46193977f
#define K3 0.4157348f
#define K4 0.3535534f
#define K5 0.27778512f
#define K6 0.19134171f
#define K7 0.09754516f

// The orthonormal cosine transform of eight values, `step` apart.
__device__ void transform(float *x, int step) {
    float p0 = x[0] + x[7 * step], p1 = x[step] + x[6 * step];
    float p2 = x[2 * step] + x[5 * step], p3 = x[3 * step] + x[4 * step];
    float m0 = x[0] - x[7 * step], m1 = x[step] - x[6 * step];
    float m2 = x[2 * step] - x[5 * step], m3 = x[3 * step] - x[4 * step];
    float outer = p0 + p3, inner = p1 + p2, wide = p0 - p3, narrow = p1 - p2;
    x[0] = (outer + inner) * K4;
    x[4 * step] = (outer - inner) * K4;
    x[2 * step] = wide * K2 + narrow * K6;
    x[6 * step] = wide * K6 - narrow * K2;
    x[step] = m0 * K1 + m1 * K3 + m2 * K5 + m3 * K7;
    x[3 * step] = m0 * K3 - m1 * K7 - m2 * K1 - m3 * K5;
    x[5 * step] = m0 * K5 - m1 * K1 + m2 * K7 + m3 * K3;
    x[7 * step] = m0 * K7 - m1 * K5 + m2 * K3 - m3 * K1;
}

// Mean product of the coefficients of a band.
__device__ float mean_product(const float *a, const float *b, int band) {
    float even = 0.0f, odd = 0.0f;
    int first = FIRST[band], end = FIRST[band + 1];
    for (int k = first; k < end; k += 2) {
        even += a[MEMBERS[k]] * b[MEMBERS[k]];
        if (k + 1 < end) odd += a[MEMBERS[k + 1]] * b[MEMBERS[k + 1]];
    }
    return (even + odd) * (1.0f / (float)(end - first));
}

// A value of a picture as a level.
__device__ float level(const float *__restrict__ pixels, int given, float unit, int cols, int channels,
                       int y, int x, int channel) {
    return given ? pixels[((size_t)y * cols + x) * channels + channel] * unit
                 : pixels[((size_t)y * channels + channel) * cols + x];
}

// The records of all blocks, in the layout of `Strip` (strip, field, row, column of blocks), rows filled
// up to whole vectors. Eight threads have a block of pixels; `out` is zero before.
extern "C" __global__ void __launch_bounds__(IN_BLOCK *SIDE)
measure_blocks(const float *__restrict__ pixels, const u8 *__restrict__ included, int given, float unit,
               int cols, int channels, float low, float high, int lattice_rows, int lattice_cols,
               int stride_down, int stride_right, float *__restrict__ out) {
    __shared__ float values[IN_BLOCK][3][AREA + 1];
    __shared__ float energy[IN_BLOCK][3][BANDS];
    __shared__ float parts[IN_BLOCK][SIDE][2];
    __shared__ int ends[IN_BLOCK][SIDE];
    __shared__ int outside[IN_BLOCK][SIDE];
    int local = threadIdx.x / SIDE, lane = threadIdx.x % SIDE;
    long long block = (long long)blockIdx.x * IN_BLOCK + local;
    bool there = block < (long long)lattice_rows * lattice_cols;
    int row = there ? (int)(block / lattice_cols) : 0, col = there ? (int)(block % lattice_cols) : 0;
    int top = row * stride_down, left = col * stride_right;

    // a thread has a column
    int clipped = 0, excluded = 0;
    for (int y = 0; y < SIDE; ++y) {
        bool counts = !included || included[(size_t)(top + y) * cols + left + lane];
        excluded += !counts;
        float of[3] = {0.0f, 0.0f, 0.0f};
        for (int c = 0; c < channels; ++c) {
            of[c] = level(pixels, given, unit, cols, channels, top + y, left + lane, c);
            clipped += counts && (of[c] <= low || of[c] >= high);
        }
        if (channels == 1) {
            values[local][0][y * SIDE + lane] = of[0];
        } else {
            for (int plane = 0; plane < 3; ++plane)
                values[local][plane][y * SIDE + lane] = of[0] * OPPONENT[plane][0] +
                                                        of[1] * OPPONENT[plane][1] +
                                                        of[2] * OPPONENT[plane][2];
        }
    }
    ends[local][lane] = clipped;
    outside[local][lane] = excluded;
    __syncthreads();

    // diagonal differences of 2 x 2 pixels, two of the sixteen squares a thread
    float square = 0.0f, fourth = 0.0f;
    for (int plane = channels == 1 ? 0 : 1; plane < channels; ++plane) {
        for (int which = 2 * lane; which < 2 * lane + 2; ++which) {
            const float *at = values[local][plane] + which / 4 * 2 * SIDE + which % 4 * 2;
            float difference = ((at[0] - at[SIDE]) - (at[1] - at[SIDE + 1])) * 0.5f;
            square += difference * difference;
            fourth += difference * difference * (difference * difference);
        }
    }
    parts[local][lane][0] = square;
    parts[local][lane][1] = fourth;
    __syncthreads();
    for (int plane = 0; plane < channels; ++plane) transform(values[local][plane] + lane, SIDE);
    __syncthreads();
    for (int plane = 0; plane < channels; ++plane) transform(values[local][plane] + lane * SIDE, 1);
    __syncthreads();
    if (lane < BANDS) {
        for (int plane = 0; plane < channels; ++plane)
            energy[local][plane][lane] = mean_product(values[local][plane], values[local][plane], lane);
    }
    __syncthreads();
    if (!there) return;

    int across = (lattice_cols + LANES - 1) / LANES * LANES;
    int fields = channels * BANDS + 3 + channels + 4;
    int strip = row / STRIP, strip_rows = min(STRIP, lattice_rows - strip * STRIP);
    size_t field_size = (size_t)across * strip_rows;
    float *record = out + (size_t)strip * STRIP * across * fields + (size_t)(row - strip * STRIP) * across + col;
    if (lane < BANDS) {
        for (int plane = 0; plane < channels; ++plane)
            record[field_size * (plane * BANDS + lane)] = energy[local][plane][lane];
    }
    int at = channels * BANDS;
    if (channels == 3 && lane < 3) {
        const float *a = values[local][lane == 2 ? 1 : 0], *b = values[local][lane == 0 ? 1 : 2];
        record[field_size * (at + lane)] = (mean_product(a, b, 3) + mean_product(a, b, 4)) * 0.5f;
    }
    if (lane < channels) {
        float mean = 0.0f, eighth = 1.0f / SIDE;
        if (channels == 1) {
            mean = values[local][0][0] * eighth;
        } else {
            for (int plane = 0; plane < 3; ++plane)
                mean += values[local][plane][0] * eighth * OPPONENT[plane][lane];
        }
        record[field_size * (at + 3 + lane)] = mean;
    }
    if (lane != SIDE - 1) return;
    at += 3 + channels;
    int all_ends = 0, all_outside = 0;
    float squares = 0.0f, fourths = 0.0f, most = 0.0f;
    for (int k = 0; k < SIDE; ++k) {
        all_ends += ends[local][k];
        all_outside += outside[local][k];
        squares += parts[local][k][0];
        fourths += parts[local][k][1];
    }
    for (int plane = 0; plane < channels; ++plane) {
        float mean = 0.0f;
        for (int band = 0; band < BANDS; ++band)
            mean += energy[local][plane][band] * ((float)(FIRST[band + 1] - FIRST[band]) / (AREA - 1));
        most = fmaxf(most, mean);
    }
    float diagonals = (float)(AREA / 4 * (channels == 1 ? 1 : channels - 1));
    record[field_size * at] = (float)all_ends * (1.0f / (float)(AREA * channels));
    record[field_size * (at + 1)] = squares * (1.0f / diagonals);
    record[field_size * (at + 2)] = fourths * (1.0f / diagonals);
    record[field_size * (at + 3)] = most > CONSTANT && all_outside == 0 ? 1.0f : 0.0f;
}

// Means of squares of 2 x 2 pixels, a row of each channel after the other; included where all four are.
extern "C" __global__ void __launch_bounds__(256)
halve(const float *__restrict__ pixels, const u8 *__restrict__ included, int given, float unit, int cols,
      int channels, int half_rows, int half_cols, float *__restrict__ out, u8 *__restrict__ included_out) {
    int x = blockIdx.x * 32 + threadIdx.x, y = blockIdx.y * 8 + threadIdx.y;
    if (x >= half_cols || y >= half_rows) return;
    for (int c = 0; c < channels; ++c) {
        float sum = level(pixels, given, unit, cols, channels, 2 * y, 2 * x, c);
        sum += level(pixels, given, unit, cols, channels, 2 * y, 2 * x + 1, c);
        sum += level(pixels, given, unit, cols, channels, 2 * y + 1, 2 * x, c);
        sum += level(pixels, given, unit, cols, channels, 2 * y + 1, 2 * x + 1, c);
        out[((size_t)y * channels + c) * half_cols + x] = sum * 0.25f;
    }
    if (included) {
        const u8 *above = included + (size_t)2 * y * cols + 2 * x, *below = above + cols;
        included_out[(size_t)y * half_cols + x] = above[0] && above[1] && below[0] && below[1];
    }
}

// ---- impulses: pixels that stand out from their neighbours ---------------------------------------

typedef unsigned long long u64;

#define THRESHOLDS 5
#define FLOOR 0.06f
#define INFINITY_F __int_as_float(0x7f800000)
#define RANGES 256
// Places of a plane's counts.
#define PIXELS 0
#define INSIDE 1
#define EXTREME 6
#define ELIGIBLE 11 /* four dark, four bright */
#define FOUND 19    /* four black, four white */
#define GREY 27
#define SAMPLED 28
#define COLOURLESS 29
#define FIRST_RANGE 30
#define COUNTS (FIRST_RANGE + RANGES)

__constant__ int RANK[THRESHOLDS] = {0, 0, 0, 1, 1};
__constant__ float SHARE[THRESHOLDS] = {0.5f, 1.0f, 2.0f, 1.0f, 2.0f};
__constant__ float MARGIN[4] = {0.04f, 0.08f, 0.16f, 0.32f};

// A pixel's value in a plane: the only channel, all three added up, or the one of this number.
__device__ float plane_value(const float *__restrict__ pixels, size_t at, int channels, int planes, int plane) {
    const float *pixel = pixels + at * channels;
    return channels == 1 ? pixel[0] : planes == 3 ? pixel[plane] : (pixel[0] + pixel[1]) + pixel[2];
}

__device__ double sum_of_block(double value, double *space) {
    __syncthreads();
    space[threadIdx.x] = value;
    for (int half = blockDim.x / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) space[threadIdx.x] += space[threadIdx.x + half];
    }
    __syncthreads();
    return space[0];
}

// Counts the inner pixels of every so many rows, from the second row on, whose neighbours are all
// included. A plane's counts follow each other; after those of all planes it is counted how many pixels
// stand out in at least one plane and in at least two. `chances` has the rooms of each block, plane and
// threshold. Ranges of values are those of the planes.
extern "C" __global__ void __launch_bounds__(256)
count_impulses(const float *__restrict__ pixels, const u8 *__restrict__ included, int cols, int channels,
               int planes, int counted, int every, int sample, float low, float high, float step,
               u64 *__restrict__ counts, double *__restrict__ chances) {
    __shared__ unsigned mine[3 * COUNTS + 2];
    __shared__ double space[256];
    for (int k = threadIdx.x; k < planes * COUNTS + 2; k += blockDim.x) mine[k] = 0;
    __syncthreads();
    long long number = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    int inner = cols - 2;
    bool known = number < (long long)counted * inner;
    int y = known ? 1 + (int)(number / inner) * every : 1, x = known ? 1 + (int)(number % inner) : 1;
    size_t here = (size_t)y * cols + x;
    if (known && included) {
        for (int dy = -1; dy <= 1; ++dy)
            for (int dx = -1; dx <= 1; ++dx) known = known && included[here + dy * (long long)cols + dx];
    }
    bool sampled = (y - 1) % (sample * every) == 0;
    float span = high - low, first = low + step / 2.0f, last = high - step / 2.0f;
    int flags = 0;
    for (int plane = 0; plane < planes; ++plane) {
        unsigned *count = mine + plane * COUNTS;
        float rooms[THRESHOLDS] = {0.0f, 0.0f, 0.0f, 0.0f, 0.0f};
        if (known) {
            // the lowest two and the highest two of eight neighbours
            float below[2] = {INFINITY_F, INFINITY_F}, above[2] = {-INFINITY_F, -INFINITY_F};
            for (int dy = -1; dy <= 1; ++dy) {
                for (int dx = -1; dx <= 1; ++dx) {
                    if (dy == 0 && dx == 0) continue;
                    float v = plane_value(pixels, here + dy * (long long)cols + dx, channels, planes, plane);
                    below[1] = fminf(below[1], fmaxf(below[0], v));
                    below[0] = fminf(below[0], v);
                    above[1] = fmaxf(above[1], fminf(above[0], v));
                    above[0] = fmaxf(above[0], v);
                }
            }
            float value = plane_value(pixels, here, channels, planes, plane);
            bool edge = value == low || value == high;
            float least = FLOOR * span;
            atomicAdd(&count[PIXELS], 1u);
            for (int k = 0; k < THRESHOLDS; ++k) {
                float under = RANK[k] ? below[1] : below[0], over = RANK[k] ? above[1] : above[0];
                float reach = fmaxf(least, SHARE[k] * (over - under));
                float start = under - reach, end = over + reach;
                rooms[k] = fmaxf(start - first, 0.0f) + fmaxf(last - end, 0.0f);
                if (value < start || value > end) {
                    atomicAdd(&count[(edge ? EXTREME : INSIDE) + k], 1u);
                    if (k == 1) flags |= 1 << plane;
                }
            }
            for (int k = 0; k < 4; ++k) {
                float away = MARGIN[k] * span;
                bool dark = below[0] > low + away, bright = above[0] < high - away;
                if (dark) atomicAdd(&count[ELIGIBLE + k], 1u);
                if (bright) atomicAdd(&count[ELIGIBLE + 4 + k], 1u);
                if (dark && value == low) atomicAdd(&count[FOUND + k], 1u);
                if (bright && value == high) atomicAdd(&count[FOUND + 4 + k], 1u);
            }
            if (sampled) {
                atomicAdd(&count[SAMPLED], 1u);
                int range = (int)((above[1] - below[1]) * ((float)(RANGES - 1) / span));
                atomicAdd(&count[FIRST_RANGE + max(min(range, RANGES - 1), 0)], 1u);
            }
        }
        for (int k = 0; k < THRESHOLDS; ++k) {
            double room = sum_of_block((double)rooms[k], space);
            if (threadIdx.x == 0) chances[((size_t)blockIdx.x * planes + plane) * THRESHOLDS + k] = room;
        }
    }
    if (known && planes == 3) {
        if (flags) atomicAdd(&mine[3 * COUNTS], 1u);
        if (flags & (flags - 1)) atomicAdd(&mine[3 * COUNTS + 1], 1u);
    } else if (known && channels == 3) {
        const float *pixel = pixels + here * 3;
        bool grey = pixel[0] == pixel[1] && pixel[1] == pixel[2];
        if (grey && sampled) atomicAdd(&mine[COLOURLESS], 1u);
        if (grey && flags) atomicAdd(&mine[GREY], 1u);
    }
    __syncthreads();
    for (int k = threadIdx.x; k < planes * COUNTS + 2; k += blockDim.x)
        if (mine[k]) atomicAdd(&counts[k], (u64)mine[k]);
}
