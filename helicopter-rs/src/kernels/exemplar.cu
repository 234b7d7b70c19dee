// Exemplar fill: rounds of seeking (PatchMatch by jumps) and voting. The twins stand in
// src/algorithms/exemplar/. A round reads only the round before, patches are compared in integers and
// votes are summed in the twins' order: compiled without contraction (--fmad=false), the bits are theirs.

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;

#define MARGIN 3
#define NONE 0xffffffffu
#define VISIBLE 4
#define DRAWS 32
#define GOLDEN 0x9E3779B97F4A7C15ull

// A frame: pixels of four bytes with a margin, and what is a target or a source in it.
struct Frame {
    int height, width;
    __device__ int stride() const { return width + 2 * MARGIN; }
    __device__ int at(int y, int x) const { return (y + MARGIN) * stride() + x + MARGIN; }
    __device__ int row(u32 at) const { return (int)(at / (u32)stride()) - MARGIN; }
    __device__ int column(u32 at) const { return (int)(at % (u32)stride()) - MARGIN; }
    __device__ bool contains(int y, int x) const { return y >= 0 && x >= 0 && y < height && x < width; }
};

__device__ u64 mix(u64 z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
}

// Number `index` of the stream that starts from `key`.
__device__ u64 random_number(u64 key, u64 index) { return mix(key + GOLDEN * (index + 1)); }

// A 32-bit random number as a number from 0 to `count` - 1.
__device__ u32 below(u64 random, u32 count) { return (u32)(((random & 0xffffffffull) * count) >> 32); }

// Weighted sum of squared differences of two patches, or some number not below `limit`.
__device__ u32 difference(const uchar4 *__restrict__ pixels, const u8 *__restrict__ visible, Frame frame,
                          int radius, u32 target, u32 source, u32 limit) {
    int y = frame.row(target), x = frame.column(target), stride = frame.stride();
    int first_row = max(-radius, -y), last_row = min(radius, frame.height - 1 - y);
    int first = max(-radius, -x), last = min(radius, frame.width - 1 - x);
    u32 sum = 0;
    for (int dy = first_row; dy <= last_row; ++dy) {
        for (int dx = first; dx <= last; ++dx) {
            int away = dy * stride + dx;
            uchar4 mine = pixels[target + away], other = pixels[source + away];
            int a = mine.x - other.x, b = mine.y - other.y, c = mine.z - other.z, d = mine.w - other.w;
            u32 apart = (u32)(a * a + b * b + c * c + d * d);
            sum += visible[target + away] ? VISIBLE * apart : apart;
        }
        if (sum >= limit) break;
    }
    return sum;
}

// Hidden pixels begin with the colours of the coarser level.
extern "C" __global__ void __launch_bounds__(256)
take_colours(const u32 *__restrict__ targets, int count, const u8 *__restrict__ visible,
             const uchar4 *__restrict__ coarse_pixels, int height, int width, int coarse_height,
             int coarse_width, uchar4 *__restrict__ pixels) {
    int own = blockIdx.x * blockDim.x + threadIdx.x;
    if (own >= count) return;
    Frame frame = {height, width}, coarse = {coarse_height, coarse_width};
    u32 target = targets[own];
    if (visible[target]) return;
    pixels[target] = coarse_pixels[coarse.at(frame.row(target) / 2, frame.column(target) / 2)];
}

// What was found at half the resolution, where it is a source here; nothing is known of differences.
extern "C" __global__ void __launch_bounds__(256)
refine(const u32 *__restrict__ targets, int count, const u8 *__restrict__ is_source,
       const u32 *__restrict__ coarse_number, const u32 *__restrict__ found, int height, int width,
       int coarse_height, int coarse_width, u32 *__restrict__ sources, u32 *__restrict__ differences) {
    int own = blockIdx.x * blockDim.x + threadIdx.x;
    if (own >= count) return;
    Frame frame = {height, width}, coarse = {coarse_height, coarse_width};
    int y = frame.row(targets[own]), x = frame.column(targets[own]);
    u32 source = NONE, parent = coarse_number[coarse.at(y / 2, x / 2)];
    if (parent != NONE) {
        u32 from = found[parent];
        // one row or column too far is in the margin, which holds no sources
        int at = frame.at(2 * coarse.row(from) + y % 2, 2 * coarse.column(from) + x % 2);
        if (is_source[at]) source = (u32)at;
    }
    sources[own] = source;
    differences[own] = NONE;
}

// Gives every target without a source a random one.
extern "C" __global__ void __launch_bounds__(256)
settle(const u32 *__restrict__ targets, int count, const u32 *__restrict__ choice, int choices, u64 key,
       u32 *__restrict__ sources) {
    int own = blockIdx.x * blockDim.x + threadIdx.x;
    if (own >= count || sources[own] != NONE) return;
    sources[own] = choice[below(random_number(key, DRAWS * (u64)targets[own]) >> 32, choices)];
}

// Compares the patches again, because the image has changed.
extern "C" __global__ void __launch_bounds__(256)
measure(const uchar4 *__restrict__ pixels, const u8 *__restrict__ visible, const u32 *__restrict__ targets,
        const u32 *__restrict__ sources, int count, int height, int width, int radius,
        u32 *__restrict__ differences) {
    int own = blockIdx.x * blockDim.x + threadIdx.x;
    if (own >= count) return;
    Frame frame = {height, width};
    differences[own] = difference(pixels, visible, frame, radius, targets[own], sources[own], NONE);
}

// One sweep: what neighbours `step` pixels away have found, then random places ever closer by.
extern "C" __global__ void __launch_bounds__(256)
sweep(const uchar4 *__restrict__ pixels, const u8 *__restrict__ visible,
      const u8 *__restrict__ is_source, const u32 *__restrict__ targets, const u32 *__restrict__ number,
      const u32 *__restrict__ before, int count, int height, int width, int radius, u64 key, int step,
      u32 *__restrict__ after, u32 *__restrict__ differences) {
    int own = blockIdx.x * blockDim.x + threadIdx.x;
    if (own >= count) return;
    Frame frame = {height, width};
    u32 target = targets[own], best = before[own], fewest = differences[own];
    int y = frame.row(target), x = frame.column(target);
    for (int way = 0; way < 4; ++way) {
        int dy = way == 0 ? -step : way == 1 ? step : 0, dx = way == 2 ? -step : way == 3 ? step : 0;
        if (!frame.contains(y + dy, x + dx)) continue;
        int away = dy * frame.stride() + dx;
        u32 neighbour = number[(int)target + away];
        if (neighbour == NONE) continue;
        // where the neighbour's patch would continue, if that is inside the image
        u32 its = before[neighbour];
        if (!frame.contains(frame.row(its) - dy, frame.column(its) - dx)) continue;
        u32 candidate = its - away;
        if (candidate == best || !is_source[candidate]) continue;
        u32 found = difference(pixels, visible, frame, radius, target, candidate, fewest);
        if (found < fewest) best = candidate, fewest = found;
    }
    u64 draw = DRAWS * (u64)target;
    for (int reach = max(height, width); reach >= 1; reach /= 2, ++draw) {
        u64 random = random_number(key, draw);
        int v = frame.row(best) + (int)below(random >> 32, 2 * reach + 1) - reach;
        int u = frame.column(best) + (int)below(random, 2 * reach + 1) - reach;
        if (!frame.contains(v, u)) continue;
        u32 candidate = (u32)frame.at(v, u);
        if (candidate == best || !is_source[candidate]) continue;
        u32 found = difference(pixels, visible, frame, radius, target, candidate, fewest);
        if (found < fewest) best = candidate, fewest = found;
    }
    after[own] = best;
    differences[own] = fewest;
}

// ---- the difference that nine tenths are no larger than: digit by digit, the highest first ------

// What is being selected: digits that are known, how many smaller ones are to be passed, whether any.
struct Selection {
    u32 prefix, known, rank, any;
};

// Counts the digits at `shift` of what begins with the known ones; `counts` has 256 bins, and one more
// for how many differences are known at all.
extern "C" __global__ void __launch_bounds__(256)
digit_counts(const u32 *__restrict__ differences, int count, const Selection *__restrict__ selection,
             int shift, u32 *__restrict__ counts) {
    __shared__ u32 mine[257];
    for (int bin = threadIdx.x; bin < 257; bin += blockDim.x) mine[bin] = 0;
    __syncthreads();
    Selection now = *selection;
    for (int own = blockIdx.x * blockDim.x + threadIdx.x; own < count; own += gridDim.x * blockDim.x) {
        u32 value = differences[own];
        if (value == NONE) continue;
        atomicAdd(&mine[256], 1u);
        if ((value & now.known) == now.prefix) atomicAdd(&mine[value >> shift & 255u], 1u);
    }
    __syncthreads();
    for (int bin = threadIdx.x; bin < 257; bin += blockDim.x)
        if (mine[bin]) atomicAdd(&counts[bin], mine[bin]);
}

// Finds the next digit, in one thread, and empties the counts.
extern "C" __global__ void next_digit(int shift, u32 *__restrict__ counts, Selection *__restrict__ selection) {
    Selection now = *selection;
    if (now.known == 0) {
        now.any = counts[256] > 0;
        now.rank = now.any ? (u32)(9ull * (counts[256] - 1) / 10) : 0;
    }
    u32 digit = 0;
    while (digit < 255 && now.rank >= counts[digit]) now.rank -= counts[digit++];
    now.prefix |= digit << shift;
    now.known |= 255u << shift;
    *selection = now;
    for (int bin = 0; bin < 257; ++bin) counts[bin] = 0;
}

// ---- votes ------------------------------------------------------------------------------------

// How much each target's patch counts: more near what is visible, and more if it is like its source.
extern "C" __global__ void __launch_bounds__(256)
vote_weights(const u32 *__restrict__ sources, const u32 *__restrict__ differences,
             const float *__restrict__ trust, int count, const Selection *__restrict__ selection,
             float *__restrict__ weights) {
    int own = blockIdx.x * blockDim.x + threadIdx.x;
    if (own >= count) return;
    float spread = selection->any ? (float)max(selection->prefix, 1u) : 1.0f;
    float weight = trust[own];
    if (sources[own] == NONE) {
        weight = 0.0f;
    } else if (differences[own] != NONE) {
        float likeness = spread / (spread + (float)differences[own]);
        float squared = likeness * likeness;
        weight = weight * (squared * squared);
    }
    weights[own] = weight;
}

// Every hidden pixel becomes the weighted mean of what the patches over it say.
extern "C" __global__ void __launch_bounds__(256)
cast_votes(const uchar4 *__restrict__ pixels, const u8 *__restrict__ visible,
           const u32 *__restrict__ targets, const u32 *__restrict__ number,
           const u32 *__restrict__ sources, const float *__restrict__ weights, int count, int height,
           int width, int radius, uchar4 *__restrict__ colours) {
    int own = blockIdx.x * blockDim.x + threadIdx.x;
    if (own >= count) return;
    Frame frame = {height, width};
    int stride = frame.stride();
    u32 target = targets[own];
    if (visible[target]) return;
    float sums[4] = {0.0f, 0.0f, 0.0f, 0.0f}, total = 0.0f;
    for (int row = 0; row <= 2 * radius; ++row) {
        for (int column = 0; column <= 2 * radius; ++column) {
            u32 voter = number[(int)target + (radius - row) * stride + radius - column];
            if (voter == NONE) continue;
            float weight = weights[voter];
            if (weight == 0.0f) continue;
            uchar4 said = pixels[(int)sources[voter] + (row - radius) * stride + column - radius];
            sums[0] += weight * (float)said.x;
            sums[1] += weight * (float)said.y;
            sums[2] += weight * (float)said.z;
            sums[3] += weight * (float)said.w;
            total += weight;
        }
    }
    uchar4 colour = pixels[target];
    if (total > 0.0f) {
        colour.x = (u8)min((int)(sums[0] / total + 0.5f), 255);
        colour.y = (u8)min((int)(sums[1] / total + 0.5f), 255);
        colour.z = (u8)min((int)(sums[2] / total + 0.5f), 255);
        colour.w = (u8)min((int)(sums[3] / total + 0.5f), 255);
    }
    colours[own] = colour;
}

extern "C" __global__ void __launch_bounds__(256)
recolour(const u32 *__restrict__ targets, const u8 *__restrict__ visible,
         const uchar4 *__restrict__ colours, int count, uchar4 *__restrict__ pixels) {
    int own = blockIdx.x * blockDim.x + threadIdx.x;
    if (own < count && !visible[targets[own]]) pixels[targets[own]] = colours[own];
}

// Every hidden pixel of the image itself becomes what the patch says that counts most over it.
extern "C" __global__ void __launch_bounds__(256)
deliver(const u32 *__restrict__ targets, const u8 *__restrict__ visible, const u32 *__restrict__ sources,
        int count, int height, int width, int channels, float *__restrict__ image) {
    int own = blockIdx.x * blockDim.x + threadIdx.x;
    if (own >= count) return;
    Frame frame = {height, width};
    u32 target = targets[own], source = sources[own];
    if (visible[target]) return;
    size_t to = (size_t)frame.row(target) * width + frame.column(target);
    size_t from = (size_t)frame.row(source) * width + frame.column(source);
    for (int c = 0; c < channels; ++c) image[to * channels + c] = image[from * channels + c];
}
