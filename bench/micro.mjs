import { built } from './built.mjs';
import { short, table } from './figures.mjs';
import { microseconds } from './micro-loop.mjs';
import { speech } from './speech.mjs';
import { withYardstick } from './yardstick.mjs';

const { PCMA, PCMU } = await built('audio/g711.js');
const { createOpusDecoder, createOpusEncoder } = await built('audio/opus.js');
const { warmUpOpus } = await built('audio/opus-warm-up.js');
const { Decimator } = await built('audio/decimate.js');
const { Rnnoise } = await built('audio/rnnoise.js');
const { loadVad, VoiceActivity } = await built('audio/vad.js');
const { EchoGuard } = await built('realtime/echo-guard.js');
const { loadVoiceDetectors } = await built('realtime/fvad-detector.js');
const { ReorderBuffer } = await built('rtp/reorder-buffer.js');
const { parseRtp, writeRtp } = await built('rtp/packet.js');
const { parseMessage } = await built('sip/embedded/message.js');

const FRAMES = 500;

/** What the parts cost by themselves: µs of CPU for 20 ms of audio, or for one message. */
export async function benchMicro() {
  await Promise.all([warmUpOpus(), loadVad()]);
  const { value: rows, yardMs } = await withYardstick(async () => [
    ...g711(),
    ...(await opus()),
    ...(await listening()),
    ...rtp(),
    ...sip(),
  ]);
  return {
    title: `Parts, µs of CPU (fixed calculation ${short(yardMs)} ms)`,
    text: table(
      ['part', 'µs', 'per'],
      rows.map(([name, us, per]) => [name, us, per ?? '20 ms of audio']),
    ),
  };
}

function framesOf(rateHz) {
  const samples = rateHz / 50;
  const pcm = speech(FRAMES * 20, rateHz);
  return Array.from({ length: FRAMES }, (_, n) => pcm.subarray(n * samples, (n + 1) * samples));
}

function g711() {
  const pcm = framesOf(8000);
  const bytes = new Uint8Array(160);
  const out = new Int16Array(160);
  return [PCMU, PCMA].flatMap((law) => [
    [`${law.name} encode`, microseconds((n) => law.encode(pcm[n % FRAMES], bytes))],
    [`${law.name} decode`, microseconds(() => law.decode(bytes, out))],
  ]);
}

async function opus() {
  const rows = [];
  const ways = [
    ['interior, 8 kHz in, 24 kHz out (phone to model)', 8000, 24_000, 'interior', true],
    ['interior narrowband, 24 kHz in, 8 kHz out (model to phone)', 24_000, 8000, 'interior', true],
    ['edge, 24 kHz both ways (browser)', 24_000, 24_000, 'edge', false],
  ];
  for (const [name, encodeHz, decodeHz, profile, narrowband] of ways) {
    const encoder = await createOpusEncoder({ sampleRateHz: encodeHz, profile, narrowband });
    const decoder = await createOpusDecoder({ sampleRateHz: decodeHz });
    const pcm = framesOf(encodeHz);
    const packets = pcm.map((frame) => Buffer.from(encoder.encode(frame)));
    rows.push([`Opus ${name}: encode`, microseconds((n) => encoder.encode(pcm[n % FRAMES]))]);
    rows.push([`Opus ${name}: decode`, microseconds((n) => decoder.decode(packets[n % FRAMES]))]);
    encoder.free();
    decoder.free();
  }
  return rows;
}

async function listening() {
  const wide = framesOf(24_000);
  const narrow = framesOf(8000);
  const out = new Int16Array(160);
  const decimator = new Decimator();
  const activity = new VoiceActivity();
  const detectors = await loadVoiceDetectors();
  const [detector, beside] = [detectors(), detectors()];
  const guard = new EchoGuard();
  const network = (await Rnnoise.load()).open();
  const rows = [
    ['24 to 8 kHz', microseconds((n) => decimator.process(wide[n % FRAMES], out))],
    ['voice activity (fvad and energy)', microseconds((n) => activity.process(narrow[n % FRAMES]))],
    [
      'own-echo guard, both ways',
      microseconds((n) => {
        guard.playing(narrow[(n + 100) % FRAMES]);
        return guard.isNear(narrow[n % FRAMES]);
      }),
    ],
    ['all of it, as a session hears while nobody else speaks', microseconds((n) => detector.process(wide[n % FRAMES]))],
    [
      'the same while the agent speaks',
      microseconds((n) => {
        beside.playing(wide[(n + 100) % FRAMES]);
        return beside.process(wide[n % FRAMES]);
      }),
    ],
    ['the network for callers in noise', microseconds((n) => network.process(wide[n % FRAMES]))],
  ];
  for (const each of [activity, detector, beside, network]) each.free();
  return rows;
}

function rtp() {
  const payload = Buffer.alloc(160, 0x55);
  const write = (n) =>
    writeRtp({ payloadType: 0, marker: false, sequenceNumber: n & 0xffff, timestamp: (n * 160) >>> 0, ssrc: 7 }, payload);
  const datagram = write(1);
  const inOrder = new ReorderBuffer();
  let sequence = 0;
  return [
    ['RTP write', microseconds(write), 'packet'],
    ['RTP parse', microseconds(() => parseRtp(datagram)), 'packet'],
    [
      'reorder buffer, in order',
      microseconds(() => {
        sequence += 1;
        const packet = {
          payloadType: 0,
          marker: false,
          sequenceNumber: sequence & 0xffff,
          timestamp: (sequence * 160) >>> 0,
          ssrc: 7,
          payload,
        };
        inOrder.push(packet, sequence * 20);
        while (inOrder.poll(sequence * 20));
      }),
      'packet',
    ],
  ];
}

function sip() {
  const invite = Buffer.from(trunkInvite());
  const us = microseconds(() => parseMessage(invite));
  return [[`SIP parse, trunk INVITE of ${invite.length} B`, us, `message (${Math.round(1e6 / us / 1000)} thousand a second)`]];
}

/** An INVITE as a carrier's session border controller sends it. */
function trunkInvite() {
  const sdp = [
    'v=0',
    'o=SBC 2031442791 2031442792 IN IP4 203.0.113.80',
    's=session',
    'c=IN IP4 203.0.113.81',
    't=0 0',
    'm=audio 24318 RTP/AVP 8 0 101',
    'a=rtpmap:8 PCMA/8000',
    'a=rtpmap:0 PCMU/8000',
    'a=rtpmap:101 telephone-event/8000',
    'a=fmtp:101 0-15',
    'a=ptime:20',
    'a=sendrecv',
    '',
  ].join('\r\n');
  return [
    'INVITE sip:+4930123456@198.51.100.7:5060;transport=udp SIP/2.0',
    'Via: SIP/2.0/UDP 203.0.113.80:5060;branch=z9hG4bK0cB2f9c1d9a6f0c2f11;rport',
    'Via: SIP/2.0/UDP 192.0.2.44:5060;received=192.0.2.44;branch=z9hG4bK-524287-1---a1b2c3d4e5f6',
    'Record-Route: <sip:203.0.113.80;lr;ftag=gK0c7d2a11>',
    'Max-Forwards: 68',
    'From: "Caller Name" <sip:+493098765432@203.0.113.80;user=phone>;tag=gK0c7d2a11',
    'To: <sip:+4930123456@198.51.100.7;user=phone>',
    'Call-ID: 1207964432_133128410@203.0.113.80',
    'CSeq: 29314 INVITE',
    'Contact: <sip:+493098765432@203.0.113.80:5060;transport=udp>',
    'Allow: INVITE,ACK,CANCEL,BYE,REFER,OPTIONS,PRACK,UPDATE,INFO,NOTIFY',
    'Accept: application/sdp, application/isup, application/dtmf',
    'P-Asserted-Identity: "Caller Name" <sip:+493098765432@203.0.113.80;user=phone>',
    'Supported: timer,100rel,precondition,replaces',
    'Session-Expires: 1800;refresher=uac',
    'Min-SE: 90',
    'User-Agent: Carrier SBC 9.2',
    'Content-Disposition: session;handling=required',
    'Content-Type: application/sdp',
    `Content-Length: ${sdp.length}`,
    '',
    sdp,
  ].join('\r\n');
}
