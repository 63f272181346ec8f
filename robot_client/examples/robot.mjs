// A robot with the five messages, and no package: node robot.mjs ws://HOST:8100/ws question.wav
// The question is 16-bit mono at 16 kHz; so is the reply: aplay -f S16_LE -r 16000 reply.pcm
// In a browser: sound from an AudioWorklet, btoa() and atob() for base64; the rest stays as it is.
import { readFileSync, writeFileSync } from "node:fs";

const [url, question, out = "reply.pcm"] = process.argv.slice(2);
if (!question || !globalThis.WebSocket) throw "needs Node 22, URL, WAV file";
const BYTES_A_MS = 32;
const wav = readFileSync(question);
const speech = wav.subarray(wav.indexOf("data") + 8);
const reply = [];
let began, sent = 0, answeredAt, ticking;

function listen() { // what a microphone has heard by now: the question, then silence
  const due = Math.floor((Date.now() - began) / 20) * 20 * BYTES_A_MS;
  for (; sent < due; sent += 20 * BYTES_A_MS) {
    const chunk = Buffer.alloc(20 * BYTES_A_MS);
    chunk.set(speech.subarray(sent, sent + chunk.length));
    socket.send(JSON.stringify({ type: "audio", data: chunk.toString("base64") }));
  }
  if (answeredAt && Date.now() - answeredAt > 2000) socket.close(1000);
}

const socket = new WebSocket(url);
socket.onopen = () => { began = Date.now(); ticking = setInterval(listen, 20); };
socket.onmessage = ({ data }) => {
  const message = JSON.parse(data);
  if (message.type === "transcript_user") console.log("heard", message.text);
  else if (message.type === "transcript_assistant") console.log("said", message.text);
  else if (message.type === "tool_call") console.log("tool", message.name, JSON.parse(message.args));
  else if (message.type === "audio_delta") reply.push(Buffer.from(message.data, "base64"));
  else return; // a brain may say more than a robot knows
  if (message.type !== "transcript_user") answeredAt = Date.now();
};
socket.onclose = ({ code, reason }) => {
  clearInterval(ticking);
  writeFileSync(out, Buffer.concat(reply));
  if (code !== 1000) { console.error(`no brain at ${url} (${code} ${reason})`); process.exit(1); }
};
