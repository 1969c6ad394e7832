import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Decimator } from '../../src/audio/decimate.ts';
import { findMarker } from '../support/chirp.ts';
import { GatewayProcess } from '../support/gateway-process.ts';
import { Lateness } from '../support/lateness.ts';
import type { PhoneCall } from '../support/phone-call.ts';
import type { RtcpArrival } from '../support/rtp-phone.ts';
import { speech } from '../support/speech.ts';
import { Switchhook } from '../support/switchhook.ts';
import { removeFolder, tempFolder } from '../support/temp-folder.ts';
import { rms, tone } from '../support/tones.ts';
import { elapse, eventually } from '../support/wait.ts';
import { audible, isLoud, SILENT_BELOW, type SpokenItem, WireCall, WireModel } from '../support/wire-call.ts';

/* What is told of each turn's time, and of what was heard, beside what was seen at the phone's socket and at the model's server. */

const CALLS = 3;
const TURNS = 3;
const ANSWER_MS = 400;
/** Times are whole milliseconds, a timer is late by some, and the way over loopback is none. */
const EXACT_MS = 5;
const FRAME_MS = 20;
/** How much a phone keeps before it plays, as the gateway estimates it. */
const FAR_BUFFER_MS = 60;
/** Of the gateway's fade the first half counts as said. */
const FADE_MS = 20;

const ANSWER = tone(440, ANSWER_MS, { rateHz: 24_000 });
/** Spoken into: 3 s without a pause, no two places of it alike. */
const LONG = speech(3000, { rateHz: 24_000, seed: 7, peak: 8000 });
const NARROW = narrowed(LONG);
/** 80 ms are found at one place only. */
const PROBE = 640;
/** Ends in the middle of a voice, with its packet: there is no doubt which packet is the last one. */
const SAID = endingLoud(speech(700));
/** Too long for an uh-huh. */
const INTERRUPTION = speech(1400);

const hook = new Switchhook();
const folder = tempFolder('ledger');
let model: WireModel;
let gateway: GatewayProcess;
let late: Lateness | undefined;

beforeAll(async () => {
  model = await WireModel.start();
  const file = join(folder, 'ringdown.yaml');
  writeFileSync(file, model.config);
  gateway = await GatewayProcess.start({ flags: ['--config', file, '--sip-rate', '0'] });
});

afterAll(async () => {
  late?.stop();
  await hook.close();
  await gateway?.stop();
  await model?.stop();
  removeFolder(folder);
});

interface Stages {
  readonly requested: number;
  readonly first_delta: number;
  readonly first_packet: number;
}

interface Turn {
  readonly told: Readonly<Record<string, unknown>>;
  readonly seen: Stages;
}

test('the ledger of each turn, its estimate of the ear, the call record and the truncation are what was captured', async () => {
  const wires: WireCall[] = [];
  for (let n = 0; n < CALLS; n++) wires.push(await WireCall.open(hook, gateway, model, [...Array(TURNS + 1).fill(ANSWER), LONG]));
  // What was late while the gateway came up has nothing to do with turns.
  late = new Lateness(gateway);
  const calls = await Promise.all(wires.map((wire, n) => talk(wire, n === 0)));
  const slack = await late.soFar();

  const turns = calls.flatMap((each) => each.turns);
  expect(turns).toHaveLength(CALLS * TURNS);
  for (const stage of ['requested', 'first_delta', 'first_packet'] as const) {
    const off = turns.map(({ told, seen }) => Math.abs(Number(told[`${stage}_ms`]) - seen[stage])).sort((a, b) => a - b);
    expect(off[off.length >> 1], `${stage}, in the middle of ${off.map(Math.round)}`).toBeLessThanOrEqual(
      EXACT_MS + Math.min(slack, FRAME_MS),
    );
    expect(off.at(-1), `${stage}, the worst of ${off.map(Math.round)}`).toBeLessThanOrEqual(FRAME_MS + EXACT_MS + slack);
  }
  for (const { told } of turns) {
    const stages = ['decided_ms', 'requested_ms', 'first_delta_ms', 'first_packet_ms'].map((name) => Number(told[name]));
    expect(stages).toEqual(stages.toSorted((a, b) => a - b));
  }

  const [reporting, ...silent] = calls;
  const ears = (reporting?.turns ?? []).map(({ told }) => told['ear_ms']);
  expect(ears.slice(0, 2)).toEqual([null, null]);
  for (const { told } of reporting?.turns.slice(2) ?? []) {
    const way = Number(told['ear_ms']) - Number(told['first_packet_ms']);
    expect(way).toBeGreaterThanOrEqual(FAR_BUFFER_MS - 1);
    expect(way).toBeLessThanOrEqual(FAR_BUFFER_MS + EXACT_MS + slack);
  }
  expect(silent.flatMap((each) => each.turns.map(({ told }) => told['ear_ms']))).toEqual(Array((CALLS - 1) * TURNS).fill(null));

  for (const { call, turns: own, cut } of calls) {
    const record = await eventually(() => gateway.cdrs().find((each) => each['sip_call_id'] === call.callId), 5000, 'the record');
    const packets = own.map(({ told }) => Number(told['first_packet_ms'])).sort((a, b) => a - b);
    expect(record['truncations']).toBe(1);
    // The long sentence is the answer to one more turn.
    expect(record['turns_answered']).toBe(TURNS + 1);
    expect(Number(record['turn_first_packet_max_ms'])).toBeGreaterThanOrEqual((packets.at(-1) ?? 0) - 1);
    expect(Number(record['turn_first_packet_p50_ms'])).toBeGreaterThanOrEqual((packets[0] ?? 0) - 1);
    expect(Number(record['turn_decided_p50_ms'])).toBeLessThanOrEqual(Number(record['turn_first_packet_p50_ms']));
    if (cut.arrivedMs !== undefined) expect(Math.abs(cut.toldMs - cut.arrivedMs)).toBeLessThanOrEqual(FRAME_MS + slack);
  }
  expect(calls.some(({ cut }) => cut.arrivedMs !== undefined)).toBe(true);
  expect(calls.map(({ hasEar }) => hasEar)).toEqual([true, false, false]);
}, 30_000);

/** Says something `TURNS` times, then talks into a long answer. @param reports the phone sends RTCP from its third turn on */
async function talk(wire: WireCall, reports: boolean) {
  const turns: Turn[] = [];
  await silenceAfter(wire, 0);
  for (let n = 1; n <= TURNS; n++) {
    if (reports && n === 3) await report(wire);
    const { endedAt } = await wire.say(SAID);
    turns.push(await turnOf(wire, n, endedAt));
    await silenceAfter(wire, n);
  }
  await wire.say(SAID);
  const first = await wire.sounds(TURNS + 1);
  await elapse(first.at + 700 - performance.now());
  const item = wire.spoken.all[TURNS + 1] as SpokenItem;
  await wire.say(INTERRUPTION);
  const asked = await wire.asked.find(({ event }) => event.type === 'conversation.item.truncate', 5000, 'the truncation');
  expect(asked.event['item_id']).toBe(item.itemId);
  const cut = { toldMs: Number(asked.event['audio_end_ms']), arrivedMs: arrivedOf(wire, asked) };
  const { call } = wire;
  await wire.close();
  const record = await eventually(() => gateway.cdrs().find((each) => each['sip_call_id'] === call.callId), 5000, 'the record');
  return { call: call as PhoneCall, turns, cut, hasEar: record['turn_ear_p50_ms'] !== undefined };
}

/** What was told of the turn that the n-th answer is of, and what was seen of it. */
async function turnOf(wire: WireCall, n: number, endedAt: number): Promise<Turn> {
  const first = await wire.sounds(n);
  const { askedAt, saidAt } = wire.spoken.all[n] as SpokenItem;
  const told = await wire.told.find(({ type, at }) => type === 'turn.latency' && at >= saidAt, 5000, 'turn.latency');
  return { told, seen: { requested: askedAt - endedAt, first_delta: saidAt - endedAt, first_packet: first.at - endedAt } };
}

/** Waits until the n-th answer is over. */
async function silenceAfter(wire: WireCall, n: number): Promise<void> {
  const first = await wire.sounds(n);
  await elapse(first.at + ANSWER_MS - performance.now());
  await wire.media.arrivals.next((each) => each.payloadType === 0 && !isLoud(each), 3000, 'silence');
}

/**
 * How much of the long sentence had come to the phone when the model was told of its cut, in ms: found by its last 80 ms, as the agent may have
 * fallen silent and gone on before. Undefined where packets are missing.
 */
function arrivedOf(wire: WireCall, { at }: { readonly at: number }): number | undefined {
  const { samples, arrivedAt } = wire.media.recording();
  let last = samples.length - 1;
  while (last > 0 && !((arrivedAt(last) ?? Number.POSITIVE_INFINITY) <= at + 2 * FRAME_MS)) last -= 160;
  const heard = audible(samples);
  while (last > 0 && Math.abs(heard[last] as number) < SILENT_BELOW) last -= 1;
  // Before the fade, which takes a packet; the codec gives back the end of one up to 7 ms late.
  const from = last - 160 - PROBE;
  const found = from < 0 ? undefined : findMarker(NARROW, samples.subarray(from, from + PROBE), { minLikeness: 0.8 });
  return found && found.atMs + (Math.ceil((last - 56) / 160) * 160 - from) / 8 - FADE_MS / 2;
}

function narrowed(pcm: Int16Array): Int16Array {
  const decimator = new Decimator();
  const frame = new Int16Array(160);
  const all = new Int16Array(Math.floor(pcm.length / 480) * 160);
  for (let at = 0; at + 480 <= pcm.length; at += 480) {
    decimator.process(pcm.subarray(at, at + 480), frame);
    all.set(frame, at / 3);
  }
  return all;
}

/** Answers the gateway's last sender report with a receiver report (RFC 3550 §6.4.2), as a phone does. */
async function report({ media }: WireCall): Promise<void> {
  await eventually(() => senderReport(media.rtcpArrivals.all) !== undefined, 5000, 'a sender report');
  const { at, datagram, from } = senderReport(media.rtcpArrivals.all) as RtcpArrival;
  const packet = Buffer.alloc(32);
  packet.writeUInt8(0x81, 0);
  packet.writeUInt8(201, 1);
  packet.writeUInt16BE(7, 2);
  packet.writeUInt32BE(media.ssrc, 4);
  datagram.copy(packet, 8, 4, 8);
  packet.writeUInt32BE(media.arrivals.last?.sequence ?? 0, 16);
  datagram.copy(packet, 24, 10, 14);
  packet.writeUInt32BE(Math.round(((performance.now() - at) * 65_536) / 1000), 28);
  media.sendRtcp(packet, from);
}

function senderReport(arrivals: readonly RtcpArrival[]): RtcpArrival | undefined {
  return arrivals.findLast(({ datagram }) => datagram.length >= 28 && datagram[1] === 200);
}

function endingLoud(sound: Int16Array): Int16Array {
  for (let end = sound.length - (sound.length % 160); end > 320; end -= 160)
    if (rms(sound.subarray(end - 160, end)) > 2000) return sound.slice(0, end);
  return sound;
}
