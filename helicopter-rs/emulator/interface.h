// What a compiled kernel and the emulated driver know of each other. Included by both, and so without
// any header: NVRTC has none, and kernels must not come to rely on what it would bring.
#pragma once

namespace emulated {

using Size = decltype(sizeof(0));

struct Triple {
    unsigned x, y, z;
};

// What the driver does for a thread that is running.
struct Runtime {
    void (*barrier)(int line);
    void (*barrier_warp)(unsigned mask, int line);
    unsigned long long (*exchange)(unsigned mask, unsigned long long mine, int from, int line);
    unsigned (*ballot)(unsigned mask, bool mine, int line);
    char *(*reserve)(Size bytes, Size alignment);
    void (*trap)(const char *reason, int line);
    int (*print)(const char *format, ...);
};

// Set by the driver before a thread runs, and each time it goes on.
struct State {
    Triple thread, block, block_size, grid_size;
    char *dynamic_shared;
    unsigned long long block_number;  // over all launches: shared variables are placed once for each
    const Runtime *runtime;
};

// One `__global__` function.
struct Kernel {
    void (*call)(void **arguments);
    unsigned arguments;
    const unsigned *sizes;
};

}  // namespace emulated
