import { describe, expect, test } from 'vitest';
import { GatewayError } from '../../../src/base/errors.ts';
import { createLog } from '../../../src/base/log.ts';
import type { DialRequest, EndCause, Leg, LegEvent } from '../../../src/leg/leg.ts';
import type { PersonCommand, PersonOptions } from '../../../src/leg/person.ts';
import { MODEL_FRAME_SAMPLES } from '../../../src/realtime/model.ts';
import type { MediaSession } from '../../../src/transceiver/media.ts';
import { PartyLine, type Place } from '../../../src/transceiver/party-line.ts';
import { type CallerLeg, Persons } from '../../../src/transceiver/persons.ts';
import { plainSounds } from '../../../src/transceiver/plain-sounds.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const log = createLog('silent', { write: () => undefined });
const OPTIONS: PersonOptions = { whileRinging: 'agent', onAnswer: 'connect', agent: 'leave', onHangup: 'agent' };

const LEG: Leg = { answer: () => undefined, reject: () => undefined, hangup: () => undefined, report: () => undefined };

/** Where a party is, in a word. */
function wordOf(place: Place): string {
  if (place.type === 'line') return 'line';
  return place.soft ? 'soft' : 'beside';
}

function setting(caller: Partial<CallerLeg> = {}) {
  const clock = new FakeClock();
  const happened: string[] = [];
  const dialled: DialRequest[] = [];
  const places = new Map<string, string>([['caller', 'line']]);
  const media = { handleUplink: () => undefined, pullDownlink: () => false, handleLegEvent: () => undefined };
  const line = new PartyLine(media);
  const place = line.place.bind(line);
  line.place = (id, where) => {
    places.set(id, wordOf(where));
    place(id, where);
  };
  let refusal: GatewayError | undefined;
  const persons = new Persons(
    {
      ...{ clock, log, line, sounds: plainSounds() },
      dialler: {
        dial: async (request) => {
          dialled.push(request);
          if (refusal) throw refusal;
        },
      },
      session: {
        pause: () => void happened.push('pause'),
        resume: () => void happened.push('resume'),
        end: (cause) => void happened.push(`end ${cause}`),
        handleLegEvent: (event) => void happened.push(`agent: ${event.type}`),
        tell: (news) => {
          const { type, ...rest } = news;
          happened.push([type.replace('person_', ''), ...Object.values(rest)].join(' '));
        },
      },
      caller: () => ({ kind: 'phone', answered: true, leg: legOf('caller'), ...caller }),
    },
    'rtc_1_x',
  );
  const legOf = (id: string): Leg => ({
    answer: () => void happened.push(`${id}: answer`),
    reject: () => undefined,
    hangup: (cause, headers) => void happened.push([`${id}: hangup ${cause}`, ...(headers ?? []).map(({ value }) => value)].join(' ')),
    referToCall: (callId, uri) => void happened.push([`${id}: refer to ${callId}`, ...(uri === undefined ? [] : [uri])].join(' or ')),
    sendDtmf: (digits) => void happened.push(`${id}: keys ${digits}`),
    report: () => void happened.push(`${id}: report`),
  });
  const tells = new Map<string, (event: LegEvent) => void>();
  return {
    clock,
    happened,
    dialled,
    persons,
    line,
    place: (id: string) => places.get(id),
    refuse: (error: GatewayError | undefined) => {
      refusal = error;
    },
    command: (command: PersonCommand) => persons.command(command),
    dial: (leg: string, options: Partial<PersonOptions> = {}) =>
      persons.command({ type: 'dial', leg, to: { trunk: 'pbx', destination: leg }, options: { ...OPTIONS, ...options } }),
    /** The leg of a person who was dialled is there. */
    async open(id: string): Promise<void> {
      const closed = { answered: () => undefined, close: () => void happened.push(`${id}: media closed`) as undefined };
      const { tell } = await persons.open(id, legOf(id), `${id}@sip`, async () => closed);
      tells.set(id, tell);
    },
    tell: (id: string, event: LegEvent) => tells.get(id)?.(event),
    async there(id: string, options: Partial<PersonOptions> = {}): Promise<void> {
      await this.dial(id, options);
      await this.open(id);
      this.tell(id, { type: 'ringing' });
      this.tell(id, { type: 'answered' });
    },
    end: (id: string, cause: EndCause = 'remote_hangup', status?: number) => tells.get(id)?.({ type: 'ended', cause, status }),
  };
}

const code = (thrown: unknown): string => GatewayError.from(thrown).code;

describe('a person', () => {
  test('whose media cannot be made has failed, once, and the caller hears no ringing any more', async () => {
    const room = setting();
    await room.dial('bob', { whileRinging: 'ringback' });
    expect(room.place('caller')).toBe('soft');
    const broken = room.persons.open('bob', LEG, 'bob@sip', () => Promise.reject(new GatewayError('ERR_INTERNAL', 'no codec')));
    expect(await broken.catch(code)).toBe('ERR_INTERNAL');
    expect(room.place('caller')).toBe('line');
    expect(room.happened).toEqual(['state bob dialling', 'failed bob failed ']);
  });

  test('whose media cannot be made when it is not wanted any more is not told of twice', async () => {
    const room = setting();
    await room.dial('bob');
    let fail: (thrown: Error) => void = () => undefined;
    const media = new Promise<never>((_resolve, reject) => {
      fail = reject;
    });
    const broken = room.persons.open('bob', LEG, 'bob@sip', () => media).catch(code);
    await room.command({ type: 'hangup', leg: 'bob' });
    fail(new GatewayError('ERR_INTERNAL', 'no codec'));
    expect(await broken).toBe('ERR_INTERNAL');
    expect(room.happened.filter((each) => each.startsWith('failed'))).toHaveLength(1);
  });

  test('is dialled for the session, rings, is connected, and hangs up: the caller is back with the agent', async () => {
    const room = setting();
    await room.there('bob');
    expect(room.dialled).toEqual([{ trunk: 'pbx', destination: 'bob', joins: { sessionId: 'rtc_1_x', leg: 'bob' } }]);
    expect([room.place('caller'), room.place('bob')]).toEqual(['line', 'line']);
    room.end('bob');
    await new Promise((resolve) => setImmediate(resolve));
    expect(room.happened.filter((each) => !each.includes(': '))).toEqual([
      'state bob dialling',
      'state bob ringing',
      'answered bob',
      'state bob connected leave',
      'pause',
      'ended bob remote_hangup',
      'resume',
    ]);
    expect(room.persons.views()).toEqual([]);
    expect(room.place('caller')).toBe('line');
  });

  test.each([
    [486, 'busy'],
    [600, 'busy'],
    [603, 'declined'],
    [408, 'no_answer'],
    [480, 'no_answer'],
    [404, 'not_found'],
    [500, 'failed'],
  ])('who refuses with %i is %s, and the caller hears the agent again', async (status, reason) => {
    const room = setting();
    await room.dial('bob', { whileRinging: 'music' });
    await room.open('bob');
    expect(room.place('caller')).toBe('soft');
    room.end('bob', 'rejected', status);
    expect(room.happened).toContain(`failed bob ${reason} ${status}`);
    expect(room.place('caller')).toBe('line');
    expect(room.happened).not.toContain('pause');
  });

  test('who cannot be called is told by name, and whoever asked gets the error', async () => {
    const room = setting();
    room.refuse(new GatewayError('ERR_FORBIDDEN', 'not among the destinations'));
    await expect(room.dial('bob')).rejects.toMatchObject({ code: 'ERR_FORBIDDEN' });
    expect(room.happened).toEqual(['state bob dialling', 'failed bob forbidden ']);
  });

  test('whose leg never comes has failed after seven seconds, and a leg that comes later finds nobody', async () => {
    const room = setting();
    await room.dial('bob');
    room.clock.advance(7000);
    expect(room.happened).toContain('failed bob failed ');
    await expect(room.open('bob')).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' });
  });

  test('nobody has asked for does not come in, nor twice', async () => {
    const room = setting();
    await expect(room.open('mallory')).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' });
    await room.dial('bob');
    await room.open('bob');
    await expect(room.open('bob')).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' });
  });

  test('is given up while it rings', async () => {
    const room = setting();
    await room.dial('bob');
    await room.open('bob');
    await room.command({ type: 'hangup', leg: 'bob' });
    expect(room.happened).toContain('bob: hangup agent_hangup');
    expect(room.happened).toContain('failed bob cancelled ');
    // The answer that crosses it changes nothing.
    room.tell('bob', { type: 'answered' });
    expect(room.persons.views()).toEqual([]);
  });

  test('ends the call with its own hang-up where that is wanted', async () => {
    const room = setting();
    await room.there('bob', { onHangup: 'end' });
    room.end('bob');
    expect(room.happened).toContain('end remote_hangup');
  });

  test('whose media is lost is hung up', async () => {
    const room = setting();
    await room.there('bob');
    room.persons.lost('bob', 'media_failed');
    room.persons.lost('bob', 'media_failed');
    expect(room.happened.filter((each) => each === 'ended bob media_failed')).toHaveLength(1);
    expect(room.happened).toContain('bob: hangup media_failed');
  });
});

describe('a call that is not the agent’s', () => {
  const ringback = { whileRinging: 'ringback', onHangup: 'end' } as const;

  test('has no agent from before it is answered, and rings', async () => {
    const room = setting();
    room.persons.keepAgentAway('until_alone');
    expect(room.place('caller')).toBe('beside');
    const heard = new Int16Array(480);
    room.line.caller.pullDownlink(heard, 0);
    expect(heard.some((sample) => sample !== 0)).toBe(true);
    room.happened.length = 0;
    // A pause of a conversation that has not begun is none.
    room.persons.callerAnswered();
    expect(room.happened).toEqual(['pause']);
    await room.there('bob', ringback);
    expect(room.place('caller')).toBe('line');
    expect(room.happened.filter((each) => each === 'pause' || each === 'resume')).toEqual(['pause']);
    room.end('bob');
    expect(room.happened).toContain('end remote_hangup');
  });

  test('and may become the agent’s has it when nobody comes', async () => {
    const room = setting();
    room.persons.keepAgentAway('until_alone');
    await room.dial('bob', ringback);
    await room.open('bob');
    expect(room.happened).not.toContain('resume');
    room.end('bob', 'rejected', 486);
    expect(room.happened.at(-1)).toBe('resume');
    expect(room.place('caller')).toBe('line');
  });

  test.each([
    [486, 486],
    [undefined, 500],
  ])('and may never be ends when nobody comes (%o), and the caller is told why', async (status, told) => {
    const room = setting();
    room.persons.keepAgentAway('for_good');
    await room.dial('bob', ringback);
    await room.open('bob');
    room.end('bob', 'rejected', status);
    expect(room.happened.slice(-2)).toEqual([`caller: hangup rejected SIP;cause=${told}`, 'end rejected']);
    expect(room.happened).not.toContain('resume');
  });

  test('and may never be has no agent whatever a program says', async () => {
    const room = setting();
    room.persons.keepAgentAway('for_good');
    await room.there('bob', ringback);
    await room.command({ type: 'connect', leg: 'bob', agent: 'stay' });
    await room.command({ type: 'whisper', leg: 'bob' });
    expect(room.happened).not.toContain('resume');
    await room.command({ type: 'hangup', leg: 'bob' });
    expect(room.happened.at(-1)).toBe('end remote_hangup');
  });
});

describe('persons', () => {
  test('are consulted: whisper, swap and back, connect with the agent', async () => {
    const room = setting();
    await room.there('bob', { onAnswer: 'whisper' });
    expect([room.place('caller'), room.place('bob')]).toEqual(['beside', 'line']);
    await room.command({ type: 'swap', leg: 'bob' });
    expect([room.place('caller'), room.place('bob')]).toEqual(['line', 'beside']);
    await room.command({ type: 'swap', leg: 'bob' });
    await room.command({ type: 'connect', leg: 'bob', agent: 'stay' });
    expect([room.place('caller'), room.place('bob')]).toEqual(['line', 'line']);
    expect(room.happened).not.toContain('pause');
  });

  test('who are whispered to take the agent back, and leave it again', async () => {
    const room = setting();
    await room.there('bob');
    await room.command({ type: 'whisper', leg: 'bob' });
    expect(room.happened.slice(-2)).toEqual(['state bob whispering', 'resume']);
    await room.command({ type: 'connect', leg: 'bob', agent: 'leave' });
    expect(room.happened.at(-1)).toBe('pause');
  });

  test('are four at most, each of its own name, and of a caller who is there', async () => {
    const room = setting();
    for (const id of ['a', 'b', 'c', 'd']) await room.dial(id);
    await expect(room.dial('e')).rejects.toMatchObject({ code: 'ERR_OVERLOADED' });
    const other = setting();
    await other.dial('bob');
    await expect(other.dial('bob')).rejects.toMatchObject({ code: 'ERR_INVALID_STATE' });
    await expect(other.dial('caller')).rejects.toMatchObject({ code: 'ERR_INVALID_STATE' });
    await expect(setting({ answered: false }).dial('bob')).rejects.toMatchObject({ code: 'ERR_INVALID_STATE' });
    await expect(setting({ kind: 'websocket' }).dial('bob')).rejects.toMatchObject({ code: 'ERR_INVALID_STATE' });
  });

  test('are connected only when they have answered, and are there', async () => {
    const room = setting();
    await room.dial('bob');
    await room.open('bob');
    expect(await room.command({ type: 'connect', leg: 'bob', agent: 'leave' }).catch(code)).toBe('ERR_INVALID_STATE');
    expect(await room.command({ type: 'connect', leg: 'eve', agent: 'leave' }).catch(code)).toBe('ERR_NOT_FOUND');
    expect(await room.command({ type: 'hold', leg: 'eve', held: true }).catch(code)).toBe('ERR_NOT_FOUND');
  });

  test('and the caller hear music on hold; a connect that crosses it takes everybody back', async () => {
    const room = setting();
    await room.there('bob');
    await room.command({ type: 'hold', leg: 'caller', held: true });
    await room.command({ type: 'hold', leg: 'bob', held: true });
    expect([room.place('caller'), room.place('bob')]).toEqual(['beside', 'beside']);
    expect(room.persons.views()).toEqual([{ leg: 'bob', state: 'held' }]);
    await room.command({ type: 'connect', leg: 'bob', agent: 'leave' });
    expect([room.place('caller'), room.place('bob')]).toEqual(['line', 'line']);
  });

  test('are all hung up when the caller goes, those that ring too, and an answer that crosses it finds nobody', async () => {
    const room = setting();
    await room.there('bob');
    await room.dial('carol');
    await room.open('carol');
    room.persons.end();
    room.persons.end();
    room.tell('carol', { type: 'answered' });
    expect(room.happened.filter((each) => each.includes('hangup'))).toEqual(['bob: hangup agent_hangup', 'carol: hangup agent_hangup']);
    expect(room.happened.filter((each) => each.includes('media closed'))).toHaveLength(2);
    expect(await room.dial('dave').catch(code)).toBe('ERR_NOT_FOUND');
    expect(room.clock.nextTimer()).toBeUndefined();
  });

  test('of whom one is left are connected still when another hangs up', async () => {
    const room = setting();
    await room.there('bob', { onHangup: 'end' });
    await room.there('carol');
    room.end('bob');
    expect(room.happened).not.toContain('end remote_hangup');
    expect(room.place('carol')).toBe('line');
    expect(room.happened.filter((each) => each === 'resume')).toEqual([]);
  });

  test('and the caller press keys for each other while the agent is away', async () => {
    const room = setting();
    await room.there('bob');
    room.line.onCallerKey?.('5');
    room.tell('bob', { type: 'dtmf', digit: '6', durationMs: 100 });
    expect(room.happened).toContain('bob: keys 5');
    expect(room.happened).toContain('caller: keys 6');
    await room.command({ type: 'connect', leg: 'bob', agent: 'stay' });
    room.tell('bob', { type: 'dtmf', digit: '7', durationMs: 100 });
    expect(room.happened).not.toContain('caller: keys 7');
  });
});

describe('a phone that holds', () => {
  const pcm = (value: number): Int16Array => new Int16Array(MODEL_FRAME_SAMPLES).fill(value);

  /** Caller and bob alone, with their ends of the line. */
  async function alone() {
    const room = setting();
    const line = room.line.join.bind(room.line);
    let bob: MediaSession | undefined;
    room.line.join = (...args) => {
      bob = line(...args);
      return bob;
    };
    await room.there('bob');
    const { caller } = room.line;
    const end = bob as unknown as MediaSession;
    const say = (who: MediaSession, value: number): void => who.handleUplink(pcm(value), { concealed: false }, 0);
    const hear = (who: MediaSession): number => {
      const out = new Int16Array(MODEL_FRAME_SAMPLES);
      who.pullDownlink(out, 0);
      return Math.max(...out.map(Math.abs));
    };
    /** The loudest of so many frames. */
    const heard = (who: MediaSession, frames: number): number => Math.max(...Array.from({ length: frames }, () => hear(who)));
    return { ...room, caller, bob: end, say, hear, heard };
  }

  test('leaves the other one with music, and both talk again when it takes the call back', async () => {
    const room = await alone();
    room.tell('bob', { type: 'hold', held: true });
    expect([room.place('caller'), room.place('bob')]).toEqual(['beside', 'beside']);
    expect(room.heard(room.caller, 25)).toBe(0);
    expect(room.heard(room.caller, 10)).toBeGreaterThan(100);
    room.say(room.caller, 5000);
    expect(room.heard(room.bob, 30)).toBe(0);
    room.tell('bob', { type: 'hold', held: false });
    expect([room.place('caller'), room.place('bob')]).toEqual(['line', 'line']);
    room.say(room.caller, 5000);
    expect(room.hear(room.bob)).toBe(5000);
  });

  test('is heard where it plays something of its own; music goes on where that ends', async () => {
    const room = await alone();
    room.persons.phoneHolds('caller', true);
    expect(room.heard(room.bob, 40)).toBeGreaterThan(100);
    for (let n = 0; n < 30; n++) {
      room.say(room.caller, 7000);
      expect([n, room.hear(room.bob)]).toEqual([n, 7000]);
    }
    // The end of it fades.
    room.heard(room.bob, 5);
    expect(room.heard(room.bob, 20)).toBe(0);
    expect(room.heard(room.bob, 15)).toBeGreaterThan(100);
  });

  test('plays its music on when something else happens meanwhile', async () => {
    const room = await alone();
    room.tell('bob', { type: 'hold', held: true });
    room.heard(room.caller, 40);
    await room.dial('carol');
    expect(room.hear(room.caller)).toBeGreaterThan(0);
  });

  test('leaves those alone who have somebody else to talk to, and the agent', async () => {
    const room = setting();
    await room.there('bob');
    await room.there('carol');
    room.tell('bob', { type: 'hold', held: true });
    expect(['caller', 'bob', 'carol'].map(room.place)).toEqual(['line', 'line', 'line']);
    room.end('carol');
    expect(['caller', 'bob'].map(room.place)).toEqual(['beside', 'beside']);
    await room.command({ type: 'connect', leg: 'bob', agent: 'stay' });
    expect(['caller', 'bob'].map(room.place)).toEqual(['line', 'line']);
  });

  test('has no part in who sits in its place afterwards', async () => {
    const room = setting();
    await room.there('bob');
    room.tell('bob', { type: 'hold', held: true });
    room.persons.seatOf('bob')?.take({ leg: LEG, media: { answered: () => undefined, close: () => undefined } });
    expect(['caller', 'bob'].map(room.place)).toEqual(['line', 'line']);
  });
});

describe('a place that is given to somebody else', () => {
  test('rings for both meanwhile, and all is as it was when nobody comes', async () => {
    const room = setting();
    await room.there('bob');
    expect(room.persons.isPrivate).toBe(true);
    room.persons.handOver('caller');
    expect([room.place('caller'), room.place('bob')]).toEqual(['beside', 'beside']);
    room.persons.handOver(undefined);
    expect([room.place('caller'), room.place('bob')]).toEqual(['line', 'line']);
  });

  test('is not missed by those who still have somebody to talk to', async () => {
    const room = setting();
    await room.there('bob');
    await room.there('carol');
    room.persons.handOver('bob');
    expect(['caller', 'bob', 'carol'].map((each) => room.place(each))).toEqual(['line', 'beside', 'line']);
    await room.command({ type: 'connect', leg: 'carol', agent: 'stay' });
    expect(room.persons.isPrivate).toBe(false);
    expect(['caller', 'bob', 'carol'].map((each) => room.place(each))).toEqual(['line', 'line', 'line']);
  });

  test('is taken: the media of the former are closed, its record made, and it has no word any more', async () => {
    const room = setting();
    await room.there('bob', { onHangup: 'end' });
    const seat = room.persons.seatOf('bob');
    expect([seat?.isUp, room.persons.seatOf('carol')]).toEqual([true, undefined]);
    room.happened.length = 0;
    const keys: string[] = [];
    const media = { answered: () => void room.happened.push('carol: answered'), close: () => undefined };
    seat?.take({ leg: { ...LEG, sendDtmf: (digits) => void keys.push(digits) }, media });
    expect(room.happened).toEqual(['bob: media closed', 'bob: report', 'carol: answered']);
    room.end('bob');
    expect(room.happened).toHaveLength(3);
    room.line.onCallerKey?.('5');
    expect(keys).toEqual(['5']);
    seat?.tell({ type: 'ended', cause: 'remote_hangup' });
    expect(room.happened.at(-1)).toBe('end remote_hangup');
    expect(seat?.isUp).toBe(false);
  });

  test('is nobody’s before somebody has answered', async () => {
    const room = setting();
    await room.dial('bob');
    expect(room.persons.seatOf('bob')).toBeUndefined();
    await room.open('bob');
    expect(room.persons.seatOf('bob')?.isUp).toBe(false);
  });
});

describe('who hands the others to the agent', () => {
  test('as the caller leaves a person who talks to it, with keys, and whose end is that of the call', async () => {
    const room = setting();
    room.persons.keepAgentAway('for_good');
    await room.there('bob');
    expect(room.persons.handToAgent('caller')).toBe(true);
    expect(room.happened.at(-1)).toBe('resume');
    expect([room.place('caller'), room.place('bob')]).toEqual(['beside', 'line']);
    room.tell('bob', { type: 'dtmf', digit: '3', durationMs: 100 });
    expect(room.happened.at(-1)).toBe('agent: dtmf');
    room.end('bob');
    expect(room.happened.at(-1)).toBe('end remote_hangup');
  });

  test('as a person leaves the caller with it', async () => {
    const room = setting();
    room.persons.keepAgentAway('for_good');
    await room.there('bob', { onHangup: 'end' });
    expect(room.persons.handToAgent('bob')).toBe(true);
    expect(room.happened).not.toContain('end remote_hangup');
    expect([room.place('caller'), room.happened.at(-1)]).toEqual(['line', 'resume']);
  });

  test('finds nobody to hand over', async () => {
    const room = setting();
    await room.dial('bob');
    expect([room.persons.handToAgent('caller'), room.persons.handToAgent('carol')]).toEqual([false, false]);
  });
});

describe('a transfer by REFER', () => {
  test('sends the caller to the person’s own call, and a failure leaves all as it was', async () => {
    const room = setting();
    await room.there('bob');
    await room.command({ type: 'transfer', leg: 'bob', mode: 'refer' });
    expect(room.happened).toContain('caller: refer to bob@sip');
    expect(room.place('caller')).toBe('line');
    expect(await room.command({ type: 'transfer', leg: 'bob', mode: 'refer' }).catch(code)).toBe('ERR_INVALID_STATE');
    expect(await room.dial('carol').catch(code)).toBe('ERR_INVALID_STATE');
    room.persons.handleTransfer({ type: 'transfer', state: 'accepted' });
    room.persons.handleTransfer({ type: 'transfer', state: 'failed', status: 486 });
    expect([room.place('caller'), room.place('bob')]).toEqual(['line', 'line']);
  });

  test('names the place of the call where its leg has told it: the caller’s may be in another process', async () => {
    const room = setting();
    await room.there('bob');
    room.tell('bob', { type: 'replaces', uri: 'sip:bob@192.0.2.9?Replaces=x' });
    await room.command({ type: 'transfer', leg: 'bob', mode: 'refer' });
    expect(room.happened).toContain('caller: refer to bob@sip or sip:bob@192.0.2.9?Replaces=x');
  });

  test('waits for its end when the person’s phone has left us for the caller’s', async () => {
    const room = setting();
    await room.there('bob', { onHangup: 'end' });
    await room.command({ type: 'transfer', leg: 'bob', mode: 'refer' });
    room.end('bob');
    expect(room.happened).not.toContain('end remote_hangup');
    expect(room.place('caller')).toBe('beside');
    expect(room.happened.at(-1)).not.toBe('resume');
    room.persons.handleTransfer({ type: 'transfer', state: 'failed' });
    expect(room.happened.at(-1)).toBe('resume');
  });

  test('is between two phones only', async () => {
    const room = setting({ kind: 'browser' });
    await room.there('bob');
    expect(await room.command({ type: 'transfer', leg: 'bob', mode: 'refer' }).catch(code)).toBe('ERR_INVALID_STATE');
  });
});
