"""How layers are cut up and ordered for an engine: functions of sizes and configuration alone.

From the bottom up: :mod:`terms` (sizes), :mod:`tiling` (what is in which memory, when), :mod:`plan`
(commands in order), :mod:`choice` (the quickest plan, by the cost law), :mod:`traffic` (what a plan
streams) and :mod:`fit` (which engines can compute a layer).
"""
