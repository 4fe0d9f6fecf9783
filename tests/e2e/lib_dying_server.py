"""PORT N: an SMTP server that ends in the middle of everything when it has taken N messages."""
import os
import socketserver
import sys

left = int(sys.argv[2])


class Session(socketserver.StreamRequestHandler):
    def handle(self):
        global left  # pylint: disable=global-statement
        self.wfile.write(b"220 dying\r\n")
        in_data = False
        for line in self.rfile:
            if in_data:
                if line != b".\r\n":
                    continue
                in_data = False
                left -= 1
                if left < 0:
                    os._exit(7)
            in_data = line[:4].upper() == b"DATA"
            if line[:4].upper() == b"QUIT":
                self.wfile.write(b"221 bye\r\n")
                return
            self.wfile.write(b"354 go on\r\n" if in_data else b"250 yes\r\n")


socketserver.ThreadingTCPServer.allow_reuse_address = True
with socketserver.ThreadingTCPServer(("127.0.0.1", int(sys.argv[1])), Session) as server:
    server.serve_forever()
