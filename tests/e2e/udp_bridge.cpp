// Runs a board's Verilog with its UDP port on a socket of this machine, whose port it prints.
//
//   udp_bridge SEED LOSE DOUBLE LATE
//
// Of a million datagrams each way LOSE are lost, DOUBLE come twice and LATE are overtaken by others.
// Runs until killed; ends with status 3 if the gateware sends what LiteEth's core could not take.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <vector>

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "Vsummand_board.h"
#include "verilated.h"

namespace {

// Cycles by which a late datagram is later, at most.
constexpr uint64_t kLateness = 20000;

struct Datagram {
  std::vector<uint8_t> bytes;
  sockaddr_in peer;
};

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 2 + 1) {}
  uint32_t below(uint32_t limit) {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return static_cast<uint32_t>(state_ >> 16) % limit;
  }

 private:
  uint64_t state_;
};

// One direction of a network.
class Network {
 public:
  Network(char** harm, uint64_t seed)
      : random_(seed), lose_(std::strtoul(harm[0], nullptr, 10)),
        double_(std::strtoul(harm[1], nullptr, 10)), late_(std::strtoul(harm[2], nullptr, 10)) {}

  void put(const Datagram& datagram, uint64_t now) {
    if (random_.below(1000000) < lose_) return;
    for (int left = random_.below(1000000) < double_ ? 2 : 1; left; left--) {
      const bool late = random_.below(1000000) < late_;
      under_way_.emplace(now + (late ? random_.below(kLateness) : 0), datagram);
    }
  }

  bool take(Datagram& datagram, uint64_t now) {
    if (under_way_.empty() || under_way_.begin()->first > now) return false;
    datagram = under_way_.begin()->second;
    under_way_.erase(under_way_.begin());
    return true;
  }

  bool empty() const { return under_way_.empty(); }

 private:
  Random random_;
  const uint32_t lose_, double_, late_;
  std::multimap<uint64_t, Datagram> under_way_;
};

int open_socket() {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (fd < 0 || bind(fd, reinterpret_cast<sockaddr*>(&address), size) ||
      getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size))
    std::exit(1);
  std::printf("%u\n", ntohs(address.sin_port));
  std::fflush(stdout);
  return fd;
}

void require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "the gateware %s\n", what);
  std::exit(3);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  const uint64_t seed = std::strtoull(argv[1], nullptr, 10);
  Network down(argv + 2, seed), up(argv + 2, seed + 1000);
  Random pauses(seed + 2000);

  VerilatedContext context;
  Vsummand_board top(&context);
  const int fd = open_socket();
  Datagram coming, going, leaving;
  size_t taken = 0;    // bytes of `coming` that the gateware has
  bool within = false;  // a datagram that the gateware sends
  uint64_t quiet = 0;  // cycles since something last moved

  for (uint64_t cycle = 0;; cycle++) {
    if (taken == coming.bytes.size() && down.take(coming, cycle)) taken = 0;
    const bool valid = taken < coming.bytes.size() && pauses.below(8);
    uint32_t word = 0;
    if (valid) std::memcpy(&word, coming.bytes.data() + taken, 4);
    top.rst = cycle < 4;
    top.source_valid = valid;
    top.source_data = word;
    top.source_last = valid && taken + 4 == coming.bytes.size();
    top.source_ip_address = ntohl(coming.peer.sin_addr.s_addr);
    top.source_src_port = ntohs(coming.peer.sin_port);
    top.source_dst_port = 2000;
    top.sink_ready = pauses.below(4) != 0;
    top.clk = 0;
    top.eval();
    quiet++;

    if (cycle >= 4) {
      if (valid) {
        require(top.source_ready, "does not take a word");
        taken += 4;
        quiet = 0;
      }
      require(top.sink_valid || !within, "stops in the middle of a datagram");
      within |= top.sink_valid;
      if (top.sink_valid && top.sink_ready) {
        const uint32_t data = top.sink_data;
        const auto* bytes = reinterpret_cast<const uint8_t*>(&data);
        going.bytes.insert(going.bytes.end(), bytes, bytes + 4);
        require(top.sink_last_be == (top.sink_last ? 8 : 0), "marks another byte as the last");
        require(top.sink_src_port == 2000, "sends from another port");
        if (top.sink_last) {
          require(top.sink_length == going.bytes.size(), "tells another length");
          require(going.bytes.size() <= 1400, "sends too long a datagram");
          going.peer.sin_family = AF_INET;
          going.peer.sin_addr.s_addr = htonl(top.sink_ip_address);
          going.peer.sin_port = htons(top.sink_dst_port);
          up.put(going, cycle);
          going.bytes.clear();
          within = false;
        }
        quiet = 0;
      }
    }
    top.clk = 1;
    top.eval();

    while (up.take(leaving, cycle))
      sendto(fd, leaving.bytes.data(), leaving.bytes.size(), 0,
             reinterpret_cast<sockaddr*>(&leaving.peer), sizeof leaving.peer);

    if (cycle % 256 == 0) {
      if (quiet > 50000 && down.empty() && up.empty()) {
        pollfd events = {fd, POLLIN, 0};
        poll(&events, 1, 1);
      }
      Datagram arrived;
      arrived.bytes.resize(2048);
      socklen_t size = sizeof arrived.peer;
      const ssize_t count = recvfrom(fd, arrived.bytes.data(), arrived.bytes.size(), 0,
                                     reinterpret_cast<sockaddr*>(&arrived.peer), &size);
      if (count >= 4 && count % 4 == 0) {
        arrived.bytes.resize(count);
        down.put(arrived, cycle);
      }
    }
  }
}
