import { describe, expect, it } from 'vitest';
import { decode, doorHello, envelopeFromBridge, envelopeFromHost } from '../../../src/leg/door-envelope.ts';
import { bridgeMessage, hostMessage } from '../../../src/leg/messages.ts';
import { LEDGER } from '../../support/turn-ledger.ts';

const open = { type: 'open', leg: 1, origin: { kind: 'phone', from: 'sip:a@b' }, offer: 'v=0' };
const summary = { turns: 1, bargeIns: 0, concealedFrames: 0, uplinkFrames: 10, ledger: LEDGER };

describe('a message of a bridge', () => {
  it.each([
    open,
    { type: 'open', leg: 1, origin: { kind: 'phone', media: 'browser', direction: 'outbound' } },
    { type: 'describe', leg: 1, ask: 1, kind: 'answer', sdp: 'v=0' },
    { type: 'describe', leg: 1, ask: 2, kind: 'offer', sdp: 'v=0' },
    { type: 'event', leg: 1, event: { type: 'answered' } },
    { type: 'event', leg: 1, event: { type: 'dtmf', digit: '*', durationMs: 100 } },
    { type: 'ended', leg: 1, cause: 'media_timeout' },
    { type: 'ended', leg: 1, cause: 'rejected', status: 486 },
    { ...open, origin: { kind: 'phone', direction: 'outbound', callBack: { trunk: 'carrier', destination: '+15550001' } } },
    { ...open, origin: { kind: 'phone', direction: 'outbound', joins: { sessionId: 'rtc_1_x', leg: 'leg_y' } } },
    { type: 'event', leg: 1, event: { type: 'ringing' } },
    { type: 'event', leg: 1, event: { type: 'replaces', uri: 'sip:bob@192.0.2.9?Replaces=abc' } },
    { type: 'event', leg: 1, event: { type: 'round_trip', ms: 80.5 } },
    { type: 'event', leg: 1, event: { type: 'transfer', state: 'accepted' } },
    { type: 'event', leg: 1, event: { type: 'transfer', state: 'failed', status: 603 } },
    { type: 'dialled', dial: 1 },
    { type: 'dialled', dial: 1, refusal: { code: 'ERR_FORBIDDEN', message: 'no' } },
  ])('survives the wire: %j', (message) => {
    expect(decode(bridgeMessage, JSON.stringify(message))).toEqual(message);
  });

  it.each([
    { ...open, leg: 0 },
    { ...open, leg: 1.5 },
    { ...open, leg: 2 ** 60 },
    { ...open, offer: 'x'.repeat(65_537) },
    { ...open, offer: 5 },
    { ...open, extra: true },
    { ...open, origin: { kind: 'fax' } },
    { ...open, origin: { kind: 'phone', from: 'x'.repeat(2049) } },
    { type: 'event', leg: 1, event: { type: 'ended', cause: 'shutdown' } },
    { type: 'event', leg: 1, event: { type: 'dtmf', digit: '12', durationMs: 100 } },
    { type: 'event', leg: 1, event: { type: 'dtmf', digit: '1', durationMs: -1 } },
    { type: 'ended', leg: 1, cause: 'boredom' },
    { type: 'ended', leg: 1, cause: 'rejected', status: 9000 },
    { ...open, origin: { kind: 'phone', callBack: { trunk: 'carrier', destination: 'x'.repeat(257) } } },
    { type: 'event', leg: 1, event: { type: 'transfer', state: 'perhaps' } },
    { type: 'event', leg: 1, event: { type: 'refer', to: { type: 'nobody' } } },
    { type: 'event', leg: 1, event: { type: 'round_trip', ms: -1 } },
    { type: 'event', leg: 1, event: { type: 'round_trip', ms: 60_001 } },
    { type: 'dialled', dial: 0 },
    { type: 'opened', leg: 1, sessionId: 'x', sdp: 'y' },
    { type: 'describe', leg: 1, ask: 0, kind: 'offer', sdp: 'v=0' },
    { type: 'describe', leg: 1, ask: 1, kind: 'rollback', sdp: 'v=0' },
    { type: 'describe', leg: 1, ask: 1, kind: 'offer', sdp: 'x'.repeat(65_537) },
    { type: 'describe', leg: 1, ask: 1, kind: 'answer' },
    null,
    [],
    'open',
  ])('is refused when it is %j', (message) => {
    expect(decode(bridgeMessage, JSON.stringify(message))).toBeUndefined();
  });
});

describe('a message of a host', () => {
  it.each([
    { type: 'opened', leg: 1, sessionId: 'rtc_1_AAAAAAAAAAAAAAAAAAAAAA', sdp: 'v=0' },
    { type: 'described', leg: 1, ask: 2 },
    { type: 'described', leg: 1, ask: 2, sdp: 'v=0' },
    { type: 'described', leg: 1, ask: 2, refusal: { code: 'ERR_BAD_OFFER', message: 'no audio' } },
    { type: 'refused', leg: 1, code: 'ERR_OVERLOADED', message: 'full' },
    { type: 'command', leg: 1, command: { type: 'answer' } },
    { type: 'command', leg: 1, command: { type: 'reject', cause: 'busy' } },
    { type: 'command', leg: 1, command: { type: 'hangup', cause: 'owner_lost' } },
    { type: 'command', leg: 1, command: { type: 'report', summary } },
    { type: 'command', leg: 1, command: { type: 'report', summary: { ...summary, ledger: { ...LEDGER, stages: {} } } } },
    { type: 'command', leg: 1, command: { type: 'refer', target: 'sip:desk@192.0.2.1' } },
    { type: 'command', leg: 1, command: { type: 'refer_to_call', sipCallId: 'abc@192.0.2.1' } },
    { type: 'command', leg: 1, command: { type: 'refer_to_call', sipCallId: 'abc@192.0.2.1', uri: 'sip:bob@192.0.2.9?Replaces=abc' } },
    { type: 'command', leg: 1, command: { type: 'referred', status: 180 } },
    { type: 'command', leg: 1, command: { type: 'dtmf', digits: '12#' } },
    { type: 'dial', dial: 3, request: { trunk: 'carrier', destination: '+15550001', from: '100' } },
    {
      ...{ type: 'dial', dial: 4 },
      request: { trunk: 'carrier', destination: '+15550001', ringTimeoutMs: 20_000, joins: { sessionId: 'rtc_1_x', leg: 'leg_y' } },
    },
    { type: 'command', leg: 1, command: { type: 'report', summary: { ...summary, responseLatencyMs: { p50: 1.5, p95: 2 } } } },
  ])('survives the wire: %j', (message) => {
    expect(decode(hostMessage, JSON.stringify(message))).toEqual(message);
  });

  it.each([
    { type: 'refused', leg: 1, code: 'ERR_WHATEVER', message: 'x' },
    { type: 'refused', leg: 1, code: 'ERR_TIMEOUT', message: 'x'.repeat(513) },
    { type: 'command', leg: 1, command: { type: 'format disk' } },
    { type: 'command', leg: 1, command: { type: 'dtmf', digits: '12w' } },
    { type: 'command', leg: 1, command: { type: 'dtmf', digits: '' } },
    { type: 'command', leg: 1, command: { type: 'refer', target: '' } },
    { type: 'dial', dial: 3, request: { trunk: 'carrier', destination: '' } },
    { type: 'command', leg: 1, command: { type: 'reject', cause: 'constructor' } },
    { type: 'command', leg: 1, command: { type: 'report', summary: { ...summary, turns: -1 } } },
    {
      type: 'command',
      leg: 1,
      command: { type: 'report', summary: { ...summary, ledger: { ...LEDGER, stages: { spoken: LEDGER.stages.ear } } } },
    },
    open,
  ])('is refused when it is %j', (message) => {
    expect(decode(hostMessage, JSON.stringify(message))).toBeUndefined();
  });
});

describe('an envelope', () => {
  it('carries the messages of its own direction only', () => {
    const envelope = JSON.stringify({ type: 'message', sequence: 1, received: 0, message: open });
    expect(decode(envelopeFromBridge, envelope)).toBeDefined();
    expect(decode(envelopeFromHost, envelope)).toBeUndefined();
  });

  it.each([
    '',
    '{',
    'null',
    '"x"',
    '{"type":"beat"}',
    '{"type":"resume","link":-1,"fresh":true,"received":0}',
    '{"__proto__":{"type":"beat"}}',
  ])('is not made of %s', (text) => {
    expect(decode(envelopeFromBridge, text)).toBeUndefined();
  });

  it('is not reached by an older or newer version', () => {
    const hello = { version: 2, nodeId: 1, incarnation: 1, nonce: 'A'.repeat(43), keyIds: [0] };
    expect(decode(doorHello, JSON.stringify(hello))).toEqual(hello);
    expect(decode(doorHello, JSON.stringify({ ...hello, version: 3 }))).toBeUndefined();
    expect(decode(doorHello, JSON.stringify({ ...hello, keyIds: [1, 2, 3] }))).toBeUndefined();
  });
});
