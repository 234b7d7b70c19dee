// Stacks of their own for the threads of a block, and going from one to another by hand.
#pragma once
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

#if defined(__x86_64__)
// Keeps what a called function must keep; the rest is lost at a call anyhow.
extern "C" void emulated_switch(void **from, void *to);
asm(R"(
    .text
    .globl emulated_switch
    .hidden emulated_switch
    .type emulated_switch, @function
emulated_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .size emulated_switch, .-emulated_switch
)");
#else
#include <ucontext.h>
#endif

namespace emulated {

constexpr size_t STACK = size_t(1) << 18, BELOW = size_t(1) << 20;  // out of reach below it

class Fiber {
  public:
    // Stacks begin at different places in their pages: at one and the same, they would put each other
    // out of the processor's cache.
    Fiber(void (*body)(), size_t number) : body(body), size(STACK - number * 576 % 4032 / 64 * 64) {
        void *map = mmap(nullptr, STACK + BELOW, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
        if (map == MAP_FAILED) throw std::bad_alloc();
        mprotect(map, BELOW, PROT_NONE);
        stack = static_cast<char *>(map) + BELOW;
        reset();
    }

    // To begin anew, whatever it was in the middle of.
    void reset() {
#if defined(__x86_64__)
        void **top = reinterpret_cast<void **>(stack + size);
        *--top = nullptr;                                    // where nobody returns to
        *--top = reinterpret_cast<void *>(body);             // popped by `ret`, with the stack as a call leaves it
        for (int i = 0; i < 6; ++i) *--top = nullptr;
        here = top;
#else
        getcontext(&here);
        here.uc_stack.ss_sp = stack;
        here.uc_stack.ss_size = size;
        here.uc_link = nullptr;
        makecontext(&here, body, 0);
#endif
    }

    void resume() {
#if defined(__SANITIZE_ADDRESS__)
        void *fake = nullptr;
        __sanitizer_start_switch_fiber(&fake, stack, size);
#endif
#if defined(__x86_64__)
        emulated_switch(&there, here);
#else
        swapcontext(&there, &here);
#endif
#if defined(__SANITIZE_ADDRESS__)
        __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#endif
    }

    // From within: back to who resumed it. `last`: it will not be resumed, but reset.
    void leave(bool last) {
#if defined(__SANITIZE_ADDRESS__)
        void *fake = nullptr;
        __sanitizer_start_switch_fiber(last ? nullptr : &fake, caller_stack, caller_size);
#else
        (void)last;
#endif
#if defined(__x86_64__)
        emulated_switch(&here, there);
#else
        swapcontext(&here, &there);
#endif
#if defined(__SANITIZE_ADDRESS__)
        entered(fake);
#endif
    }

    // The first thing that a body does.
    void entered(void *fake = nullptr) {
#if defined(__SANITIZE_ADDRESS__)
        __sanitizer_finish_switch_fiber(fake, &caller_stack, &caller_size);
#else
        (void)fake;
#endif
    }

    // A place at the top of the stack from which a new call may begin.
    uintptr_t top() const { return uintptr_t(stack + size) / 64 * 64 - 64; }

    bool holds(const void *at) const { return at >= stack - BELOW && at < stack + STACK; }

  private:
    void (*body)();
    size_t size;
    char *stack;
#if defined(__SANITIZE_ADDRESS__)
    const void *caller_stack = nullptr;
    size_t caller_size = 0;
#endif
#if defined(__x86_64__)
    void *here = nullptr, *there = nullptr;
#else
    ucontext_t here, there;
#endif
};

}  // namespace emulated
