// The scheduler behind shim.h: fibers, barriers, and the one entry a test calls. Linux on x86-64 switches stacks by hand, others by ucontext.
#include "shim.h"

#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>
#include <new>
#include <vector>

#if !defined(__x86_64__)
#define BY_UCONTEXT 1
#include <ucontext.h>
#endif

// AddressSanitizer must know of every switch of stacks; ThreadSanitizer takes each fiber for a thread of its own, so that two threads of a
// block that touch one place without a barrier between them are a race. This file itself is never built with -fsanitize=thread.
#if defined(__SANITIZE_ADDRESS__)
extern "C" void __sanitizer_start_switch_fiber(void** fake, const void* bottom, size_t size);
extern "C" void __sanitizer_finish_switch_fiber(void* fake, const void** bottom, size_t* size);
extern "C" void __asan_unpoison_memory_region(const volatile void* address, size_t size);
#define WITH_ASAN 1
#endif
#if defined(WITH_TSAN)
extern "C" void* __tsan_create_fiber(unsigned);
extern "C" void __tsan_switch_to_fiber(void*, unsigned);
extern "C" void* __tsan_get_current_fiber();
extern "C" void __tsan_acquire(void*);
extern "C" void __tsan_release(void*);
#endif

namespace host {
uint3 thread_index, block_index, block_size, grid_size;
char* dynamic_shared;

namespace {
constexpr size_t STACK = 128 * 1024, GUARD = 4096;

[[noreturn]] void die(const char* what) {
    std::fprintf(stderr, "kernel shim: %s (block %u, %u, %u, thread %u, %u, %u)\n", what, block_index.x, block_index.y, block_index.z,
                 thread_index.x, thread_index.y, thread_index.z);
    std::abort();
}

#ifdef BY_UCONTEXT
struct Context { ucontext_t u; };
void swap_context(Context& from, Context& to) { swapcontext(&from.u, &to.u); }
#else
struct Context { void* stack = nullptr; };
extern "C" void mistilt_swap_stacks(void** from, void* to);
__asm__(R"(
.text
.globl mistilt_swap_stacks
.type mistilt_swap_stacks,@function
mistilt_swap_stacks:
    pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp
    ret
.size mistilt_swap_stacks,.-mistilt_swap_stacks
)");
void swap_context(Context& from, Context& to) { mistilt_swap_stacks(&from.stack, to.stack); }
#endif

enum class State { Fresh, Ready, Waiting, Done };

struct Fiber {
    Context context;
    char* memory = nullptr;
    uint3 index{};
    State state = State::Fresh;
    const void* place = nullptr;
    unsigned passed = 0;
    void* tsan = nullptr;
};

struct Scheduler {
    Context main;
    std::vector<Fiber> fibers;
    std::vector<unsigned> order;
    unsigned current = 0, count = 0;
    int direction = 0;
    uint64_t random = 0;
    void (*call)(void**) = nullptr;
    void** arguments = nullptr;
    const void* main_bottom = nullptr;
    size_t main_size = 0;
    void* main_tsan = nullptr;
    // Addresses that stand for "all have arrived", two in turn since a fast thread may be one barrier ahead.
    char arrived[2] = {}, launched = 0, finished = 0;
} S;

void to_main(bool for_good) {
    Fiber& me = S.fibers[S.current];
#ifdef WITH_ASAN
    void* fake = nullptr;
    __sanitizer_start_switch_fiber(for_good ? nullptr : &fake, S.main_bottom, S.main_size);
#endif
#ifdef WITH_TSAN
    __tsan_release(&S.finished);
    __tsan_switch_to_fiber(S.main_tsan, 1);
#endif
    swap_context(me.context, S.main);
#ifdef WITH_ASAN
    __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#endif
    (void)for_good;
}

void enter() {
#ifdef WITH_ASAN
    __sanitizer_finish_switch_fiber(nullptr, &S.main_bottom, &S.main_size);
#endif
#ifdef WITH_TSAN
    __tsan_acquire(&S.launched);
#endif
    S.call(S.arguments);
    S.fibers[S.current].state = State::Done;
    to_main(true);
    __builtin_unreachable();
}

void begin(Fiber& fiber) {
    if (!fiber.memory) {
        void* map = mmap(nullptr, STACK + GUARD, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (map == MAP_FAILED) die("no memory for the stack of a thread");
        mprotect(map, GUARD, PROT_NONE);
        fiber.memory = static_cast<char*>(map) + GUARD;
    }
#ifdef WITH_ASAN
    // The frames of the last thread that had this stack never returned: their marks are still there.
    __asan_unpoison_memory_region(fiber.memory, STACK);
#endif
#ifdef WITH_TSAN
    __tsan_release(&S.launched);
    if (!fiber.tsan) fiber.tsan = __tsan_create_fiber(0);
#endif
#ifdef BY_UCONTEXT
    getcontext(&fiber.context.u);
    fiber.context.u.uc_stack.ss_sp = fiber.memory;
    fiber.context.u.uc_stack.ss_size = STACK;
    fiber.context.u.uc_link = nullptr;
    makecontext(&fiber.context.u, enter, 0);
#else
    void** top = reinterpret_cast<void**>(fiber.memory + STACK);
    *--top = nullptr;
    *--top = reinterpret_cast<void*>(enter);
    for (int i = 0; i < 6; i++) *--top = nullptr;
    fiber.context.stack = top;
#endif
}

void resume(unsigned i) {
    Fiber& fiber = S.fibers[i];
    S.current = i;
    thread_index = fiber.index;
    if (fiber.state == State::Fresh) begin(fiber);
    fiber.state = State::Ready;
#ifdef WITH_TSAN
    S.main_tsan = __tsan_get_current_fiber();
#endif
#ifdef WITH_ASAN
    void* fake = nullptr;
    __sanitizer_start_switch_fiber(&fake, fiber.memory, STACK);
#endif
#ifdef WITH_TSAN
    __tsan_switch_to_fiber(fiber.tsan, 1);
#endif
    swap_context(S.main, fiber.context);
#ifdef WITH_ASAN
    __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#endif
}

void shuffle() {
    for (unsigned i = S.count; i > 1; i--) {
        S.random = S.random * 6364136223846793005ull + 1442695040888963407ull;
        std::swap(S.order[i - 1], S.order[(S.random >> 33) % i]);
    }
}

void run_block() {
    S.order.resize(S.count);
    for (unsigned i = 0; i < S.count; i++) {
        Fiber& fiber = S.fibers[i];
        fiber.state = State::Fresh;
        fiber.index = {i % block_size.x, i / block_size.x % block_size.y, i / (block_size.x * block_size.y)};
        S.order[i] = S.direction == 1 ? S.count - 1 - i : i;
    }
    for (;;) {
        if (S.direction == 2) shuffle();
        for (unsigned i : S.order)
            if (S.fibers[i].state != State::Done) resume(i);
        unsigned done = 0;
        const void* place = nullptr;
        for (unsigned i = 0; i < S.count; i++) {
            const Fiber& fiber = S.fibers[i];
            if (fiber.state == State::Done) { done++; continue; }
            if (place && fiber.place != place) die("threads of one block wait at different barriers");
            place = fiber.place;
        }
        if (done == S.count) break;
        if (done) die("a barrier that some threads of the block never reach");
    }
#ifdef WITH_TSAN
    // Blocks come one after the other: a race between blocks is not reported.
    __tsan_acquire(&S.finished);
#endif
}

std::vector<Kernel>& kernels() {
    static std::vector<Kernel> all;
    return all;
}
}  // namespace

void barrier(const void* place) {
    Fiber& me = S.fibers[S.current];
    me.state = State::Waiting;
    me.place = place;
#ifdef WITH_TSAN
    char* arrived = &S.arrived[me.passed++ % 2];
    __tsan_release(arrived);
#endif
    to_main(false);
#ifdef WITH_TSAN
    __tsan_acquire(arrived);
#endif
}

void add(Kernel kernel) { kernels().push_back(kernel); }
}  // namespace host

struct Launch {
    uint32_t grid[3], block[3], shared;
};

// 0 done, 1 no such kernel, 2 wrong number of arguments, 3 an argument of the wrong size, 4 a launch no card would take.
// order: 0 forward, 1 backward, 2 shuffled by the seed.
extern "C" int mistilt_launch(const char* name, const Launch* launch, void** arguments, const uint32_t* sizes, uint32_t count, int order,
                              uint64_t seed) {
    using namespace host;
    for (const Kernel& kernel : kernels()) {
        if (std::strcmp(kernel.name, name) != 0) continue;
        if (kernel.count != count) return 2;
        for (uint32_t i = 0; i < count; i++)
            if (kernel.sizes[i] != sizes[i]) return 3;
        const uint32_t *g = launch->grid, *b = launch->block;
        const uint64_t blocks = uint64_t(g[0]) * g[1] * g[2], threads = uint64_t(b[0]) * b[1] * b[2];
        if (!blocks || !threads || threads > 1024 || g[1] > 65535 || g[2] > 65535 || launch->shared > 227 * 1024) return 4;
        S.count = unsigned(threads);
        if (S.fibers.size() < threads) S.fibers.resize(threads);
        S.call = kernel.call;
        S.arguments = arguments;
        S.direction = order;
        grid_size = {g[0], g[1], g[2]};
        block_size = {b[0], b[1], b[2]};
        // On the heap and of its very size, so that AddressSanitizer sees a step beyond it.
        char* const shared = static_cast<char*>(operator new(launch->shared ? launch->shared : 16, std::align_val_t{16}));
        for (uint64_t i = 0; i < blocks; i++) {
            const uint64_t at = order == 1 ? blocks - 1 - i : i;
            S.random = seed * 0x9E3779B97F4A7C15ull + at + 1;
            block_index = {unsigned(at % g[0]), unsigned(at / g[0] % g[1]), unsigned(at / (uint64_t(g[0]) * g[1]))};
            std::memset(shared, 0xFF, launch->shared);
            dynamic_shared = shared;
            run_block();
        }
        operator delete(shared, std::align_val_t{16});
        return 0;
    }
    return 1;
}
