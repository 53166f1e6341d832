// The program's definitions go before those of every library that it loads, Swift's runtime included. They call the
// allocator that they hide: libc's, or one that was preloaded.
// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE
#include "llorch_allocation.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>
#include <unistd.h>

#ifndef __has_feature
#define __has_feature(name) 0
#endif

void llorch_end_without_memory(size_t size) {
  // Nothing here may allocate.
  static const char before[] = "error: not enough memory: ";
  static const char after[] =
      " more bytes are not to be had; raise the limit of memory (ulimit -v, MemoryMax=), or take a "
      "smaller model or text, or a --precision of fewer bits\n";
  char text[sizeof before + 24 + sizeof after];
  char digits[24];
  size_t length = 0, place = sizeof digits;
  for (size_t i = 0; i + 1 < sizeof before; i++) text[length++] = before[i];
  do digits[--place] = (char)('0' + size % 10);
  while ((size /= 10) > 0);
  while (place < sizeof digits) text[length++] = digits[place++];
  for (size_t i = 0; i + 1 < sizeof after; i++) text[length++] = after[i];
  (void)!write(STDERR_FILENO, text, length);
  _exit(1);
}

// Sanitizers have an allocator of their own, which must be the only one.
#if !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static _Atomic(void *(*)(size_t)) next_malloc;
static _Atomic(void *(*)(size_t, size_t)) next_calloc, next_memalign;
static _Atomic(void *(*)(void *, size_t)) next_realloc;
static _Thread_local bool is_looking;

// The allocator behind this one; NULL while it is looked for, when only dlsym(3) itself can allocate.
static void *find(const char *name) {
  if (is_looking) return NULL;
  is_looking = true;
  int before = errno;
  void *found = dlsym(RTLD_NEXT, name);
  errno = before;
  is_looking = false;
  return found;
}

static void *checked(void *memory, size_t size) {
  if (!memory && size > 0) llorch_end_without_memory(size);
  return memory;
}

void *malloc(size_t size) {
  void *(*next)(size_t) = atomic_load_explicit(&next_malloc, memory_order_relaxed);
  if (!next) {
    next = (void *(*)(size_t))find("malloc");
    if (!next) return checked(__libc_malloc(size), size);
    atomic_store_explicit(&next_malloc, next, memory_order_relaxed);
  }
  return checked(next(size), size);
}

void *calloc(size_t count, size_t size) {
  void *(*next)(size_t, size_t) = atomic_load_explicit(&next_calloc, memory_order_relaxed);
  size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes)) bytes = (size_t)-1;
  if (!next) {
    next = (void *(*)(size_t, size_t))find("calloc");
    if (!next) return checked(__libc_calloc(count, size), bytes);
    atomic_store_explicit(&next_calloc, next, memory_order_relaxed);
  }
  return checked(next(count, size), bytes);
}

void *realloc(void *memory, size_t size) {
  void *(*next)(void *, size_t) = atomic_load_explicit(&next_realloc, memory_order_relaxed);
  if (!next) {
    next = (void *(*)(void *, size_t))find("realloc");
    if (!next) return checked(__libc_realloc(memory, size), size);
    atomic_store_explicit(&next_realloc, next, memory_order_relaxed);
  }
  return checked(next(memory, size), size);
}

void *memalign(size_t alignment, size_t size) {
  void *(*next)(size_t, size_t) = atomic_load_explicit(&next_memalign, memory_order_relaxed);
  if (!next) {
    next = (void *(*)(size_t, size_t))find("memalign");
    if (!next) return checked(__libc_memalign(alignment, size), size);
    atomic_store_explicit(&next_memalign, next, memory_order_relaxed);
  }
  return checked(next(alignment, size), size);
}

void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

int posix_memalign(void **memory, size_t alignment, size_t size) {
  if (alignment < sizeof(void *) || (alignment & (alignment - 1)) != 0) return EINVAL;
  int before = errno;
  void *allocated = memalign(alignment, size);
  errno = before;
  *memory = allocated;
  return 0;
}

static _Atomic(int (*)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *)) next_create;

// A shortage that passes is waited for, 2 s at most.
int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*body)(void *),
                   void *argument) {
  static const char sentence[] =
      "error: no thread can be started; raise the limit of memory (ulimit -v, MemoryMax=) or of "
      "processes (ulimit -u, TasksMax=)\n";
  static const struct timespec pause = {.tv_nsec = 50000000};
  int (*next)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *) =
      atomic_load_explicit(&next_create, memory_order_relaxed);
  if (!next) {
    next = (int (*)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *))find(
        "pthread_create");
    if (!next) return EAGAIN;
    atomic_store_explicit(&next_create, next, memory_order_relaxed);
  }
  for (int attempt = 0; attempt < 40; attempt++) {
    int code = next(thread, attributes, body, argument);
    if (code != EAGAIN) return code;
    nanosleep(&pause, NULL);
  }
  (void)!write(STDERR_FILENO, sentence, sizeof sentence - 1);
  _exit(1);
}

#endif
