// Drives a Verilated engine through its AXI ports, a whole buffer at a time.
//
// Built with -DSUMMAND_BEAT_BYTES=<stream_bits / 8>, and -DSUMMAND_MEMORY_BEATS=<beats> where the top
// has a memory on AXI4. The functions at the end are its interface; summand/verilated/library.py
// calls them.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <new>
#include <vector>

#include "Vsummand.h"
#ifdef SUMMAND_MEMORY_BEATS
#include "Vsummand___024root.h"
#endif
#include "verilated.h"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);

namespace {

// The player's output in the Verilated model; the control file keeps it.
#define SUMMAND_STREAM(member) \
    summand_played__DOT__hosted__DOT__player__DOT__out__DOT__o___05F##member

constexpr std::size_t kBeat = SUMMAND_BEAT_BYTES;

// How a call ended; `Ending` in library.py.
enum Ending : int {
    kDone = 0,      // all bytes have come, or the register has answered
    kIdle = 1,      // nothing moved for too long although nobody withheld anything
    kLimit = 2,     // the cycles allowed for this call are over
    kProtocol = 3,  // the engine took back or changed a beat it had offered
};

// A bus answer comes within a few cycles or never.
constexpr int kRegisterCycles = 1000;

// Marsaglia's xorshift64*, seeded by splitmix64 so that any two seeds give unrelated numbers.
class Random {
public:
    explicit Random(std::uint64_t seed) {
        std::uint64_t z = seed + 0x9e3779b97f4a7c15u;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        state_ = (z ^ (z >> 31)) | 1;
    }

    std::uint32_t next() {
        state_ ^= state_ >> 12;
        state_ ^= state_ << 25;
        state_ ^= state_ >> 27;
        return static_cast<std::uint32_t>((state_ * 0x2545f4914f6cdd1du) >> 32);
    }

private:
    std::uint64_t state_;
};

// Bytes to send, kept by reference.
class Queue {
public:
    void push(const std::uint8_t* data, std::size_t size) {
        chunks_.push_back({data, size});
        bytes_ += size;
    }

    bool has_beat() const { return bytes_ >= kBeat; }

    void pop_beat(void* to) {
        auto* out = static_cast<std::uint8_t*>(to);
        std::size_t missing = kBeat;
        while (missing) {
            Chunk& chunk = chunks_.front();
            const std::size_t count = chunk.size < missing ? chunk.size : missing;
            std::memcpy(out, chunk.data, count);
            out += count;
            missing -= count;
            chunk.data += count;
            chunk.size -= count;
            while (!chunks_.empty() && !chunks_.front().size) {
                chunks_.pop_front();
                ++finished_;
            }
        }
        bytes_ -= kBeat;
    }

    void clear() {
        finished_ += chunks_.size();
        chunks_.clear();
        bytes_ = 0;
    }

    // Chunks that are no longer referred to.
    std::uint64_t finished() const { return finished_; }

private:
    struct Chunk {
        const std::uint8_t* data;
        std::size_t size;
    };
    std::deque<Chunk> chunks_;
    std::size_t bytes_ = 0;
    std::uint64_t finished_ = 0;
};

#ifdef SUMMAND_MEMORY_BEATS

// An AXI4 subordinate with a memory. Answers come in order, kLatency cycles after they were asked
// for at the earliest, with pauses.
class Memory {
public:
    Memory(Vsummand& top, std::uint32_t stall, std::uint64_t seed)
        : top_(top),
          stall_(stall),
          random_(~seed),
          bytes_(static_cast<std::uint8_t*>(std::calloc(kBytes, 1)), &std::free) {
        if (!bytes_) throw std::bad_alloc();
    }

    // Before outputs settle: what it offers in this cycle.
    void offer() {
        if (!top_.m_axi_rvalid && !reads_.empty() && reads_.front().due <= cycle_ && !pause()) {
            const Burst& burst = reads_.front();
            top_.m_axi_rresp = load(burst.address, &top_.m_axi_rdata);
            top_.m_axi_rlast = burst.beats == 1;
            top_.m_axi_rvalid = 1;
        }
        if (!top_.m_axi_bvalid && !answers_.empty() && answers_.front().due <= cycle_ && !pause()) {
            top_.m_axi_bresp = answers_.front().response;
            top_.m_axi_bvalid = 1;
        }
        top_.m_axi_arready = reads_.size() < kBursts && !pause();
        top_.m_axi_awready = writes_.size() < kBursts && !pause();
        top_.m_axi_wready = !pause();
    }

    // After they have settled: note what moves at the edge; returns whether data does.
    bool sample() {
        taken_ = top_.m_axi_rvalid && top_.m_axi_rready;
        answered_ = top_.m_axi_bvalid && top_.m_axi_bready;
        asked_ = top_.m_axi_arvalid && top_.m_axi_arready;
        announced_ = top_.m_axi_awvalid && top_.m_axi_awready;
        brought_ = top_.m_axi_wvalid && top_.m_axi_wready;
        read_ = {top_.m_axi_araddr, top_.m_axi_arlen + 1u, cycle_ + kLatency};
        write_ = {top_.m_axi_awaddr, top_.m_axi_awlen + 1u, 0};
        if (brought_) {
            Beat beat;
            std::memcpy(beat.data, &top_.m_axi_wdata, kBeat);
            const std::uint64_t strobes = top_.m_axi_wstrb;
            for (std::size_t n = 0; n < kBeat; ++n) beat.kept[n] = strobes >> n & 1;
            beat.last = top_.m_axi_wlast;
            data_.push_back(beat);
        }
        return taken_ || brought_;
    }

    void edge() {
        if (taken_) {
            top_.m_axi_rvalid = 0;
            Burst& burst = reads_.front();
            burst.address += kBeat;
            if (!--burst.beats) reads_.pop_front();
        }
        if (answered_) {
            top_.m_axi_bvalid = 0;
            answers_.pop_front();
        }
        if (asked_) reads_.push_back(read_);
        if (announced_) writes_.push_back(write_);
        while (!writes_.empty() && !data_.empty()) store();
        ++cycle_;
    }

private:
    static constexpr std::uint64_t kBytes = std::uint64_t{SUMMAND_MEMORY_BEATS} * kBeat;
    static constexpr std::uint64_t kLatency = 30;
    static constexpr std::size_t kBursts = 16;
    static constexpr int kOkay = 0, kSlaveError = 2, kDecodeError = 3;

    struct Burst {
        std::uint64_t address;
        std::uint32_t beats;
        std::uint64_t due;
    };
    struct Beat {
        std::uint8_t data[kBeat];
        bool kept[kBeat];
        bool last;
    };
    struct Answer {
        int response;
        std::uint64_t due;
    };

    bool pause() { return stall_ && random_.next() < stall_; }

    int load(std::uint64_t address, void* to) {
        if (address + kBeat > kBytes) return kDecodeError;
        std::memcpy(to, &bytes_[address], kBeat);
        return kOkay;
    }

    // Take a beat of the oldest write.
    void store() {
        Burst& burst = writes_.front();
        const Beat& beat = data_.front();
        if (burst.address + kBeat > kBytes) {
            response_ = kDecodeError;
        } else if (beat.last != (burst.beats == 1)) {
            response_ = kSlaveError;
        } else {
            for (std::size_t n = 0; n < kBeat; ++n)
                if (beat.kept[n]) bytes_[burst.address + n] = beat.data[n];
        }
        burst.address += kBeat;
        data_.pop_front();
        if (!--burst.beats) {
            writes_.pop_front();
            answers_.push_back({response_, cycle_ + kLatency});
            response_ = kOkay;
        }
    }

    Vsummand& top_;
    std::uint32_t stall_;
    Random random_;
    std::unique_ptr<std::uint8_t[], decltype(&std::free)> bytes_;  // costs what is written
    std::uint64_t cycle_ = 0;
    std::deque<Burst> reads_, writes_;
    std::deque<Beat> data_;
    std::deque<Answer> answers_;
    int response_ = kOkay;
    bool taken_ = false, answered_ = false, asked_ = false, announced_ = false, brought_ = false;
    Burst read_{}, write_{};
};

#else

// There is none.
class Memory {
public:
    Memory(Vsummand&, std::uint32_t, std::uint64_t) {}
    void offer() {}
    bool sample() { return false; }
    void edge() {}
};

#endif

class Simulator {
public:
    Simulator(std::uint32_t stall, std::uint64_t seed, bool record)
        : top_{&context_},
          memory_(top_, stall, seed),
          stall_(stall),
          random_in_(2 * seed),
          random_out_(2 * seed + 1),
          record_(record) {
        top_.aresetn = 0;
        for (int n = 0; n < 4; ++n) {
            settle();
            edge();
        }
        top_.aresetn = 1;
    }

    ~Simulator() { top_.final(); }

    void push(const std::uint8_t* data, std::size_t size) {
        queue_.push(data, size);
        idle_ = 0;
    }

    Ending run(std::uint8_t* out, std::size_t size, std::uint64_t max_idle,
               std::uint64_t max_cycles, std::size_t* got) {
        for (std::uint64_t n = 0; *got < size; ++n) {
            if (n == max_cycles) return kLimit;
            const bool withheld_in = offer();
            const bool withheld_out = withhold(random_out_);
            top_.m_axis_tready = !withheld_out;
            settle();
            const bool moved_in = top_.s_axis_tvalid && top_.s_axis_tready;
            const bool moved_out = top_.m_axis_tvalid && top_.m_axis_tready;
            const bool moved_within = moved_within_;
            if (!output_is_lawful()) return kProtocol;
            if (moved_out) {
                std::memcpy(out + *got, &top_.m_axis_tdata, kBeat);
                *got += kBeat;
            }
            edge();
            if (moved_in) top_.s_axis_tvalid = 0;
            if (moved_in || moved_out || moved_within) {
                idle_ = 0;
            } else if (!withheld_in && !withheld_out && ++idle_ > max_idle) {
                idle_ = 0;
                return kIdle;
            }
        }
        return kDone;
    }

    Ending read_register(std::uint32_t address, std::uint32_t* value, std::uint32_t* response) {
        top_.s_axil_araddr = address;
        top_.s_axil_arvalid = 1;
        top_.s_axil_rready = 1;
        for (int n = 0; n < kRegisterCycles; ++n) {
            begin_bus_cycle();
            const bool asked = top_.s_axil_arvalid && top_.s_axil_arready;
            const bool answered = top_.s_axil_rvalid;
            *value = top_.s_axil_rdata;
            *response = top_.s_axil_rresp;
            end_bus_cycle();
            if (asked) top_.s_axil_arvalid = 0;
            if (answered) {
                top_.s_axil_rready = 0;
                return kDone;
            }
        }
        return kIdle;
    }

    Ending write_register(std::uint32_t address, std::uint32_t value, std::uint32_t* response) {
        top_.s_axil_awaddr = address;
        top_.s_axil_awvalid = 1;
        top_.s_axil_wdata = value;
        top_.s_axil_wstrb = 0xf;
        top_.s_axil_wvalid = 1;
        top_.s_axil_bready = 1;
        for (int n = 0; n < kRegisterCycles; ++n) {
            begin_bus_cycle();
            const bool address_taken = top_.s_axil_awvalid && top_.s_axil_awready;
            const bool data_taken = top_.s_axil_wvalid && top_.s_axil_wready;
            const bool answered = top_.s_axil_bvalid;
            *response = top_.s_axil_bresp;
            end_bus_cycle();
            if (address_taken) top_.s_axil_awvalid = 0;
            if (data_taken) top_.s_axil_wvalid = 0;
            if (answered) {
                top_.s_axil_bready = 0;
                return kDone;
            }
        }
        return kIdle;
    }

    // Forget what is queued, and the beat on offer. Only for a reset: a beat is taken back.
    void drop() {
        queue_.clear();
        top_.s_axis_tvalid = 0;
        waiting_ = false;
    }

    std::uint64_t cycles() const { return cycles_; }
    std::uint64_t withheld() const { return withheld_; }
    std::uint64_t finished() const { return queue_.finished(); }
    const std::vector<std::uint8_t>& record() const { return trace_; }

private:
    bool withhold(Random& random) { return stall_ && random.next() < stall_; }

    // Put the next beat on the input; returns whether one was there and withheld by chance.
    bool offer() {
        if (top_.s_axis_tvalid || !queue_.has_beat()) return false;
        if (withhold(random_in_)) {
            ++withheld_;
            return true;
        }
        queue_.pop_beat(&top_.s_axis_tdata);
        top_.s_axis_tvalid = 1;
        return false;
    }

    // A beat that was offered and not taken must be offered again, unchanged.
    bool output_is_lawful() {
        const bool lawful =
            !waiting_ || (top_.m_axis_tvalid && top_.m_axis_tlast == waiting_last_ &&
                          !std::memcmp(waiting_data_, &top_.m_axis_tdata, kBeat));
        waiting_ = top_.m_axis_tvalid && !top_.m_axis_tready;
        if (waiting_) {
            waiting_last_ = top_.m_axis_tlast;
            std::memcpy(waiting_data_, &top_.m_axis_tdata, kBeat);
        }
        return lawful;
    }

    // Bus cycles take input as always and no output.
    void begin_bus_cycle() {
        offer();
        top_.m_axis_tready = 0;
        settle();
        moved_in_ = top_.s_axis_tvalid && top_.s_axis_tready;
    }

    void end_bus_cycle() {
        edge();
        if (moved_in_) top_.s_axis_tvalid = 0;
    }

    // The first half of a cycle: outputs follow inputs.
    void settle() {
        memory_.offer();
        top_.aclk = 0;
        top_.eval();
        moved_within_ = memory_.sample();
    }

    // The second half: registers move.
    void edge() {
        if (record_) {
            trace_.push_back(static_cast<std::uint8_t>(
                input_handshake() | top_.m_axis_tvalid << 2 | top_.m_axis_tready << 3));
        }
        top_.aclk = 1;
        top_.eval();
        memory_.edge();
        ++cycles_;
    }

    // Valid and ready of the engine's stream, behind a player where there is one.
    int input_handshake() {
#ifdef SUMMAND_MEMORY_BEATS
        const auto* root = top_.rootp;
        return root->SUMMAND_STREAM(valid) | root->SUMMAND_STREAM(ready) << 1;
#else
        return top_.s_axis_tvalid | top_.s_axis_tready << 1;
#endif
    }

    VerilatedContext context_;
    Vsummand top_;
    Memory memory_;
    Queue queue_;
    std::uint32_t stall_;
    Random random_in_, random_out_;
    bool record_;
    std::vector<std::uint8_t> trace_;
    std::uint64_t cycles_ = 0;
    std::uint64_t withheld_ = 0;  // cycles without a beat on offer although one was there
    std::uint64_t idle_ = 0;  // cycles since something moved, those left out that withheld
    bool moved_in_ = false;
    bool moved_within_ = false;  // a beat moves to or from the memory
    bool waiting_ = false;
    bool waiting_last_ = false;
    std::uint8_t waiting_data_[kBeat] = {};
};

}  // namespace

extern "C" {

Simulator* summand_new(std::uint32_t stall, std::uint64_t seed, int record) {
    return new Simulator(stall, seed, record != 0);
}

void summand_free(Simulator* s) { delete s; }

void summand_push(Simulator* s, const std::uint8_t* data, std::size_t size) {
    s->push(data, size);
}

int summand_run(Simulator* s, std::uint8_t* out, std::size_t size, std::uint64_t max_idle,
                std::uint64_t max_cycles, std::size_t* got) {
    return s->run(out, size, max_idle, max_cycles, got);
}

int summand_read_register(Simulator* s, std::uint32_t address, std::uint32_t* value,
                          std::uint32_t* response) {
    return s->read_register(address, value, response);
}

int summand_write_register(Simulator* s, std::uint32_t address, std::uint32_t value,
                           std::uint32_t* response) {
    return s->write_register(address, value, response);
}

void summand_drop(Simulator* s) { s->drop(); }

std::uint64_t summand_cycles(Simulator* s) { return s->cycles(); }

std::uint64_t summand_withheld(Simulator* s) { return s->withheld(); }

std::uint64_t summand_finished(Simulator* s) { return s->finished(); }

std::size_t summand_trace(Simulator* s, const std::uint8_t** data) {
    *data = s->record().data();
    return s->record().size();
}

}  // extern "C"
