// Device memory: host memory between pages that cannot be touched.
//
// An allocation ends where its last page does (but for what alignment asks), so that a read or write
// beyond it is a fault of the processor; HELICOPTER_EMULATOR_GUARD=before lets it begin where its
// first page does instead. What is left of the pages holds a pattern that is looked at when the
// allocation is freed. New memory holds quiet NaNs, of float32 and float64, that are recognised when
// they are copied to the host. Freed memory is kept out of reach for a while.
#pragma once
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <deque>
#include <map>

#include "report.hpp"

namespace emulated {

constexpr uint32_t UNSET = 0xFFFADBADu;
constexpr unsigned char CANARY = 0xC5;
constexpr size_t KEPT_AFTER_FREE = 512;

inline void fill_unset(void *at, size_t bytes) {
    auto *words = static_cast<unsigned char *>(at);
    for (size_t i = 0; i < bytes; i += 4) memcpy(words + i, &UNSET, bytes - i < 4 ? bytes - i : 4);
}

struct Allocation {
    char *map, *data;
    size_t pages, bytes;
    bool host, from_pool;
    unsigned long long number;
};

class Memory {
  public:
    size_t total = strtoull(setting("MEMORY", "2147483648"), nullptr, 0);
    size_t used = 0, peak = 0;
    // what the pool holds and is not in use counts as taken, as on a card
    size_t pool_used = 0, pool_reserved = 0, pool_threshold = 0, pool_peak = 0;
    unsigned long long count = 0;
    std::map<uintptr_t, Allocation> live;

    size_t taken() const { return used + (pool_reserved - pool_used); }

    void *allocate(size_t bytes, bool host, bool from_pool) {
        ++count;
        if (!host) {
            const size_t idle = from_pool ? pool_reserved - pool_used : 0;
            if (bytes > total || taken() - idle + bytes > total) return nullptr;
        }
        const size_t page = size_t(sysconf(_SC_PAGESIZE)), alignment = 16;
        const size_t pages = (bytes + page - 1) / page * page + (bytes == 0 ? page : 0);
        char *map = static_cast<char *>(
            mmap(nullptr, pages + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
        if (map == MAP_FAILED) return nullptr;
        if (mprotect(map + page, pages, PROT_READ | PROT_WRITE) != 0) {
            munmap(map, pages + 2 * page);
            return nullptr;
        }
        const bool before = strcmp(setting("GUARD", "after"), "before") == 0;
        char *data = map + page + (before ? 0 : (pages - bytes) / alignment * alignment);
        memset(map + page, CANARY, size_t(data - map) - page);
        memset(data + bytes, CANARY, size_t(map + page + pages - (data + bytes)));
        if (!host) fill_unset(data, bytes);
        live[uintptr_t(data)] = {map, data, pages + 2 * page, bytes, host, from_pool, count};
        if (!host) {
            used += bytes;
            if (used > peak) peak = used;
            if (from_pool) {
                pool_used += bytes;
                if (pool_used > pool_reserved) pool_reserved = pool_used;
                if (pool_used > pool_peak) pool_peak = pool_used;
            }
        }
        return data;
    }

    // False: no such allocation.
    bool release(void *data) {
        const auto found = live.find(uintptr_t(data));
        if (found == live.end()) {
            const Allocation *old = freed_at(uintptr_t(data));
            if (old) complain("memory is freed a second time (allocation %llu of %zu bytes)", old->number, old->bytes);
            return false;
        }
        const Allocation gone = found->second;
        check(gone);
        live.erase(found);
        if (!gone.host) used -= gone.bytes;
        if (gone.from_pool) pool_used -= gone.bytes;
        // out of reach, but not given to anybody else yet
        madvise(gone.map, gone.pages, MADV_DONTNEED);
        mprotect(gone.map, gone.pages, PROT_NONE);
        freed.push_back(gone);
        if (freed.size() > KEPT_AFTER_FREE) {
            munmap(freed.front().map, freed.front().pages);
            freed.pop_front();
        }
        return true;
    }

    void trim(size_t keep) {
        if (pool_reserved > keep) pool_reserved = keep > pool_used ? keep : pool_used;
    }

    void trim_to_threshold() { trim(pool_threshold); }

    const Allocation *containing(uintptr_t at, size_t bytes) const {
        auto next = live.upper_bound(at);
        if (next == live.begin()) return nullptr;
        const Allocation &a = std::prev(next)->second;
        return at - uintptr_t(a.data) + bytes <= a.bytes ? &a : nullptr;
    }

    bool host_memory(const void *at) const {
        const Allocation *a = containing(uintptr_t(at), 1);
        return a && a->host;
    }

    // What an address that cannot be touched has to do with memory that we gave out.
    std::string describe(uintptr_t at) const {
        char text[256];
        for (const auto &[start, a] : live)
            if (at >= uintptr_t(a.map) && at < uintptr_t(a.map) + a.pages) {
                const bool before = at < start;
                snprintf(text, sizeof text, "%zu bytes %s an allocation of %zu bytes",
                         before ? size_t(start - at) : size_t(at - start - a.bytes), before ? "before" : "past the end of",
                         a.bytes);
                return text;
            }
        if (const Allocation *a = freed_at(at)) {
            snprintf(text, sizeof text, "inside an allocation of %zu bytes that was freed", a->bytes);
            return text;
        }
        snprintf(text, sizeof text, "at %#zx, which is nobody's memory", size_t(at));
        return text;
    }

    void check_all() const {
        for (const auto &entry : live) check(entry.second);
    }

    // A copy to the host of what nobody wrote.
    void look_for_unset(const void *at, size_t bytes) const {
        size_t found = 0, first = 0;
        for (size_t i = 0; i + 4 <= bytes; i += 4) {
            uint32_t word;
            memcpy(&word, static_cast<const char *>(at) + i, 4);
            if (word == UNSET && found++ == 0) first = i;
        }
        if (found)
            complain("%zu of %zu words copied to the host were never written, the first at byte %zu", found, bytes / 4,
                     first);
    }

    size_t report_leaks() const {
        size_t leaks = 0;
        for (const auto &[start, a] : live)
            if (!a.host) {
                complain("allocation %llu of %zu bytes was never freed", a.number, a.bytes);
                ++leaks;
            }
        return leaks;
    }

  private:
    std::deque<Allocation> freed;

    const Allocation *freed_at(uintptr_t at) const {
        for (auto a = freed.rbegin(); a != freed.rend(); ++a)
            if (at >= uintptr_t(a->map) && at < uintptr_t(a->map) + a->pages) return &*a;
        return nullptr;
    }

    static void check(const Allocation &a) {
        const size_t page = size_t(sysconf(_SC_PAGESIZE));
        for (char *p = a.map + page; p < a.map + a.pages - page; ++p) {
            if (p == a.data) p += a.bytes;
            if (p >= a.map + a.pages - page) break;
            if (static_cast<unsigned char>(*p) != CANARY) {
                const bool before = p < a.data;
                complain("something was written %zu bytes %s allocation %llu of %zu bytes",
                         before ? size_t(a.data - p) : size_t(p - a.data) - a.bytes, before ? "before" : "past the end of",
                         a.number, a.bytes);
                memset(a.map + page, CANARY, size_t(a.data - a.map) - page);  // said once
                memset(a.data + a.bytes, CANARY, size_t(a.map + a.pages - page - (a.data + a.bytes)));
                return;
            }
        }
    }
};

}  // namespace emulated
