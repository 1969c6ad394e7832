import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { built } from './built.mjs';
import { speech } from './speech.mjs';

const { PCMU } = await built('audio/g711.js');
const { WorkerTicker } = await built('base/ticker.js');
const { systemClock } = await built('base/clock.js');

const FRAME_SAMPLES = 160;
const LOOPBACK = '127.0.0.1';
/** Timer A of RFC 3261, doubled at each try. */
const T1_MS = 500;
const KEY_PACKETS = 8;

/** Milliseconds on a clock that all processes of a machine share. */
export function machineMs() {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1000 + nanoseconds / 1e6;
}

/** Ten seconds of µ-law, in frames. */
const TALK = frames(speech(10_000, 8000));
const SILENCE = Buffer.alloc(FRAME_SAMPLES, 0xff);

function frames(pcm) {
  const bytes = Buffer.alloc(pcm.length);
  PCMU.encode(pcm, bytes);
  return Array.from({ length: pcm.length / FRAME_SAMPLES }, (_, n) => bytes.subarray(n * FRAME_SAMPLES, (n + 1) * FRAME_SAMPLES));
}

/** Is there more in it than the lowest steps of the law? */
function isAudible(payload) {
  return payload.some((byte) => (~byte & 0x7f) > 2);
}

async function openUdp(recvBufferSize = 1 << 20) {
  const socket = createSocket({ type: 'udp4', recvBufferSize, lookup: (name, _options, done) => done(null, name, 4) });
  await new Promise((resolve) => socket.bind(0, LOOPBACK, resolve));
  return socket;
}

/**
 * One RTP socket for all calls, told apart by the gateway's ports: the process is woken once for many packets, which makes 150 calls cost it
 * less than 50 sockets do.
 */
class SharedRtp {
  #socket;
  #byPort = new Map();

  static async open() {
    const shared = new SharedRtp();
    shared.#socket = await openUdp(1 << 23);
    shared.#socket.on('message', (packet, { port }) => shared.#byPort.get(port)?.(packet));
    return shared;
  }

  /** What a call takes for its own socket. */
  join() {
    let receive = () => undefined;
    let remotePort;
    return {
      address: () => this.#socket.address(),
      on: (_event, listener) => {
        receive = listener;
      },
      removeAllListeners: () => this.#byPort.delete(remotePort),
      close: () => undefined,
      send: (packet, from, length, port, address) => {
        if (remotePort === undefined) {
          remotePort = port;
          this.#byPort.set(port, receive);
        }
        this.#socket.send(packet, from, length, port, address);
      },
    };
  }

  close() {
    this.#socket.close();
  }
}

/** Many light phones in one process: one SIP socket for all, one RTP socket each or one for all, one beat. Only as much SIP as a call needs. */
export class Phones {
  #gateway;
  #socket;
  #rtcp;
  #shared;
  #calls = new Map();
  #ticker = new WorkerTicker(systemClock);

  /** @param options.oneSocket all RTP by one socket: a load, where the phones' own cost would be in the way */
  static async open(gateway, { oneSocket = false } = {}) {
    const phones = new Phones();
    phones.#gateway = gateway;
    if (oneSocket) phones.#shared = await SharedRtp.open();
    phones.#socket = await openUdp();
    phones.#rtcp = await openUdp();
    phones.#socket.on('message', (message) => phones.#receive(message.toString('latin1')));
    return phones;
  }

  /**
   * Calls the agent; resolves with the call once it is answered and acknowledged.
   * @param options.talk false for a silent caller; `onPacket(sequence, at)` is told of every packet that leaves
   * @throws Error with the status of a refusal
   */
  async call({ talk = true, onPacket } = {}) {
    const call = new PhoneCall(this.#shared?.join() ?? (await openUdp()), { talk, onPacket, ticker: this.#ticker });
    this.#calls.set(call.id, call);
    call.invite = this.#inviteOf(call);
    await new Promise((resolve, reject) => {
      call.onAnswer = resolve;
      call.onRefusal = (status) => reject(new Error(`refused with ${status}`));
      call.invitedAt = machineMs();
      this.#sendInvite(call, T1_MS);
    });
    call.start(this.#gateway.address);
    return call;
  }

  /** Resolves when the BYE is answered. */
  async hangUp(call) {
    const ended = new Promise((resolve) => {
      call.onEnd = resolve;
    });
    call.stop();
    const send = () => this.#send(call.request('BYE', 2, this.#local));
    send();
    const again = setInterval(send, T1_MS);
    await ended;
    clearInterval(again);
    this.#calls.delete(call.id);
  }

  async close() {
    await Promise.all([...this.#calls.values()].map((call) => this.hangUp(call)));
    await this.#ticker.stop();
    this.#socket.close();
    this.#rtcp.close();
    this.#shared?.close();
  }

  get #local() {
    return `${LOOPBACK}:${this.#socket.address().port}`;
  }

  #send(text) {
    this.#socket.send(text, this.#gateway.port, this.#gateway.address);
  }

  #sendInvite(call, waitMs) {
    this.#send(call.invite);
    call.again = setTimeout(() => this.#sendInvite(call, 2 * waitMs), waitMs);
  }

  #inviteOf(call) {
    const sdp = [
      'v=0',
      `o=- 1 1 IN IP4 ${LOOPBACK}`,
      's=-',
      `c=IN IP4 ${LOOPBACK}`,
      't=0 0',
      `m=audio ${call.rtpPort} RTP/AVP 0 101`,
      `a=rtcp:${this.#rtcp.address().port}`,
      'a=rtpmap:0 PCMU/8000',
      'a=rtpmap:101 telephone-event/8000',
      'a=ptime:20',
      '',
    ].join('\r\n');
    return call.request('INVITE', 1, this.#local, sdp);
  }

  #receive(text) {
    const [, status, method] = /^SIP\/2\.0 (\d+)[\s\S]*?^CSeq: *\d+ (\w+)/im.exec(text) ?? [];
    const call = this.#calls.get(/^Call-ID: *(\S+)/im.exec(text)?.[1]);
    if (!call) return;
    if (status === undefined) this.#answerRequest(text);
    else if (method === 'BYE') call.onEnd?.();
    else if (method === 'INVITE') this.#handleInviteResponse(call, Number(status), text);
  }

  /** The gateway hangs up. */
  #answerRequest(text) {
    const kept = text.split('\r\n').filter((line) => /^(via|from|to|call-id|cseq):/i.test(line));
    this.#send(['SIP/2.0 200 OK', ...kept, 'Content-Length: 0', '', ''].join('\r\n'));
  }

  #handleInviteResponse(call, status, text) {
    clearTimeout(call.again);
    if (status < 200) return;
    call.remoteTo = /^To: *(.*)$/im.exec(text)?.[1] ?? '';
    call.answeredAt ??= machineMs();
    if (status < 300) call.remotePort = Number(/^m=audio (\d+)/m.exec(text)?.[1]);
    this.#send(call.request('ACK', 1, this.#local));
    if (status < 300) call.onAnswer();
    else call.onRefusal(status);
  }
}

/** One of the phones, in a call. */
class PhoneCall {
  id = randomBytes(12).toString('hex');
  invitedAt = 0;
  answeredAt = undefined;
  /** When the first packet came, and the first with something to hear in it. */
  firstPacketAt = undefined;
  firstAudibleAt = undefined;
  /** When each packet came; emptied by who reads it. */
  arrivals = [];
  /** Sequence numbers of the same, when `noteSequences`; RTP timestamps, when `noteTimestamps`. */
  sequences = [];
  timestamps = [];
  noteTimestamps = false;
  noteSequences = false;
  received = 0;
  /** Of the gateway's stream. */
  remoteSsrc = 0;
  sent = 0;
  talk;
  #socket;
  #options;
  #packet = Buffer.alloc(12 + FRAME_SAMPLES);
  #sequence = randomBytes(2).readUInt16BE();
  #timestamp = 0;
  #frame = Math.floor(Math.random() * TALK.length);
  #key;
  #stop;
  ssrc = randomBytes(4).readUInt32BE();

  constructor(socket, options) {
    this.#socket = socket;
    this.#options = options;
    this.talk = options.talk;
    this.#packet[0] = 0x80;
    this.#packet.writeUInt32BE(this.ssrc, 8);
    socket.on('message', (packet) => this.#receive(packet));
  }

  get rtpPort() {
    return this.#socket.address().port;
  }

  request(method, cseq, local, body = '') {
    const tag = `;tag=${this.id.slice(0, 8)}`;
    return [
      `${method} sip:agent@${LOOPBACK} SIP/2.0`,
      `Via: SIP/2.0/UDP ${local};branch=z9hG4bK${this.id}${method === 'INVITE' ? '' : method};rport`,
      'Max-Forwards: 70',
      `From: <sip:bench@${LOOPBACK}>${tag}`,
      `To: ${this.remoteTo ?? `<sip:agent@${LOOPBACK}>`}`,
      `Call-ID: ${this.id}`,
      `CSeq: ${cseq} ${method}`,
      `Contact: <sip:bench@${local}>`,
      ...(body === '' ? [] : ['Content-Type: application/sdp']),
      `Content-Length: ${body.length}`,
      '',
      body,
    ].join('\r\n');
  }

  start(address) {
    this.#stop = this.#options.ticker.add(() => this.#beat(address));
  }

  stop() {
    this.#stop?.();
    this.#socket.removeAllListeners('message');
    this.#socket.close();
  }

  /** Presses a key: an RFC 4733 event of 100 ms, its end told three times. */
  press(key) {
    this.#key = { code: '0123456789*#'.indexOf(key), sent: 0, timestamp: this.#timestamp };
  }

  #beat(address) {
    const packet = this.#packet;
    packet.writeUInt16BE(this.#sequence, 2);
    let length = packet.length;
    if (this.#key) length = this.#writeKey(packet, this.#key);
    else {
      packet[1] = 0;
      packet.writeUInt32BE(this.#timestamp, 4);
      packet.set(this.talk ? TALK[this.#frame++ % TALK.length] : SILENCE, 12);
    }
    this.#options.onPacket?.(this.#sequence, machineMs());
    this.#socket.send(packet, 0, length, this.remotePort, address);
    this.sent += 1;
    this.#sequence = (this.#sequence + 1) & 0xffff;
    this.#timestamp = (this.#timestamp + FRAME_SAMPLES) >>> 0;
  }

  #writeKey(packet, key) {
    key.sent += 1;
    const ends = key.sent > KEY_PACKETS - 3;
    packet[1] = 101 | (key.sent === 1 ? 0x80 : 0);
    packet.writeUInt32BE(key.timestamp, 4);
    packet[12] = key.code;
    packet[13] = ends ? 0x8a : 0x0a;
    packet.writeUInt16BE(FRAME_SAMPLES * Math.min(key.sent, KEY_PACKETS - 2), 14);
    if (key.sent === KEY_PACKETS) this.#key = undefined;
    return 16;
  }

  #receive(packet) {
    const at = machineMs();
    this.received += 1;
    this.remoteSsrc = packet.readUInt32BE(8);
    this.arrivals.push(at);
    if (this.noteSequences) this.sequences.push(packet.readUInt16BE(2));
    if (this.noteTimestamps) this.timestamps.push(packet.readUInt32BE(4));
    this.firstPacketAt ??= at;
    if (this.firstAudibleAt === undefined && isAudible(packet.subarray(12))) this.firstAudibleAt = at;
  }
}
