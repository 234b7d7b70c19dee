// The functions of libcuda that Helicopter's accelerator (through cudarc) calls.
#include "device.hpp"

using namespace emulated;

#define API extern "C" __attribute__((visibility("default")))
using Pointer = unsigned long long;

namespace {

thread_local void *current_context = nullptr;
[[maybe_unused]] char the_context, the_pool;  // their addresses are the handles

// What every call begins with: one at a time, not after a fork, not on a device that is gone.
class Call {
  public:
    int code;
    Device &device = Device::get();
    explicit Call(bool needs_context = true) : guard(device.lock) {
        if (getpid() != device.pid || !device.initialised) code = NOT_INITIALIZED;
        else if (device.faults.strikes("lost") || device.lost) device.lost = true, code = UNKNOWN;
        else if (device.sticky != OK) code = device.sticky;
        else if (needs_context && !current_context) code = INVALID_CONTEXT;
        else code = OK;
    }

  private:
    std::lock_guard<std::recursive_mutex> guard;
};

#define BEGIN(...)             \
    Call call{__VA_ARGS__};    \
    [[maybe_unused]] Device &d = call.device; \
    if (call.code) return call.code
#define STREAM(handle)                   \
    Stream *on = d.stream(handle);       \
    if (!on) return INVALID_HANDLE

void *pointer(Pointer p) { return reinterpret_cast<void *>(uintptr_t(p)); }

int attribute(const Device &d, int which) {
    const int capability = atoi(setting("CAPABILITY", "90"));
    switch (which) {
        case 1: return 1024;                 // threads in a block
        case 2: case 3: return 1024;         // block x, y
        case 4: return 64;
        case 5: return 0x7fffffff;           // grid x
        case 6: case 7: return 65535;
        case 8: return int(STATIC_SHARED);   // shared memory of a block
        case 10: return 32;                  // warp
        case 12: case 82: return 65536;      // registers
        case 13: return 1980000;             // clock, kHz
        case 16: return 132;                 // multiprocessors
        case 19: case 31: case 41: return 1;
        case 36: return 3201000;             // memory clock, kHz
        case 37: return 6144;                // bus, bits
        case 38: return 50 << 20;            // L2
        case 39: return 2048;                // threads of a multiprocessor
        case 75: return capability / 10;
        case 76: return capability % 10;
        case 81: return 228 << 10;
        case 97: return 227 << 10;
        case 106: return 32;
        case 111: return 1024;
        case 115: return d.faults.figure("version", 13000) >= 11020 && d.faults.figure("pools", 1);
        default: return 0;
    }
}

}  // namespace

// -- device and context ---------------------------------------------------------------------------

API int cuInit(unsigned) {
    Device &d = Device::get();
    std::lock_guard<std::recursive_mutex> guard(d.lock);
    if (getpid() != d.pid) return NOT_INITIALIZED;
    if (const long code = d.faults.figure("init", 0)) return int(code);
    if (d.faults.figure("devices", 1) == 0) return NO_DEVICE;
    d.initialised = true;
    return OK;
}

API int cuDriverGetVersion(int *version) {
    *version = int(Device::get().faults.figure("version", 13000));
    return OK;
}

API int cuDeviceGetCount(int *count) {
    BEGIN(false);
    *count = int(d.faults.figure("devices", 1));
    return OK;
}

API int cuDeviceGet(int *device, int ordinal) {
    BEGIN(false);
    if (ordinal < 0 || ordinal >= d.faults.figure("devices", 1)) return INVALID_DEVICE;
    *device = ordinal;
    return OK;
}

API int cuDeviceGetName(char *name, int length, int) {
    BEGIN(false);
    snprintf(name, size_t(length), "Emulated CUDA device");
    return OK;
}

API int cuDeviceGetUuid_v2(char *uuid, int device) {
    BEGIN(false);
    memset(uuid, 0, 16);
    uuid[0] = char(device + 1);
    return OK;
}
API int cuDeviceGetUuid(char *uuid, int device) { return cuDeviceGetUuid_v2(uuid, device); }

API int cuDeviceTotalMem_v2(size_t *bytes, int) {
    BEGIN(false);
    *bytes = d.memory.total;
    return OK;
}

API int cuDeviceGetAttribute(int *value, int which, int) {
    BEGIN(false);
    *value = attribute(d, which);
    return OK;
}

API int cuDevicePrimaryCtxRetain(void **context, int) {
    BEGIN(false);
    ++d.references;
    *context = &the_context;
    return OK;
}

API int cuDevicePrimaryCtxReset_v2(int) {
    Device &d = Device::get();
    std::lock_guard<std::recursive_mutex> guard(d.lock);
    d.reset(false);
    return OK;
}

API int cuDevicePrimaryCtxRelease_v2(int) {
    Device &d = Device::get();
    std::lock_guard<std::recursive_mutex> guard(d.lock);
    if (getpid() != d.pid) return NOT_INITIALIZED;
    if (d.references == 0) return INVALID_CONTEXT;
    if (--d.references == 0) d.reset(true);
    return OK;
}

API int cuDevicePrimaryCtxSetFlags_v2(int, unsigned) { return OK; }
API int cuDevicePrimaryCtxGetState(int, unsigned *flags, int *active) {
    *flags = 0;
    *active = Device::get().references > 0;
    return OK;
}

API int cuCtxGetCurrent(void **context) {
    if (getpid() != Device::get().pid || !Device::get().initialised) return NOT_INITIALIZED;
    *context = current_context;
    return OK;
}

API int cuCtxSetCurrent(void *context) {
    BEGIN(false);
    if (context && context != &the_context) return INVALID_CONTEXT;
    current_context = context;
    return OK;
}

API int cuCtxGetDevice(int *device) {
    BEGIN();
    *device = 0;
    return OK;
}

API int cuCtxSynchronize() {
    BEGIN();
    d.synchronize_all();
    return d.sticky;
}

API int cuCtxSetFlags(unsigned) { return OK; }
API int cuCtxSetLimit(int, size_t) { return OK; }
API int cuCtxGetStreamPriorityRange(int *least, int *greatest) {
    *least = 0;
    *greatest = -5;
    return OK;
}

// -- memory ---------------------------------------------------------------------------------------

API int cuMemGetInfo_v2(size_t *free, size_t *total) {
    BEGIN();
    *total = d.memory.total;
    *free = d.memory.total - d.memory.taken();
    return OK;
}

API int cuMemAlloc_v2(Pointer *at, size_t bytes) {
    BEGIN();
    return d.allocate(at, bytes, false);
}

API int cuMemFree_v2(Pointer at) {
    BEGIN();
    if (!at) return OK;
    d.synchronize_all();
    return d.release(at, &d.legacy);
}

API int cuMemHostAlloc(void **at, size_t bytes, unsigned) {
    BEGIN();
    *at = d.memory.allocate(bytes, true, false);
    return *at ? OK : OUT_OF_MEMORY;
}
API int cuMemAllocHost_v2(void **at, size_t bytes) { return cuMemHostAlloc(at, bytes, 0); }

API int cuMemFreeHost(void *at) {
    BEGIN();
    d.synchronize_all();
    return d.memory.host_memory(at) && d.memory.release(at) ? OK : INVALID_VALUE;
}

API int cuPointerGetAttribute(void *value, int which, Pointer at) {
    BEGIN();
    const Allocation *a = d.memory.containing(at, 1);
    if (!a) return INVALID_VALUE;
    switch (which) {
        case 1: *static_cast<void **>(value) = &the_context; return OK;
        case 2: *static_cast<unsigned *>(value) = a->host ? 1 : 2; return OK;
        case 3: *static_cast<Pointer *>(value) = at; return OK;
        case 8: *static_cast<unsigned *>(value) = 0; return OK;
        case 9: *static_cast<int *>(value) = 0; return OK;
        case 11: *static_cast<Pointer *>(value) = uintptr_t(a->data); return OK;
        case 12: *static_cast<size_t *>(value) = a->bytes; return OK;
        default: return INVALID_VALUE;
    }
}

API int cuMemGetAddressRange_v2(Pointer *base, size_t *size, Pointer at) {
    BEGIN();
    const Allocation *a = d.memory.containing(at, 1);
    if (!a) return NOT_FOUND;
    if (base) *base = uintptr_t(a->data);
    if (size) *size = a->bytes;
    return OK;
}

#ifndef EMULATED_WITHOUT_POOLS  // a driver older than 11.2 has none of these
API int cuMemAllocAsync(Pointer *at, size_t bytes, void *stream) {
    BEGIN();
    STREAM(stream);
    return d.allocate(at, bytes, true);
}
API int cuMemAllocFromPoolAsync(Pointer *at, size_t bytes, void *, void *stream) { return cuMemAllocAsync(at, bytes, stream); }

API int cuMemFreeAsync(Pointer at, void *stream) {
    BEGIN();
    STREAM(stream);
    return d.release(at, on);
}

API int cuDeviceGetDefaultMemPool(void **pool, int) {
    BEGIN(false);
    *pool = &the_pool;
    return OK;
}
API int cuDeviceGetMemPool(void **pool, int device) { return cuDeviceGetDefaultMemPool(pool, device); }

API int cuMemPoolSetAttribute(void *pool, int which, void *value) {
    BEGIN(false);
    if (pool != &the_pool) return INVALID_VALUE;
    if (which == 4) d.memory.pool_threshold = *static_cast<unsigned long long *>(value);
    return OK;
}

API int cuMemPoolGetAttribute(void *pool, int which, void *value) {
    BEGIN(false);
    if (pool != &the_pool) return INVALID_VALUE;
    const Memory &m = d.memory;
    *static_cast<unsigned long long *>(value) = which == 4   ? m.pool_threshold
                                                : which == 5 ? m.pool_reserved
                                                : which == 7 ? m.pool_used
                                                             : m.pool_peak;
    return OK;
}

API int cuMemPoolTrimTo(void *pool, size_t keep) {
    BEGIN(false);
    if (pool != &the_pool) return INVALID_VALUE;
    d.synchronize_all();
    d.memory.trim(keep);
    return OK;
}
#endif

// -- copies ---------------------------------------------------------------------------------------

API int cuMemcpyHtoDAsync_v2(Pointer to, const void *from, size_t bytes, void *stream) {
    BEGIN();
    STREAM(stream);
    if (!d.inside("a copy to the device", to, bytes)) return INVALID_VALUE;
    if (d.memory.host_memory(from) || !Device::deferred()) return d.copy("up", pointer(to), from, bytes, false, on);
    // pageable memory is read before the call returns
    auto staged = std::make_shared<std::vector<char>>(static_cast<const char *>(from), static_cast<const char *>(from) + bytes);
    if (d.faults.strikes("copy")) return d.sticky = ILLEGAL_ADDRESS;
    d.enqueue(on, [to, staged] { memcpy(pointer(to), staged->data(), staged->size()); });
    return OK;
}

API int cuMemcpyHtoD_v2(Pointer to, const void *from, size_t bytes) {
    const int code = cuMemcpyHtoDAsync_v2(to, from, bytes, nullptr);
    return code ? code : cuCtxSynchronize();
}

API int cuMemcpyDtoHAsync_v2(void *to, Pointer from, size_t bytes, void *stream) {
    BEGIN();
    STREAM(stream);
    if (!d.inside("a copy to the host", from, bytes)) return INVALID_VALUE;
    const int code = d.copy("down", to, pointer(from), bytes, true, on);
    if (code == OK && !d.memory.host_memory(to)) d.synchronize(on);  // to pageable memory: done when it returns
    return code ? code : d.sticky;
}

API int cuMemcpyDtoH_v2(void *to, Pointer from, size_t bytes) {
    const int code = cuMemcpyDtoHAsync_v2(to, from, bytes, nullptr);
    return code ? code : cuCtxSynchronize();
}

API int cuMemcpyDtoDAsync_v2(Pointer to, Pointer from, size_t bytes, void *stream) {
    BEGIN();
    STREAM(stream);
    if (!d.inside("a copy on the device, to", to, bytes) || !d.inside("a copy on the device, from", from, bytes)) return INVALID_VALUE;
    return d.copy("across", pointer(to), pointer(from), bytes, false, on);
}

API int cuMemcpyDtoD_v2(Pointer to, Pointer from, size_t bytes) {
    const int code = cuMemcpyDtoDAsync_v2(to, from, bytes, nullptr);
    return code ? code : cuCtxSynchronize();
}

API int cuMemcpyAsync(Pointer to, Pointer from, size_t bytes, void *stream) {
    Device &d = Device::get();
    const bool to_device = d.memory.containing(to, 1) != nullptr, from_device = d.memory.containing(from, 1) != nullptr;
    if (to_device && from_device) return cuMemcpyDtoDAsync_v2(to, from, bytes, stream);
    return to_device ? cuMemcpyHtoDAsync_v2(to, pointer(from), bytes, stream) : cuMemcpyDtoHAsync_v2(pointer(to), from, bytes, stream);
}

API int cuMemsetD8Async(Pointer at, unsigned char value, size_t count, void *stream) {
    BEGIN();
    STREAM(stream);
    if (!d.inside("a fill", at, count)) return INVALID_VALUE;
    d.enqueue(on, [=] { memset(pointer(at), value, count); });
    return OK;
}

API int cuMemsetD32Async(Pointer at, unsigned value, size_t count, void *stream) {
    BEGIN();
    STREAM(stream);
    if (!d.inside("a fill", at, 4 * count)) return INVALID_VALUE;
    d.enqueue(on, [=] { std::fill_n(static_cast<unsigned *>(pointer(at)), count, value); });
    return OK;
}

API int cuMemsetD8_v2(Pointer at, unsigned char value, size_t count) { return cuMemsetD8Async(at, value, count, nullptr); }
API int cuMemsetD32_v2(Pointer at, unsigned value, size_t count) { return cuMemsetD32Async(at, value, count, nullptr); }

// -- streams and events ---------------------------------------------------------------------------

API int cuStreamCreate(void **stream, unsigned flags) {
    BEGIN();
    auto made = std::make_shared<Stream>();
    made->blocking = (flags & 1) == 0;
    *stream = made.get();
    d.streams[*stream] = made;
    return OK;
}
API int cuStreamCreateWithPriority(void **stream, unsigned flags, int) { return cuStreamCreate(stream, flags); }

API int cuStreamDestroy_v2(void *stream) {
    BEGIN();
    const auto found = d.streams.find(stream);
    if (found == d.streams.end()) return INVALID_HANDLE;
    d.drain(found->second.get());
    d.streams.erase(found);
    return d.sticky;
}

API int cuStreamSynchronize(void *stream) {
    BEGIN();
    STREAM(stream);
    if (on == &d.legacy) d.synchronize_all();
    else d.synchronize(on);
    d.memory.trim_to_threshold();
    return d.sticky;
}

API int cuStreamQuery(void *stream) {
    BEGIN();
    STREAM(stream);
    const bool idle = on->work.empty();
    d.drain(on);
    return idle ? d.sticky : NOT_READY;
}

API int cuStreamGetCtx(void *, void **context) {
    *context = &the_context;
    return OK;
}

API int cuStreamIsCapturing(void *, int *status) {
    *status = 0;
    return OK;
}

API int cuStreamWaitEvent(void *stream, void *event, unsigned) {
    BEGIN();
    STREAM(stream);
    const auto found = d.events.find(event);
    if (found == d.events.end()) return INVALID_HANDLE;
    const std::shared_ptr<Event> awaited = found->second;
    const unsigned long long ticket = awaited->issued;
    d.enqueue(on, [&d, awaited, ticket] { d.drain_until(*awaited, ticket); });
    return OK;
}

API int cuEventCreate(void **event, unsigned) {
    BEGIN();
    auto made = std::make_shared<Event>();
    *event = made.get();
    d.events[*event] = made;
    return OK;
}

API int cuEventDestroy_v2(void *event) {
    BEGIN();
    return d.events.erase(event) ? OK : INVALID_HANDLE;
}

API int cuEventRecord(void *event, void *stream) {
    BEGIN();
    STREAM(stream);
    const auto found = d.events.find(event);
    if (found == d.events.end()) return INVALID_HANDLE;
    const std::shared_ptr<Event> recorded = found->second;
    recorded->stream = on;
    const unsigned long long ticket = ++recorded->issued;
    d.enqueue(on, [recorded, ticket] {
        recorded->done = ticket;
        recorded->when = std::chrono::steady_clock::now();
    });
    return OK;
}

API int cuEventSynchronize(void *event) {
    BEGIN();
    const auto found = d.events.find(event);
    if (found == d.events.end()) return INVALID_HANDLE;
    d.drain_until(*found->second, found->second->issued);
    return d.sticky;
}

API int cuEventQuery(void *event) {
    BEGIN();
    const auto found = d.events.find(event);
    if (found == d.events.end()) return INVALID_HANDLE;
    const bool done = found->second->done == found->second->issued;
    d.drain_until(*found->second, found->second->issued);
    return done ? OK : NOT_READY;
}

API int cuEventElapsedTime(float *milliseconds, void *start, void *end) {
    BEGIN();
    const auto first = d.events.find(start), last = d.events.find(end);
    if (first == d.events.end() || last == d.events.end()) return INVALID_HANDLE;
    if (first->second->done < first->second->issued || last->second->done < last->second->issued) return NOT_READY;
    *milliseconds = std::chrono::duration<float, std::milli>(last->second->when - first->second->when).count();
    return OK;
}
API int cuEventElapsedTime_v2(float *milliseconds, void *start, void *end) { return cuEventElapsedTime(milliseconds, start, end); }

// -- modules and launches -------------------------------------------------------------------------

API int cuModuleLoadData(void **module, const void *image) {
    BEGIN();
    return d.load(module, image);
}
API int cuModuleLoadDataEx(void **module, const void *image, unsigned, void *, void **) { return cuModuleLoadData(module, image); }

API int cuModuleUnload(void *module) {
    BEGIN();
    return d.unload(module);
}

API int cuModuleGetFunction(void **function, void *module, const char *name) {
    BEGIN();
    return d.function(function, module, name);
}

API int cuModuleGetGlobal_v2(Pointer *, size_t *, void *, const char *) { return NOT_FOUND; }

API int cuFuncGetAttribute(int *value, int which, void *function) {
    BEGIN();
    if (!d.functions.count(function)) return INVALID_HANDLE;
    *value = which == 0 ? 1024 : which == 4 ? 32 : which == 8 ? static_cast<Function *>(function)->dynamic_shared : 0;
    return OK;
}

API int cuFuncSetAttribute(void *function, int which, int value) {
    BEGIN();
    if (!d.functions.count(function)) return INVALID_HANDLE;
    if (which == 8) {
        if (value < 0 || value > attribute(d, 97)) return INVALID_VALUE;
        static_cast<Function *>(function)->dynamic_shared = std::max(value, int(STATIC_SHARED));
    }
    return OK;
}

API int cuFuncSetCacheConfig(void *, int) { return OK; }

API int cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, void *, int threads, size_t) {
    *blocks = threads > 0 ? std::min(32, 2048 / threads) : 0;
    return OK;
}
API int cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *blocks, void *function, int threads, size_t shared, unsigned) {
    return cuOccupancyMaxActiveBlocksPerMultiprocessor(blocks, function, threads, shared);
}

API int cuLaunchKernel(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared,
                       void *stream, void **parameters, void **) {
    BEGIN();
    STREAM(stream);
    if (!d.functions.count(function)) return INVALID_HANDLE;
    return d.launch(*static_cast<Function *>(function), {gx, gy, gz}, {bx, by, bz}, shared, on, parameters);
}

API int cuLaunchHostFunc(void *stream, void (*function)(void *), void *data) {
    BEGIN();
    STREAM(stream);
    d.enqueue(on, [function, data] { function(data); });
    return OK;
}

// -- errors ---------------------------------------------------------------------------------------

namespace {
struct Said {
    int code;
    const char *name, *text;
};
const Said SAID[] = {
    {OK, "CUDA_SUCCESS", "no error"},
    {INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {NOT_INITIALIZED, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {NO_DEVICE, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {INVALID_DEVICE, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {INVALID_IMAGE, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
    {INVALID_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {UNSUPPORTED_PTX_VERSION, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION", "the provided PTX was compiled with an unsupported toolchain."},
    {INVALID_HANDLE, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {NOT_FOUND, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {NOT_READY, "CUDA_ERROR_NOT_READY", "device not ready"},
    {ILLEGAL_ADDRESS, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {LAUNCH_OUT_OF_RESOURCES, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES", "too many resources requested for launch"},
    {LAUNCH_TIMEOUT, "CUDA_ERROR_LAUNCH_TIMEOUT", "the launch timed out and was terminated"},
    {LAUNCH_FAILED, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {NOT_SUPPORTED, "CUDA_ERROR_NOT_SUPPORTED", "operation not supported"},
    {803, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", "system has unsupported display driver / cuda driver combination"},
    {UNKNOWN, "CUDA_ERROR_UNKNOWN", "unknown error"},
};

int say(int code, const char **text, const char *Said::*member) {
    for (const Said &said : SAID)
        if (said.code == code) {
            *text = said.*member;
            return OK;
        }
    *text = nullptr;
    return INVALID_VALUE;
}
}  // namespace

API int cuGetErrorName(int code, const char **text) { return say(code, text, &Said::name); }
API int cuGetErrorString(int code, const char **text) { return say(code, text, &Said::text); }

// NVRTC asks a libcuda that is loaded for tables of its own.
API int cuGetExportTable(const void **table, const void *) {
    *table = nullptr;
    return NOT_SUPPORTED;
}

// -- what tests ask and tell the emulator ---------------------------------------------------------

// How many complaints there were; the last is put into `text`. `clear` forgets them.
API size_t emulatorProblems(char *text, size_t length, int clear) {
    Device &d = Device::get();
    {
        std::lock_guard<std::recursive_mutex> guard(d.lock);
        d.memory.check_all();
    }
    std::lock_guard<std::mutex> guard(problems().lock);
    const size_t count = problems().all.size();
    std::string all;
    for (const std::string &each : problems().all) all += each + "\n";
    if (text && length) snprintf(text, length, "%s", all.c_str());
    if (clear) problems().all.clear();
    return count;
}

API void emulatorFault(const char *text) {
    Device &d = Device::get();
    std::lock_guard<std::recursive_mutex> guard(d.lock);
    d.faults.set(text);
}

// As a new process would find it: no fault is left, and what was lost is there again.
API void emulatorReset() {
    Device &d = Device::get();
    std::lock_guard<std::recursive_mutex> guard(d.lock);
    d.faults.set("");
    d.lost = false;
    d.sticky = OK;
}

// Allocations of device memory that live, their bytes, the highest there were, and launches so far.
API void emulatorCounts(unsigned long long *counts) {
    Device &d = Device::get();
    std::lock_guard<std::recursive_mutex> guard(d.lock);
    counts[0] = 0;
    for (const auto &entry : d.memory.live) counts[0] += !entry.second.host;
    counts[1] = d.memory.used;
    counts[2] = d.memory.peak;
    counts[3] = d.launches;
    counts[4] = d.memory.count;
    counts[5] = d.modules_loaded;
}

API void emulatorMemory(size_t total) {
    Device &d = Device::get();
    std::lock_guard<std::recursive_mutex> guard(d.lock);
    d.memory.total = total;
}
