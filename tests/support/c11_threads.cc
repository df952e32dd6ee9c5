// SPDX-License-Identifier: Apache-2.0
// C11's threads on top of POSIX's, for builds under ThreadSanitizer only.
//
// librdkafka starts its threads by thrd_create and locks by mtx_lock. g++ 12's ThreadSanitizer knows neither: a thread
// that it has not seen begin crashes in its first allocation, and locks that it does not see make races of orderly
// code. It knows pthread_create and pthread_mutex_lock. glibc's own C11 calls are these as well, without the names.
#include <pthread.h>
#include <threads.h>

#include <cerrno>
#include <cstdint>
#include <memory>
#include <utility>

namespace {

static_assert(sizeof(mtx_t) >= sizeof(pthread_mutex_t) && sizeof(cnd_t) >= sizeof(pthread_cond_t));

pthread_mutex_t* mutex_of(mtx_t* mutex) { return reinterpret_cast<pthread_mutex_t*>(mutex); }
pthread_cond_t* condition_of(cnd_t* condition) { return reinterpret_cast<pthread_cond_t*>(condition); }

int result(int error) {
  if (error == 0) return thrd_success;
  if (error == EBUSY) return thrd_busy;
  if (error == ETIMEDOUT) return thrd_timedout;
  return error == ENOMEM ? thrd_nomem : thrd_error;
}

using Start = std::pair<thrd_start_t, void*>;

void* run(void* argument) {
  const std::unique_ptr<Start> start(static_cast<Start*>(argument));
  return reinterpret_cast<void*>(static_cast<std::intptr_t>(start->first(start->second)));
}

}  // namespace

extern "C" {

// librdkafka counts references by atomic operations that nobody instrumented: who drops the last one destroys a topic's
// lock, or frees the bytes of records, after everybody else is done with them.
const char* __tsan_default_suppressions() {  // NOLINT(bugprone-reserved-identifier): its name
  return "race:rwlock_destroy\nrace:rd_segment_destroy\n";
}

int thrd_create(thrd_t* thread, thrd_start_t function, void* argument) {
  auto start = std::make_unique<Start>(function, argument);
  const int error = pthread_create(thread, nullptr, run, start.get());
  if (error == 0) static_cast<void>(start.release());  // run() has it
  return result(error);
}

int thrd_join(thrd_t thread, int* code) {
  void* returned = nullptr;
  const int error = pthread_join(thread, &returned);
  if (code != nullptr) *code = static_cast<int>(reinterpret_cast<std::intptr_t>(returned));
  return result(error);
}

int thrd_detach(thrd_t thread) { return result(pthread_detach(thread)); }

int mtx_init(mtx_t* mutex, int type) {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  if ((type & mtx_recursive) != 0) pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
  return result(pthread_mutex_init(mutex_of(mutex), &attributes));
}

void mtx_destroy(mtx_t* mutex) { pthread_mutex_destroy(mutex_of(mutex)); }
int mtx_lock(mtx_t* mutex) { return result(pthread_mutex_lock(mutex_of(mutex))); }
int mtx_trylock(mtx_t* mutex) { return result(pthread_mutex_trylock(mutex_of(mutex))); }
int mtx_unlock(mtx_t* mutex) { return result(pthread_mutex_unlock(mutex_of(mutex))); }

int cnd_init(cnd_t* condition) { return result(pthread_cond_init(condition_of(condition), nullptr)); }
void cnd_destroy(cnd_t* condition) { pthread_cond_destroy(condition_of(condition)); }
int cnd_signal(cnd_t* condition) { return result(pthread_cond_signal(condition_of(condition))); }
int cnd_broadcast(cnd_t* condition) { return result(pthread_cond_broadcast(condition_of(condition))); }
int cnd_wait(cnd_t* condition, mtx_t* mutex) {
  return result(pthread_cond_wait(condition_of(condition), mutex_of(mutex)));
}
int cnd_timedwait(cnd_t* condition, mtx_t* mutex, const timespec* until) {
  return result(pthread_cond_timedwait(condition_of(condition), mutex_of(mutex), until));
}

}  // extern "C"
