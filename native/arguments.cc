#include "arguments.h"

#include <cmath>
#include <limits>

#include "failure.h"

namespace millrace {

int64_t WholeNumber(const Napi::CallbackInfo& info, size_t index, const char* name, int64_t min, int64_t max) {
  if (info[index].IsNumber()) {
    const double value = info[index].As<Napi::Number>().DoubleValue();
    // NaN fails both comparisons; the bounds keep the cast defined.
    if (value >= static_cast<double>(min) && value <= static_cast<double>(max) && std::trunc(value) == value) {
      return static_cast<int64_t>(value);
    }
  }
  const std::string expected = "a whole number from " + std::to_string(min) + " to " + std::to_string(max);
  throw ArgumentFailure(info.Env(), name, expected.c_str());
}

int FileDescriptor(const Napi::CallbackInfo& info, size_t index) {
  return static_cast<int>(WholeNumber(info, index, "fd", 0, std::numeric_limits<int>::max()));
}

bool Boolean(const Napi::CallbackInfo& info, size_t index, const char* name) {
  if (!info[index].IsBoolean()) throw ArgumentFailure(info.Env(), name, "true or false");
  return info[index].As<Napi::Boolean>().Value();
}

Napi::Function Callback(const Napi::CallbackInfo& info, size_t index, const char* name) {
  if (!info[index].IsFunction()) throw ArgumentFailure(info.Env(), name, "a function");
  return info[index].As<Napi::Function>();
}

std::string Path(const Napi::CallbackInfo& info, size_t index, const char* name) {
  if (info[index].IsString()) {
    std::string path = info[index].As<Napi::String>().Utf8Value();
    if (!path.empty() && path.find('\0') == std::string::npos) return path;
  }
  throw ArgumentFailure(info.Env(), name, "a path without NUL characters");
}

}  // namespace millrace
