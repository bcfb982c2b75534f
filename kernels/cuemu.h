/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs .cu kernels on the CPU, for tests: one fiber for each thread of a block, blocks one after the other, all on one
 * thread of the machine and in an order that is the same each time. Shared memory is NaN when a block begins. A warp
 * operation is done once, by the last lane that arrives; a barrier opens when all living threads are there.
 *
 * cuemu_order sets the order in which blocks, and the threads in them, start: 0 rising, 1 falling, else shuffled by it. A kernel
 * whose numbers change with the order has a race. cuemu_complaint tells of a deadlock or of a lane that is not in its own mask;
 * the launch ends there. Not emulated: grids that wait for each other, wgmma, bulk copies, weak memory order, time. */
#ifndef DOR_KERNELS_CUEMU_H
#define DOR_KERNELS_CUEMU_H

#ifdef __CUDACC__
#error "nvcc needs no emulator: include kernels/cuda.cuh"
#endif

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <tuple>
#include <type_traits>

#include <sys/mman.h>
#if !defined(__x86_64__)
#include <ucontext.h>
#endif
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

/* ---- the words of CUDA ---- */

struct uint3 { unsigned x, y, z; };
struct dim3 {
  unsigned x, y, z;
  dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}
};
struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
struct alignas(8) int2 { int x, y; };
struct alignas(16) int4 { int x, y, z, w; };
struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
static inline float2 make_float2(float x, float y) { return {x, y}; }
static inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
static inline int2 make_int2(int x, int y) { return {x, y}; }
static inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }
static inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
static inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

#define __global__ static
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __constant__ static
/* In a section of their own, so that a launch can find and poison them. A function that has shared memory must be static (__global__
 * is): a template or inline function that is not would put its variable where the section's others cannot lie. */
#define __shared__ __attribute__((section("cuemu_shared"))) static
extern "C" {
extern unsigned char __start_cuemu_shared[] __attribute__((weak));
extern unsigned char __stop_cuemu_shared[] __attribute__((weak));
inline int cuemu_order = 0;                   /* read at each launch */
inline const char *cuemu_complaint = nullptr; /* the first since the reader set it to null */
}

namespace cuemu {

enum { STACK = 256 * 1024, THREADS = 1024, WARP = 32, DYNAMIC = 227 * 1024 };

struct fiber { /* a thread of the block while it runs; taken again by the next thread when it has ended */
  uint3 tid;
  int index; /* in the block */
  char *stack;
#if defined(__x86_64__)
  void *sp;
#else
  ucontext_t context;
#endif
  void *fake; /* the address sanitizer's */
  const void *bottom;
  size_t size;
};

struct warp { /* lanes that wait for a warp operation, with what they bring and where they want the answer */
  unsigned arrived, live;
  void *in[WARP], *out[WARP];
  fiber *lane[WARP];
};

struct machine {
  dim3 grid, block;
  uint3 bid;
  int n, next, alive;   /* threads of a block; the next to start; those not ended */
  int order[THREADS];
  fiber *now, *last, home; /* running; who switched last; the caller of a launch */
  fiber all[THREADS];
  fiber *idle[THREADS], *ready[THREADS + 1], *barrier[THREADS];
  int n_fibers, n_idle, n_barrier, first_ready, end_ready;
  bool barrier_vote;
  unsigned count, counted; /* of __syncthreads_count */
  warp at[THREADS / WARP];
  void (*kernel)(void *);
  void *arguments;
  alignas(128) unsigned char dynamic[DYNAMIC];
  char text[160];
};

inline machine state;

/* ---- fibers ---- */

#if defined(__x86_64__)
/* Saves the registers that a called function must keep, and goes on with the other stack. */
extern "C" void cuemu_switch(void **from, void *to);
__asm__(".pushsection .text\n.weak cuemu_switch\n.type cuemu_switch,@function\ncuemu_switch:\n"
        "pushq %rbp\npushq %rbx\npushq %r12\npushq %r13\npushq %r14\npushq %r15\n"
        "movq %rsp,(%rdi)\nmovq %rsi,%rsp\n"
        "popq %r15\npopq %r14\npopq %r13\npopq %r12\npopq %rbx\npopq %rbp\nret\n.popsection\n");
#endif

inline void arrived_from(fiber *from)
{
#ifdef __SANITIZE_ADDRESS__
  machine &m = state;
  const void *bottom;
  size_t size;
  __sanitizer_finish_switch_fiber(m.now->fake, &bottom, &size);
  if (from == &m.home) m.home.bottom = bottom, m.home.size = size;
#else
  (void)from;
#endif
}

inline void go(fiber *to)
{
  fiber *from = state.now;
  if (from == to) return;
  state.now = to;
  state.last = from;
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_start_switch_fiber(&from->fake, to->bottom, to->size);
#endif
#if defined(__x86_64__)
  cuemu_switch(&from->sp, to->sp);
#else
  swapcontext(&from->context, &to->context);
#endif
  arrived_from(state.last);
}

inline void live();
inline void enter()
{
  arrived_from(state.last);
  live();
}

/* A stack whose first return leads into enter(). */
inline void prime(fiber *f)
{
  f->fake = nullptr, f->bottom = f->stack, f->size = STACK;
#ifdef __SANITIZE_ADDRESS__
  __asan_unpoison_memory_region(f->stack, STACK); /* of a fiber that was abandoned */
#endif
#if defined(__x86_64__)
  int colour = (int)(f - state.all) * 320 % 8192 / 64 * 64; /* stacks that all begin at one place of a page would share cache lines */
  void **sp = reinterpret_cast<void **>(f->stack + STACK - 64 - colour);
  *--sp = nullptr;
  *--sp = reinterpret_cast<void *>(&enter);
  sp -= 6;
  memset(sp, 0, 6 * sizeof *sp);
  f->sp = sp;
#else
  getcontext(&f->context);
  f->context.uc_stack.ss_sp = f->stack, f->context.uc_stack.ss_size = STACK;
  makecontext(&f->context, enter, 0);
#endif
}

/* Ends the launch: what its fibers still had to do is forgotten. */
[[noreturn]] inline void complain(const char *what, unsigned a, unsigned b)
{
  machine &m = state;
  int n = snprintf(m.text, sizeof m.text, "block (%u,%u,%u): ", m.bid.x, m.bid.y, m.bid.z);
  snprintf(m.text + n, sizeof m.text - (size_t)n, what, a, b);
  if (!cuemu_complaint) cuemu_complaint = m.text;
  m.alive = -1;
  go(&m.home);
  __builtin_unreachable();
}

inline fiber *fresh() /* one that will take the next thread */
{
  machine &m = state;
  if (m.n_idle) return m.idle[--m.n_idle];
  fiber *f = &m.all[m.n_fibers++];
  if (!f->stack) {
    void *p = mmap(nullptr, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) complain("no memory for a stack", 0, 0);
    f->stack = static_cast<char *>(p);
  }
  prime(f);
  return f;
}

inline void wake(fiber *f)
{
  machine &m = state;
  m.ready[m.end_ready] = f;
  m.end_ready = (m.end_ready + 1) % (THREADS + 1);
}

/* The running fiber waits somewhere: on with another. New threads first, so that all come as far as they can. */
inline void wait()
{
  machine &m = state;
  if (m.next < m.n) return go(fresh());
  if (m.first_ready != m.end_ready) {
    fiber *f = m.ready[m.first_ready];
    m.first_ready = (m.first_ready + 1) % (THREADS + 1);
    return go(f);
  }
  if (!m.alive) return go(&m.home);
  complain("deadlock, %u threads alive of which %u wait at a barrier", (unsigned)m.alive, (unsigned)m.n_barrier);
}

inline void open_barrier()
{
  machine &m = state;
  for (int i = 0; i < m.n_barrier; i++) wake(m.barrier[i]);
  m.n_barrier = 0;
  m.counted = m.count, m.count = 0;
}

inline void begin_thread(int t)
{
  machine &m = state;
  unsigned u = (unsigned)t;
  m.now->index = t;
  m.now->tid = {u % m.block.x, u / m.block.x % m.block.y, u / (m.block.x * m.block.y)};
  m.at[t / WARP].lane[t % WARP] = m.now;
}

/* A fiber's life: thread after thread, then idle. */
inline void live()
{
  machine &m = state;
  for (;;) {
    while (m.next < m.n) {
      int t = m.order[m.next++];
      begin_thread(t);
      m.kernel(m.arguments);
      m.alive--;
      m.at[t / WARP].live &= ~(1u << t % WARP);
      if (m.n_barrier && m.n_barrier == m.alive) open_barrier();
    }
    m.idle[m.n_idle++] = m.now;
    wait();
  }
}

/* ---- barriers and warps ---- */

inline unsigned barrier(bool vote)
{
  machine &m = state;
  m.barrier[m.n_barrier++] = m.now;
  m.count += vote;
  if (m.n_barrier == m.alive) open_barrier();
  wait();
  return m.counted;
}

/* The living lanes of `mask` meet; the last one does f(in[], out[], mask) over what all of them brought. */
template <class I, class O, class F> inline O collective(unsigned mask, I in, F f)
{
  machine &m = state;
  unsigned lane = (unsigned)m.now->index % WARP;
  warp &w = m.at[m.now->index / WARP];
  O out{};
  if (!(mask >> lane & 1u)) complain("lane %u is not in its own mask %08x", lane, mask);
  mask &= w.live;
  w.in[lane] = &in, w.out[lane] = &out;
  w.arrived |= 1u << lane;
  if ((w.arrived & mask) != mask) {
    wait();
    return out;
  }
  w.arrived &= ~mask;
  f(reinterpret_cast<I **>(w.in), reinterpret_cast<O **>(w.out), mask);
  for (unsigned i = 0; i < WARP; i++)
    if ((mask >> i & 1u) && i != lane) wake(w.lane[i]);
  return out;
}

inline int lane() { return state.now->index % WARP; }

template <class T> struct sent { T value; int from; };

template <class T> inline T shuffle(unsigned mask, T value, int from)
{
  return collective<sent<T>, T>(mask, sent<T>{value, from}, [](sent<T> **in, T **out, unsigned present) {
    for (int i = 0; i < WARP; i++) {
      if (!(present >> i & 1u)) continue;
      int source = in[i]->from & (WARP - 1);
      *out[i] = present >> source & 1u ? in[source]->value : in[i]->value;
    }
  });
}

inline unsigned ballot(unsigned mask, bool vote)
{
  return collective<bool, unsigned>(mask, vote, [](bool **in, unsigned **out, unsigned present) {
    unsigned votes = 0;
    for (int i = 0; i < WARP; i++)
      if (present >> i & 1u) votes |= (unsigned)*in[i] << i;
    for (int i = 0; i < WARP; i++)
      if (present >> i & 1u) *out[i] = votes;
  });
}

/* ---- launches ---- */

/* i-th of n in the order that is set: for blocks and for threads. */
inline uint64_t place(uint64_t i, uint64_t n)
{
  if (cuemu_order == 0) return i;
  if (cuemu_order == 1) return n - 1 - i;
  uint64_t step = (n * 618u / 1000u) | 1u, shift = (uint64_t)cuemu_order * 7919u;
  for (;; step += 2) { /* a step without a common factor with n comes to every place once */
    uint64_t a = step, b = n;
    while (b) {
      uint64_t rest = a % b;
      a = b, b = rest;
    }
    if (a == 1) return (step % n * i + shift) % n;
  }
}

__attribute__((no_sanitize("address"))) inline void poison_shared(size_t dynamic)
{
  for (unsigned char *p = __start_cuemu_shared; p && p < __stop_cuemu_shared; p++) *p = 0xff;
  memset(state.dynamic, 0xff, dynamic);
}

inline void run_block()
{
  machine &m = state;
  m.alive = m.n, m.next = m.n_barrier = m.first_ready = m.end_ready = 0, m.count = 0;
  for (int i = 0; i * WARP < m.n; i++) {
    int lanes = m.n - i * WARP;
    m.at[i].arrived = 0;
    m.at[i].live = lanes >= WARP ? ~0u : (1u << lanes) - 1u;
  }
  m.now = &m.home;
  go(fresh());
  if (m.alive < 0) m.n_fibers = m.n_idle = 0; /* abandoned in the middle: all are primed again */
}

inline bool set_up(dim3 grid, dim3 block, size_t dynamic)
{
  machine &m = state;
  m.grid = grid, m.block = block, m.bid = {0, 0, 0};
  m.n = (int)(block.x * block.y * block.z);
  uint64_t blocks = (uint64_t)grid.x * grid.y * grid.z;
  if (m.n > 0 && m.n <= THREADS && blocks && dynamic <= DYNAMIC && grid.y < 65536 && grid.z < 65536 && block.z <= 64) return true;
  snprintf(m.text, sizeof m.text, "bad launch: grid (%u,%u,%u), block (%u,%u,%u), %zu bytes shared", grid.x, grid.y, grid.z, block.x, block.y, block.z,
           dynamic);
  if (!cuemu_complaint) cuemu_complaint = m.text;
  return false;
}

template <class... P, class... A> inline void launch(dim3 grid, dim3 block, size_t dynamic, void (*kernel)(P...), A... a)
{
  machine &m = state;
  if (cuemu_complaint || !set_up(grid, block, dynamic)) return;
  std::tuple<P...> arguments{static_cast<P>(a)...};
  auto call = [&]() { std::apply(kernel, arguments); };
  m.arguments = &call;
  m.kernel = [](void *p) { (*static_cast<decltype(call) *>(p))(); };
  for (int i = 0; i < m.n; i++) m.order[i] = (int)place((uint64_t)i, (uint64_t)m.n);
  const uint64_t plane = (uint64_t)grid.x * grid.y, blocks = plane * grid.z;
  for (uint64_t i = 0; i < blocks && !cuemu_complaint; i++) {
    uint64_t b = place(i, blocks);
    m.bid = {(unsigned)(b % grid.x), (unsigned)(b / grid.x % grid.y), (unsigned)(b / plane)};
    poison_shared(dynamic);
    run_block();
  }
}

/* ---- binary16 ---- */

inline float half_to_float(uint16_t h)
{
  int exponent = h >> 10 & 31, fraction = h & 1023;
  float size = exponent == 31 ? (fraction ? NAN : INFINITY) : exponent ? std::ldexp((float)(1024 + fraction), exponent - 25) : std::ldexp((float)fraction, -24);
  return h >> 15 ? -size : size;
}

/* Nearest, ties to even. */
inline uint16_t float_to_half(float x)
{
  unsigned sign = std::signbit(x) ? 0x8000u : 0u;
  float size = std::fabs(x);
  if (std::isnan(x)) return 0x7fff;
  if (size >= 65520.0f) return (uint16_t)(sign | 0x7c00u);
  int exponent = 0;
  std::frexp(size, &exponent);
  int step = exponent - 11 < -24 ? -24 : exponent - 11;
  unsigned units = (unsigned)std::lrint(std::ldexp(size, -step));
  if (units < 1024) return (uint16_t)(sign | units); /* subnormal: the step is the smallest then */
  return (uint16_t)((sign | (unsigned)(step + 24) << 10) + units); /* 2048 units carry into the exponent, as they should */
}

} // namespace cuemu

/* ---- what kernels call ---- */

#define threadIdx (cuemu::state.now->tid)
#define blockIdx (cuemu::state.bid)
#define blockDim (cuemu::state.block)
#define gridDim (cuemu::state.grid)
#define warpSize 32
#define CU_LAUNCH(kernel, grid, block, shared, stream, ...) ((void)(stream), cuemu::launch((grid), (block), (shared), kernel, __VA_ARGS__))
#define CU_DYN_SHARED(T, name) T *name = reinterpret_cast<T *>(cuemu::state.dynamic)

static inline void __syncthreads() { cuemu::barrier(false); }
static inline int __syncthreads_count(int p) { return (int)cuemu::barrier(p != 0); }
static inline int __syncthreads_or(int p) { return cuemu::barrier(p != 0) != 0; }
static inline int __syncthreads_and(int p) { return cuemu::barrier(p == 0) == 0; }
static inline void __syncwarp(unsigned mask = ~0u) { cuemu::ballot(mask, false); }
static inline unsigned __ballot_sync(unsigned mask, int p) { return cuemu::ballot(mask, p != 0); }
static inline int __any_sync(unsigned mask, int p) { return cuemu::ballot(mask, p != 0) != 0; }
static inline int __all_sync(unsigned mask, int p) { return cuemu::ballot(mask, p == 0) == 0; }
/* width: a power of two; each run of so many lanes is a warp of its own */
template <class T> static inline T __shfl_sync(unsigned mask, T v, int from, int width = 32)
{
  return cuemu::shuffle(mask, v, (cuemu::lane() & -width) | (from & (width - 1)));
}
template <class T> static inline T __shfl_xor_sync(unsigned mask, T v, int with, int width = 32)
{
  int l = cuemu::lane(), to = l ^ with;
  return cuemu::shuffle(mask, v, to < (l & -width) + width ? to : l);
}
template <class T> static inline T __shfl_down_sync(unsigned mask, T v, int by, int width = 32)
{
  int l = cuemu::lane();
  return cuemu::shuffle(mask, v, (l & (width - 1)) + by < width ? l + by : l);
}
template <class T> static inline T __shfl_up_sync(unsigned mask, T v, int by, int width = 32)
{
  int l = cuemu::lane();
  return cuemu::shuffle(mask, v, (l & (width - 1)) >= by ? l - by : l);
}

/* Of whole numbers alone: a sum of floats by atomics would have another order each time. */
template <class T, class U> static inline T atomicAdd(T *p, U v)
{
  static_assert(std::is_integral<T>::value, "no float atomics");
  T old = *p;
  *p = (T)(old + (T)v);
  return old;
}
template <class T, class U> static inline T atomicMax(T *p, U v)
{
  T old = *p;
  if ((T)v > old) *p = (T)v;
  return old;
}
template <class T, class U> static inline T atomicMin(T *p, U v)
{
  T old = *p;
  if ((T)v < old) *p = (T)v;
  return old;
}
template <class T, class U> static inline T atomicOr(T *p, U v)
{
  T old = *p;
  *p = (T)(old | (T)v);
  return old;
}
template <class T, class U> static inline T atomicExch(T *p, U v)
{
  T old = *p;
  *p = (T)v;
  return old;
}
template <class T, class U, class W> static inline T atomicCAS(T *p, U compare, W v)
{
  T old = *p;
  if (old == (T)compare) *p = (T)v;
  return old;
}
static inline void __threadfence() {}
static inline void __threadfence_block() {}

template <class T> static inline T __ldg(const T *p) { return *p; }
static inline uint32_t __float_as_uint(float x)
{
  uint32_t u;
  memcpy(&u, &x, sizeof u);
  return u;
}
static inline float __uint_as_float(uint32_t u)
{
  float x;
  memcpy(&x, &u, sizeof x);
  return x;
}
static inline int __float_as_int(float x) { return (int)__float_as_uint(x); }
static inline float __int_as_float(int i) { return __uint_as_float((uint32_t)i); }
static inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
#define __expf(x) expf(x) /* glibc has functions of these names */
#define __logf(x) logf(x)
static inline float __fdividef(float a, float b) { return a / b; }
static inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline float __fadd_rn(float a, float b) { return a + b; }
static inline float __fsub_rn(float a, float b) { return a - b; }
static inline float __fdiv_rn(float a, float b) { return a / b; }
static inline float __fsqrt_rn(float x) { return sqrtf(x); }
static inline int __float2int_rn(float x) { return (int)lrintf(x); }
static inline int __float2int_rd(float x) { return (int)floorf(x); }
static inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)((uint64_t)a * b >> 32); }
static inline int __popc(unsigned x) { return __builtin_popcount(x); }
static inline int __ffs(int x) { return __builtin_ffs(x); }
static inline int __clz(int x) { return x ? __builtin_clz((unsigned)x) : 32; }
template <class T> static inline T min(T a, T b) { return b < a ? b : a; }
template <class T> static inline T max(T a, T b) { return a < b ? b : a; }

#endif
