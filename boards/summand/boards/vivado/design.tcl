# @TITLE@ with Summand engine @DIGEST@; generated, do not edit.
#
#   vivado -mode batch -source @FILE@
#
# makes a project in the folder vivado beside this file: processor system, engine, stock AXI DMA,
# and what joins them. Then it writes the bitstream and the hardware handoff, summand.bit and
# summand.hwh. "-tclargs design" ends it before synthesis.

set here [file dirname [file normalize [info script]]]

create_project -force summand $here/vivado -part @PART@
set board_part [lindex [lsort -dictionary [get_board_parts -quiet {@BOARD_PART@}]] end]
if {$board_part ne ""} {
  set_property board_part $board_part [current_project]
} else {
  puts "no board files @BOARD_PART@: the processor's memory and pins keep Vivado's defaults"
}
set_property ip_repo_paths $here [current_project]
update_ip_catalog

# Make a cell of the newest version of a stock IP block.
proc stock {name cell settings} {
  set found [lindex [lsort -dictionary [get_ipdefs "xilinx.com:ip:$name:*"]] end]
  if {$found eq ""} {
    error "this Vivado has no IP block $name"
  }
  create_bd_cell -type ip -vlnv $found $cell
  if {[llength $settings]} {
    set_property -dict $settings [get_bd_cells $cell]
  }
}

# Join two buses, or a signal with all that listen.
proc bus {from to} {
  connect_bd_intf_net [get_bd_intf_pins $from] [get_bd_intf_pins $to]
}
proc signal {from args} {
  foreach to $args {
    connect_bd_net [get_bd_pins $from] [get_bd_pins $to]
  }
}

create_bd_design summand

stock @PROCESSOR@ ps {}
if {$board_part ne ""} {
  apply_bd_automation -rule xilinx.com:bd_rule:@PROCESSOR@ \
    -config {apply_board_preset "1"} [get_bd_cells ps]
}
set_property -dict {
@SETTINGS@
} [get_bd_cells ps]
foreach pins {@EXTERNAL@} {
  make_bd_intf_pins_external [get_bd_intf_pins ps/$pins]
}

create_bd_cell -type ip -vlnv @VLNV@ engine

stock axi_dma dma {
  CONFIG.c_include_sg {0}
  CONFIG.c_sg_include_stscntrl_strm {0}
  CONFIG.c_sg_length_width {26}
  CONFIG.c_addr_width {@ADDRESS_BITS@}
  CONFIG.c_m_axi_mm2s_data_width {@STREAM_BITS@}
  CONFIG.c_m_axis_mm2s_tdata_width {@STREAM_BITS@}
  CONFIG.c_m_axi_s2mm_data_width {@STREAM_BITS@}
  CONFIG.c_mm2s_burst_size {16}
  CONFIG.c_s2mm_burst_size {16}
}
stock smartconnect control {CONFIG.NUM_SI {1} CONFIG.NUM_MI {2}}
stock smartconnect memory {CONFIG.NUM_SI {2} CONFIG.NUM_MI {1}}
stock proc_sys_reset reset {}

# One clock for all.
signal ps/@CLOCK@ \
  @PROCESSOR_CLOCKS@ \
  engine/aclk control/aclk memory/aclk reset/slowest_sync_clk \
  dma/s_axi_lite_aclk dma/m_axi_mm2s_aclk dma/m_axi_s2mm_aclk
signal ps/@RESET@ reset/ext_reset_in
signal reset/peripheral_aresetn \
  engine/aresetn control/aresetn memory/aresetn dma/axi_resetn

bus ps/@CONTROL@ control/S00_AXI
bus control/M00_AXI engine/s_axil
bus control/M01_AXI dma/S_AXI_LITE
bus dma/M_AXI_MM2S memory/S00_AXI
bus dma/M_AXI_S2MM memory/S01_AXI
bus memory/M00_AXI ps/@MEMORY@
bus dma/M_AXIS_MM2S engine/s_axis
bus engine/m_axis dma/S_AXIS_S2MM
@PLAYER@

assign_bd_address -target_address_space [get_bd_addr_spaces ps/Data] \
  -offset @ENGINE_AT@ -range 4K [get_bd_addr_segs engine/s_axil/@REGISTER_BLOCK@]
assign_bd_address -target_address_space [get_bd_addr_spaces ps/Data] \
  -offset @DMA_AT@ -range 64K [get_bd_addr_segs dma/S_AXI_LITE/Reg]
assign_bd_address

validate_bd_design
save_bd_design

set design [get_files summand.bd]
add_files -norecurse [make_wrapper -files $design -top]
set_property top summand_wrapper [current_fileset]
if {[lindex $argv 0] eq "design"} {
  return
}

launch_runs impl_1 -to_step write_bitstream -jobs 4
wait_on_run impl_1
if {[get_property PROGRESS [get_runs impl_1]] ne "100%"} {
  error "no bitstream; see the log of impl_1"
}
set run [get_property DIRECTORY [get_runs impl_1]]
file copy -force $run/summand_wrapper.bit $here/summand.bit
set handoff [glob $here/vivado/summand.gen/sources_1/bd/summand/hw_handoff/summand.hwh]
file copy -force $handoff $here/summand.hwh
