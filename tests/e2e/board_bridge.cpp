// Runs a board's Verilog with its serial pins on a pseudo-terminal, whose name it prints.
//
//   board_bridge CLOCK_HZ BAUD HARM SEED
//
// Of a million bytes each way HARM are dropped and HARM get a bit flipped. Runs until killed.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>

#include <fcntl.h>
#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include "Vsummand_board.h"
#include "verilated.h"

namespace {

class Noise {
 public:
  Noise(uint32_t harm, uint64_t seed) : harm_(harm), state_(seed * 2 + 1) {}

  // Returns whether the byte survives; it may come out changed.
  bool pass(uint8_t& byte) {
    const uint32_t luck = next() % 1000000;
    if (luck < harm_) return false;
    if (luck < 2 * harm_) byte ^= 1u << (next() & 7);
    return true;
  }

 private:
  uint32_t next() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return static_cast<uint32_t>(state_ >> 16);
  }

  const uint32_t harm_;
  uint64_t state_;
};

// Says in which cycles a bit begins, on average every clock / baud.
class BitClock {
 public:
  BitClock(uint64_t clock, uint64_t baud) : clock_(clock), baud_(baud) {}
  void start(double bits) { phase_ = static_cast<int64_t>((1 - bits) * clock_); }
  bool tick() {
    phase_ += baud_;
    if (phase_ < static_cast<int64_t>(clock_)) return false;
    phase_ -= clock_;
    return true;
  }

 private:
  const uint64_t clock_, baud_;
  int64_t phase_ = 0;
};

int open_terminal() {
  const int master = posix_openpt(O_RDWR | O_NOCTTY);
  if (master < 0 || grantpt(master) || unlockpt(master)) std::exit(1);
  const char* name = ptsname(master);
  const int slave = open(name, O_RDWR | O_NOCTTY);  // kept open, so that users may come and go
  termios mode;
  tcgetattr(slave, &mode);
  cfmakeraw(&mode);
  tcsetattr(slave, TCSANOW, &mode);
  fcntl(master, F_SETFL, O_NONBLOCK);
  std::printf("%s\n", name);
  std::fflush(stdout);
  return master;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  const uint64_t clock = std::strtoull(argv[1], nullptr, 10);
  const uint64_t baud = std::strtoull(argv[2], nullptr, 10);
  const uint32_t harm = std::strtoul(argv[3], nullptr, 10);
  Noise down(harm, std::strtoull(argv[4], nullptr, 10)), up(harm, std::strtoull(argv[4], nullptr, 10) + 1000);

  VerilatedContext context;
  Vsummand_board top(&context);
  const int terminal = open_terminal();
  std::deque<uint8_t> waiting;
  BitClock send(clock, baud), receive(clock, baud);
  uint32_t sending = 0;    // bits still to be sent; the next is lowest, a 1 marks their end
  uint32_t received = 0;   // bits so far, the last is highest
  int receiving = 0;       // samples still to be taken
  uint64_t quiet = 0;      // cycles since something last moved

  top.rx = 1;
  for (uint64_t cycle = 0;; cycle++) {
    top.rst = cycle < 4;
    top.clk = 0;
    top.eval();
    top.clk = 1;
    top.eval();
    quiet++;

    if (send.tick() || !sending) {
      if (sending > 1) {
        top.rx = sending & 1;
        sending >>= 1;
      } else {
        sending = 0;
        if (!waiting.empty()) {
          top.rx = 0;
          sending = 1u << 9 | 1u << 8 | waiting.front();
          waiting.pop_front();
          send.start(1);
          quiet = 0;
        }
      }
    }

    if (!receiving) {
      if (!top.tx) {
        receiving = 10;
        receive.start(0.5);
        quiet = 0;
      }
    } else if (receive.tick()) {
      received = received >> 1 | static_cast<uint32_t>(top.tx) << 9;
      if (--receiving == 0) {
        uint8_t byte = received >> 1;
        if (up.pass(byte)) while (write(terminal, &byte, 1) != 1) usleep(100);
      }
    }

    if (waiting.empty() && cycle % 256 == 0) {
      if (quiet > 50000) {
        pollfd events = {terminal, POLLIN, 0};
        poll(&events, 1, 1);
      }
      uint8_t bytes[256];
      const ssize_t count = read(terminal, bytes, sizeof bytes);
      for (ssize_t i = 0; i < count; i++)
        if (down.pass(bytes[i])) waiting.push_back(bytes[i]);
    }
  }
}
