// What is wrong, said on standard error and kept for whoever asks: `emulatorProblems`.
#pragma once
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>
#include <vector>

namespace emulated {

struct Problems {
    std::mutex lock;
    std::vector<std::string> all;
};

// Never destroyed: what ends after it (an interpreter's last objects) may still complain.
inline Problems &problems() {
    static Problems *kept = new Problems;
    return *kept;
}

// A setting of the emulator, from the environment.
inline const char *setting(const char *name, const char *otherwise) {
    const std::string full = std::string("HELICOPTER_EMULATOR_") + name;
    const char *given = getenv(full.c_str());
    return given && *given ? given : otherwise;
}

__attribute__((format(printf, 1, 2))) inline void complain(const char *format, ...) {
    char text[1024];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    std::lock_guard<std::mutex> guard(problems().lock);
    problems().all.push_back(text);
    fprintf(stderr, "emulated CUDA: %s\n", text);
    if (strcmp(setting("STRICT", "0"), "0") != 0) abort();
}

}  // namespace emulated
