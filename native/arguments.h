#pragma once

#include <napi.h>

#include <cstdint>
#include <string>

namespace millrace {

/** Each reads argument `index` or throws ERR_ARGUMENT naming it. Nothing is converted: "1" is no number, 1.5 is not
 * whole. */
int64_t WholeNumber(const Napi::CallbackInfo& info, size_t index, const char* name, int64_t min, int64_t max);
int FileDescriptor(const Napi::CallbackInfo& info, size_t index);
bool Boolean(const Napi::CallbackInfo& info, size_t index, const char* name);
Napi::Function Callback(const Napi::CallbackInfo& info, size_t index, const char* name);
/** A path without NUL, which would cut it short. */
std::string Path(const Napi::CallbackInfo& info, size_t index, const char* name);

}  // namespace millrace
