// Runs a board's Verilog, LiteEth's core included, with a socket of this machine, whose port it
// prints, at the other end of an Ethernet cable: bytes of frames, preamble and checksum included.
//
//   ethernet_bridge SEED LOSE DOUBLE LATE
//
// Of a million datagrams each way LOSE are lost, DOUBLE come twice and LATE are overtaken by others;
// one frame in 200 to the board is damaged. Runs until killed; ends with status 3 if the board sends
// what is no Ethernet frame.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <initializer_list>

#include "Vsummand_board.h"
#include "network.h"
#include "verilated.h"

namespace {

using Bytes = std::vector<uint8_t>;

constexpr uint64_t kHost = 0x021122334455;
// Those of the board's core.
constexpr uint64_t kBoard = 0x10e2d5000000;
constexpr uint32_t kAddress = 0xc0a80132;
constexpr uint16_t kPort = 2000;
// Bytes between two frames.
constexpr int kGap = 12;

void put(Bytes& out, uint64_t value, int bytes) {
  while (bytes--) out.push_back(value >> 8 * bytes);
}

uint64_t get(const Bytes& in, size_t at, int bytes) {
  uint64_t value = 0;
  for (int i = 0; i < bytes; i++) value = value << 8 | in.at(at + i);
  return value;
}

uint32_t crc(const uint8_t* data, size_t count) {
  uint32_t value = 0xffffffff;
  for (size_t i = 0; i < count; i++) {
    value ^= data[i];
    for (int bit = 0; bit < 8; bit++) value = value >> 1 ^ (value & 1 ? 0xedb88320 : 0);
  }
  return ~value;
}

// Return a frame with all that is on the cable.
Bytes frame(uint16_t type, const Bytes& payload) {
  Bytes body;
  put(body, kBoard, 6);
  put(body, kHost, 6);
  put(body, type, 2);
  body.insert(body.end(), payload.begin(), payload.end());
  body.resize(std::max<size_t>(body.size(), 60));
  const uint32_t check = crc(body.data(), body.size());
  for (int i = 0; i < 4; i++) body.push_back(check >> 8 * i);
  Bytes whole(7, 0x55);
  whole.push_back(0xd5);
  whole.insert(whole.end(), body.begin(), body.end());
  return whole;
}

Bytes ip_packet(const Datagram& datagram) {
  Bytes out;
  put(out, 0x4500, 2);
  put(out, 28 + datagram.bytes.size(), 2);
  put(out, 0, 4);
  put(out, 0x4011, 2);  // time to live, UDP
  put(out, 0, 2);
  put(out, ntohl(datagram.peer.sin_addr.s_addr), 4);
  put(out, kAddress, 4);
  uint32_t sum = 0;
  for (int i = 0; i < 20; i += 2) sum += get(out, i, 2);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = ~((sum & 0xffff) + (sum >> 16));
  out[10] = sum >> 8;
  out[11] = sum;
  put(out, ntohs(datagram.peer.sin_port), 2);
  put(out, kPort, 2);
  put(out, 8 + datagram.bytes.size(), 2);
  put(out, 0, 2);
  out.insert(out.end(), datagram.bytes.begin(), datagram.bytes.end());
  return out;
}

// Return the answer to a question for a host's Ethernet address.
Bytes arp_reply(const Bytes& question) {
  Bytes out;
  put(out, 0x000108000604, 6);
  put(out, 2, 2);
  put(out, kHost, 6);
  put(out, get(question, 38, 4), 4);
  put(out, kBoard, 6);
  put(out, kAddress, 4);
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  const uint64_t seed = std::strtoull(argv[1], nullptr, 10);
  Network down(argv + 2, seed), up(argv + 2, seed + 1000);
  Random random(seed + 2000);

  VerilatedContext context;
  Vsummand_board top(&context);
  Socket socket;
  Bytes coming, going;
  size_t taken = 0;
  int gap = 0;
  uint64_t quiet = 0;
  Bytes answer;  // to a question of the board's, before anything else

  // The board's clock runs at two fifths of the line's, of which this counts the cycles.
  for (uint64_t cycle = 0;; cycle++) {
    top.rst = cycle < 40;
    if (taken == coming.size() && gap++ >= kGap && cycle > 100) {
      Datagram datagram;
      taken = gap = 0;
      coming.clear();
      if (!answer.empty()) {
        coming.swap(answer);
      } else if (down.take(datagram, cycle)) {
        coming = frame(0x0800, ip_packet(datagram));
        if (!random.below(200)) coming[8 + random.below(coming.size() - 8)] ^= 1 << random.below(8);
      }
    }
    const bool valid = taken < coming.size();
    top.line_rx_valid = valid;
    top.line_rx_data = valid ? coming[taken] : 0;
    top.line_rx_last = valid && taken + 1 == coming.size();
    // Rising edges of the board's clock come after 0 and 2.5 cycles of each five.
    for (int half = 0; half < 2; half++) {
      const int phase = (2 * cycle + half) % 10;
      top.clk = phase % 5 < 2;
      top.line_clk = half == 0;
      top.eval();
      if (half == 0) taken += valid;
    }
    quiet++;
    if (valid) quiet = 0;

    if (top.line_tx_valid && cycle > 100) {
      going.push_back(top.line_tx_data);
      quiet = 0;
    } else if (!going.empty()) {
      require(going.size() >= 72 && going.size() <= 1526, "sends a frame of a wrong size");
      require(going[7] == 0xd5, "sends no preamble");
      require(crc(going.data() + 8, going.size() - 8) == 0x2144df1c, "sends a wrong checksum");
      const Bytes body(going.begin() + 8, going.end() - 4);
      if (get(body, 12, 2) == 0x0806) {
        answer = frame(0x0806, arp_reply(body));
      } else {
        require(get(body, 0, 6) == kHost && get(body, 12, 2) == 0x0800, "sends something else");
        Datagram datagram;
        const size_t size = get(body, 38, 2) - 8;
        require(get(body, 16, 2) == size + 28 && get(body, 34, 2) == kPort, "sends other headers");
        datagram.bytes.assign(body.begin() + 42, body.begin() + 42 + size);
        datagram.peer.sin_family = AF_INET;
        datagram.peer.sin_addr.s_addr = htonl(get(body, 30, 4));
        datagram.peer.sin_port = htons(get(body, 36, 2));
        up.put(datagram, cycle);
      }
      going.clear();
    }

    Datagram datagram;
    while (up.take(datagram, cycle)) socket.send(datagram);
    if (cycle % 256 == 0) {
      if (quiet > 50000 && down.empty() && up.empty()) socket.nap();
      if (socket.receive(datagram)) down.put(datagram, cycle);
    }
  }
}
