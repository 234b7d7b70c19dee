// Between the values of an image and [0, 1]: one thread for each pixel.

extern "C" __global__ void to_unit(float *image, const unsigned char *__restrict__ hidden, long long pixels,
                                   int channels, float low, float high, int *counts) {
    const long long at = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (at >= pixels) {
        return;
    }
    if (hidden[at]) {
        for (int c = 0; c < channels; ++c) {
            image[at * channels + c] = 0.0f;
        }
        return;
    }
    // sums of integers are the same in any order
    atomicAdd(counts + 2, 1);
    for (int c = 0; c < channels; ++c) {
        const float value = image[at * channels + c];
        if (!(value - value == 0.0f)) {
            atomicAdd(counts, 1);
        } else if (value < low || value > high) {
            atomicAdd(counts + 1, 1);
        }
        image[at * channels + c] = (float)(((double)value - low) / ((double)high - low));
    }
}

extern "C" __global__ void root(float *values, long long count) {
    const long long at = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (at < count) {
        values[at] = sqrtf(values[at]);
    }
}

extern "C" __global__ void from_unit(float *image, float *sigma, long long pixels, int channels, float low,
                                     float high) {
    const long long at = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (at >= pixels) {
        return;
    }
    const float units = high - low;
    for (int c = 0; c < channels; ++c) {
        const float value = image[at * channels + c] * units + low;
        image[at * channels + c] = fminf(fmaxf(value, low), high);
    }
    sigma[at] *= units;
}

extern "C" __global__ void restore(const float *__restrict__ original, const unsigned char *__restrict__ hidden,
                                   long long pixels, int channels, float *image) {
    const long long at = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (at >= pixels || hidden[at]) {
        return;
    }
    for (int c = 0; c < channels; ++c) {
        image[at * channels + c] = original[at * channels + c];
    }
}
