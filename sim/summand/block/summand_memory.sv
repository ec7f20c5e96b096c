
// The engine of the bench: one with a player, and a memory on AXI4 that checks what is asked of it.

module summand_engine (
    input wire aclk,
    input wire aresetn,
    input wire [summand_facts::STREAM_BITS-1:0] s_axis_tdata,
    input wire s_axis_tvalid,
    output wire s_axis_tready,
    input wire s_axis_tlast,
    output wire [summand_facts::STREAM_BITS-1:0] m_axis_tdata,
    output wire m_axis_tvalid,
    input wire m_axis_tready,
    output wire m_axis_tlast,
    input wire [7:0] s_axil_awaddr,
    input wire s_axil_awvalid,
    output wire s_axil_awready,
    input wire [31:0] s_axil_wdata,
    input wire [3:0] s_axil_wstrb,
    input wire s_axil_wvalid,
    output wire s_axil_wready,
    output wire [1:0] s_axil_bresp,
    output wire s_axil_bvalid,
    input wire s_axil_bready,
    input wire [7:0] s_axil_araddr,
    input wire s_axil_arvalid,
    output wire s_axil_arready,
    output wire [31:0] s_axil_rdata,
    output wire [1:0] s_axil_rresp,
    output wire s_axil_rvalid,
    input wire s_axil_rready
);
  import summand_facts::*;

  localparam BYTES = STREAM_BITS / 8;
  // Bursts that may have been asked for and not been served, and written beats that may wait.
  localparam BURSTS = 64;
  localparam BEATS = 4096;

  wire [63:0] araddr, awaddr;
  wire [7:0] arlen, awlen;
  wire [2:0] arsize, awsize, arprot, awprot;
  wire [1:0] arburst, awburst;
  wire [3:0] arcache, awcache;
  wire arvalid, awvalid, wlast, wvalid, bready, rready;
  wire [STREAM_BITS-1:0] wdata;
  wire [BYTES-1:0] wstrb;
  reg arready = 0, awready = 0, wready = 0;
  reg [STREAM_BITS-1:0] rdata;
  reg rlast = 0, rvalid = 0, bvalid = 0;

  summand_played played (
      .aclk(aclk),
      .aresetn(aresetn),
      .s_axis_tdata(s_axis_tdata),
      .s_axis_tvalid(s_axis_tvalid),
      .s_axis_tready(s_axis_tready),
      .s_axis_tlast(s_axis_tlast),
      .m_axis_tdata(m_axis_tdata),
      .m_axis_tvalid(m_axis_tvalid),
      .m_axis_tready(m_axis_tready),
      .m_axis_tlast(m_axis_tlast),
      .s_axil_awaddr(s_axil_awaddr),
      .s_axil_awvalid(s_axil_awvalid),
      .s_axil_awready(s_axil_awready),
      .s_axil_wdata(s_axil_wdata),
      .s_axil_wstrb(s_axil_wstrb),
      .s_axil_wvalid(s_axil_wvalid),
      .s_axil_wready(s_axil_wready),
      .s_axil_bresp(s_axil_bresp),
      .s_axil_bvalid(s_axil_bvalid),
      .s_axil_bready(s_axil_bready),
      .s_axil_araddr(s_axil_araddr),
      .s_axil_arvalid(s_axil_arvalid),
      .s_axil_arready(s_axil_arready),
      .s_axil_rdata(s_axil_rdata),
      .s_axil_rresp(s_axil_rresp),
      .s_axil_rvalid(s_axil_rvalid),
      .s_axil_rready(s_axil_rready),
      .m_axi_araddr(araddr),
      .m_axi_arlen(arlen),
      .m_axi_arsize(arsize),
      .m_axi_arburst(arburst),
      .m_axi_arcache(arcache),
      .m_axi_arprot(arprot),
      .m_axi_arvalid(arvalid),
      .m_axi_arready(arready),
      .m_axi_rdata(rdata),
      .m_axi_rresp(2'b00),
      .m_axi_rlast(rlast),
      .m_axi_rvalid(rvalid),
      .m_axi_rready(rready),
      .m_axi_awaddr(awaddr),
      .m_axi_awlen(awlen),
      .m_axi_awsize(awsize),
      .m_axi_awburst(awburst),
      .m_axi_awcache(awcache),
      .m_axi_awprot(awprot),
      .m_axi_awvalid(awvalid),
      .m_axi_awready(awready),
      .m_axi_wdata(wdata),
      .m_axi_wstrb(wstrb),
      .m_axi_wlast(wlast),
      .m_axi_wvalid(wvalid),
      .m_axi_wready(wready),
      .m_axi_bresp(2'b00),
      .m_axi_bvalid(bvalid),
      .m_axi_bready(bready)
  );

  reg [STREAM_BITS-1:0] memory[0:MEMORY_BEATS-1];

  // First beat and length of bursts in their order, and beats with their marks: rings.
  reg [31:0] read_from[0:BURSTS-1], write_to[0:BURSTS-1];
  reg [8:0] read_beats[0:BURSTS-1], write_beats[0:BURSTS-1];
  reg [STREAM_BITS:0] written[0:BEATS-1];
  integer asked = 0, served = 0, announced = 0, stored = 0, brought = 0, used = 0, answered = 0;
  integer sent = 0, taken = 0;

  task check_burst(input [63:0] address, input [7:0] length, input [2:0] size, input [1:0] burst,
                   input [3:0] cache, input [2:0] prot);
    begin
      if (1 << size != BYTES || burst !== 1 || cache !== 3 || prot !== 0)
        $fatal(1, "a burst of size %0d, kind %0d, cache %b, prot %b", size, burst, cache, prot);
      if (length >= BURST_BEATS) $fatal(1, "a burst of %0d beats", length + 1);
      if (address % BYTES != 0 || address / BYTES + length >= MEMORY_BEATS)
        $fatal(1, "a burst of %0d beats at %h", length + 1, address);
      if (address[63:12] != (address + length * BYTES) >> 12)
        $fatal(1, "a burst of %0d beats at %h leaves 4 KB", length + 1, address);
    end
  endtask

  // Reads.
  always @(posedge aclk) begin
    arready <= asked - served < BURSTS - 1 && $urandom_range(3) != 0;
    if (arvalid && arready) begin
      check_burst(araddr, arlen, arsize, arburst, arcache, arprot);
      read_from[asked%BURSTS] <= araddr / BYTES;
      read_beats[asked%BURSTS] <= arlen + 1;
      asked <= asked + 1;
    end
    if (!rvalid || rready) begin
      if (served != asked && $urandom_range(3) != 0) begin
        rdata <= memory[read_from[served%BURSTS]+sent];
        rlast <= sent + 1 == read_beats[served%BURSTS];
        rvalid <= 1;
        if (sent + 1 == read_beats[served%BURSTS]) begin
          served <= served + 1;
          sent <= 0;
        end else sent <= sent + 1;
      end else begin
        rdata <= {STREAM_BITS{1'bx}};
        rvalid <= 0;
      end
    end
  end

  // Writes. Beats may come before the address that they go to.
  always @(posedge aclk) begin
    awready <= announced - stored < BURSTS - 1 && $urandom_range(3) != 0;
    wready <= brought - used < BEATS - 1 && $urandom_range(3) != 0;
    if (awvalid && awready) begin
      check_burst(awaddr, awlen, awsize, awburst, awcache, awprot);
      write_to[announced%BURSTS] <= awaddr / BYTES;
      write_beats[announced%BURSTS] <= awlen + 1;
      announced <= announced + 1;
    end
    if (wvalid && wready) begin
      if (wstrb !== {BYTES{1'b1}}) $fatal(1, "a beat with strobes %b", wstrb);
      written[brought%BEATS] <= {wlast, wdata};
      brought <= brought + 1;
    end
    if (stored != announced && used != brought) begin
      if (written[used%BEATS][STREAM_BITS] !== (taken + 1 == write_beats[stored%BURSTS]))
        $fatal(1, "beat %0d of %0d is marked wrongly", taken + 1, write_beats[stored%BURSTS]);
      memory[write_to[stored%BURSTS]+taken] <= written[used%BEATS][STREAM_BITS-1:0];
      used <= used + 1;
      if (taken + 1 == write_beats[stored%BURSTS]) begin
        stored <= stored + 1;
        taken <= 0;
      end else taken <= taken + 1;
    end
    if (bvalid && bready) begin
      bvalid <= 0;
      answered <= answered + 1;
    end else if (!bvalid) bvalid <= answered != stored && $urandom_range(3) != 0;
  end
endmodule
