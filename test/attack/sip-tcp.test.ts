import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AnsweringEngine } from '../support/answering-engine.ts';
import { MachineSlack } from '../support/machine-slack.ts';
import { SipPhone } from '../support/sip-phone.ts';
import { elapse, eventually } from '../support/wait.ts';

/* What a peer may do to a stream: floods that hang up, heads that never end, answers that are never read. */

let engine: AnsweringEngine;
let phone: SipPhone;
let slack: MachineSlack;
const sockets: Socket[] = [];

beforeEach(async () => {
  slack = new MachineSlack();
  engine = await AnsweringEngine.start();
  phone = await SipPhone.open();
});

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  slack.stop();
  phone.close();
  await engine.stop();
});

function open(localAddress = '127.0.0.1'): Promise<Socket> {
  return new Promise((resolve) => {
    const socket = connect({ host: engine.sip.address, port: engine.sip.port, localAddress });
    socket.on('error', () => undefined);
    socket.once('close', () => resolve(socket));
    socket.once('connect', () => resolve(socket));
    sockets.push(socket);
  });
}

let numbers = 0;

function message(method: string, headers: readonly string[] = ['Content-Length: 0']): string {
  numbers += 1;
  return [
    `${method} sip:agent@127.0.0.1 SIP/2.0`,
    `Via: SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bK${numbers}`,
    'Max-Forwards: 70',
    `From: <sip:a@127.0.0.1>;tag=t${numbers}`,
    'To: <sip:agent@127.0.0.1>',
    `Call-ID: attack-${numbers}`,
    `CSeq: 1 ${method}`,
    'Contact: <sip:a@127.0.0.1:9;transport=tcp>',
    ...headers,
    '',
    '',
  ].join('\r\n');
}

/** A harmless peer is served all the time: the slowest answer to its OPTIONS, in milliseconds. */
async function slowestProbe(while_: Promise<unknown>): Promise<number> {
  let over = false;
  void while_.then(() => {
    over = true;
  });
  let slowest = 0;
  do {
    const askedAt = performance.now();
    expect((await phone.ask('OPTIONS', engine.sip)).status).toBe(200);
    slowest = Math.max(slowest, performance.now() - askedAt);
    await elapse(20);
  } while (!over);
  return slowest;
}

describe('a SIP engine on TCP', () => {
  test.each(['closes', 'resets'] as const)('keeps nothing of 500 connections that each send an INVITE and %s', async (how) => {
    const flood = async (): Promise<void> => {
      for (let i = 0; i < 500; i += 1) {
        const socket = await open();
        socket.write(message('INVITE'));
        if (i % 2 === 0) await new Promise((resolve) => setImmediate(resolve));
        if (how === 'resets') socket.resetAndDestroy();
        else socket.destroy();
      }
    };
    expect(await slowestProbe(flood())).toBeLessThan(100 + slack.waitedMs);
    // Nobody listens where these callers say they do.
    await eventually(async () => (await engine.count('sip_dialogs')) === 0, 5000, 'no call');
    await eventually(async () => (await engine.count('sip_connections')) === 0, 5000, 'no connection');
  });

  test('has room for others when one source opens all it may and says nothing, or only half', async () => {
    await Promise.all(Array.from({ length: 300 }, () => open('127.0.0.66')));
    for (const socket of sockets) socket.write('INVITE sip:agent@127.0.0.1 SIP/2.0\r\nX: ');
    await eventually(async () => (await engine.count('sip_connections')) === 256, 2000, '256 connections');
    const other = await open('127.0.0.67');
    other.write(message('OPTIONS'));
    const answer = await new Promise<Buffer>((resolve) => other.once('data', resolve));
    expect(answer.toString()).toMatch(/^SIP\/2\.0 200 /);
  });

  test('ends a stream that is none: TLS, HTTP, 2^31 bytes, an endless head', async () => {
    const ends = [
      Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc]),
      Buffer.from(message('OPTIONS', ['Content-Length: 2147483648'])),
      Buffer.from(message('OPTIONS', [])),
      Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n'),
      Buffer.from(`OPTIONS sip:a@b SIP/2.0\r\n${'X: y\r\n'.repeat(20_000)}`),
    ].map(async (bytes) => {
      const socket = await open();
      const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
      socket.resume();
      socket.write(bytes);
      await closed;
    });
    await Promise.all(ends);
    expect(await slowestProbe(Promise.resolve())).toBeLessThan(100 + slack.waitedMs);
    expect(await engine.count('sip_connections')).toBe(0);
  });

  test('closes on a peer that asks and never reads', async () => {
    const socket = await open();
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    socket.pause();
    let asking = true;
    void closed.then(() => {
      asking = false;
    });
    for (let i = 0; i < 400 && asking; i += 1) {
      socket.write(Array.from({ length: 200 }, () => message('OPTIONS')).join(''));
      await elapse(1);
      if ((await engine.count('sip_connections')) === 0) break;
    }
    await eventually(async () => (await engine.count('sip_connections')) === 0, 5000, 'no connection');
  });
});
