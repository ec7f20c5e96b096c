// Drives a Verilated SoC through a Wishbone port of its bus, as a host's bridge would.
//
// The functions at the end are its interface; tests/cosim/test_litex.py calls them.

#include <cstddef>
#include <cstdint>

#include "Vsummand.h"
#include "verilated.h"

namespace {

// The longest silence: an access of the DRAM while it is refreshed and others use it.
constexpr int kSilence = 10'000;

class Soc {
public:
    Soc() : top_{&context_} {
        top_.rst = 1;
        for (int n = 0; n < 8; ++n) cycle();
        top_.rst = 0;
        top_.bus_sel = 0xf;
    }

    ~Soc() { top_.final(); }

    // Read or write a word; returns whether it was answered without an error.
    bool access(bool write, std::uint32_t address, std::uint32_t* word) {
        top_.bus_adr = address >> 2;
        top_.bus_we = write;
        top_.bus_dat_w = *word;
        top_.bus_cyc = top_.bus_stb = 1;
        bool answered = false, refused = false;
        for (int n = 0; n < kSilence && !answered; ++n) {
            settle();
            answered = top_.bus_ack;
            refused = top_.bus_err;
            if (!write) *word = top_.bus_dat_r;
            edge();
        }
        top_.bus_cyc = top_.bus_stb = 0;
        cycle();
        return answered && !refused;
    }

private:
    // The first half of a cycle: outputs follow inputs.
    void settle() {
        top_.clk = 0;
        top_.eval();
    }

    // The second half: registers move.
    void edge() {
        top_.clk = 1;
        top_.eval();
    }

    void cycle() {
        settle();
        edge();
    }

    VerilatedContext context_;
    Vsummand top_;
};

}  // namespace

extern "C" {

Soc* soc_new() { return new Soc; }

void soc_free(Soc* s) { delete s; }

// Read or write words that follow each other; returns how many were answered without an error.
std::size_t soc_access(Soc* s, int write, std::uint32_t address, std::uint32_t* words,
                       std::size_t count) {
    std::size_t done = 0;
    while (done < count && s->access(write != 0, address + 4 * done, words + done)) ++done;
    return done;
}

}  // extern "C"
