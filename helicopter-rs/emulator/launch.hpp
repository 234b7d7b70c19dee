// A launch: block after block, the threads of a block one at a time until each waits or has ended.
//
// HELICOPTER_EMULATOR_ORDER says in which order the threads of a block (and the blocks) go on:
// forwards, backwards, or shuffled (HELICOPTER_EMULATOR_SEED). A kernel that misses a barrier gives
// another result in one of them.
#pragma once
#include <setjmp.h>
#include <signal.h>
#include <ucontext.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "fibers.hpp"
#include "interface.h"
#include "memory.hpp"

namespace emulated {

constexpr size_t SHARED_ARENA = size_t(1) << 20, RED_ZONE = 256, STATIC_SHARED = 49152;
constexpr int NOTHING = 0, BLOCK = 1, WARP = 2, ENDED = 3, FRESH = 4;

struct Job {
    std::string name;
    const Kernel *kernel;
    State *state;
    Triple grid, block;
    size_t dynamic_shared;
    std::vector<void *> arguments;
};

class Launcher {
  public:
    explicit Launcher(Memory &memory) : memory(memory) {
        const size_t page = size_t(sysconf(_SC_PAGESIZE));
        void *map = mmap(nullptr, 2 * SHARED_ARENA + 3 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (map == MAP_FAILED) throw std::bad_alloc();
        arena = static_cast<char *>(map) + page;
        dynamic_end = arena + 2 * SHARED_ARENA + page;
        mprotect(arena, SHARED_ARENA, PROT_READ | PROT_WRITE);
        mprotect(arena + SHARED_ARENA + page, SHARED_ARENA, PROT_READ | PROT_WRITE);
    }

    // Null, or why it failed; `deadlock` tells that threads waited for ever.
    bool run(const Job &job, bool &deadlock) {
        current = &job;
        self = this;
        failed.clear();
        deadlocked = false;
        state = job.state;
        static const Runtime runtime = {on_barrier, on_barrier_warp, on_exchange, on_ballot, on_reserve, on_trap, print};
        state->runtime = &runtime;
        state->block_size = job.block;
        state->grid_size = job.grid;
        threads = job.block.x * job.block.y * job.block.z;
        waits.assign(threads, Wait());
        places.clear();
        for (unsigned z = 0; z < job.block.z; ++z)
            for (unsigned y = 0; y < job.block.y; ++y)
                for (unsigned x = 0; x < job.block.x; ++x) places.push_back({x, y, z});
        const std::string order_name = setting("ORDER", "forwards");
        shuffled = order_name == "shuffled";
        order.resize(threads);
        std::iota(order.begin(), order.end(), 0u);
        if (order_name == "backwards") {  // warp by warp: a last one that is not whole is looked at last
            const auto whole = order.begin() + threads / 32 * 32;
            std::reverse(order.begin(), whole);
            std::reverse(whole, order.end());
        }
        random.seed(unsigned(strtoul(setting("SEED", "1"), nullptr, 0)));

        stack_t none {}, own {};
        sigaltstack(nullptr, &none);
        if (none.ss_flags & SS_DISABLE) {  // a fiber's own stack may be what is used up
            own.ss_sp = signal_stack;
            own.ss_size = sizeof signal_stack;
            sigaltstack(&own, nullptr);
        }
        struct sigaction mine {}, segv, bus, fpe;
        mine.sa_sigaction = on_fault;
        mine.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
        sigaction(SIGSEGV, &mine, &segv);
        sigaction(SIGBUS, &mine, &bus);
        sigaction(SIGFPE, &mine, &fpe);
        runner = pthread_self();
#if !defined(__x86_64__)
        if (sigsetjmp(out, 1) == 0)
#endif
        {
            const unsigned long long blocks = 1ull * job.grid.x * job.grid.y * job.grid.z;
            for (unsigned long long i = 0; i < blocks && failed.empty(); ++i) {
                const unsigned long long b = order_name == "backwards" ? blocks - 1 - i : i;
                state->block = {unsigned(b % job.grid.x), unsigned(b / job.grid.x % job.grid.y),
                                unsigned(b / job.grid.x / job.grid.y)};
                run_block();
            }
        }
        sigaction(SIGSEGV, &segv, nullptr);
        sigaction(SIGBUS, &bus, nullptr);
        sigaction(SIGFPE, &fpe, nullptr);
        if (none.ss_flags & SS_DISABLE) sigaltstack(&none, nullptr);
        if (!failed.empty()) {
            // what ran and what waited is left in the middle
            for (auto &fiber : fibers) fiber->reset();
            complain("kernel %s, block (%u, %u, %u), %s", job.name.c_str(), state->block.x, state->block.y, state->block.z,
                     failed.c_str());
        }
        deadlock = deadlocked;
        current = nullptr;
        return failed.empty();
    }

  private:
    struct Wait {
        int what = FRESH, line = 0;
        unsigned mask = 0, met = 0;  // whom it waits for in its warp; who had come when it went on
        unsigned long long value = 0, published = 0;
        int fiber = -1;
    };
    struct Variable {
        char *at;
        size_t bytes;
    };

    Memory &memory;
    char *arena, *dynamic_end;
    size_t arena_used = 0, static_used = 0;
    std::vector<Variable> variables;
    const Job *current = nullptr;
    State *state = nullptr;
    unsigned threads = 0;
    std::vector<Wait> waits;
    std::vector<Triple> places;
    std::vector<unsigned> order;
    std::vector<std::unique_ptr<Fiber>> fibers;
    std::vector<int> idle;
    bool shuffled = false, deadlocked = false;
    std::mt19937 random;
    std::string failed;
#if !defined(__x86_64__)
    sigjmp_buf out;
#endif
    char signal_stack[65536];
    pthread_t runner{};
    unsigned long long blocks_run = 0;
    size_t unstarted = 0, unstarted_end = 0;  // positions in `order`
    unsigned running = 0;
    int fiber_now = -1;
    static inline Launcher *self = nullptr;

    void run_block() {
        state->block_number = ++blocks_run + (1ull << 40);
        prepare_shared();
        if (shuffled) shuffle_order();
        for (auto &wait : waits) wait = Wait();
        idle.resize(fibers.size());
        std::iota(idle.begin(), idle.end(), 0);
        for (;;) {
            bool any = false;
            for (size_t first = 0; first < threads && failed.empty(); first += 32) any |= run_warp(first);
            if (!failed.empty() || all_ended()) break;
            if (!any && !release()) {
                say_deadlock();
                return;
            }
        }
        if (failed.empty()) check_shared();
    }

    // Warps among each other, and the threads of each.
    void shuffle_order() {
        std::vector<unsigned> warps((threads + 31) / 32);
        std::iota(warps.begin(), warps.end(), 0u);
        // one that is not whole stays the last
        std::shuffle(warps.begin(), warps.end() - (threads % 32 ? 1 : 0), random);
        size_t at = 0;
        for (const unsigned warp : warps) {
            const size_t first = at;
            for (unsigned t = 32 * warp; t < std::min(32 * warp + 32, threads); ++t) order[at++] = t;
            std::shuffle(order.begin() + long(first), order.begin() + long(at), random);
        }
    }

    // As far as the threads of a warp get without the others. `order` has them side by side.
    bool run_warp(size_t first) {
        const size_t last = std::min<size_t>(first + 32, threads);
        bool any = false;
        unstarted = unstarted_end = last;
        if (waits[order[first]].what == FRESH) {
            any = true;
            unstarted = first;
            while (unstarted < last && failed.empty()) {
                // each fiber runs fresh threads one after another until one of them waits
                if (idle.empty()) {
                    fibers.push_back(std::make_unique<Fiber>(body, fibers.size()));
                    idle.push_back(int(fibers.size()) - 1);
                }
                const int fiber = idle.back();
                idle.pop_back();
                enter(fiber);
            }
        }
        do {
            for (size_t i = first; i < last && failed.empty(); ++i)
                if (waits[order[i]].what == NOTHING) {
                    go_on(order[i]);
                    any = true;
                }
        } while (failed.empty() && release_warp(order[first] / 32 * 32));
        return any;
    }

    void set_thread(unsigned t) {
        running = t;
        state->thread = places[t];
    }

    void enter(int fiber) {
        fiber_now = fiber;
        fibers[fiber]->resume();
    }

    void go_on(unsigned t) {
        set_thread(t);
        enter(waits[t].fiber);
    }

    static void body() {
        self->fibers[self->fiber_now]->entered();
        for (;;) {
            Launcher &l = *self;
            const int mine = l.fiber_now;
            // a thread that waited here before has its own fiber: none is fresh by then
            while (l.unstarted < l.unstarted_end && l.failed.empty()) {
                const unsigned t = l.order[l.unstarted++];
                l.waits[t].fiber = mine;
                l.set_thread(t);
                l.current->kernel->call(const_cast<void **>(l.current->arguments.data()));
                l.waits[l.running].what = ENDED;
            }
            l.idle.push_back(mine);
            l.fibers[mine]->leave(false);
        }
    }

    // -- waiting, called from within a fiber --

    void wait(int what, unsigned mask, int line, unsigned long long value = 0) {
        const unsigned t = running;
        const int fiber = waits[t].fiber;
        waits[t].what = what;
        waits[t].mask = mask;
        waits[t].line = line;
        waits[t].value = value;
        fibers[fiber]->leave(false);
    }

    static void on_barrier(int line) { self->wait(BLOCK, 0, line); }
    static void on_barrier_warp(unsigned mask, int line) {
        self->need_lane(mask, line);
        self->wait(WARP, mask, line);
    }

    static unsigned long long on_exchange(unsigned mask, unsigned long long mine, int from, int line) {
        Launcher &l = *self;
        l.need_lane(mask, line);
        l.wait(WARP, mask, line, mine);
        const unsigned first = l.running / 32 * 32, source = first + unsigned(from & 31);
        if (!(l.waits[l.running].met >> (from & 31) & 1u))
            l.give_up(line, "a shuffle reads lane " + std::to_string(from & 31) +
                                ", which is not in its mask, has ended, or is not there");
        return l.waits[source].published;
    }

    static unsigned on_ballot(unsigned mask, bool mine, int line) {
        Launcher &l = *self;
        l.need_lane(mask, line);
        l.wait(WARP, mask, line, mine);
        const unsigned first = l.running / 32 * 32, met = l.waits[l.running].met;
        unsigned all = 0;
        for (unsigned i = 0; i < 32; ++i)
            if (met >> i & 1u && l.waits[first + i].published) all |= 1u << i;
        return all;
    }

    void need_lane(unsigned mask, int line) {
        if (!(mask >> (running % 32) & 1u)) give_up(line, "the mask of a warp's operation leaves out its own lane");
    }

    static void on_trap(const char *reason, int line) { self->give_up(line, reason); }

    static int print(const char *format, ...) {
        va_list list;
        va_start(list, format);
        const int n = vprintf(format, list);
        va_end(list);
        return n;
    }

    void give_up(int line, const std::string &reason) {
        failed = thread_text(running) + ", line " + std::to_string(line) + ": " + reason;
        fibers[fiber_now]->leave(false);  // for good
    }

    std::string thread_text(unsigned t) const {
        const Triple &at = places[t];
        return "thread (" + std::to_string(at.x) + ", " + std::to_string(at.y) + ", " + std::to_string(at.z) + ")";
    }

    // -- who may go on --

    bool all_ended() const {
        return std::all_of(waits.begin(), waits.end(), [](const Wait &w) { return w.what == ENDED; });
    }

    bool release() {
        const Wait *first = nullptr;
        for (const Wait &w : waits) {
            if (w.what == ENDED) continue;
            if (w.what != BLOCK) return false;
            if (!first) first = &w;
            if (w.line != first->line) {
                failed = "threads of one block wait at different barriers: lines " + std::to_string(first->line) + " and " +
                         std::to_string(w.line);
                return true;
            }
        }
        for (Wait &w : waits)
            if (w.what == BLOCK) w.what = NOTHING;
        return first != nullptr;
    }

    // Those of a warp who wait for each other and have all come.
    bool release_warp(unsigned first) {
        const unsigned last = std::min(first + 32, threads);
        bool any = false;
        for (unsigned t = first; t < last; ++t) {
            if (waits[t].what != WARP) continue;
            const unsigned mask = waits[t].mask;
            unsigned met = 0;
            bool all = true;
            for (unsigned u = first; u < last && all; ++u) {
                if (!(mask >> (u - first) & 1u) || waits[u].what == ENDED) continue;
                all = waits[u].what == WARP && waits[u].mask == mask;
                met |= 1u << (u - first);
            }
            if (!all) continue;
            for (unsigned u = first; u < last; ++u)
                if (met >> (u - first) & 1u) {
                    waits[u].what = NOTHING;
                    waits[u].published = waits[u].value;
                    waits[u].met = met;
                }
            any = true;
        }
        return any;
    }

    void say_deadlock() {
        deadlocked = true;
        const Wait *one = nullptr, *other = nullptr;
        unsigned t_one = 0, t_other = 0;
        for (unsigned t = 0; t < threads; ++t) {
            if (waits[t].what == ENDED) continue;
            if (!one) one = &waits[t], t_one = t;
            else if (waits[t].what != one->what || waits[t].mask != one->mask) other = &waits[t], t_other = t;
        }
        const auto where = [&](const Wait &w, unsigned t) {
            return thread_text(t) + (w.what == BLOCK ? " at __syncthreads() in line " : " for its warp in line ") +
                   std::to_string(w.line);
        };
        failed = "threads wait for each other for ever: " + where(*one, t_one) + (other ? ", " + where(*other, t_other) : "");
    }

    // -- shared memory --

    void prepare_shared() {
        memset(arena, CANARY, arena_used);
        arena_used = RED_ZONE;
        memset(arena, CANARY, arena_used);
        static_used = 0;
        variables.clear();
        const size_t bytes = current->dynamic_shared;
        // it ends where the pages do; what is before it is a red zone
        state->dynamic_shared = dynamic_end - (bytes + 15) / 16 * 16;
        memset(state->dynamic_shared - RED_ZONE, CANARY, size_t(dynamic_end - state->dynamic_shared) + RED_ZONE);
        fill_unset(state->dynamic_shared, bytes);
        variables.push_back({state->dynamic_shared, bytes});
    }

    static char *on_reserve(Size bytes, Size alignment) {
        Launcher &l = *self;
        alignment = std::max<Size>(alignment, 16);
        char *at = l.arena + (l.arena_used + alignment - 1) / alignment * alignment;
        l.static_used = (l.static_used + alignment - 1) / alignment * alignment + bytes;
        if (l.static_used > STATIC_SHARED)
            l.give_up(0, "static shared memory of more than 48 KiB: " + std::to_string(l.static_used) + " bytes");
        memset(l.arena + l.arena_used, CANARY, size_t(at - l.arena) - l.arena_used);
        l.arena_used = size_t(at - l.arena) + bytes + RED_ZONE;
        memset(at + bytes, CANARY, RED_ZONE);
        fill_unset(at, bytes);
        l.variables.push_back({at, bytes});
        return at;
    }

    void check_shared() {
        for (const Variable &v : variables)
            for (size_t i = 1; i <= RED_ZONE; ++i) {
                const bool after = v.at + v.bytes + i <= dynamic_end && static_cast<unsigned char>(v.at[v.bytes + i - 1]) != CANARY;
                const bool before = static_cast<unsigned char>(v.at[-ptrdiff_t(i)]) != CANARY;
                if (!after && !before) continue;
                failed = "something was written " + std::to_string(after ? i - 1 : i) + " bytes " +
                         (after ? "past the end of" : "before") + " a shared variable of " + std::to_string(v.bytes) + " bytes";
                return;
            }
    }

    // -- faults of the processor --

    static void escape() { self->fibers[self->fiber_now]->leave(true); }

    static void on_fault(int signal, siginfo_t *info, [[maybe_unused]] void *context) {
        Launcher *l = self;
        if (!l || !l->current || !pthread_equal(l->runner, pthread_self())) {
            ::signal(signal, SIG_DFL);
            return;  // not ours: it happens again, and now as it would have
        }
        const uintptr_t at = uintptr_t(info->si_addr);
        std::string what = "it reads or writes ";
        if (signal == SIGFPE)
            what = "an integer is divided by zero";
        else if (l->fiber_now >= 0 && l->fibers[l->fiber_now]->holds(info->si_addr))
            what = "its local variables need more than the stack of 256 KiB";
        else if (at >= uintptr_t(l->arena) - 4096 && at < uintptr_t(l->dynamic_end) + 4096)
            what += "outside shared memory";
        else
            what += l->memory.describe(at);
        l->failed = l->thread_text(l->running) + ": " + what;
#if defined(__x86_64__)
        // the handler returns as usual, but to where the fiber is left
        greg_t *registers = static_cast<ucontext_t *>(context)->uc_mcontext.gregs;
        registers[REG_RSP] = greg_t(l->fibers[l->fiber_now]->top() - 8);  // as a call leaves it
        registers[REG_RIP] = greg_t(&escape);
#else
        siglongjmp(l->out, 1);
#endif
    }
};

}  // namespace emulated
