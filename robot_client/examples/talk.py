import asyncio
import sys

from robot_client import Connection, Session, messages, read_wav_at


async def main(url: str, question: str) -> None:
    async with Connection(url, session=Session(tools=[]), keep_s=30) as brain:
        brain.send_audio(read_wav_at(question, 16_000).tobytes() + bytes(32_000))
        async for arrival in brain.events():
            match arrival.event:
                case messages.TranscriptUser(words) | messages.TranscriptAssistant(words):
                    print(words, file=sys.stderr)
                case messages.AudioDelta(pcm):
                    sys.stdout.buffer.write(pcm)
                case messages.ReplyDone():
                    break


asyncio.run(main(*sys.argv[1:]))
