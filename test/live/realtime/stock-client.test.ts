import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { OpenAIRealtimeWebSocket, RealtimeAgent, RealtimeSession } from '@openai/agents-realtime';
import { afterAll, describe, expect, it } from 'vitest';
import { WebSocketServer } from 'ws';
import { systemClock } from '../../../src/base/clock.ts';
import { createLog } from '../../../src/base/log.ts';
import { EmbeddedAgent } from '../../../src/realtime/embedded/agent.ts';
import { loadPrompts } from '../../../src/realtime/embedded/prompts.ts';
import { loadVoiceDetectors } from '../../../src/realtime/fvad-detector.ts';
import { Session } from '../../../src/realtime/session.ts';
import { RealtimeSurface } from '../../../src/realtime/surface/realtime-surface.ts';
import { weatherTool } from '../../support/weather-tool.ts';
import { faultsOf } from '../../unit/realtime/event-schemas.ts';

/** Longer than anything takes on a busy machine. */
const DEADLINE_MS = 20_000;

const prompts = await loadPrompts();
const createVoiceDetector = await loadVoiceDetectors();
const server = new WebSocketServer({ port: 0, host: '127.0.0.1', handleProtocols: () => 'realtime' });
const faults: string[] = [];
const seen: string[] = [];
const timers: NodeJS.Timeout[] = [];

server.on('connection', (socket) => {
  const log = createLog('silent');
  const session = new Session(
    { clock: systemClock, log, model: new EmbeddedAgent({ prompts }), createVoiceDetector },
    { streams: true, speaksFirst: false },
  );
  const surface = new RealtimeSurface(
    { clock: systemClock, log, session },
    { sessionId: 'sess_stock', media: 'websocket', settings: { type: 'realtime' }, ephemeral: false },
  );
  const channel = surface.open(
    {
      send: (text) => {
        const event = JSON.parse(text) as Record<string, unknown>;
        faults.push(...faultsOf(event));
        seen.push(event['type'] === 'error' ? text : String(event['type']));
        socket.send(text);
        return true;
      },
      close: (code) => socket.close(code),
    },
    { ephemeral: false },
  );
  session.start();
  const out = new Int16Array(480);
  timers.push(setInterval(() => session.pullDownlink(out, systemClock.now()), 20));
  socket.on('message', (data: Buffer) => channel?.receive(data.toString()));
  socket.on('close', () => session.end('remote_hangup'));
});
await once(server, 'listening');
const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/v1/realtime?model=ringdown`;

afterAll(() => {
  for (const timer of timers) clearInterval(timer);
  for (const socket of server.clients) socket.terminate();
  server.close();
});

async function until(what: string, isTrue: () => boolean): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  while (!isTrue()) {
    if (performance.now() > deadline) throw new Error(`${what} did not happen; seen: ${seen.join(', ')}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

describe('the Agents SDK as it is, over a WebSocket', () => {
  it('is configured, calls its tool, hears the answer, and finds nothing wrong with any event', async () => {
    const asked: string[] = [];
    const weather = weatherTool((input) => asked.push(JSON.stringify(input)));
    const agent = new RealtimeAgent({ name: 'guide', instructions: 'Help.', tools: [weather] });
    const session = new RealtimeSession(agent, { transport: new OpenAIRealtimeWebSocket({ useInsecureApiKey: true }) });
    const errors: unknown[] = [];
    session.on('error', (error) => errors.push(error));
    await session.connect({ apiKey: 'sk-none', url });
    await until('session.updated', () => seen.filter((type) => type === 'session.updated').length >= 2);
    session.sendMessage('call weather {"city":"Ulm"}');
    await until('the tool', () => asked.length > 0);
    expect(asked).toEqual(['{"city":"Ulm"}']);
    await until('the answer', () => JSON.stringify(session.history).includes('The tool says: sunny'));
    let heard = 0;
    session.on('audio', ({ data }) => {
      heard += data.byteLength;
    });
    // Whoever cancels a response that is done gets an error: the client has to know of its end before it interrupts the playing.
    let done = 0;
    session.on('transport_event', ({ type }) => {
      if (type === 'response.done') done += 1;
    });
    session.sendMessage('Hello?');
    await until('audio', () => heard > 0 && done > 0);
    session.interrupt();
    await until('the truncation', () => seen.includes('conversation.item.truncated') || seen.some((type) => type.startsWith('{')));
    session.close();
    expect(errors).toEqual([]);
    expect(faults).toEqual([]);
  });
});
