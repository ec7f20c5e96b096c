// Drives a Verilated memory through its port of beats and its control bus.
//
// Built with -DSUMMAND_BEAT_BYTES=<stream_bits / 8>. The functions at the end are its interface;
// summand/verilated/memory.py calls them.

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "Vsummand.h"
#include "verilated.h"

// Ports of the model: Verilator writes two underscores of a name so.
#define STREAM(name, part) port___05F##name##___05F##part
#define CONTROL(part) control___05F##part

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);

namespace {

constexpr std::size_t kBeat = SUMMAND_BEAT_BYTES;

// The longest silence: a controller's answer, and a beat while the memory is refreshed.
constexpr std::uint64_t kSilence = 100'000;

// Two words of a run; `Run` in summand/rtl/memory/port.py.
struct Run {
    std::uint32_t address;
    std::uint32_t beats;
};

std::uint64_t packed(const Run& run) {
    return run.address | static_cast<std::uint64_t>(run.beats) << 32;
}

class Memory {
public:
    Memory() : top_{&context_} {
        top_.rst = 1;
        for (int n = 0; n < 4; ++n) cycle();
        top_.rst = 0;
    }

    ~Memory() { top_.final(); }

    void wait(std::uint64_t cycles) {
        for (std::uint64_t n = 0; n < cycles; ++n) cycle();
    }

    // Read or write the control bus's word at `address`; returns whether it was answered.
    bool control(bool write, std::uint32_t address, std::uint32_t* value) {
        top_.CONTROL(adr) = address;
        top_.CONTROL(dat_w) = *value;
        top_.CONTROL(we) = write;
        top_.CONTROL(cyc) = top_.CONTROL(stb) = 1;
        bool answered = false;
        for (std::uint64_t n = 0; n < kSilence && !answered; ++n) {
            settle();
            answered = top_.CONTROL(ack);
            *value = top_.CONTROL(dat_r);
            edge();
        }
        top_.CONTROL(cyc) = top_.CONTROL(stb) = 0;
        return answered;
    }

    // Write one run; returns whether all of it was taken and the memory became idle.
    bool write(Run run, const std::uint8_t* data) {
        top_.STREAM(writes, payload) = packed(run);
        top_.STREAM(writes, valid) = 1;
        std::uint32_t left = run.beats;
        for (std::uint64_t silent = 0; silent < kSilence; ++silent) {
            top_.STREAM(data, valid) = left != 0;
            if (left) std::memcpy(&top_.STREAM(data, payload), data, kBeat);
            settle();
            const bool begun = top_.STREAM(writes, valid) && top_.STREAM(writes, ready);
            const bool moved = left && top_.STREAM(data, ready);
            const bool idle = top_.port___05Fidle && !top_.STREAM(writes, valid) && !left;
            edge();
            if (begun) top_.STREAM(writes, valid) = 0;
            if (moved) {
                --left;
                data += kBeat;
                silent = 0;
            }
            if (idle) return true;
        }
        return false;
    }

    // Read runs; `hold` out of 2^32 cycles refuse a beat. Returns whether all beats came.
    bool read(const Run* runs, std::size_t count, std::uint8_t* out, std::uint32_t hold,
              std::uint64_t* first, std::uint64_t* last, std::uint64_t* gap) {
        std::uint64_t left = 0;
        for (std::size_t n = 0; n < count; ++n) left += runs[n].beats;
        const std::uint64_t begin = cycles_;
        bool any = false;
        for (std::uint64_t silent = 0; left && silent < kSilence; ++silent) {
            top_.STREAM(reads, valid) = count != 0;
            if (count) top_.STREAM(reads, payload) = packed(*runs);
            top_.STREAM(beats, ready) = !(hold && random() < hold);
            settle();
            const bool asked = count && top_.STREAM(reads, ready);
            const bool moved = top_.STREAM(beats, valid) && top_.STREAM(beats, ready);
            if (moved) {
                std::memcpy(out, &top_.STREAM(beats, payload), kBeat);
                out += kBeat;
                const std::uint64_t now = cycles_ - begin;
                if (!any) {
                    *first = now;
                    *gap = 0;
                } else if (now - *last > *gap) {
                    *gap = now - *last;
                }
                *last = now;
                any = true;
                --left;
                silent = 0;
            }
            edge();
            if (asked) {
                ++runs;
                --count;
            }
        }
        top_.STREAM(reads, valid) = 0;
        top_.STREAM(beats, ready) = 0;
        return !left;
    }

    std::uint64_t cycles() const { return cycles_; }

private:
    std::uint32_t random() {
        state_ ^= state_ << 13;
        state_ ^= state_ >> 7;
        state_ ^= state_ << 17;
        return static_cast<std::uint32_t>(state_ >> 32);
    }

    // The first half of a cycle: outputs follow inputs.
    void settle() {
        top_.clk = 0;
        top_.eval();
    }

    // The second half: registers move.
    void edge() {
        top_.clk = 1;
        top_.eval();
        ++cycles_;
    }

    void cycle() {
        settle();
        edge();
    }

    VerilatedContext context_;
    Vsummand top_;
    std::uint64_t cycles_ = 0;
    std::uint64_t state_ = 0x9e3779b97f4a7c15u;
};

}  // namespace

extern "C" {

Memory* memory_new() { return new Memory; }

void memory_free(Memory* m) { delete m; }

void memory_wait(Memory* m, std::uint64_t cycles) { m->wait(cycles); }

int memory_control(Memory* m, int write, std::uint32_t address, std::uint32_t* value) {
    return m->control(write != 0, address, value);
}

int memory_write(Memory* m, std::uint32_t address, std::uint32_t beats, const std::uint8_t* data) {
    return m->write({address, beats}, data);
}

int memory_read(Memory* m, const void* runs, std::size_t count, std::uint8_t* out,
                std::uint32_t hold, std::uint64_t* first, std::uint64_t* last,
                std::uint64_t* gap) {
    return m->read(static_cast<const Run*>(runs), count, out, hold, first, last, gap);
}

std::uint64_t memory_cycles(Memory* m) { return m->cycles(); }

}  // extern "C"
