"""A robot that says one thing, run inside the appliance with the brain's own Python.

talk.py [--robot ID] (--wav FILE | --text TEXT) [--begun FILE]

It prints one JSON object: what came back. FILE is made when the reply begins to be heard.
"""

import argparse
import base64
import json
import time
import wave
from array import array
from pathlib import Path
from urllib.parse import quote

from websockets.sync.client import connect

PATIENCE_S = 90.0


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--robot", default="appliance")
    parser.add_argument("--wav")
    parser.add_argument("--text", default="")
    parser.add_argument("--begun")
    args = parser.parse_args()
    # No compression and no proxy: what a robot's small client would do.
    url = f"ws://127.0.0.1:8100/ws?robot_id={quote(args.robot)}"
    with connect(url, max_size=None, compression=None, proxy=None) as socket:
        print(json.dumps(one_turn(socket, args)))


def one_turn(socket, args):
    told = {"heard": "", "said": "", "reason": "", "errors": [], "resumed": None}
    sound = array("h")
    deadline = time.monotonic() + PATIENCE_S

    def take(timeout):
        try:
            message = json.loads(socket.recv(timeout=timeout))
        except TimeoutError:
            return ""
        kind = message["type"]
        if kind == "ready":
            told["resumed"] = message["resumed"]
        elif kind == "transcript_user":
            told["heard"] = message["text"]
        elif kind == "transcript_assistant":
            told["said"] = message["text"]
        elif kind == "audio_delta":
            sound.frombytes(base64.b64decode(message["data"]))
            if args.begun:
                Path(args.begun).touch()
        elif kind == "error":
            told["errors"].append(message["code"])
        elif kind == "reply_done":
            told["reason"] = message["reason"]
        return kind

    while take(PATIENCE_S) != "ready":
        pass
    since = time.monotonic()
    if args.text:
        socket.send(json.dumps({"type": "text", "text": args.text}))
    for chunk in chunks(args.wav) if args.wav else ():
        socket.send(json.dumps({"type": "audio", "data": base64.b64encode(chunk).decode()}))
        until = time.monotonic() + 0.02
        while (left := until - time.monotonic()) > 0:
            take(left)
    while not told["reason"] and time.monotonic() < deadline:
        if take(1.0) == "error" and not sound:
            break
    told["seconds"] = round(time.monotonic() - since, 2)
    told["sound_s"] = round(len(sound) / 16_000, 2)
    told["loudest"] = max((abs(sample) for sample in sound), default=0)
    return told


def chunks(name):
    """20 ms each, with a second and a half of quiet behind."""
    with wave.open(name) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 16_000)
        data = file.readframes(file.getnframes()) + bytes(2 * 24_000)
    for start in range(0, len(data), 640):
        yield data[start : start + 640]


if __name__ == "__main__":
    main()
