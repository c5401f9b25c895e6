// CUDA C on the CPU, for tests: the threads of a block are fibers that run one after the other from barrier to barrier, forwards and
// backwards in turn, so that a missing barrier shows as a wrong number.  A barrier that not all threads reach at one place ends the process.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <xmmintrin.h>

#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
#define __shared__ static

struct shim_index { int x, y; };
static shim_index threadIdx, blockIdx;

static inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)(((uint64_t)a * b) >> 32); }
static inline int __float_as_int(float x) { int r; memcpy(&r, &x, 4); return r; }
static inline float __int_as_float(int x) { float r; memcpy(&r, &x, 4); return r; }
static inline long long __double_as_longlong(double x) { long long r; memcpy(&r, &x, 8); return r; }
static inline double __longlong_as_double(long long x) { double r; memcpy(&r, &x, 8); return r; }
static inline float __fmaf_rn(float x, float y, float z) { return __builtin_fmaf(x, y, z); }
static inline double __fma_rn(double x, double y, double z) { return __builtin_fma(x, y, z); }
static inline float __fsqrt_rn(float x) { return __builtin_sqrtf(x); }
static inline double __dsqrt_rn(double x) { return __builtin_sqrt(x); }

namespace shim {

constexpr int THREADS = 256, STACK = 1 << 16;
static void* here[THREADS];  // stack pointers of the fibers
static void* scheduler;
static int current, line_of[THREADS];
static bool done[THREADS];
alignas(64) static char stacks[THREADS][STACK];
static void (*body)(void*);
static void* arguments;

extern "C" void shim_switch(void** from, void* to);
asm(R"(
.text
shim_switch:
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
)");

static void fiber() {
    body(arguments);
    done[current] = true;
    shim_switch(&here[current], scheduler);
    abort();
}

static void barrier(int line) {
    const int own = current;
    line_of[own] = line;
    shim_switch(&here[own], scheduler);
    threadIdx.x = own;
}

static void run_block() {
    for (int t = 0; t < THREADS; ++t) {
        void** top = (void**)(stacks[t] + STACK - 64);
        *--top = nullptr;
        *--top = (void*)fiber;
        here[t] = top - 6;
        memset(top - 6, 0, 6 * sizeof(void*));
        done[t] = false;
    }
    for (int left = THREADS, turn = 0; left; ++turn) {
        int line = -1;
        left = 0;
        for (int n = 0; n < THREADS; ++n) {
            const int t = turn % 2 ? THREADS - 1 - n : n;
            if (done[t]) continue;
            current = t;
            threadIdx.x = t;
            shim_switch(&scheduler, here[t]);
            if (done[t]) continue;
            if (line >= 0 && line_of[t] != line) {
                fprintf(stderr, "threads of a block wait at lines %d and %d\n", line, line_of[t]);
                abort();
            }
            line = line_of[t];
            ++left;
        }
        if (left && left < THREADS) {
            fprintf(stderr, "%d threads of a block wait at line %d, the others have left\n", left, line);
            abort();
        }
    }
}

template <class F> void launch(int x, int y, bool flushes, const F& f) {
    const unsigned saved = _mm_getcsr();
    _mm_setcsr(flushes ? saved | 0x8040 : saved & ~0x8040u);
    body = [](void* given) { (*(const F*)given)(); };
    arguments = (void*)&f;
    for (blockIdx.y = 0; blockIdx.y < y; ++blockIdx.y)
        for (blockIdx.x = 0; blockIdx.x < x; ++blockIdx.x) run_block();
    _mm_setcsr(saved);
}

}  // namespace shim

#define __syncthreads() shim::barrier(__LINE__)
