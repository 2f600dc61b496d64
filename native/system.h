#pragma once

#include <napi.h>

namespace millrace {

/** Adds the functions that are one system call each; SystemFailure when it fails, ERR_ARGUMENT before it when an
 * argument is wrong. */
void DefineSystem(Napi::Env env, Napi::Object exports);

}  // namespace millrace
