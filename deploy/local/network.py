"""Zones as hosts of their own: a network namespace each, joined by a bridge in one more.

Only for failure drills and tests: a zone is cut off by taking its link down, and nothing of this
touches the machine's own network. Names start with the installation's prefix, so that two can't
meet.
"""

import subprocess


def ip(*args, check=True):
    return subprocess.run(["ip", *args], check=check, capture_output=True, text=True)


def hosts(topology):
    found = {zone.host.netns: zone.host for zone in topology.zones}
    return [found[name] for name in sorted(found)]


def centre(topology):
    """The namespace of the bridge: control and the clients stand in it."""
    return topology.control_host.netns


def make(topology):
    existing = ip("netns", "list").stdout.split()
    net = centre(topology)
    if net in existing:
        return
    ip("netns", "add", net)
    ip("-n", net, "link", "set", "lo", "up")
    ip("-n", net, "link", "add", "br0", "type", "bridge")
    ip("-n", net, "addr", "add", f"{topology.control_host.address}/16", "dev", "br0")
    ip("-n", net, "link", "set", "br0", "up")
    for host in hosts(topology):
        link = link_of(host)
        ip("netns", "add", host.netns)
        ip(
            "-n",
            net,
            "link",
            "add",
            link,
            "type",
            "veth",
            "peer",
            "name",
            "eth0",
            "netns",
            host.netns,
        )
        ip("-n", net, "link", "set", link, "master", "br0", "up")
        ip("-n", host.netns, "link", "set", "lo", "up")
        ip("-n", host.netns, "addr", "add", f"{host.address}/16", "dev", "eth0")
        ip("-n", host.netns, "link", "set", "eth0", "up")


def link_of(host):
    """The bridge's end of a zone's link: taking it down cuts the zone off."""
    return "zone-" + host.netns.rsplit("-", 1)[1]


def set_link(topology, zone, up):
    ip("-n", centre(topology), "link", "set", link_of(zone.host), "up" if up else "down")


def remove(topology):
    for host in hosts(topology):
        ip("netns", "del", host.netns, check=False)
    ip("netns", "del", centre(topology), check=False)
