import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { deriveRelayKeys, randomClusterKeys } from '../../src/ownership/cluster-keys.ts';
import { makeUfrag } from '../../src/ownership/ufrag.ts';
import { writeFrame } from '../../src/relay/frame-reader.ts';
import { writeStun } from '../../src/webrtc/stun/write-stun.ts';
import { AttackedGateway } from '../support/attacked-gateway.ts';
import { ATTACKER_ADDRESS } from '../support/attacker.ts';
import { LOOPBACK } from '../support/endpoint.ts';
import { MachineSlack } from '../support/machine-slack.ts';
import { findTone, tone } from '../support/tones.ts';
import { elapse, eventually } from '../support/wait.ts';
import { WEB_RATE_HZ, type WebCaller } from '../support/web-caller.ts';

const MS_TO_FIRST_CHECK = 5000;

/** A TCP connection of somebody; what comes of it. */
class Stranger {
  readonly socket: Socket;
  readonly openedAt = performance.now();
  closedAt: number | undefined;
  bytesRead = 0;

  constructor(port: number, from = ATTACKER_ADDRESS) {
    this.socket = connect({ host: LOOPBACK, port, localAddress: from, noDelay: true });
    this.socket.on('data', (bytes) => {
      this.bytesRead += bytes.length;
    });
    this.socket.on('error', () => this.socket.destroy());
    this.socket.on('close', () => {
      this.closedAt = performance.now();
    });
  }

  send(bytes: Uint8Array): void {
    if (this.socket.writable) this.socket.write(bytes);
  }

  get livedMs(): number {
    return (this.closedAt ?? performance.now()) - this.openedAt;
  }
}

function check(username: string, password = 'a-password-of-22-chars'): Buffer {
  const draft = {
    class: 'request',
    transactionId: randomBytes(12),
    priority: 0x6e00_1eff,
    useCandidate: true,
    iceControlling: 1n,
  } as const;
  return writeStun({ ...draft, username }, password);
}

/** Twenty guesses at the password of a session, until the last connection is gone: 16 s, so to a gateway of their own, while the others are tested. */
async function guessPasswords(): Promise<{ readonly shownOut: number; readonly answered: number }> {
  const gateway = await AttackedGateway.start();
  const target = await gateway.webCaller({ connect: false });
  const guesses = Array.from({ length: 20 }, () => new Stranger(gateway.relay.port));
  try {
    for (const each of guesses) each.send(writeFrame(check(`${target.remote.ufrag}:x`)));
    const closed = (): number => guesses.filter(({ closedAt }) => closedAt !== undefined).length;
    await eventually(() => closed() === 12, 2000, 'twelve to be shown out');
    const shownOut = closed();
    const left = async (): Promise<number> => (await gateway.process.metrics()).sum('ringdown_relay_tcp_connections');
    await eventually(async () => (await left()) === 0, 18_000, 'the others to go');
    return { shownOut, answered: guesses.filter(({ bytesRead }) => bytesRead > 0).length };
  } finally {
    for (const { socket } of guesses) socket.destroy();
    target.close();
    await gateway.stop();
  }
}

describe('the TCP side of the relay', () => {
  let gateway: AttackedGateway;
  let guessed: ReturnType<typeof guessPasswords>;
  let slack: MachineSlack;
  let strangers: Stranger[] = [];
  const callers: WebCaller[] = [];

  beforeAll(async () => {
    guessed = guessPasswords();
    guessed.catch(() => undefined); // the test that awaits it fails
    gateway = await AttackedGateway.start();
    slack = new MachineSlack(gateway.process.pid);
  });

  afterEach(() => {
    for (const { socket } of strangers) socket.destroy();
    for (const each of callers.splice(0)) each.close();
    strangers = [];
  });

  afterAll(async () => {
    slack.stop();
    await guessed.catch(() => undefined);
    await gateway.stop();
  });

  function stranger(from?: string): Stranger {
    const made = new Stranger(gateway.relay.port, from);
    strangers.push(made);
    return made;
  }

  async function caller(connected = true): Promise<WebCaller> {
    const made = await gateway.webCaller({ connect: connected });
    callers.push(made);
    if (connected) await made.connected();
    return made;
  }

  async function figure(name: string, labels?: Readonly<Record<string, string>>): Promise<number> {
    return (await gateway.process.metrics()).sum(`ringdown_relay_${name}`, labels);
  }

  const allClosed = (deadlineMs: number) =>
    eventually(() => strangers.every(({ closedAt }) => closedAt !== undefined), deadlineMs, 'all to be shown out');

  test('whoever begins with anything but a check for a session of ours is shown out at once, without a byte', async () => {
    const foreign = makeUfrag({ nodeId: 1, generation: 0 }, deriveRelayKeys(randomClusterKeys()));
    const beginnings: readonly Uint8Array[] = [
      writeFrame(check(`${randomBytes(17).toString('base64').slice(0, 22)}:x`)),
      writeFrame(check(`${foreign}:x`)),
      writeFrame(check('x')),
      writeFrame(Buffer.from([0x80, 111, 0, 1])),
      writeFrame(Buffer.from([22, 254, 253, 0, 0, 0, 0])),
      writeFrame(Buffer.alloc(0)),
      Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'),
      Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01]),
      Buffer.from([0xff, 0xff]),
      writeFrame(randomBytes(8192)),
      ...Array.from({ length: 15 }, () => Buffer.concat([Buffer.from([0, 40]), randomBytes(40)])),
    ];
    for (const bytes of beginnings) stranger().send(bytes);
    await allClosed(2000);
    expect(strangers.every(({ bytesRead }) => bytesRead === 0)).toBe(true);
    expect(await figure('tcp_connections')).toBe(0);
    expect(gateway.unharmed).toBe(true);
  });

  test('whoever drips is out within 5 s, and a flood leaves room for an honest client', async () => {
    const held: number[] = [];
    const drop = check('never-complete:x');
    for (let n = 0; n < 300; n++) stranger(`127.0.1.${1 + (n % 20)}`);
    const dripping = setInterval(() => {
      for (const [n, each] of strangers.entries()) each.send(writeFrame(drop).subarray(n % 20, (n % 20) + 1));
    }, 500);
    try {
      for (let n = 0; n < 8; n++) {
        await elapse(MS_TO_FIRST_CHECK / 8);
        held.push(await figure('tcp_connections'));
      }
      const target = await caller(false);
      const honest = stranger();
      honest.send(writeFrame(check(`${target.remote.ufrag}:${target.credentials.ufrag}`, target.remote.pwd)));
      await eventually(() => honest.bytesRead > 0, 2000, 'an honest client to be answered');
      await eventually(() => strangers.every((each) => each === honest || each.closedAt !== undefined), 3000, 'all to be shown out');
    } finally {
      clearInterval(dripping);
    }
    const lived = strangers.slice(0, 300).map(({ livedMs }) => livedMs);
    console.log(`figures: 300 slow connections, ${Math.max(...held)} at a time, the longest lived ${Math.round(Math.max(...lived))} ms`);
    expect(Math.max(...lived)).toBeLessThan(MS_TO_FIRST_CHECK + 1000 + slack.worstMs);
  });

  test('two thousand connections of one address are 32 at a time', async () => {
    const before = gateway.process.figures();
    let most = 0;
    for (let round = 0; round < 20; round++) {
      for (let n = 0; n < 100; n++) stranger();
      most = Math.max(most, await figure('tcp_connections'));
    }
    await allClosed(8000);
    const after = gateway.process.figures();
    console.log(
      `figures: ${strangers.length} connections, ${most} at a time, ${((after.rssBytes - before.rssBytes) / 1e6).toFixed(1)} MB more`,
    );
    expect(most).toBeLessThanOrEqual(32);
    await eventually(
      () => gateway.process.figures().fileDescriptors <= before.fileDescriptors + 2,
      3000,
      'the descriptors to be given back',
    );
    expect(after.rssBytes - before.rssBytes).toBeLessThan(60e6);
  });

  test('who knows a ufrag but not its password is answered nothing, takes eight ways and loses them', async () => {
    expect(await guessed).toEqual({ shownOut: 12, answered: 0 });
  });

  test('a session that does not read, and one that floods with tiny frames, keep nobody else from talking', async () => {
    const victim = await caller();
    victim.background(tone(700, 200, { rateHz: WEB_RATE_HZ }));
    victim.talk();
    victim.press('2');
    const hears = async () => findTone(await victim.heard(Math.max(0, victim.arrivals.count - 15)), 700, { rateHz: WEB_RATE_HZ }).present;
    await eventually(hears, 15_000, 'the echo');

    const target = await caller(false);
    const flooder = stranger();
    flooder.send(writeFrame(check(`${target.remote.ufrag}:${target.credentials.ufrag}`, target.remote.pwd)));
    await eventually(() => flooder.bytesRead > 0, 2000, 'the check to be answered');
    flooder.socket.pause();
    // Every one of them a check that the owner answers, so that what comes back piles up unread.
    const checks = Buffer.concat(
      Array.from({ length: 400 }, () => writeFrame(check(`${target.remote.ufrag}:${target.credentials.ufrag}`, target.remote.pwd))),
    );
    const tiny = Buffer.concat(Array.from({ length: 20_000 }, () => writeFrame(Buffer.from([0x80]))));
    const from = victim.arrivals.count;
    const before = gateway.process.figures();
    const startedAt = performance.now();
    while (performance.now() - startedAt < 3000) {
      if (flooder.socket.writableLength < 1e6) {
        flooder.send(checks);
        flooder.send(tiny);
      }
      await elapse(20);
    }
    const after = gateway.process.figures();
    const gapMs = victim.longestGapMs(from + 1);
    const cpu = (100 * (after.cpuMs - before.cpuMs)) / (performance.now() - startedAt);
    console.log(
      `figures: under a flood over TCP the victim waits ${gapMs.toFixed(0)} ms at most, the gateway takes ${cpu.toFixed(0)} % of a core, ` +
        `${((after.rssBytes - before.rssBytes) / 1e6).toFixed(1)} MB more, ${await figure('tcp_dropped_total', { reason: 'fast' })} frames dropped`,
    );
    await eventually(hears, 3000, 'the echo to go on');
    expect(gapMs).toBeLessThan(250 + slack.worstMs);
    expect(after.rssBytes - before.rssBytes).toBeLessThan(60e6);
    expect(gateway.unharmed).toBe(true);
  });
});
