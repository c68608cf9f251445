#!/usr/bin/env python3
"""A server that takes logs for gateway_test.sh, and writes the path of each entry's request, one a line.

usage: receiver.py PORT FILE [EVERY]

Of EVERY requests it answers one with 503.
"""
import http.server
import json
import sys
import threading

port, path, every = int(sys.argv[1]), sys.argv[2], int((sys.argv + ["0"])[3])
lock = threading.Lock()
count = 0


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        global count
        entries = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with lock:
            count += 1
            refused = every > 0 and count % every == 0
            if not refused:
                with open(path, "a", encoding="utf-8") as file:
                    file.writelines(entry["request"]["uri"] + "\n" for entry in entries)
        self.send_response(503 if refused else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
