#pragma once

#include <napi.h>

#include <cstddef>

#include "counted.h"

namespace millrace {

/** Mapped memory; unmapped when the last holder lets go of it. Holders are a Mapping and every Pulse that beats in it.
 */
class Region {
 public:
  Region(void* address, size_t length, bool is_shared) : address_(address), length_(length), is_shared_(is_shared) {}
  ~Region();
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;

  void* address() const { return address_; }
  size_t length() const { return length_; }
  bool is_shared() const { return is_shared_; }

 private:
  void* const address_;
  const size_t length_;
  const bool is_shared_;
};

/**
 * new Mapping(fd, bytes, isShared): the first `bytes` of the open file as `buffer`, an ArrayBuffer. The fd is the
 * caller's and may be closed at once. isShared: MAP_SHARED, the fd must be open for writing. Otherwise MAP_PRIVATE:
 * pages follow the file until this process writes to them, which copies the page, so that a stray write to a file that
 * may only be read neither faults nor reaches it.
 *
 * Refuses a length beyond the file, whose pages would raise SIGBUS when touched. So does a file truncated later, and
 * nothing here can prevent that: whoever may write to the file may kill the processes that map it.
 *
 * close() detaches the buffer, so that every view on it has length 0, and unmaps. Without it the memory lives as long
 * as this object or any view on the buffer.
 */
class Mapping : public Napi::ObjectWrap<Mapping> {
 public:
  static Napi::Function Define(Napi::Env env);

  explicit Mapping(const Napi::CallbackInfo& info);

  /** The region of a Mapping given as an argument, or throws ERR_ARGUMENT; ERR_SHM_CLOSED when it was closed. */
  static Counted<Region> RegionOf(const Napi::CallbackInfo& info, size_t index, const char* name);

 private:
  /** Shared with the buffer's finalizer, which may run before or after this object is gone. */
  struct Hold {
    Counted<Region> region;
  };

  Napi::Value Buffer(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

  Counted<Hold> hold_ = Counted<Hold>::Make();
  Napi::Reference<Napi::ArrayBuffer> buffer_;
};

}  // namespace millrace
