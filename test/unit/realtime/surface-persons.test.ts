import { describe, expect, it } from 'vitest';
import { GatewayError } from '../../../src/base/errors.ts';
import type { PersonCommand } from '../../../src/leg/person.ts';
import { callCommand } from '../../../src/leg/session-messages.ts';
import type { PersonNews } from '../../../src/realtime/session-event.ts';
import { parseClientEvent } from '../../../src/realtime/surface/client-event.ts';
import { personCommandOf, personEventOf, personEvents, personFault } from '../../../src/realtime/surface/person-event.ts';

const dial = { type: 'call.leg.create', transport: { type: 'sip', destination: '+15550100', trunk: 'pbx' } };

/** The command that this event is. */
function commandOf(event: object): PersonCommand {
  const parsed = parseClientEvent(JSON.stringify(event));
  if ('fault' in parsed) throw new Error(parsed.fault.message);
  const known = personEvents.map((each) => each.shape.type.value as string);
  if (!known.includes(parsed.event.type)) throw new Error('no event of persons');
  return personCommandOf(parsed.event as Parameters<typeof personCommandOf>[0], () => 'leg_made');
}

describe('events of clients about persons', () => {
  it.each([
    [dial, { type: 'dial', leg: 'leg_made' }],
    [
      { ...dial, leg_id: 'bob', on_answer: 'whisper' },
      { type: 'dial', leg: 'bob', options: { onAnswer: 'whisper' } },
    ],
    [
      { type: 'call.leg.connect', leg_id: 'bob' },
      { type: 'connect', leg: 'bob', agent: 'leave' },
    ],
    [
      { type: 'call.leg.whisper', leg_id: 'bob' },
      { type: 'whisper', leg: 'bob' },
    ],
    [
      { type: 'call.leg.hold', leg_id: 'caller', held: false },
      { type: 'hold', leg: 'caller', held: false },
    ],
    [
      { type: 'call.leg.swap', leg_id: 'bob' },
      { type: 'swap', leg: 'bob' },
    ],
    [
      { type: 'call.leg.transfer', leg_id: 'bob', mode: 'refer' },
      { type: 'transfer', leg: 'bob', mode: 'refer' },
    ],
    [
      { type: 'call.leg.hangup', leg_id: 'bob' },
      { type: 'hangup', leg: 'bob' },
    ],
  ])('%j is read, and survives the wire to the owner', (event, expected) => {
    const command = commandOf(event);
    expect(command).toMatchObject(expected);
    expect(callCommand.parse(JSON.parse(JSON.stringify({ type: 'person', command })))).toEqual({ type: 'person', command });
  });

  it.each([
    [{ type: 'call.leg.create' }, 'transport'],
    [{ ...dial, leg_id: 'caller' }, 'leg_id'],
    [{ ...dial, while_ringing: 'jazz' }, 'while_ringing'],
    [{ type: 'call.leg.connect' }, 'leg_id'],
    [{ type: 'call.leg.hangup', leg_id: 'x'.repeat(65) }, 'leg_id'],
  ])('%j is refused, naming %s', (event, param) => {
    expect(parseClientEvent(JSON.stringify(event))).toMatchObject({ fault: { param } });
  });
});

describe('events about persons', () => {
  const answered = { type: 'answered_by', leg: 'bob', by: 'machine_beep', atMs: 4200, speechMs: 2000, words: 5, silenceMs: 600 } as const;

  it.each<[PersonNews, object]>([
    [
      { type: 'person_state', leg: 'bob', state: 'dialling' },
      { type: 'call.leg.created', leg_id: 'bob' },
    ],
    [
      { type: 'person_state', leg: 'bob', state: 'connected', agent: 'stay' },
      { type: 'call.leg.connected', leg_id: 'bob', agent: 'stay' },
    ],
    [
      { type: 'person_answered', leg: 'bob' },
      { type: 'call.leg.answered', leg_id: 'bob' },
    ],
    [
      { type: 'person_failed', leg: 'bob', reason: 'busy', status: 486 },
      { type: 'call.leg.failed', leg_id: 'bob', reason: 'busy', status_code: 486 },
    ],
    [
      { type: 'person_failed', leg: 'bob', reason: 'failed' },
      { type: 'call.leg.failed', leg_id: 'bob', reason: 'failed', status_code: null },
    ],
    [
      { type: 'person_ended', leg: 'bob', cause: 'remote_hangup' },
      { type: 'call.leg.ended', leg_id: 'bob', reason: 'remote_hangup' },
    ],
    [
      { type: 'person_dtmf', leg: 'bob', digit: '5' },
      { type: 'call.leg.dtmf', leg_id: 'bob', event: '5' },
    ],
    [
      { type: 'caller_held', held: true },
      { type: 'call.leg.held', leg_id: 'caller' },
    ],
    [
      { ...answered, beep: { hz: 1000, ms: 400 } },
      {
        ...{ type: 'call.answered_by', leg_id: 'bob', by: 'machine_beep', at_ms: 4200, speech_ms: 2000, words: 5, silence_ms: 600 },
        ...{ beep: { frequency_hz: 1000, duration_ms: 400 }, greeting_over: false },
      },
    ],
  ])('%j', (news, event) => {
    expect(personEventOf(news)).toEqual(event);
  });

  it('say why a command was not carried out, and nothing of what is inside', () => {
    expect(personFault(new GatewayError('ERR_NOT_FOUND', 'there is no such leg', { param: 'leg_id' }))).toEqual({
      ...{ message: 'there is no such leg', code: 'leg_not_found', param: 'leg_id' },
    });
    expect(personFault(new Error('a secret of ours'))).toMatchObject({ code: 'internal_error', type: 'server_error' });
    expect(personFault(new Error('a secret of ours')).message).not.toContain('secret');
  });
});
