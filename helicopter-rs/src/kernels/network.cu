// The network that corrects the harmonic solution, layer by layer, in float32.
//
// A map is planes of channels, (batch, channel, row, column), with `pitch` floats from row to row, a
// multiple of four. Convolutions are implicit products: a block of 128 threads computes 16 x 8 positions
// of 8 * OUTPUTS channels, a thread 8 neighbouring positions of OUTPUTS channels in registers, so that a
// value read from shared memory takes part in 3 * OUTPUTS or 8 products. OUTPUTS is set when compiled;
// without it, what is compiled is the rest.

constexpr int DEPTH = 8;  // channels in shared memory at a time

#ifdef OUTPUTS

constexpr int THREADS = 128;
constexpr int RUN = 8;  // positions of a thread, in a row
constexpr int TILE_X = 16;  // positions of a block
constexpr int TILE_Y = 8;
constexpr int HALO_Y = TILE_Y + 2;
constexpr int LINE = 20;  // floats of a row in shared memory: float4 loads of a warp meet all banks
constexpr int BLOCK = 8 * OUTPUTS;

struct alignas(16) Staged {
    float map[DEPTH][HALO_Y][LINE];
    float weights[DEPTH][9][BLOCK];
};

__device__ __forceinline__ void load_outputs(const float *from, float (&w)[OUTPUTS]) {
    if constexpr (OUTPUTS % 4 == 0) {
#pragma unroll
        for (int o = 0; o < OUTPUTS; o += 4) {
            const float4 four = *reinterpret_cast<const float4 *>(from + o);
            w[o] = four.x, w[o + 1] = four.y, w[o + 2] = four.z, w[o + 3] = four.w;
        }
    } else if constexpr (OUTPUTS % 2 == 0) {
#pragma unroll
        for (int o = 0; o < OUTPUTS; o += 2) {
            const float2 two = *reinterpret_cast<const float2 *>(from + o);
            w[o] = two.x, w[o + 1] = two.y;
        }
    } else {
#pragma unroll
        for (int o = 0; o < OUTPUTS; ++o) w[o] = from[o];
    }
}

// A 3 x 3 convolution with bias. Channels below `rectified` lose what is negative; `residual` is added
// where `has_residual`, and may be the output itself: each thread reads it where it then writes. `weights`
// holds, for every block of outputs, (inputs padded to DEPTH, 9, BLOCK).
extern "C" __global__ void __launch_bounds__(128)
convolve(const float *__restrict__ input, const float *__restrict__ weights,
         const float *__restrict__ bias, const float *residual, float *output,
         int inputs, int outputs, int height, int width, int pitch, int rectified, int has_residual) {
    __shared__ Staged staged;
    const int blocks = (outputs + BLOCK - 1) / BLOCK;
    const int image = blockIdx.z / blocks;
    const int block = blockIdx.z % blocks;
    const int thread = threadIdx.x;
    const int place = thread % 16;  // which run of positions
    const int group = thread / 16;  // which outputs
    const int row = place % TILE_Y;
    const int col = place / TILE_Y * RUN;
    const int top = blockIdx.y * TILE_Y;
    const int left = blockIdx.x * TILE_X;
    const long long plane = (long long)height * pitch;
    const float *planes = input + image * inputs * plane;
    const int steps = (inputs + DEPTH - 1) / DEPTH;
    const float *filters = weights + (long long)block * steps * DEPTH * 9 * BLOCK;

    float sums[RUN][OUTPUTS];
#pragma unroll
    for (int i = 0; i < RUN; ++i) {
#pragma unroll
        for (int o = 0; o < OUTPUTS; ++o) sums[i][o] = 0.0f;
    }
    for (int step = 0; step < steps; ++step) {
        for (int at = thread; at < DEPTH * HALO_Y * LINE; at += THREADS) {
            const int channel = step * DEPTH + at / (HALO_Y * LINE);
            const int y = top - 1 + at / LINE % HALO_Y;
            const int x = left - 1 + at % LINE;
            const bool inside = channel < inputs && y >= 0 && y < height && x >= 0 && x < width;
            (&staged.map[0][0][0])[at] = inside ? planes[channel * plane + (long long)y * pitch + x] : 0.0f;
        }
        const float4 *from = reinterpret_cast<const float4 *>(filters + (long long)step * DEPTH * 9 * BLOCK);
        float4 *to = reinterpret_cast<float4 *>(&staged.weights[0][0][0]);
        for (int at = thread; at < DEPTH * 9 * BLOCK / 4; at += THREADS) to[at] = from[at];
        __syncthreads();
#pragma unroll 1
        for (int k = 0; k < DEPTH; ++k) {
#pragma unroll
            for (int dy = 0; dy < 3; ++dy) {
                float line[12];
#pragma unroll
                for (int part = 0; part < 3; ++part) {
                    const float4 four =
                        *reinterpret_cast<const float4 *>(&staged.map[k][row + dy][col + 4 * part]);
                    line[4 * part] = four.x, line[4 * part + 1] = four.y;
                    line[4 * part + 2] = four.z, line[4 * part + 3] = four.w;
                }
#pragma unroll
                for (int dx = 0; dx < 3; ++dx) {
                    float w[OUTPUTS];
                    load_outputs(&staged.weights[k][3 * dy + dx][group * OUTPUTS], w);
#pragma unroll
                    for (int i = 0; i < RUN; ++i) {
#pragma unroll
                        for (int o = 0; o < OUTPUTS; ++o) sums[i][o] = fmaf(line[i + dx], w[o], sums[i][o]);
                    }
                }
            }
        }
        __syncthreads();
    }

    const int y = top + row;
    const int x = left + col;
    if (y >= height) return;
#pragma unroll
    for (int o = 0; o < OUTPUTS; ++o) {
        const int channel = block * BLOCK + group * OUTPUTS + o;
        if (channel >= outputs) break;
        const long long at = (image * outputs + channel) * plane + (long long)y * pitch + x;
        const float add = bias[channel];
#pragma unroll
        for (int i = 0; i < RUN; i += 4) {
            if (x + i >= width) break;  // rows end at multiples of four, so what is left is there
            float v[4];
#pragma unroll
            for (int j = 0; j < 4; ++j) {
                v[j] = sums[i + j][o] + add;
                if (channel < rectified) v[j] = v[j] > 0.0f ? v[j] : 0.0f;
            }
            if (has_residual) {
                const float4 more = *reinterpret_cast<const float4 *>(residual + at + i);
                v[0] += more.x, v[1] += more.y, v[2] += more.z, v[3] += more.w;
            }
            *reinterpret_cast<float4 *>(output + at + i) = make_float4(v[0], v[1], v[2], v[3]);
        }
    }
}

#else

// -- the layers between levels: products of 128 positions with 64 channels ---------------------------

constexpr int POSITIONS = 128;
constexpr int CHANNELS = 64;

struct alignas(16) Factors {
    float map[DEPTH][POSITIONS];
    float weights[DEPTH][CHANNELS];
};

// Position of the small map, counted through its rows.
struct Place {
    int y, x;
    __device__ Place(int at, int width) : y(at / width), x(at % width) {}
};

// sums[i][o] of the thread's positions and outputs; `value(k, y, x)` gives an entry of the map.
template <class Value>
__device__ __forceinline__ void multiply(Factors &staged, float (&sums)[8][8], int depth, int block, int count,
                                         int width, const float *weights, const Value &value) {
    const int thread = threadIdx.x;
    const int place = thread % 16, group = thread / 16;
    const int steps = (depth + DEPTH - 1) / DEPTH;
    const float *filters = weights + (long long)block * steps * DEPTH * CHANNELS;
#pragma unroll
    for (int i = 0; i < 8; ++i) {
#pragma unroll
        for (int o = 0; o < 8; ++o) sums[i][o] = 0.0f;
    }
    const int mine = blockIdx.x * POSITIONS + thread;
    const Place at(mine < count ? mine : 0, width);
    for (int step = 0; step < steps; ++step) {
#pragma unroll
        for (int k = 0; k < DEPTH; ++k) {
            const int input = step * DEPTH + k;
            staged.map[k][thread] = mine < count && input < depth ? value(input, at.y, at.x) : 0.0f;
        }
        const float4 *from = reinterpret_cast<const float4 *>(filters + (long long)step * DEPTH * CHANNELS);
        reinterpret_cast<float4 *>(&staged.weights[0][0])[thread] = from[thread];
        __syncthreads();
#pragma unroll
        for (int k = 0; k < DEPTH; ++k) {
            float m[8], w[8];
#pragma unroll
            for (int half = 0; half < 2; ++half) {
                // runs of four, 64 positions apart: neighbouring threads read neighbouring floats
                const float4 a = *reinterpret_cast<const float4 *>(&staged.map[k][64 * half + 4 * place]);
                const float4 b = *reinterpret_cast<const float4 *>(&staged.weights[k][8 * group + 4 * half]);
                m[4 * half] = a.x, m[4 * half + 1] = a.y, m[4 * half + 2] = a.z, m[4 * half + 3] = a.w;
                w[4 * half] = b.x, w[4 * half + 1] = b.y, w[4 * half + 2] = b.z, w[4 * half + 3] = b.w;
            }
#pragma unroll
            for (int i = 0; i < 8; ++i) {
#pragma unroll
                for (int o = 0; o < 8; ++o) sums[i][o] = fmaf(m[i], w[o], sums[i][o]);
            }
        }
        __syncthreads();
    }
}

__device__ __forceinline__ int position_of(int i) {
    return blockIdx.x * POSITIONS + 64 * (i / 4) + 4 * (threadIdx.x % 16) + i % 4;
}

// 2 x 2 positions become one. `height`, `width` and `pitch` are those of the small map; grid (positions,
// blocks of channels, batch). Weights: (block, 4 * inputs padded to DEPTH, 64), pixels of an input together.
extern "C" __global__ void __launch_bounds__(128)
shrink(const float *__restrict__ input, const float *__restrict__ weights, const float *__restrict__ bias,
       float *__restrict__ output, int inputs, int outputs, int height, int width, int pitch,
       int fine_pitch) {
    __shared__ Factors staged;
    const int count = height * width, block = blockIdx.y;
    const long long fine_plane = 2LL * height * fine_pitch, plane = (long long)height * pitch;
    const float *planes = input + (long long)blockIdx.z * inputs * fine_plane;
    float sums[8][8];
    multiply(staged, sums, 4 * inputs, block, count, width, weights, [&](int k, int y, int x) {
        return planes[k / 4 * fine_plane + (long long)(2 * y + k % 4 / 2) * fine_pitch + 2 * x + k % 2];
    });
    for (int o = 0; o < 8; ++o) {
        const int channel = block * CHANNELS + threadIdx.x / 16 * 8 + o;
        if (channel >= outputs) break;
        float *to = output + ((long long)blockIdx.z * outputs + channel) * plane;
        const float add = bias[channel];
#pragma unroll
        for (int i = 0; i < 8; ++i) {
            const int position = position_of(i);
            if (position < count) {
                const Place at(position, width);
                to[(long long)at.y * pitch + at.x] = sums[i][o] + add;
            }
        }
    }
}

// One position becomes 2 x 2, which are added to `output`; sizes as for `shrink`. Outputs come in fours,
// the 2 x 2 pixels of a channel of the larger map.
extern "C" __global__ void __launch_bounds__(128)
grow(const float *__restrict__ input, const float *__restrict__ weights, const float *__restrict__ bias,
     float *__restrict__ output, int inputs, int outputs, int height, int width, int pitch,
     int fine_pitch) {
    __shared__ Factors staged;
    const int count = height * width, block = blockIdx.y, channels = outputs / 4;
    const long long fine_plane = 2LL * height * fine_pitch, plane = (long long)height * pitch;
    const float *planes = input + (long long)blockIdx.z * inputs * plane;
    float sums[8][8];
    multiply(staged, sums, inputs, block, count, width, weights, [&](int k, int y, int x) {
        return planes[k * plane + (long long)y * pitch + x];
    });
#pragma unroll
    for (int o = 0; o < 8; o += 2) {
        const int number = block * CHANNELS + threadIdx.x / 16 * 8 + o;
        if (number >= outputs) break;
        const long long first = ((long long)blockIdx.z * channels + number / 4) * fine_plane;
        const float left = bias[number], right = bias[number + 1];
#pragma unroll
        for (int i = 0; i < 8; ++i) {
            const int position = position_of(i);
            if (position < count) {
                const Place at(position, width);
                const long long there = first + (long long)(2 * at.y + number % 4 / 2) * fine_pitch + 2 * at.x;
                float2 *to = reinterpret_cast<float2 *>(output + there);
                *to = make_float2(sums[i][o] + left + to->x, sums[i][o + 1] + right + to->y);
            }
        }
    }
}

// -- from pixels to features and back ---------------------------------------------------------------

// What is known of a window of an image: 2 x 2 pixels of five kinds to a position. `top` and `left` are
// even; beyond the image everything is zero.
extern "C" __global__ void __launch_bounds__(256)
features(const float *__restrict__ image, const unsigned char *__restrict__ hidden, float *__restrict__ map,
         int image_height, int image_width, int channels, int top, int left, int height, int width, int pitch) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x;
    const int y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height) return;
    const long long plane = (long long)height * pitch;
    const long long pixels = (long long)image_height * image_width;
    float *to = map + blockIdx.z * 20 * plane + (long long)y * pitch + x;
    const float *from = image + blockIdx.z * pixels * channels;
    for (int sub = 0; sub < 4; ++sub) {
        const int v = top + 2 * y + sub / 2, u = left + 2 * x + sub % 2;
        float values[5] = {0.0f, 0.0f, 0.0f, 0.0f, 0.0f};
        if (v < image_height && u < image_width) {
            const long long at = (long long)v * image_width + u;
            for (int colour = 0; colour < 3; ++colour) {
                const int channel = colour < channels - 1 ? colour : channels - 1;
                values[colour] = 2.0f * from[at * channels + channel] - 1.0f;
            }
            values[3] = hidden[blockIdx.z * pixels + at] ? 1.0f : 0.0f;
            values[4] = 1.0f;
        }
        for (int kind = 0; kind < 5; ++kind) to[(4 * kind + sub) * plane] = values[kind];
    }
}

// Piecewise linear between the knots (log_scale, log_sigma, slope behind each), constant outside.
__device__ float calibrated(float log_scale, const double *__restrict__ knots, int count) {
    const double x = log_scale;
    if (x != x) return log_scale;
    int behind = 0, end = count;
    while (behind < end) {
        const int middle = (behind + end) / 2;
        if (knots[middle] <= x) {
            behind = middle + 1;
        } else {
            end = middle;
        }
    }
    const double *log_sigma = knots + count, *slope = log_sigma + count;
    double value;
    if (behind == 0) {
        value = log_sigma[0];
    } else if (behind == count) {
        value = log_sigma[count - 1];
    } else {
        value = log_sigma[behind - 1] + slope[behind - 1] * (x - knots[behind - 1]);
    }
    return (float)exp(value);
}

// Corrects the hidden pixels of rows first_row .. end_row and columns first_col .. end_col, and says how
// far they may be off. `map` has the features of the scale (`scales`), then the 12 corrections; `second`
// makes four logarithms of scales of the former: (scales, 4), then the four biases. Counts in `unsound`
// what is no finite number.
extern "C" __global__ void __launch_bounds__(256)
correct(const float *__restrict__ map, const float *__restrict__ second, const double *__restrict__ knots,
        const unsigned char *__restrict__ hidden, const float *__restrict__ image, float *__restrict__ filled,
        float *__restrict__ sigma, int *__restrict__ unsound, int knot_count, int scales, int image_height,
        int image_width, int channels, int top, int left, int height, int width, int pitch, int first_row,
        int end_row, int first_col, int end_col) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x;
    const int y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height) return;
    const long long pixels = (long long)image_height * image_width;
    const long long plane = (long long)height * pitch;
    bool wanted[4];
    bool any = false;
#pragma unroll
    for (int sub = 0; sub < 4; ++sub) {
        const int v = top + 2 * y + sub / 2, u = left + 2 * x + sub % 2;
        wanted[sub] = v >= first_row && v < end_row && u >= first_col && u < end_col &&
                      hidden[blockIdx.z * pixels + (long long)v * image_width + u];
        any = any || wanted[sub];
    }
    if (!any) return;
    const float *from = map + blockIdx.z * (scales + 12) * plane + (long long)y * pitch + x;
    float log_scale[4];
#pragma unroll
    for (int sub = 0; sub < 4; ++sub) log_scale[sub] = second[4 * scales + sub];
    for (int k = 0; k < scales; ++k) {
        const float value = from[k * plane];
#pragma unroll
        for (int sub = 0; sub < 4; ++sub) log_scale[sub] = fmaf(value, second[4 * k + sub], log_scale[sub]);
    }
#pragma unroll
    for (int sub = 0; sub < 4; ++sub) {
        if (!wanted[sub]) continue;
        const int v = top + 2 * y + sub / 2, u = left + 2 * x + sub % 2;
        const long long at = blockIdx.z * pixels + (long long)v * image_width + u;
        const float here = calibrated(log_scale[sub], knots, knot_count);
        bool sound = here - here == 0.0f;
        sigma[at] = here;
        float by[3];
#pragma unroll
        for (int colour = 0; colour < 3; ++colour) by[colour] = from[(scales + 4 * colour + sub) * plane];
        if (channels == 1) by[0] = (by[0] + by[1] + by[2]) / 3.0f;
        for (int channel = 0; channel < channels; ++channel) {
            const float value = image[at * channels + channel] + by[channel];
            sound = sound && value == value;
            // as the CPU does: what is no number stays none
            filled[at * channels + channel] = value < 0.0f ? 0.0f : value > 1.0f ? 1.0f : value;
        }
        if (!sound) atomicAdd(unsound, 1);
    }
}

// variance = sigma * sigma
extern "C" __global__ void __launch_bounds__(256) square(float *__restrict__ values, long long count) {
    const long long at = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (at < count) values[at] *= values[at];
}

#endif
