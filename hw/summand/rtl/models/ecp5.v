// What primitives of the Lattice ECP5 do as Summand uses them, for simulation.
//
// Each takes part in a bus bit by bit, as the primitives' ports are. A parameter whose value is
// not modelled stops the simulation.

// 18 x 18 bits, each operand signed or not, through an input, a pipeline and an output register
// on CLK0 that CE0 enables. Never reset.
module MULT18X18D (A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1,
  A0, B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1, B0, C17, C16,
  C15, C14, C13, C12, C11, C10, C9, C8, C7, C6, C5, C4, C3, C2, C1, C0, SIGNEDA, SIGNEDB,
  SOURCEA, SOURCEB, CLK0, CE0, RST0, P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24,
  P23, P22, P21, P20, P19, P18, P17, P16, P15, P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4,
  P3, P2, P1, P0);
  parameter REG_INPUTA_CLK = "NONE";
  parameter REG_INPUTA_CE = "CE0";
  parameter REG_INPUTA_RST = "RST0";
  parameter REG_INPUTB_CLK = "NONE";
  parameter REG_INPUTB_CE = "CE0";
  parameter REG_INPUTB_RST = "RST0";
  parameter REG_PIPELINE_CLK = "NONE";
  parameter REG_PIPELINE_CE = "CE0";
  parameter REG_PIPELINE_RST = "RST0";
  parameter REG_OUTPUT_CLK = "NONE";
  parameter REG_OUTPUT_CE = "CE0";
  parameter REG_OUTPUT_RST = "RST0";
  parameter GSR = "ENABLED";
  input A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1, A0;
  input B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1, B0;
  input C17, C16, C15, C14, C13, C12, C11, C10, C9, C8, C7, C6, C5, C4, C3, C2, C1, C0;
  input SIGNEDA, SIGNEDB, SOURCEA, SOURCEB, CLK0, CE0, RST0;
  output P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19,
    P18, P17, P16, P15, P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0;

  reg signed [18:0] a = 0;
  reg signed [18:0] b = 0;
  reg [35:0] pipeline = 0;
  reg [35:0] result = 0;
  wire [17:0] a_in = {A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1,
    A0};
  wire [17:0] b_in = {B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1,
    B0};
  wire signed [37:0] product = a * b;
  assign {P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19,
    P18, P17, P16, P15, P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0} =
    result;

  initial
    if (REG_INPUTA_CLK != "CLK0" || REG_INPUTA_CE != "CE0"
        || REG_INPUTB_CLK != "CLK0" || REG_INPUTB_CE != "CE0"
        || REG_PIPELINE_CLK != "CLK0" || REG_PIPELINE_CE != "CE0"
        || REG_OUTPUT_CLK != "CLK0" || REG_OUTPUT_CE != "CE0" || GSR != "DISABLED") begin
      $display("MULT18X18D: a mode that is not modelled");
      $finish;
    end

  always @(posedge CLK0)
    if (CE0) begin
      a <= {SIGNEDA & a_in[17], a_in};
      b <= {SIGNEDB & b_in[17], b_in};
      pipeline <= product[35:0];
      result <= pipeline;
    end
endmodule

// Written on port A, read on port B through the output register, which CEB and OCEB enable
// alike. Zero at power-up. Words of 36 bits are read at DOB and DOA, high and low half. A word
// that is read while it is written reads as anything.
module DP16KD (DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6,
  DIA5, DIA4, DIA3, DIA2, DIA1, DIA0, DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10,
  DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3, DIB2, DIB1, DIB0, ADA13, ADA12, ADA11, ADA10, ADA9,
  ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0, ADB13, ADB12, ADB11, ADB10, ADB9, ADB8,
  ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0, DOA17, DOA16, DOA15, DOA14, DOA13, DOA12,
  DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2, DOA1, DOA0, DOB17, DOB16, DOB15,
  DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2, DOB1, DOB0,
  CLKA, CLKB, CEA, CEB, OCEA, OCEB, WEA, WEB, RSTA, RSTB, CSA2, CSA1, CSA0, CSB2, CSB1, CSB0);
  parameter DATA_WIDTH_A = 18;
  parameter DATA_WIDTH_B = 18;
  parameter REGMODE_A = "NOREG";
  parameter REGMODE_B = "NOREG";
  parameter RESETMODE = "SYNC";
  parameter ASYNC_RESET_RELEASE = "SYNC";
  parameter CSDECODE_A = "0b000";
  parameter CSDECODE_B = "0b000";
  parameter CLKAMUX = "CLKA";
  parameter CLKBMUX = "CLKB";
  parameter WRITEMODE_A = "NORMAL";
  parameter WRITEMODE_B = "NORMAL";
  parameter GSR = "ENABLED";
  input DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5,
    DIA4, DIA3, DIA2, DIA1, DIA0;
  input DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5,
    DIB4, DIB3, DIB2, DIB1, DIB0;
  input ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0;
  input ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0;
  input CLKA, CLKB, CEA, CEB, OCEA, OCEB, WEA, WEB, RSTA, RSTB;
  input CSA2, CSA1, CSA0, CSB2, CSB1, CSB0;
  output DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5,
    DOA4, DOA3, DOA2, DOA1, DOA0;
  output DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5,
    DOB4, DOB3, DOB2, DOB1, DOB0;

  // Words of a multiple of 9 bits use the parity bits; an address counts words of 1 bit, or of
  // 1 1/8 bits, and its low bits stay unused.
  localparam WIDTH = DATA_WIDTH_B;
  localparam SKIP = WIDTH == 36 ? 5 : WIDTH == 18 ? 4 : WIDTH == 9 ? 3 : WIDTH == 4 ? 2
    : WIDTH == 2 ? 1 : 0;
  localparam TOP = (1 << (14 - SKIP)) - 1;

  reg [WIDTH-1:0] memory [0:TOP];
  reg [WIDTH-1:0] word = 0;
  reg [35:0] read = 0;
  wire [35:0] data = {DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7,
    DIB6, DIB5, DIB4, DIB3, DIB2, DIB1, DIB0,
  DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4,
    DIA3, DIA2, DIA1, DIA0};
  wire [13:0] write_place = {ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4,
    ADA3, ADA2, ADA1, ADA0};
  wire [13:0] read_place = {ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3,
    ADB2, ADB1, ADB0};
  wire [13-SKIP:0] write_addr = write_place[13:SKIP];
  wire [13-SKIP:0] read_addr = read_place[13:SKIP];
  // From 18 bits on, the low address bits of a write say which bytes of nine bits.
  wire whole = WIDTH == 36 ? &write_place[3:0] : WIDTH == 18 ? &write_place[1:0] : 1'b1;
  wire write = CEA & WEA & ~(CSA2 | CSA1 | CSA0);
  assign {DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5,
    DOA4, DOA3, DOA2, DOA1, DOA0} = WIDTH == 36 ? read[17:0] : 18'd0;
  assign {DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5,
    DOB4, DOB3, DOB2, DOB1, DOB0} = WIDTH == 36 ? read[35:18] : read[17:0];

  integer i;
  initial begin
    for (i = 0; i <= TOP; i = i + 1)
      memory[i] = 0;
    if (DATA_WIDTH_A != DATA_WIDTH_B || REGMODE_B != "OUTREG"
        || REGMODE_A != (WIDTH == 36 ? "OUTREG" : "NOREG") || RESETMODE != "SYNC"
        || CSDECODE_A != "0b000" || CSDECODE_B != "0b000"
        || CLKAMUX != "CLKA" || CLKBMUX != "CLKB"
        || WRITEMODE_A != "NORMAL" || WRITEMODE_B != "NORMAL" || GSR != "DISABLED") begin
      $display("DP16KD: a mode that is not modelled");
      $finish;
    end
  end

  always @(posedge CLKA)
    if (write) begin
      if (!whole || CEB != OCEB || WEB || RSTA || RSTB) begin
        $display("DP16KD: a use that is not modelled");
        $finish;
      end
      memory[write_addr] <= data[WIDTH-1:0];
    end

  always @(posedge CLKB)
    if (CEB) begin
      word <= memory[read_addr];
      if (write && write_addr == read_addr)
        word <= {WIDTH{1'bx}};
      read <= word;
    end
endmodule

// A look-up table.
module LUT4 (A, B, C, D, Z);
  parameter [15:0] INIT = 0;
  input A, B, C, D;
  output Z;

  assign Z = INIT[{D, C, B, A}];
endmodule

// The multiplexer behind two of the next.
module L6MUX21 (D0, D1, SD, Z);
  input D0, D1, SD;
  output Z;

  assign Z = SD ? D1 : D0;
endmodule

// The multiplexer behind two look-up tables.
module PFUMX (ALUT, BLUT, C0, Z);
  input ALUT, BLUT, C0;
  output Z;

  assign Z = C0 ? ALUT : BLUT;
endmodule

// Two bits of a carry chain. Each half looks its sum without carry up in a table of 16, by A, B,
// C and D, and where that is 0 the carry too, by A and B in the table's low end. A chain's first
// half must make its carry itself, whatever CIN is.
module CCU2C (CIN, A0, B0, C0, D0, A1, B1, C1, D1, S0, S1, COUT);
  parameter [15:0] INIT0 = 0;
  parameter [15:0] INIT1 = 0;
  parameter INJECT1_0 = "YES";
  parameter INJECT1_1 = "YES";
  input CIN, A0, B0, C0, D0, A1, B1, C1, D1;
  output S0, S1, COUT;

  wire plain_0 = INIT0[{D0, C0, B0, A0}];
  wire plain_1 = INIT1[{D1, C1, B1, A1}];
  wire carry = plain_0 ? CIN : INIT0[{2'b00, B0, A0}];
  assign S0 = plain_0 ^ CIN;
  assign S1 = plain_1 ^ carry;
  assign COUT = plain_1 ? carry : INIT1[{2'b00, B1, A1}];

  initial
    if (INJECT1_0 != "NO" || INJECT1_1 != "NO") begin
      $display("CCU2C: a mode that is not modelled");
      $finish;
    end
endmodule
