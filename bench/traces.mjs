import { built } from './built.mjs';
import { quantile, short, table } from './figures.mjs';
import { NETWORK_NAMES, networkTrace } from './network-traces.mjs';

const { PCMU } = await built('audio/g711.js');
const { PhoneUplink } = await built('bridge/phone-uplink.js');
const { RtpSender } = await built('rtp/rtp-sender.js');
const { Uplink } = await built('transceiver/uplink.js');

const FRAME_MS = 20;
const PHONE_SAMPLES = 160;
const MODEL_SAMPLES = 480;
const FIXED_MS = 60;
/** Of the beat that a fixed buffer is emptied on, against the packets. */
const BEAT_OFFSET_MS = 10;
/** Where a frame carries its number, behind what is blended after a loss. */
const TAG_AT = 100;
const TAG_BASE = 100;
const MAGIC = 12_345;
const FIRST_CODE = 0x81;

/**
 * Delay and concealment of the way from the network to the session, over made-up networks, beside a fixed buffer over the same packets. The bridge's and
 * the transceiver's own code but for Opus, whose place a tag takes, on a clock of its own: neither the machine nor its neighbours matter.
 */
export async function benchTraces({ quick }) {
  const packets = ((quick ? 60 : 180) * 1000) / FRAME_MS;
  const seeds = Array.from({ length: quick ? 2 : 10 }, (_, n) => n + 1);
  const rows = NETWORK_NAMES.map((name) => {
    const traces = seeds.map((seed) => networkTrace(name, { packets, seed }));
    const ours = merge(traces.map(listen));
    const fixed = merge(traces.map(playFixed));
    const lost = traces.flat().filter((at) => at === undefined).length / traces.flat().length;
    return [
      name,
      percent(lost),
      delays(fixed),
      percent(fixed.concealed),
      delays(ours),
      percent(ours.concealed),
      `${ours.added + ours.dropped}`,
    ];
  });
  return {
    title: `Delay beyond the path's least and frames concealed, ${seeds.length} × ${(packets * FRAME_MS) / 1000} s a network, phone → session`,
    text: table(
      [
        ...['network', 'lost on the way', `fixed ${FIXED_MS} ms: delay, mean / p95 / p99 ms`, 'concealed'],
        ...['gateway: delay, mean / p95 / p99 ms', 'concealed', 'frames merged or made up to keep step'],
      ],
      rows,
    ),
  };
}

function delays({ delays: all }) {
  const mean = all.reduce((sum, each) => sum + each, 0) / all.length;
  return [mean, quantile(all, 0.95), quantile(all, 0.99)].map(short).join(' / ');
}

function percent(share) {
  return `${short(share * 100)} %`;
}

function merge(runs) {
  const sum = (figure) => runs.reduce((total, each) => total + each[figure], 0);
  return {
    delays: runs.flatMap((each) => each.delays),
    concealed: sum('concealed') / sum('frames'),
    added: sum('added'),
    dropped: sum('dropped'),
  };
}

/** A buffer that plays each frame 60 ms after the least delayed one could have come, on its beat; what is not there by then is made up. */
function playFixed(trace) {
  const played = FIXED_MS + BEAT_OFFSET_MS;
  const inTime = trace.filter((at, n) => at !== undefined && at - n * FRAME_MS <= played).length;
  return { delays: [played], concealed: trace.length - inTime, frames: trace.length, added: 0, dropped: 0 };
}

/** The gateway: what reached the session, and how long after it was sent. */
function listen(trace) {
  const heardAt = new Float64Array(trace.length).fill(Number.NaN);
  let now = 0;
  const uplink = new Uplink(
    TAG_DECODER,
    { payloadType: 111, frameSamples: MODEL_SAMPLES },
    {
      onFrame: (pcm, concealed) => {
        if (!concealed && pcm[TAG_AT + 202] === MAGIC) heardAt[readTag(pcm, TAG_AT + 200)] = now;
      },
      onDigit: () => undefined,
    },
  );
  const audio = { codec: 'PCMU', payloadType: 0, sampleRateHz: 8000, alternatives: [], telephoneEventPayloadType: 101, ptimeMs: FRAME_MS };
  const phone = new PhoneUplink(TAG_ENCODER, new RtpSender({ payloadType: 111, ssrc: 1, sequenceNumber: 0, timestamp: 0 }), audio, {
    onPacket: (packet) => uplink.handlePacket(packet, now),
    onDigit: () => undefined,
  });
  const wait = () => Math.min(phone.nextTimeout() ?? Number.POSITIVE_INFINITY, uplink.nextTimeout() ?? Number.POSITIVE_INFINITY);
  let beatAt = BEAT_OFFSET_MS;
  const until = (at) => {
    for (let next = Math.min(wait(), beatAt); next <= at; next = Math.min(wait(), beatAt)) {
      now = Math.max(now, next);
      if (next === beatAt) {
        uplink.tick(now);
        beatAt += FRAME_MS;
      } else {
        phone.drain(now);
        uplink.drain(now);
      }
    }
    now = Math.max(now, at);
  };
  const arrivals = trace.map((at, sequence) => ({ at, sequence })).filter(({ at }) => at !== undefined);
  for (const { at, sequence } of arrivals.sort((a, b) => a.at - b.at || a.sequence - b.sequence)) {
    until(at);
    phone.handlePacket(packetOf(sequence), now);
  }
  until(now + 1000);
  const delayed = heardAt.map((at, n) => at - n * FRAME_MS).filter((each) => !Number.isNaN(each));
  const { addedFrames: added, droppedFrames: dropped } = uplink.snapshot();
  // A frame that was merged with the next one is heard, though its number is not.
  return { delays: [...delayed], concealed: trace.length - delayed.length - dropped, frames: trace.length, added, dropped };
}

/** Audio that is loud, with the number of the packet in three samples that G.711 leaves as they are. */
function packetOf(sequence) {
  const payload = Buffer.from(LOUD);
  for (let n = 0, rest = sequence; n < 2; n++, rest = Math.floor(rest / TAG_BASE)) payload[TAG_AT + n] = FIRST_CODE + (rest % TAG_BASE);
  return {
    version: 2,
    payloadType: 0,
    marker: sequence === 0,
    sequenceNumber: sequence,
    timestamp: sequence * PHONE_SAMPLES,
    ssrc: 7,
    payload,
  };
}

const LOUD = Buffer.from(Array.from({ length: PHONE_SAMPLES }, (_, n) => (n % 16 < 8 ? 0x90 : 0x10)));

/** What a code sounds like, and back. */
const SAMPLES = new Int16Array(TAG_BASE);
PCMU.decode(
  Uint8Array.from(SAMPLES, (_, n) => FIRST_CODE + n),
  SAMPLES,
);
const CODES = new Map(Array.from(SAMPLES, (sample, n) => [sample, n]));

function readTag(pcm, at) {
  return pcm[at] + pcm[at + 1] * TAG_BASE;
}

const TAG_ENCODER = {
  frameSamples: PHONE_SAMPLES,
  encode: (pcm) => Uint8Array.of(CODES.get(pcm[TAG_AT]), CODES.get(pcm[TAG_AT + 1])),
  free: () => undefined,
};

const TAG_DECODER = {
  sampleRateHz: 24_000,
  decode: ([low, high]) => {
    const pcm = Int16Array.from({ length: MODEL_SAMPLES }, (_, n) => (n % 48 < 24 ? 8000 : -8000));
    pcm.set([low, high, MAGIC], TAG_AT + 200);
    return pcm;
  },
  conceal: () => new Int16Array(MODEL_SAMPLES),
  recover: () => new Int16Array(MODEL_SAMPLES),
  free: () => undefined,
};
