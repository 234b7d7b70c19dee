// The one emulated device: its memory, streams, modules, and the faults that are asked of it.
#pragma once
#include <dlfcn.h>
#include <elf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>

#include "launch.hpp"
#include "memory.hpp"

namespace emulated {

enum Code {
    OK = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NOT_INITIALIZED = 3, NO_DEVICE = 100, INVALID_DEVICE = 101, INVALID_IMAGE = 200,
    INVALID_CONTEXT = 201, UNSUPPORTED_PTX_VERSION = 222, INVALID_HANDLE = 400, NOT_FOUND = 500, NOT_READY = 600,
    ILLEGAL_ADDRESS = 700, LAUNCH_OUT_OF_RESOURCES = 701, LAUNCH_TIMEOUT = 702, LAUNCH_FAILED = 719, NOT_SUPPORTED = 801,
    UNKNOWN = 999
};

// "alloc:3,lost:10": the third allocation from now fails, and at the tenth call the device is lost.
// A count with + fails from then on. Two are figures: version:11040, devices:0.
class Faults {
  public:
    Faults() { set(setting("FAULT", "")); }

    void set(const std::string &text) {
        planned.clear();
        for (size_t i = 0; i < text.size();) {
            const size_t end = std::min(text.find(',', i), text.size()), colon = text.find(':', i);
            if (colon < end) {
                const std::string value = text.substr(colon + 1, end - colon - 1);
                planned[text.substr(i, colon - i)] = {strtol(value.c_str(), nullptr, 0), !value.empty() && value.back() == '+'};
            }
            i = end + 1;
        }
    }

    bool strikes(const char *kind) {
        const auto found = planned.find(kind);
        if (found == planned.end()) return false;
        Plan &plan = found->second;
        if (plan.count > 1) return --plan.count, false;
        if (!plan.forever) planned.erase(found);
        return true;
    }

    long figure(const char *kind, long otherwise) const {
        const auto found = planned.find(kind);
        return found == planned.end() ? otherwise : found->second.count;
    }

  private:
    struct Plan {
        long count;
        bool forever;
    };
    std::map<std::string, Plan> planned;
};

struct Stream;

struct Event {
    unsigned long long issued = 0, done = 0;
    Stream *stream = nullptr;
    std::chrono::steady_clock::time_point when{};
};

struct Stream {
    std::deque<std::function<void()>> work;
    bool blocking = true, running = false;
};

struct Function {
    std::string name;
    const Kernel *kernel;
    State *state;
    int dynamic_shared = int(STATIC_SHARED);
};

struct Module {
    void *library;
    int file;  // open as long as it is loaded: dlopen knows a library by its path
    std::map<std::string, std::unique_ptr<Function>> functions;
};

class Device {
  public:
    std::recursive_mutex lock;
    Memory memory;
    Launcher launcher{memory};
    Faults faults;
    const pid_t pid = getpid();
    bool initialised = false, lost = false;
    int sticky = OK, references = 0;
    unsigned long long launches = 0, modules_loaded = 0;
    std::map<void *, std::shared_ptr<Stream>> streams;
    std::map<void *, std::shared_ptr<Event>> events;
    std::map<void *, std::unique_ptr<Module>> modules;
    std::set<void *> functions, dying;
    Stream legacy;

    static Device &get() {
        static Device *device = new Device;  // for as long as the process lasts
        return *device;
    }

    // -- streams. Work is done at once, or with HELICOPTER_EMULATOR_DEFER=1 when it is waited for --

    Stream *stream(void *handle) {
        if (uintptr_t(handle) <= 2) return &legacy;
        const auto found = streams.find(handle);
        return found == streams.end() ? nullptr : found->second.get();
    }

    void enqueue(Stream *on, std::function<void()> work) {
        if (on->blocking) {  // the stream without a name waits for these and they for it
            if (on == &legacy) drain_all_but(on, true);
            else drain(&legacy);
        }
        on->work.push_back(std::move(work));
        if (!deferred()) drain(on);
    }

    void drain(Stream *on) {
        if (on->running) return;
        on->running = true;
        while (!on->work.empty()) {
            const auto work = std::move(on->work.front());
            on->work.pop_front();
            if (sticky == OK) work();
        }
        on->running = false;
    }

    // Until one event has happened and no further.
    void drain_until(Event &event, unsigned long long ticket) {
        Stream *on = event.stream;
        while (event.done < ticket && on && !on->work.empty()) {
            const auto work = std::move(on->work.front());
            on->work.pop_front();
            work();
        }
    }

    // What others have to do may come before it or later: nobody waited for that.
    void synchronize(Stream *on) {
        const bool others_first = deferred() && coin();
        if (others_first) drain_all_but(on, false);
        drain(on);
    }

    void synchronize_all() {
        drain_all_but(nullptr, false);
        drain(&legacy);
        memory.trim_to_threshold();
    }

    static bool deferred() { return strcmp(setting("DEFER", "0"), "0") != 0; }

    // -- memory --

    int allocate(unsigned long long *at, size_t bytes, bool from_pool) {
        if (bytes == 0) return INVALID_VALUE;
        if (faults.strikes("alloc")) return OUT_OF_MEMORY;
        void *data = memory.allocate(bytes, false, from_pool);
        if (!data && deferred()) {  // what is about to be freed may do
            synchronize_all();
            data = memory.allocate(bytes, false, from_pool);
        }
        if (!data) return OUT_OF_MEMORY;
        *at = uintptr_t(data);
        return OK;
    }

    int release(unsigned long long at, Stream *on) {
        void *data = reinterpret_cast<void *>(uintptr_t(at));
        const Allocation *known = memory.containing(at, 0);
        if (!known || known->data != data || dying.count(data)) {
            if (dying.count(data)) complain("memory is freed a second time (allocation %llu)", known ? known->number : 0);
            else if (!memory.release(data)) complain("%#llx is freed, but is no allocation", at);
            return INVALID_VALUE;
        }
        dying.insert(data);
        enqueue(on, [this, data] {
            dying.erase(data);
            memory.release(data);
        });
        return OK;
    }

    bool inside(const char *what, unsigned long long at, size_t bytes) {
        if (bytes == 0 || memory.containing(at, bytes)) return true;
        complain("%s of %zu bytes: %s", what, bytes, memory.describe(at).c_str());
        return false;
    }

    int copy(const char *what, void *to, const void *from, size_t bytes, bool to_host, Stream *on) {
        if (bytes == 0) return OK;
        if (faults.strikes("copy")) return sticky = ILLEGAL_ADDRESS;
        const auto move = [this, to, from, bytes, what, to_host] {
            memmove(to, from, bytes);
            if (to_host) memory.look_for_unset(to, bytes);
        };
        (void)what;
        enqueue(on, move);
        return OK;
    }

    // -- modules --

    int load(void **handle, const void *image) {
        if (faults.strikes("module")) return UNSUPPORTED_PTX_VERSION;
        std::string object;
        if (!bytes_of(image, object)) return INVALID_IMAGE;
        const int file = memfd_create("emulated-module", MFD_CLOEXEC);
        if (file < 0) return OUT_OF_MEMORY;
        size_t written = 0;
        while (written < object.size()) {
            const ssize_t n = write(file, object.data() + written, object.size() - written);
            if (n <= 0) break;
            written += size_t(n);
        }
        const std::string path = "/proc/self/fd/" + std::to_string(file);
        void *library = written == object.size() ? dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL) : nullptr;
        if (!library) complain("a module cannot be loaded: %s", dlerror());
        if (!library) {
            close(file);
            return INVALID_IMAGE;
        }
        auto module = std::make_unique<Module>();
        module->library = library;
        module->file = file;
        *handle = module.get();
        modules[*handle] = std::move(module);
        ++modules_loaded;
        return OK;
    }

    int unload(void *handle) {
        const auto found = modules.find(handle);
        if (found == modules.end()) return INVALID_HANDLE;
        synchronize_all();
        for (const auto &entry : found->second->functions) functions.erase(entry.second.get());
        dlclose(found->second->library);
        close(found->second->file);
        modules.erase(found);
        return OK;
    }

    int function(void **handle, void *module, const char *name) {
        const auto found = modules.find(module);
        if (found == modules.end()) return INVALID_HANDLE;
        auto &known = found->second->functions[name];
        if (!known) {
            using Door = const Kernel *(*)();
            using Attach = State *(*)(const Runtime *);
            const auto door = reinterpret_cast<Door>(dlsym(found->second->library, (std::string("emulated_kernel_") + name).c_str()));
            const auto attach = reinterpret_cast<Attach>(dlsym(found->second->library, "emulated_attach"));
            if (!door || !attach) {
                found->second->functions.erase(name);
                return NOT_FOUND;
            }
            known = std::make_unique<Function>(Function{name, door(), attach(nullptr)});
            functions.insert(known.get());
        }
        *handle = known.get();
        return OK;
    }

    int launch(Function &f, Triple grid, Triple block, unsigned shared, Stream *on, void **parameters) {
        const unsigned long long threads = 1ull * block.x * block.y * block.z;
        if (!grid.x || !grid.y || !grid.z || grid.x > 0x7fffffffu || grid.y > 65535 || grid.z > 65535 || !threads || threads > 1024 ||
            block.z > 64) {
            complain("kernel %s cannot be launched with grid (%u, %u, %u) and block (%u, %u, %u)", f.name.c_str(), grid.x, grid.y, grid.z,
                     block.x, block.y, block.z);
            return INVALID_VALUE;
        }
        if (shared > unsigned(f.dynamic_shared)) {
            complain("kernel %s asks for %u bytes of shared memory and may have %d", f.name.c_str(), shared, f.dynamic_shared);
            return INVALID_VALUE;
        }
        if (f.kernel->arguments && !parameters) return INVALID_VALUE;
        if (faults.strikes("refuse")) return LAUNCH_OUT_OF_RESOURCES;
        ++launches;
        if (faults.strikes("launch")) {
            sticky = LAUNCH_FAILED;
            return OK;
        }
        // arguments are read now: the caller may let go of them
        auto storage = std::make_shared<std::vector<std::vector<unsigned long long>>>();
        Job job{f.name, f.kernel, f.state, grid, block, shared, {}};
        for (unsigned i = 0; i < f.kernel->arguments; ++i) {
            storage->emplace_back((f.kernel->sizes[i] + 15) / 16 * 2);
            memcpy(storage->back().data(), parameters[i], f.kernel->sizes[i]);
            job.arguments.push_back(storage->back().data());
        }
        enqueue(on, [this, job, storage] {
            bool deadlock = false;
            if (!launcher.run(job, deadlock)) sticky = deadlock ? LAUNCH_TIMEOUT : ILLEGAL_ADDRESS;
        });
        return OK;
    }

    // All that a context held is gone with it; who lets go of it should have freed that before.
    void reset(bool let_go) {
        synchronize_all();
        memory.check_all();
        // after a failure nothing can be freed any more, and nobody is to blame for that
        if (let_go && sticky == OK && !lost) memory.report_leaks();
        std::vector<char *> left;
        for (const auto &entry : memory.live)
            if (!entry.second.host) left.push_back(entry.second.data);
        for (char *data : left) memory.release(data);
        dying.clear();
        memory.trim(0);
        while (!modules.empty()) unload(modules.begin()->first);
        streams.clear();
        events.clear();
        sticky = OK;
    }

  private:
    unsigned long long flips = strtoull(setting("SEED", "1"), nullptr, 0) * 2654435761u + 1;

    bool coin() {
        flips ^= flips << 13, flips ^= flips >> 7, flips ^= flips << 17;
        return flips >> 20 & 1;
    }

    void drain_all_but(const Stream *one, bool only_blocking) {
        std::vector<std::shared_ptr<Stream>> all;
        for (const auto &entry : streams) all.push_back(entry.second);
        if (deferred() && coin()) std::reverse(all.begin(), all.end());
        for (const auto &each : all)
            if (each.get() != one && (each->blocking || !only_blocking)) drain(each.get());
    }

    // A shared object tells its own length; in text it is two digits a byte.
    static bool bytes_of(const void *image, std::string &object) {
        const char *text = static_cast<const char *>(image);
        if (!text) return false;
        static const char mark[] = "//emulated\n";
        if (strncmp(text, mark, sizeof mark - 1) == 0) {
            const auto digit = [](char c) { return c >= 'a' ? c - 'a' + 10 : c - '0'; };
            for (text += sizeof mark - 1; text[0] && text[1]; text += 2) object += char(digit(text[0]) * 16 + digit(text[1]));
            text = object.data();
            return object.size() > sizeof(Elf64_Ehdr) && memcmp(text, ELFMAG, SELFMAG) == 0;
        }
        if (memcmp(text, ELFMAG, SELFMAG) != 0) return false;
        Elf64_Ehdr header;
        memcpy(&header, text, sizeof header);
        if (header.e_type != ET_DYN || header.e_shentsize != sizeof(Elf64_Shdr)) return false;
        object.assign(text, header.e_shoff + size_t(header.e_shnum) * header.e_shentsize);
        return true;
    }
};

}  // namespace emulated
