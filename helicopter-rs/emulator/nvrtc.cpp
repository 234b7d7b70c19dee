// NVRTC that compiles for the emulated driver: g++ on the same source with the same definitions. What
// it gives as cubin is a shared object, and as PTX the same bytes as text.
#include <dlfcn.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <functional>
#include <sstream>

#include "report.hpp"
#include "source.hpp"

extern char **environ;

namespace {

enum Result {
    SUCCESS = 0, OUT_OF_MEMORY = 1, CREATION_FAILURE = 2, INVALID_INPUT = 3, INVALID_PROGRAM = 4, INVALID_OPTION = 5,
    COMPILATION = 6, INTERNAL = 11
};

struct Program {
    std::string source, name, log, object;
    std::vector<std::string> names;
};

const int ARCHITECTURES[] = {75, 80, 86, 87, 88, 89, 90, 100, 103, 110, 120, 121};

std::string folder_of_this_library() {
    Dl_info info;
    dladdr(reinterpret_cast<void *>(&folder_of_this_library), &info);
    const std::string path = info.dli_fname;
    const size_t slash = path.rfind('/');
    return slash == std::string::npos ? "." : path.substr(0, slash);
}

std::string read_file(const std::string &path) {
    std::ifstream file(path, std::ios::binary);
    std::stringstream content;
    content << file.rdbuf();
    return content.str();
}

// A folder that is gone at the end.
struct Scratch {
    std::string path;
    Scratch() {
        const char *base = getenv("TMPDIR");
        std::string pattern = std::string(base && *base ? base : "/tmp") + "/emulated-nvrtc-XXXXXX";
        path = mkdtemp(pattern.data()) ? pattern : "";
    }
    ~Scratch() {
        for (const char *name : {"kernel.cu", "kernel.ii", "kernel.cpp", "kernel.so", "log"}) unlink((path + "/" + name).c_str());
        rmdir(path.c_str());
    }
};

int execute(std::vector<std::string> command, const std::string &folder) {
    std::vector<char *> arguments;
    for (std::string &word : command) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    // what was preloaded for this process (a sanitizer's library) is not for the compiler
    std::vector<char *> environment;
    for (char **e = environ; *e; ++e)
        if (strncmp(*e, "LD_PRELOAD=", 11) != 0 && strncmp(*e, "LD_LIBRARY_PATH=", 16) != 0) environment.push_back(*e);
    char language[] = "LC_ALL=C";
    environment.push_back(language);
    environment.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    const std::string log = folder + "/log";
    posix_spawn_file_actions_addopen(&actions, 2, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    posix_spawn_file_actions_adddup2(&actions, 2, 1);
    pid_t child;
    const int failed = posix_spawnp(&child, arguments[0], &actions, nullptr, arguments.data(), environment.data());
    posix_spawn_file_actions_destroy(&actions);
    if (failed) return 127;
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

// name:12:5: error: text  ->  name(12): error: text, as NVRTC writes it
std::string as_nvrtc_says(const std::string &log) {
    std::istringstream lines(log);
    std::string line, result;
    while (std::getline(lines, line)) {
        for (const char *kind : {"error", "fatal error", "warning", "note"}) {
            const size_t found = line.find(std::string(": ") + kind + ": ");
            if (found == std::string::npos) continue;
            size_t end = found;
            while (end > 0 && isdigit(static_cast<unsigned char>(line[end - 1]))) --end;
            if (end == 0 || line[end - 1] != ':') break;
            size_t start = end - 1;
            while (start > 0 && isdigit(static_cast<unsigned char>(line[start - 1]))) --start;
            if (start == 0 || line[start - 1] != ':') break;
            line = line.substr(0, start - 1) + "(" + line.substr(start, end - 1 - start) + ")" + line.substr(found);
            break;
        }
        result += line + "\n";
    }
    return result;
}

// What of the options g++ is told; false with a text in `log` for one that NVRTC would refuse.
bool translate(int count, const char *const *options, std::vector<std::string> &flags, std::string &log) {
    std::string architecture = "75";
    for (int i = 0; i < count; ++i) {
        std::string option = options[i];
        const auto value_of = [&](std::initializer_list<const char *> names, std::string &value) {
            for (const char *name : names) {
                const size_t n = strlen(name);
                if (option.compare(0, n, name) != 0) continue;
                if (option.size() > n && option[n] == '=') value = option.substr(n + 1);
                else if (option.size() == n && i + 1 < count) value = options[++i];
                else continue;
                return true;
            }
            return false;
        };
        std::string value;
        if (value_of({"--gpu-architecture", "-arch"}, value)) {
            const size_t digits = value.find_first_of("0123456789");
            architecture = digits == std::string::npos ? "" : value.substr(digits);
            while (!architecture.empty() && isalpha(static_cast<unsigned char>(architecture.back()))) architecture.pop_back();
            const int number = atoi(architecture.c_str());
            const bool known = std::find(std::begin(ARCHITECTURES), std::end(ARCHITECTURES), number) != std::end(ARCHITECTURES);
            if (!known || (value.rfind("sm_", 0) != 0 && value.rfind("compute_", 0) != 0)) {
                log = "nvrtc: error: invalid value for --gpu-architecture (-arch)\n";
                return false;
            }
        } else if (value_of({"--define-macro"}, value)) {
            flags.push_back("-D" + value);
        } else if (option.rfind("-D", 0) == 0) {
            flags.push_back(option == "-D" && i + 1 < count ? "-D" + std::string(options[++i]) : option);
        } else if (value_of({"--undefine-macro"}, value)) {
            flags.push_back("-U" + value);
        } else if (option.rfind("-U", 0) == 0 || option.rfind("-I", 0) == 0) {
            flags.push_back(option);
        } else if (value_of({"--std", "-std"}, value)) {
            if (value != "c++17" && value != "c++14" && value != "c++11" && value != "c++20") {
                log = "nvrtc: error: invalid value for --std\n";
                return false;
            }
        } else if (value_of({"--ptxas-options", "-Xptxas", "--fmad", "-fmad", "--maxrregcount", "-maxrregcount", "--prec-div", "-prec-div",
                             "--prec-sqrt", "-prec-sqrt", "--ftz", "-ftz", "--diag-suppress", "-diag-suppress", "--split-compile",
                             "--optimization-info", "--dopt", "-dopt", "--include-path"},
                            value)) {
        } else {
            static const char *const PLAIN[] = {"--use_fast_math", "-use_fast_math", "--device-debug", "-G", "--generate-line-info",
                                                "-lineinfo", "--restrict", "-restrict", "-default-device", "--device-as-default-execution-space",
                                                "--extra-device-vectorization", "-extra-device-vectorization", "--disable-warnings", "-w", "--relocatable-device-code=false",
                                                "-rdc=false", "--no-source-include", "-no-source-include"};
            if (std::none_of(std::begin(PLAIN), std::end(PLAIN), [&](const char *known) { return option == known; })) {
                log = "nvrtc: error: unrecognized option " + option + " found\n";
                return false;
            }
        }
    }
    flags.push_back("-D__CUDA_ARCH__=" + architecture + "0");
    flags.push_back("-D__CUDACC_RTC__=1");
    flags.push_back("-D__CUDACC__=1");
    flags.push_back("-D__NVCC__=1");
    return true;
}

Result compile(Program &program, int count, const char *const *options) {
    std::vector<std::string> flags;
    program.log.clear();
    program.object.clear();
    if (!translate(count, options, flags, program.log)) return INVALID_OPTION;
    Scratch scratch;
    if (scratch.path.empty()) return INTERNAL;
    const std::string folder = scratch.path, compiler = emulated::setting("CXX", "g++");
    std::ofstream(folder + "/kernel.cu", std::ios::binary) << "#line 1 \"" << program.name << "\"\n" << program.source;
    const auto done = [&](Result result) {
        program.log = as_nvrtc_says(read_file(folder + "/log"));
        return result;
    };
    std::vector<std::string> command = {compiler, "-E", "-x", "c++", "-std=c++17"};
    command.insert(command.end(), flags.begin(), flags.end());
    command.insert(command.end(), {folder + "/kernel.cu", "-o", folder + "/kernel.ii"});
    int status = execute(command, folder);
    if (status == 127) {
        program.log = "the emulated NVRTC needs " + compiler + ", which was not found\n";
        return COMPILATION;
    }
    if (status) return done(COMPILATION);
    emulated::Rewriter rewriter(read_file(folder + "/kernel.ii"));
    std::ofstream(folder + "/kernel.cpp", std::ios::binary) << rewriter.run();
    const std::string library = folder_of_this_library();
    command = {compiler, "-std=c++17", "-O1", "-ffp-contract=off", "-fPIC", "-shared", "-fvisibility=hidden", "-fno-gnu-unique",
               "-fno-exceptions", "-fno-rtti", "-fno-builtin-printf", "-fno-threadsafe-statics", "-Wno-attributes", "-Wno-unknown-pragmas", "-include",
               library + "/shim.h"};
    std::istringstream extra(std::string(emulated::setting("CXXFLAGS", "")) + " " + read_file(library + "/kernel-flags"));
    for (std::string word; extra >> word;) command.push_back(word);
    // What was compiled once, by the same words through the same shim, is not compiled again.
    std::string all = read_file(folder + "/kernel.cpp");
    for (const char *name : {"/shim.h", "/mathematics.h", "/interface.h"}) all += read_file(library + name);
    for (const std::string &word : command) all += word + " ";
    const std::string kept = library + "/cache/" + std::to_string(std::hash<std::string>()(all)) + "-" + std::to_string(all.size());
    program.object = read_file(kept);
    if (!program.object.empty()) return done(SUCCESS);
    command.insert(command.end(), {folder + "/kernel.cpp", "-o", folder + "/kernel.so"});
    if (execute(command, folder)) return done(COMPILATION);
    program.object = read_file(folder + "/kernel.so");
    mkdir((library + "/cache").c_str(), 0777);
    const std::string part = kept + "." + std::to_string(getpid());
    if (std::ofstream(part, std::ios::binary).write(program.object.data(), long(program.object.size())).flush())
        rename(part.c_str(), kept.c_str());
    return done(program.object.empty() ? INTERNAL : SUCCESS);
}

std::string as_text(const std::string &object) {
    static const char digits[] = "0123456789abcdef";
    std::string text = "//emulated\n";
    for (const unsigned char byte : object) {
        text += digits[byte >> 4];
        text += digits[byte & 15];
    }
    return text;
}

}  // namespace

#define API extern "C" __attribute__((visibility("default")))

API Result nvrtcVersion(int *major, int *minor) {
    *major = 12, *minor = 99;  // no real one: what either compiled is not taken for the other's
    return SUCCESS;
}

API Result nvrtcGetNumSupportedArchs(int *count) {
    *count = int(std::size(ARCHITECTURES));
    return SUCCESS;
}

API Result nvrtcGetSupportedArchs(int *all) {
    std::copy(std::begin(ARCHITECTURES), std::end(ARCHITECTURES), all);
    return SUCCESS;
}

API const char *nvrtcGetErrorString(Result result) {
    switch (result) {
        case SUCCESS: return "NVRTC_SUCCESS";
        case OUT_OF_MEMORY: return "NVRTC_ERROR_OUT_OF_MEMORY";
        case CREATION_FAILURE: return "NVRTC_ERROR_PROGRAM_CREATION_FAILURE";
        case INVALID_INPUT: return "NVRTC_ERROR_INVALID_INPUT";
        case INVALID_PROGRAM: return "NVRTC_ERROR_INVALID_PROGRAM";
        case INVALID_OPTION: return "NVRTC_ERROR_INVALID_OPTION";
        case COMPILATION: return "NVRTC_ERROR_COMPILATION";
        case INTERNAL: return "NVRTC_ERROR_INTERNAL_ERROR";
    }
    return "NVRTC_ERROR unknown";
}

API Result nvrtcCreateProgram(Program **program, const char *source, const char *name, int headers, const char *const *, const char *const *) {
    if (!program || !source || headers < 0) return INVALID_INPUT;
    *program = new Program{source, name && *name ? name : "default_program", {}, {}, {}};
    return SUCCESS;
}

API Result nvrtcDestroyProgram(Program **program) {
    if (!program || !*program) return INVALID_PROGRAM;
    delete *program;
    *program = nullptr;
    return SUCCESS;
}

API Result nvrtcCompileProgram(Program *program, int count, const char *const *options) {
    return program ? compile(*program, count, options) : INVALID_PROGRAM;
}

API Result nvrtcGetCUBINSize(Program *program, size_t *size) {
    *size = program->object.size();
    return program->object.empty() ? INVALID_PROGRAM : SUCCESS;
}

API Result nvrtcGetCUBIN(Program *program, char *to) {
    memcpy(to, program->object.data(), program->object.size());
    return SUCCESS;
}

API Result nvrtcGetPTXSize(Program *program, size_t *size) {
    *size = as_text(program->object).size() + 1;
    return program->object.empty() ? INVALID_PROGRAM : SUCCESS;
}

API Result nvrtcGetPTX(Program *program, char *to) {
    const std::string text = as_text(program->object);
    memcpy(to, text.c_str(), text.size() + 1);
    return SUCCESS;
}

API Result nvrtcGetProgramLogSize(Program *program, size_t *size) {
    *size = program->log.size() + 1;
    return SUCCESS;
}

API Result nvrtcGetProgramLog(Program *program, char *to) {
    memcpy(to, program->log.c_str(), program->log.size() + 1);
    return SUCCESS;
}

API Result nvrtcAddNameExpression(Program *program, const char *name) {
    program->names.push_back(name);
    return SUCCESS;
}

API Result nvrtcGetLoweredName(Program *program, const char *name, const char **lowered) {
    for (const std::string &known : program->names)
        if (known == name) {
            *lowered = known.c_str();
            return SUCCESS;
        }
    return INVALID_INPUT;
}
