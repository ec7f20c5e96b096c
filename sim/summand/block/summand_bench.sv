// Resets the engine once, asks its registers who it is, sends a stream with pauses, and compares
// every beat of the answer with the golden model's. Ends with status 0 only if all are equal.

`timescale 1ns / 1ps

module summand_bench;
  import summand_facts::*;

  // Cycles without a beat on either side after which the engine counts as stuck.
  localparam PATIENCE = 10_000;

  reg aclk = 0;
  reg aresetn = 0;
  always #5 aclk = ~aclk;

  reg [STREAM_BITS-1:0] s_axis_tdata;
  reg s_axis_tvalid = 0;
  wire s_axis_tready;
  wire [STREAM_BITS-1:0] m_axis_tdata;
  wire m_axis_tvalid;
  reg m_axis_tready = 0;
  wire m_axis_tlast;
  reg [7:0] s_axil_araddr = 0;
  reg s_axil_arvalid = 0;
  wire s_axil_arready;
  wire [31:0] s_axil_rdata;
  wire [1:0] s_axil_rresp;
  wire s_axil_rvalid;

  summand_engine engine (
      .aclk(aclk),
      .aresetn(aresetn),
      .s_axis_tdata(s_axis_tdata),
      .s_axis_tvalid(s_axis_tvalid),
      .s_axis_tready(s_axis_tready),
      .s_axis_tlast(1'b0),
      .m_axis_tdata(m_axis_tdata),
      .m_axis_tvalid(m_axis_tvalid),
      .m_axis_tready(m_axis_tready),
      .m_axis_tlast(m_axis_tlast),
      .s_axil_awaddr(8'h00),
      .s_axil_awvalid(1'b0),
      .s_axil_awready(),
      .s_axil_wdata(32'h0),
      .s_axil_wstrb(4'h0),
      .s_axil_wvalid(1'b0),
      .s_axil_wready(),
      .s_axil_bresp(),
      .s_axil_bvalid(),
      .s_axil_bready(1'b0),
      .s_axil_araddr(s_axil_araddr),
      .s_axil_arvalid(s_axil_arvalid),
      .s_axil_arready(s_axil_arready),
      .s_axil_rdata(s_axil_rdata),
      .s_axil_rresp(s_axil_rresp),
      .s_axil_rvalid(s_axil_rvalid),
      .s_axil_rready(1'b1)
  );

  reg [STREAM_BITS-1:0] stream[0:SENT-1];
  reg [STREAM_BITS+3:0] answer[0:ANSWERED-1];
  wire [STREAM_BITS+3:0] wanted = answer[received];
  wire any = wanted[STREAM_BITS+1];
  wire last = wanted[STREAM_BITS];

  reg streaming = 0;
  integer sent = 0;
  integer received = 0;
  integer cycles = 0;
  integer idle = 0;

  // The source. Data is unknown while none is offered.
  always @(posedge aclk)
    if (streaming && (!s_axis_tvalid || s_axis_tready)) begin
      if (sent < SENT && $urandom_range(3) != 0) begin
        s_axis_tdata <= stream[sent];
        s_axis_tvalid <= 1;
        sent <= sent + 1;
      end else begin
        s_axis_tdata <= {STREAM_BITS{1'bx}};
        s_axis_tvalid <= 0;
      end
    end

  // The sink, and its judgement.
  always @(posedge aclk)
    if (streaming) begin
      m_axis_tready <= $urandom_range(3) != 0;
      cycles <= cycles + 1;
      idle <= idle + 1;
      if (s_axis_tvalid && s_axis_tready) idle <= 0;
      if ((s_axis_tready !== 0 && s_axis_tready !== 1) || (m_axis_tvalid !== 0 && m_axis_tvalid !== 1))
        $fatal(1, "cycle %0d: an unknown value in the handshake", cycles);
      if (m_axis_tvalid && m_axis_tready) begin
        idle <= 0;
        received <= received + 1;
        if (received == ANSWERED)
          $fatal(1, "more than %0d beats: %h", ANSWERED, m_axis_tdata);
        else if (m_axis_tlast !== last)
          $fatal(1, "beat %0d: tlast is %b, not %b", received, m_axis_tlast, last);
        else if (any ? (^m_axis_tdata === 1'bx) : (m_axis_tdata !== wanted[STREAM_BITS-1:0]))
          $fatal(1, "beat %0d: %h, not %h", received, m_axis_tdata, wanted[STREAM_BITS-1:0]);
      end
      if (idle == PATIENCE)
        $fatal(1, "stuck: %0d of %0d beats taken, %0d of %0d answered", sent, SENT, received, ANSWERED);
    end

  // Pins are driven on falling edges here, and sampled on rising ones.
  task check_register(input [7:0] offset, input [31:0] value);
    begin
      s_axil_araddr = offset;
      s_axil_arvalid = 1;
      @(posedge aclk);
      while (!s_axil_arready) @(posedge aclk);
      @(negedge aclk);
      s_axil_arvalid = 0;
      @(posedge aclk);
      while (!s_axil_rvalid) @(posedge aclk);
      if (s_axil_rresp !== 0 || s_axil_rdata !== value)
        $fatal(1, "register %h is %h, not %h (response %b)", offset, s_axil_rdata, value, s_axil_rresp);
      @(negedge aclk);
    end
  endtask

  initial begin
    $readmemh("summand_stream.hex", stream);
    $readmemh("summand_answer.hex", answer);
    repeat (2) @(negedge aclk);
    aresetn = 1;
    check_register(AT_IDENTITY, IDENTITY);
    check_register(AT_VERSION, VERSION);
    check_register(AT_DIGEST_LO, DIGEST_LO);
    check_register(AT_DIGEST_HI, DIGEST_HI);
    streaming = 1;
    while (received < ANSWERED || sent < SENT) @(negedge aclk);
    repeat (100) @(negedge aclk);  // nothing more may come
    check_register(AT_STATUS, 0);
    $display("summand_bench: %0d beats sent, %0d received, all as the golden model says, %0d cycles",
             sent, received, cycles);
    $finish;
  end
endmodule
