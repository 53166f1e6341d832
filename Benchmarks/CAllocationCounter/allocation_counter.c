// The malloc family, counting. The program's own definitions go before those of libc for every library it
// loads, Swift's runtime included; what they call is the allocator they hide, by its glibc names.
// SPDX-License-Identifier: Apache-2.0

#include "allocation_counter.h"

#include <errno.h>
#include <execinfo.h>
#include <stdatomic.h>
#include <stddef.h>
#include <unistd.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static atomic_uint_fast64_t count, bytes;
static _Thread_local bool is_shown;

static void show(void) {
  void *frames[48];
  // Printing may allocate.
  is_shown = false;
  backtrace_symbols_fd(frames, backtrace(frames, 48), STDERR_FILENO);
  (void)!write(STDERR_FILENO, "\n", 1);
  is_shown = true;
}

static void add(size_t size) {
  atomic_fetch_add_explicit(&count, 1, memory_order_relaxed);
  atomic_fetch_add_explicit(&bytes, size, memory_order_relaxed);
  if (is_shown) show();
}

uint64_t allocation_count(void) { return atomic_load_explicit(&count, memory_order_relaxed); }

uint64_t allocation_bytes(void) { return atomic_load_explicit(&bytes, memory_order_relaxed); }

void allocation_show(bool isShown) { is_shown = isShown; }

void *malloc(size_t size) {
  add(size);
  return __libc_malloc(size);
}

void *calloc(size_t elements, size_t size) {
  add(elements * size);
  return __libc_calloc(elements, size);
}

void *realloc(void *memory, size_t size) {
  add(size);
  return __libc_realloc(memory, size);
}

void *memalign(size_t alignment, size_t size) {
  add(size);
  return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
  add(size);
  return __libc_memalign(alignment, size);
}

int posix_memalign(void **memory, size_t alignment, size_t size) {
  add(size);
  int before = errno;
  void *allocated = __libc_memalign(alignment, size);
  errno = before;
  if (!allocated) return ENOMEM;
  *memory = allocated;
  return 0;
}
