import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import { DtlsConnection } from '../../src/webrtc/dtls/dtls-connection.ts';
import { sctpChecksum } from '../../src/webrtc/sctp/crc32c.ts';
import { AttackedGateway } from '../support/attacked-gateway.ts';
import { Attacker, lastingGapMs, paced, udpPortsOf } from '../support/attacker.ts';
import { type Endpoint, LOOPBACK } from '../support/endpoint.ts';
import { MachineSlack } from '../support/machine-slack.ts';
import type { PhoneCall } from '../support/phone-call.ts';
import { seededRandom } from '../support/random.ts';
import { SipPhone } from '../support/sip-phone.ts';
import { describeWithTestData, testDataPath } from '../support/test-data.ts';
import { elapse, eventually } from '../support/wait.ts';
import type { WebCaller } from '../support/web-caller.ts';

function filesOf(...path: string[]): Buffer[] {
  return readdirSync(testDataPath(...path), { withFileTypes: true }).flatMap((entry) => {
    if (entry.isDirectory()) return filesOf(...path, entry.name);
    return entry.name.endsWith('.json') ? [] : [readFileSync(testDataPath(...path, entry.name))];
  });
}

describeWithTestData('malformed samples at every door', () => {
  let gateway: AttackedGateway;
  let slack: MachineSlack;
  let phone: SipPhone;
  let corpora: readonly Buffer[];
  let call: PhoneCall;
  let caller: WebCaller;
  let since: readonly [number, number];

  beforeAll(async () => {
    corpora = filesOf('corpora').map((file) => file.subarray(0, 8000));
    expect(corpora.length).toBeGreaterThan(500);
    gateway = await AttackedGateway.start({ flags: ['--sip-rate', '0', '--sip-ban', '0'] });
    slack = new MachineSlack(gateway.process.pid);
    phone = await SipPhone.open({ address: '127.0.0.2' });
    call = await phone.dial(gateway.sip);
    await call.answered();
    caller = await gateway.webCaller();
    await caller.connected();
    caller.talk();
    await caller.arrivals.reach(5, 3000, 'audio');
    await call.media.arrivals.reach(5, 3000, 'audio');
    mark();
  });

  afterEach(() => {
    vi.restoreAllMocks();
    const streams = [call.media.arrivals.all.slice(since[0]), caller.arrivals.all.slice(since[1])];
    const gap = lastingGapMs(streams.map((arrivals) => arrivals.map(({ at }) => at)));
    console.log(`figures: longest gap of the calls meanwhile ${gap.toFixed(0)} ms`);
    expect(gap).toBeLessThan(60 + slack.worstMs);
    expect(call.requests.all).toEqual([]);
    expect(caller.closed).toEqual([]);
    expect(gateway.unharmed).toBe(true);
    mark();
  });

  afterAll(async () => {
    slack.stop();
    caller.close();
    phone.close();
    await gateway.stop();
  });

  function mark(): void {
    since = [call.media.arrivals.count, caller.arrivals.count];
  }

  it('at every UDP port but that of SIP: no reply at all', async () => {
    const ports = udpPortsOf(gateway.process.pid).filter((port) => port !== gateway.sip.port);
    // Relay, inner, RTP, RTCP, and the bridge's end of the inner leg.
    expect(ports.length).toBeGreaterThanOrEqual(5);
    const stranger = await Attacker.open();
    const neighbour = await Attacker.open(LOOPBACK);
    await paced(corpora.length * ports.length, 2500, (n) => {
      const datagram = corpora[Math.floor(n / ports.length)] as Buffer;
      const to = { address: LOOPBACK, port: ports[n % ports.length] as number };
      stranger.send(datagram, to);
      if (n % 4 === 0) neighbour.send(datagram, to);
    });
    for (const port of ports) stranger.send(Buffer.alloc(65_000, 0x80), { address: LOOPBACK, port });
    await elapse(200);
    console.log(
      `figures: ${stranger.sent + neighbour.sent} datagrams to ${ports.length} ports, ${stranger.replies.count + neighbour.replies.count} replies`,
    );
    expect([stranger.replies.count, neighbour.replies.count]).toEqual([0, 0]);
    for (const each of [stranger, neighbour]) each.close();
  });

  it('from the addresses of callers: their calls go on', async () => {
    const rtp = call.media.remote;
    const rtcp = call.remoteMedia?.rtcp;
    await paced(corpora.length, 400, (n) => {
      const datagram = corpora[n] as Buffer;
      caller.sendRaw(datagram);
      // At the phone's own address a good RTP packet is the phone's: only what is none may not matter.
      if (((datagram[0] ?? 0) & 0xc0) !== 0x80) call.media.sendRaw(datagram, rtp);
      if (rtcp) call.media.sendRtcp(datagram, rtcp);
    });
    await elapse(200);
    await caller.arrivals.next(() => true, 500 + slack.worstMs, 'audio to go on');
  });

  it('at the SIP port: answers are fewer bytes than the questions', async () => {
    const messages = [...corpora, ...filesOf('torture')];
    // Answers go to the port in Via where there is no rport, and that is mostly this one.
    const attacker = await Attacker.open('127.0.0.67', 5060);
    for (const message of messages) {
      attacker.send(message, gateway.sip);
      await elapse(1);
    }
    await elapse(1600);
    const texts = messages.map((message) => message.toString('latin1'));
    const replies = attacker.replies.all.map(({ datagram }) => {
      const text = datagram.toString('latin1');
      const [, callId = '?'] = /^call-id:\s*(\S+)/im.exec(text) ?? [];
      const asked = Math.max(0, ...texts.filter((each) => each.includes(callId)).map(({ length }) => length));
      return { ratio: datagram.length / asked, line: text.split('\r\n')[0] };
    });
    const worst = replies.reduce((most, each) => (each.ratio > most.ratio ? each : most), { ratio: 0, line: undefined });
    const total = attacker.replyBytes / attacker.sentBytes;
    console.log(
      `figures: ${messages.length} messages, ${replies.length} replies, ${total.toFixed(2)} of the bytes; largest reply ${worst.ratio.toFixed(2)} of its message (${worst.line})`,
    );
    // A 200 to the shortest OPTIONS there can be has to say what is allowed; the rate of a source bounds what that comes to.
    expect(worst.ratio).toBeLessThan(2);
    expect(total).toBeLessThan(1);
    expect((await phone.ask('OPTIONS', gateway.sip)).status).toBe(200);
    attacker.close();
  });

  it('at the TCP ports: refused or cut, and the ports serve on', async () => {
    const feed = async (to: Endpoint, bytes: Buffer): Promise<number> => {
      const socket = connect(to.port, to.address);
      let replied = 0;
      socket.on('data', (chunk) => {
        replied += chunk.length;
      });
      socket.on('error', () => undefined);
      socket.on('connect', () => socket.end(bytes));
      await Promise.race([new Promise((resolve) => socket.on('close', resolve)), elapse(400)]);
      socket.destroy();
      return replied;
    };
    const targets = [gateway.http, gateway.inner, gateway.sip, gateway.relay];
    let replied = 0;
    for (let n = 0; n < corpora.length; n += 20) {
      const some = corpora.slice(n, n + 20);
      const answers = await Promise.all(targets.flatMap((to) => some.map((file) => feed(to, file))));
      replied += answers.reduce((sum, bytes) => sum + bytes, 0);
    }
    console.log(`figures: ${corpora.length} samples at ${targets.length} TCP ports, ${replied} bytes of answers`);
    expect((await fetch(`http://127.0.0.1:${gateway.http.port}/healthz`)).status).toBe(200);
    const another = await gateway.webCaller();
    await another.connected();
    another.close();
  });

  it('inside an authenticated DTLS session: malformed SCTP harms its sender at the most', async () => {
    const random = seededRandom(7);
    const { send } = DtlsConnection.prototype;
    let waiting: Buffer[] = [];
    const genuine: Buffer[] = [];
    vi.spyOn(DtlsConnection.prototype, 'send').mockImplementation(function (this: DtlsConnection, data: Uint8Array) {
      if (genuine.length < 40) genuine.push(Buffer.from(data));
      for (const each of waiting.splice(0)) send.call(this, each);
      return send.call(this, data);
    });
    /** A genuine packet with some bytes changed and the checksum made right again, or noise. */
    const malformed = (): Buffer => {
      if (random() < 0.1) return randomBytes(1 + Math.floor(random() * 200));
      const packet = Buffer.from(genuine[Math.floor(random() * genuine.length)] as Buffer);
      const changes = 1 + Math.floor(random() * 4);
      for (let n = 0; n < changes; n++) packet[12 + Math.floor(random() * Math.max(1, packet.length - 12))] = Math.floor(random() * 256);
      const cut = random() < 0.2 ? packet.subarray(0, 12 + Math.floor(random() * (packet.length - 12))) : packet;
      if (cut.length >= 12) cut.writeUInt32LE(sctpChecksum(cut), 8);
      return cut;
    };
    let sent = 0;
    for (let round = 0; round < 6; round++) {
      const peer = await gateway.webCaller({ dataChannel: true });
      await peer.connected();
      const channel = peer.peer.openChannel('oai-events');
      await eventually(() => genuine.length >= 3, 3000, 'packets of SCTP');
      await elapse(50);
      for (let burst = 0; burst < 10; burst++) {
        waiting = Array.from({ length: 50 }, malformed);
        sent += waiting.length;
        // Whatever it sends next carries the rest along.
        if (!channel || !peer.peer.sendMessage(channel, 'x')) peer.peer.openChannel(`again-${burst}`);
        await elapse(10);
      }
      peer.close();
    }
    console.log(`figures: ${sent} malformed SCTP packets inside six sessions`);
    const whole = await gateway.webCaller({ dataChannel: true });
    await whole.connected();
    whole.close();
  });
});
