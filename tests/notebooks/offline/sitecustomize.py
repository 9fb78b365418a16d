"""Python imports this before all else where its folder is on PYTHONPATH: from then on no connection leaves the machine."""

import socket

OWN = ("127.0.0.1", "::1", "localhost", "0.0.0.0")


def connect(self, address, connected=socket.socket.connect):
    if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in OWN:
        raise OSError(f"the network is cut off: no connection to {address[0]}")
    return connected(self, address)


socket.socket.connect = connect
