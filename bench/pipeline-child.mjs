// Transcription, chat and speech for the benchmark: each answers after a known while; some requests of a hundred fail, in turn in each of five ways.
import { createServer } from 'node:http';
import { goFirst } from './priority.mjs';

goFirst();

process.on('disconnect', () => process.exit(0)); // the benchmark is over, however it ended

const { hearMs, thinkMs, speakMs, failEvery } = JSON.parse(process.argv[2]);
const TEXT = 'This is the first sentence of it. And here is the second, a longer one than that.';
const counts = { transcription: 0, chat: 0, speech: 0 };
const elapse = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const server = createServer(async (request, response) => {
  response.on('error', () => {});
  const body = [];
  for await (const piece of request) body.push(piece);
  const stage = request.url.endsWith('/transcriptions') ? 'transcription' : request.url.endsWith('/speech') ? 'speech' : 'chat';
  counts[stage] += 1;
  const way = failEvery > 0 && counts[stage] % failEvery === 0 ? (counts[stage] / failEvery) % 5 : undefined;
  if (way === 0) return; // says nothing
  if (way === 1) {
    response.writeHead(500).end();
    return;
  }
  if (way === 2) {
    request.socket.destroy();
    return;
  }
  const breaks = way === 3;
  const stalls = way === 4;
  await { transcription: hear, chat: think, speech: speak }[stage](response, breaks, stalls, body);
});

async function hear(response, breaks, stalls) {
  await elapse(hearMs);
  response.writeHead(200, { 'content-type': 'application/json' });
  if (breaks) response.destroy();
  else if (!stalls) response.end('{"text":"Tell me more."}');
}

async function think(response, breaks, stalls) {
  await elapse(thinkMs);
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.flushHeaders();
  for (const word of TEXT.split(/(?<= )/)) {
    if (stalls) return;
    response.write(`data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: word } }] })}\n\n`);
    if (breaks) {
      response.destroy();
      return;
    }
    await elapse(10);
  }
  response.end('data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n');
}

async function speak(response, breaks, stalls, body) {
  const ms = JSON.parse(Buffer.concat(body).toString()).input.length * 30;
  await elapse(speakMs);
  response.writeHead(200, { 'content-type': 'audio/pcm' });
  for (let at = 0; at < ms; at += 200) {
    const piece = Buffer.alloc(200 * 48, 7);
    // The time at which it is available.
    piece.writeDoubleLE(performance.timeOrigin + performance.now(), 0);
    response.write(piece);
    if (breaks) response.destroy();
    if (breaks || stalls) return;
    await elapse(20);
  }
  response.end();
}

server.keepAliveTimeout = 30_000;
server.listen(0, '127.0.0.1');
process.on('message', async () => {
  while (!server.address()) await new Promise((resolve) => server.once('listening', resolve));
  process.send({ port: server.address().port });
});
