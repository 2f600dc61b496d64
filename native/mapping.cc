#include "mapping.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "arguments.h"
#include "failure.h"

namespace millrace {

namespace {

constexpr napi_type_tag kMappingTag = {0x6d696c6c72616365, 0x6d617070696e6731};

// Below the longest ArrayBuffer of every supported Node, and all that positions of 32 bits can use.
constexpr int64_t kMappingBytesMax = int64_t{1} << 31;

}  // namespace

Region::~Region() { munmap(address_, length_); }

Napi::Function Mapping::Define(Napi::Env env) {
  return DefineClass(env, "Mapping",
                     {InstanceAccessor<&Mapping::Buffer>("buffer"), InstanceMethod<&Mapping::Close>("close")});
}

Mapping::Mapping(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Mapping>(info) {
  Napi::Env env = info.Env();
  const int fd = FileDescriptor(info, 0);
  const size_t length = static_cast<size_t>(WholeNumber(info, 1, "bytes", 1, kMappingBytesMax));
  const bool is_shared = Boolean(info, 2, "isShared");

  const off_t file_length = lseek(fd, 0, SEEK_END);
  if (file_length < 0) throw SystemFailure(env, errno, "lseek");
  if (static_cast<uint64_t>(file_length) < length) {
    throw ArgumentFailure(env, "bytes", "at most the length of the file");
  }

  void* address = mmap(nullptr, length, PROT_READ | PROT_WRITE, is_shared ? MAP_SHARED : MAP_PRIVATE, fd, 0);
  if (address == MAP_FAILED) throw SystemFailure(env, errno, "mmap");
  hold_->region = Counted<Region>::Make(address, length, is_shared);

  auto* finalizer_hold = new Counted<Hold>(hold_);
  napi_value buffer;
  const napi_status status = napi_create_external_arraybuffer(
      env, address, length, [](napi_env, void*, void* hint) { delete static_cast<Counted<Hold>*>(hint); },
      finalizer_hold, &buffer);
  if (status != napi_ok) {
    delete finalizer_hold;
    throw Napi::Error::New(env);
  }
  buffer_ = Napi::Persistent(Napi::ArrayBuffer(env, buffer));
  info.This().As<Napi::Object>().TypeTag(&kMappingTag);
}

Counted<Region> Mapping::RegionOf(const Napi::CallbackInfo& info, size_t index, const char* name) {
  if (!info[index].IsObject() || !info[index].As<Napi::Object>().CheckTypeTag(&kMappingTag)) {
    throw ArgumentFailure(info.Env(), name, "a Mapping");
  }
  Counted<Region> region = Unwrap(info[index].As<Napi::Object>())->hold_->region;
  if (!region) throw ClosedFailure(info.Env(), "mapping");
  return region;
}

Napi::Value Mapping::Buffer(const Napi::CallbackInfo& info) {
  if (!hold_->region) throw ClosedFailure(info.Env(), "mapping");
  return buffer_.Value();
}

void Mapping::Close(const Napi::CallbackInfo& info) {
  if (!hold_->region) throw ClosedFailure(info.Env(), "mapping");
  // Detach first: while any view has a length, the memory must stay.
  buffer_.Value().Detach();
  buffer_.Reset();
  hold_->region.Reset();
}

}  // namespace millrace
