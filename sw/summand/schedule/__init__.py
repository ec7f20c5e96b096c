"""Layers cut up and ordered for an engine: functions of sizes and configuration alone.

From the bottom up: :mod:`terms` (sizes), :mod:`tiling` (contents of each memory over time),
:mod:`steps` and :mod:`plan` (commands in order), :mod:`taper` (a batch's end), :mod:`choice` (the
quickest plan by the cost law), :mod:`traffic` (streamed bits), :mod:`fit` (layers against engines).
"""
