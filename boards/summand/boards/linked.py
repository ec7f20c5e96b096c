"""An engine behind a link: what tops of all lines have."""

from collections.abc import Sequence
from typing import Any

from amaranth import *
from amaranth.lib.wiring import connect

from summand.boards.link.bridge import RegisterBridge
from summand.boards.link.control import ControlBridge
from summand.boards.link.link import Link, LinkConfig
from summand.rtl.feeds.byte_feed import ByteFeed
from summand.rtl.feeds.hosted import HostedEngine
from summand.rtl.feeds.played import PlayedEngine

__all__ = ["linked"]


def linked(
    m: Module,
    hosted: HostedEngine | PlayedEngine,
    config: LinkConfig,
    *,
    heard: Any,
    said: Any,
    control: Any = None,
    pins: Sequence[Any] = (),
) -> Link:
    """Put an engine behind a link, which is returned.

    The first frame of a session resets the engine; so does a write of its register ``reset``,
    after which bytes that the link still holds reach it.

    Parameters
    ----------
    m : Module
        Gets the submodules ``link``, ``bridge``, ``feed`` and ``hosted``.
    hosted : HostedEngine or PlayedEngine
        The engine.
    config : LinkConfig
        Sizes of the link's buffers.
    heard, said : interface of a stream of bytes
        What comes off the line, and what goes onto it.
    control : interface of ``In(ControlPort())``, optional
        The registers of a memory controller; adds the submodule ``control``.
    pins : sequence of assignments
        What joins the line to pins; here, so that the order of all assignments, by which Verilog
        numbers names, is that of a text with all of it in one place.
    """
    m.submodules.link = link = Link(config)
    m.submodules.bridge = bridge = RegisterBridge()
    m.submodules.feed = feed = ByteFeed(hosted.config)
    m.submodules.hosted = hosted
    m.d.comb += [hosted.request.eq(link.reset), *pins]
    connect(m, heard, link.i)
    connect(m, link.down, feed.down)
    connect(m, feed.feed, hosted.feed)
    connect(m, feed.up, link.up)
    connect(m, link.o, said)
    if control is None:
        connect(m, link.registers, bridge.access)
    else:
        m.submodules.control = way = ControlBridge()
        connect(m, link.registers, way.access)
        connect(m, way.others, bridge.access)
        connect(m, way.control, control)
    connect(m, bridge.bus, hosted.bus)
    return link
