// Runs a board's Verilog with its UDP port on a socket of this machine, whose port it prints.
//
//   udp_bridge SEED LOSE DOUBLE LATE
//
// Of a million datagrams each way LOSE are lost, DOUBLE come twice and LATE are overtaken by others.
// Runs until killed; ends with status 3 if the gateware sends what LiteEth's core could not take.

#include <cstdint>
#include <cstring>

#include "Vsummand_board.h"
#include "network.h"
#include "verilated.h"

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  const uint64_t seed = std::strtoull(argv[1], nullptr, 10);
  Network down(argv + 2, seed), up(argv + 2, seed + 1000);
  Random pauses(seed + 2000);

  VerilatedContext context;
  Vsummand_board top(&context);
  Socket socket;
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

    while (up.take(leaving, cycle)) socket.send(leaving);

    if (cycle % 256 == 0) {
      if (quiet > 50000 && down.empty() && up.empty()) socket.nap();
      Datagram arrived;
      if (socket.receive(arrived) && arrived.bytes.size() % 4 == 0) down.put(arrived, cycle);
    }
  }
}
