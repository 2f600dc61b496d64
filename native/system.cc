#include "system.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <string>

#include "arguments.h"
#include "failure.h"

namespace millrace {

namespace {

constexpr int64_t kSafeIntegerMax = (int64_t{1} << 53) - 1;

/** allocate(fd, bytes): gives the file that length with every block really there, so that a later store cannot find the
 * disk full. */
void Allocate(const Napi::CallbackInfo& info) {
  const int fd = FileDescriptor(info, 0);
  const int64_t bytes = WholeNumber(info, 1, "bytes", 1, kSafeIntegerMax);
  int error_number;
  do {
    error_number = posix_fallocate(fd, 0, bytes);
  } while (error_number == EINTR);
  if (error_number != 0) throw SystemFailure(info.Env(), error_number, "posix_fallocate");
}

/** makeFifo(path): a FIFO that only its owner may use. EEXIST when anything is there. */
void MakeFifo(const Napi::CallbackInfo& info) {
  const std::string path = Path(info, 0, "path");
  if (mkfifo(path.c_str(), S_IRUSR | S_IWUSR) != 0) throw SystemFailure(info.Env(), errno, "mkfifo");
}

/** ring(fd): writes one byte to a FIFO that is open with O_NONBLOCK. One that is full rings already. */
void Ring(const Napi::CallbackInfo& info) {
  static const char ring = 0;
  const int fd = FileDescriptor(info, 0);
  ssize_t count;
  do {
    count = write(fd, &ring, sizeof ring);
  } while (count < 0 && errno == EINTR);
  if (count < 0 && errno != EAGAIN) throw SystemFailure(info.Env(), errno, "write");
}

/**
 * tryLock(fd): takes an exclusive lock on the whole file, which belongs to this open of the file (fcntl F_OFD_SETLK):
 * it ends when the fd is closed or the process dies, and not when the process closes another fd of the same file. False
 * when somebody else has it.
 */
Napi::Value TryLock(const Napi::CallbackInfo& info) {
  struct flock lock = {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  if (fcntl(FileDescriptor(info, 0), F_OFD_SETLK, &lock) == 0) return Napi::Boolean::New(info.Env(), true);
  if (errno == EAGAIN || errno == EACCES) return Napi::Boolean::New(info.Env(), false);
  throw SystemFailure(info.Env(), errno, "fcntl");
}

/** pinThread(core): the calling thread runs there only. Threads and processes that it starts later inherit that. */
void PinThread(const Napi::CallbackInfo& info) {
  const size_t core = static_cast<size_t>(WholeNumber(info, 0, "core", 0, CPU_SETSIZE - 1));
  cpu_set_t cores;
  CPU_ZERO(&cores);
  CPU_SET(core, &cores);
  if (sched_setaffinity(0, sizeof cores, &cores) != 0) throw SystemFailure(info.Env(), errno, "sched_setaffinity");
}

/** currentCore(): where the calling thread runs at this moment. */
Napi::Value CurrentCore(const Napi::CallbackInfo& info) {
  const int core = sched_getcpu();
  if (core < 0) throw SystemFailure(info.Env(), errno, "sched_getcpu");
  return Napi::Number::New(info.Env(), core);
}

/** allowedCores(): numbers of the cores that the calling thread may run on, ascending. */
Napi::Value AllowedCores(const Napi::CallbackInfo& info) {
  cpu_set_t cores;
  if (sched_getaffinity(0, sizeof cores, &cores) != 0) throw SystemFailure(info.Env(), errno, "sched_getaffinity");
  Napi::Array numbers = Napi::Array::New(info.Env());
  uint32_t count = 0;
  for (size_t core = 0; core < CPU_SETSIZE; core++) {
    if (CPU_ISSET(core, &cores)) numbers.Set(count++, Napi::Number::New(info.Env(), static_cast<double>(core)));
  }
  return numbers;
}

}  // namespace

void DefineSystem(Napi::Env env, Napi::Object exports) {
  exports.Set("allocate", Napi::Function::New<Allocate>(env, "allocate"));
  exports.Set("makeFifo", Napi::Function::New<MakeFifo>(env, "makeFifo"));
  exports.Set("ring", Napi::Function::New<Ring>(env, "ring"));
  exports.Set("tryLock", Napi::Function::New<TryLock>(env, "tryLock"));
  exports.Set("pinThread", Napi::Function::New<PinThread>(env, "pinThread"));
  exports.Set("currentCore", Napi::Function::New<CurrentCore>(env, "currentCore"));
  exports.Set("allowedCores", Napi::Function::New<AllowedCores>(env, "allowedCores"));
}

}  // namespace millrace
