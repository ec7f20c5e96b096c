// A network that loses, doubles and reorders datagrams, and a socket at its end.

#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <vector>

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>

struct Datagram {
  std::vector<uint8_t> bytes;
  sockaddr_in peer = {};
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

// One direction of a network. Of a million datagrams so many are lost, come twice and come late.
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
  // Cycles by which a late datagram is later, at most.
  static constexpr uint64_t kLateness = 20000;

  Random random_;
  const uint32_t lose_, double_, late_;
  std::multimap<uint64_t, Datagram> under_way_;
};

// A socket of this machine, whose port it prints.
class Socket {
 public:
  Socket() : fd_(socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (fd_ < 0 || bind(fd_, reinterpret_cast<sockaddr*>(&address), size) ||
        getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size))
      std::exit(1);
    std::printf("%u\n", ntohs(address.sin_port));
    std::fflush(stdout);
  }

  bool receive(Datagram& datagram) {
    datagram.bytes.resize(2048);
    socklen_t size = sizeof datagram.peer;
    const ssize_t count = recvfrom(fd_, datagram.bytes.data(), datagram.bytes.size(), 0,
                                   reinterpret_cast<sockaddr*>(&datagram.peer), &size);
    if (count < 0) return false;
    datagram.bytes.resize(count);
    return true;
  }

  void send(const Datagram& datagram) {
    sendto(fd_, datagram.bytes.data(), datagram.bytes.size(), 0,
           reinterpret_cast<const sockaddr*>(&datagram.peer), sizeof datagram.peer);
  }

  // Wait a millisecond for a datagram.
  void nap() {
    pollfd events = {fd_, POLLIN, 0};
    poll(&events, 1, 1);
  }

 private:
  const int fd_;
};

// End the simulation if the gateware breaks a rule.
inline void require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "the gateware %s\n", what);
  std::exit(3);
}
