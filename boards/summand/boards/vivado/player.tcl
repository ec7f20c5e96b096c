
# The weights: a port of the memory for the engine alone.
stock smartconnect weights {CONFIG.NUM_SI {1} CONFIG.NUM_MI {1}}
signal ps/@CLOCK@ weights/aclk
signal reset/peripheral_aresetn weights/aresetn
bus engine/@MASTER@ weights/S00_AXI
bus weights/M00_AXI ps/@WEIGHTS@
