// Drives a Verilated board through the bytes of its line.
//
// The model has ports `clk`, `rst`, and two streams of bytes, `heard_...`, which does not wait, and
// `said_...`. The functions at the end are its interface; summand/verilated/line.py calls them.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <vector>

#include "Vsummand.h"
#include "Vsummand___024root.h"
#include "verilated.h"

// The player's output in the Verilated model; the control file keeps it.
#define STREAM(member) \
    rootp->summand_simulated_board__DOT__hosted__DOT__player__DOT__out__DOT__o___05F##member

namespace {

class Board {
public:
    explicit Board(bool record) : top_{&context_}, record_(record) {
        top_.said_ready = 1;
        top_.rst = 1;
        for (int n = 0; n < 4; ++n) cycle();
        top_.rst = 0;
    }

    ~Board() { top_.final(); }

    void push(const std::uint8_t* data, std::size_t size) {
        heard_.insert(heard_.end(), data, data + size);
    }

    // Run for `cycles`; once a byte has come, for `more` at most. Returns the bytes that came.
    std::size_t run(std::uint64_t cycles, std::uint64_t more, std::uint8_t* out, std::size_t room) {
        std::size_t got = 0;
        for (std::uint64_t n = 0; n < cycles && got < room; ++n) {
            if (cycle(out + got)) {
                if (!got++ && n + more < cycles) cycles = n + more;
            }
        }
        return got;
    }

    std::uint64_t cycles() const { return cycles_; }
    const std::vector<std::uint64_t>& beats() const { return beats_; }

private:
    // A cycle; returns whether a byte came, which is put to `out`.
    bool cycle(std::uint8_t* out = nullptr) {
        top_.heard_valid = !heard_.empty();
        if (!heard_.empty()) top_.heard_payload = heard_.front();
        top_.clk = 0;
        top_.eval();
        const bool came = top_.said_valid;
        if (came && out) *out = top_.said_payload;
        if (record_ && top_.STREAM(valid) && top_.STREAM(ready)) beats_.push_back(cycles_);
        top_.clk = 1;
        top_.eval();
        if (!heard_.empty()) heard_.pop_front();  // a line does not wait
        ++cycles_;
        return came;
    }

    VerilatedContext context_;
    Vsummand top_;
    std::deque<std::uint8_t> heard_;
    bool record_;
    std::vector<std::uint64_t> beats_;  // cycles in which the engine took a beat
    std::uint64_t cycles_ = 0;
};

}  // namespace

extern "C" {

Board* board_new(int record) { return new Board(record != 0); }

void board_free(Board* b) { delete b; }

void board_push(Board* b, const std::uint8_t* data, std::size_t size) { b->push(data, size); }

std::size_t board_run(Board* b, std::uint64_t cycles, std::uint64_t more, std::uint8_t* out,
                      std::size_t room) {
    return b->run(cycles, more, out, room);
}

std::uint64_t board_cycles(Board* b) { return b->cycles(); }

std::size_t board_beats(Board* b, const std::uint64_t** data) {
    *data = b->beats().data();
    return b->beats().size();
}

}  // extern "C"
